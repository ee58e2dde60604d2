#!/bin/bash
# kill -9 of cofferd under stamped load on a volume's image file (FUSE); each time the dead mount is cleared away by
# the next open, and every block is compared. rounds=… makes it smaller.
show_targets="coffer_cheap cofferd_cheap"
source "$(dirname "$0")/show-common.sh"
SHOW_TMP=$work python3 -B "$repo/tests/integration/fuse_kill_rounds.py" "$build/tests/cli/cheap" --rounds "${rounds:-50}"

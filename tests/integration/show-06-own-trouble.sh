#!/bin/bash
# A vault's trouble is its own: four vaults whose stores are gone, a store whose calls never return, a stopped daemon
# (own_trouble.py). Needs /dev/fuse. The slice (loose=1) does not hold the times against their bars.
show_targets="coffer cofferd powercut_fs"
source "$(dirname "$0")/show-common.sh"
programs=$build/cli
[ -z "${loose:-}" ] || programs=$build/tests/cli/cheap # the same daemon with a cheap key derivation
SHOW_TMP=$work python3 -B "$(dirname "$0")/own_trouble.py" "$programs" "$build/tests/support/powercut_fs" \
  --mib "${mib:-128}" --rounds "${rounds:-3}" ${loose:+--loose}

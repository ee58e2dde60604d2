#!/bin/bash
# One volume open through NBD and FUSE at once: write and flush here, read there, 10,000 times alternating. rounds=…
source "$(dirname "$0")/show-common.sh"
use_machine first
new_password
"$coffer" init photos "$work/store" 64M --password-file "$work/password"
open_volume photos --nbd --fuse="$work/mount"
python3 -B "$repo/tests/integration/fuse_coherence.py" "$XDG_RUNTIME_DIR/coffer/nbd.sock" photos "$work/mount" \
  --rounds "${rounds:-10000}"

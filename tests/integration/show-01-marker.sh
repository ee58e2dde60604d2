#!/bin/bash
# An incompressible marker written to the volume, and the volume's name, are in no file of the store; the marker
# in none of state, cache, runtime, logs: while the volume is open and dirty, after a kill, and after the close.
source "$(dirname "$0")/show-common.sh"
use_machine first
new_password
name=holiday-$(head -c 6 /dev/urandom | base32 | tr -d =)
head -c 4096 /dev/urandom >"$work/marker"
python3 - "$work" <<'PY'
import sys
marker = open(sys.argv[1] + "/marker", "rb").read()
with open(sys.argv[1] + "/data", "wb") as data:  # the marker among other bytes, many times
    for i in range(4096):
        data.write(marker if i % 64 == 0 else bytes([i % 251]) * 4096)
PY
look() {
  python3 "$repo/tests/integration/find_marker.py" "$work/marker" "$name" "$work/store" \
    "$work/first" || fail "$1"
}
"$coffer" init "$name" "$work/store" 16M --password-file "$work/password" --log-level debug >/dev/null
place=$(open_volume "$name" --log-level debug)
nbdcopy "$work/data" "$place"
look "while dirty"
kill_daemon
look "after a kill"
place=$(open_volume "$name" --log-level debug)
"$coffer" sync "$name" >/dev/null
nbdcopy "$place" "$work/back" && cmp "$work/data" "$work/back"
rm "$work/back"
look "after a sync"
"$coffer" close "$name" >/dev/null
"$coffer" daemon stop >/dev/null
look "after the close"
files=$(find "$work/store" "$work/first" -type f | wc -l)
echo "marker and name in 0 of $files files of store, state, cache, runtime and logs, at 4 moments"

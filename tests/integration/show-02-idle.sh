#!/bin/bash
# An idle volume costs nothing: three simulated days without a store request, a task or a timer; then a real
# cofferd, a client connected, 10 minutes after a sync (seconds=… changes that): no object of the store read,
# listed or written, as their access times tell, no read or write call of the process at all (root only).
source "$(dirname "$0")/show-common.sh"
seconds=${seconds:-600}
mkdir "$work/simulated"
"$build/tests/scale/idle_day" "$work/simulated" >"$work/days"
grep '^#' "$work/days"
simulated=$(tail -1 "$work/days")

use_machine first
new_password
"$coffer" init photos "$work/store" 1G --password-file "$work/password" >/dev/null
place=$(open_volume photos)
head -c 20M /dev/urandom >"$work/data"
nbdcopy --flush "$work/data" "$place"
"$coffer" sync photos >/dev/null
mkfifo "$work/connected"
(cd "$repo/tests/integration" && exec python3 -c '
import sys, kill_writer
sock = kill_writer.connect(sys.argv[1])
print("connected", flush=True)
sock.recv(1)' "$place") >"$work/connected" &
client=$!
read -r _ <"$work/connected"

pid=$(daemon_pid)
# With relatime the next read of something whose access time lies before its last change is noted; stat notes nothing.
find "$work/store" -print0 >"$work/paths"
xargs -0 touch -a -d @1000000000 <"$work/paths"
look() { xargs -0 stat -c '%n inode %i size %s read %X written %Y changed %Z' <"$work/paths"; }
calls() { grep -E '^(rchar|wchar|syscr|syscw):' "/proc/$pid/io" 2>/dev/null || echo "not root"; }
switches() { cat "/proc/$pid"/task/*/status | awk '/ctxt_switches/ { sum += $2 } END { print sum }'; }
look >"$work/before"
calls_before=$(calls)
switches_before=$(switches)
sleep "$seconds"
switches_after=$(switches)
calls_after=$(calls)
look >"$work/after"
diff "$work/before" "$work/after" >&2 || fail "the store was used"
[ "$calls_before" = "$calls_after" ] || fail "cofferd read or wrote: $calls_before; $calls_after"
# The evidence is one: a look into the store shows.
find "$work/store" >/dev/null
look | cmp -s "$work/before" - && fail "this file system does not note reads: nothing is shown"
kill "$client"
echo "$simulated; $seconds s of an idle cofferd with a client: $(tr -cd '\0' <"$work/paths" | wc -c) files and" \
  "directories of the store untouched, $([ "$calls_after" = "not root" ] || echo "0 read or write calls,")" \
  "$((switches_after - switches_before)) context switches"

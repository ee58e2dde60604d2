#!/bin/bash
# A client writes through a connection that stays open, never flushes, and notes what was acknowledged; kill -9
# of cofferd; after reopening every acknowledged write is there. 20 rounds (rounds=… changes that).
source "$(dirname "$0")/show-common.sh"
rounds=${rounds:-20}
use_machine first
new_password
"$coffer" init photos "$work/store" 256M --password-file "$work/password" >/dev/null
total=0
for round in $(seq "$rounds"); do
  place=$(open_volume photos)
  rm -f "$work/acknowledged"
  python3 "$repo/tests/integration/kill_writer.py" write "$place" "$work/acknowledged" "$round" &
  writer=$!
  # Kill once some hundred writes are acknowledged: the number differs from round to round.
  want=$((200 + round * 37))
  while [ "$(cat "$work/acknowledged" 2>/dev/null | wc -l)" -lt "$want" ]; do
    kill -0 "$writer" 2>/dev/null || fail "the writer ended early"
  done
  kill_daemon
  wait "$writer" || fail "the writer failed"
  place=$(open_volume photos)
  count=$(python3 "$repo/tests/integration/kill_writer.py" check "$place" "$work/acknowledged" "$round") ||
    fail "round $round lost an acknowledged write"
  total=$((total + count))
  [ $((round % 4)) -ne 0 ] || "$coffer" sync photos >/dev/null
done
"$coffer" close photos >/dev/null
echo "$rounds kills, $total acknowledged writes, 0 lost"

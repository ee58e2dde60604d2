#!/bin/bash
# durability = cloud, the store away for `seconds`=12: a FLUSH waits and succeeds once it is back, the status says that
# it waits; with flush_wait = error-after=2 it fails after that. A reader of what this machine has uploaded needs no
# store; one of what it has not waits for it.
source "$(dirname "$0")/show-common.sh"
command -v qemu-io >/dev/null || { echo "skipped: no qemu-io" >&2; exit 77; }
away=${seconds:-12}
use_machine one
new_password
field() { "$coffer" status photos --json | grep -o "\"$1\":[^,}]*" | head -1 | cut -d: -f2-; }
await() { # FIELD: until it is not 0
  local deadline=$((SECONDS + 30))
  until [ "$(field "$1")" != 0 ] && [ -n "$(field "$1")" ]; do [ "$SECONDS" -lt "$deadline" ] || fail "$1 stays 0"; done
}
"$coffer" init photos "$work/vault" 64MiB --durability=cloud --password-file "$work/password" >/dev/null
uri=$(open_volume photos)
qemu-io -f raw -c "write -P 7 0 1M" -c flush "$uri" >/dev/null || fail "a write failed"

mv "$work/vault" "$work/vault-away"
start=$(now)
qemu-io -f raw -c "write -P 8 1M 64k" -c flush "$uri" >"$work/flush" 2>&1 &
flush=$!
await flushes_waiting
# Nothing of it is needed from the store.
qemu-io -f raw -r -c "read -P 7 0 1M" "$uri" >"$work/read" 2>&1 && ! grep -q verification "$work/read" ||
  fail "what was uploaded here cannot be read without the store"
read=$(since "$start")
until awk -v s="$(since "$start")" -v a="$away" 'BEGIN { exit !(s >= a) }'; do
  kill -0 "$flush" 2>/dev/null || fail "the FLUSH did not wait: $(cat "$work/flush")"
done
mv "$work/vault-away" "$work/vault"
wait "$flush" || fail "the FLUSH failed: $(cat "$work/flush")"
! grep -qi 'error' "$work/flush" || fail "the FLUSH failed: $(cat "$work/flush")"
waited=$(since "$start")
[ "$(field waiting_bytes)" -eq 0 ] || fail "the FLUSH was answered before the store had it"
"$coffer" close photos >/dev/null

uri=$(open_volume photos --flush-wait=error-after=2)
mv "$work/vault" "$work/vault-away"
start=$(now)
qemu-io -f raw -c "write -P 9 2M 64k" -c flush "$uri" >"$work/flush" 2>&1 || true
grep -qi 'error' "$work/flush" || fail "a FLUSH was answered without the store"
failed=$(since "$start")
mv "$work/vault-away" "$work/vault"
"$coffer" close photos >/dev/null || fail "close"

# Another machine has nothing of it: it waits.
use_machine two
"$coffer" add "$work/vault" --password-file "$work/password" >/dev/null
uri=$(open_volume photos --read-only)
mv "$work/vault" "$work/vault-away"
start=$(now)
qemu-io -f raw -r -c "read -P 7 0 1M" "$uri" >"$work/read" 2>&1 &
reader=$!
until awk -v s="$(since "$start")" -v a="$away" 'BEGIN { exit !(s >= a) }'; do
  kill -0 "$reader" 2>/dev/null || fail "the reader did not wait: $(cat "$work/read")"
done
mv "$work/vault-away" "$work/vault"
wait "$reader" && ! grep -q 'verification\|rror' "$work/read" || fail "the reader saw an error: $(cat "$work/read")"
read_waited=$(since "$start")
"$coffer" close photos >/dev/null
echo "durability cloud: the store away for $away s, a FLUSH waited $waited s and succeeded, one with error-after=2 failed" \
  "after $failed s; what was uploaded here was read at $read s without the store, what was not after $read_waited s"

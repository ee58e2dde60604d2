#!/bin/bash
# A wrong password: exit 5, store byte-identical, and state too (logs, locks and pid file aside).
source "$(dirname "$0")/show-common.sh"
use_machine first
new_password
"$coffer" init photos "$work/store" 64M --password-file "$work/password" >/dev/null
place=$(open_volume photos)
head -c 8M /dev/urandom >"$work/data"
nbdcopy "$work/data" "$place" 2>/dev/null || { truncate -s 64M "$work/data"; nbdcopy "$work/data" "$place"; }
"$coffer" close photos >/dev/null
"$coffer" daemon stop >/dev/null
(umask 077; echo "not the password" >"$work/wrong")
store_before=$(hash_tree "$work/store")
state_before=$(hash_tree "$XDG_STATE_HOME")
attempt() {
  local status=0
  "$@" >"$work/out" 2>&1 || status=$?
  [ "$status" -eq 5 ] || fail "$*: exit $status instead of 5: $(cat "$work/out")"
}
attempt "$coffer" open photos --password-file "$work/wrong"
attempt "$coffer" open photos --take-over --password-file "$work/wrong"
attempt "$coffer" init more "$work/store" 64M --password-file "$work/wrong"
[ "$(hash_tree "$work/store")" = "$store_before" ] || fail "the store has changed"
[ "$(hash_tree "$XDG_STATE_HOME")" = "$state_before" ] || fail "the state has changed"
use_machine second
attempt "$coffer" add "$work/store" --password-file "$work/wrong"
[ "$(hash_tree "$work/store")" = "$store_before" ] || fail "the store has changed"
[ -z "$(hash_tree "$XDG_STATE_HOME" 2>/dev/null)" ] || fail "state was written: $(hash_tree "$XDG_STATE_HOME")"
say "it says: $(cat "$work/out")"
echo "4 attempts with a wrong password: exit 5, 0 bytes of store and state changed"

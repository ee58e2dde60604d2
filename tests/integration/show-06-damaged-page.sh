#!/bin/bash
# The pack that holds the leaf page of a volume's map is gone. Commits go on around it, folds among them, close
# releases, and the status says what is lost; what was written since is read back by another machine; once the
# provider has brought the pack back, all of it is. commits=40 of them.
source "$(dirname "$0")/show-common.sh"
command -v nbdcopy >/dev/null && command -v qemu-io >/dev/null || { echo "skipped: no nbdcopy or qemu-io" >&2; exit 77; }
commits=${commits:-40}
use_machine one
new_password
field() { { "$coffer" status photos --json || [ $? = 10 ]; } | grep -o "\"$1\":[^,}]*" | head -1 | cut -d: -f2-; }
packs() { find "$work/vault/packs" -type f | sort; }
put() { qemu-io -f raw -c "write -P $2 $(($1 * 4096)) 4096" -c flush "$uri" >/dev/null || fail "a write failed"; }

"$coffer" init photos "$work/vault" 8MiB --password-file "$work/password" >/dev/null
uri=$(open_volume photos)
head -c 4M /dev/urandom >"$work/data"
nbdcopy --flush "$work/data" "$uri"
"$coffer" sync photos >/dev/null
packs >"$work/before"
"$coffer" close photos >/dev/null
packs | comm -13 "$work/before" - >"$work/leaf"
[ "$(wc -l <"$work/leaf")" -eq 1 ] || fail "the close has made $(wc -l <"$work/leaf") packs, not the one of the leaf"
leaf=$(cat "$work/leaf")
mv "$leaf" "$work/leaf.pack"
find "$XDG_CACHE_HOME" -mindepth 1 -delete 2>/dev/null || true
"$coffer" daemon stop >/dev/null
find "$XDG_CACHE_HOME" -mindepth 1 -delete 2>/dev/null || true

uri=$(open_volume photos)
failed=0
for ((i = 0; i < commits; ++i)); do
  put $((1024 + i)) $((i % 250 + 1))
  "$coffer" sync photos >/dev/null 2>>"$work/errors" || failed=$((failed + 1))
done
waiting=$(field waiting_bytes)
needs=$("$coffer" status photos 2>/dev/null | grep -c 'needs you: MISSING-PACKS' || true)
! qemu-io -f raw -r -c "read 0 4096" "$uri" >/dev/null 2>&1 || fail "what is lost was read"
start=$(now)
"$coffer" close photos >/dev/null 2>>"$work/errors" && closed=0 || closed=$?
took=$(since "$start")
say "$commits commits with the leaf's pack gone: $failed failed, $waiting bytes wait, $needs lines say so; close: exit $closed in $took s"
[ "$failed" -eq 0 ] && [ "$waiting" -eq 0 ] && [ "$needs" -ge 1 ] && [ "$closed" -eq 0 ] ||
  fail "damage stops new data: $(tail -1 "$work/errors")"

# Another machine reads what was written since, and gets an error for what is lost.
use_machine two
"$coffer" add "$work/vault" --password-file "$work/password" >/dev/null
uri=$(open_volume photos --read-only)
for ((i = 0; i < commits; ++i)); do
  qemu-io -f raw -r -c "read -P $((i % 250 + 1)) $(((1024 + i) * 4096)) 4096" "$uri" >"$work/read" 2>&1 &&
    ! grep -q 'verification failed' "$work/read" || fail "block $((1024 + i)) is not what was written"
done
! qemu-io -f raw -r -c "read 0 4096" "$uri" >/dev/null 2>&1 || fail "what is lost was read"
"$coffer" close photos >/dev/null

mv "$work/leaf.pack" "$leaf"
uri=$(open_volume photos --read-only)
nbdcopy "$uri" "$work/back"
cmp -n $((4 << 20)) "$work/data" "$work/back" || fail "with the pack back the data differ"
"$coffer" close photos >/dev/null
echo "damaged page: $commits commits beside it, 0 failed, $needs status lines, closed in $took s; read back elsewhere;" \
  "whole again with the pack"

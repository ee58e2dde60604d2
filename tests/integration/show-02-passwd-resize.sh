#!/bin/bash
# `passwd` on a volume of 1 GiB: within 2 s, no pack changed, the old password refused with 5, the new one opens.
# `resize`: up with a client connected, which goes on and sees the size when it reconnects; down with the flag and
# nobody connected, else refused. show_mib=… makes the volume smaller.
source "$(dirname "$0")/show-common.sh"
mib=${show_mib:-1024}
size=$((mib * 1048576))
use_machine first
new_password
new=$work/new-password
(umask 077 && head -c 18 /dev/urandom | base64 >"$new")
# refused CODE COMMAND…
refused() {
  local status=0
  "${@:2}" >"$work/out" 2>&1 || status=$?
  [ "$status" -eq "$1" ] || fail "${*:2}: exit $status instead of $1: $(cat "$work/out")"
}
size_now() { nbdinfo --size "$1"; }

"$coffer" init photos "$work/store" "${mib}M" --password-file "$work/password" >/dev/null
place=$(open_volume photos)
head -c "$size" /dev/urandom >"$work/data"
nbdcopy --flush "$work/data" "$place"
"$coffer" close photos >/dev/null

# 1. The password.
packs=$(hash_tree "$work/store/packs")
start=$(now)
"$coffer" passwd photos --password-file "$work/password" --new-password-file "$new" >/dev/null
took=$(awk -v a="$start" -v b="$(now)" 'BEGIN { printf "%.2f", b - a }')
[ "$mib" -lt 1024 ] || awk -v t="$took" 'BEGIN { exit !(t <= 2) }' || fail "passwd took $took s"
[ "$(hash_tree "$work/store/packs")" = "$packs" ] || fail "passwd changed packs"
refused 5 "$coffer" open photos --password-file "$work/password"
use_machine second
refused 5 "$coffer" add "$work/store" --password-file "$work/password"
use_machine first
mv "$new" "$work/password"
place=$(open_volume photos)
nbdcopy "$place" "$work/back"
cmp "$work/data" "$work/back" || fail "the new password opens other data"
rm "$work/back"

# 2. Larger, with a client connected all the while.
half=$((size / 2)) larger=$((size + 64 * 1048576))
coproc client { qemu-io -f raw "$place" 2>&1; }
ask() {
  echo "$1" >&"${client[1]}"
  local line
  while read -r -t 60 -u "${client[0]}" line; do
    case $line in
      *"ops;"*) return 0 ;;
      *error* | *rror:* | *failed*) fail "the client: $line" ;;
    esac
  done
  fail "the client does not answer"
}
ask "write -P 0x41 0 1M"
refused 2 "$coffer" resize photos "$half"
refused 6 "$coffer" resize photos "$half" --discard-tail
"$coffer" resize photos "$larger" >/dev/null
ask "write -P 0x42 1M 1M"
[ "$(size_now "$place")" -eq "$larger" ] || fail "a new client sees $(size_now "$place") bytes"
ask "read -P 0x41 0 1M"
echo quit >&"${client[1]}"
wait "$client_PID" || fail "the client ended with an error"
nbdcopy "$place" "$work/back"
[ "$(stat -c %s "$work/back")" -eq "$larger" ] || fail "the copy has another size"
cmp -i $((2 * 1048576)) -n $((size - 2 * 1048576)) "$work/data" "$work/back" || fail "the data differ after growing"
cmp -i "$size":0 -n $((larger - size)) "$work/back" /dev/zero || fail "what was added is not zeros"

# 3. Smaller: only with the flag, and nobody connected. Growing back shows zeros.
refused 2 "$coffer" resize photos "$half"
deadline=$((SECONDS + 10))
until "$coffer" resize photos "$half" --discard-tail >"$work/out" 2>&1; do
  [ "$SECONDS" -lt "$deadline" ] || fail "resize: $(cat "$work/out")" # the server learns of the client's end
done
[ "$(size_now "$place")" -eq "$half" ] || fail "after shrinking: $(size_now "$place") bytes"
"$coffer" resize photos "$size" >/dev/null
"$coffer" close photos >/dev/null
place=$(open_volume photos)
nbdcopy "$place" "$work/back"
cmp -i $((2 * 1048576)) -n $((half - 2 * 1048576)) "$work/data" "$work/back" || fail "the data differ after shrinking"
cmp -i "$half":0 -n $((size - half)) "$work/back" /dev/zero || fail "growing back showed old bytes"
"$coffer" close photos >/dev/null
echo "passwd on $mib MiB: $took s, 0 packs changed, old password refused (5), new one opens; resize up with a client" \
  "connected, down with --discard-tail only, no old byte after growing back"

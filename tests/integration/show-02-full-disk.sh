#!/bin/bash
# The state directory on a file system of 256 MiB, a writer faster than the sync: it waits, sees no error, goes
# on within 2 s of space being freed, and the data are right. Needs root (a loop mount).
source "$(dirname "$0")/show-common.sh"
mib=${show_mib:-384}
[ "$(id -u)" -eq 0 ] || { echo "skipped: needs root, for a file system of its own" >&2; exit 77; }
use_machine small
new_password
truncate -s 256M "$work/disk.img"
mkfs.ext4 -q -m 0 "$work/disk.img"
mkdir -p "$XDG_STATE_HOME"
mount -o loop "$work/disk.img" "$XDG_STATE_HOME" || { echo "skipped: no loop mounts here" >&2; exit 77; }
unmount() { "$coffer" daemon stop --force >/dev/null 2>&1 || true; umount -l "$XDG_STATE_HOME" 2>/dev/null || true; }
trap 'status=$?; unmount; cleanup "$status"' EXIT

"$coffer" init disk "$work/vault" 2GiB --password-file "$work/password" >/dev/null
uri=$(open_volume disk)
head -c "${mib}M" /dev/urandom >"$work/data"

# 1. Below the disk's end: the journal holds a fifth of it at most, the writer waits for commits.
start=$(now)
nbdcopy --flush "$work/data" "$uri"
wrote=$(since "$start")
used=$(du -sm "$XDG_STATE_HOME" | cut -f1)
[ "$used" -lt 200 ] || fail "the journal took $used MiB of 256"

# 2. Others fill the disk: the writer waits; it goes on within 2 s of space being freed.
head -c 64M /dev/urandom >"$work/second"
dd if=/dev/zero of="$XDG_STATE_HOME/filler" bs=1M >/dev/null 2>&1 || true
nbdcopy --flush "$work/second" "$uri" &
writer=$!
state() { "$coffer" status disk --json || [ $? -eq 10 ]; }  # 10: it needs somebody
waits() { state | grep -q 'NO-SPACE'; }
deadline=$((SECONDS + 60))
until waits; do
  kill -0 "$writer" 2>/dev/null || break
  [ "$SECONDS" -lt "$deadline" ] || fail "no writer waits on the full disk"
done
waited=no
if kill -0 "$writer" 2>/dev/null; then
  waited=yes
  before=$(state | sed -n 's/.*"acknowledged":\([0-9]*\).*/\1/p')
  start=$(now)
  rm "$XDG_STATE_HOME/filler"
  until [ "$(state | sed -n 's/.*"acknowledged":\([0-9]*\).*/\1/p')" -gt "$before" ]; do
    kill -0 "$writer" 2>/dev/null || break
  done
  resumed=$(since "$start")
  awk -v s="$resumed" 'BEGIN { exit !(s <= 2.0) }' || fail "the writer went on only after $resumed s"
fi
wait "$writer" || fail "the writer saw an error"
"$coffer" sync disk >/dev/null
"$coffer" close disk >/dev/null
uri=$(open_volume disk)
nbdcopy "$uri" "$work/back"
head -c "$(stat -c %s "$work/second")" "$work/back" | cmp - "$work/second" || fail "the second data differ"
cmp <(tail -c +$((64 * 1048576 + 1)) "$work/data") \
  <(tail -c +$((64 * 1048576 + 1)) "$work/back" | head -c $(((mib - 64) * 1048576))) || fail "the first data differ"
"$coffer" close disk >/dev/null
[ "$waited" = yes ] || fail "the second writer was done before the disk was full"
echo "256 MiB disk: $mib MiB written in $wrote s, journal at most $used MiB after; on the full disk the writer" \
  "waited (NO-SPACE shown) and went on ${resumed} s after space was freed; data equal"

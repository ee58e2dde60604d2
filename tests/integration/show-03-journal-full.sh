#!/bin/bash
# The journal on a full disk of 256 MiB, the store away: the writer waits and sees no error, reads go on; once the
# store is back, `coffer sync` frees the journal, and writing goes on within 2 s. Needs root (a loop mount).
source "$(dirname "$0")/show-common.sh"
mib=${show_mib:-160}
[ "$(id -u)" -eq 0 ] || { echo "skipped: needs root, for a file system of its own" >&2; exit 77; }
command -v fio >/dev/null || { say "skipped: no fio"; exit 77; }
use_machine small
new_password
truncate -s 256M "$work/disk.img"
mkfs.ext4 -q -m 0 "$work/disk.img"
mkdir -p "$XDG_STATE_HOME"
mount -o loop "$work/disk.img" "$XDG_STATE_HOME" || { echo "skipped: no loop mounts here" >&2; exit 77; }
unmount() { "$coffer" daemon stop --force >/dev/null 2>&1 || true; umount -l "$XDG_STATE_HOME" 2>/dev/null || true; }
trap 'status=$?; unmount; cleanup "$status"' EXIT

field() { { "$coffer" status disk --json || [ $? -eq 10 ]; } | sed -n "s/.*\"$1\":\([0-9]*\).*/\1/p"; }
acknowledged() { field acknowledged; }

"$coffer" init disk "$work/vault" 1GiB --password-file "$work/password" >/dev/null
uri=$(open_volume disk)
head -c "${mib}M" /dev/urandom >"$work/data"
head -c 16M "$work/data" | nbdcopy --flush - "$uri"

# The store goes, then the rest of the disk: the writer fills the journal and waits.
mv "$work/vault" "$work/vault-away"
nbdcopy --flush "$work/data" "$uri" 2>"$work/writer.err" &
writer=$!
deadline=$((SECONDS + 120))
until [ "$(field writers_waiting)" -gt 0 ]; do
  kill -0 "$writer" 2>/dev/null || fail "the writer was done, or failed, before the journal was full"
  [ "$SECONDS" -lt "$deadline" ] || fail "the writer does not wait"
done
dd if=/dev/zero of="$XDG_STATE_HOME/filler" bs=64k >/dev/null 2>&1 || true
free=$(df --output=avail -k "$XDG_STATE_HOME" | tail -1)
[ "$free" -lt 1024 ] || fail "the disk still has $free KiB"
before=$(acknowledged)

# Reads go on meanwhile.
reads=$(fio --name=reads --ioengine=nbd --uri="$uri" --rw=randread --bs=4k --size=16M --time_based --runtime=2 \
  --output-format=terse --terse-version=3 | awk -F';' '$1 == 3 && $5 == 0 { print $8 }')
[ -n "$reads" ] && [ "$reads" -gt 0 ] || fail "no reads while the writer waits"
[ "$(field writers_waiting)" -gt 0 ] || fail "nobody waits any more"
[ "$(acknowledged)" -eq "$before" ] || fail "a write was acknowledged without room for it"
kill -0 "$writer" 2>/dev/null || fail "the writer saw an error: $(cat "$work/writer.err")"

# The store is back: sync.
mv "$work/vault-away" "$work/vault"
start=$(now)
"$coffer" sync disk >/dev/null
synced=$(since "$start")
start=$(now)
until [ "$(acknowledged)" -gt "$before" ]; do
  kill -0 "$writer" 2>/dev/null || break
  awk -v s="$(since "$start")" 'BEGIN { exit !(s < 30) }' || fail "writing does not go on after the sync"
done
resumed=$(since "$start")
awk -v s="$resumed" 'BEGIN { exit !(s <= 2.0) }' || fail "writing went on only $resumed s after the sync"
wait "$writer" || fail "the writer saw an error: $(cat "$work/writer.err")"
"$coffer" sync disk >/dev/null
"$coffer" close disk >/dev/null
nbdcopy "$(open_volume disk)" "$work/back"
cmp -n "$(stat -c %s "$work/data")" "$work/data" "$work/back" || fail "the data differ"
"$coffer" close disk >/dev/null
echo "full disk, store away: the writer waited, $reads reads a second beside it; sync took $synced s, writing went" \
  "on $resumed s after it; data equal"

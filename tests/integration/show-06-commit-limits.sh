#!/bin/bash
# Any amount of changes becomes commits within the format's limits. 620,000 scattered 4 KiB writes while the store is
# away, cofferd killed and started again, the store back: `coffer sync` succeeds and the data are right. 1,060,000 TRIMs
# of 4 KiB, one in each 16 KiB chunk: the same, in bounded memory. Nothing is synced for its age meanwhile. Prints
# seconds, commits and memory.
source "$(dirname "$0")/show-common.sh"
writes=${show_writes:-620000} trims=${show_trims:-1060000}
command -v fio >/dev/null || { say "skipped: no fio"; exit 77; }
use_machine limits
new_password

# scattered RW COUNT URI [OPTIONS…]: one request of 4 KiB in each chunk of 16 KiB.
scattered() {
  fio --name=scattered --ioengine=nbd --uri="$3" --rw="$1:12k" --bs=4k --iodepth=64 --size="$(($2 * 16))k" \
    --io_size="$(($2 * 4))k" --verify_state_save=0 "${@:4}" --output="$work/fio.log" || fail "fio $1: $(tail -3 "$work/fio.log")"
}
heads() { find "$work/vault/heads" -type f ! -name '*.lock' | wc -l; }
# The peak from now on, without what hashing the password took.
begin_memory() { echo 5 2>/dev/null >"/proc/$(daemon_pid)/clear_refs" || true; }
memory_mib() { awk '/^VmHWM/ { printf "%d", $2 / 1024 }' "/proc/$(daemon_pid)/status"; }
# sync_volume NAME HEADS: HEADS were there before.
sync_volume() {
  local start
  start=$(now)
  "$coffer" sync "$1" >"$work/sync.log" 2>&1 || fail "sync of $1: $(tail -2 "$work/sync.log")"
  echo "$(since "$start") s, $(($(heads) - $2)) commits, $(memory_mib) MiB"
}

"$coffer" init writes "$work/vault" 17GiB --chunk-size=16KiB --password-file "$work/password" >/dev/null
uri=$(open_volume writes --sync-age=1h)
mv "$work/vault" "$work/vault-away"
scattered write "$writes" "$uri" --end_fsync=1 --verify=crc32c --do_verify=0
kill_daemon
mv "$work/vault-away" "$work/vault"
before=$(heads)
uri=$(open_volume writes)
begin_memory
written=$(sync_volume writes "$before")
scattered read "$writes" "$uri" --verify=crc32c
"$coffer" close writes >/dev/null

"$coffer" init trims "$work/vault" 17GiB --chunk-size=16KiB --password-file "$work/password" >/dev/null
before=$(heads)
uri=$(open_volume trims --sync-age=1h)
begin_memory
start=$(now)
scattered trim "$trims" "$uri"
took=$(since "$start")
trimmed=$(sync_volume trims "$before")
"$coffer" close trims >/dev/null
open_volume trims >/dev/null
"$coffer" close trims >/dev/null
echo "$writes scattered writes replayed, then sync: $written; $trims TRIMs in $took s, then sync: $trimmed"

#!/bin/bash
# A mount is there or the command fails, and nobody is cut off without being asked. As root by a loop device, as an
# ordinary user by fuse2fs (tests/fuse/as_user.sh): after an unmount from outside `open --mount` mounts again; writers
# over NBD and a busy drive are named and keep a volume and the daemon there (6); TERM flushes and unmounts within 10 s.
source "$(dirname "$0")/show-common.sh"
way=$([ "$(id -u)" = 0 ] && echo loop || echo fuse2fs)
use_machine home
new_password
place=$work/home/drive
password=(--password-file "$work/password")
tidy_up() {
  local status=$?
  "$coffer" daemon stop --force >/dev/null 2>&1 || true
  findmnt -rno TARGET | grep "^$work" | sort -r | xargs -r -n 1 umount -l || true
  cleanup "$status"
}
trap tidy_up EXIT

expect() { # CODE COMMAND…: its words are in $work/said
  local code=0 wanted=$1
  shift
  "$@" >"$work/said" 2>&1 || code=$?
  [ "$code" = "$wanted" ] || fail "$* ended with $code, not $wanted: $(cat "$work/said")"
}
says() { grep -qF -- "$1" "$work/said" || fail "\"$1\" is not in: $(cat "$work/said")"; }
is_mounted() { findmnt -rno TARGET | grep -qx "$place"; }
unmount_outside() { if [ "$way" = loop ]; then umount "$place"; else fusermount3 -u "$place"; fi; }
status_of_mount() { "$coffer" status photos --json | sed -n 's/.*"trouble":"\([^"]*\)".*/\1/p'; }

expect 0 "$coffer" init photos "$work/home/store" 64M "${password[@]}"

open_drive=("$coffer" open photos "--mount=$place" "--mount-with=$way" "${password[@]}")
expect 0 "${open_drive[@]}" --mkfs
is_mounted || fail "not mounted"

again=0
for round in 1 2 3; do
  echo "text $round" >"$place/file$round"
  unmount_outside
  until status_of_mount | grep -q 'nothing is lost'; do :; done
  expect 0 "${open_drive[@]}" --mkfs
  is_mounted || fail "open --mount ended with 0 and has mounted nothing"
  [ "$(cat "$place/file$round")" = "text $round" ] || fail "file$round is not what it was"
  again=$((again + 1))
done
say "unmounted from outside $again times, mounted again by the same open $again times"

# Named, and left alone.
refused=0
(cd "$place" && exec sleep 1000) &
user=$!
until [ "$(readlink "/proc/$user/cwd")" = "$place" ] && [ "$(cat "/proc/$user/comm")" = sleep ]; do :; done
for command in "close photos" "close --all" "daemon stop" "daemon restart"; do
  # shellcheck disable=SC2086
  expect 6 "$coffer" $command
  says "sleep (pid $user) works in it"
  refused=$((refused + 1))
done
is_mounted || fail "it was unmounted all the same"
start=$(now)
pid=$(daemon_pid)
kill -TERM "$pid"
while [ -e "/proc/$pid" ] && ! grep -q '^State:.*Z' "/proc/$pid/status" 2>/dev/null; do :; done
ended=$(since "$start")
is_mounted && fail "TERM has left it mounted"
kill "$user"
wait "$user" 2>/dev/null || true
expect 0 "${open_drive[@]}"
for round in 1 2 3; do [ "$(cat "$place/file$round")" = "text $round" ] || fail "file$round after TERM"; done
expect 0 "$coffer" close photos

expect 0 "$coffer" open photos "${password[@]}"
uri=$(head -n 1 "$work/said")
mkfifo "$work/go"
qemu-io -f raw "$uri" <"$work/go" >/dev/null 2>&1 &
client=$!
exec 9>"$work/go"
echo "write -P 7 63M 64k" >&9
until "$coffer" status photos --json | grep -q '"clients":1'; do :; done
for command in "close photos" "daemon stop"; do
  # shellcheck disable=SC2086
  expect 6 "$coffer" $command
  says "qemu-io (pid $client) is connected over NBD"
  refused=$((refused + 1))
done
expect 0 "$coffer" close photos --force
exec 9>&-
wait "$client" || true
awk -v s="$ended" 'BEGIN { exit !(s < 10) }' || fail "TERM took $ended s"
echo "by $way: $again of $again unmounts from outside mounted again; $refused of $refused closes and stops refused with the" \
  "users named; TERM with a busy drive: unmounted in $ended s, 0 files lost"

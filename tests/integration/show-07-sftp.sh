#!/bin/bash
# Stores on an SFTP server: a real sshd on loopback, logged into by a key, with nothing of the user's own ~/.ssh. What
# the store can do; the main job; ssh killed in the middle of an upload; sshd stopped for a while; a host whose key is
# unknown or another; two machines that race for one volume, of which exactly one wins each time.
# show_mib=… (files of the main job) and rounds=… (races) make it smaller.
show_targets="coffer cofferd object_store_conformance_test"
source "$(dirname "$0")/show-common.sh"
for tool in nbdcopy ssh ssh-keygen /usr/sbin/sshd /usr/lib/openssh/sftp-server python3 pgrep; do
  type -p "$tool" >/dev/null || { say "skipped: no $tool here (packaging/dependencies test)"; exit 77; }
done
cheap=$build/tests/cli/cheap
[ -x "$cheap/coffer" ] && coffer=$cheap/coffer
mib=${show_mib:-1024}
rounds=${rounds:-20}
new_password
cd "$work" # the repository has a directory of the name of Python's module nbd
# on_nbd URI CODE: with libnbd's handle `h`; Debian's Python has the module.
on_nbd() { /usr/bin/python3 -c "import nbd; h = nbd.NBD(); h.connect_uri('$1'); $2"; }
with_password() { "$coffer" "$1" --password-file "$work/password" "${@:2}"; }

# --- The server -----------------------------------------------------------------------------------------------------

port=$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
mkdir "$work/ssh" "$work/bin"
ssh-keygen -q -t ed25519 -N '' -f "$work/ssh/host_key"
ssh-keygen -q -t ed25519 -N '' -f "$work/ssh/user_key"
cp "$work/ssh/user_key.pub" "$work/ssh/authorized_keys"
chmod 600 "$work/ssh/authorized_keys"
cat >"$work/ssh/sshd_config" <<CONFIG
ListenAddress 127.0.0.1
Port $port
HostKey $work/ssh/host_key
PidFile none
AuthorizedKeysFile $work/ssh/authorized_keys
StrictModes no
UsePAM no
PasswordAuthentication no
Subsystem sftp internal-sftp
LogLevel ERROR
MaxStartups 100
CONFIG
known() { echo "[127.0.0.1]:$port $(cut -d' ' -f1,2 "$1")" >"$work/ssh/known_hosts"; }
known "$work/ssh/host_key.pub"
# The system's ssh, with these files in place of the user's own.
cat >"$work/bin/ssh" <<SSH
#!/bin/sh
exec $(type -p ssh) -F none -oIdentityFile=$work/ssh/user_key -oIdentitiesOnly=yes -oIdentityAgent=none \\
  -oUserKnownHostsFile=$work/ssh/known_hosts -oGlobalKnownHostsFile=/dev/null "\$@"
SSH
chmod 755 "$work/bin/ssh"
export PATH=$work/bin:$PATH
server=sftp://127.0.0.1:$port

sshd_pid=
start_sshd() {
  [ "$(id -u)" -ne 0 ] || mkdir -p /run/sshd
  /usr/sbin/sshd -D -f "$work/ssh/sshd_config" -E "$work/ssh/log" &
  sshd_pid=$!
  until (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null; do
    kill -0 "$sshd_pid" 2>/dev/null || fail "sshd: $(cat "$work/ssh/log")"
  done
}
below() { local child; for child in $(pgrep -P "$1"); do below "$child"; echo "$child"; done; }
# With its sessions, as when the machine goes.
stop_sshd() {
  [ -n "$sshd_pid" ] || return 0
  # shellcheck disable=SC2046
  kill -9 "$sshd_pid" $(below "$sshd_pid") 2>/dev/null || true
  wait "$sshd_pid" 2>/dev/null || true
  sshd_pid=
}
trap 'status=$?; stop_sshd; cleanup "$status"' EXIT
start_sshd
ssh_children() { pgrep -P "$(daemon_pid)" -x ssh || true; }

# --- What it can do -------------------------------------------------------------------------------------------------

use_machine first
mkdir "$work/try"
"$coffer" store test "$server$work/try" >"$work/told" || fail "store test: $(cat "$work/told")"
sed 's/^/# /' "$work/told"
[ -z "$(find "$work/try" -type f)" ] || fail "the test left something: $(find "$work/try")"
COFFER_TEST_SFTP=$server$work/try "$build/tests/conformance/object_store_conformance_test" \
  --gtest_filter="${conformance:-*/SftpOverSsh}" >"$work/conformance" 2>&1 ||
  fail "$(grep -m5 FAILED "$work/conformance")"
say "conformance suite over ssh: $(grep -c '^\[       OK' "$work/conformance") tests passed"

# --- The main job ---------------------------------------------------------------------------------------------------

store=$server$work/store
head -c $((mib << 19)) /dev/urandom >"$work/data" # half of it random, half text: some of it can be compressed
find /usr/share /usr/lib -xdev -type f -size -8M -print0 2>/dev/null |
  xargs -0 cat 2>/dev/null | head -c $((mib << 19)) >>"$work/data" || true
truncate -s $((mib << 20)) "$work/data"
sum=$(sha256sum <"$work/data")
with_password init photos "$store" $((mib * 2))M >/dev/null
start=$(now)
nbdcopy "$work/data" "$(open_volume photos)"
"$coffer" sync photos >/dev/null
"$coffer" close photos >/dev/null
wrote=$(since "$start")
"$coffer" daemon stop >/dev/null
rm -rf "$work/first"

same() { # MACHINE: what another machine reads
  use_machine "$1"
  with_password add "$store" >/dev/null
  nbdcopy "$(open_volume photos --read-only)" "$work/back"
  [ "$(head -c $((mib << 20)) "$work/back" | sha256sum)" = "$sum" ] || fail "$1: the bytes differ"
  rm -f "$work/back"
  "$coffer" close photos >/dev/null
}
start=$(now)
same second
say "main job: $mib MiB written and uploaded in $wrote s, read on blank state in $(since "$start") s"
[ -z "$(find "$work/store/.coffer-tmp" -type f)" ] || fail "unfinished files are left: $(ls "$work/store/.coffer-tmp")"

# --- ssh is killed, sshd goes away ----------------------------------------------------------------------------------

place=$(open_volume photos)
head -c $((mib << 19)) /dev/urandom >"$work/data"
truncate -s $((mib << 20)) "$work/data"
sum=$(sha256sum <"$work/data")
nbdcopy "$work/data" "$place"
"$coffer" sync photos >/dev/null &
sync_pid=$!
kills=0
while kill -0 "$sync_pid" 2>/dev/null && [ "$kills" -lt 5 ]; do
  before=$(find "$work/store/packs" -type f | wc -l)
  for child in $(ssh_children); do kill -9 "$child" 2>/dev/null && kills=$((kills + 1)); done
  # The next ones when it has got on.
  while kill -0 "$sync_pid" 2>/dev/null && [ "$(find "$work/store/packs" -type f | wc -l)" -le "$before" ]; do :; done
done
wait "$sync_pid" || fail "the sync after $kills kills of ssh: exit $?"
[ "$kills" -gt 0 ] || fail "no ssh was there to be killed"
say "ssh killed $kills times during an upload: it was finished"

stop_sshd
on_nbd "$place" 'h.pwrite(b"while sshd was away".ljust(4096, b"."), 0); h.flush()' || fail "writing goes on offline"
code=0
"$coffer" store test "$store" >/dev/null 2>"$work/told" || code=$?
[ "$code" = 8 ] && grep -q 'nothing answers SSH' "$work/told" || fail "sshd is away: $code $(cat "$work/told")"
start_sshd
"$coffer" sync photos >/dev/null || fail "the sync after sshd has come back"
"$coffer" close photos >/dev/null
{ printf %-19s "while sshd was away"; head -c 4077 /dev/zero | tr '\0' .; } >"$work/block"
dd if="$work/block" of="$work/data" bs=4096 conv=notrunc status=none
sum=$(sha256sum <"$work/data")
same third
say "sshd stopped for a while: writing went on, and was uploaded afterwards"

# --- Host keys ------------------------------------------------------------------------------------------------------

refused() { # WORDS
  local code=0
  "$coffer" daemon stop >/dev/null 2>&1 || true
  "$coffer" store test "$store" >/dev/null 2>"$work/told" || code=$?
  [ "$code" = 5 ] && grep -q "$1" "$work/told" || fail "$1: $code $(cat "$work/told")"
}
ssh-keygen -q -t ed25519 -N '' -f "$work/ssh/other_key"
known "$work/ssh/other_key.pub"
refused 'not the one that is known'
: >"$work/ssh/known_hosts"
refused 'not known yet'
known "$work/ssh/host_key.pub"
mv "$work/ssh/authorized_keys" "$work/ssh/nobody"
refused 'does not let this user in'
mv "$work/ssh/nobody" "$work/ssh/authorized_keys"
"$coffer" store test "$store" >/dev/null || fail "not well again"
say "a host with another key, an unknown one, and one that lets nobody in are refused, each with what to do"

# --- Two machines ---------------------------------------------------------------------------------------------------

with_password init race "$store" 64M >/dev/null
declare -A uri
for machine in left right; do
  use_machine "$machine"
  with_password add "$store" >/dev/null
done
on() { local machine=$1; shift; (use_machine "$machine"; "$@"); }
for round in $(seq "$rounds"); do
  for machine in left right; do
    uri[$machine]=$(on "$machine" open_volume race)
    on_nbd "${uri[$machine]}" "h.pwrite(b'$machine $round'.ljust(4096, b'.'), 0); h.flush()"
  done
  on left "$coffer" sync race >/dev/null 2>"$work/left.told" &
  left_pid=$!
  on right "$coffer" sync race >/dev/null 2>"$work/right.told" &
  right_pid=$!
  left=0 right=0
  wait "$left_pid" || left=$?
  wait "$right_pid" || right=$?
  winner=
  [ "$left $right" = "0 10" ] && winner=left loser=right
  [ "$left $right" = "10 0" ] && winner=right loser=left
  [ -n "$winner" ] || fail "round $round: exits $left and $right: $(cat "$work"/*.told)"
  grep -q FENCED "$work/$loser.told" || fail "round $round: $(cat "$work/$loser.told")"
  on "$winner" "$coffer" close race >/dev/null
  on "$loser" "$coffer" close race >"$work/told" 2>&1 || true
  uri[$winner]=$(on "$winner" open_volume race --read-only)
  on_nbd "${uri[$winner]}" "assert h.pread(4096, 0).startswith(b'$winner $round.')" || fail "round $round: not $winner's"
  on "$winner" "$coffer" close race >/dev/null
  forks=$(on "$winner" "$coffer" list --names | grep -c recovered- || true)
  [ "$forks" = "$round" ] || fail "round $round: $forks tails became volumes"
done
say "$rounds races for one volume: one winner each, each loser's tail a volume of its own"
echo "SFTP: $mib MiB uploaded in $wrote s, $kills kills of ssh, $rounds races"

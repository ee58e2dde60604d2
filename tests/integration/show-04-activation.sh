#!/bin/bash
# Socket activation and standard streams: cofferd on sockets handed over as systemd does it, started by whoever comes,
# ended and started again, the sockets staying; sockets that are not what they should be; coffer open --nbd=stdio and
# --nbd=socket-activation under libnbd, nbdinfo, nbdcopy, two pipes, and through TLS. Each line is a row.
show_targets="coffer cofferd nbd_tls_files"
source "$(dirname "$0")/show-common.sh"
python=$("$repo/tests/integration/clients/python-with-libnbd") || exit 77
activation="$python $repo/tests/integration/activation.py"
cofferd=$build/cli/cofferd
use_machine first
new_password
rows=0
good() { # NAME COMMAND…
  "${@:2}" >"$work/out" 2>&1 || fail "$1: $(tail -5 "$work/out")"
  rows=$((rows + 1))
  say "ok: $1$(grep -h '^ended [0-9.]* s' "$work/out" | sed 's/^/: /')"
}
bad() { # NAME PATTERN COMMAND…
  if "${@:3}" >"$work/out" 2>&1; then fail "$1: nobody minded"; fi
  grep -qiE "$2" "$work/out" || fail "$1: $(tail -5 "$work/out")"
  rows=$((rows + 1))
  say "refused: $1: $(grep -iE "$2" "$work/out" | head -1 | sed "s#$work#…#g" | cut -c1-120)"
}
run=$XDG_RUNTIME_DIR/coffer
mkdir -m 700 "$run"
mkfifo "$work/told"
$activation hold 2 "unix:control:$run/control.sock" "unix:nbd:$run/nbd.sock" -- "$cofferd" >"$work/told" 2>"$work/log" &
holder=$!
exec 7<"$work/told"
read -r _ <&7
[ ! -e "$run/cofferd.pid" ] || fail "cofferd runs before anybody came"
good "whoever asks starts cofferd" "$coffer" init photos "$work/store" 256M --password-file "$work/password"
uri=$(open_volume photos)
good "the volume is served on the socket handed over" nbdinfo "$uri"
good "cofferd ends when told" "$coffer" daemon stop
read -r told <&7
[ "$told" = "ended 0" ] || fail "cofferd: $told"
[ -S "$run/control.sock" ] && [ -S "$run/nbd.sock" ] || fail "cofferd removed a socket that was not its own"
rows=$((rows + 1))
say "ok: the sockets are still there"
good "the next one who asks starts it again" "$coffer" status
uri=$(open_volume photos)
good "and it serves" nbdinfo "$uri"
"$coffer" daemon stop
wait "$holder" || fail "the second cofferd"
rm -f "$run/control.sock" "$run/nbd.sock"

hold() { (umask 077 && exec $activation hold 1 "$@" -- "$cofferd"); }
bad "a socket of another name" "expected control and nbd" hold "unix:web:$work/a.sock"
bad "the control socket elsewhere" "expected" hold "unix:control:$work/b.sock"
bad "the NBD socket elsewhere" "expected" hold "unix:nbd:$work/c.sock"
bad "TCP for control" "expected" hold tcp:control:
bad "a datagram socket" "no stream socket" hold "dgram:control:$run/control.sock"
rm -f "$run/control.sock"
bad "a socket that does not listen" "does not listen" hold "idle:control:$run/control.sock"
rm -f "$run"/*.sock
LISTEN_PID=1 LISTEN_FDS=2 LISTEN_FDNAMES=control:nbd good "sockets meant for another process are not taken" \
  "$coffer" status

words=("$coffer" open photos --password-file "$work/password")
good "libnbd starts it on a socket pair, twice" $activation stdio "${words[@]}" --nbd=stdio
good "libnbd starts it by socket activation, twice" $activation sockets "${words[@]}" --nbd=socket-activation
good "two pipes, nothing else in the stream" $activation pipes "${words[@]}" --nbd=stdio
good "TERM with a client connected" $activation stop "${words[@]}" --nbd=stdio
good "nbdinfo starts it" nbdinfo -- [ "${words[@]}" --nbd=socket-activation ]
head -c 20M /dev/urandom >"$work/data"
good "nbdcopy starts it" nbdcopy -- "$work/data" [ "${words[@]}" --nbd=socket-activation ]
for _ in $(seq 100); do
  "$coffer" status --json photos >"$work/status"
  grep -q '"state": *"closed"' "$work/status" && break
  sleep 0.1
done
grep -q '"state": *"closed"' "$work/status" || fail "nbdcopy's volume: $(cat "$work/status")"
grep -q '"waiting_bytes": *0' "$work/status" || fail "nbdcopy's data is not uploaded: $(cat "$work/status")"
rows=$((rows + 1))
say "ok: nbdcopy's volume is closed and uploaded"
uri=$(open_volume photos)
nbdcopy "$uri" "$work/back"
cmp -n $((20 << 20)) "$work/data" "$work/back" || fail "nbdcopy's data"
bad "a volume that is open already" "open already" $activation pipes "${words[@]}" --nbd=stdio
"$coffer" close photos >/dev/null
mkdir -m 700 "$work/tls"
"$build/tests/nbd/nbd_tls_files" "$work/tls"
good "TLS through standard streams" $activation tls "$work/tls/keys.psk" "${words[@]}" --nbd=stdio \
  --tls-psk="$work/tls/keys.psk"
bad "no socket was handed over" "no socket was handed over" "${words[@]}" --nbd=socket-activation
bad "a password from NBD's own stream" "cannot come from standard input" \
  "$coffer" open photos --nbd=stdio --password-fd 0 </dev/null
ls "$run" | grep -q 'client-' && fail "sockets are left: $(ls "$run")"
echo "$rows rows of socket activation and standard streams as they should be"

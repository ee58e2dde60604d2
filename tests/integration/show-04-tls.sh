#!/bin/bash
# NBD through TLS, with X.509 certificates and with pre-shared keys: foreign clients that come in (nbdinfo, nbdcopy,
# libnbd in Python, qemu-img; Unix sockets and TCP) and those that must not (wrong authority, no certificate, a server's
# certificate, a revoked one, wrong key, unknown user, clear text, garbage, a handshake that stops, clear text behind
# STARTTLS); and what coffer open refuses. show_mib=…, default 256. Each line is a row; a row that fails ends it.
show_targets="coffer cofferd nbd_tls_files"
source "$(dirname "$0")/show-common.sh"
mib=${show_mib:-256}
for tool in nbdinfo nbdcopy qemu-img; do
  command -v $tool >/dev/null || { echo "skipped: $tool is not installed"; exit 77; }
done
python=$("$repo/tests/integration/clients/python-with-libnbd") || exit 77
clients="$python $repo/tests/integration/tls_clients.py"
use_machine first
new_password
tls=$work/tls
mkdir -m 700 "$tls"
"$build/tests/nbd/nbd_tls_files" "$tls"
mkdir -m 700 "$tls/qemu-psk" "$tls/qemu-wrong"
cp -p "$tls/keys.psk" "$tls/qemu-psk/keys.psk"
cp -p "$tls/wrong.psk" "$tls/qemu-wrong/keys.psk"
"$coffer" init photos "$work/store" 1G --password-file "$work/password" >/dev/null
head -c "${mib}M" /dev/urandom >"$work/data"

rows=0
good() { # NAME COMMAND…: must succeed
  "${@:2}" >"$work/out" 2>&1 || fail "$1: $(tail -5 "$work/out")"
  rows=$((rows + 1))
  say "came in: $1$(grep -h '^cut off' "$work/out" | sed 's/^/: /')"
}
bad() { # NAME PATTERN COMMAND…: must fail, and say so in these words
  if "${@:3}" >"$work/out" 2>&1; then fail "$1 came in"; fi
  grep -qiE "$2" "$work/out" || fail "$1: $(tail -5 "$work/out")"
  rows=$((rows + 1))
  say "refused: $1: $(grep -iE "$2" "$work/out" | head -1 | sed "s#$work#…#g" | cut -c1-110)"
}
as() { printf '%s%stls-certificates=%s' "$1" "$(case $1 in *\?*) echo '&' ;; *) echo '?' ;; esac)" "$tls/$2"; }
with_key() { printf '%s' "${1/:\/\//:\/\/$2@}"; } # URI USER
qemu_place() { # URI: what qemu-img's image options say of the place
  case $1 in
    *+unix*) echo "server.type=unix,server.path=$(sed 's/.*socket=\([^&]*\).*/\1/' <<<"$1")" ;;
    *) sed -E 's#nbds://([^@]*@)?([^/]*):([0-9]+)/.*#server.type=inet,server.host=\2,server.port=\3#' <<<"$1" ;;
  esac
}
qemu() { # CREDENTIALS URI
  qemu-img compare --object "$1" --image-opts "driver=raw,file.driver=nbd,file.export=photos,file.tls-creds=t${3:-},$(
    qemu_place "$2" | sed 's/server/file.server/g')" "driver=raw,file.driver=file,file.filename=$work/padded"
}
x509_creds() { echo "tls-creds-x509,id=t,endpoint=client,dir=$tls/$1"; }
psk_creds() { echo "tls-creds-psk,id=t,endpoint=client,username=$2,dir=$tls/$1"; }
cp "$work/data" "$work/padded"
truncate -s 1G "$work/padded" "$work/zeros"
copy_in_and_out() {
  nbdcopy --flush "$work/data" "$1"
  nbdcopy "$1" "$work/back"
  cmp -n "$((mib << 20))" "$work/data" "$work/back"
}
host=$(hostname -I 2>/dev/null | tr ' ' '\n' | grep -v : | head -1 || true)

for kind in x509 psk; do
  for place in "unix:$work/$kind.sock" tcp:127.0.0.1:0 ${host:+tcp:0.0.0.0:0}; do
    if [ $kind = x509 ]; then
      uri=$(open_volume photos --nbd="$place" --tls-x509="$tls/server")
      case $uri in nbds:* | nbds+unix:*) ;; *) fail "the URI is $uri" ;; esac
      # The test's certificate names localhost and 127.0.0.1.
      # libnbd does not ask who the server is on a Unix socket.
      case $place in tcp:*) bad "a client of another authority" "certificate|tls" nbdinfo "$(as "$uri" doubter)" ;; esac
      case $place in tcp:0*)
        bad "a host that the certificate does not name" "certificate|hostname|tls" \
          nbdinfo "$(as "nbds://$host:${uri##*:}" client)"
        uri="nbds://127.0.0.1:${uri##*:}" ;;
      esac
      place_uri=$uri
      uri=$(as "$uri" client)
    else
      uri=$(open_volume photos --nbd="$place" --tls-psk="$tls/keys.psk")
      case $uri in nbds:* | nbds+unix:*) ;; *) fail "the URI is $uri" ;; esac
      case $place in tcp:0*) uri="nbds://$host:${uri##*:}?tls-psk-file=$tls/keys.psk" ;; esac
      uri=$(with_key "$uri" alice)
    fi
    label="$kind, ${place%%:*}$(case $place in tcp:0*) echo " beyond loopback" ;; esac)"
    good "nbdinfo, $label" nbdinfo "$uri"
    good "nbdcopy in and out, $mib MiB, $label" copy_in_and_out "$uri"
    if [ $kind = x509 ]; then
      good "qemu-img, $label" qemu "$(x509_creds client)" "$uri" ",file.tls-hostname=localhost"
    else
      good "qemu-img, $label" qemu "$(psk_creds qemu-psk alice)" "$uri"
    fi
    good "libnbd in Python, $label" $clients commands "$uri"
    good "four clients at once, $label" $clients together "$uri" "$uri" "$uri" "$uri" -- $((mib / 8))
    nbdcopy --flush "$work/zeros" "$uri"
    plain=$(sed -E 's#^nbds#nbd#; s#//[^@/]*@#//#; s#[?&]tls-[a-z-]*=[^&]*##' <<<"$uri")
    bad "clear text, $label" "opt_go: server replied with error" nbdinfo "$plain"
    case $place in unix:*)
      bad "qemu-img in clear text, $label" "tls" qemu-img info -f raw "$plain"
      good "a handshake that stops, $label" $clients slow "${place#unix:}" "$uri"
      good "garbage and clients that vanish, $label" $clients garbage "${place#unix:}" "$uri"
      good "clear text behind STARTTLS, $label" $clients injected "${place#unix:}" "$uri"
      if [ $kind = x509 ]; then
        for who in other nocert posing; do
          bad "$who, $label" "tls|certificate" nbdinfo "$(as "$place_uri" $who)"
        done
        bad "qemu-img with a stranger's certificate" "certificate|tls" \
          qemu "$(x509_creds other)" "$uri" ",file.tls-hostname=localhost"
      else
        bad "wrong key, $label" "tls|psk|key" nbdinfo "$(sed "s#keys.psk#wrong.psk#" <<<"$uri")"
        sed 's/^alice/mallory/' "$tls/keys.psk" >"$tls/mallory.psk"
        bad "unknown user, $label" "tls|psk|key" \
          nbdinfo "$(sed 's#keys.psk#mallory.psk#; s#alice@#mallory@#' <<<"$uri")"
        bad "qemu-img with the wrong key" "tls|psk" qemu "$(psk_creds qemu-wrong alice)" "$uri"
      fi ;;
    esac
    "$coffer" close photos >/dev/null
  done
done
uri=$(open_volume photos --nbd="unix:$work/crl.sock" --tls-x509="$tls/crl")
good "nbdinfo, with a revocation list" nbdinfo "$(as "$uri" client)"
bad "a revoked certificate" "tls|certificate" nbdinfo "$(as "$uri" revoked)"
"$coffer" close photos >/dev/null

reread() { # PATTERN: HUP, until the log says so
  local log=$XDG_STATE_HOME/coffer/log/cofferd.log before
  before=$(grep -c "$1" "$log" || true)
  kill -HUP "$(daemon_pid)"
  timeout 60 sh -c 'until [ "$(grep -c "$1" "$2")" -gt "$3" ]; do sleep 0.1; done' - "$1" "$log" "$before" ||
    fail "HUP: the log never said: $1"
}
cp -rp "$tls/server" "$tls/turned"
uri=$(open_volume photos --nbd="unix:$work/turned.sock" --tls-x509="$tls/turned")
good "before its revocation" nbdinfo "$(as "$uri" revoked)"
cp -p "$tls/crl/ca-crl.pem" "$tls/turned/"
reread "read the TLS files of photos again"
good "after HUP" nbdinfo "$(as "$uri" client)"
bad "a certificate revoked since, after HUP" "tls|certificate" nbdinfo "$(as "$uri" revoked)"
: >"$tls/turned/server-key.pem"
reread "photos keeps its TLS keys"
good "with a broken new key, by the old one" nbdinfo "$(as "$uri" client)"
bad "status beside a broken new key" "CREDENTIALS: .*server-key.pem" "$coffer" status photos
cp -p "$tls/server/server-key.pem" "$tls/turned/"
reread "read the TLS files of photos again"
good "status with the key mended" "$coffer" status photos
"$coffer" close photos >/dev/null

try() { "$coffer" open photos --password-file "$work/password" "$@"; }
bad "tcp beyond loopback without TLS" "without TLS" try --nbd=tcp:0.0.0.0:0
bad "a directory that is not there" "ca-cert.pem" try --nbd=tcp:127.0.0.1:0 --tls-x509="$tls/nowhere"
bad "a key that is not the certificate's" "not the key of" try --nbd=tcp:127.0.0.1:0 --tls-x509="$tls/mismatch"
bad "an expired certificate" "has expired" try --nbd=tcp:127.0.0.1:0 --tls-x509="$tls/expired"
bad "a certificate of tomorrow" "not valid before" try --nbd=tcp:127.0.0.1:0 --tls-x509="$tls/future"
chmod 644 "$tls/server/server-key.pem" "$tls/keys.psk"
bad "a key that others may read" "others may read" try --nbd=tcp:127.0.0.1:0 --tls-x509="$tls/server"
bad "shared keys that others may read" "others may read" try --nbd=tcp:127.0.0.1:0 --tls-psk="$tls/keys.psk"
chmod 600 "$tls/server/server-key.pem" "$tls/keys.psk"
ln -s keys.psk "$tls/link.psk"
bad "shared keys behind a symbolic link" "symbolic link" try --nbd=tcp:127.0.0.1:0 --tls-psk="$tls/link.psk"
bad "TLS on the shared socket" "shared socket has no TLS" try --tls-psk="$tls/keys.psk"
bad "both kinds at once" "both" try --nbd=tcp:127.0.0.1:0 --tls-psk="$tls/keys.psk" --tls-x509="$tls/server"
if grep -rhoE '[0-9a-f]{64}' "$XDG_STATE_HOME/coffer/log" | grep -qFf <(cut -d: -f2 "$tls/keys.psk"); then
  fail "a key is in the log"
fi
echo "$rows rows of TLS as they should be: X.509 and PSK, Unix and TCP; no key in the log"

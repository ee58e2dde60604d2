#!/bin/bash
# WebDAV on real servers: Apache (plain, by Basic, by Digest over TLS): the conformance suite with 200 races of two machines,
# and the main job: a volume of real files written, synced, closed, everything local removed, read back elsewhere
# with equal bytes; nginx, which ignores create-if-absent, must be found weak and has one writer; what it holds is then
# read over https:// by a machine without a password. Packages: packaging/dependencies stores.
# show_mib=… makes it smaller; show_suites=0 leaves the conformance suites out.
show_targets="coffer cofferd webdav_server_conformance_test"
source "$(dirname "$0")/show-common.sh"
mib=${show_mib:-1024}
for program in apache2 nginx nbdcopy; do
  [ -n "$(command -v "$program")" ] || { say "skipped: no $program (packaging/dependencies stores)"; exit 77; }
done
server=$repo/tests/support/webdav_server.sh
trap 'status=$?; "$server" stop "$work/apache"; "$server" stop "$work/nginx"; cleanup "$status"' EXIT
free_port() { /usr/bin/python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'; }
apache=$(free_port) apache_tls=$(free_port)
"$server" apache "$work/apache" "$apache" "$apache_tls"
nginx=$(free_port) nginx_tls=$(free_port)
"$server" nginx "$work/nginx" "$nginx" "$nginx_tls"
basic="webdav://ann@127.0.0.1:$apache/basic" digest="webdavs://ann@127.0.0.1:$apache_tls/digest"
of_apache="credentials_file=$work/apache/password&ca_file=$work/apache/cert.pem"
of_nginx="credentials_file=$work/nginx/password"

# suite NAME URL [FILTER]
suite() {
  local part tests
  part=$(now)
  COFFER_TEST_STORE=$2 "$build/tests/conformance/webdav_server_conformance_test" --gtest_filter="${3:-*}" \
    >"$work/suite.log" 2>&1 || { grep -B8 FAILED "$work/suite.log" >&2; fail "the conformance suite on $1"; }
  tests=$(sed -n 's/.*\[  PASSED  \] \([0-9]*\) tests.*/\1/p' "$work/suite.log")
  say "$1: conformance, $tests tests in $(since "$part") s; $(sed -n '/^races/p' "$work/suite.log")"
}
if [ "${show_suites:-1}" -ne 0 ]; then
  suite "Apache, Basic" "$basic?$of_apache"
  suite "Apache, Digest over TLS" "$digest?$of_apache"
  COFFER_TEST_WEAK=1 suite "nginx" "webdav://ann@127.0.0.1:$nginx/dav?$of_nginx" \
    '*-*TakenName*:*LetsExactlyOne*:*LetsOneOfTwo*'
fi

use_machine first
new_password
# expect EXIT TEXT COMMAND…: the command fails with that exit status, and its text holds TEXT.
expect() {
  local status=0 text
  text=$("${@:3}" 2>&1) || status=$?
  [ "$status" -eq "$1" ] || fail "exit $status instead of $1: ${*:3}: $text"
  case "$text" in *"$2"*) ;; *) fail "'$2' is missing: ${*:3}: $text" ;; esac
}
init() { "$coffer" init photos "$1" "${2:-1G}" --password-file "$work/password" "${@:3}"; }
(umask 077 && echo wrong >"$work/wrong")
(umask 022 && echo sesame >"$work/open")
expect 5 "does not take the user or password" init "$basic/v?credentials_file=$work/wrong"
expect 5 "may be read or changed by others" init "$basic/v?credentials_file=$work/open"
expect 3 "make the others first" init "$basic/no/v?$of_apache"
expect 2 "not encrypted" init "webdav://192.0.2.1/v"
expect 2 "no place in a URL" init "webdavs://ann:hunter2@192.0.2.1/v"
expect 5 "certificate" init "$digest/v?credentials_file=$work/apache/password"
expect 8 "127.0.0.1" init "webdav://127.0.0.1:9/v"

{ tar -C /usr --one-file-system -cf - bin lib share 2>/dev/null || true; } | head -c $((mib * 1048576)) >"$work/disk.img"
[ "$(stat -c %s "$work/disk.img")" -eq $((mib * 1048576)) ] || fail "/usr has too few bytes of files"
sum=$(sha256sum <"$work/disk.img")

# main_job STORE OTHER_STORE NAME INIT_OPTIONS…: written by the first, read by the second's URL.
main_job() {
  local place part written name=$3
  use_machine "$name-first"
  init "$1" "${mib}M" "${@:4}" >/dev/null
  place=$(open_volume photos "${@:4}")
  part=$(now)
  nbdcopy "$work/disk.img" "$place"
  "$coffer" sync photos >/dev/null
  "$coffer" close photos >/dev/null
  written=$(since "$part")
  "$coffer" daemon stop >/dev/null
  ! grep -rq sesame "$work/$name-first" || fail "the password has been written down"
  rm -rf "${work:?}/$name-first"
  use_machine "$name-second"
  part=$(now)
  "$coffer" add "$2" --password-file "$work/password" >/dev/null
  place=$(open_volume photos --read-only)
  nbdcopy "$place" "$work/back.img"
  [ "$(sha256sum <"$work/back.img")" = "$sum" ] || fail "the bytes differ"
  "$coffer" close photos >/dev/null
  "$coffer" daemon stop >/dev/null
  say "$name: $mib MiB written in $written s, read back equal in $(since "$part") s"
}
main_job "$basic/vault?$of_apache" "$basic/vault?$of_apache" apache-basic
main_job "$digest/other?$of_apache" "$digest/other?$of_apache" apache-digest-tls

use_machine weak
expect 10 "--single-writer" init "webdav://ann@127.0.0.1:$nginx/dav/vault?$of_nginx"
main_job "webdav://ann@127.0.0.1:$nginx/dav/vault?$of_nginx" \
  "https://127.0.0.1:$nginx_tls/public/vault?ca_file=$work/nginx/cert.pem" nginx-then-https --single-writer
use_machine plain
expect 11 "cannot list" "$coffer" add "https://127.0.0.1:$nginx_tls/plain/vault?ca_file=$work/nginx/cert.pem" \
  --password-file "$work/password"
echo "WebDAV: main job of $mib MiB on Apache (Basic; Digest over TLS) and on nginx (weak), read back equal; nginx's over https:// too"

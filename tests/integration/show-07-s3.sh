#!/bin/bash
# S3 on a real server, radosgw: the conformance suite, then the main job: a volume of real files
# written, synced, closed, everything local removed, read back elsewhere with equal bytes; then what a person sees
# when something is wrong: no bucket, wrong key, wrong server. Packages: packaging/dependencies stores.
# show_mib=… makes it smaller; port=… is radosgw's.
show_targets="coffer cofferd server_conformance_test"
source "$(dirname "$0")/show-common.sh"
mib=${show_mib:-1024}
for program in radosgw ceph-mon ceph-osd radosgw-admin; do
  [ -n "$(command -v "$program")" ] || { say "skipped: no $program (packaging/dependencies stores)"; exit 77; }
done
rgw=$repo/tests/support/radosgw.sh
unset AWS_CA_BUNDLE AWS_PROFILE AWS_REGION AWS_DEFAULT_REGION AWS_ENDPOINT_URL AWS_ENDPOINT_URL_S3 AWS_ACCESS_KEY_ID
trap 'status=$?; "$rgw" stop "$work/rgw"; cleanup "$status"' EXIT
port=${port:-$(/usr/bin/python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')}

start=$(now)
"$rgw" start "$work/rgw" "$port"
"$rgw" bucket "$work/rgw" photos
say "radosgw is up after $(since "$start") s"
export AWS_SHARED_CREDENTIALS_FILE=$work/rgw/keys AWS_CONFIG_FILE=$work/no-config
options="endpoint=http://127.0.0.1:$port&region=default"

part=$(now)
COFFER_TEST_STORE="s3://photos/conformance?$options" "$build/tests/conformance/server_conformance_test" \
  >"$work/conformance.log" 2>&1 || { grep -B8 FAILED "$work/conformance.log" >&2; fail "the conformance suite"; }
tests=$(sed -n 's/.*\[  PASSED  \] \([0-9]*\) tests.*/\1/p' "$work/conformance.log")
say "conformance: $tests tests in $(since "$part") s"

use_machine first
new_password
store="s3://photos/vault?$options"
# expect EXIT TEXT COMMAND…: the command fails with that exit status, and its text holds TEXT.
expect() {
  local status=0 text
  text=$("${@:3}" 2>&1) || status=$?
  [ "$status" -eq "$1" ] || fail "exit $status instead of $1: ${*:3}: $text"
  case "$text" in *"$2"*) ;; *) fail "'$2' is missing: ${*:3}: $text" ;; esac
}
expect 3 "there is no bucket nobucket" "$coffer" init photos "s3://nobucket/vault?$options" 1G --password-file "$work/password"
expect 2 "http://" "$coffer" init photos "s3://photos?endpoint=http://192.0.2.1" 1G --password-file "$work/password"
expect 2 "there is no option 'regoin'" "$coffer" init photos "$store&regoin=x" 1G --password-file "$work/password"
(umask 077 && printf '[default]\naws_access_key_id=x\naws_secret_access_key=hunter2\n' >"$work/wrong")
expect 5 "InvalidAccessKeyId" "$coffer" init photos "$store&credentials_file=$work/wrong" 1G --password-file "$work/password"
expect 8 "127.0.0.1" "$coffer" init photos "s3://photos/vault?endpoint=http://127.0.0.1:9" 1G --password-file "$work/password"

{ tar -C /usr --one-file-system -cf - bin lib share 2>/dev/null || true; } | head -c $((mib * 1048576)) >"$work/disk.img"
[ "$(stat -c %s "$work/disk.img")" -eq $((mib * 1048576)) ] || fail "/usr has too few bytes of files"
sum=$(sha256sum <"$work/disk.img")
"$coffer" init photos "$store" "${mib}M" --password-file "$work/password" >/dev/null
place=$(open_volume photos)
part=$(now)
nbdcopy "$work/disk.img" "$place"
"$coffer" sync photos >/dev/null
"$coffer" close photos >/dev/null
written=$(since "$part")
say "written, synced, closed: $written s"
"$coffer" daemon stop >/dev/null
! grep -rq hunter2 "$work/first" || fail "a key has been written down"
secret=$(sed -n 's/^aws_secret_access_key = //p' "$work/rgw/keys")
! grep -rqF "$secret" "$work/first" || fail "the secret key has been written down"
rm -rf "$work/first"

use_machine second
part=$(now)
"$coffer" add "$store" --password-file "$work/password" >/dev/null
place=$(open_volume photos)
nbdcopy "$place" "$work/back.img"
[ "$(sha256sum <"$work/back.img")" = "$sum" ] || fail "the bytes differ"
"$coffer" close photos >/dev/null
say "added, opened, read back on another machine: $(since "$part") s"
echo "S3 on radosgw: conformance $tests tests, main job of $mib MiB: written in $written s, read back equal"

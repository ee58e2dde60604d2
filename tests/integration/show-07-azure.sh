#!/bin/bash
# Azure Blob on azurite, Microsoft's emulator: the conformance suite by the account's key and by a SAS token with
# the least rights, then the main job: a volume of real files written, synced, closed, everything local removed, read back
# elsewhere with equal bytes, by a SAS there; then what a person sees when something is wrong: no container, a wrong
# key, a SAS that lacks a right or has ended, no server. azurite comes from npm, which is asked for it once
# (azurite=PROGRAM names one that is there). show_mib=… makes it smaller; port=… is azurite's.
show_targets="coffer cofferd server_conformance_test"
source "$(dirname "$0")/show-common.sh"
mib=${show_mib:-1024}
if [ -z "${azurite:-}" ]; then
  [ -n "$(command -v npm)" ] || { say "skipped: neither azurite=PROGRAM nor npm"; exit 77; }
fi
/usr/bin/python3 -c 'import azure.storage.blob' 2>/dev/null || { say "skipped: no python3-azure-storage"; exit 77; }
emulator=$repo/tests/support/azurite.sh
server=$work/azurite
unset AZURE_STORAGE_KEY AZURE_STORAGE_SAS_TOKEN AZURE_STORAGE_ACCOUNT
trap 'status=$?; "$emulator" stop "$server"; cleanup "$status"' EXIT
port=${port:-$(/usr/bin/python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')}

start=$(now)
"$emulator" start "$server" "$port"
"$emulator" container "$server" backups
# sas FILE RIGHTS [SECONDS]
sas() { (umask 077 && "$emulator" sas "$server" backups "${@:2}" >"$work/$1"); }
sas least rcdl
say "azurite is up after $(since "$start") s"
options="endpoint=http://127.0.0.1:$port"
by_key="credentials_file=$server/key"
by_sas="credentials_file=$work/least"

for way in "$by_key" "$by_sas"; do
  part=$(now)
  COFFER_TEST_STORE="az://photos/backups/conformance?$options&$way" "$build/tests/conformance/server_conformance_test" \
    >"$work/conformance.log" 2>&1 || { grep -B8 FAILED "$work/conformance.log" >&2; fail "the conformance suite"; }
  tests=$(sed -n 's/.*\[  PASSED  \] \([0-9]*\) tests.*/\1/p' "$work/conformance.log")
  say "conformance by ${way##*/}: $tests tests in $(since "$part") s"
done

use_machine first
new_password
store="az://photos/backups/vault?$options"
# expect EXIT TEXT COMMAND…: the command fails with that exit status, and its text holds TEXT.
expect() {
  local status=0 text
  text=$("${@:3}" 2>&1) || status=$?
  [ "$status" -eq "$1" ] || fail "exit $status instead of $1: ${*:3}: $text"
  case "$text" in *"$2"*) ;; *) fail "'$2' is missing: ${*:3}: $text" ;; esac
}
# refused EXIT TEXT URL
refused() { expect "$1" "$2" "$coffer" init photos "$3" 1G --password-file "$work/password"; }
refused 3 "no container nothing" "az://photos/nothing/vault?$options&$by_key"
refused 2 "write az://ACCOUNT/CONTAINER/PREFIX" "az://photos?$options&$by_key"
refused 2 "http://" "az://photos/backups?endpoint=http://192.0.2.1"
refused 5 "no key of account photos was found" "$store"
refused 8 "127.0.0.1" "az://photos/backups/vault?endpoint=http://127.0.0.1:9&$by_key"
(umask 077 && printf 'aHVudGVyMg==\n' >"$work/wrong")
refused 5 "the key is none of account photos" "$store&credentials_file=$work/wrong"
sas no-list rcd
refused 5 "no permission to list the container (l)" "$store&credentials_file=$work/no-list"
sas read-only rl
refused 5 "no permission to create blobs (c)" "$store&credentials_file=$work/read-only"
sas ended rcdl -60
refused 5 "it says that it ends" "$store&credentials_file=$work/ended"
expect 0 "" "$coffer" store test "$store&$by_sas"

{ tar -C /usr --one-file-system -cf - bin lib share 2>/dev/null || true; } | head -c $((mib * 1048576)) >"$work/disk.img"
[ "$(stat -c %s "$work/disk.img")" -eq $((mib * 1048576)) ] || fail "/usr has too few bytes of files"
sum=$(sha256sum <"$work/disk.img")
"$coffer" init photos "$store&$by_key" "${mib}M" --password-file "$work/password" >/dev/null
place=$(open_volume photos)
part=$(now)
nbdcopy "$work/disk.img" "$place"
"$coffer" sync photos >/dev/null
"$coffer" close photos >/dev/null
written=$(since "$part")
say "written, synced, closed: $written s"
"$coffer" daemon stop >/dev/null
for secret in "$(cat "$server/key")" aHVudGVyMg== "$(sed 's/.*sig=//' "$work/least")" "$(sed 's/.*sig=//' "$work/ended")"; do
  ! grep -rqF "$secret" "$work/first" || fail "a secret has been written down"
done
rm -rf "$work/first"

use_machine second
part=$(now)
"$coffer" add "$store&$by_sas" --password-file "$work/password" >/dev/null
place=$(open_volume photos)
nbdcopy "$place" "$work/back.img"
[ "$(sha256sum <"$work/back.img")" = "$sum" ] || fail "the bytes differ"
"$coffer" close photos >/dev/null
say "added, opened, read back on another machine by a SAS: $(since "$part") s"
echo "Azure on azurite: conformance $tests tests by key and by SAS, main job of $mib MiB: written in $written s, read back equal"

#!/bin/bash
# Stores as people have them: file systems that refuse hard links, rename flags or the syncing of a directory in each
# of the ways in which they say so; a store that two users share; a umask that keeps its owner out; files of other
# programs everywhere; a directory of 100,000 names. names=… makes the last smaller.
show_targets="coffer cofferd powercut_fs"
source "$(dirname "$0")/show-common.sh"
for tool in nbdcopy python3 setpriv; do
  type -p "$tool" >/dev/null || { say "skipped: no $tool here (packaging/dependencies test)"; exit 77; }
done
cheap=$build/tests/cli/cheap
[ -x "$cheap/coffer" ] && coffer=$cheap/coffer
powercut_fs=$build/tests/support/powercut_fs
names=${names:-100000}
mib=4
new_password
head -c $((mib << 20)) /dev/urandom >"$work/data"
chmod 644 "$work/data"

run() { "$coffer" "$@"; }
with_password() { "$coffer" "$1" --password-file "$password" "${@:2}"; }
password=$work/password
# A volume's life: written, uploaded, closed, read back from what was uploaded.
write_and_close() { nbdcopy "$work/data" "$1" && run close "$2" >/dev/null; }
read_back() {
  nbdcopy "$1" "$work/back" && cmp -n $((mib << 20)) "$work/data" "$work/back" || fail "$2: other bytes came back"
  rm -f "$work/back"
}

# --- What file systems refuse ---------------------------------------------------------------------------------------

# on_file_system NAME LINK RENAME SYNC: errno of each call, 0 = works. Prints what came of it.
on_file_system() {
  local mount=$work/fs-$1 want=strong told code weak=()
  [ "$2" != 0 ] && [ "$3" != 0 ] && want=weak
  mkdir "$mount"
  coproc fs { exec "$powercut_fs" "$mount" 1; }
  local fs_pid=$fs_PID
  read -r -u "${fs[0]}" told && [ "$told" = mounted ] || fail "powercut_fs: $told"
  local call
  for call in "link $2" "rename-no-replace $3" "sync-directory $4"; do
    [ "${call#* }" = 0 ] && continue
    echo "fail ${call% *} / sticky ${call#* }" >&"${fs[1]}"
    read -r -u "${fs[0]}" told && [ "$told" = ok ] || fail "powercut_fs: $told"
  done
  use_machine "machine-$1"
  code=0
  with_password init photos "$mount/store" 64M >"$work/told" 2>&1 || code=$?
  if [ $want = weak ]; then
    [ $code = 10 ] && grep -q 'WEAK-STORE' "$work/told" || fail "$1: init of a weak store: $code $(cat "$work/told")"
    grep -q 'coffer init --single-writer' "$work/told" || fail "$1: no way on: $(cat "$work/told")"
    with_password init photos "$mount/store" 64M --single-writer >/dev/null || fail "$1: --single-writer does not help"
  else
    [ $code = 0 ] || fail "$1: init: $code $(cat "$work/told")"
  fi
  write_and_close "$(with_password open --json photos | uri_of)" photos || fail "$1: write and close"
  use_machine "other-$1"
  [ $want = weak ] && weak=(--single-writer)
  with_password add "$mount/store" "${weak[@]}" >/dev/null || fail "$1: add"
  read_back "$(with_password open --json photos --read-only | uri_of)" "$1"
  run close photos >/dev/null
  run daemon stop >/dev/null
  use_machine "machine-$1"
  local said
  said=$(cat "$XDG_STATE_HOME"/coffer/log/* | grep -c 'cannot sync directory' || true)
  [ "$said" = $(($4 != 0)) ] || fail "$1: said $said times that a directory can't be synced"
  run daemon stop >/dev/null
  exec {fs[1]}>&-
  wait "$fs_pid" 2>/dev/null || true
  say "$1: link errno $2, rename flags errno $3, directory sync errno $4: $want, 4 MiB came back, told $said times"
}
EPERM=1 EIO=5 EINVAL=22 ENOTTY=25 ENOSYS=38 EOPNOTSUPP=95
kinds=0
while read -r name link rename sync; do
  [ -n "$name" ] || continue
  on_file_system "$name" "$link" "$rename" "$sync"
  kinds=$((kinds + 1))
done <<KINDS
all-there 0 0 0
rclone-mount $EIO $EINVAL 0
links-forbidden $EPERM 0 0
links-unknown $EOPNOTSUPP $EOPNOTSUPP 0
no-directory-sync 0 0 $EINVAL
share $EIO $EINVAL $EOPNOTSUPP
KINDS

# --- Shared by two users --------------------------------------------------------------------------------------------

shared="not shown: needs root"
if [ "$(id -u)" = 0 ]; then
  chmod 711 "$work"
  as_user() { # NAME UID COMMAND…: on a machine and as a user of his own
    local name=$1 uid=$2
    shift 2
    use_machine "$name"
    [ -e "$work/$name/password" ] || cp "$work/password" "$work/$name/password"
    chown -R "$uid:$uid" "$work/$name"
    password=$work/$name/password
    setpriv --reuid "$uid" --regid "$uid" --groups 4242 "$@"
  }
  mkdir "$work/disk"
  chown 12001:4242 "$work/disk"
  chmod 2770 "$work/disk"
  ann="as_user ann 12001" bob="as_user bob 12002"
  umask 022
  $ann "$coffer" init --password-file "$work/ann/password" photos "$work/disk/store" 64M >/dev/null || fail "ann: init"
  $ann "$coffer" close --all >/dev/null
  chmod -R a+rwX "$work/disk/store"
  uri=$($ann "$coffer" open --json --password-file "$work/ann/password" photos | uri_of)
  nbdcopy "$work/data" "$uri"
  $ann "$coffer" close photos >/dev/null || fail "ann: close"
  $bob "$coffer" add --password-file "$work/bob/password" "$work/disk/store" >/dev/null || fail "bob: add"
  uri=$($bob "$coffer" open --json --password-file "$work/bob/password" photos | uri_of)
  read_back "$uri" bob
  head -c $((mib << 20)) /dev/urandom >"$work/data"
  nbdcopy "$work/data" "$uri"
  $bob "$coffer" close photos >/dev/null || fail "bob: close"
  uri=$($ann "$coffer" open --json --password-file "$work/ann/password" photos | uri_of)
  read_back "$uri" "ann, after bob"
  $ann "$coffer" close photos >/dev/null
  private=$(find "$work/ann/state" "$work/ann/cache" "$work/bob/state" -perm /077 ! -type s ! -type l | wc -l)
  [ "$private" = 0 ] || fail "$private files of state or cache are open to others"
  $ann "$coffer" daemon stop >/dev/null
  $bob "$coffer" daemon stop >/dev/null
  shared="two users wrote in turn"
  password=$work/password
fi

# --- A umask that keeps its owner out -------------------------------------------------------------------------------

use_machine umask
(umask 0177 && with_password init photos "$work/umask-store" 64M >/dev/null) || fail "init under umask 0177"
write_and_close "$(with_password open --json photos | uri_of)" photos || fail "umask 0177: write and close"
run daemon stop >/dev/null

# --- A directory of many names --------------------------------------------------------------------------------------

use_machine many
with_password init photos "$work/many-store" 64M >/dev/null
uri=$(with_password open --json photos | uri_of)
sync_ms() { # median of five syncs of one block
  python3 - "$coffer" "$uri" <<'PYTHON'
import os, statistics, subprocess, sys, tempfile, time
coffer, uri = sys.argv[1:]
took = []
for i in range(5):
    with tempfile.NamedTemporaryFile() as block:
        block.write(os.urandom(4096))
        block.flush()
        subprocess.run(["nbdcopy", block.name, uri], check=True)
    start = time.monotonic()
    subprocess.run([coffer, "sync", "photos"], check=True, stdout=subprocess.DEVNULL)
    took.append((time.monotonic() - start) * 1000)
print(f"{statistics.median(took):.0f}")
PYTHON
}
few=$(sync_ms)
# As long as the names of heads, behind all of them: what 100,000 older heads cost a listing.
python3 -c '
import os, sys
for i in range(int(sys.argv[2])):
    os.close(os.open(f"{sys.argv[1]}/g{i:015x}", os.O_CREAT | os.O_WRONLY, 0o600))' \
  "$(echo "$work"/many-store/heads/*)" "$names"
many=$(sync_ms)
run close photos >/dev/null
echo "$kinds kinds of file systems, each as strong as it is; shared store: $shared; umask 0177: works;" \
  "sync beside $names names: $many ms, beside none: $few ms"

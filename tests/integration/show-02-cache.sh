#!/bin/bash
# The disk cache, with the real daemon: cache dropped (also under an open volume), index corrupted, locked by another
# process, of a newer version, frames damaged: each opens and reads right; untouched, it answers a whole read after
# a restart without the store's packs. show_mib=… makes it smaller.
source "$(dirname "$0")/show-common.sh"
mib=${show_mib:-256}

use_machine first
new_password
head -c "${mib}M" /dev/urandom >"$work/disk.img"
sum=$(sha256sum <"$work/disk.img")
"$coffer" init photos "$work/store" "${mib}M" --password-file "$work/password" >/dev/null
nbdcopy "$work/disk.img" "$(open_volume photos)"
"$coffer" close photos >/dev/null
"$coffer" daemon stop >/dev/null

use_machine second
cache=$XDG_CACHE_HOME/coffer
index=$cache/index.sqlite
"$coffer" add "$work/store" --as photos --password-file "$work/password" >/dev/null

# read_back WHAT: opens, reads all of it, compares, and ends the daemon.
read_back() {
  nbdcopy "$(open_volume photos --read-only)" "$work/back.img"
  [ "$(sha256sum <"$work/back.img")" = "$sum" ] || fail "$1: the bytes differ"
  "$coffer" close photos >/dev/null
  "$coffer" daemon stop >/dev/null
  [ -s "$index" ] || fail "$1: there is no index afterwards"
  say "$1: opens, reads right; cache $(du -sm "$cache" | cut -f1) MiB"
}
version_of() { /usr/bin/python3 -c 'import sqlite3, sys
print(sqlite3.connect(sys.argv[1]).execute("PRAGMA user_version").fetchone()[0])' "$1"; }

read_back "empty cache"
grep -qaE '(packs/|photos)' "$index" && fail "the index names a pack or the volume"
[ "$(stat -c %a "$index" "$cache/frames" | sort -u)" = 600 ] || fail "the cache's files are not 0600"

# Without the packs in the store only the cache can answer.
mv "$work/store/packs" "$work/packs-away"
read_back "the store's packs gone, cache untouched"
mv "$work/packs-away" "$work/store/packs"

rm -rf "$cache"
read_back "cache dropped"
uri=$(open_volume photos --read-only)
rm -rf "$cache"
nbdcopy "$uri" "$work/back.img"
[ "$(sha256sum <"$work/back.img")" = "$sum" ] || fail "dropped while open: the bytes differ"
"$coffer" close photos >/dev/null
"$coffer" daemon stop >/dev/null
read_back "cache dropped while the volume was open"
head -c 20000 /dev/urandom | dd of="$index" bs=1 seek=3000 conv=notrunc status=none
read_back "index corrupted"
head -c 100000 /dev/urandom >"$index"
read_back "index replaced by garbage"
/usr/bin/python3 -c 'import sqlite3, sys
database = sqlite3.connect(sys.argv[1])
database.execute("PRAGMA user_version = 999")
database.execute("ALTER TABLE windows RENAME TO panes")' "$index"
[ "$(version_of "$index")" = 999 ] || fail "the index did not become newer"
read_back "index of a newer version"
[ "$(version_of "$index")" = 1 ] || fail "the newer index was not replaced"
coproc /usr/bin/python3 -c 'import sqlite3, sys
database = sqlite3.connect(sys.argv[1])
database.execute("BEGIN EXCLUSIVE")
print("locked", flush=True)
sys.stdin.read()' "$index"
locker=$COPROC_PID
read -r word <&"${COPROC[0]}"
[ "$word" = locked ] || fail "the index could not be locked"
read_back "index locked by another process"
exec {COPROC[1]}>&-
wait "$locker"
read_back "after that process"
size=$(stat -c %s "$cache/frames")
for ((at = 70000; at < size; at += 1000003)); do
  printf '\xa5\x5a\xa5' | dd of="$cache/frames" bs=1 seek="$at" conv=notrunc status=none
done
read_back "cached frames damaged"
truncate -s $((size / 2)) "$cache/frames"
read_back "cached frames cut off"
rm "$cache/frames"
read_back "cached frames removed"
echo "cache: dropped, corrupted, locked, newer, damaged: opens and reads right each time"

#!/bin/bash
# ext4, xfs and btrfs on a loop device over the image file: made, a tree copied, compared, half of it deleted, trimmed
# (what the head reaches falls, `coffer info` shows it), unmounted, checked; then opened from the store alone by
# another machine, mounted and compared. After it an exerciser of single operations against a model, in each of the ways
# to cache. As root.
# show_mib=… of files, seconds=… of the exerciser, systems="…" make it smaller.
show_targets="coffer cofferd exercise_file"
source "$(dirname "$0")/show-common.sh"
[ "$(id -u)" = 0 ] || { say "skipped: losetup and mount need root"; exit 77; }
PATH=$PATH:/usr/sbin:/sbin
mib=${show_mib:-512}
for tool in mkfs.ext4 mkfs.xfs mkfs.btrfs xfs_repair btrfs fstrim losetup; do
  type -p "$tool" >/dev/null || fail "no $tool here (packaging/dependencies test)"
done
new_password
device=
tidy_up() {
  local status=$?
  umount "$work/drive" 2>/dev/null || true
  [ -z "$device" ] || losetup -d "$device" 2>/dev/null || true
  cleanup "$status"
}
trap tidy_up EXIT

# What is copied: real files, as many as wanted.
mkdir "$work/files" "$work/drive"
find /usr/bin /usr/lib /usr/share -xdev -type f -size -8M -printf '%s\t%p\n' 2>/dev/null | sort -k 2 >"$work/found"
awk -F '\t' -v limit=$((mib << 20)) '{ total += $1; if (total > limit) exit; print $2 }' "$work/found" |
  cpio --quiet -pdm "$work/files" 2>/dev/null
count=$(find "$work/files" -type f | wc -l)
say "$count files, $(du -sm --apparent-size "$work/files" | cut -f1) MiB"
[ "$count" -gt 10 ] || fail "no files to copy"

attach() { # NAME: the loop device over its image
  device=$(losetup -f --show --direct-io=on "$work/mount/$1.img")
  [ "$(blockdev --getsize64 "$device")" = "$(stat -c %s "$work/mount/$1.img")" ] || fail "the loop device has another size"
}
detach() { losetup -d "$device"; device=; }
check() {
  case $1 in
    ext4) e2fsck -fn "$device" >"$work/fsck" 2>&1 ;;
    xfs) xfs_repair -n "$device" >"$work/fsck" 2>&1 ;;
    btrfs) btrfs check "$device" >"$work/fsck" 2>&1 ;;
  esac || { cat "$work/fsck"; fail "$1 is damaged"; }
}
reachable() { "$coffer" info "$1" --json --password-file "$work/password" | sed -n 's/.*"data_bytes": *\([0-9]*\).*/\1/p' | head -1; }
close_all() { "$coffer" close "$1" >/dev/null; "$coffer" daemon stop >/dev/null; }

systems=${systems:-ext4 xfs btrfs}
for system in $systems; do
  began=$(now)
  use_machine "one-$system"
  "$coffer" init "$system" "$work/store-$system" $((mib * 3 + 512))M --password-file "$work/password" >/dev/null
  open_volume "$system" --fuse="$work/mount" >/dev/null
  attach "$system"
  case $system in
    ext4) mkfs.ext4 -q -F "$device" ;;
    xfs) mkfs.xfs -q -f "$device" ;;
    btrfs) mkfs.btrfs -q -f "$device" >/dev/null ;;
  esac
  mount -t "$system" "$device" "$work/drive"
  cp -a "$work/files" "$work/drive/keep"
  cp -a "$work/files" "$work/drive/delete"
  sync -f "$work/drive"
  "$coffer" sync "$system" >/dev/null
  before=$(reachable "$system")
  rm -rf "$work/drive/delete"
  sync -f "$work/drive"
  fstrim "$work/drive"
  "$coffer" sync "$system" >/dev/null
  after=$(reachable "$system")
  [ "$after" -lt $((before * 3 / 4)) ] || fail "$system: trimmed, but the head reaches $after bytes of $before"
  umount "$work/drive"
  check "$system"
  detach
  close_all "$system"

  use_machine "two-$system"
  "$coffer" add "$work/store-$system" --as again --password-file "$work/password" >/dev/null
  open_volume "$system" --fuse="$work/mount" >/dev/null
  attach "$system"
  mount -t "$system" "$device" "$work/drive"
  diff -r --no-dereference "$work/files" "$work/drive/keep" || fail "$system: the files differ"
  umount "$work/drive"
  check "$system"
  detach
  close_all "$system"
  say "$system: made, $((2 * count)) files copied, half deleted and trimmed: $((before >> 20)) MiB reachable, then" \
    "$((after >> 20)); checked; equal when opened from the store: $(since "$began") s"
done

use_machine exercised
"$coffer" init exercised "$work/store" 64M --password-file "$work/password" >/dev/null
for cache in direct writeback auto; do # the one that most use for longest
  [ "$cache" = auto ] && time=${seconds:-600} || time=$(((${seconds:-600} + 9) / 10))
  open_volume exercised --fuse="$work/mount" --fuse-cache=$cache >/dev/null
  say "fuse_cache = $cache"
  "$build/tests/scale/exercise_file" "$work/mount/exercised.img" --seconds "$time" | tee "$work/exercise" || {
    tail -30 "$XDG_STATE_HOME/coffer/log/cofferd.log" >&2
    "$coffer" status exercised >&2 || true
    fail "the exerciser has found something"
  }
  [ "$cache" = auto ] || "$coffer" close exercised >/dev/null
done
"$coffer" sync exercised >/dev/null
sum=$(sha256sum <"$work/mount/exercised.img")
close_all exercised
use_machine exercised-again
"$coffer" add "$work/store" --as again --password-file "$work/password" >/dev/null
open_volume exercised --fuse="$work/mount" >/dev/null
[ "$(sha256sum <"$work/mount/exercised.img")" = "$sum" ] || fail "the exercised image differs from the store's"
close_all exercised
echo "$(wc -w <<<"$systems") file systems; $(tail -1 "$work/exercise"); equal from the store"

#!/bin/bash
# A fresh ordinary user, without root: init on a directory store, open with a file system made and mounted, real files
# copied into it, close, everything of the machine forgotten (XDG directories removed), add, open, mount, compare
# (diff -r, and a manifest of SHA-256). Once by udisks2 and a loop device, once by fuse2fs. show_mib=… of files,
# ways="udisks fuse2fs" make it smaller, mkfs=xfs (udisks alone) is another file system; the seconds of each step are printed.
source "$(dirname "$0")/desktop-machine.sh"
source "$(dirname "$0")/show-common.sh"
mib=${show_mib:-1024}
ways=${ways:-udisks fuse2fs}
tidy_up() {
  local status=$?
  for way in $ways; do
    [ ! -d "$work/$way/run" ] || { use_machine "$way" && as_user "$coffer" daemon stop >/dev/null 2>&1; } || true
  done
  findmnt -rno TARGET | grep "^$work" | xargs -r -n 1 umount -l || true
  cleanup "$status"
}
trap tidy_up EXIT
start_desktop
chown carol:carol "$work"
as_user bash -c '! type -p sudo su pkexec' >/dev/null || fail "the user could become root"
[ "$(as_user id -Gn)" = carol ] || fail "the user is in groups: $(as_user id -Gn)"
as_user bash -c "umask 077; head -c 18 /dev/urandom | base64 >$work/password"

# What is copied: real files of this machine that everybody may read, as many as wanted.
find /usr -xdev '(' -type f -size -64M -o -type l ')' -perm -004 -printf '%s\t%P\n' 2>/dev/null | sort -k 2 >"$work/found"
awk -F '\t' -v limit=$((mib << 20)) '{ total += $1; if (total > limit) exit; print $2 }' "$work/found" >"$work/names"
say "$(wc -l <"$work/names") files and links"
[ "$(wc -l <"$work/names")" -gt 10 ] || fail "no files to copy"
(cd /usr && while IFS= read -r name; do [ -L "$name" ] || echo "$name"; done <"$work/names") >"$work/files"
as_user bash -c "cd /usr && xargs -d '\n' -a $work/files sha256sum --" >"$work/manifest"
[ "$(wc -l <"$work/manifest")" = "$(wc -l <"$work/files")" ] || fail "the manifest of what is copied is not whole"

began=
step() { # NAME COMMAND…: prints its seconds
  began=$(now)
  as_user "${@:2}" >"$work/out" 2>"$work/err" || fail "$1: $(cat "$work/out" "$work/err")"
  say "$way: $1: $(since "$began") s"
}
mounted_by() { # WAY
  grep -q " is mounted by $1" "$work/err" || fail "not by $1: $(cat "$work/err")"
  ! grep -q '^not by' "$work/err" || fail "forced, but others were tried: $(cat "$work/err")"
}
nothing_left() {
  ! mount | grep -E "$work|/media/carol" || fail "still mounted"
  ! losetup -l | grep "$work" || fail "a loop device is left"
  [ ! -e "$work/$way/photos" ] || fail "the mount point is left"
}

for way in $ways; do
  mkdir -m 700 "$work/$way"
  chown carol:carol "$work/$way"
  use_machine "$way"
  chown -R carol:carol "$work/$way"
  open=("$coffer" open photos --mount "$work/$way/photos" --mount-with "$way" --password-file "$work/password")
  step init "$coffer" init photos "$work/$way/store" $((mib * 3 / 2 + 256))M --password-file "$work/password"
  if as_user "${open[@]}" >/dev/null 2>"$work/err"; then fail "nothing to mount, and it was mounted"; fi
  grep -q -- --mkfs "$work/err" || fail "the error does not name --mkfs: $(cat "$work/err")"
  step "open, mkfs, mount" "${open[@]}" --mkfs="${mkfs:-ext4}"
  mounted_by "$way"
  if [ "$way" = udisks ]; then
    [ "$(losetup -nlO DIO -j "$XDG_RUNTIME_DIR/coffer/images/photos.img" | tr -d ' ')" = 1 ] ||
      fail "udisks: the loop device goes through the page cache"
    [ -L "$work/$way/photos" ] || fail "udisks: the mount point is no link"
  fi
  step "rsync of $mib MiB" rsync -a --files-from="$work/names" /usr/ "$work/$way/photos/"
  step "sync -f" sync -f "$work/$way/photos/"
  step "close" "$coffer" close photos
  nothing_left
  as_user "$coffer" daemon stop >/dev/null
  as_user rm -rf "$XDG_CONFIG_HOME" "$XDG_STATE_HOME" "$XDG_CACHE_HOME" "$XDG_RUNTIME_DIR/coffer"
  step "add, machine blank" "$coffer" add "$work/$way/store" --password-file "$work/password"
  step "open, mount" "${open[@]}"
  mounted_by "$way"
  step "diff -r" bash -c "cd /usr && mkdir -p $work/$way/expected && rsync -a --files-from=$work/names /usr/ $work/$way/expected/ &&
    diff -r --no-dereference --exclude=lost+found $work/$way/expected $work/$way/photos/"
  step "SHA-256 of $(wc -l <"$work/manifest") files" bash -c "cd $work/$way/photos && sha256sum --quiet -c $work/manifest"
  # By the descriptor that wrote it: fuse2fs passes no other fsync on.
  as_user bash -c "echo kept | dd of=$work/$way/photos/kept conv=fsync status=none"
  kill_daemon
  step "open after kill -9" "${open[@]}"
  mounted_by "$way"
  [ "$(as_user cat "$work/$way/photos/kept")" = kept ] || fail "$way: what was synced before the kill is gone"
  as_user bash -c "cd $work/$way/photos && sha256sum --quiet -c $work/manifest" || fail "$way: after the kill"
  step "close" "$coffer" close photos
  nothing_left
  as_user "$coffer" daemon stop >/dev/null
done
echo "$mib MiB without root by: $ways: all files came back"

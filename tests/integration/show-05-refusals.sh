#!/bin/bash
# A fresh ordinary user on a machine that refuses him udisks2's way: polkit says no to the loop device, or to mounting it,
# or asks for an administrator's password, or has no rule for him; fuse.conf keeps root out of his FUSE mounts, so that
# the kernel sees the loop device as empty (Linux 6.16 and newer). Each time coffer says why and what would help, leaves
# no loop device behind and mounts by fuse2fs; forced to udisks2 it fails and closes the volume; once allowed, udisks2
# mounts it, with all the files.
source "$(dirname "$0")/desktop-machine.sh"
source "$(dirname "$0")/show-common.sh"
tidy_up() {
  local status=$?
  [ ! -d "$work/home/run" ] || as_user "$coffer" daemon stop --force >/dev/null 2>&1 || true
  findmnt -rno TARGET | grep "^$work" | xargs -r -n 1 umount -l || true
  cleanup "$status"
}
trap tidy_up EXIT
start_desktop
chown carol:carol "$work"
mkdir -m 700 "$work/home"
use_machine home
chown -R carol:carol "$work/home"
as_user bash -c "umask 077; head -c 18 /dev/urandom | base64 >$work/password"
as_user "$coffer" init photos "$work/home/store" 64M --password-file "$work/password" >/dev/null
place=$work/home/photos
refusals=0 files=0

open_photos() { as_user "$coffer" open photos --mount "$place" --password-file "$work/password" "$@" >"$work/out" 2>"$work/err"; }
says() { # WORDS…: each is in what coffer said
  local words
  for words in "$@"; do
    grep -qF -- "$words" "$work/err" || fail "$what: \"$words\" is not in: $(cat "$work/err")"
  done
}
no_loop_device() {
  ! losetup -nlO NAME,BACK-FILE | grep -F "$work" || fail "$what: a loop device is left"
}
keeps_files() { # and one more
  for number in $(seq "$files"); do
    [ "$(as_user cat "$place/file$number")" = "text $number" ] || fail "$what: file$number is not what it was"
  done
  files=$((files + 1))
  as_user bash -c "echo 'text $files' >$place/file$files"
}
close_photos() {
  as_user "$coffer" close photos >/dev/null || fail "$what: close"
  no_loop_device
}
# refused WORDS…: with these words udisks2's way is passed over, and fuse2fs's taken.
refused() {
  local code=0
  if [ "$files" != 0 ]; then # there is a file system already
    open_photos --mount-with udisks || code=$?
    [ "$code" = 11 ] || fail "$what, forced: exit $code: $(cat "$work/err")"
    says "$@"
    no_loop_device
    { as_user "$coffer" status photos --json || [ $? -eq 10 ]; } | grep -q '"state": *"closed"' || fail "$what: not closed after it failed"
  fi
  # shellcheck disable=SC2046
  open_photos $([ "$files" != 0 ] || echo --mkfs) || fail "$what: $(cat "$work/err")"
  says "not by udisks: " "$@" "is mounted by fuse2fs at $place"
  no_loop_device
  as_user "$coffer" status photos --json >"$work/status"
  grep -qF "\"way\": \"fuse2fs\"" "$work/status" || grep -qF '"way":"fuse2fs"' "$work/status" || fail "$what: $(cat "$work/status")"
  keeps_files
  say "$what: $(grep -F 'not by udisks' "$work/err")"
  close_photos
  refusals=$((refusals + 1))
}
allowed() {
  open_photos || fail "$what: $(cat "$work/err")"
  says "is mounted by udisks from /dev/loop"
  ! grep -q "not by udisks" "$work/err" || fail "$what: $(cat "$work/err")"
  keeps_files
  close_photos
}

cure=/etc/polkit-1/rules.d
what="polkit: no loop devices"
polkit_says loop-setup=NO
refused "udisks2 does not allow setting up a loop device (polkit)" "$cure"
what="polkit: no mounting"
polkit_says filesystem-mount=NO
refused "udisks2 does not allow mounting (polkit)" "$cure"
what="polkit: an administrator's password"
polkit_says loop-setup=AUTH_ADMIN
refused "udisks2 does not allow setting up a loop device (polkit)" "$cure"
what="polkit: no rule, nobody at the machine"
polkit_says nothing
refused "udisks2 does not allow setting up a loop device (polkit)" "$cure"
what="allowed again"
polkit_says
allowed

what="root kept out of FUSE mounts"
fuse_lets_root_in no
newest=$(printf '%s\n6.16\n' "$(uname -r)" | sort -V | tail -n 1)
if [ "$newest" = "$(uname -r)" ]; then
  refused "as empty, since root may not look into a FUSE mount of yours" "user_allow_other in /etc/fuse.conf"
else
  say "this kernel, $(uname -r), does not ask for the size as root"
  allowed
fi
what="root let in"
fuse_lets_root_in yes
allowed

what="grown while mounted by udisks2"
open_photos
as_user "$coffer" resize photos 96M >"$work/out" 2>"$work/err" || fail "$what: $(cat "$work/err")"
says "keeps its size until the volume is closed and opened again" "e2fsck -f and resize2fs on its image"
keeps_files
close_photos
as_user "$coffer" open photos --fuse="$work/home/images" --password-file "$work/password" >/dev/null
as_user bash -c "/sbin/e2fsck -fp $work/home/images/photos.img && /sbin/resize2fs $work/home/images/photos.img" \
  >"$work/out" 2>&1 || fail "$what: $(cat "$work/out")"
close_photos
allowed
open_photos
mib=$(df --output=size -BM "$place/" | tail -n 1 | tr -dc 0-9)
[ "$mib" -gt 80 ] || fail "$what: the file system has $mib MiB"
keeps_files
close_photos
[ "$files" -ge 7 ] || fail "only $files were mounted"
echo "$refusals refusals of udisks2's way said, cured and passed over; $files mounts kept each other's files"

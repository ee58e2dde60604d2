# ext4, xfs and btrfs on a volume, through the kernel's NBD over two connections: made, filled, trimmed, checked,
# connected again, compared; at last closed and opened again from the store, and compared once more.
scenario=file-systems
. /steps.sh
make_password
wanted=$(sums /tree)

make_fs() {
  case $1 in
    ext4) mkfs.ext4 -q -F /dev/nbd0 ;;
    xfs) mkfs.xfs -q -f /dev/nbd0 ;;
    btrfs) mkfs.btrfs -q -f /dev/nbd0 2>/dev/null ;;
  esac
}
check_fs() {
  case $1 in
    ext4) e2fsck -f -n /dev/nbd0 ;;
    xfs) xfs_repair -n /dev/nbd0 ;;
    btrfs) btrfs check --readonly /dev/nbd0 ;;
  esac >/tmp/check 2>&1 || { cat /tmp/check; fail "$1 is not clean"; }
}
compare() {
  mount -t "$1" /dev/nbd0 /mnt
  [ "$(sums /mnt/tree)" = "$wanted" ] || fail "$1: the tree differs $2"
  umount /mnt
}

for fs in ext4 xfs btrfs; do
  coffer init $fs /data/store 1G --password-file $password >/dev/null
  open_volume $fs 2>/dev/null
  attach /dev/nbd0 $fs
  [ "$(cat /sys/block/nbd0/queue/discard_max_bytes)" -gt 0 ] || fail "no discard"
  grep -q 'write back' /sys/block/nbd0/queue/write_cache || fail "no flush"
  [ "$(cat /sys/block/nbd0/queue/fua)" = 1 ] || fail "no FUA"
  step $fs attached over two connections

  make_fs $fs
  step $fs made

  mount -t $fs /dev/nbd0 /mnt
  cp -a /tree /mnt/tree
  dd if=/dev/urandom of=/mnt/random bs=1M count=24 2>/dev/null
  sync
  full=$(bytes_of_data)
  step $fs mounted, "$(du -sm /mnt | cut -f1)" MiB copied, synced, $((full >> 20)) MiB of data in the volume

  rm /mnt/random
  sync
  # btrfs frees what was removed when its next transaction has ended.
  [ $fs != btrfs ] || btrfs filesystem sync /mnt
  fstrim /mnt
  trimmed=$(bytes_of_data)
  [ $((full - trimmed)) -ge $((20 << 20)) ] || fail "$fs: fstrim left $trimmed of $full bytes"
  step $fs trimmed, $((trimmed >> 20)) MiB of data left

  umount /mnt
  check_fs $fs
  step $fs unmounted, checked: clean

  detach /dev/nbd0
  attach /dev/nbd0 $fs
  compare $fs "after connecting again"
  step $fs connected again, mounted, compared: equal

  check_fs $fs
  detach /dev/nbd0
  coffer close $fs >/dev/null 2>&1
  coffer daemon stop >/dev/null 2>&1
  rm -rf /data/cache
  open_volume $fs 2>/dev/null
  attach /dev/nbd0 $fs
  compare $fs "read from the store"
  detach /dev/nbd0
  coffer close $fs >/dev/null 2>&1
  step $fs closed, daemon stopped, opened from the store, compared: equal
done
[ -z "$(dmesg | grep -i 'I/O error\|corrupt\|BUG:\|hung_task')" ] || fail "the kernel complained"

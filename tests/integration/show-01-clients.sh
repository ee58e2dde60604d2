#!/bin/bash
# Independent clients: fio random read/write with crc32c verification for 5 minutes (seconds=… changes that),
# qemu-img convert and compare, nbdinfo.
source "$(dirname "$0")/show-common.sh"
seconds=${seconds:-300}
use_machine first
new_password
"$coffer" init photos "$work/store" 1G --password-file "$work/password" >/dev/null
place=$(open_volume photos)
nbdinfo "$place" >"$work/info"
grep -q 'export-size: 1073741824' "$work/info" || fail "nbdinfo: $(cat "$work/info")"
for flag in write flush fua trim zero fast-zero multi-conn; do
  case $flag in
    write) nbdinfo --is read-only "$place" && fail "nbdinfo says read-only" ;;
    *) nbdinfo --can "$flag" "$place" || fail "nbdinfo: cannot $flag" ;;
  esac
done
# The offset keeps fio's region apart from the rest; verify_backlog reads back while it writes.
(cd "$work" && fio --name=verify --ioengine=nbd --uri="$place" --rw=randrw --bsrange=4k-128k --iodepth=16 \
  --size=512M --verify=crc32c --verify_fatal=1 --verify_backlog=512 --time_based --runtime="$seconds" \
  --do_verify=1 --minimal >"$work/fio" 2>&1) || fail "fio: $(tail -5 "$work/fio")"
head -c 200M /dev/urandom >"$work/raw.img"
dd if=/usr/bin/cmake of="$work/raw.img" bs=1M seek=300 conv=notrunc status=none
truncate -s 1G "$work/raw.img"
qemu-img convert -n -f raw -O raw "$work/raw.img" "$place"
qemu-img compare -f raw -F raw "$work/raw.img" "$place" >"$work/compare"
"$coffer" sync photos >/dev/null
"$coffer" close photos >/dev/null
place=$(open_volume photos)
qemu-img convert -f raw -O qcow2 "$place" "$work/out.qcow2"
qemu-img compare -f raw -F qcow2 "$work/raw.img" "$work/out.qcow2" >>"$work/compare"
[ "$(grep -c 'Images are identical' "$work/compare")" -eq 2 ] || fail "$(cat "$work/compare")"
"$coffer" close photos >/dev/null
echo "fio crc32c $seconds s without a mismatch; qemu-img convert and compare identical both ways; nbdinfo right"

# kill -9 of the daemon under a mounted ext4 in use. What the kernel does then is printed (docs/GUARANTEES.md tells it);
# after coffer open and nbd-client again everything that was fsynced is there and e2fsck finds nothing.
scenario=daemon-dies
. /steps.sh
make_password
coffer init photos /data/store 512M --password-file $password >/dev/null
open_volume photos 2>/dev/null
attach /dev/nbd0 photos -timeout 10
mkfs.ext4 -q -F /dev/nbd0
mount -t ext4 /dev/nbd0 /mnt
step ext4 mounted over two connections

# Files of a few hundred KiB, each in the list once its fsync has returned.
: >/data/fsynced
(
  number=0
  while number=$((number + 1)); do
    dd if=/dev/urandom of=/mnt/file$number bs=32k count=$((number % 8 + 1)) conv=fsync 2>/dev/null || exit 0
    sha256sum /mnt/file$number >>/data/fsynced || exit 0
  done
) &
writer=$!
while [ "$(wc -l </data/fsynced)" -lt 40 ]; do sleep 0.2; done
step files fsynced under way
kill -9 "$(cat $XDG_RUNTIME_DIR/coffer/cofferd.pid)"
wait $writer || true
count=$(wc -l </data/fsynced)
step the writer has ended, $count files fsynced
dd if=/mnt/file1 of=/dev/null bs=4k count=1 iflag=direct 2>/tmp/read && fail "a read from a dead device succeeded"
grep -q 'Input/output error\|Structure needs\|Transport\|Read-only' /tmp/read || fail "read: $(cat /tmp/read)"
step reads fail with: "$(sed -n 's/^dd: [^:]*: //p' /tmp/read | head -1)"
umount /mnt || fail "cannot unmount"
nbd-client -d /dev/nbd0 >/dev/null 2>&1 || true
step unmounted and disconnected

open_volume photos 2>/dev/null
attach /dev/nbd0 photos
# The journal of ext4 first, as mount does it; then nothing may be left to mend.
e2fsck -p /dev/nbd0 >/tmp/check 2>&1 || [ $? -eq 1 ] || { cat /tmp/check; fail "e2fsck -p"; }
e2fsck -f -n /dev/nbd0 >/tmp/check 2>&1 || { cat /tmp/check; fail "not clean"; }
step opened again, connected again, e2fsck: clean
mount -t ext4 /dev/nbd0 /mnt
sha256sum -c /data/fsynced >/tmp/sums 2>&1 || { grep -v OK /tmp/sums; fail "fsynced files are lost or differ"; }
[ "$(grep -c OK /tmp/sums)" -eq "$count" ] || fail "not all compared"
umount /mnt
detach /dev/nbd0
step all $count fsynced files there and equal

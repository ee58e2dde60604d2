# A file system on the device in a machine short of memory: its dirty pages can go only through the daemon, whose own
# writes to the journal the kernel must not hold back because of those pages (BecomeIoFlusher; without it the device
# stalls until its requests time out, and ext4 loses what it had not written). Nothing hangs, and every byte is there.
scenario=memory
. /steps.sh
(umask 077 && mkdir -p /data/config/coffer)
printf '[defaults]\nmemory_cache_bytes_max = "16MiB"\n' >/data/config/coffer/config.toml
make_password
coffer init photos /data/store 1G --password-file $password >/dev/null
open_volume photos 2>/dev/null
attach /dev/nbd0 photos
mkfs.ext4 -q -F /dev/nbd0
mount -t ext4 /dev/nbd0 /mnt
# Files in memory, which cannot be swapped, leave 400 MiB: what the daemon may take (core/README.md, Bounds), and little more.
mkdir /run/ballast
mount -t tmpfs -o size=90% ballast /run/ballast
free_mib() { awk '/MemAvailable/ { print int($2 / 1024) }' /proc/meminfo; }
while [ "$(free_mib)" -gt 420 ]; do
  dd if=/dev/zero of=/run/ballast/$(free_mib) bs=1M count=$(( ($(free_mib) - 400) / 4 + 1 )) 2>/dev/null
done
step $(free_mib) MiB of memory available
(
  while least=$(cat /run/least 2>/dev/null || free_mib) && now=$(free_mib); do
    [ "$now" -ge "$least" ] || least=$now
    echo "$least" >/run/least
    sleep 0.3
  done
) &
watcher=$!
for number in 1 2 3; do
  dd if=/dev/urandom of=/mnt/file$number bs=1M count=64 2>/dev/null &
  writers="${writers:-} $!"
done
wait $writers
sync
kill $watcher
least=$(cat /run/least)
step 192 MiB written by three, synced, never less than $least MiB available
sha256sum /mnt/file* >/data/sums
umount /mnt
echo 3 >/proc/sys/vm/drop_caches
mount -t ext4 /dev/nbd0 /mnt
sha256sum -c /data/sums >/dev/null || fail "the files differ"
kill -0 "$(cat $XDG_RUNTIME_DIR/coffer/cofferd.pid)" || fail "the daemon is gone"
umount /mnt
rm /run/ballast/*
e2fsck -f -n /dev/nbd0 >/tmp/check 2>&1 || { cat /tmp/check; fail "not clean"; }
detach /dev/nbd0
[ -z "$(dmesg | grep 'blocked for more than\|Out of memory\|timed out')" ] || fail "stalled"
step read back and compared: equal, e2fsck: clean

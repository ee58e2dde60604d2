#!/bin/bash
# The main job with real data: at least 1 GiB of files from /usr in an ext4 image, written through NBD, synced,
# closed; daemon, state, cache and runtime removed; another Unix user adds the store, opens and reads it back.
# Run as root (it makes a user). show_mib=… makes it smaller.
source "$(dirname "$0")/show-common.sh"
[ "$(id -u)" -eq 0 ] || { say "skipped: needs root, to read the volume back as another user"; exit 77; }
mib=${show_mib:-1024}
user=coffer-show-$$
useradd -K UID_MIN=40000 -K UID_MAX=50000 --no-create-home --home-dir "$work/other" --shell /bin/bash "$user"
trap 'status=$?; pkill -KILL -u "$user" 2>/dev/null || true; userdel "$user" 2>/dev/null || true; cleanup "$status"' EXIT

mkdir "$work/files"
find /usr -xdev -type f -size -64M -printf '%s %P\0' |
  awk -v RS='\0' -v ORS='\0' -v want=$((mib * 1048576)) \
    '{ size = $1; sub(/^[0-9]+ /, ""); if (got < want) { print; got += size } }' |
  tar -C /usr --null -T - -cf - | tar -C "$work/files" -xf -
have=$(du -sb "$work/files" | cut -f1)
[ "$have" -ge $((mib * 1048576)) ] || fail "/usr has only $have bytes of files"
size_mib=$((mib * 3 / 2 + 64))
/sbin/mkfs.ext4 -q -F -d "$work/files" "$work/disk.img" "${size_mib}M" >/dev/null
sum=$(sha256sum <"$work/disk.img")
say "$(find "$work/files" -type f | wc -l) files, $have bytes, image ${size_mib} MiB"

use_machine first
new_password
"$coffer" init photos "$work/store" "${size_mib}M" --password-file "$work/password" >/dev/null
place=$(open_volume photos)
start=$(now)
nbdcopy "$work/disk.img" "$place"
say "nbdcopy in: $(since "$start") s"
part=$(now)
"$coffer" sync photos >/dev/null
say "sync: $(since "$part") s"
part=$(now)
"$coffer" close photos >/dev/null
say "close: $(since "$part") s"
written=$(since "$start")
"$coffer" daemon stop >/dev/null
rm -rf "$work/first"
stored=$(du -sb "$work/store" | cut -f1)

mkdir -p "$work/other/run"
cp "$work/password" "$work/other/password"
chown -R "$user" "$work/other" "$work/store"
chmod 700 "$work/other" "$work/other/run"
cat >"$work/other.sh" <<OTHER
set -euo pipefail
export HOME=$work/other XDG_RUNTIME_DIR=$work/other/run
unset XDG_CONFIG_HOME XDG_STATE_HOME XDG_CACHE_HOME
cd "\$HOME"
"$coffer" add "$work/store" --password-file "\$HOME/password" >/dev/null
place=\$("$coffer" open photos --json --password-file "\$HOME/password" | sed -n 's/.*"uri": *"\([^"]*\)".*/\1/p')
nbdcopy "\$place" back.img
"$coffer" close photos >/dev/null
"$coffer" daemon stop >/dev/null
OTHER
part=$(now)
su "$user" -s /bin/bash -c "bash $work/other.sh"
say "add, open, nbdcopy out as another user: $(since "$part") s"
[ "$(sha256sum <"$work/other/back.img")" = "$sum" ] || fail "the bytes differ"
/sbin/e2fsck -fn "$work/other/back.img" >"$work/fsck.log" 2>&1 || fail "e2fsck: $(cat "$work/fsck.log")"
awk -v l=$((size_mib * 1048576)) -v f="$have" -v s="$stored" -v t="$written" 'BEGIN {
  printf "logical %d bytes (%d of files), stored %d, ratio %.3f of the files; write, sync, close %.1f s\n",
         l, f, s, s / f, t }'

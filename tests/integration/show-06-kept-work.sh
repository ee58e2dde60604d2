#!/bin/bash
# show_mib=250 wait in the journal; the store goes after 120 of them and comes back, the daemon is killed meanwhile: it
# then holds at most 1.1 times the data.
source "$(dirname "$0")/show-common.sh"
command -v nbdcopy >/dev/null || { echo "skipped: no nbdcopy" >&2; exit 77; }
mib=${show_mib:-250}
gone_at=$((mib * 120 / 250))
use_machine one
new_password
stored() { du -sm --apparent-size "$work/vault/packs" 2>/dev/null | cut -f1 || echo 0; }
"$coffer" init photos "$work/vault" 1GiB --password-file "$work/password" >/dev/null
uri=$(open_volume photos --sync-age=1d)
head -c "${mib}M" /dev/urandom >"$work/data"
# All of it waits, and is replayed as what waits.
mv "$work/vault" "$work/vault-away"
nbdcopy --flush "$work/data" "$uri" || fail "writing failed"
kill_daemon
mv "$work/vault-away" "$work/vault"
uri=$(open_volume photos --sync-age=1d)
"$coffer" sync photos >/dev/null 2>&1 &
sync=$!
deadline=$((SECONDS + 300))
until [ "$(stored)" -ge "$gone_at" ]; do
  [ "$SECONDS" -lt "$deadline" ] || fail "the upload does not come to $gone_at MiB"
done
mv "$work/vault" "$work/vault-away"
wait "$sync" || true
! "$coffer" sync photos >/dev/null 2>&1 || fail "a sync without a store"
kill_daemon
mv "$work/vault-away" "$work/vault"
before=$(stored)
uri=$(open_volume photos)
"$coffer" sync photos >/dev/null || fail "the sync failed"
after=$(stored)
say "$mib MiB written; the store had $before MiB when it went, and holds $after MiB"
awk -v a="$after" -v d="$mib" 'BEGIN { exit !(a <= d * 1.1 + 1) }' || fail "$after MiB for $mib MiB of data"
nbdcopy "$uri" "$work/back"
cmp -n $((mib << 20)) "$work/data" "$work/back" || fail "the data differ"
"$coffer" close photos >/dev/null
echo "work is kept: $mib MiB, the store gone after $before MiB, the daemon killed, back: it holds $after MiB," \
  "$(awk -v a="$after" -v d="$mib" 'BEGIN { printf "%.2f", a / d }') x the data"

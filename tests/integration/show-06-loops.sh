#!/bin/bash
# What holds one volume up is felt by no other: a journal's pwrite that does not return for `seconds` (default 5), and 24
# FLUSHes of a volume with durability = cloud whose store is away, beside another volume's requests and `coffer status`.
# Needs a build with failpoints. trim_ms=… is how long the other's TRIM may take (default 20; 0: only shown).
show_options=-DCOFFER_FAILPOINTS=ON
source "$(dirname "$0")/show-common.sh"
seconds=${seconds:-5}
use_machine first
new_password
loops() { python3 -B "$repo/tests/integration/loops_show.py" "$@" | tee -a "$work/figures"; }
for volume in held other; do "$coffer" init $volume "$work/store" 64M --password-file "$work/password" >/dev/null; done
"$coffer" daemon stop >/dev/null 2>&1 || true

mkfifo "$work/gate"
COFFER_FAILPOINT=journal-append:3=wait COFFER_FAILPOINT_GATE=$work/gate \
  "$coffer" open held --nbd --fuse="$work/images" --sync-age=1h --password-file "$work/password" >/dev/null
"$coffer" open other --nbd --fuse="$work/images" --sync-age=1h --password-file "$work/password" >/dev/null
loops pwrite "$XDG_RUNTIME_DIR/coffer/nbd.sock" "$work/gate" "$work/images" "$coffer" "$seconds"
"$coffer" close --all >/dev/null
"$coffer" daemon stop >/dev/null

use_machine second
"$coffer" init held "$work/away" 64M --durability=cloud --password-file "$work/password" >/dev/null
"$coffer" init other "$work/here" 64M --password-file "$work/password" >/dev/null
for volume in held other; do "$coffer" open $volume --password-file "$work/password" >/dev/null; done
loops dirty "$XDG_RUNTIME_DIR/coffer/nbd.sock"
mv "$work/away" "$work/gone"
loops flushes "$XDG_RUNTIME_DIR/coffer/nbd.sock"
mv "$work/gone" "$work/away"

took=$(sed -n 's/^24 FLUSHes wait: TRIM of another volume: at most \([0-9.]*\) ms$/\1/p' "$work/figures")
most=${trim_ms:-20}
[ "$most" = 0 ] || awk -v took="$took" -v most="$most" 'BEGIN { exit !(took <= most) }' || fail "the TRIM took $took ms"
echo "while a pwrite is held and while 24 FLUSHes wait all others are answered; a TRIM within $took ms"

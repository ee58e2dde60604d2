#!/bin/bash
# What closed volumes take of this machine's disk: `volumes` (default 100) tiny ones in one vault, each made, opened, written
# to and closed. What the state directory takes after it, in blocks, is the figure; what the store takes is shown beside it.
source "$(dirname "$0")/show-common.sh"
volumes=${volumes:-100}
use_machine first
new_password
for ((i = 1; i <= volumes; i++)); do
  "$coffer" init "tiny$i" "$work/store" 1M --password-file "$work/password" >/dev/null
  "$coffer" open "tiny$i" --nbd --password-file "$work/password" >"$work/uri"
  qemu-io -f raw -c 'write -P 7 0 64k' -c flush "$(cat "$work/uri")" >/dev/null
  "$coffer" close "tiny$i" >/dev/null
done
"$coffer" daemon stop >/dev/null
state=$(du -s --block-size=1 "$XDG_STATE_HOME/coffer/vaults" | cut -f1)
store=$(du -s --block-size=1 "$work/store" | cut -f1)
segments=$(find "$XDG_STATE_HOME" -name '*.seg' | wc -l)
say "the store takes $((store >> 10)) KiB, $segments segments are left"
[ "$state" -le $((volumes * 100 * 1024)) ] || fail "the state takes $((state >> 10)) KiB"
echo "$volumes closed volumes: $((state >> 10)) KiB of state"

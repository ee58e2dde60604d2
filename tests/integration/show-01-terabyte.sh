#!/bin/bash
# 1 TiB volume, 100 GiB of distinct chunks at random offsets through the ordinary write path, into a store that
# keeps only the sizes of most data packs: after the close, opening from the store alone reads <= 10 objects,
# after a stop with 32 deltas unfolded <= 45; 1,000 chosen chunks verify; peak memory < 150 MiB.
source "$(dirname "$0")/show-common.sh"
gib=${show_gib:-1024}
mib=${show_mib:-102400}
figure=()
for how in close kill; do
  mkdir "$work/$how"
  say "$how: $("$build/tests/scale/large_volume" write "$work/$how" "$gib" "$mib" "$how")"
  limit=$([ "$how" = close ] && echo 10 || echo 45)
  figure[${#figure[@]}]="$how: $("$build/tests/scale/large_volume" read "$work/$how" "$limit")"
  rm -rf "${work:?}/$how"
done
printf '%s; ' "${figure[@]}"
echo

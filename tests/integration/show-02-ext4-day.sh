#!/bin/bash
# 24 simulated hours of an ext4 write pattern (tests/scale/ext4_pattern.h) on a 1 TiB volume at the default sync age:
# uploaded bytes, requests and objects by hour; all but frames of data (deltas, pages, heads, padding, tables of
# packs) <= 15 % of the uploaded bytes; requests per commit <= 3.5 on average; read back from the store alone.
# The same once more with journal and metadata alone, whose commits are small: no file data to hide behind.
# show_hours, show_first (hour of the day) and show_fill (MiB in each of 16 regions beforehand) make it shorter.
source "$(dirname "$0")/show-common.sh"
figure=
for parts in all metadata; do
  mkdir "$work/$parts"
  "$build/tests/scale/ext4_day" "$work/$parts" $parts "${show_hours:-24}" "${show_fill:-1024}" "${show_first:-0}" \
    >"$work/$parts.log" || { cat "$work/$parts.log"; fail "$parts"; }
  sed '$ d' "$work/$parts.log"
  figure+="$parts: $(tail -1 "$work/$parts.log"); "
  rm -rf "${work:?}/$parts"
done
echo "$figure"

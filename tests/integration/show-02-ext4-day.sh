#!/bin/bash
# 24 simulated hours of an ext4 write pattern (tests/scale/ext4_pattern.h) on a 1 TiB volume at the default sync age:
# uploaded bytes, requests and objects by hour; all but frames of data (deltas, pages, heads, padding, tables of
# packs) <= 15 % of the uploaded bytes; requests per commit <= 3.5 on average; read back from the store alone.
# show_hours, show_first (hour of the day) and show_fill (MiB in each of 16 regions beforehand) make it shorter.
source "$(dirname "$0")/show-common.sh"
"$build/tests/scale/ext4_day" "$work" "${show_hours:-24}" "${show_fill:-1024}" "${show_first:-0}"

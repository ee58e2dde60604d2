#!/bin/bash
# What cold reads cost, over a store with 50 ms latency: second cold read of 1 GiB 0 requests, sequential cold read
# >= 0.9 x the same number of parallel GETs, cold 4 KiB <= 1.3 x a round trip + 5 ms. show_mib=… makes it smaller; below 512 times are printed and not judged.
source "$(dirname "$0")/show-common.sh"

mkdir "$work/distant"
"$build/tests/scale/cold_reads" "$work/distant" "${show_mib:-1024}"

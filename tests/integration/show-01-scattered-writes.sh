#!/bin/bash
# 10 GiB of incompressible data, opened from the store alone with an empty cache: 10,000 scattered 4 KiB writes
# and a sync upload <= 1.25 x the bytes written and read no data frame; 100 writes: <= 1.5 x, at most 2 PUTs.
source "$(dirname "$0")/show-common.sh"
"$build/tests/scale/scattered_writes" "$work" "${show_mib:-10240}"

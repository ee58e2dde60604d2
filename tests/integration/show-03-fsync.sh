#!/bin/bash
# 4 KiB random writes, each made durable, beside nbdkit's file plugin on the same disk: at least its rate, medians
# of five runs in turn. runs=… seconds=… show_mib=… make it smaller, bar=0 takes the bar away. On an idle machine.
source "$(dirname "$0")/show-common.sh"
for tool in fio nbdkit nbdcopy; do
  type -p "$tool" >/dev/null || { say "skipped: no $tool here (packaging/dependencies bench)"; exit 77; }
done
COFFER_BUILD=$build BENCH_TMP=$work "$repo/tests/bench/fsync" --runs "${runs:-5}" --seconds "${seconds:-10}" \
  --size "${show_mib:-512}" --bar "${bar:-1.0}"

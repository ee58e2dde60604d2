#!/bin/bash
# A pipelined trace of 69,000 small writes with FLUSH and FUA between them, beside nbd-server on the same disk: medians of
# five runs in turn, at most 1.2 times its time. runs=… requests=… make it smaller, bar=99 takes the bar away. On an idle
# machine.
source "$(dirname "$0")/show-common.sh"
PATH=$PATH:/usr/sbin:/sbin:/bin type -p nbd-server >/dev/null || { say "skipped: no nbd-server here (packaging/dependencies bench)"; exit 77; }
COFFER_BUILD=$build BENCH_TMP=$work "$repo/tests/bench/nbd-barriers" --runs "${runs:-5}" --requests "${requests:-69000}" \
  --bar "${bar:-1.2}"

#!/bin/bash
# The engine alone: seal, open and content ids of 64 KiB frames in MB/s, with SHA-NI and without. On an idle machine.
source "$(dirname "$0")/show-common.sh"
[ -n "${COFFER_BUILD:-}" ] || cmake --build "$build" --target engine_bench >/dev/null 2>&1 || true
[ -x "$build/tests/bench/engine_bench" ] ||
  { say "skipped: no Google Benchmark here (packaging/dependencies bench)"; exit 77; }
measure() {  # NAME OPTIONS…
  local name=$1
  shift
  "$build/tests/bench/engine_bench" "$@" --benchmark_filter='^(Seal|Open|ContentIds)$' \
    --benchmark_min_time="${seconds:-1}" --benchmark_repetitions="${runs:-3}" --benchmark_report_aggregates_only \
    --benchmark_format=csv 2>/dev/null |
    awk -F , -v name="$name" '/^"?[A-Za-z]+_median/ {
      gsub(/"/, "", $1); sub(/_median/, "", $1); printf "%s\t%s\t%.0f\n", name, $1, $6 / 1e6 }'
}
printf 'SHA-NI\twhat\tMB/s\n'
{ measure yes; measure no --no-sha-ni; } | tee "$work/table"
[ "$(wc -l <"$work/table")" -eq 6 ] || fail "a figure is missing"
awk -F '\t' '{ all = all (NR > 1 ? ", " : "") $2 " " $3 ($1 == "no" ? " without SHA-NI" : "") } END { print all " MB/s" }' \
  "$work/table"

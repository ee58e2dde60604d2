#!/bin/bash
# Both fuzz targets of the NBD protocol, negotiation and transmission, side by side, without a crash file:
#   show-04-fuzz.sh [OUT]    minutes=60: of each target; OUT keeps corpus, logs and crash files (default: thrown away)
#   hang_seconds=60          one input may take so long by the wall's clock: more where the machine stands still at times
# Prints what each executed and covered. COFFER_BUILD: a build of the preset fuzz; any other is left alone.
set -euo pipefail
cd "$(dirname "$0")/../.."
minutes=${minutes:-60}
hang_seconds=${hang_seconds:-60}
seconds=$(awk -v m="$minutes" 'BEGIN { printf "%d", m * 60 }')
build=${COFFER_BUILD:-}
if [ -z "$build" ] || ! grep -q '^COFFER_FUZZ:BOOL=ON' "$build/CMakeCache.txt"; then
  packaging/dependencies build test fuzz >/dev/null
  build=build/fuzz
  [ -e "$build/build.ninja" ] || cmake --preset fuzz >/dev/null
  cmake --build "$build" --target fuzz_nbd_handshake fuzz_nbd_transmission >/dev/null
fi
out=${1:-}
if [ -z "$out" ]; then
  out=$(mktemp -d "${TMPDIR:-/var/tmp}/coffer-fuzz-XXXXXX")
  trap 'rm -rf "$out"' EXIT
fi
fail() { echo "FAILED: $*" >&2; exit 1; }

run() {  # TARGET
  mkdir -p "$out/$1/corpus"
  nice -n "${nice:-0}" "$build/tests/fuzz/$1" -max_total_time="$seconds" -timeout="$hang_seconds" -rss_limit_mb=1024 -print_final_stats=1 \
    -artifact_prefix="$out/$1/" "$out/$1/corpus" "tests/fuzz/corpus/$1" >"$out/$1.log" 2>&1
}
run fuzz_nbd_handshake &
one=$!
run fuzz_nbd_transmission &
two=$!
trap 'kill "$one" "$two" 2>/dev/null || true' INT TERM
wait "$one" || true
wait "$two" || true

total=0
for target in fuzz_nbd_handshake fuzz_nbd_transmission; do
  log=$out/$target.log
  executed=$(sed -n 's/^stat::number_of_executed_units: *//p' "$log")
  files=$(find "$out/$target" -maxdepth 1 -type f | wc -l)
  [ "$files" = 0 ] || { tail -60 "$log" >&2; fail "$target left $files crash files in $out/$target"; }
  [ -n "$executed" ] && [ "$executed" -gt 0 ] || { tail -60 "$log" >&2; fail "$target ended without having run"; }
  echo "# $target: $executed executions in $seconds s, $(grep -o 'cov: [0-9]* ft: [0-9]*' "$log" | tail -1)," \
    "$(find "$out/$target/corpus" -type f | wc -l) inputs found, 0 crash files"
  total=$((total + executed))
done
echo "2 NBD fuzz targets, $minutes minutes each: $total executions, 0 crash files"

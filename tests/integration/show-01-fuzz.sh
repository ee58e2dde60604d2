#!/bin/bash
# Each fuzz target runs 10 minutes without a finding (seconds=… changes that); two at a time on two cores.
# An argument picks the targets whose names match it.
set -euo pipefail
cd "$(dirname "$0")/../.."
packaging/dependencies build test fuzz >/dev/null
seconds=${seconds:-600}
cmake --preset fuzz >/dev/null
cmake --build --preset fuzz >/dev/null
out=$(mktemp -d)
trap 'rm -rf "$out"' EXIT
find build/fuzz/tests -type f -name 'fuzz_*' -perm -u+x -printf '%f %p\n' |
  sort | grep -E "${1:-.}" >"$out/targets"
run() {  # NAME PROGRAM
  mkdir "$out/$1"
  if "$2" -max_total_time="$seconds" -timeout=10 -rss_limit_mb=1024 -print_final_stats=1 \
    -artifact_prefix="$out/$1/crash-" "$out/$1" "tests/fuzz/corpus/$1" >"$out/$1.log" 2>&1; then
    echo "# $1: $(sed -n 's/^stat::number_of_executed_units: *//p' "$out/$1.log") executions," \
      "$(grep -o 'cov: [0-9]*' "$out/$1.log" | tail -1)"
  else
    tail -40 "$out/$1.log" >&2
    cp -r "$out/$1" "build/fuzz/finding-$1"
    echo "$1" >>"$out/findings"
  fi
}
export -f run
export out seconds
xargs -P "$(nproc)" -L 1 bash -c 'run "$0" "$1"' <"$out/targets"
[ ! -e "$out/findings" ] || { echo "findings: $(tr '\n' ' ' <"$out/findings")" >&2; exit 1; }
echo "$(wc -l <"$out/targets") fuzz targets, $seconds s each, 0 findings"

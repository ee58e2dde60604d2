#!/bin/bash
# No test fails by chance on a busy machine: packaging/test, three times in a row, beside twelve processes
# that do nothing but take processor time. ARGUMENTS go to ctest (-R volume, say). Takes hours on two processors.
#   runs=3 busy=12
set -euo pipefail
cd "$(dirname "$0")/../.."
runs=${runs:-3} busy=${busy:-12}
packaging/dependencies build test
cmake --preset dev >/dev/null
cmake --build --preset dev >/dev/null

load=()
stop_load() {
  local status=$?
  trap - EXIT
  kill "${load[@]}" 2>/dev/null || true
  wait 2>/dev/null || true
  exit "$status"
}
trap stop_load EXIT
trap 'exit 130' INT TERM
for ((i = 0; i < busy; ++i)); do
  (while :; do :; done) &
  load+=($!)
done

failed=0
for ((run = 1; run <= runs; ++run)); do
  start=$SECONDS
  packaging/test "$@" >"build/load-$run.log" 2>&1 || { failed=$((failed + 1)); tail -n 30 "build/load-$run.log"; }
  echo "run $run: $(grep -E 'tests passed' "build/load-$run.log" || echo 'no result') in $((SECONDS - start)) s"
done
echo "$runs runs of packaging/test beside $busy busy processes on $(nproc) processors: $failed failed"
[ "$failed" -eq 0 ]

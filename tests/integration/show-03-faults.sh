#!/bin/bash
# Every call of the disk and every request to the store fails in turn, once and from then on (EIO, ENOSPC, EDQUOT, EROFS,
# EMFILE; a failed write leaves part of itself, a failed sync forgets, a disk goes read-only), in scripts of up to two
# steps; then every allocation of a process with real files; then EINTR and short calls. The last line is the figure.
# length=… sample=… allocations=… (one in so many) jobs=… make it smaller.
show_targets="coffer fault_enumeration allocation_failure interrupted_calls_test"
source "$(dirname "$0")/show-common.sh"
begin=$(now)
run() {
  "$@" 2>"$work/log" || { grep -v ' error the journal in ' "$work/log" >&2 || true; fail "$1: see above"; }
}
figure=$(run "$build/tests/crash/fault_enumeration" --length "${length:-2}" --sample "${sample:-1}" --jobs "${jobs:-2}")
echo "$figure" | grep -Eq ', [1-9][0-9]* faults, [1-9][0-9]* of them met by a request, .* 0 losses' ||
  fail "counted nothing: $figure"
say "disk and store: $figure"
memory=$(run "$build/tests/crash/allocation_failure" --sample "${allocations:-1}" --jobs "${jobs:-2}")
echo "$memory" | grep -Eq ', [1-9][0-9]* of them ended by a failed allocation, 0 losses' ||
  fail "counted nothing: $memory"
say "memory: $memory"
run "$build/tests/base/interrupted_calls_test" >"$work/calls"
grep -q 'PASSED.* 1 test' "$work/calls" || fail "interrupted_calls_test ran nothing"
say "interrupted and short calls: gone on with"
echo "faults: $figure; $memory, $(since "$begin") s"

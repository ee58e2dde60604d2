#!/bin/bash
# Every command with every call of the disk and every request to the store failing in turn, once or from then on,
# before it happened, after, or when nobody waits any more: the reply and the world agree, also in status and after a restart. The last line is the
# figure; it counts what was run. sample=… jobs=… make it smaller.
show_targets="coffer command_faults"
source "$(dirname "$0")/show-common.sh"
begin=$(now)
figure=$("$build/tests/daemon/command_faults" --sample "${sample:-1}" --jobs "${jobs:-2}" 2>"$work/log") ||
  { head -50 "$work/log" >&2; fail "see above: $figure"; }
echo "$figure" | grep -Eq '^[1-9][0-9]* commands, [1-9][0-9]* faults, .* 0 disagreements' || fail "counted nothing: $figure"
echo "command faults: $figure, $(since "$begin") s"

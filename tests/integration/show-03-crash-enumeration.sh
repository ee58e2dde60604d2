#!/bin/bash
# Every crash point of every script of up to three steps: at each change of the disk and around each request to the
# store, with what each crash mode leaves, and again during recovery. The last line is the figure; it counts what
# was run. length=… sample=… jobs=… make it smaller.
show_targets="coffer crash_enumeration"
source "$(dirname "$0")/show-common.sh"
begin=$(now)
figure=$("$build/tests/crash/crash_enumeration" --length "${length:-3}" --sample "${sample:-1}" --jobs "${jobs:-2}" \
  2>"$work/log") || { grep -v ' error the journal in ' "$work/log" >&2 || true; fail "see above"; }
echo "$figure" | grep -Eq '^[1-9][0-9]* scripts, [1-9][0-9]* crash points, .* 0 losses' || fail "counted nothing: $figure"
echo "crash enumeration: $figure, $(since "$begin") s"

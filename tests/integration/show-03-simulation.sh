#!/bin/bash
# Whole histories of a volume in virtual time, each from a seed and each twice: crashes, faults of the line, evictions,
# resizes, password changes. No loss, a true status throughout, equal digests, and all committed within five virtual
# minutes after healing. The last line is the figure. seeds=… steps=… crashes_min=… make it smaller.
show_targets="coffer crash_simulation"
source "$(dirname "$0")/show-common.sh"
begin=$(now)
figure=$("$build/tests/crash/crash_simulation" --seeds "${seeds:-250}" --steps "${steps:-600}" 2>"$work/log") ||
  { grep -v ' error the journal in ' "$work/log" >&2 || true; fail "see above"; }
crashes=$(echo "$figure" | sed -n 's/.* \([0-9]*\) crashes; 0 losses$/\1/p')
[ "${crashes:-0}" -ge "${crashes_min:-10000}" ] || fail "only ${crashes:-0} crashes: $figure"
echo "simulation: $figure, $(since "$begin") s"

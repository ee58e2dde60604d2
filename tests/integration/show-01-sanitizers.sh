#!/bin/bash
# The asan and tsan presets pass on all unit tests; the clang preset compiles with -Wthread-safety.
set -euo pipefail
cd "$(dirname "$0")/../.."
packaging/dependencies build test lint >/dev/null
figure=()
for preset in asan tsan; do
  cmake --preset "$preset" >/dev/null
  cmake --build --preset "$preset" >/dev/null
  ctest --preset "$preset" | tee "build/$preset/show.log" | tail -3
  figure[${#figure[@]}]="$preset: $(sed -n 's/^100% tests passed, 0 tests failed out of \([0-9]*\)/\1 programs passed/p' "build/$preset/show.log")"
done
cmake --preset clang >/dev/null
cmake --build --preset clang >/dev/null
printf '%s; ' "${figure[@]}"
echo "clang -Wthread-safety -Werror compiles"

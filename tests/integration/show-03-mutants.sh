#!/bin/bash
# Bugs planted in product code, one at a time: each is caught by the test that is named for it, the same
# tests pass without, and no program that a user gets holds any of them. The last line is the figure.
#   COFFER_BUILD  an ordinary build to look into as well; one made with COFFER_PLANTED is used itself
set -euo pipefail
repo=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
mutants=$repo/tests/integration/mutants.py
planted=
programs=()
if [ -n "${COFFER_BUILD:-}" ]; then
  if grep -q '^COFFER_PLANTED:BOOL=ON$' "$COFFER_BUILD/CMakeCache.txt"; then
    planted=$COFFER_BUILD
  else
    programs+=("$COFFER_BUILD/cli/coffer" "$COFFER_BUILD/cli/cofferd")
  fi
fi
if [ -z "$planted" ]; then
  planted=$repo/build/planted
  (cd "$repo" && cmake --preset planted >/dev/null)
  mapfile -t targets < <("$mutants" targets)
  cmake --build "$planted" --target "${targets[@]}" >/dev/null
fi
release=$repo/build/show
cmake -S "$repo" -B "$release" -G Ninja -DCMAKE_BUILD_TYPE=Release >/dev/null
cmake --build "$release" --target coffer cofferd >/dev/null
programs+=("$release/cli/coffer" "$release/cli/cofferd")

"$mutants" absent "$repo" "${programs[@]}"
exec "$mutants" run "$planted"

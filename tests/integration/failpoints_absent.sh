#!/bin/bash
# No failpoint is in a release: not compiled by the preset that packaging/try builds with, and so none in its
# binaries; while tests have them (else this looks for the wrong thing).
#   failpoints_absent.sh BINARY_WITH [RELEASE_BUILD]    the binaries of RELEASE_BUILD are looked at too
set -euo pipefail
repo=$(cd "$(dirname "$0")/../.." && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
fail() { echo "FAILED: $*" >&2; exit 1; }

marks() { strings -a "$1" | grep -c -e COFFER_FAILPOINT -e '^journal-published$' || true; }
[ "$(marks "$1")" -ge 2 ] || fail "$1 has no failpoints"
cmake --preset release -S "$repo" -B "$work/build" >/dev/null
[ "$(grep -c '"command"' "$work/build/compile_commands.json")" -gt 50 ] || fail "the release compiles next to nothing"
! grep -q COFFER_FAILPOINTS "$work/build/compile_commands.json" || fail "the release preset compiles failpoints"
grep -q 'preset release' "$repo/packaging/try" || fail "packaging/try builds otherwise"

# Without the option nothing is left of a failpoint.
echo '#include "core/base/failpoint.h"
void Place() { COFFER_FAILPOINT("journal-published"); }' >"$work/place.cc"
c++ -std=c++20 -I"$repo" -c "$work/place.cc" -o "$work/place.o"
c++ -std=c++20 -I"$repo" -c "$repo/core/base/failpoint.cc" -o "$work/failpoint.o"
for object in place failpoint; do
  [ "$(marks "$work/$object.o")" -eq 0 ] || fail "$object.o holds a failpoint"
done
for binary in coffer cofferd; do
  [ $# -lt 2 ] || [ "$(marks "$2/cli/$binary")" -eq 0 ] || fail "$2/cli/$binary holds failpoints"
done
echo "no failpoints in a release"

#!/bin/bash
# Runs a program as an ordinary user: as whoever calls, or as nobody where that is root.
#   as_user.sh PROGRAM [ARGUMENT…]
# Nobody may not look where things were built: programs, scripts (with those beside them, and what
# tests/cli and tests/integration have for them) and directories among the words are copied first.
set -euo pipefail
[ "$(id -u)" -ne 0 ] && exec "$@"
place=$(mktemp -d "${TMPDIR:-/tmp}/coffer-user-XXXXXX")
trap 'rm -rf --one-file-system "$place"' EXIT
words=()
for word in "$@"; do
  case "$word" in
    /usr/* | /bin/*) ;;
    *.py)
      for folder in . ../cli ../integration; do
        cp "$(dirname "$word")/$folder"/*.py "$place"
      done
      word=$place/$(basename "$word")
      ;;
    /*)
      mkdir -p "$place/${#words[@]}"
      cp -r "$word" "$place/${#words[@]}"
      word=$place/${#words[@]}/$(basename "$word")
      ;;
  esac
  words+=("$word")
done
chown -R nobody:nogroup "$place"
cd "$place"
HOME=$place TMPDIR=$place setpriv --reuid=nobody --regid=nogroup --clear-groups "${words[@]}"

#!/bin/sh
# The client matrix (clients/matrix.py) against coffer's server over a device in memory: Unix socket and TCP, requests
# answered in place and through workers.
#
#   nbd-clients.sh PATH/TO/nbd_memory_server
set -eu
server=$1
here=$(cd "$(dirname "$0")" && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python=$("$here/clients/python-with-libnbd")
for address in unix:s tcp:127.0.0.1:0; do
  for way in "" jobs-only; do
    echo "# $address $way"
    # shellcheck disable=SC2086
    seconds=1 "$python" -B "$here/clients/matrix.py" --memory "$server" --work "$work/matrix" "$address" $way \
      >"$work/log" 2>"$work/err" || { cat "$work/log" "$work/err"; exit 1; }
    tail -1 "$work/log"
  done
done

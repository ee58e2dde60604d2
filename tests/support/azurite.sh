#!/bin/bash
# azurite, Microsoft's emulator of Azure's Blob service, on 127.0.0.1, for tests. It is not in Debian: npm
# installs it, of one version, into DIR (Debian's nodejs and npm, or any Node 18 to 20).
#
#   azurite.sh start DIR PORT        installs it unless it is there (azurite=PROGRAM names one that is);
#                                    a key of the account "photos" in DIR/key
#   azurite.sh container DIR NAME    makes a container
#   azurite.sh sas DIR NAME RIGHTS [SECONDS]
#                                    a SAS token of the container for that long (an hour), on stdout
#   azurite.sh stop DIR
set -euo pipefail

version=3.35.0
account=photos

# await SECONDS COMMAND…
await() {
  local tries=$(($1 * 5))
  shift
  while ! "$@" >/dev/null 2>&1; do
    [ $((tries -= 1)) -gt 0 ] || { echo "azurite.sh: no success: $*" >&2; tail -n 5 "$PWD"/*.out >&2; exit 1; }
    sleep 0.2
  done
}

start() {
  mkdir -p "$1/data"
  cd "$1"
  local program=${azurite:-$1/node_modules/.bin/azurite-blob}
  if [ ! -x "$program" ]; then
    npm install --no-audit --no-fund --prefix "$1" "azurite@$version" >npm.out 2>&1 ||
      { tail -n 5 npm.out >&2; exit 1; }
  fi
  (umask 077 && head -c 32 /dev/urandom | base64 >key)
  AZURITE_ACCOUNTS="$account:$(cat key)" "$program" --silent --location "$1/data" --blobHost 127.0.0.1 \
    --blobPort "$2" --disableTelemetry >azurite.out 2>&1 &
  echo $! >pid
  echo "http://127.0.0.1:$2" >endpoint
  await 60 curl -s -o answer "http://127.0.0.1:$2/$account"
}

# ask DIR PYTHON…: with Microsoft's own library, which Debian has.
ask() {
  AZURE_KEY=$(cat "$1/key") /usr/bin/python3 - "$(cat "$1/endpoint")/$account" "${@:2}" <<'PYTHON'
import datetime
import os
import sys
from azure.storage.blob import ContainerClient, ContainerSasPermissions, generate_container_sas
url, verb, name = sys.argv[1:4]
rights = sys.argv[4] if len(sys.argv) > 4 else ""
seconds = sys.argv[5] if len(sys.argv) > 5 else 3600
key = os.environ["AZURE_KEY"]
if verb == "container":
    ContainerClient(url, name, credential={"account_name": "photos", "account_key": key}).create_container()
else:
    print(generate_container_sas("photos", name, account_key=key,
                                 permission=ContainerSasPermissions.from_string(rights),
                                 expiry=datetime.datetime.utcnow() + datetime.timedelta(seconds=int(seconds))))
PYTHON
}

command=${1:-}
[ $# -ge 2 ] || { sed -n '2,11s/^# \{0,1\}//p' "$0"; exit 2; }
shift
case "$command" in
  start) start "$@" ;;
  container | sas) ask "$1" "$command" "${@:2}" ;;
  stop) [ ! -f "$1/pid" ] || kill "$(cat "$1/pid")" 2>/dev/null || true ;;
  *) exit 2 ;;
esac

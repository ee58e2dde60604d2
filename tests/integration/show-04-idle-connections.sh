#!/bin/bash
# 1,000 idle connections cost cofferd less than 64 KB of memory each, and a client that works beside them does not
# feel them:
#   connections=1000 seconds=5 show-04-idle-connections.sh
# Each has negotiated, half of them with extended headers, and has read and written once before it rests.
set -euo pipefail
# shellcheck source=tests/integration/show-common.sh
. "$(dirname "$0")/show-common.sh"
connections=${connections:-1000}
seconds=${seconds:-5}
use_machine idle
new_password
"$coffer" init --password-file "$work/password" photos "$work/store" 64M >/dev/null
open_volume photos >/dev/null
python3 -B "$repo/tests/integration/idle_connections.py" "$XDG_RUNTIME_DIR/coffer/nbd.sock" "$(daemon_pid)" "$connections" \
  "$seconds"

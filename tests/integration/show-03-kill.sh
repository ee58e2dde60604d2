#!/bin/bash
# kill -9 of cofferd at every failpoint and at random moments, again while it recovers, under stamped load and fio
# over NBD; SIGSTOP and SIGCONT; each time every block is compared. rounds=… stops=… sample=… make it smaller.
show_targets="coffer_cheap cofferd_cheap" show_options="-DCOFFER_FAILPOINTS=ON"
source "$(dirname "$0")/show-common.sh"
command -v fio >/dev/null || { say "skipped: no fio"; exit 77; }
options=(--rounds "${rounds:-100}" --stops "${stops:-20}")
[ -z "${sample:-}" ] || options+=(--sample "$sample")
SHOW_TMP=$work python3 -B "$repo/tests/integration/kill_rounds.py" "$build/tests/cli/cheap" "${options[@]}"

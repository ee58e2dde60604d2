#!/bin/bash
# Real NBD clients against a daemon and its volumes: clients/matrix.py. Each row of docs/NBD-CLIENTS.tsv must have run
# and hold; update=1 writes that file anew. seconds=… is how long fio's random job runs (default 300), only=… runs the
# rows with that text.
source "$(dirname "$0")/show-common.sh"
export seconds=${seconds:-300}
python=$("$repo/tests/integration/clients/python-with-libnbd")
use_machine first
mode=--expect
[ -z "${update:-}" ] || mode=--write
# nbd-client is in /usr/sbin.
PATH=$PATH:/usr/sbin:/sbin "$python" -B "$repo/tests/integration/clients/matrix.py" --coffer "$coffer" \
  --work "$work/matrix" ${only:+--only "$only"} $mode "$repo/docs/NBD-CLIENTS.tsv"

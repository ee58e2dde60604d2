#!/bin/bash
# Real NBD clients against a daemon and its volumes: clients/matrix.py. Each row of docs/NBD-CLIENTS.tsv must have run
# and hold; update=1 writes that file anew. seconds=… is how long fio's random job runs (default 300), only=… runs the
# rows with that text, kernels="6.12 6.1" (the default) which kernels are booted for their own client; tls=none leaves out the rows of show-04-tls.sh.
show_targets="coffer cofferd coffer_cheap cofferd_cheap nbd_tls_files"
source "$(dirname "$0")/show-common.sh"
export seconds=${seconds:-300}
python=$("$repo/tests/integration/clients/python-with-libnbd")
use_machine first
mode=--expect
[ -z "${update:-}" ] || mode=--write
# nbd-client is in /usr/sbin.
PATH=$PATH:/usr/sbin:/sbin MATRIX_BUILD=$build "$python" -B "$repo/tests/integration/clients/matrix.py" --coffer "$coffer" \
  --work "$work/matrix" --kernels "${kernels:-6.12 6.1}" ${tls:+--without-tls} ${only:+--only "$only"} $mode "$repo/docs/NBD-CLIENTS.tsv"

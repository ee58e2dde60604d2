#!/bin/bash
# Debian 13's NBD clients (qemu 10, libnbd 1.22), which speak extended headers, against a daemon and its volumes: the
# rows of clients/rows_trixie.py. On demand: they live in a chroot that mmdebstrap makes (2 minutes, 760 MB, as root),
# kept in the directory that trixie=… names; without it, in one of this run. Each row of docs/NBD-CLIENTS.tsv must have
# run and hold; update=1 writes theirs anew. only=… runs the rows with that text.
show_targets="coffer cofferd"
source "$(dirname "$0")/show-common.sh"
[ "$(id -u)" = 0 ] || fail "a chroot needs root"
root=${trixie:-$work/trixie}
if [ ! -x "$root/usr/bin/qemu-storage-daemon" ]; then
  command -v mmdebstrap >/dev/null || fail "mmdebstrap is not installed (packaging/dependencies trixie)"
  [ ! -e "$root" ] || [ -z "$(ls -A "$root")" ] || fail "$root is neither empty nor such a chroot"
  say "making a chroot of Debian 13 in $root"
  mmdebstrap --quiet --variant=apt --include=qemu-utils,qemu-system-common,libnbd-bin,python3-libnbd,nbdkit,nbd-client trixie "$root"
fi
python=$("$repo/tests/integration/clients/python-with-libnbd")
use_machine first
mode=--expect
[ -z "${update:-}" ] || mode=--write
# In a mount namespace of their own, so that nothing stays mounted.
mkdir -p "$root$work"
MATRIX_TRIXIE=$root unshare --mount --propagation private sh -euc '
  root=$1 work=$2; shift 2
  mount --bind "$work" "$root$work"
  mount --rbind /dev "$root/dev"
  mount -t proc proc "$root/proc"
  exec "$@"' - "$root" "$work" \
  "$python" -B "$repo/tests/integration/clients/matrix.py" --coffer "$coffer" --work "$work/matrix" --trixie \
  ${only:+--only "$only"} $mode "$repo/docs/NBD-CLIENTS.tsv"
rmdir -p "$root$work" 2>/dev/null || true

#!/bin/bash
# On a bare Debian 12 root both README commands succeed from a fresh clone. Needs root and debootstrap.
# MIRROR: where to install from (default: what this machine uses).
set -euo pipefail
repo=$(cd "$(dirname "$0")/../.." && pwd)
[ "$(id -u)" -eq 0 ] || { echo "needs root" >&2; exit 1; }
work=$(mktemp -d "${SHOW_TMP:-/var/tmp}/coffer-bare-XXXXXX")
root=$work/root
cleanup() {
  status=$?
  trap - EXIT
  for place in proc dev/pts dev sys .; do umount -l "$root/$place" 2>/dev/null || true; done
  rm -rf --one-file-system "$work"
  exit "$status"
}
trap cleanup EXIT
mirror=${MIRROR:-$(apt-get indextargets --format '$(REPO_URI)' 'Codename: bookworm' 'Label: Debian' | head -1)}
start=$(date +%s)
debootstrap --variant=minbase bookworm "$root" "$mirror" >"$work/debootstrap.log" 2>&1 ||
  { tail -5 "$work/debootstrap.log" >&2; exit 1; }
# The same sources, proxies and certificates as outside: how a machine reaches its mirror is its own affair.
cp -a /etc/apt/sources.list /etc/apt/sources.list.d /etc/apt/apt.conf.d "$root/etc/apt/" 2>/dev/null || true
cp -a /etc/apt/auth.conf.d /etc/apt/keyrings "$root/etc/apt/" 2>/dev/null || true
cp -aL /usr/share/keyrings/. "$root/usr/share/keyrings/"
mkdir -p "$root/etc/ssl/certs" "$root/usr/local/share/ca-certificates"
cp -aL /etc/ssl/certs/ca-certificates.crt "$root/etc/ssl/certs/" 2>/dev/null || true
cp -L /etc/resolv.conf /etc/hosts "$root/etc/"
# A machine's root is a mount point, and tests that unshare mounts rely on it.
mount --bind "$root" "$root"
mount -t proc proc "$root/proc"
mount --rbind /dev "$root/dev" && mount --make-rslave "$root/dev"
mount -t sysfs sys "$root/sys"
git clone -q "$repo" "$root/coffer"
inside() { chroot "$root" /usr/bin/env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LANG=C.UTF-8 \
  ${http_proxy:+http_proxy="$http_proxy"} ${https_proxy:+https_proxy="$https_proxy"} "$@"; }
echo "# bare root: $(($(date +%s) - start)) s, $(inside dpkg-query -f . -W | wc -c) packages"
start=$(date +%s)
inside /coffer/packaging/try
try=$(($(date +%s) - start))
start=$(date +%s)
inside /coffer/packaging/test | tail -25
echo "packaging/try $try s, packaging/test $(($(date +%s) - start)) s, both succeeded on a bare Debian 12"

# Sourced by the scenarios in the guest. A step that fails ends the scenario; each prints a line
#   STEP SCENARIO SECONDS WHAT
# that the host looks for.
set -eu
export XDG_CONFIG_HOME=/data/config XDG_STATE_HOME=/data/state XDG_CACHE_HOME=/data/cache XDG_RUNTIME_DIR=/run/user
mkdir -p -m 700 $XDG_RUNTIME_DIR
uptime_now() { cut -d' ' -f1 /proc/uptime; }
began=$(uptime_now)
# step WHAT: the time since the last step was spent on that.
step() {
  awk -v name="$scenario" -v a="$began" -v b="$(uptime_now)" -v what="$*" \
    'BEGIN { printf "STEP %s %.1f %s\n", name, b - a, what }'
  began=$(uptime_now)
}
fail() {
  echo "FAILED: $scenario: $*"
  dmesg | tail -30
  tail -30 /data/state/coffer/log/* 2>/dev/null
  exit 1
}
trap 's=$?; [ $s = 0 ] || { echo "FAILED: $scenario: exit $s after the last step"; dmesg | tail -15; }' EXIT

password=/data/password
make_password() { (umask 077 && head -c 18 /dev/urandom | base64 >$password); }
# open_volume NAME: sets $uri and $socket.
open_volume() {
  uri=$(coffer open --password-file $password "$1")
  socket=${uri#*socket=}
}
# attach DEVICE NAME [OPTIONS…]: the kernel's NBD, over two connections.
attach() {
  device=$1 name=$2
  shift 2
  nbd-client -unix "$socket" "$device" -N "$name" -C 2 "$@" >/tmp/nbd-client 2>&1 || { cat /tmp/nbd-client; return 1; }
  for tries in 1 2 3 4 5 6 7 8 9 10; do
    [ "$(blockdev --getsize64 "$device")" -gt 0 ] && return 0
    sleep 0.2
  done
  fail "$device has no size"
}
detach() { nbd-client -d "$1" >/dev/null; }
# bytes_of_data: how much of the volume is not a hole, as BLOCK_STATUS tells it.
bytes_of_data() { nbdinfo --map --totals "$uri" | awk '$3 ~ /data/ || $4 ~ /data/ { print $1 }'; }
sums() { (cd "$1" && find . -type f | sort | tr '\n' '\0' | xargs -0 sha256sum; find . -type l -o -type d | sort) | sha256sum; }

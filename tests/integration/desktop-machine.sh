# Sourced before show-common.sh by scripts that need an ordinary user and a desktop's services: runs the script again, as
# root, in namespaces of its own (mounts, processes) in which /etc, /run and /media are its own. This machine keeps no
# user, setting or mount of it, and whatever was started ends with it.
#   start_desktop      system bus, udev, polkit, udisks2, which may do for the user what a session at the machine may
#   polkit_says, fuse_lets_root_in   change what he may, afterwards
#   as_user COMMAND…   as "carol": no supplementary group, no capability, nothing in PATH to become somebody else
# Without root the script is skipped (77); a package that is missing (packaging/dependencies test) fails it.
if [ "$(id -u)" != 0 ]; then
  echo "# skipped: only root can make a machine with a fresh user and udisks2 of its own"
  exit 77
fi
if [ -z "${COFFER_DESKTOP:-}" ]; then
  COFFER_DESKTOP=1 exec unshare --mount --pid --fork --kill-child --mount-proc --propagation private "$(readlink -f "$0")" "$@"
fi
PATH=$PATH:/usr/sbin:/sbin
for tool in udisksctl dbus-daemon setpriv useradd fusermount3 fuse2fs mkfs.ext4 rsync; do
  type -p "$tool" >/dev/null || { echo "FAILED: no $tool here (packaging/dependencies test)" >&2; exit 1; }
done
mount -t tmpfs -o mode=755 coffer-run /run
mkdir /run/upper /run/work /run/dbus /run/udev /run/lock
mount -t overlay -o lowerdir=/etc,upperdir=/run/upper,workdir=/run/work coffer-etc /etc
mount -t tmpfs -o mode=755 coffer-media /media
useradd --no-create-home --home-dir /nonexistent --shell /bin/bash carol
[ -e /dev/fuse ] || { echo "FAILED: no /dev/fuse" >&2; exit 1; }

# polkit_says [ACTION=RESULT]…: from now on polkit answers so for carol ("loop-setup=NO"), and YES to all else that udisks2
# asks; with "nothing" there is no rule for her at all.
polkit_says() {
  local one rules=
  for one in "$@"; do
    rules+="if (action.id == \"org.freedesktop.udisks2.${one%=*}\" && subject.user == \"carol\")
      return polkit.Result.${one#*=};"
  done
  mkdir -p /etc/polkit-1/rules.d
  if [ "$*" = nothing ]; then
    rm -f /etc/polkit-1/rules.d/49-carol.rules
  else
    echo "polkit.addRule(function(action, subject) { $rules
      if (action.id.indexOf(\"org.freedesktop.udisks2.\") == 0 && subject.user == \"carol\") return polkit.Result.YES; });" \
      >/etc/polkit-1/rules.d/49-carol.rules
  fi
  stop_polkit
}
ask_bus() { dbus-send --system --print-reply=literal --dest=org.freedesktop.DBus / "org.freedesktop.DBus.$1" "string:$2" 2>/dev/null; }
# The next question starts it anew.
stop_polkit() {
  local pid
  pid=$(ask_bus GetConnectionUnixProcessID org.freedesktop.PolicyKit1 | awk '{ print $2 }') || true
  [ -n "$pid" ] || return 0
  kill "$pid"
  while ask_bus NameHasOwner org.freedesktop.PolicyKit1 | grep -q true; do :; done
}
# fuse_lets_root_in yes|no
fuse_lets_root_in() {
  sed -i '/^user_allow_other/d' /etc/fuse.conf
  [ "$1" = no ] || echo user_allow_other >>/etc/fuse.conf
}

start_desktop() {
  fuse_lets_root_in yes
  polkit_says
  dbus-daemon --system --fork --nopidfile
  /lib/systemd/systemd-udevd >/dev/null 2>&1 &
  for _ in $(seq 100); do
    ! udevadm control --ping --timeout=1 2>/dev/null || break
  done
  udevadm trigger -s block
  udevadm settle -t 20
  udisksctl status >/dev/null
}

# Programs there are, but those that make one somebody else.
user_path=/run/user-path
mkdir "$user_path"
for directory in /bin /usr/bin; do
  for program in "$directory"/*; do
    case ${program##*/} in sudo | su | doas | pkexec | runuser | newgrp | sg) continue ;; esac
    ln -sf "$program" "$user_path/"
  done
done
as_user() {
  setpriv --reuid carol --regid carol --clear-groups env -i \
    PATH="$user_path" HOME="$HOME" XDG_CONFIG_HOME="${XDG_CONFIG_HOME:-}" XDG_STATE_HOME="${XDG_STATE_HOME:-}" \
    XDG_CACHE_HOME="${XDG_CACHE_HOME:-}" XDG_RUNTIME_DIR="${XDG_RUNTIME_DIR:-}" "$@"
}

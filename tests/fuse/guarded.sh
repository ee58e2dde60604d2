#!/bin/bash
# Runs a program that serves and uses FUSE mounts itself, and ends it for certain.
#   guarded.sh SECONDS PROGRAM [ARGUMENT…]
# A thread that waits in the kernel for its own process to answer cannot be killed: the process would never end, nor
# its mount. So after that time, or after a crash, mounts below the program's TMPDIR are aborted from outside.
set -uo pipefail
seconds=$1
shift
place=$(mktemp -d "${TMPDIR:-/tmp}/coffer-guarded-XXXXXX")
chmod 711 "$place" # as_user.sh goes below it

# mountinfo's third field is MAJOR:MINOR; the minor number names the connection.
abort_mounts() {
  local device point
  while read -r _ _ device _ point _; do
    [ "$(id -u)" -eq 0 ] && umount -f "$point" 2>/dev/null
    echo 1 2>/dev/null >"/sys/fs/fuse/connections/${device#*:}/abort"
    fusermount3 -u -z "$point" 2>/dev/null
  done < <(grep -F " $place/" /proc/self/mountinfo | grep -F " - fuse.")
}

TMPDIR=$place setsid "$@" &
program=$!
# Its main thread may be gone while others are still there.
ended() {
  kill -0 "$program" 2>/dev/null || return 0
  [ "$(cut -d' ' -f3 "/proc/$program/stat" 2>/dev/null)" = Z ] &&
    [ "$(ls "/proc/$program/task" 2>/dev/null | wc -l)" -le 1 ]
}
# A crash shows by its main thread: it has left its work and waits for the others to be gone.
crashed() {
  grep -qE '^(do_exit|vfs_coredump|do_group_exit)$' "/proc/$program/wchan" 2>/dev/null ||
    [ "$(cut -d' ' -f3 "/proc/$program/stat" 2>/dev/null)" = Z ]
}
# Counted in pauses, not by the clock: a machine that stood still for a while takes no time from the program.
pauses=$((seconds * 10))
until ended; do
  pauses=$((pauses - 1))
  [ "$pauses" -ne 0 ] || kill -KILL -- "-$program" 2>/dev/null
  if [ "$pauses" -lt 0 ] || crashed; then
    abort_mounts
  fi
  sleep 0.1
done
wait "$program"
code=$?
[ "$pauses" -gt 0 ] || { echo "guarded.sh: not within $seconds s" >&2; code=1; }
abort_mounts
rm -rf --one-file-system "$place"
exit "$code"

#!/bin/bash
# cofferd where a control group leaves it little memory (run as root): in 300 MiB a volume of `mib` (default 2048) is read
# whole by nbdcopy and nothing is killed; in 200 MiB, less than the password's hash wants, opening says so (exit 1 or more)
# or works, and the process lives on. Prints the most that it took in each.
source "$(dirname "$0")/show-common.sh"
mib=${mib:-2048}
[ "$(id -u)" = 0 ] || { say "not run: only root makes control groups"; exit 77; }
if [ -d /sys/fs/cgroup/memory ]; then
  top=/sys/fs/cgroup/memory limit=memory.limit_in_bytes most=memory.max_usage_in_bytes
else
  top=/sys/fs/cgroup limit=memory.max most=memory.peak
  echo +memory >"$top/cgroup.subtree_control" || { say "not run: no control groups for memory here"; exit 77; }
fi
mkdir "$top/coffer-show-$$" 2>/dev/null || { say "not run: no control groups can be made here"; exit 77; }
rmdir "$top/coffer-show-$$"
group=$top/coffer-show-$$
leave_group() { echo $$ >"$top/cgroup.procs"; }
tidy_up() {
  local status=$?
  leave_group
  "$coffer" daemon stop --force >/dev/null 2>&1 || true
  for left in "$group"-*; do [ ! -d "$left" ] || rmdir "$left" || true; done
  cleanup "$status"
}
trap tidy_up EXIT
# in_group MIB: the daemon that is started next is in a group of its own with so much memory.
in_group() {
  mkdir -p "$group-$1"
  echo $(($1 << 20)) >"$group-$1/$limit"
  echo $$ >"$group-$1/cgroup.procs"
  "$coffer" list >/dev/null
  leave_group
}
out_of_group() {
  "$coffer" daemon stop --force >/dev/null
  taken=$(($(cat "$group-$1/$most") >> 20))
  while ! rmdir "$group-$1" 2>/dev/null; do :; done
}

use_machine first
new_password
"$coffer" init photos "$work/store" "${mib}M" --password-file "$work/password" >/dev/null
uri=$(open_volume photos)
head -c "$((mib << 20))" /dev/urandom >"$work/data"
nbdcopy "$work/data" "$uri"
"$coffer" close photos >/dev/null
"$coffer" daemon stop >/dev/null
sum=$(sha256sum <"$work/data")

in_group 300
uri=$(open_volume photos)
pid=$(daemon_pid)
nbdcopy "$uri" - | sha256sum | grep -qxF "$sum" || fail "other bytes were read in 300 MiB"
[ "$(daemon_pid)" = "$pid" ] && kill -0 "$pid" || fail "cofferd was killed in 300 MiB"
"$coffer" close photos >/dev/null
out_of_group 300
say "in 300 MiB: $mib MiB read, $taken MiB taken at most"
figure="300 MiB: $taken MiB taken"

in_group 200
pid=$(daemon_pid)
if "$coffer" open photos --nbd --password-file "$work/password" >"$work/out" 2>&1; then
  outcome="opened"
  "$coffer" close photos >/dev/null
else
  outcome="refused: $(tr '\n' ' ' <"$work/out")"
  grep -qi memory "$work/out" || fail "it does not say what is lacking: $outcome"
fi
kill -0 "$pid" || fail "cofferd was killed in 200 MiB"
out_of_group 200
say "in 200 MiB: $outcome"
echo "$figure; 200 MiB: $taken MiB taken"

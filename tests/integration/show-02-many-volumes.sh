#!/bin/bash
# 50 volumes open and idle (volumes=… changes that): beyond what the first one took, less than 10 MB each,
# 0 store requests, one timer's wake-ups in 30 s at most (seconds=…); measured as opened, and again after 8 MiB
# (show_mib=…) were written to each and synced.
source "$(dirname "$0")/show-common.sh"
volumes=${volumes:-50}
seconds=${seconds:-30}
mib=${show_mib:-8}
use_machine first
new_password
for i in $(seq "$volumes"); do
  "$coffer" init "disk$i" "$work/store" 64G --password-file "$work/password" >/dev/null
done
head -c "${mib}M" /dev/urandom >"$work/data"
# Resident memory, kB: the kernel's own count where this user may read it, else the coarser one.
memory() {
  awk '/^Pss:/ { print $2; exit }' "/proc/$pid/smaps_rollup" 2>/dev/null ||
    awk '/^VmRSS:/ { print $2 }' "/proc/$pid/status"
}
switches() { cat "/proc/$pid"/task/*/status | awk '/ctxt_switches/ { sum += $2 } END { print sum }'; }
threads() { find "/proc/$pid/task" -mindepth 1 -maxdepth 1 | wc -l; }

# Objects of the store and when they were read, written, changed; stat itself notes nothing.
mark_store() {
  find "$work/store" -print0 >"$work/paths"
  xargs -0 touch -a -d @1000000000 <"$work/paths"
  look >"$work/before"
}
look() { xargs -0 stat -c '%n %i %s %X %Y %Z' <"$work/paths"; }
# idle WHAT: some time without wake-ups and requests.
idle() {
  mark_store
  local before after
  before=$(switches)
  sleep "$seconds"
  after=$(switches)
  look | cmp -s - "$work/before" || fail "$1: the store was used"
  wakeups=$((after - before))
  [ "$wakeups" -le "$seconds" ] || fail "$1: $wakeups context switches in $seconds s"
  say "$1: $wakeups context switches in $seconds s, $(threads) threads"
}

open_volume disk1 >"$work/place1"
pid=$(daemon_pid)
first=$(memory)
first_threads=$(threads)
for i in $(seq 2 "$volumes"); do open_volume "disk$i" >"$work/place$i"; done
opened=$(memory)
# Each has the loop of its export, which sleeps; the rest is of pools and of the vault, however many volumes.
threads_max=$((first_threads + volumes - 1 + 8))
for ((i = 0; i < 600 && $(threads) > threads_max; ++i)); do sleep 0.1; done
[ "$(threads)" -le "$threads_max" ] ||
  fail "volumes have more threads than a loop each: $first_threads, $(threads)"
idle "as opened"

for i in $(seq "$volumes"); do
  nbdcopy --flush "$work/data" "$(cat "$work/place$i")"
done
for i in $(seq "$volumes"); do "$coffer" sync "disk$i" >/dev/null; done
[ "$seconds" -lt 30 ] || sleep 61  # the age timers of those writes
used=$(memory)
idle "after $mib MiB each"

each() { awk -v a="$first" -v b="$1" -v n="$volumes" 'BEGIN { printf "%.2f", (b - a) / 1000 / (n - 1) }'; }
for now in "$opened" "$used"; do
  awk -v e="$(each "$now")" 'BEGIN { exit !(e < 10) }' || fail "$(each "$now") MB a volume"
done
echo "$volumes volumes open: the first $((first / 1000)) MB, each more $(each "$opened") MB as opened," \
  "$(each "$used") MB after $mib MiB written and synced; 0 store requests, $wakeups context switches in $seconds s"

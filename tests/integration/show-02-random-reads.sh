#!/bin/bash
# 4 KiB reads at random, answered from the disk cache alone (no memory cache for frames, the store's packs gone),
# beside nbdkit's file plugin with the same bytes in the page cache: >= 0.15 x its rate, at queue depths 1 and 32,
# medians of runs in turn. Run it on an idle machine. show_mib=… show_runs=… show_seconds=… make it smaller, bar=… lower.
source "$(dirname "$0")/show-common.sh"
for program in fio nbdkit; do
  command -v "$program" >/dev/null || { say "skipped: no $program"; exit 77; }
done
mib=${show_mib:-512}
runs=${show_runs:-5}
seconds=${show_seconds:-5}
bar=${bar:-0.15}

use_machine first
new_password
head -c "${mib}M" /dev/urandom >"$work/disk.img"
"$coffer" init photos "$work/store" "${mib}M" --password-file "$work/password" >/dev/null
nbdcopy "$work/disk.img" "$(open_volume photos)"
"$coffer" close photos >/dev/null
"$coffer" daemon stop >/dev/null

use_machine second
mkdir -p -m 700 "$XDG_CONFIG_HOME/coffer"
(umask 077 && printf '[defaults]\nmemory_cache_bytes_max = 0\n' >"$XDG_CONFIG_HOME/coffer/config.toml")
"$coffer" add "$work/store" --as photos --password-file "$work/password" >/dev/null
uri=$(open_volume photos --read-only)
nbdcopy "$uri" "$work/back.img"
cmp "$work/disk.img" "$work/back.img"
rm "$work/back.img"
mv "$work/store/packs" "$work/packs-away"

nbdkit --exit-with-parent -f -U "$work/file.sock" -P "$work/file.pid" file file="$work/disk.img" 2>/dev/null &
until [ -s "$work/file.pid" ]; do sleep 0.1; done
file_uri="nbd+unix:///?socket=$work/file.sock"

# rate URI DEPTH: 4 KiB reads a second.
rate() {
  fio --name=job --ioengine=nbd --uri="$1" --rw=randread --bs=4k --iodepth="$2" --time_based --runtime="$seconds" \
    --ramp_time=1 --randrepeat=1 --output-format=terse --terse-version=3 2>/dev/null |
    awk -F';' '$1 == 3 && $5 == 0 { print $8; found = 1 } END { exit !found }'
}
median() { sort -n | awk '{ all[NR] = $1 } END { print all[int((NR + 1) / 2)] }'; }

worst=1000
for depth in 1 32; do
  : >"$work/ours"
  : >"$work/theirs"
  for ((run = 0; run < runs; run++)); do
    rate "$uri" "$depth" >>"$work/ours"
    rate "$file_uri" "$depth" >>"$work/theirs"
  done
  ours=$(median <"$work/ours")
  theirs=$(median <"$work/theirs")
  ratio=$(awk -v a="$ours" -v b="$theirs" 'BEGIN { printf "%.3f", a / b }')
  say "queue depth $depth: coffer $ours a second ($(sort -n "$work/ours" | tr '\n' ' ')), nbdkit file $theirs" \
    "($(sort -n "$work/theirs" | tr '\n' ' ')): $ratio"
  worst=$(awk -v a="$worst" -v b="$ratio" 'BEGIN { print (a < b) ? a : b }')
done
awk -v a="$worst" -v b="$bar" 'BEGIN { exit !(a >= b) }' || fail "$worst is less than $bar of nbdkit file"
echo "random reads: 4 KiB from the disk cache >= $worst x nbdkit file"

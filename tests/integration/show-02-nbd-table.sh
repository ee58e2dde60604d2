#!/bin/bash
# coffer, with and without its background sync, beside other NBD servers: 9 jobs x 6 servers as TSV, no cell missing; then the three places of cofferd
# with most samples in each job's profile (root only). runs=…, seconds=…, show_mib=…. On an idle machine.
source "$(dirname "$0")/show-common.sh"
for tool in fio nbdkit qemu-nbd nbdcopy; do
  type -p "$tool" >/dev/null || { say "skipped: no $tool here (packaging/dependencies bench)"; exit 77; }
done
runs=${runs:-3}
seconds=${seconds:-5}
mib=${show_mib:-512}
COFFER_BUILD=$build BENCH_TMP=$work "$repo/tests/bench/nbd-table" --runs "$runs" --seconds "$seconds" \
  --size "$mib" ${plot:+--plot "$plot"} >"$work/table"
cat "$work/table"
cells=$(awk -F '\t' 'NF == 8 && $1 != "job" && $4 > 0 { cells[$1 "\t" $3] = 1 } END { print length(cells) }' "$work/table")
[ "$cells" -eq 54 ] || fail "$cells cells instead of 54"
slowest="no profile: perf needs root"
if [ "$(id -u)" -eq 0 ] && type -p perf >/dev/null; then
  COFFER_BUILD=$build BENCH_TMP=$work "$repo/tests/bench/profile" --seconds "$seconds" --size "$mib" --places 3 \
    >"$work/profile"
  cat "$work/profile"
  slowest="$(grep -vc '^#\|^job' "$work/profile") places of 6 profiles named"
fi
echo "9 jobs x 6 servers, 54 cells; $slowest"

#!/bin/bash
# coffer's image file beside gocryptfs, cryfs and nbdfuse, medians of five runs in turn, through the page cache and
# with O_DIRECT. Fails where less than 0.9 of a bar is reached. runs=…, seconds=…, show_mib=… make it smaller, least=0
# takes the bars away. On an idle machine.
source "$(dirname "$0")/show-common.sh"
for tool in fio nbdkit nbdfuse gocryptfs cryfs fusermount3; do
  type -p "$tool" >/dev/null || { say "skipped: no $tool here (packaging/dependencies bench)"; exit 77; }
done
COFFER_BUILD=$build BENCH_TMP=$work "$repo/tests/bench/fuse-table" --runs "${runs:-5}" --seconds "${seconds:-2}" \
  --size "${show_mib:-1024}" --least "${least:-0.9}" ${plot:+--plot "$plot"} | tee "$work/table"
cells=$(awk -F '\t' 'NF == 7 && $1 != "job" && $4 > 0 { cells[$1 "\t" $3] = 1 } END { print length(cells) }' "$work/table")
bars=$(awk -F '\t' 'NF == 2 && $1 !~ /^share/ && $2 > 0 { bars[$1] = 1 } END { print length(bars) }' "$work/table")
[ "$cells" -eq 48 ] || fail "$cells cells instead of 48"
[ "$bars" -eq 12 ] || fail "$bars bars instead of 12"
echo "12 jobs x 4 files, 48 cells, 12 bars"

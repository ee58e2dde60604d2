#!/bin/bash
# coffer beside nbdkit and qemu-nbd, hot data over a Unix socket, medians of five runs in turn: each row's bar, the
# processor time of the server for each 4 KiB operation, with and without background sync, and how the rates of four
# clients compare with one's. Fails where less than 0.9 of a bar is reached. runs=…, seconds=…, show_mib=… make it
# smaller, least=0 takes the bars away. On an idle machine.
source "$(dirname "$0")/show-common.sh"
for tool in fio nbdkit qemu-nbd nbdcopy; do
  type -p "$tool" >/dev/null || { say "skipped: no $tool here (packaging/dependencies bench)"; exit 77; }
done
COFFER_BUILD=$build BENCH_TMP=$work "$repo/tests/bench/nbd-table" --runs "${runs:-5}" --seconds "${seconds:-2}" \
  --size "${show_mib:-1024}" --least "${least:-0.9}" ${plot:+--plot "$plot"} | tee "$work/table"
cells=$(awk -F '\t' 'NF == 8 && $1 != "job" && $4 > 0 { cells[$1 "\t" $3] = 1 } END { print length(cells) }' "$work/table")
bars=$(awk -F '\t' 'NF == 3 && $1 !~ /^share/ && $2 > 0 && $3 > 0 { bars[$1] = 1 } END { print length(bars) }' "$work/table")
[ "$cells" -eq 54 ] || fail "$cells cells instead of 54"
[ "$bars" -eq 11 ] || fail "$bars bars instead of 11"
echo "9 jobs x 6 servers, 54 cells, 11 bars"

#!/bin/bash
# 1 GiB of files from /usr into a directory store, coffer beside restic (and borg): coffer takes at most half of
# restic's time (medians of 5), stores at most 1.15 x its bytes. runs=…, show_mib=…; the bars are judged from 5 runs
# of 1 GiB on. On an idle machine.
source "$(dirname "$0")/show-common.sh"
for tool in restic fio nbdcopy mkfs.ext4; do
  type -p "$tool" >/dev/null || { say "skipped: no $tool here (packaging/dependencies bench)"; exit 77; }
done
runs=${runs:-5}
mib=${show_mib:-1024}
COFFER_BUILD=$build BENCH_TMP=$work "$repo/tests/bench/upload" --runs "$runs" --mib "$mib" >"$work/table"
cat "$work/table"
judged=no
[ "$runs" -lt 5 ] || [ "$mib" -lt 1024 ] || judged=yes
awk -F '\t' -v judged=$judged '
  $1 == "coffer" { seconds = $2; stored = $6 }
  $1 == "restic" { times = $2 / seconds; share = stored / $6 }
  END {
    if (!share) { print "the table lacks a line" > "/dev/stderr"; exit 1 }
    printf "coffer takes %.2f s, restic %.2f x that; coffer stores %.3f x the bytes of restic%s\n", seconds, times,
           share, judged == "yes" ? "" : " (not judged: too small a run)"
    if (judged == "yes" && (times < 2 || share > 1.15)) exit 1
  }' "$work/table" || fail "at least 2 x as fast as restic, at most 1.15 x its bytes"

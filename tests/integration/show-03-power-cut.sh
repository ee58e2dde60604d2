#!/bin/bash
# Power cuts under load: cofferd's state directory on a FUSE file system that drops what was not synced, then the
# store too; every block compared after each. Shows first that the file system loses data of a program that leaves
# out fsync. rounds=… (each half) makes it smaller.
show_targets="coffer_cheap cofferd_cheap powercut_fs" show_options="-DCOFFER_FAILPOINTS=ON"
source "$(dirname "$0")/show-common.sh"
rounds=${rounds:-50}
for program in fio fusermount3; do
  command -v "$program" >/dev/null || { say "skipped: no $program"; exit 77; }
done
powercut=$build/tests/support/powercut_fs
[ -x "$powercut" ] || { say "skipped: built without libfuse3"; exit 77; }
[ -r /dev/fuse ] && [ -w /dev/fuse ] || { say "skipped: no /dev/fuse here"; exit 77; }
for store in "" --store-too; do
  # shellcheck disable=SC2086
  SHOW_TMP=$work python3 -B "$repo/tests/integration/power_rounds.py" "$build/tests/cli/cheap" "$powercut" \
    --rounds "$rounds" $store
done

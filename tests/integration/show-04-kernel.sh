#!/bin/bash
# The kernel's own NBD client on a volume, in a virtual machine with Debian's kernel (software emulation; no root, no
# /dev/kvm): ext4, xfs and btrfs made, filled, trimmed, checked and compared again; the daemon killed under a mounted
# ext4; a machine short of memory. Scenarios: tests/kernel/guest. Fails if a step is missing.
#   kernel=6.12|6.1   scenarios="file-systems …"   kernel_directory=DIR where unpacked kernels are kept (default: the build's)
show_targets="coffer_cheap cofferd_cheap"
source "$(dirname "$0")/show-common.sh"
kernel=${kernel:-6.12}
scenarios=${scenarios:-file-systems daemon-dies memory}
machines=$repo/tests/kernel
for tool in qemu-system-x86_64 cpio depmod; do
  PATH=$PATH:/usr/sbin:/sbin type -p "$tool" >/dev/null || fail "no $tool here (packaging/dependencies kernel)"
done

# What each scenario must have done, in this order.
steps_of() {
  case $1 in
    file-systems)
      for fs in ext4 xfs btrfs; do
        printf "$fs %s\n" "attached over two connections" "made" "mounted, .* copied, synced" "trimmed, " \
          "unmounted, checked: clean" "connected again, mounted, compared: equal" \
          "closed, daemon stopped, opened from the store, compared: equal"
      done ;;
    daemon-dies)
      printf '%s\n' "ext4 mounted over two connections" "files fsynced under way" \
        "the writer has ended, [0-9]* files fsynced" "reads fail with: Input/output error" \
        "unmounted and disconnected" "opened again, connected again, e2fsck: clean" \
        "all [0-9]* fsynced files there and equal" ;;
    memory)
      printf '%s\n' "[0-9]* MiB of memory available" "192 MiB written by three, synced" \
        "read back and compared: equal, e2fsck: clean" ;;
    *) fail "no scenario $1" ;;
  esac
}

directory=$("$machines/fetch-kernel" "${kernel_directory:-$build/kernels}" "$kernel")
say "kernel $(ls "$directory/lib/modules")"
"$machines/make-initramfs" "$directory" "$build" "$work/initramfs"
steps=0
for scenario in $scenarios; do
  began=$(now)
  truncate -s 0 "$work/disk"
  truncate -s 4G "$work/disk"
  "$machines/boot" "$directory" "$work/initramfs" "$work/disk" "$scenario" >"$work/console" ||
    { status=$?; tail -100 "$work/console"; fail "$scenario: exit $status"; }
  sed -n 's/^STEP //p' "$work/console" >"$work/steps"
  awk '{ seconds = $2; $1 = $2 = ""; printf "%6.1f s  %s\n", seconds, $0 }' "$work/steps"
  steps_of "$scenario" >"$work/wanted"
  [ "$(wc -l <"$work/wanted")" -eq "$(wc -l <"$work/steps")" ] || fail "$scenario: steps are missing, or there are others"
  paste -d '\n' "$work/wanted" <(cut -d' ' -f3- "$work/steps") | while read -r wanted && read -r done; do
    [[ $done =~ ^$wanted ]] || fail "$scenario: '$done' instead of '$wanted'"
  done
  steps=$((steps + $(wc -l <"$work/steps")))
  say "$scenario: $(since "$began") s"
done
[ "$steps" -gt 0 ] || fail "nothing was done"
echo "kernel $(ls "$directory/lib/modules"): $(wc -w <<<"$scenarios") scenarios, $steps steps, all hold"

#!/bin/sh
# Real NBD clients against coffer's server over a device in memory.
#
#   nbd-clients.sh PATH/TO/nbd_memory_server
#
# Each client that is not installed is skipped with a line saying so; exit 77 when none is.
set -eu
server=$1
size_mib=64
work=$(mktemp -d)
feed=
ran=0

stop_server() {
  [ -n "$feed" ] || return 0
  exec 9>&-
  wait "$feed"
  feed=
}
finish() {
  status=$?
  exec 9>&- 2>/dev/null || true
  rm -rf "$work"
  exit "$status"
}
trap finish EXIT

# Serves at $1 with the further words of the command line; sets $uri.
start_server() {
  rm -f "$work/feed" "$work/uri"
  mkfifo "$work/feed" "$work/uri"
  "$server" "$1" "$size_mib" ${2:-} <"$work/feed" >"$work/uri" 9>&- &
  feed=$!
  exec 9>"$work/feed"
  read -r uri <"$work/uri"
}
have() {
  if command -v "$1" >/dev/null 2>&1; then
    ran=$((ran + 1))
    return 0
  fi
  echo "skipped: $1 is not installed"
  return 1
}
same() {
  cmp -s "$1" "$2" || { echo "FAILED: $3: bytes differ"; exit 1; }
  echo "ok: $3"
}

python=
for candidate in python3 /usr/bin/python3; do
  if "$candidate" -c 'import nbd; nbd.NBD' 2>/dev/null; then python=$candidate; fi
done
if [ -n "$python" ]; then
  ran=$((ran + 1))
else
  echo "skipped: python3-libnbd is not installed"
fi

head -c $((size_mib * 1048576)) /dev/urandom >"$work/random.img"
cp "$work/random.img" "$work/sparse.img"
dd if=/dev/zero of="$work/sparse.img" bs=1M seek=16 count=20 conv=notrunc status=none

for way in "" jobs-only; do
  for address in "unix:$work/s" tcp:127.0.0.1:0; do
    start_server "$address" $way
    label="${address%%:*}${way:+ $way}"

    if have nbdinfo; then
      nbdinfo "$uri" >"$work/info"
      for line in "export-size: $((size_mib * 1048576))" "description: a device in memory" \
        "can_fua: true" "can_flush: true" "can_trim: true" "can_zero: true" \
        "can_fast_zero: true" "can_multi_conn: true" "is_read_only: false" \
        "block_size_minimum: 1" "block_size_preferred: 65536" "block_size_maximum: 33554432"; do
        grep -q "$line" "$work/info" || { cat "$work/info"; echo "FAILED: no '$line'"; exit 1; }
      done
      nbdinfo --list "$uri" | grep -q 'export="memory"'
      nbdinfo "$(echo "$uri" | sed 's|memory||')" >/dev/null
      if nbdinfo "$(echo "$uri" | sed 's|memory|other|')" >"$work/err" 2>&1; then
        echo "FAILED: an export that is not there"
        exit 1
      fi
      grep -q 'No such file or directory for export: other' "$work/err"
      for can in read write cache df fast-zero flush fua multi-conn trim zero; do
        nbdinfo --can "$can" "$uri" || { echo "FAILED: nbdinfo --can $can"; exit 1; }
      done
      grep -q "using structured packets" "$work/info" || { cat "$work/info"; echo "FAILED: simple replies"; exit 1; }
      grep -q "base:allocation" "$work/info" || { cat "$work/info"; echo "FAILED: no context listed"; exit 1; }
      echo "ok: nbdinfo, $label"
    fi

    if have nbdcopy; then
      nbdcopy "$work/random.img" "$uri"
      nbdcopy "$uri" "$work/back.img"
      same "$work/random.img" "$work/back.img" "nbdcopy, $label"
      nbdcopy --synchronous --flush --allocated "$work/sparse.img" "$uri"
      nbdcopy --connections=1 --requests=1 "$uri" "$work/back.img"
      same "$work/sparse.img" "$work/back.img" "nbdcopy one at a time, $label"
    fi

    if have qemu-img; then
      qemu-img convert -n -f raw -O raw "$work/random.img" "$uri"
      qemu-img compare -f raw -F raw "$work/random.img" "$uri" >/dev/null
      qemu-img convert -n -S 4k -f raw -O raw "$work/sparse.img" "$uri"
      qemu-img convert -f raw -O raw "$uri" "$work/back.img"
      same "$work/sparse.img" "$work/back.img" "qemu-img, $label"
      # The hole of 20 MiB at 16 MiB as such, and nothing else that reads as zeros.
      qemu-img map --output=json -f raw "$uri" >"$work/map"
      python3 - "$work/map" <<'PYTHON' || { cat "$work/map"; echo "FAILED: qemu-img map"; exit 1; }
import json
import sys

zeros = [(e["start"], e["length"]) for e in json.load(open(sys.argv[1])) if e["zero"]]
assert zeros == [(16 << 20, 20 << 20)], zeros
PYTHON
      if have nbdinfo; then
        nbdinfo --map "$uri" | awk '{ print $1, $2, $3 }' >"$work/map"
        printf '%s\n' "0 16777216 0" "16777216 20971520 3" "37748736 29360128 0" | cmp -s - "$work/map" || {
          cat "$work/map"
          echo "FAILED: nbdinfo --map"
          exit 1
        }
      fi
      qemu-img compare -f raw -F raw "$work/sparse.img" "$uri" >/dev/null
      echo "ok: maps of qemu-img and nbdinfo, $label"
    fi

    if have qemu-io; then
      qemu-io -f raw \
        -c "write -P 0x11 0 1M" -c "write -f -P 0x22 1M 64k" -c "write -z 256k 64k" \
        -c "write -z -u 512k 64k" -c "discard 768k 64k" -c "write -P 0x33 4095 3" -c flush \
        -c "read -P 0x11 8k 248k" -c "read -P 0 256k 64k" -c "read -P 0x11 320k 192k" \
        -c "read -P 0 512k 64k" -c "read -P 0 768k 64k" -c "read -P 0x22 1M 64k" \
        -c "read -P 0x33 4095 3" "$uri" >"$work/qemu-io.log" 2>&1 || {
        cat "$work/qemu-io.log"
        exit 1
      }
      if grep -qi "fail\|error" "$work/qemu-io.log"; then
        cat "$work/qemu-io.log"
        exit 1
      fi
      echo "ok: qemu-io, $label"
    fi

    if have fio; then
      for rw in "randrw --bs=4k --iodepth=32" "randwrite --bsrange=512-300k --iodepth=8"; do
        # shellcheck disable=SC2086
        (cd "$work" && fio --name=verify --ioengine=nbd --uri="$uri" --rw=$rw --size=${size_mib}m \
          --verify=crc32c --verify_fatal=1 --verify_backlog=256 --fsync=64 --bs_unaligned=0 \
          >"$work/fio.log" 2>&1) || { cat "$work/fio.log"; exit 1; }
      done
      echo "ok: fio with verify, $label"
    fi

    # Whatever a client sends, the next one is served.
    if [ -n "$python" ]; then
      "$python" - "$uri" <<'PYTHON'
import errno
import sys

import nbd

h = nbd.NBD()
h.add_meta_context(nbd.CONTEXT_BASE_ALLOCATION)
h.add_meta_context("qemu:dirty-bitmap:none")
h.connect_uri(sys.argv[1])
assert h.get_structured_replies_negotiated() and h.can_df()
assert h.can_meta_context(nbd.CONTEXT_BASE_ALLOCATION)
assert not h.can_meta_context("qemu:dirty-bitmap:none")

def refused(call, *codes):
    try:
        call()
    except nbd.Error as error:
        assert error.errnum in codes, error
        return
    raise AssertionError("not refused")

h.set_strict_mode(0)
size = h.get_size()
refused(lambda: h.pread(2, size - 1), errno.EINVAL)
refused(lambda: h.pwrite(b"xx", size - 1), errno.ENOSPC)
refused(lambda: h.pwrite(b"x" * 100000, size), errno.ENOSPC)
refused(lambda: h.trim(2, size - 1), errno.EINVAL)
refused(lambda: h.zero(2, size - 1), errno.ENOSPC)
refused(lambda: h.pread(0, 0), errno.EINVAL)
refused(lambda: h.pwrite(b"", 0), errno.EINVAL)
refused(lambda: h.cache(2, size - 1), errno.EINVAL)
assert h.can_cache()
h.cache(512, 0)
refused(lambda: h.pread(512, 0, 1 << 5), errno.EINVAL, errno.ENOTSUP)
refused(lambda: h.pread(512, 0, nbd.CMD_FLAG_REQ_ONE), errno.EINVAL)
refused(lambda: h.trim(512, 0, nbd.CMD_FLAG_DF), errno.EINVAL)
refused(lambda: h.flush(nbd.CMD_FLAG_DF), errno.EINVAL)
refused(lambda: h.block_status(2, size - 1, lambda *_: 0), errno.EINVAL)
refused(lambda: h.block_status(0, 0, lambda *_: 0), errno.EINVAL)
refused(lambda: h.block_status(512, 0, lambda *_: 0, nbd.CMD_FLAG_DF), errno.EINVAL)

def status(count, offset, flags=0):
    told = []
    h.block_status(count, offset, lambda context, at, entries, error: told.append((context, at, entries)), flags)
    assert len(told) == 1 and told[0][:2] == ("base:allocation", offset), told
    return told[0][2]

h.zero(1 << 20, 0)
h.pwrite(b"d" * 8192, 65536)
assert status(1 << 20, 0) == [65536, 3, 8192, 0, (1 << 20) - 73728, 3]
assert status(1 << 20, 65536, nbd.CMD_FLAG_REQ_ONE) == [8192, 0]
assert status(100, 65530) == [6, 3, 94, 0]

# Reads as chunks: holes as such, one chunk with DF, both the same bytes.
for count in 131072, 1 << 20:
    for flags in 0, nbd.CMD_FLAG_DF:
        kinds = []
        data = h.pread_structured(count, 0, lambda part, at, kind, error: kinds.append(kind), flags)
        assert data == bytes(65536) + b"d" * 8192 + bytes(count - 73728)
        assert kinds == ([nbd.READ_DATA] if flags else [nbd.READ_HOLE, nbd.READ_DATA, nbd.READ_HOLE]), kinds
h.pwrite(b"in step", 12345)
assert h.pread(7, 12345) == b"in step"
h.pwrite(b"forced", 0, nbd.CMD_FLAG_FUA)
h.zero(6, 0, nbd.CMD_FLAG_FAST_ZERO | nbd.CMD_FLAG_NO_HOLE)
assert h.pread(6, 0) == bytes(6)
# Every command with every flag it takes.
h.pwrite(b"all flags", 4096, nbd.CMD_FLAG_FUA)
assert h.pread(9, 4096, nbd.CMD_FLAG_DF) == b"all flags"
h.trim(9, 4096, nbd.CMD_FLAG_FUA)
assert h.pread(9, 4096) == bytes(9)
h.zero(512, 4096, nbd.CMD_FLAG_FUA | nbd.CMD_FLAG_NO_HOLE | nbd.CMD_FLAG_FAST_ZERO)
h.flush()
# A client without structured replies still gets simple ones.
simple = nbd.NBD()
simple.set_request_structured_replies(False)
simple.connect_uri(sys.argv[1])
assert not simple.get_structured_replies_negotiated() and not simple.can_df()
assert simple.pread(8192, 65536) == b"d" * 8192
simple.shutdown()
# Many at once, some of them the client's largest.
buffers = [(h.aio_pread(buffer, 0), buffer) for buffer in (nbd.Buffer(n) for n in [32 << 20] * 3 + [512] * 200)]
while h.aio_in_flight() > 0:
    h.poll(-1)
for cookie, _ in buffers:
    assert h.aio_command_completed(cookie)
h.shutdown()
PYTHON
      echo "ok: libnbd in python, $label"
    fi

    stop_server
    [ ! -e "$work/s" ] || { echo "FAILED: the socket is still there"; exit 1; }
  done
done

if have nbdinfo && have nbdcopy; then
  start_server "unix:$work/s" read-only
  nbdinfo "$uri" | grep -q "is_read_only: true"
  if nbdcopy "$work/random.img" "$uri" 2>/dev/null; then
    echo "FAILED: a read-only export took a copy"
    exit 1
  fi
  echo "ok: read-only"
  stop_server
fi

[ "$ran" -gt 0 ] || { echo "skipped: no NBD client is installed"; exit 77; }

"""Rows of the client matrix: qemu's block layer (qemu-img, qemu-io, qemu-nbd)."""
import json
import os
import socket
import subprocess

from matrix import row

MIB = 1 << 20


def identical(t, path, uri):
    out, _ = t.run("qemu-img", "compare", "-f", "raw", "-F", "raw", path, uri)
    t.ensure("Images are identical" in out, out)


@row("qemu-img", "info: format and size")
def info(t):
    told = json.loads(t.run("qemu-img", "info", "-f", "raw", "--output=json", t.bed.uri)[0])
    t.ensure(told["virtual-size"] == t.bed.size and told["format"] == "raw", told)


@row("qemu-img", "map: the holes of what was written, no others")
def qemu_map(t):
    t.bed.load()
    extents = json.loads(t.run("qemu-img", "map", "--output=json", "-f", "raw", t.bed.uri)[0])
    runs = []
    for e in extents:  # neighbours merged
        if runs and runs[-1][2] == e["zero"]:
            runs[-1][1] += e["length"]
        else:
            runs.append([e["start"], e["length"], e["zero"]])
    tail = (t.bed.size - 12345) // 4096 * 4096
    t.ensure(runs == [[0, 16 * MIB, False], [16 * MIB, 16 * MIB, True], [32 * MIB, 16 * MIB, False],
                      [48 * MIB, tail - 48 * MIB, True], [tail, t.bed.size - tail, False]], runs)


@row("qemu-img", "convert -n to the volume: every byte; compare calls it identical, and one changed byte not")
def convert_to(t):
    t.bed.fill(0xEE)
    t.run("qemu-img", "convert", "-n", "-f", "raw", "-O", "raw", t.bed.image, t.bed.uri)
    t.ensure(t.bed.differs(t.bed.image) is None, "differs")
    identical(t, t.bed.image, t.bed.uri)
    handle = t.bed.connect()
    byte = handle.pread(1, 33 * MIB)[0] ^ 1
    handle.pwrite(bytes([byte]), 33 * MIB)
    handle.shutdown()
    out, _ = t.run("qemu-img", "compare", "-f", "raw", "-F", "raw", t.bed.image, t.bed.uri, code=1)
    t.ensure("Content mismatch at offset" in out, out)


@row("qemu-img", "convert -n --target-is-zero to a trimmed volume, -S 4k, 16 coroutines out of order, cache none")
def convert_ways(t):
    handle = t.bed.connect()
    handle.trim(t.bed.size, 0)
    handle.shutdown()
    t.run("qemu-img", "convert", "-n", "--target-is-zero", "-f", "raw", "-O", "raw", t.bed.image, t.bed.uri)
    t.ensure(t.bed.differs(t.bed.image) is None, "differs: --target-is-zero")
    t.bed.fill(0xEE)
    t.run("qemu-img", "convert", "-n", "-S", "4k", "-m", "16", "-W", "-t", "none", "-f", "raw", "-O", "raw",
          t.bed.image, t.bed.uri)
    t.ensure(t.bed.differs(t.bed.image) is None, "differs: -S 4k -m 16 -W")


@row("qemu-img", "convert from the volume to qcow2 and back to raw: every byte")
def convert_from(t):
    t.bed.load()
    qcow2 = os.path.join(t.bed.work, "back.qcow2")
    t.run("qemu-img", "convert", "-f", "raw", "-O", "qcow2", t.bed.uri, qcow2)
    out, _ = t.run("qemu-img", "compare", "-f", "raw", "-F", "qcow2", t.bed.uri, qcow2)
    t.ensure("Images are identical" in out, out)
    t.run("qemu-img", "convert", "-f", "qcow2", "-O", "raw", qcow2, t.bed.back)
    t.ensure(t.bed.differs(t.bed.back) is None, "differs")
    os.unlink(qcow2)


@row("qemu-img", "a qcow2 image kept in the volume: created, filled, checked, compared")
def qcow2_inside(t):
    t.bed.fill(0)
    t.run("qemu-img", "create", "-f", "qcow2", t.bed.uri, "40M")
    t.run("qemu-io", "-f", "qcow2", "-c", "write -P 0x5c 1M 20M", "-c", "discard 4M 2M", "-c", "flush", t.bed.uri)
    t.run("qemu-img", "check", "-f", "qcow2", t.bed.uri)
    t.run("qemu-img", "convert", "-f", "qcow2", "-O", "raw", t.bed.uri, t.bed.back)
    with open(t.bed.back, "rb") as file:
        found = file.read()
    t.ensure(found == bytes(MIB) + b"\x5c" * 3 * MIB + bytes(2 * MIB) + b"\x5c" * 15 * MIB + bytes(19 * MIB),
             "differs")


@row("qemu-img", "bench: 2,000 writes of a pattern, 64 deep, with flushes; all of it is there; then reads")
def bench(t):
    t.bed.fill(0xEE)
    count, size = 2000, 16384
    t.run("qemu-img", "bench", "-f", "raw", "-w", "-c", count, "-s", size, "-d", 64, "--pattern", 0x3D,
          "--flush-interval", 100, "--no-drain", t.bed.uri)
    t.ensure(t.bed.read(count * size, 0) == b"\x3d" * (count * size), "the pattern is not there")
    t.ensure(t.bed.read(MIB, count * size) == b"\xee" * MIB, "written beyond")
    t.run("qemu-img", "bench", "-f", "raw", "-c", count, "-s", size, "-d", 64, t.bed.uri)


@row("qemu-io", "write, FUA write, zero, zero -u, discard, unaligned, flush: patterns read back")
def qemu_io(t):
    t.bed.fill(0xEE)
    writes = ["write -P 0x11 0 1M", "write -f -P 0x22 1M 64k", "write -z 256k 64k", "write -z -u 512k 64k",
              "discard 768k 64k", "write -P 0x33 4095 3", "write -z 1049k 511", "flush"]
    reads = ["read -P 0x11 8k 248k", "read -P 0 256k 64k", "read -P 0x11 320k 192k", "read -P 0 512k 64k",
             "read -P 0 768k 64k", "read -P 0x22 1M 25k", "read -P 0 1049k 511", "read -P 0x33 4095 3",
             "read -P 0xee 1088k 1M"]
    command = ["qemu-io", "-f", "raw"]
    for line in writes + reads:
        command += ["-c", line]
    out, err = t.run(*command, t.bed.uri)
    t.ensure("fail" not in (out + err).lower() and "error" not in (out + err).lower(), out, err)
    found = t.bed.read(2 * MIB, 0)
    t.ensure(found[4095:4098] == b"\x33" * 3 and found[512 * 1024:576 * 1024] == bytes(65536) and
             found[1088 * 1024:] == b"\xee" * (960 * 1024), "looked at from beside")


@row("qemu-io", "many asynchronous writes and reads at once: aio_write, aio_read, aio_flush")
def qemu_io_aio(t):
    t.bed.fill(0xEE)
    command = ["qemu-io", "-f", "raw"]
    for index in range(64):
        command += ["-c", f"aio_write -P {index + 1} {index * 256}k 200k"]
    command += ["-c", "aio_flush"]
    for index in range(64):
        command += ["-c", f"aio_read -P {index + 1} {index * 256}k 200k"]
    shown = ("qemu-io", "-f", "raw", "-c", "aio_write -P I …k 200k (64 times)", "-c", "aio_flush", "-c",
             "aio_read -P I …k 200k (64 times)", "-c", "aio_flush", t.bed.uri)
    out, err = t.run(*command, "-c", "aio_flush", t.bed.uri, noted=shown)
    t.ensure("fail" not in (out + err).lower() and "error" not in (out + err).lower(), out, err)
    found = t.bed.read(16 * MIB, 0)
    for index in range(64):
        at = index * 256 * 1024
        t.ensure(found[at:at + 262144] == bytes([index + 1]) * 204800 + b"\xee" * 57344, f"slot {index}")


@row("qemu-nbd", "--list over the Unix socket: every volume, its size and context", daemon_only=True)
def list_unix(t):
    out, _ = t.run("qemu-nbd", "--list", "-k", t.bed.socket())
    for line in ("exports available: 2", "export: 'photos'", "export: 'other'", f"size:  {t.bed.size}",
                 "base:allocation", "flags: 0x"):
        t.ensure(line in out, f"no '{line}' in", out)


@row("qemu-nbd", "qemu's server in front of the volume: nbdcopy through it, every byte", daemon_only=True)
def in_front(t):
    t.bed.fill(0xEE)
    front = os.path.join(t.bed.work, "front.sock")
    command = ["qemu-nbd", "-f", "raw", "--discard=unmap", "--detect-zeroes=unmap", "-t", "-k", front, t.bed.uri]
    process = subprocess.Popen(command, stderr=subprocess.PIPE)
    try:
        while True:
            t.ensure(process.poll() is None, "qemu-nbd ended")
            with socket.socket(socket.AF_UNIX) as probe:
                if os.path.exists(front) and probe.connect_ex(front) == 0:
                    break
        t.run("nbdcopy", "--flush", t.bed.image, "nbd+unix:///?socket=" + front)
    finally:
        process.terminate()
        code = process.wait()
    t.note(command, code)
    t.ensure(code == 0 and t.bed.differs(t.bed.image) is None, f"exit {code}", process.stderr.read())

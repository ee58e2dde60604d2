"""Rows of the client matrix: the clients of Debian 13 (qemu 10, libnbd 1.22), which speak extended headers, in a chroot
that show-06-trixie-clients.sh has made, with the bed's places mounted into it.
"""
import json
import os
import socket
import subprocess

import matrix
from matrix import row

MIB = 1 << 20
ROOT = os.environ.get("MATRIX_TRIXIE", "")

for program in ("nbdinfo", "nbdcopy", "nbdsh", "nbdkit", "qemu-img", "qemu-io", "qemu-storage-daemon"):
    matrix.VERSIONS[f"Debian 13 {program}"] = ["chroot", ROOT, program, "--version"]


def inside(t, *command, code=0, noted=None, **options):
    return t.run("chroot", ROOT, *command, code=code, noted=noted or command, **options)


def clean(t, text):
    t.ensure("fail" not in text.lower() and "error" not in text.lower(), text)


@row("Debian 13 nbdinfo", "extended headers are agreed on; size, contexts, the map of the whole volume in one request", True)
def info(t):
    out, _ = inside(t, "nbdinfo", t.bed.uri)
    for line in (f"export-size: {t.bed.size}", "using extended packets", "base:allocation"):
        t.ensure(line in out, f"no '{line}' in", out)
    t.bed.load()
    out, _ = inside(t, "nbdinfo", "--map", "--json", t.bed.uri)
    t.ensure(sum(extent["length"] for extent in json.loads(out)) == t.bed.size, out)


@row("Debian 13 nbdcopy", "to the volume and back: every byte", True)
def copy(t):
    t.bed.fill(0xEE)
    inside(t, "nbdcopy", "--flush", t.bed.image, t.bed.uri)
    t.ensure(t.bed.differs(t.bed.image) is None, "differs")
    inside(t, "nbdcopy", t.bed.uri, t.bed.back)
    t.ensure(t.bed.differs(t.bed.back) is None, "back differs")


SECTION = """
assert h.get_extended_headers_negotiated()
size = h.get_size()
h.pwrite(b"1" * 4096, 0, nbd.CMD_FLAG_FUA)
h.set_strict_mode(0)
h.pwrite(b"2" * 4096, 4096)  # without PAYLOAD_LEN, as qemu does
h.pwrite(b"3" * 4096, 8192, nbd.CMD_FLAG_PAYLOAD_LEN)
h.flush()
assert h.pread(12288, 0) == b"1" * 4096 + b"2" * 4096 + b"3" * 4096
told = []
h.block_status_64(size, 0, lambda context, at, extents, error: told.extend(extents) or 0)
assert sum(length for length, _ in told) == size, told
h.block_status_filter(size, 0, ["base:allocation"], lambda context, at, extents, error: 0)
h.zero(size - 4096, 4096, nbd.CMD_FLAG_FAST_ZERO)
h.trim(size, 0)
assert h.pread(12288, 0) == bytes(12288)
h.shutdown()
"""


@row("Debian 13 nbdsh", "writes with and without PAYLOAD_LEN, FUA, flush, 64-bit status, filter, zero and trim of all", True)
def shell(t):
    inside(t, "nbdsh", "--base-allocation", "-u", t.bed.uri, "-c", SECTION,
           noted=("nbdsh", "--base-allocation", "-u", t.bed.uri, "-c", "…"))
    t.ensure(t.bed.read(MIB, 0) == bytes(MIB), "not trimmed")


@row("Debian 13 nbdkit", "its nbd plugin in front of the volume: nbdcopy through it, every byte", True)
def in_front(t):
    t.bed.fill(0xEE)
    inside(t, "nbdkit", "-U", "-", "nbd", f"uri={t.bed.uri}", "--run", f"nbdcopy --flush {t.bed.image} \"$uri\"")
    t.ensure(t.bed.differs(t.bed.image) is None, "differs")


@row("Debian 13 qemu-io", "write, FUA write, zero, zero -u, discard, unaligned, aio, flush: patterns read back", True)
def qemu_io(t):
    t.bed.fill(0xEE)
    lines = ["write -P 0x11 0 1M", "write -f -P 0x22 1M 64k", "write -z 256k 64k", "write -z -u 512k 64k",
             "discard 768k 64k", "write -P 0x33 4095 3", "aio_write -P 0x44 4M 2M", "aio_write -f -P 0x55 8M 64k", "aio_flush",
             "flush", "read -P 0x11 8k 248k", "read -P 0 256k 64k", "read -P 0 512k 64k", "read -P 0 768k 64k",
             "read -P 0x22 1M 64k", "read -P 0x33 4095 3", "read -P 0x44 4M 2M", "read -P 0x55 8M 64k", "read -P 0xee 2M 1M"]
    command = ["qemu-io", "-f", "raw", *(word for line in lines for word in ("-c", line)), t.bed.uri]
    out, err = inside(t, *command)
    clean(t, out + err)
    found = t.bed.read(9 * MIB, 0)
    t.ensure(found[4095:4098] == b"\x33" * 3 and found[4 * MIB:6 * MIB] == b"\x44" * 2 * MIB, "looked at from beside")


@row("Debian 13 qemu-img", "bench -w: 2,000 writes of a pattern, 64 deep, with flushes; all of it is there; then reads", True)
def bench(t):
    t.bed.fill(0xEE)
    count, size = 2000, 16384
    inside(t, "qemu-img", "bench", "-f", "raw", "-w", "-c", count, "-s", size, "-d", 64, "--pattern", 0x3D,
           "--flush-interval", 100, "--no-drain", t.bed.uri)
    t.ensure(t.bed.read(count * size, 0) == b"\x3d" * (count * size), "the pattern is not there")
    t.ensure(t.bed.read(MIB, count * size) == b"\xee" * MIB, "written beyond")
    inside(t, "qemu-img", "bench", "-f", "raw", "-c", count, "-s", size, "-d", 64, t.bed.uri)


@row("Debian 13 qemu-img", "convert -n to the volume and to qcow2 and back: every byte; compare calls it identical", True)
def convert(t):
    t.bed.fill(0xEE)
    inside(t, "qemu-img", "convert", "-n", "-f", "raw", "-O", "raw", t.bed.image, t.bed.uri)
    t.ensure(t.bed.differs(t.bed.image) is None, "differs")
    out, _ = inside(t, "qemu-img", "compare", "-f", "raw", "-F", "raw", t.bed.image, t.bed.uri)
    t.ensure("Images are identical" in out, out)
    qcow2 = os.path.join(t.bed.work, "back.qcow2")
    inside(t, "qemu-img", "convert", "-f", "raw", "-O", "qcow2", t.bed.uri, qcow2)
    inside(t, "qemu-img", "convert", "-f", "qcow2", "-O", "raw", qcow2, t.bed.back)
    t.ensure(t.bed.differs(t.bed.back) is None, "back differs")
    os.unlink(qcow2)


@row("Debian 13 qemu-img", "a qcow2 image kept in the volume: created, filled, checked, read", True)
def qcow2_inside(t):
    t.bed.fill(0)
    inside(t, "qemu-img", "create", "-f", "qcow2", t.bed.uri, "40M")
    out, err = inside(t, "qemu-io", "-f", "qcow2", "-c", "write -P 0x5c 1M 20M", "-c", "discard 4M 2M", "-c", "flush", t.bed.uri)
    clean(t, out + err)
    inside(t, "qemu-img", "check", "-f", "qcow2", t.bed.uri)
    out, err = inside(t, "qemu-io", "-f", "qcow2", "-c", "read -P 0x5c 1M 3M", "-c", "read -P 0 4M 2M", "-c", "read -P 0x5c 6M 15M",
                      t.bed.uri)
    clean(t, out + err)


@row("Debian 13 qemu-img", "a LUKS container kept in the volume: created, written, read, and no pattern in clear", True)
def luks_inside(t):
    t.bed.fill(0)
    secret = os.path.join(t.bed.work, "luks-secret")
    with open(secret, "w", encoding="utf-8", opener=lambda p, f: os.open(p, f, 0o600)) as file:
        file.write(os.urandom(12).hex())
    given = ("--object", f"secret,id=s,file={secret}")
    options = f"driver=luks,key-secret=s,file.driver=nbd,file.server.type=unix,file.server.path={t.bed.socket()},file.export=photos"
    inside(t, "qemu-img", "create", *given, "-f", "luks", "-o", "key-secret=s,iter-time=10", t.bed.uri, "40M")
    out, err = inside(t, "qemu-io", *given, "--image-opts", options, "-c", "write -P 0x5d 1M 20M", "-c", "flush", "-c", "read -P 0x5d 1M 20M")
    clean(t, out + err)
    out, err = inside(t, "qemu-io", *given, "--image-opts", options, "-c", "read -P 0x5d 2M 19M")
    clean(t, out + err)
    t.ensure(all(b"\x5d" * 512 not in t.bed.read(16 * MIB, at * 16 * MIB) for at in range(4)), "the pattern lies there in clear")


class StorageDaemon:
    """qemu-storage-daemon with a raw file and the volume as nodes, spoken to over QMP."""

    def __init__(self, t, file):
        self.t = t
        self.path = os.path.join(t.bed.work, "qmp.sock")
        self.process = subprocess.Popen(
            ["chroot", ROOT, "qemu-storage-daemon", "--blockdev", f"driver=file,node-name=file,filename={file}",
             "--blockdev", f"driver=nbd,node-name=volume,server.type=unix,server.path={t.bed.socket()},export=photos",
             "--chardev", f"socket,id=qmp,path={self.path},server=on,wait=off", "--monitor", "chardev=qmp"])
        self.socket = socket.socket(socket.AF_UNIX)
        while self.socket.connect_ex(self.path) != 0:
            t.ensure(self.process.poll() is None, "qemu-storage-daemon ended")
        self.lines = self.socket.makefile("r")
        self.lines.readline()
        self.ask("qmp_capabilities")

    def ask(self, command, **arguments):
        self.socket.sendall(json.dumps({"execute": command, "arguments": arguments}).encode())
        while True:
            told = json.loads(self.lines.readline())
            self.t.ensure("error" not in told, told)
            if "return" in told:
                return

    def await_event(self, name):
        while True:
            told = json.loads(self.lines.readline())
            data = told.get("data", {})
            self.t.ensure("error" not in data and told.get("event") != "BLOCK_JOB_ERROR", told)
            if told.get("event") == name or (name == "concluded" and data.get("status") == "concluded"):
                return

    def end(self, noted):
        self.socket.sendall(json.dumps({"execute": "quit"}).encode())
        code = self.process.wait(60)
        self.t.note(["qemu-storage-daemon", noted], code)
        self.t.ensure(code == 0, f"exit {code}")


@row("Debian 13 qemu-storage-daemon", "a mirror job from a file to the volume, completed: every byte", True)
def mirror(t):
    t.bed.fill(0xEE)
    daemon = StorageDaemon(t, t.bed.image)
    daemon.ask("blockdev-mirror", **{"job-id": "m", "device": "file", "target": "volume", "sync": "full"})
    daemon.await_event("BLOCK_JOB_READY")
    daemon.ask("block-job-complete", device="m")
    daemon.await_event("concluded")
    daemon.end("(blockdev-mirror)")
    t.ensure(t.bed.differs(t.bed.image) is None, "differs")


@row("Debian 13 qemu-storage-daemon", "backup jobs from a file to the volume and from the volume to a file: every byte", True)
def backup(t):
    for device, target in (("file", "volume"), ("volume", "file")):
        if device == "file":
            t.bed.fill(0xEE)
        else:
            t.bed.load()
            with open(t.bed.back, "wb") as file:
                file.truncate(t.bed.size)
        path = t.bed.image if device == "file" else t.bed.back
        daemon = StorageDaemon(t, path)
        daemon.ask("blockdev-backup", **{"job-id": "b", "device": device, "target": target, "sync": "full"})
        daemon.await_event("concluded")
        daemon.end(f"(blockdev-backup from the {device})")
        t.ensure(t.bed.differs(path) is None, f"{target} differs")

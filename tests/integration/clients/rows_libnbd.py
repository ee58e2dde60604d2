"""Rows of the client matrix: the programs of libnbd (nbdinfo, nbdcopy, nbddump, nbdsh, nbdfuse)."""
import errno
import json
import os
import subprocess

import beds
from matrix import row

MIB = 1 << 20
SECTIONS = os.path.join(os.path.dirname(os.path.abspath(__file__)), "nbdsh_sections.py")

# What nbdsh_sections.py must report, in its order.
NBDSH_SECTIONS = [
    "negotiation: options, contexts listed and set, description, block sizes, an export that is not there",
    "export chosen by name alone: no fixed newstyle, no NO_ZEROES",
    "pread, and with DF, at odd places",
    "pread_structured: holes as such, one chunk with DF",
    "pwrite, and with FUA",
    "trim, and with FUA",
    "zero with every mix of FUA, NO_HOLE and FAST_ZERO",
    "cache",
    "flush: what one connection wrote, flushed by another",
    "block_status, and with REQ_ONE",
    "requests out of bounds, empty or with flags of others: refused, the stream in step",
    "aio: 64 at once of every kind, on one connection and on four",
    "aio: a client that goes with requests under way",
    "requests of 32 MiB, three at once",
    "a client without structured replies",
    "500 random commands with random flags against a model",
    "every command of libnbd was used",
]


@row("nbdinfo", "size, description, flags, block sizes, structured replies, contexts")
def nbdinfo_plain(t):
    out, _ = t.run("nbdinfo", "--no-content", t.bed.uri)
    for line in (f"export-size: {t.bed.size}", "using structured packets", "base:allocation", "is_rotational: false",
                 "is_read_only: false", "can_cache: true", "can_df: true", "can_fast_zero: true", "can_flush: true",
                 "can_fua: true", "can_multi_conn: true", "can_trim: true", "can_zero: true",
                 "block_size_minimum: 1", "block_size_preferred: ", "block_size_maximum: 33554432"):
        t.ensure(line in out, f"no '{line}' in", out)


@row("nbdinfo", "the same as JSON")
def nbdinfo_json(t):
    export = json.loads(t.run("nbdinfo", "--no-content", "--json", t.bed.uri)[0])["exports"][0]
    t.ensure(export["export-size"] == t.bed.size and export["contexts"] == ["base:allocation"], export)
    for flag in "cache", "df", "fast_zero", "flush", "fua", "multi_conn", "trim", "zero":
        t.ensure(export["can_" + flag] is True, flag)
    t.ensure(export["is_read_only"] is False and export["is_rotational"] is False, export)


@row("nbdinfo", "--can of every capability: yes; --is read-only, rotational, tls: no")
def nbdinfo_can(t):
    for can in ("cache", "connect", "df", "fast-zero", "flush", "fua", "multi-conn", "read", "structured-reply",
                "trim", "write", "zero"):
        t.run("nbdinfo", "--can", can, t.bed.uri)
    for word in "read-only", "rotational", "tls":
        t.run("nbdinfo", "--is", word, t.bed.uri, code=2)


@row("nbdinfo", "the size")
def nbdinfo_size(t):
    t.ensure(int(t.run("nbdinfo", "--size", t.bed.uri)[0]) == t.bed.size)


@row("nbdinfo", "the map is that of the data written: data, trimmed and zeroed ranges, to the block")
def nbdinfo_map(t):
    t.bed.fill(0x5A)
    handle = t.bed.connect()
    handle.trim(4 * MIB, MIB)
    handle.zero(8192, 20 * MIB)
    handle.shutdown()
    expected = [(0, MIB, 0), (MIB, 4 * MIB, 3), (5 * MIB, 15 * MIB, 0), (20 * MIB, 8192, 3),
                (20 * MIB + 8192, t.bed.size - 20 * MIB - 8192, 0)]
    out, _ = t.run("nbdinfo", "--map", t.bed.uri)
    found = [tuple(int(word) for word in line.split()[:3]) for line in out.splitlines()]
    t.ensure(found == expected, found)
    extents = json.loads(t.run("nbdinfo", "--map", "--json", t.bed.uri)[0])
    t.ensure([(e["offset"], e["length"], e["type"]) for e in extents] == expected, extents)
    totals = json.loads(t.run("nbdinfo", "--map", "--totals", "--json", t.bed.uri)[0])
    zero = 4 * MIB + 8192
    t.ensure({(e["type"], e["size"]) for e in totals} == {(0, t.bed.size - zero), (3, zero)}, totals)


@row("nbdinfo", "--list names every volume, with its size", daemon_only=True)
def nbdinfo_list(t):
    told = json.loads(t.run("nbdinfo", "--list", "--json", t.bed.uri)[0])
    sizes = {e["export-name"]: e["export-size"] for e in told["exports"]}
    t.ensure(sizes == {"photos": t.bed.size, "other": t.bed.other_size}, sizes)
    out, _ = t.run("nbdinfo", "--list", t.bed.uri)
    t.ensure('export="photos"' in out and 'export="other"' in out, out)


@row("nbdinfo", "an export that is not there is refused by name")
def nbdinfo_missing(t):
    uri = t.bed.uri.replace("photos", "nothere").replace("memory", "nothere")
    _, err = t.run("nbdinfo", uri, code=1)
    t.ensure("No such file or directory for export: nothere" in err, err)


@row("nbdcopy", "parallel over 4 connections, to the volume: every byte, holes included")
def nbdcopy_to(t):
    t.bed.fill(0xEE)
    t.run("nbdcopy", "--connections=4", "--threads=2", "--requests=64", t.bed.image, t.bed.uri)
    t.ensure(t.bed.differs(t.bed.image) is None, "differs")
    t.ensure((16 * MIB, 16 * MIB, 3) in t.bed.runs(), "the hole is none", t.bed.runs())


@row("nbdcopy", "parallel over 4 connections, from the volume: every byte, holes as holes")
def nbdcopy_from(t):
    t.bed.load()
    t.run("nbdcopy", "--connections=4", "--threads=2", "--requests=64", t.bed.uri, t.bed.back)
    t.ensure(t.bed.differs(t.bed.back) is None, "differs")
    taken = os.stat(t.bed.back).st_blocks * 512
    t.ensure(taken < 40 * MIB, f"{taken} bytes of {t.bed.size} taken")


@row("nbdcopy", "one request at a time, with a flush, both ways")
def nbdcopy_synchronous(t):
    t.bed.fill(0xEE)
    t.run("nbdcopy", "--synchronous", "--flush", t.bed.image, t.bed.uri)
    t.run("nbdcopy", "--connections=1", "--requests=1", "--flush", t.bed.uri, t.bed.back)
    t.ensure(t.bed.differs(t.bed.image) is None and t.bed.differs(t.bed.back) is None, "differs")


@row("nbdcopy", "--allocated: zeros are written (NO_HOLE), every byte as in the file")
def nbdcopy_allocated(t):
    t.bed.fill(0xEE)
    t.run("nbdcopy", "--allocated", t.bed.image, t.bed.uri)
    t.ensure(t.bed.differs(t.bed.image) is None, "differs")


@row("nbdcopy", "--sparse=0 and --no-extents from the volume: a full file of the same bytes")
def nbdcopy_full(t):
    t.bed.load()
    t.run("nbdcopy", "--sparse=0", "--no-extents", "--allocated", t.bed.uri, t.bed.back)
    t.ensure(t.bed.differs(t.bed.back) is None, "differs")
    os.unlink(t.bed.back)


@row("nbdcopy", "--sparse=65536 --request-size to the volume, --destination-is-zero to one that is")
def nbdcopy_sparse(t):
    t.bed.fill(0xEE)
    t.run("nbdcopy", "--sparse=65536", "--request-size=1048576", t.bed.image, t.bed.uri)
    t.ensure(t.bed.differs(t.bed.image) is None, "differs")
    handle = t.bed.connect()
    handle.zero(t.bed.size, 0)
    handle.shutdown()
    t.run("nbdcopy", "--destination-is-zero", t.bed.image, t.bed.uri)
    t.ensure(t.bed.differs(t.bed.image) is None, "differs")


@row("nbdcopy", "from one volume to another, then onward through a pipe", daemon_only=True)
def nbdcopy_across(t):
    handle = t.bed.connect(t.bed.other_uri)
    handle.pwrite(os.urandom(3 * MIB), 1234567)
    handle.shutdown()
    t.bed.fill(0xEE)
    t.run("nbdcopy", t.bed.other_uri, t.bed.uri)
    out = subprocess.run(["nbdcopy", t.bed.other_uri, "-"], capture_output=True, check=False)
    t.note(["nbdcopy", t.bed.other_uri, "-"], out.returncode)
    t.ensure(len(out.stdout) == t.bed.other_size and out.stdout == t.bed.read(t.bed.other_size, 0), "differs")
    t.ensure(t.bed.read(MIB, t.bed.other_size) == b"\xee" * MIB, "written beyond the source's end")


@row("nbddump", "the bytes at their offsets, zeros squeezed")
def nbddump(t):
    handle = t.bed.connect()
    handle.zero(t.bed.size, 0)
    handle.pwrite(b"coffer was here!", 8 * MIB)
    handle.shutdown()
    out, _ = t.run("nbddump", t.bed.uri)
    t.ensure("0000800000: 63 6f 66 66 65 72 20 77  61 73 20 68 65 72 65 21 |coffer was here!|" in
             out.replace("│", "|").replace("┊", "|"), out)


@row("nbdfuse", "a volume as a file: read, written, synced", daemon_only=True)
def nbdfuse(t):
    t.bed.load()
    mount = os.path.join(t.bed.work, "fuse")
    os.makedirs(mount, exist_ok=True)
    command = ["nbdfuse", os.path.join(mount, "disk"), t.bed.uri]
    process = subprocess.Popen(command, cwd=t.bed.work, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    path = os.path.join(mount, "disk")
    while not os.path.exists(path):
        t.ensure(process.poll() is None, process.stderr.read() if process.poll() is not None else "")
    try:
        with open(path, "rb") as file, open(t.bed.image, "rb") as image:
            t.ensure(file.read() == image.read(), "read differs")
        with open(path, "r+b") as file:
            file.seek(12345)
            file.write(b"through a file")
            file.flush()
            os.fsync(file.fileno())
        t.ensure(t.bed.read(14, 12345) == b"through a file", "written differs")
    finally:
        subprocess.run(["fusermount3", "-u", mount], check=True)
        code = process.wait()
    t.note(command, code)
    t.ensure(code == 0, process.stderr.read())


@row("nbdcopy", "a volume opened --read-only is refused, nbdinfo says so, qemu-io too", daemon_only=True)
def read_only(t):
    t.bed.load()
    t.bed.reopen("--read-only")
    try:
        t.run("nbdinfo", "--is", "read-only", t.bed.uri)
        t.run("nbdinfo", "--can", "write", t.bed.uri, code=2)
        t.run("nbdcopy", t.bed.image, t.bed.uri, code=1)
        t.run("qemu-io", "-f", "raw", "-c", "write -P 1 0 4096", t.bed.uri, code=1)
        handle = t.bed.connect()
        handle.set_strict_mode(0)
        for call in (lambda: handle.pwrite(b"x", 0), lambda: handle.trim(4096, 0), lambda: handle.zero(4096, 0)):
            try:
                call()
            except beds.nbd.Error as error:
                t.ensure(error.errnum == errno.EPERM, error)
                continue
            t.ensure(False, "written although read-only")
        t.run("nbdcopy", t.bed.uri, t.bed.back)
        t.ensure(t.bed.differs(t.bed.image) is None and t.bed.differs(t.bed.back) is None, "differs")
    finally:
        t.bed.reopen()


@row("nbdsh", "resize: the connected keep their size, the next see the new one and use it", daemon_only=True)
def resize(t):
    before = t.bed.connect(t.bed.other_uri)
    size = t.bed.other_size
    before.pwrite(b"stays", size - 5)
    t.bed.command("resize", "other", str(size + 8 * MIB))
    t.bed.other_size = size + 8 * MIB
    t.ensure(before.get_size() == size and bytes(before.pread(5, size - 5)) == b"stays", "the old connection")
    t.run("nbdsh", "-u", t.bed.other_uri, "-c", f"assert h.get_size() == {t.bed.other_size}", "-c",
          f"assert h.pread({8 * MIB}, {size}) == bytes({8 * MIB})", "-c",
          f"h.pwrite(b'more', {t.bed.other_size - 4}, nbd.CMD_FLAG_FUA)", "-c",
          f"assert h.pread(4, {t.bed.other_size - 4}) == b'more'", "-c",
          f"assert h.pread(5, {size - 5}) == b'stays'")
    before.shutdown()


@row("nbdsh", "the script ran every section")
def nbdsh_script(t):
    with open(SECTIONS, encoding="utf-8") as script:
        out, _ = t.run("nbdsh", "-n", "-c", f"uri, other_uri = {t.bed.uri!r}, {getattr(t.bed, 'other_uri', None)!r}",
                       "-c", "-", noted=("nbdsh", "-n", "-c", "-", os.path.basename(SECTIONS)),
                       input=script.read().encode())
    told = [line[4:].rsplit(" (", 1)[0] for line in out.splitlines() if line.startswith("ok: ")]
    t.ensure(told == NBDSH_SECTIONS, f"missing {[s for s in NBDSH_SECTIONS if s not in told]}, {out}")
    t.row.parts = told

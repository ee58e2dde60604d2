# Runs inside nbdsh (matrix.py gives it `uri` and `other_uri`): every command and flag that libnbd has, against a model
# of the bytes. Prints "ok: SECTION (n checks)" for each section.
import errno
import random
import sys

seed = random.SystemRandom().randrange(1 << 32)
chooser = random.Random(seed)
MIB = 1 << 20
AREA = 4 * MIB  # what the sections write to, at the start of the export
model = bytearray(AREA)
used = set()
checks = 0


def check(holds, *why):
    global checks
    checks += 1
    if not holds:
        raise AssertionError(f"seed {seed}: {why}")


class Counted:
    """A handle whose commands are noted in `used`."""

    def __init__(self, handle):
        self.handle = handle

    def __getattr__(self, name):
        used.add(name)
        return getattr(self.handle, name)


def connect(contexts=(nbd.CONTEXT_BASE_ALLOCATION,), prepare=lambda handle: None):
    handle = Counted(nbd.NBD())
    for context in contexts:
        handle.add_meta_context(context)
    # libnbd keeps flags back that its own method does not know, such as DF on pread.
    handle.set_strict_mode(handle.get_strict_mode() & ~nbd.STRICT_FLAGS)
    prepare(handle)
    handle.connect_uri(uri)
    return handle


def refused(call, *codes):
    try:
        call()
    except nbd.Error as error:
        check(error.errnum in codes, error)
        return
    check(False, "not refused")


def status(handle, count, offset, flags=0):
    told = []
    handle.block_status(count, offset, lambda context, at, entries, error: told.append((context, at, entries)), flags)
    check(len(told) == 1 and told[0][:2] == ("base:allocation", offset), told)
    return told[0][2]


def reset(handle):
    handle.zero(AREA, 0)
    model[:] = bytes(AREA)


def put(handle, data, offset, flags=0):
    handle.pwrite(data, offset, flags)
    model[offset:offset + len(data)] = data


def same(handle, count=AREA, offset=0, flags=0):
    check(handle.pread(count, offset, flags) == model[offset:offset + count], count, offset, flags)


def negotiation():
    handle = Counted(nbd.NBD())
    handle.set_opt_mode(True)
    handle.set_full_info(True)
    handle.add_meta_context("base:allocation")
    handle.add_meta_context("qemu:dirty-bitmap:none")
    handle.connect_uri(uri)
    name = handle.get_export_name()
    listed = {}
    handle.opt_list(lambda export, description: listed.update({export: description}))
    check(name in listed, listed)
    contexts = []
    handle.opt_list_meta_context(lambda context: contexts.append(context))
    check(contexts == ["base:allocation"], contexts)
    handle.clear_meta_contexts()
    del contexts[:]
    handle.opt_list_meta_context(lambda context: contexts.append(context))
    check(contexts == ["base:allocation"], "all of them", contexts)
    handle.add_meta_context("base:")
    del contexts[:]
    handle.opt_list_meta_context(lambda context: contexts.append(context))
    check(contexts == ["base:allocation"], "those of a namespace", contexts)
    handle.clear_meta_contexts()
    handle.add_meta_context("qemu:")
    del contexts[:]
    handle.opt_list_meta_context(lambda context: contexts.append(context))
    check(contexts == [], "those of a namespace that coffer has none of", contexts)
    handle.clear_meta_contexts()
    handle.add_meta_context("base:allocation")
    handle.add_meta_context("qemu:dirty-bitmap:none")
    handle.set_export_name("nothere")
    refused(handle.opt_info, errno.ENOENT)
    refused(handle.opt_go, errno.ENOENT)
    handle.set_export_name(name)
    handle.opt_info()
    check(handle.get_size() >= AREA and handle.get_canonical_export_name() == name, handle.get_size())
    check(handle.get_export_description() == listed[name], listed)
    handle.opt_go()
    check(handle.can_meta_context("base:allocation") and not handle.can_meta_context("qemu:dirty-bitmap:none"))
    check(handle.get_block_size(nbd.SIZE_MINIMUM) == 1 and handle.get_block_size(nbd.SIZE_MAXIMUM) == 32 * MIB)
    preferred = handle.get_block_size(nbd.SIZE_PREFERRED)
    check(preferred >= 512 and preferred & (preferred - 1) == 0, preferred)
    check(handle.get_protocol() == "newstyle-fixed" and handle.get_structured_replies_negotiated())
    for flag in "cache", "df", "fast_zero", "flush", "fua", "multi_conn", "trim", "zero":
        check(getattr(handle, "can_" + flag)(), flag)
    check(not handle.is_read_only() and not handle.is_rotational() and not handle.get_tls_negotiated())
    reset(handle)
    same(handle)
    handle.shutdown()
    aborted = Counted(nbd.NBD())
    aborted.set_opt_mode(True)
    aborted.connect_uri(uri)
    aborted.opt_abort()
    check(aborted.aio_is_closed())


def export_name():
    for flags in 0, nbd.HANDSHAKE_FLAG_NO_ZEROES, nbd.HANDSHAKE_FLAG_FIXED_NEWSTYLE:
        handle = connect(prepare=lambda h, flags=flags: h.set_handshake_flags(flags))
        check(handle.get_size() >= AREA)
        put(handle, b"by name", 100)
        same(handle, 4096)
        handle.flush()
        handle.shutdown()


def preads():
    handle = connect()
    reset(handle)
    put(handle, chooser.randbytes(MIB), 12345)
    for _ in range(60):
        offset = chooser.randrange(AREA)
        count = min(AREA - offset, chooser.choice([1, 511, 512, 4095, 4096, 4097, 65536, 262143, MIB + 1]))
        same(handle, count, offset, chooser.choice([0, nbd.CMD_FLAG_DF]))
    handle.shutdown()


def preads_structured():
    handle = connect()
    reset(handle)
    put(handle, b"d" * 8192, 65536)
    for count in 131072, MIB:
        for flags in 0, nbd.CMD_FLAG_DF:
            parts = []
            data = handle.pread_structured(count, 0, lambda part, at, kind, error: parts.append((at, len(part), kind)),
                                           flags)
            check(data == model[:count], count)
            whole = [(0, count, nbd.READ_DATA)]
            pieces = [(0, 65536, nbd.READ_HOLE), (65536, 8192, nbd.READ_DATA), (73728, count - 73728, nbd.READ_HOLE)]
            check(parts == (whole if flags else pieces), parts)
    handle.shutdown()


def pwrites():
    handle = connect()
    for flags in 0, nbd.CMD_FLAG_FUA:
        reset(handle)
        for _ in range(40):
            offset = chooser.randrange(AREA)
            put(handle, chooser.randbytes(min(AREA - offset, chooser.choice([1, 511, 4096, 5000, 300000]))), offset,
                flags)
        same(handle)
    handle.shutdown()


def trim_model(offset, count):
    """Its whole blocks are zeros, the rest of the range stays."""
    start, end = -(-offset // 4096) * 4096, (offset + count) // 4096 * 4096
    if start < end:
        model[start:end] = bytes(end - start)


def trims():
    handle = connect()
    for flags in 0, nbd.CMD_FLAG_FUA:
        put(handle, chooser.randbytes(MIB), 0)
        for offset, count in (8192, 65536), (200001, 3), (300000, 70001):
            handle.trim(count, offset, flags)
            trim_model(offset, count)
        same(handle, MIB)
    handle.shutdown()


def zeros():
    handle = connect()
    mixes = [fua | hole | fast for fua in (0, nbd.CMD_FLAG_FUA) for hole in (0, nbd.CMD_FLAG_NO_HOLE)
             for fast in (0, nbd.CMD_FLAG_FAST_ZERO)]
    check(len(mixes) == 8)
    for flags in mixes:
        put(handle, chooser.randbytes(MIB), 0)
        for offset, count in (8192, 65536), (200001, 3), (300000, 70001):
            handle.zero(count, offset, flags)
            model[offset:offset + count] = bytes(count)
        same(handle, MIB)
    handle.shutdown()


def caches():
    handle = connect()
    handle.cache(AREA, 0)
    handle.cache(1, AREA - 1)
    same(handle)
    handle.shutdown()


def flushes():
    first, second = connect(), connect()
    put(first, b"first" * 1000, 3 * MIB)
    second.flush()
    same(second, 8192, 3 * MIB)
    put(second, b"second" * 1000, 3 * MIB, nbd.CMD_FLAG_FUA)
    first.flush()
    same(first, 8192, 3 * MIB)
    first.shutdown()
    second.shutdown()


def block_statuses():
    handle = connect()
    reset(handle)
    put(handle, b"d" * 8192, 65536)
    check(status(handle, MIB, 0) == [65536, 3, 8192, 0, MIB - 73728, 3])
    check(status(handle, MIB, 65536, nbd.CMD_FLAG_REQ_ONE) == [8192, 0])
    check(status(handle, 100, 65530) == [6, 3, 94, 0])
    without = connect(contexts=())
    without.set_strict_mode(0)
    refused(lambda: without.block_status(512, 0, lambda *_: 0), errno.EINVAL, errno.ENOTSUP)
    same(without, 131072)
    without.shutdown()
    handle.shutdown()


def refusals():
    handle = connect()
    handle.set_strict_mode(0)
    size = handle.get_size()
    for call, code in (
            (lambda: handle.pread(2, size - 1), errno.EINVAL),
            (lambda: handle.pwrite(b"xx", size - 1), errno.ENOSPC),
            (lambda: handle.pwrite(b"x" * 100000, size), errno.ENOSPC),
            (lambda: handle.trim(2, size - 1), errno.EINVAL),
            (lambda: handle.zero(2, size - 1), errno.ENOSPC),
            (lambda: handle.cache(2, size - 1), errno.EINVAL),
            (lambda: handle.block_status(2, size - 1, lambda *_: 0), errno.EINVAL),
            (lambda: handle.pread(1, 1 << 63), errno.EINVAL),
            (lambda: handle.pread(0, 0), errno.EINVAL),
            (lambda: handle.pwrite(b"", 0), errno.EINVAL),
            (lambda: handle.block_status(0, 0, lambda *_: 0), errno.EINVAL),
            (lambda: handle.pread(512, 0, nbd.CMD_FLAG_REQ_ONE), errno.EINVAL),
            (lambda: handle.trim(512, 0, nbd.CMD_FLAG_DF), errno.EINVAL),
            (lambda: handle.flush(nbd.CMD_FLAG_DF), errno.EINVAL),
            (lambda: handle.block_status(512, 0, lambda *_: 0, nbd.CMD_FLAG_DF), errno.EINVAL),
            (lambda: handle.pwrite(b"x" * 5000, 0, nbd.CMD_FLAG_NO_HOLE), errno.EINVAL)):
        refused(call, code)
        same(handle, 70000, 5)
    put(handle, b"in step", 12345)
    same(handle)
    handle.shutdown()


def finish(handles):
    while any(handle.aio_in_flight() for handle in handles):
        for handle in handles:
            if handle.aio_in_flight():
                handle.poll(-1)


def aio(handles, rounds):
    """In each round 64 commands at once, each in its own slot of 64 KiB; then all is compared."""
    slot = AREA // 64
    for _ in range(rounds):
        pending, reads = [], []
        for index in range(64):
            handle, at = handles[index % len(handles)], index * slot
            kind = chooser.randrange(7)
            offset, count = at + chooser.randrange(slot // 2), chooser.randrange(1, slot // 2)
            if kind == 0:
                data = chooser.randbytes(count)
                cookie = handle.aio_pwrite(nbd.Buffer.from_bytearray(bytearray(data)), offset,
                                           flags=chooser.choice([0, nbd.CMD_FLAG_FUA]))
                model[offset:offset + count] = data
            elif kind == 1:
                cookie = handle.aio_trim(count, offset, flags=chooser.choice([0, nbd.CMD_FLAG_FUA]))
                trim_model(offset, count)
            elif kind == 2:
                cookie = handle.aio_zero(count, offset, flags=chooser.choice([0, nbd.CMD_FLAG_NO_HOLE]))
                model[offset:offset + count] = bytes(count)
            elif kind == 3:
                cookie = handle.aio_cache(count, offset)
            elif kind == 4:
                cookie = handle.aio_flush()
            elif kind == 5:
                cookie = handle.aio_block_status(count, offset, lambda *_: 0)
            else:
                buffer = nbd.Buffer(count)
                if chooser.randrange(2):
                    cookie = handle.aio_pread(buffer, offset)
                else:
                    cookie = handle.aio_pread_structured(buffer, offset, lambda *_: 0)
                reads.append((buffer, offset, count))
            pending.append((handle, cookie))
        finish(handles)
        for handle, cookie in pending:
            check(handle.aio_command_completed(cookie))
        for buffer, offset, count in reads:
            check(buffer.to_bytearray() == model[offset:offset + count], offset, count)
        same(handles[0])


def aio_at_once():
    one, four = [connect()], [connect() for _ in range(4)]
    aio(one, 4)
    aio(four, 4)
    for handle in one + four:
        handle.shutdown()


def aio_gone():
    """Gone without a word, with reads and writes under way: each write happened wholly or not, others feel nothing."""
    other = connect()
    reset(other)
    leaver = connect()
    for index in range(32):
        leaver.aio_pwrite(nbd.Buffer.from_bytearray(bytearray(b"w" * 65536)), index * 65536)
        leaver.aio_pread(nbd.Buffer(MIB), MIB)
    leaver.poll(0)
    del leaver.handle
    same(other, MIB, 3 * MIB)
    found = other.pread(2 * MIB, 0)
    for index in range(0, 2 * MIB, 4096):
        check(found[index:index + 4096] in (bytes(4096), b"w" * 4096), index)
    polite = connect()
    polite.aio_disconnect()
    polite.shutdown()
    reset(other)
    other.shutdown()


def largest():
    handle = connect()
    data = bytearray(chooser.randbytes(MIB) * 32)
    buffers = []
    for _ in range(3):
        handle.aio_pwrite(nbd.Buffer.from_bytearray(data), 0)
    finish([handle])
    for _ in range(3):
        buffers.append(nbd.Buffer(32 * MIB))
        handle.aio_pread(buffers[-1], 0)
    for _ in range(200):
        handle.aio_pread(nbd.Buffer(512), chooser.randrange(AREA))
    finish([handle])
    for buffer in buffers:
        check(buffer.to_bytearray() == data)
    handle.zero(32 * MIB, 0)
    model[:] = bytes(AREA)
    same(handle)
    handle.shutdown()


def simple_replies():
    handle = connect(prepare=lambda h: h.set_request_structured_replies(False))
    check(not handle.get_structured_replies_negotiated() and not handle.can_df())
    put(handle, b"simple" * 10000, 70000)
    same(handle)
    handle.shutdown()


def random_model():
    handle = connect()
    reset(handle)
    for _ in range(500):
        offset = chooser.randrange(AREA)
        count = min(AREA - offset, chooser.randrange(1, 1 << chooser.randrange(1, 19)))
        fua = chooser.choice([0, nbd.CMD_FLAG_FUA])
        kind = chooser.randrange(6)
        if kind == 0:
            put(handle, chooser.randbytes(count), offset, fua)
        elif kind == 1:
            handle.trim(count, offset, fua)
            trim_model(offset, count)
        elif kind == 2:
            handle.zero(count, offset, fua | chooser.choice([0, nbd.CMD_FLAG_NO_HOLE]) |
                        chooser.choice([0, nbd.CMD_FLAG_FAST_ZERO]))
            model[offset:offset + count] = bytes(count)
        elif kind == 3:
            runs = status(handle, count, offset, chooser.choice([0, nbd.CMD_FLAG_REQ_ONE]))
            at = offset
            for length, flags in zip(runs[::2], runs[1::2]):
                inside = min(length, AREA - at)
                check(not flags & 2 or not any(model[at:at + inside]), "zeros where data is", at, length)
                at += length
        else:
            same(handle, count, offset, chooser.choice([0, nbd.CMD_FLAG_DF]))
    handle.flush()
    same(handle)
    handle.shutdown()


def coverage():
    commands = {"pread", "pread_structured", "pwrite", "flush", "trim", "zero", "cache", "block_status"}
    every = commands | {"aio_" + command for command in commands}
    check(all(hasattr(nbd.NBD, command) for command in every))
    known = {name for name in dir(nbd.NBD) if name.startswith(("opt_", "can_"))}
    missing = (every | known) - used - {"opt_abort"}
    check(not missing, "not used", missing)


for title, section in (
        ("negotiation: options, contexts listed and set, description, block sizes, an export that is not there",
         negotiation),
        ("export chosen by name alone: no fixed newstyle, no NO_ZEROES", export_name),
        ("pread, and with DF, at odd places", preads),
        ("pread_structured: holes as such, one chunk with DF", preads_structured),
        ("pwrite, and with FUA", pwrites),
        ("trim, and with FUA", trims),
        ("zero with every mix of FUA, NO_HOLE and FAST_ZERO", zeros),
        ("cache", caches),
        ("flush: what one connection wrote, flushed by another", flushes),
        ("block_status, and with REQ_ONE", block_statuses),
        ("requests out of bounds, empty or with flags of others: refused, the stream in step", refusals),
        ("aio: 64 at once of every kind, on one connection and on four", aio_at_once),
        ("aio: a client that goes with requests under way", aio_gone),
        ("requests of 32 MiB, three at once", largest),
        ("a client without structured replies", simple_replies),
        ("500 random commands with random flags against a model", random_model),
        ("every command of libnbd was used", coverage)):
    checks = 0
    try:
        section()
        check(checks > 0, "nothing checked")
    except Exception as error:
        print(f"FAILED: {title}: seed {seed}: {error}", file=sys.stderr)
        raise
    print(f"ok: {title} ({checks} checks)", flush=True)

#!/usr/bin/env python3
"""Makes tests/testdata/format-v1: one example of every structure of docs/FORMAT.md, and MANIFEST.

Written from docs/FORMAT.md alone, with nothing but the standard library, so that two readings of
that page meet in golden_test.cc. The output is the same on every run; the files are committed and
no test makes them again. They change only when the format does, which then needs a new version.

    make_golden.py [DIRECTORY]      writes the files (default: format-v1 beside this script)
    make_golden.py --check          says whether the committed files are what it would write
"""

import hashlib
import hmac
import os
import struct
import sys

SUITE = 1
VERSION = 1


def u8(n):
    return struct.pack("<B", n)


def u16(n):
    return struct.pack("<H", n)


def u32(n):
    return struct.pack("<I", n)


def u64(n):
    return struct.pack("<Q", n)


def i64(n):
    return struct.pack("<q", n)


def varint(n):
    out = bytearray()
    while n >= 0x80:
        out.append(n & 0x7F | 0x80)
        n >>= 7
    out.append(n)
    return bytes(out)


def text(s):
    raw = s.encode()
    return varint(len(raw)) + raw


def seq(first, count):
    """`count` bytes that count up from `first`: the golden test makes its ids the same way."""
    return bytes((first + i) % 256 for i in range(count))


def envelope(magic):
    assert len(magic) == 8
    return magic + u16(VERSION) + u16(SUITE)


def features(incompatible, read_only, compatible):
    return u64(incompatible) + u64(read_only) + u64(compatible)


def extensions(*pairs):
    return varint(len(pairs)) + b"".join(u16(t) + varint(len(v)) + v for t, v in pairs)


def crc32c(data):
    crc = 0xFFFFFFFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (0x82F63B78 if crc & 1 else 0)
    return crc ^ 0xFFFFFFFF


# Section 5
def marker():
    body = envelope(b"CofVault") + seq(0x10, 16) + u64(0)
    return body + u32(crc32c(body))


# Section 6
def slot(kind, memory, iterations, parallelism, salt, commitment, sealed):
    raw = u8(kind) + bytes(3) + u32(memory) + u32(iterations) + u32(parallelism)
    raw += salt + commitment + sealed
    assert len(raw) == 128
    return raw


def key_header():
    slots = [bytes(128)] * 16
    slots[0] = slot(1, 262144, 3, 4, seq(0x20, 32), seq(0x40, 32), seq(0x60, 48))
    slots[5] = slot(4, 19456, 2, 1, seq(0x21, 32), seq(0x41, 32), seq(0x61, 48))
    sealed = seq(0x80, 528)
    return (envelope(b"CofKeys\0") + u32(0) + seq(0x10, 16) + u64(3) + b"".join(slots)
            + seq(0xA0, 32) + u32(len(sealed)) + sealed + seq(0xC0, 32))


# Section 7
def keyring(parent, feature_bits, epochs, slots, ext):
    raw = parent + feature_bits + varint(len(epochs))
    for epoch, created, key in epochs:
        raw += u32(epoch) + i64(created) + key
    raw += varint(len(slots))
    for number, created, host, label in slots:
        raw += u8(number) + i64(created) + text(host) + text(label)
    raw += ext + b"\x80"
    return raw + bytes(-len(raw) % 512)


def keyring_first():
    return keyring(bytes(32), features(0, 0, 0), [(1, 1700000000, seq(1, 32))],
                   [(0, 1700000000, "alpha", "")], extensions())


def keyring_grown():
    return keyring(seq(0x70, 32), features(0, 1 << 40, 6),
                   [(1, 1700000000, seq(1, 32)), (4, 1700000500, seq(2, 32)),
                    (5, -1, seq(3, 32))],
                   [(5, 1700000001, "beta", "paper in the safe"),
                    (0, 1700000000, "alpha", "")],
                   extensions((7, b"\x01\x02\x03"), (900, b"")))


# Section 8
def sealed_object(magic, epoch, salt, sealed):
    return envelope(magic) + u32(epoch) + salt + sealed


# Section 9
def volume(ident, name, state, created, forked_from, forked_seq, ext):
    return ident + text(name) + u8(state) + i64(created) + forked_from + u64(forked_seq) + ext


def catalog_first():
    return (seq(0x10, 16) + u64(1) + bytes(32) + seq(0x30, 16) + text("alpha") + i64(1700000000)
            + features(0, 0, 0) + u64(1) + u8(2) + varint(1)
            + volume(seq(0x20, 16), "photos", 1, 1700000000, bytes(16), 0, extensions())
            + varint(0) + extensions())


def catalog_grown():
    condemned = [(2, 1700000100, [seq(0xA0, 32), seq(0xA1, 32)]), (9, 1700000200, [])]
    raw = (seq(0x10, 16) + u64(300) + seq(0x50, 32) + seq(0x31, 16) + text("beta")
           + i64(1700000300) + features(0, 2, 1) + u64(4) + u8(1) + varint(3)
           + volume(seq(0x20, 16), "photos", 1, 1700000000, bytes(16), 0, extensions((1, b"x")))
           + volume(seq(0x21, 16), "old_photos.2023", 2, 1690000000, bytes(16), 0, extensions())
           + volume(seq(0x22, 16), "recovered-beta-20240101T000000", 1, 1700000299,
                    seq(0x20, 16), 77, extensions()))
    raw += varint(len(condemned))
    for number, created, packs in condemned:
        raw += u64(number) + i64(created) + varint(len(packs)) + b"".join(packs)
    return raw + extensions((3, seq(0, 200)))


# Section 10
def full_frame(pack, epoch, codec, number, offset, stored, plain):
    return (pack + u32(epoch) + u8(codec) + varint(number) + varint(offset) + varint(stored)
            + varint(plain))


def block_map(size, level, root, deltas):
    raw = u64(size) + u8(level) + u8(1 if root else 0)
    if root:
        raw += root[0] + root[1]
    raw += varint(len(deltas))
    for entries, frame in deltas:
        raw += varint(entries) + frame
    return raw


def head_first():
    return (seq(0x10, 16) + seq(0x20, 16) + u64(1) + bytes(32) + u64(1) + u8(1) + u8(0)
            + seq(0x30, 16) + text("alpha") + i64(1700000000) + features(0, 0, 0) + u32(65536)
            + block_map(20 << 30, 0, None, []) + bytes(16) + u64(0) + u64(0) + u64(1) + u64(0)
            + u64(1) + varint(0) + extensions())


def head_grown():
    root = (seq(0xB0, 16), full_frame(seq(0xA0, 32), 1, 2, 130, 8000000, 4321, 9000))
    deltas = [(16384, full_frame(seq(0xA1, 32), 4, 2, 3, 48, 300000, 600000)),
              (1, full_frame(seq(0xA2, 32), 5, 0, 1, 4144, 61, 45))]
    snapshots = [
        (3, "before the move", 1690000000,
         block_map(4096, 1, (seq(0xB1, 16), full_frame(seq(0xA0, 32), 1, 1, 9, 70000, 17, 30)),
                   []), extensions((2, b"kept"))),
        (200, "s", 1690000001, block_map(16 << 40, 0, None, deltas[:1]), extensions()),
    ]
    raw = (seq(0x10, 16) + seq(0x20, 16) + u64(812) + seq(0x50, 32) + u64(6) + u8(1 | 2 | 4)
           + u8(1) + seq(0x31, 16) + text("beta") + i64(1700000300) + features(0, 0, 9)
           + u32(262144) + block_map(100 << 30, 2, root, deltas) + seq(0x40, 16) + u64(987654321)
           + u64(300) + u64(4) + u64(9) + u64(201) + varint(len(snapshots)))
    for ident, name, created, mapped, ext in snapshots:
        raw += varint(ident) + text(name) + i64(created) + mapped + ext
    return raw + extensions((65535, b"end"))


# Section 11
def padme(length):
    if length < 2:
        return length
    e = length.bit_length() - 1
    s = e.bit_length()
    low = (1 << e - s) - 1
    return length + low & ~low


def pack_prefix():
    return envelope(b"CofPack\0") + u32(5)


def pack_header():
    table_offset, table_length = 8000123, 4567
    return (u32(128) + u32(table_offset) + u32(table_length)
            + u32(padme(table_offset + table_length + 16)))


def pack_table():
    rows = [
        u8(1) + u8(2) + varint(30000) + varint(65536) + seq(0xD0, 16),
        u8(1) + u8(0) + varint(4112) + varint(4096) + seq(0xD1, 16),
        u8(2) + u8(2) + varint(4321) + varint(9000) + seq(0xD2, 16) + u8(2) + varint(63),
        u8(2) + u8(1) + varint(100) + varint(200) + seq(0xD3, 16) + u8(0) + varint(4194303),
        u8(3) + u8(0) + varint(61) + varint(45),
    ]
    return varint(len(rows)) + b"".join(rows)


def padme_table():
    """Pairs of a length and its padded length."""
    lengths = [0, 1, 2, 3, 9, 64, 65, 100, 4095, 4096, 4097, 123456, 1 << 20, (1 << 20) + 1,
               8 << 20, 8388609, 8765432, 16 << 20, 33554431]
    return b"".join(u64(n) + u64(padme(n)) for n in lengths)


# Section 12. The pack that holds page and delta is seq(0xA0, 32), its key epoch 5.
def zero_piece(first, blocks):
    return u8(0x00) + u8(first) + u8(blocks - 1)


def frame_piece(codec, first, blocks, content, pack_index, number, offset, stored):
    return (u8(0x10 | codec) + u8(first) + u8(blocks - 1) + content + varint(pack_index)
            + varint(number) + varint(offset) + varint(stored))


def pieces(*some):
    return varint(len(some)) + b"".join(some)


def table(*rows):
    return varint(len(rows)) + b"".join(pack + u32(epoch) for pack, epoch in rows)


def leaf_page():
    entries = [
        u8(0) + pieces(frame_piece(2, 0, 16, seq(0xD0, 16), 0, 1, 48, 30000)),
        u8(7) + pieces(frame_piece(0, 0, 16, seq(0xD1, 16), 1, 65000, 39 << 20, 65552),
                       frame_piece(1, 3, 1, seq(0xD2, 16), 2, 200, 300000, 17),
                       zero_piece(15, 1)),
        u8(255) + pieces(frame_piece(2, 8, 8, seq(0xD3, 16), 1, 2, 131, 4000)),
    ]
    return (u8(0) + varint(4194303 // 4) + u32(65536)
            + table((seq(0xA1, 32), 4), (seq(0xA2, 32), 1)) + varint(len(entries))
            + b"".join(entries))


def leaf_page_identity():
    entries = [
        u8(0) + varint(1) + u8(0x10) + u8(0) + u8(15) + seq(0xD0, 16),
        u8(7) + varint(3) + u8(0x10) + u8(0) + u8(15) + seq(0xD1, 16)
        + u8(0x10) + u8(3) + u8(0) + seq(0xD2, 16) + zero_piece(15, 1),
        u8(255) + varint(1) + u8(0x10) + u8(8) + u8(7) + seq(0xD3, 16),
    ]
    return u8(0) + varint(4194303 // 4) + u32(65536) + varint(len(entries)) + b"".join(entries)


def interior_page():
    entries = [
        u8(2) + seq(0xB0, 16) + u8(2) + varint(1) + varint(9) + varint(70000) + varint(4321)
        + varint(9000),
        u8(3) + seq(0xB1, 16) + u8(0) + varint(0) + varint(1) + varint(48) + varint(116)
        + varint(100),
    ]
    return (u8(2) + varint(63) + u32(16384) + table((seq(0xA3, 32), 2)) + varint(len(entries))
            + b"".join(entries))


def interior_page_identity():
    return (u8(2) + varint(63) + u32(16384) + varint(2) + u8(2) + seq(0xB0, 16) + u8(3)
            + seq(0xB1, 16))


def delta():
    entries = [
        u8(2) + varint(0) + varint(5),
        u8(0) + varint(0) + pieces(frame_piece(2, 63, 1, seq(0xD0, 16), 0, 1, 48, 2000)),
        u8(1) + varint(1000) + pieces(frame_piece(1, 0, 64, seq(0xD1, 16), 1, 4, 5000, 99999),
                                      zero_piece(1, 2)),
        u8(0) + varint(3) + pieces(zero_piece(0, 64)),
        u8(2) + varint((1 << 26) - 1011 - 1) + varint(1),
    ]
    return (u32(262144) + table((seq(0xA1, 32), 4)) + varint(5) + b"".join(entries))


# Section 4
def associated_data():
    """One of each kind, in the order of the table."""
    frame_page = (u16(SUITE) + u8(2) + u8(1) + seq(0x10, 16) + u32(5) + seq(0xA0, 32) + u32(9)
                  + u32(9000) + u32(4321) + u8(2) + u64(63))
    frame_data = (u16(SUITE) + u8(1) + u8(2) + seq(0x10, 16) + u32(5) + seq(0xA0, 32) + u32(1)
                  + u32(65536) + u32(30000) + u8(0) + u64(0))
    head = (u16(SUITE) + u16(VERSION) + u8(1) + u32(5) + seq(0x10, 16) + seq(0x20, 16) + u64(812))
    trust = u16(SUITE) + u16(VERSION) + u8(3) + u32(5) + seq(0x10, 16) + bytes(16) + u64(0)
    segment = u16(SUITE) + u8(0) + bytes(16) + u64(77) + u64(0)
    record = u16(SUITE) + u8(1) + seq(0x40, 16) + u64(77) + u64(987654321)
    ring = u16(SUITE) + seq(0x10, 16) + u64(3)
    assert [len(x) for x in (frame_page, head, segment, record, ring)] == [77, 49, 35, 35, 26]
    return frame_page + frame_data + head + trust + segment + record + ring


LABELS = ["slot-wrap", "slot-commit", "header-mac", "keyring", "pack", "head", "catalog",
          "content-id", "page-id", "pack-id-hedge", "host-key-wrap", "journal", "frame-cache",
          "trust"]


def hkdf(key, salt, info, length=32):
    fixed = hmac.new(salt or bytes(32), key, hashlib.sha256).digest()
    out, block, counter = b"", b"", 1
    while len(out) < length:
        block = hmac.new(fixed, block + info + bytes([counter]), hashlib.sha256).digest()
        out += block
        counter += 1
    return out[:length]


def keys():
    """The key of each label, in the order of the table, under the parent key 01 02 03 …; then the
    key of the object whose salt is 20 21 22 … under that parent, without and with the context
    "abc"."""
    parent, salt = seq(1, 32), seq(0x20, 32)
    raw = b"".join(hkdf(parent, b"", b"coffer/1/" + name.encode() + b"\0") for name in LABELS)
    raw += hkdf(parent, salt, b"coffer/1/object\0")
    return raw + hkdf(parent, salt, b"coffer/1/object\0abc")


def digests(plain):
    """SHA-256 of each 4096 bytes, the last block may be shorter."""
    return b"".join(hashlib.sha256(plain[at:at + 4096]).digest()
                    for at in range(0, len(plain), 4096))


def keyed_ids():
    """Content id of a data frame, then the page id of leaf_page, both under the key 01 02 03 …"""
    plain = seq(0, 256) * 16
    content = hmac.new(seq(1, 32), u64(1) + u64(len(plain)) + digests(plain),
                       hashlib.sha256).digest()[:16]
    identity = leaf_page_identity()
    page = hmac.new(seq(1, 32), u64(len(identity)) + identity, hashlib.sha256).digest()[:16]
    return content + page


# Section 2
def names():
    rows = ["vault"]
    for number in (1, 2, 812, (1 << 64) - 1):
        rows.append("keys/%016x" % ((1 << 64) - 1 - number))
    rows.append("catalog/%016x" % ((1 << 64) - 1 - 300))
    rows.append("heads/%s/%016x" % (seq(0x20, 16).hex(), (1 << 64) - 1 - 812))
    pack = seq(0xA0, 32).hex()
    rows.append("packs/%s/%s" % (pack[:2], pack))
    return "".join(row + "\n" for row in rows).encode()


# Section 15
def segment_prefix():
    return envelope(b"CofJrnl\0") + u32(5) + u64(77) + seq(0x20, 32)


def segment_header():
    return (seq(0x10, 16) + seq(0x20, 16) + seq(0x40, 16) + u64(77) + u64(987654000)
            + u64(987000000) + seq(0xE0, 16) + u64(812) + seq(0x50, 32) + u64(20 << 30) + i64(1700000300))


def segment_header_first():
    return (seq(0x10, 16) + seq(0x20, 16) + seq(0x40, 16) + u64(1) + u64(1) + u64(1) + bytes(16) + u64(0)
            + bytes(32) + u64(4096) + i64(1700000300))


def group_header():
    raw = (b"CGRP" + u32(80 + 44 + 4096 + 44) + u64(77) + u64(987654321) + u32(2) + u32(300)
           + seq(0xE0, 16) + seq(0x20, 32))
    assert len(raw) == 80
    return raw


def record_headers():
    """A write that continues, its end, a zero, a resize."""
    rows = [(1, 1, 8192, 32768), (1, 0, 40960, 4096), (2, 0, 1 << 40, 15 << 40), (3, 0, 0, 8192)]
    return b"".join(u8(kind) + u8(flags) + bytes(6) + u64(offset) + u64(length)
                    for kind, flags, offset, length in rows)


# Section 16
def point(number, value):
    return u64(number) + value


def trust():
    nothing = point(0, bytes(32))
    volumes = [seq(0x22, 16) + point(812, seq(0x51, 32)) + point(811, seq(0x52, 32)) + u64(6),
               seq(0x20, 16) + point(1, seq(0x53, 32)) + nothing + u64(0)]
    return (seq(0x10, 16) + seq(0x30, 16) + u64(99) + point(3, seq(0x54, 32))
            + point(300, seq(0x50, 32)) + varint(len(volumes)) + b"".join(volumes)
            + extensions((4, b"stamp")))


def trust_new():
    nothing = point(0, bytes(32))
    return (seq(0x10, 16) + seq(0x30, 16) + u64(1) + nothing + nothing + varint(0)
            + extensions())


def spool():
    return envelope(b"CofSpol\0") + u64(813) + seq(0x80, 1120)


def host_key():
    return seq(0x10, 16) + seq(0x30, 16) + seq(0x90, 32)


FILES = {
    "associated_data": associated_data,
    "catalog_first": catalog_first,
    "catalog_grown": catalog_grown,
    "delta": delta,
    "group_header": group_header,
    "head_first": head_first,
    "head_grown": head_grown,
    "host_key": host_key,
    "interior_page": interior_page,
    "interior_page_identity": interior_page_identity,
    "key_header": key_header,
    "keyed_ids": keyed_ids,
    "keyring_first": keyring_first,
    "keyring_grown": keyring_grown,
    "keys": keys,
    "leaf_page": leaf_page,
    "leaf_page_identity": leaf_page_identity,
    "marker": marker,
    "names": names,
    "pack_header": pack_header,
    "pack_prefix": pack_prefix,
    "pack_table": pack_table,
    "padme": padme_table,
    "record_headers": record_headers,
    "sealed_catalog": lambda: sealed_object(b"CofCatl\0", 5, seq(0x20, 32), seq(0x80, 528)),
    "sealed_head": lambda: sealed_object(b"CofHead\0", 5, seq(0x20, 32), seq(0x80, 1040)),
    "sealed_host_key": lambda: sealed_object(b"CofHost\0", 5, seq(0x20, 32), seq(0x80, 80)),
    "sealed_trust": lambda: sealed_object(b"CofTrst\0", 5, seq(0x20, 32), seq(0x80, 528)),
    "segment_header": segment_header,
    "segment_header_first": segment_header_first,
    "segment_prefix": segment_prefix,
    "spool": spool,
    "trust": trust,
    "trust_new": trust_new,
}


def all_files():
    made = {name + ".bin": make() for name, make in FILES.items()}
    rows = ["%s  %s  %d\n" % (hashlib.sha256(raw).hexdigest(), name, len(raw))
            for name, raw in sorted(made.items())]
    made["MANIFEST"] = "".join(rows).encode()
    return made


def main(arguments):
    here = os.path.join(os.path.dirname(os.path.abspath(__file__)), "format-v1")
    made = all_files()
    if arguments == ["--check"]:
        there = {name: open(os.path.join(here, name), "rb").read() for name in os.listdir(here)}
        wrong = sorted(n for n in made.keys() | there.keys() if made.get(n) != there.get(n))
        print("differ: " + " ".join(wrong) if wrong else "%d files as expected" % len(made))
        return 1 if wrong else 0
    directory = arguments[0] if arguments else here
    os.makedirs(directory, exist_ok=True)
    for name, raw in made.items():
        with open(os.path.join(directory, name), "wb") as out:
            out.write(raw)
    print("%d files in %s" % (len(made), directory))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

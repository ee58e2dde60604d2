#!/usr/bin/env python3
"""Makes tests/testdata/vault-v1: a whole vault of format version 1, written from docs/FORMAT.md.

Two volumes, two key epochs, pages of two levels, deltas with every operation, every codec, base and
patches, a hole, a chunk cut by the volume's end. coffer must read it for ever (golden_vault_test.cc)
and so must tests/support/reader.py (reader_test.py). vault-v1/EXPECTED names the password and the
SHA-256 of each volume's content, which come from the plain model here, not from a reader.

Needs python3-cryptography, libargon2, libzstd and liblz4. Everything "random" comes from a counter,
so another run gives the same bytes as long as zstd and lz4 do. The files are committed; no test
makes them again.

    make_golden_vault.py [DIRECTORY]
"""

import ctypes
import hashlib
import hmac
import os
import shutil
import struct
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [HERE, os.path.join(HERE, "..", "support")]

from cryptography.hazmat.primitives.ciphers.aead import AESGCM  # noqa: E402
from make_golden import (block_map, crc32c, digests, envelope, extensions, features, full_frame,  # noqa: E402
                         hkdf, i64, keyring, padme, table, text, u8, u16, u32, u64, varint)
from reader import argon2id  # noqa: E402

PASSWORD = "correct horse battery staple"
CHUNK = 16384
BLOCK = 4096
SIZE = 300 * CHUNK + 3 * BLOCK  # two leaves under one root, and a last chunk cut short
NOW = 1700000000
DATA, PAGE, DELTA = 1, 2, 3
STORED, LZ4, ZSTD = 0, 1, 2

fresh_count = 0


def fresh(length):
    global fresh_count
    fresh_count += 1
    return hashlib.shake_256(b"golden vault %d" % fresh_count).digest(length)


def noise(seed, length):
    """Plaintext that does not compress."""
    return hashlib.shake_256(b"plain %d" % seed).digest(length)


def prose(seed, length):
    """Plaintext that does."""
    line = b"line %06d of the golden vault, part %d\n"
    return b"".join(line % (i, seed) for i in range(length // 30))[:length]


def seal(key, salt, number, aad, plain, context=b""):
    object_key = hkdf(key, salt, b"coffer/1/object\0" + context)
    return AESGCM(object_key).encrypt(struct.pack("<Q4x", number), plain, aad)


def purpose(parent, label):
    return hkdf(parent, b"", b"coffer/1/" + label.encode() + b"\0")


def mac(key, message):
    return hmac.new(key, message, hashlib.sha256).digest()


def compress(codec, plain):
    if codec == STORED:
        return plain
    out = ctypes.create_string_buffer(len(plain) * 2 + 1024)
    if codec == LZ4:
        size = ctypes.CDLL("liblz4.so.1").LZ4_compress_default(plain, out, len(plain), len(out))
    else:
        zstd = ctypes.CDLL("libzstd.so.1").ZSTD_compress
        zstd.restype = ctypes.c_size_t
        zstd.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_char_p, ctypes.c_size_t,
                         ctypes.c_int]
        size = zstd(out, len(out), plain, len(plain), 1)
    assert 0 < size < len(plain)
    return out.raw[:size]


class Builder:
    def __init__(self, root):
        self.root = root
        self.vault = fresh(16)
        self.host = fresh(16)
        self.unlock_key = fresh(32)
        self.masters = {1: fresh(32), 3: fresh(32)}

    def put(self, name, raw):
        path = os.path.join(self.root, name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "xb") as out:
            out.write(raw)
        return hashlib.sha256(raw).digest()

    def put_chain(self, prefix, sequence, raw):
        return self.put("%s%016x" % (prefix, (1 << 64) - 1 - sequence), raw)

    def key(self, epoch, label):
        return purpose(self.masters[epoch], label)

    def content_id(self, epoch, plain):
        return mac(self.key(epoch, "content-id"), u64(DATA) + u64(len(plain)) + digests(plain))[:16]

    def page_id(self, epoch, identity):
        return mac(self.key(epoch, "page-id"), u64(len(identity)) + identity)[:16]

    def put_marker(self):
        body = envelope(b"CofVault") + self.vault + u64(0)
        self.put("vault", body + u32(crc32c(body)))

    def slot(self, index, password):
        costs = (19 * 1024, 2, 1)
        cost_bytes = struct.pack("<III", *costs)
        salt = fresh(32)
        place = u16(1) + self.vault + u8(index) + u8(1)
        kek = argon2id(password, salt, b"", b"coffer/1/kek\0" + cost_bytes + salt + place, costs)
        sealed = seal(purpose(kek, "slot-wrap"), salt, 0, place, self.unlock_key)
        commitment = mac(purpose(kek, "slot-commit"),
                         b"coffer/1/slot\0" + cost_bytes + place + salt + sealed)
        return u8(1) + bytes(3) + cost_bytes + salt + commitment + sealed

    def put_key_header(self, sequence, parent):
        slots = [bytes(128)] * 16
        slots[0] = self.slot(0, b"another password, which opens the vault too")
        slots[3] = self.slot(3, PASSWORD.encode())
        plain = keyring(parent, features(0, 0, 0),
                        [(epoch, NOW, key) for epoch, key in sorted(self.masters.items())],
                        [(0, NOW, "golden", "the other one"), (3, NOW, "golden", "")],
                        extensions((77, b"kept")))
        salt = fresh(32)
        sealed = seal(purpose(self.unlock_key, "keyring"), salt, 0,
                      u16(1) + self.vault + u64(sequence), plain)
        body = (envelope(b"CofKeys\0") + u32(0) + self.vault + u64(sequence) + b"".join(slots)
                + salt + u32(len(sealed)) + sealed)
        return self.put_chain("keys/", sequence,
                              body + mac(purpose(self.unlock_key, "header-mac"), body))

    def sealed_object(self, magic, kind, label, volume, sequence, plain):
        epoch, salt = 3, fresh(32)
        plain += b"\x80" + bytes(-(len(plain) + 1) % 256)
        aad = u16(1) + u16(1) + u8(kind) + u32(epoch) + self.vault + volume + u64(sequence)
        return (envelope(magic) + u32(epoch) + salt
                + seal(self.key(epoch, label), salt, 0, aad, plain))

    def put_catalog(self, sequence, parent, volumes):
        plain = (self.vault + u64(sequence) + parent + self.host + text("golden") + i64(NOW)
                 + features(0, 0, 0) + u64(2) + u8(2) + varint(len(volumes)))
        for ident, name, state in volumes:
            plain += ident + text(name) + u8(state) + i64(NOW) + bytes(16) + u64(0) + extensions()
        plain += varint(0) + extensions()
        return self.put_chain("catalog/", sequence, self.sealed_object(
            b"CofCatl\0", 2, "catalog", bytes(16), sequence, plain))

    def put_head(self, volume, sequence, parent, mapped, released, snapshots=()):
        plain = (self.vault + volume + u64(sequence) + parent + u64(1) + u8(released) + u8(0)
                 + self.host + text("golden") + i64(NOW) + features(0, 0, 0) + u32(CHUNK) + mapped
                 + bytes(16) + u64(0) + u64(1) + u64(2) + u64(0) + u64(len(snapshots) + 1)
                 + varint(len(snapshots)))
        for number, (name, kept) in enumerate(snapshots):
            plain += varint(number + 1) + text(name) + i64(NOW) + kept + extensions()
        plain += extensions()
        return self.put_chain("heads/%s/" % volume.hex(), sequence, self.sealed_object(
            b"CofHead\0", 1, "head", volume, sequence, plain))


class Pack:
    """Collects frames; their places are known at once, the pack's id when it is put."""

    def __init__(self, builder, epoch):
        self.builder, self.epoch, self.frames, self.offset = builder, epoch, [], 48
        self.ident = None

    def add(self, kind, codec, plain, ident=b"", level=0, index=0):
        packed = compress(codec, plain)
        place = dict(codec=codec, number=len(self.frames) + 1, offset=self.offset,
                     stored=len(packed) + 16, plain=len(plain), pack=self)
        self.frames.append((kind, ident, level, index, packed, place))
        self.offset += len(packed) + 16
        return place

    def data(self, codec, plain):
        """A function of (first block, pack index) that makes the piece."""
        ident = self.builder.content_id(self.epoch, plain)
        place = self.add(DATA, codec, plain, ident)
        blocks = len(plain) // BLOCK
        return Piece(ident, place, blocks)

    def put(self):
        builder, epoch = self.builder, self.epoch
        joined = b"".join(hashlib.sha256(packed).digest() for _, _, _, _, packed, _ in self.frames)
        self.ident = mac(builder.key(epoch, "pack-id-hedge"),
                         fresh(32) + hashlib.sha256(joined).digest())
        key = builder.key(epoch, "pack")

        def frame(kind, codec, number, plain_length, packed, level=0, index=0):
            aad = (u16(1) + u8(kind) + u8(codec) + builder.vault + u32(epoch) + self.ident
                   + u32(number) + u32(plain_length) + u32(len(packed) + 16) + u8(level)
                   + u64(index))
            return seal(key, self.ident, number, aad, packed)
        rows = varint(len(self.frames))
        body = b""
        for kind, ident, level, index, packed, place in self.frames:
            rows += u8(kind) + u8(place["codec"]) + varint(place["stored"]) + varint(place["plain"])
            rows += ident + (u8(level) + varint(index) if kind == PAGE else b"")
            body += frame(kind, place["codec"], place["number"], place["plain"], packed, level,
                          index)
        count = len(self.frames)
        sealed_rows = frame(4, 0, count + 1, len(rows), rows)
        end = self.offset + len(sealed_rows)
        length = padme(end + 16)
        head = u32(count) + u32(self.offset) + u32(len(sealed_rows)) + u32(length)
        padding = bytes(length - end - 16)
        raw = (envelope(b"CofPack\0") + u32(epoch) + frame(0, 0, 0, 16, head) + body + sealed_rows
               + frame(5, 0, count + 2, len(padding), padding))
        assert len(raw) == length
        name = self.ident.hex()
        builder.put("packs/%s/%s" % (name[:2], name), raw)

    def full(self, place):
        return full_frame(self.ident, self.epoch, place["codec"], place["number"],
                          place["offset"], place["stored"], place["plain"])


class Piece:
    def __init__(self, ident, place, blocks):
        self.ident, self.place, self.blocks = ident, place, blocks

    def encode(self, first, packs):
        place = self.place
        return (u8(0x10 | place["codec"]) + u8(first) + u8(self.blocks - 1) + self.ident
                + varint(packs(place["pack"])) + varint(place["number"]) + varint(place["offset"])
                + varint(place["stored"]))

    def identity(self, first):
        return u8(0x10) + u8(first) + u8(self.blocks - 1) + self.ident


class Zero:
    def __init__(self, blocks):
        self.blocks = blocks

    def encode(self, first, packs):
        return u8(0) + u8(first) + u8(self.blocks - 1)

    def identity(self, first):
        return self.encode(first, None)


def numberer(holder):
    """Gives packs their index in the order of first use; `.rows()` is the table."""
    others = []

    def number(pack):
        if pack is holder:
            return 0
        if pack not in others:
            others.append(pack)
        return others.index(pack) + 1
    number.rows = lambda: table(*((pack.ident, pack.epoch) for pack in others))
    return number


def put_leaf(pack, index, chunks):
    packs = numberer(pack)
    head = u8(0) + varint(index) + u32(CHUNK)
    body = identity = varint(len(chunks))
    for slot, pieces in sorted(chunks.items()):
        body += u8(slot) + varint(len(pieces))
        body += b"".join(piece.encode(first, packs) for first, piece in pieces)
        identity += u8(slot) + varint(len(pieces))
        identity += b"".join(piece.identity(first) for first, piece in pieces)
    ident = pack.builder.page_id(pack.epoch, head + identity)
    return ident, pack.add(PAGE, STORED, head + packs.rows() + body, ident, 0, index)


def put_interior(pack, level, index, children):
    packs = numberer(pack)
    head = u8(level) + varint(index) + u32(CHUNK)
    body = identity = varint(len(children))
    for slot, (ident, place) in sorted(children.items()):
        body += u8(slot) + ident + u8(place["codec"]) + varint(packs(place["pack"]))
        body += b"".join(varint(place[k]) for k in ("number", "offset", "stored", "plain"))
        identity += u8(slot) + ident
    ident = pack.builder.page_id(pack.epoch, head + identity)
    return ident, pack.add(PAGE, STORED, head + packs.rows() + body, ident, level, index)


def put_delta(pack, entries):
    """Entries are (op, chunk, pieces or count)."""
    packs = numberer(pack)
    body, at = varint(len(entries)), 0
    for op, chunk, what in entries:
        body += u8(op) + varint(chunk - at)
        if op == 2:
            body += varint(what)
            at = chunk + what
            continue
        body += varint(len(what)) + b"".join(p.encode(first, packs) for first, p in what)
        at = chunk + 1
    return len(entries), pack.add(DELTA, ZSTD if len(body) > 400 else STORED,
                                  u32(CHUNK) + packs.rows() + body)


class Model:
    """The plain truth: what the volume holds."""

    def __init__(self):
        self.image = bytearray(SIZE + CHUNK)

    def write(self, chunk, first, plain):
        at = chunk * CHUNK + first * BLOCK
        self.image[at:at + len(plain)] = plain

    def clear(self, chunk, count=1):
        self.write(chunk, 0, bytes(count * CHUNK))

    def content(self):
        return bytes(self.image[:SIZE])


def main(arguments):
    root = arguments[0] if arguments else os.path.join(HERE, "vault-v1")
    shutil.rmtree(root, ignore_errors=True)
    store = os.path.join(root, "store")
    builder, model = Builder(store), Model()
    first_header = hashlib.sha256(b"the header before, since deleted").digest()
    builder.put_key_header(2, first_header)

    old = Pack(builder, 1)
    base = {}
    for chunk in list(range(0, 40)) + [255, 256, 299, 300]:
        plain = noise(chunk, CHUNK) if chunk % 8 == 3 else prose(chunk, CHUNK)
        model.write(chunk, 0, plain)
        base[chunk] = [(0, old.data(STORED if chunk % 8 == 3 else (LZ4 if chunk % 2 else ZSTD),
                                    plain))]
    patch = prose(1000, BLOCK)
    model.write(5, 2, patch)
    base[5].append((2, old.data(LZ4, patch)))
    model.write(6, 1, bytes(2 * BLOCK))
    base[6].append((1, Zero(2)))
    old.put()

    pages = Pack(builder, 3)
    extra = prose(2000, CHUNK)  # a data frame beside the pages that refer to it
    base[41] = [(0, pages.data(ZSTD, extra))]
    model.write(41, 0, extra)
    leaves = {}
    for index in (0, 1):
        leaves[index] = put_leaf(pages, index,
                                 {c % 256: p for c, p in base.items() if c // 256 == index})
    tree = put_interior(pages, 1, 0, leaves)
    snapshot_sha = hashlib.sha256(model.content()).hexdigest()

    commit = Pack(builder, 3)
    entries = []
    model.clear(0, 2)
    entries.append((2, 0, 2))
    scattered = noise(3000, BLOCK)
    model.write(2, 3, scattered)
    entries.append((0, 2, [(3, commit.data(STORED, scattered))]))
    again = noise(3, CHUNK)  # dedup: the frame of chunk 3, in another pack
    model.write(4, 0, again)
    entries.append((1, 4, base[3]))
    whole = prose(3001, 2 * BLOCK)
    model.clear(7)
    model.write(7, 1, whole)
    entries.append((1, 7, [(1, commit.data(ZSTD, whole))]))
    model.write(100, 0, scattered)
    entries.append((0, 100, [(0, entries[1][2][0][1])]))
    first_delta = put_delta(commit, entries)
    commit.put()

    later = Pack(builder, 3)
    model.write(2, 0, bytes(BLOCK))
    block = prose(4000, BLOCK)
    model.write(100, 0, block)
    model.clear(255, 2)
    second_delta = put_delta(later, [
        (0, 2, [(0, Zero(1))]),
        (0, 100, [(0, later.data(LZ4, block))]),
        (2, 255, 2)])
    later.put()
    pages.put()

    photos, empty, gone = fresh(16), fresh(16), fresh(16)
    root_ref = (tree[0], pages.full(tree[1]))
    tree_only = block_map(SIZE, 1, root_ref, [])
    newest = block_map(SIZE, 1, root_ref, [(first_delta[0], commit.full(first_delta[1])),
                                           (second_delta[0], later.full(second_delta[1]))])
    parent = builder.put_head(photos, 1, bytes(32), block_map(SIZE, 0, None, []), 1)
    parent = builder.put_head(photos, 2, parent, tree_only, 0, [("first", tree_only)])
    builder.put_head(photos, 3, parent, newest, 1, [("first", tree_only)])
    builder.put_head(empty, 1, bytes(32), block_map(BLOCK, 0, None, []), 1)
    parent = builder.put_catalog(1, bytes(32), [(photos, "photos", 1)])
    builder.put_catalog(2, parent, [(photos, "photos", 1), (empty, "Empty.1", 1),
                                    (gone, "photos.old", 2)])
    builder.put_marker()

    with open(os.path.join(root, "EXPECTED"), "w") as out:
        out.write("password %s\n" % PASSWORD)
        out.write("photos %d %s\n" % (SIZE, hashlib.sha256(model.content()).hexdigest()))
        out.write("photos@first %d %s\n" % (SIZE, snapshot_sha))
        out.write("Empty.1 %d %s\n" % (BLOCK, hashlib.sha256(bytes(BLOCK)).hexdigest()))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

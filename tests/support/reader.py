#!/usr/bin/env python3
"""An independent reader of coffer vaults: writes the newest state of a volume to a file.

    reader.py STORE VOLUME[@SNAPSHOT] OUT --password-file FILE     STORE: the directory of a vault
    reader.py STORE --list --password-file FILE                    the names of its live volumes

Written from docs/FORMAT.md alone, so that the page, the C++ code and this file hold each other to
account (faults.md A36). Python's standard library, AES-GCM from python3-cryptography, and libargon2,
libzstd, liblz4 as they lie on a machine that has coffer. Section numbers are those of the page.
Slow, strict and short: it has no cache, and whatever the page does not allow ends it.
"""

import argparse
import ctypes
import hashlib
import hmac
import os
import re
import struct
import sys

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

BLOCK = 4096
VERSION = 1
SUITE = 1
PACK_HEADER, DATA, PAGE, DELTA, PACK_TABLE, PADDING = range(6)


class Refused(Exception):
    """Damage, a newer format, or a wrong password."""


def need(condition, what):
    if not condition:
        raise Refused(what)


class Cursor:
    """Section 1: little-endian integers and the shortest varints, every byte accounted for."""

    def __init__(self, raw, what):
        self.raw, self.at, self.what = raw, 0, what

    def take(self, count):
        need(0 <= count <= len(self.raw) - self.at, self.what + " ends too early")
        self.at += count
        return self.raw[self.at - count:self.at]

    def number(self, size):
        return int.from_bytes(self.take(size), "little")

    def u8(self):
        return self.number(1)

    def u32(self):
        return self.number(4)

    def u64(self):
        return self.number(8)

    def varint(self, least=0, most=(1 << 64) - 1):
        value = shift = 0
        while True:
            byte = self.u8()
            value |= (byte & 0x7F) << shift
            if byte < 0x80:
                break
            shift += 7
        need(byte != 0 or shift == 0, self.what + ": a varint is not the shortest")
        need(least <= value <= most, "%s: %d is not in %d … %d" % (self.what, value, least, most))
        return value

    def count(self, most):
        return self.varint(0, min(most, len(self.raw) - self.at))

    def text(self, most):
        return self.take(self.varint(0, most)).decode("utf-8", "surrogateescape")

    def skip(self, *sizes):
        """Fields that a reader of one volume has no use for; 0 stands for a text."""
        for size in sizes:
            self.text(255) if size == 0 else self.take(size)

    def envelope(self, magic):
        need(self.take(8) == magic, "no " + self.what)
        version, suite = self.number(2), self.number(2)
        need(version != 0, self.what + ": version 0")
        need(version <= VERSION and suite == SUITE, self.what + ": needs a newer coffer")

    def features(self):
        incompatible, _, _ = self.u64(), self.u64(), self.u64()
        need(incompatible == 0, self.what + ": an unknown feature needs a newer coffer")

    def extensions(self):
        last = -1
        for _ in range(self.count(64)):
            tag = self.number(2)
            need(tag > last, self.what + ": extension tags do not ascend")
            last = tag
            self.take(self.varint(0, len(self.raw)))

    def end(self):
        need(self.at == len(self.raw), self.what + ": bytes are left over")


# Section 4: keys and sealing


def hkdf(key, salt, info):
    fixed = hmac.digest(salt or bytes(32), key, "sha256")
    return hmac.digest(fixed, info + b"\x01", "sha256")


def purpose_key(parent, label):
    return hkdf(parent, b"", b"coffer/1/" + label + b"\0")


def unseal(key, salt, number, aad, sealed, what, context=b""):
    object_key = hkdf(key, salt, b"coffer/1/object\0" + context)
    nonce = struct.pack("<Q4x", number)
    try:
        return AESGCM(object_key).decrypt(nonce, bytes(sealed), aad)
    except InvalidTag:
        raise Refused(what + " does not authenticate") from None


class Argon2Context(ctypes.Structure):
    """argon2_context of argon2.h."""

    _fields_ = [(name, kind) for names, kind in (
        (("out",), ctypes.c_void_p), (("outlen",), ctypes.c_uint32),
        (("pwd",), ctypes.c_void_p), (("pwdlen",), ctypes.c_uint32),
        (("salt",), ctypes.c_void_p), (("saltlen",), ctypes.c_uint32),
        (("secret",), ctypes.c_void_p), (("secretlen",), ctypes.c_uint32),
        (("ad",), ctypes.c_void_p), (("adlen",), ctypes.c_uint32),
        (("t_cost", "m_cost", "lanes", "threads", "version"), ctypes.c_uint32),
        (("allocate_cbk", "free_cbk"), ctypes.c_void_p),
        (("flags",), ctypes.c_uint32)) for name in names]


def argon2id(password, salt, secret, data, costs):
    memory, iterations, parallelism = costs
    out = ctypes.create_string_buffer(32)
    kept = [ctypes.create_string_buffer(x, len(x)) if x else None
            for x in (password, salt, secret, data)]
    context = Argon2Context(outlen=32, t_cost=iterations, m_cost=memory, lanes=parallelism,
                            threads=parallelism, version=0x13)
    context.out = ctypes.addressof(out)
    for name, buffer in zip(("pwd", "salt", "secret", "ad"), kept):
        if buffer is not None:
            setattr(context, name, ctypes.addressof(buffer))
            setattr(context, name + "len", len(buffer))
    code = ctypes.CDLL("libargon2.so.1").argon2id_ctx(ctypes.byref(context))
    need(code == 0, "Argon2id failed with code %d" % code)
    return out.raw


def open_slot(raw, index, vault, password):
    """The unlock key in one 128-byte slot, or None if the password is another."""
    slot = Cursor(raw, "key slot")
    kind = slot.u8()
    need(kind <= 4 and slot.take(3) == bytes(3), "a key slot needs a newer coffer")
    costs = slot.u32(), slot.u32(), slot.u32()
    salt, commitment, sealed = slot.take(32), slot.take(32), slot.take(48)
    if kind != 1:
        return None
    need(19 * 1024 <= costs[0] <= 4 << 20 and 2 <= costs[1] <= 64 and 1 <= costs[2] <= 16,
         "the cost of a key slot is out of bounds")
    place = struct.pack("<H", SUITE) + vault + bytes([index, kind])
    cost_bytes = struct.pack("<III", *costs)
    kek = argon2id(password, salt, b"", b"coffer/1/kek\0" + cost_bytes + salt + place, costs)
    covered = b"coffer/1/slot\0" + cost_bytes + place + salt + sealed
    expected = hmac.digest(purpose_key(kek, b"slot-commit"), covered, "sha256")
    if not hmac.compare_digest(expected, commitment):
        return None
    return unseal(purpose_key(kek, b"slot-wrap"), salt, 0, place, sealed, "the unlock key")


def decompress(codec, raw, length):
    if codec == 0:
        need(len(raw) == length, "a stored frame has another length")
        return raw
    need(codec in (1, 2), "codec %d needs a newer coffer" % codec)
    out = ctypes.create_string_buffer(length)
    if codec == 1:
        got = ctypes.CDLL("liblz4.so.1").LZ4_decompress_safe(raw, out, len(raw), length)
    else:
        zstd = ctypes.CDLL("libzstd.so.1").ZSTD_decompress
        zstd.restype = ctypes.c_size_t
        zstd.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_char_p, ctypes.c_size_t]
        got = zstd(out, length, raw, len(raw))
    need(got == length, "a frame does not decompress to its length")
    return out.raw


class Store:
    """A directory of objects (section 2)."""

    def __init__(self, root):
        self.root = root

    def get(self, name, offset=0, length=-1):
        try:
            with open(os.path.join(self.root, name), "rb") as file:
                file.seek(offset)
                return file.read(length)
        except FileNotFoundError:
            raise Refused("missing object " + name) from None

    def newest(self, prefix):
        """Bytes and sequence of the newest member of a chain."""
        directory = os.path.join(self.root, prefix)
        names = sorted(n for n in os.listdir(directory) if re.fullmatch("[0-9a-f]{16}", n))
        need(names, "nothing under " + prefix)
        return self.get(prefix + names[0]), (1 << 64) - 1 - int(names[0], 16)


class Frame:
    """Where a frame lies, and what it is."""

    def __init__(self, pack, epoch, codec, number, offset, stored, plain):
        self.pack, self.epoch, self.codec, self.number = pack, epoch, codec, number
        self.offset, self.stored, self.plain = offset, stored, plain
        need(any(pack) and epoch and 48 <= offset and codec < 16 and
             17 <= stored <= plain + 16 and offset + stored <= 40 << 20,
             "a frame that fits in no pack")


def read_full_frame(cursor, plain_max):
    """Section 10."""
    return Frame(cursor.take(32), cursor.u32(), cursor.u8(), cursor.varint(1, 65000),
                 cursor.varint(), cursor.varint(), cursor.varint(1, plain_max))


def read_map(cursor):
    size, level, roots = cursor.u64(), cursor.u8(), cursor.u8()
    need(0 < size <= 16 << 40 and size % BLOCK == 0 and roots <= 1 and
         level <= (3 if roots else 0), "a map that cannot be")
    root = (cursor.take(16), read_full_frame(cursor, 4 << 20)) if roots else None
    deltas = []
    for _ in range(cursor.count(128)):
        entries = cursor.varint(1, 1 << 20)
        deltas.append((entries, read_full_frame(cursor, 16 << 20)))
    return size, level, root, deltas


class PackTable:
    """Section 12: the packs that a page or delta refers to."""

    def __init__(self, cursor, holder):
        self.rows = [(holder.pack, holder.epoch)]
        self.used = 0
        for _ in range(cursor.count(len(cursor.raw))):
            self.rows.append((cursor.take(32), cursor.u32()))
        need(len(set(self.rows)) == len(self.rows) and
             all(row[0] != holder.pack for row in self.rows[1:]), "a pack is listed twice")

    def next(self, cursor):
        index = cursor.varint(0, min(len(self.rows) - 1, self.used + 1))
        self.used = max(self.used, index)
        return self.rows[index]

    def end(self):
        need(self.used == len(self.rows) - 1, "a pack is listed and not used")


def read_pieces(cursor, table, chunk_size):
    """A list of (first block, block count, None or (content id, frame)), oldest first."""
    pieces = []
    for _ in range(cursor.varint(1, 64)):
        head, first, blocks = cursor.u8(), cursor.u8(), cursor.u8() + 1
        need(first + blocks <= chunk_size // BLOCK, "a piece goes beyond its chunk")
        if head == 0:
            pieces.append((first, blocks, None))
            continue
        need(head >> 4 == 1, "a piece of an unknown kind")
        content = cursor.take(16)
        pack, epoch = table.next(cursor)
        frame = Frame(pack, epoch, head & 15, cursor.varint(1, 65000), cursor.varint(),
                      cursor.varint(), blocks * BLOCK)
        pieces.append((first, blocks, (content, frame)))
    return pieces


class Vault:
    def __init__(self, store, password):
        self.store = store
        self.masters = {}
        self.read_marker()
        self.unlock(password)
        self.read_catalog()

    def read_marker(self):
        """Section 5."""
        raw = self.store.get("vault")
        need(raw[:8] == b"CofVault" and len(raw) >= 40, "no vault marker")
        crc = 0xFFFFFFFF
        for byte in raw[:36]:
            crc ^= byte
            for _ in range(8):
                crc = crc >> 1 ^ (0x82F63B78 if crc & 1 else 0)
        stored = int.from_bytes(raw[36:40], "little")
        need(stored == crc ^ 0xFFFFFFFF, "the vault marker is damaged")
        cursor = Cursor(raw, "vault marker")
        cursor.envelope(b"CofVault")
        self.vault = cursor.take(16)
        need(cursor.u64() == 0, "an unknown feature needs a newer coffer")
        cursor.u32()
        cursor.end()

    def unlock(self, password):
        """Sections 6 and 7."""
        raw, sequence = self.store.newest("keys/")
        cursor = Cursor(raw, "key header")
        cursor.envelope(b"CofKeys\0")
        need(cursor.u32() == 0 and cursor.take(16) == self.vault and
             cursor.u64() == sequence, "the key header of another vault or place")
        self.header_sequence = sequence
        slots = [cursor.take(128) for _ in range(16)]
        salt = cursor.take(32)
        sealed = cursor.take(cursor.u32())
        mac = cursor.take(32)
        cursor.end()
        keys = (open_slot(slot, i, self.vault, password) for i, slot in enumerate(slots))
        unlock_key = next((key for key in keys if key), None)
        need(unlock_key, "wrong password")
        expected = hmac.digest(purpose_key(unlock_key, b"header-mac"), raw[:-32], "sha256")
        need(hmac.compare_digest(expected, mac), "the key header was changed")
        aad = struct.pack("<H", SUITE) + self.vault + struct.pack("<Q", sequence)
        self.read_keyring(
            unseal(purpose_key(unlock_key, b"keyring"), salt, 0, aad, sealed, "the keyring"))

    def read_keyring(self, padded):
        plain = unpad(padded)
        need(len(padded) == (len(plain) // 512 + 1) * 512, "the keyring's padding")
        cursor = Cursor(plain, "keyring")
        cursor.take(32)
        cursor.features()
        last = 0
        for _ in range(cursor.varint(1, 4096)):
            epoch, _, master = cursor.u32(), cursor.take(8), cursor.take(32)
            need(epoch > last, "key epochs do not ascend")
            last = epoch
            self.masters[epoch] = master
        for _ in range(cursor.count(16)):
            cursor.skip(1, 8, 0, 0)
        cursor.extensions()
        cursor.end()

    def key(self, epoch, label):
        need(epoch in self.masters, "written under key epoch %d, which is not known" % epoch)
        return purpose_key(self.masters[epoch], label)

    def open_sealed(self, raw, magic, kind, label, volume, sequence, what):
        """Section 8."""
        cursor = Cursor(raw, what)
        cursor.envelope(magic)
        epoch, salt = cursor.u32(), cursor.take(32)
        aad = (struct.pack("<HHBI", SUITE, VERSION, kind, epoch) + self.vault + volume +
               struct.pack("<Q", sequence))
        sealed = cursor.take(len(raw) - cursor.at)
        return unpad(unseal(self.key(epoch, label), salt, 0, aad, sealed, what))

    def read_catalog(self):
        """Section 9."""
        raw, sequence = self.store.newest("catalog/")
        cursor = Cursor(self.open_sealed(raw, b"CofCatl\0", 2, b"catalog", bytes(16), sequence,
                                         "the catalog"), "catalog")
        need(cursor.take(16) == self.vault and cursor.u64() == sequence, "another catalog")
        need((sequence == 1) == (not any(cursor.take(32))), "the catalog's parent")
        cursor.skip(16, 0, 8)
        cursor.features()
        need(cursor.u64() <= self.header_sequence, "HEADER-ROLLBACK: the key header is an old one")
        need(cursor.u8() <= 2, "an unknown dedup scope")
        self.catalog_sequence = sequence
        self.volumes = {}
        for _ in range(cursor.count(65536)):
            ident, name, state = cursor.take(16), cursor.text(63), cursor.u8()
            need(re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]*", name) and state in (1, 2),
                 "a volume that cannot be")
            cursor.skip(8, 16, 8)
            cursor.extensions()
            if state == 1:
                need(name not in self.volumes, "two volumes of one name")
                self.volumes[name] = ident
        for _ in range(cursor.count(4096)):
            cursor.skip(8, 8)
            for _ in range(cursor.count(1 << 20)):
                cursor.take(32)
        cursor.extensions()
        cursor.end()

    def read_head(self, volume):
        """Section 10: chunk size, map and snapshots (name: map) of the newest head."""
        raw, sequence = self.store.newest("heads/%s/" % volume.hex())
        cursor = Cursor(self.open_sealed(raw, b"CofHead\0", 1, b"head", volume, sequence,
                                         "the head"), "head")
        need(cursor.take(16) == self.vault and cursor.take(16) == volume and
             cursor.u64() == sequence, "another head")
        need((sequence == 1) == (not any(cursor.take(32))), "the head's parent")
        cursor.u64()
        need(cursor.u8() <= 7 and cursor.u8() <= 1, "unknown flags or durability")
        cursor.skip(16, 0, 8)
        cursor.features()
        chunk_size = cursor.u32()
        mapped = read_map(cursor)
        cursor.skip(16, 8)
        need(cursor.u64() <= self.catalog_sequence, "ROLLBACK: the catalog is an old one")
        need(cursor.u64() <= self.header_sequence, "HEADER-ROLLBACK: the key header is an old one")
        cursor.u64()
        ids_end = cursor.u64()
        last, snapshots = 0, {}
        for _ in range(cursor.count(200000)):
            last = cursor.varint(last + 1, ids_end - 1)
            name = cursor.text(63)
            cursor.skip(8)
            snapshots[name] = read_map(cursor)
            cursor.extensions()
        cursor.extensions()
        cursor.end()
        return chunk_size, mapped, snapshots

    def read_frame(self, kind, frame, level=0, index=0):
        """Section 11: the plaintext of a frame."""
        name = frame.pack.hex()
        what = "frame %d of pack %s" % (frame.number, name)
        sealed = self.store.get("packs/%s/%s" % (name[:2], name), frame.offset, frame.stored)
        need(len(sealed) == frame.stored, what + " is cut off")
        aad = (struct.pack("<HBB", SUITE, kind, frame.codec) + self.vault +
               struct.pack("<I", frame.epoch) + frame.pack +
               struct.pack("<IIIBQ", frame.number, frame.plain, frame.stored, level, index))
        packed = unseal(self.key(frame.epoch, b"pack"), frame.pack, frame.number, aad, sealed, what)
        return decompress(frame.codec, packed, frame.plain)

    def check_pack(self, pack):
        """Section 11 without the map: the frames that a pack's own table lists."""
        name = pack.hex()
        raw = self.store.get("packs/%s/%s" % (name[:2], name))
        cursor = Cursor(raw[:16], "pack")
        cursor.envelope(b"CofPack\0")
        epoch = cursor.u32()

        def inner(kind, number, offset, stored):
            return self.read_frame(kind, PlainFrame(pack, epoch, number, offset, stored))
        count, table_offset, table_length, length = struct.unpack(
            "<IIII", inner(PACK_HEADER, 0, 16, 32))
        end = table_offset + table_length
        need(length == len(raw) == padme(end + 16), "the pack has another length")
        need(not any(inner(PADDING, count + 2, end, length - end)), "the padding is not zeros")
        cursor = Cursor(inner(PACK_TABLE, count + 1, table_offset, table_length), "pack table")
        need(cursor.varint(1, 65000) == count, "the table's count")
        offset, frames = 48, []
        for number in range(1, count + 1):
            kind, codec = cursor.u8(), cursor.u8()
            stored, plain = cursor.varint(), cursor.varint(1)
            ident = cursor.take(16) if kind != DELTA else b""
            level, index = (cursor.u8(), cursor.varint()) if kind == PAGE else (0, 0)
            frame = Frame(pack, epoch, codec, number, offset, stored, plain)
            frames.append((kind, ident, frame, self.read_frame(kind, frame, level, index)))
            offset += stored
        cursor.end()
        need(offset == table_offset, "the table is not where the frames end")
        return frames

    def content_id(self, frame, plain):
        message = struct.pack("<QQ", DATA, len(plain)) + b"".join(
            hashlib.sha256(plain[at:at + 4096]).digest() for at in range(0, len(plain), 4096))
        return hmac.digest(self.key(frame.epoch, b"content-id"), message, "sha256")[:16]


class PlainFrame:
    """A frame of the pack's own: stored as it is, of no use to the map."""

    def __init__(self, pack, epoch, number, offset, stored):
        self.pack, self.epoch, self.codec, self.number = pack, epoch, 0, number
        self.offset, self.stored, self.plain = offset, stored, stored - 16


def padme(length):
    exponent = length.bit_length() - 1
    low = (1 << exponent - exponent.bit_length()) - 1
    return length + low & ~low


def unpad(padded):
    plain = padded.rstrip(b"\0")
    need(plain.endswith(b"\x80"), "the padding of a record is damaged")
    return plain[:-1]


class Volume:
    """Section 12: the map of a volume's newest head or of a snapshot, and the chunks it shows."""

    def __init__(self, vault, full_name):
        name, _, snapshot = full_name.partition("@")
        need(name in vault.volumes, "no volume " + name)
        self.vault = vault
        self.chunk_size, mapped, snapshots = vault.read_head(vault.volumes[name])
        need(not snapshot or snapshot in snapshots, "no snapshot " + snapshot)
        self.size, level, root, deltas = snapshots[snapshot] if snapshot else mapped
        self.chunks = {}
        if root:
            self.read_page(root[0], root[1], level, 0)
        for entries, frame in deltas:
            self.apply_delta(entries, frame)

    def read_page(self, page_id, frame, level, index):
        raw = self.vault.read_frame(PAGE, frame, level, index)
        cursor = Cursor(raw, "page")
        need((cursor.u8(), cursor.varint(), cursor.u32()) == (level, index, self.chunk_size),
             "a page of another place")
        table = PackTable(cursor, frame)
        identity = bytearray(raw[:1] + varint(index) + struct.pack("<I", self.chunk_size))
        count = cursor.varint(1, 256)
        identity += varint(count)
        children, last = [], -1
        for _ in range(count):
            slot = cursor.u8()
            need(slot > last, "slots do not ascend")
            last = slot
            identity.append(slot)
            if level == 0:
                pieces = read_pieces(cursor, table, self.chunk_size)
                self.chunks[index * 256 + slot] = pieces
                identity += varint(len(pieces))
                for first, blocks, data in pieces:
                    identity += bytes([0x10 if data else 0, first, blocks - 1])
                    identity += data[0] if data else b""
            else:
                ident, codec = cursor.take(16), cursor.u8()
                pack, epoch = table.next(cursor)
                child = Frame(pack, epoch, codec, cursor.varint(1, 65000), cursor.varint(),
                              cursor.varint(), cursor.varint(1, 4 << 20))
                children.append((ident, child, index * 256 + slot))
                identity += ident
        table.end()
        cursor.end()
        message = struct.pack("<Q", len(identity)) + identity
        expected = hmac.digest(self.vault.key(frame.epoch, b"page-id"), message, "sha256")[:16]
        need(expected == page_id, "a page of another identity")
        for ident, child, child_index in children:
            self.read_page(ident, child, level - 1, child_index)

    def apply_delta(self, entries, frame):
        cursor = Cursor(self.vault.read_frame(DELTA, frame), "delta")
        need(cursor.u32() == self.chunk_size, "a delta of another chunk size")
        table = PackTable(cursor, frame)
        need(cursor.varint() == entries, "a delta of another length")
        at = 0
        for _ in range(entries):
            op = cursor.u8()
            need(op <= 2, "an unknown operation in a delta")
            chunk = at + cursor.varint()
            at = chunk + 1
            if op == 2:
                at = chunk + cursor.varint(1)
                for known in [c for c in self.chunks if chunk <= c < at]:
                    del self.chunks[known]
                continue
            pieces = read_pieces(cursor, table, self.chunk_size)
            self.chunks[chunk] = (self.chunks.get(chunk, []) if op == 0 else []) + pieces
        table.end()
        cursor.end()

    def read_chunk(self, pieces):
        chunk = bytearray(self.chunk_size)
        for first, blocks, data in pieces:
            plain = bytes(blocks * BLOCK)
            if data:
                content, frame = data
                plain = self.vault.read_frame(DATA, frame)
                need(self.vault.content_id(frame, plain) == content, "a frame of other content")
            chunk[first * BLOCK:(first + blocks) * BLOCK] = plain
        return chunk

    def write_to(self, path):
        with open(path, "wb") as out:
            out.truncate(self.size)
            for chunk in sorted(self.chunks):
                offset = chunk * self.chunk_size
                if offset < self.size:
                    out.seek(offset)
                    out.write(self.read_chunk(self.chunks[chunk])[:self.size - offset])


def varint(number):
    out = bytearray()
    while number >= 0x80:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    out.append(number)
    return bytes(out)


def main():
    parser = argparse.ArgumentParser(description="Reads a coffer vault without coffer.")
    parser.add_argument("store", help="directory of the vault")
    parser.add_argument("volume", nargs="?")
    parser.add_argument("out", nargs="?")
    parser.add_argument("--list", action="store_true")
    parser.add_argument("--check-packs", action="store_true", help="open every frame of every pack")
    parser.add_argument("--password-file", required=True)
    options = parser.parse_args()
    with open(options.password_file, "rb") as file:
        password = file.read()
    try:
        vault = Vault(Store(options.store), password[:-1] if password[-1:] == b"\n" else password)
        if options.list:
            print("\n".join(sorted(vault.volumes)))
        if options.check_packs:
            packs = 0
            for directory, _, names in os.walk(os.path.join(options.store, "packs")):
                for name in names:
                    for kind, ident, frame, plain in vault.check_pack(bytes.fromhex(name)):
                        need(kind != DATA or vault.content_id(frame, plain) == ident,
                             "a frame of other content")
                    packs += 1
            print("%d packs" % packs)
        if options.volume:
            volume = Volume(vault, options.volume)
            volume.write_to(options.out)
            print("%d bytes, %d chunks" % (volume.size, len(volume.chunks)))
    except Refused as refused:
        print("reader: %s" % refused, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())

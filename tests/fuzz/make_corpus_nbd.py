#!/usr/bin/env python3
"""Writes the seed corpora of fuzz_nbd_handshake and fuzz_nbd_transmission beside this file.

Built from the protocol document alone; the server's code is not used.
"""
import pathlib
import struct

HERE = pathlib.Path(__file__).resolve().parent / "corpus"
FLAGS = struct.pack(">I", 3)
EXPORT_NAME, ABORT, LIST, STARTTLS, INFO, GO, STRUCTURED, LIST_META, SET_META = 1, 2, 3, 5, 6, 7, 8, 9, 10
EXTENDED = 11
BASE = b"base:allocation"
DF, REQ_ONE, PAYLOAD_LEN = 4, 8, 32
READ, WRITE, DISC, FLUSH, TRIM, CACHE, ZERO, STATUS = range(8)
# The first byte of a transmission input: bit 0 read-only, bit 1 structured replies with a context,
# bit 2 extended headers with one.
WRITABLE, READ_ONLY, STRUCTURED_V, STRUCTURED_R = b"\0", b"\1", b"\2", b"\3"
EXTENDED_V, EXTENDED_R, EXTENDED_BOTH = b"\4", b"\5", b"\6"


def option(number, data=b"", length=None):
    return b"IHAVEOPT" + struct.pack(">II", number, len(data) if length is None else length) + data


def ask(number, name, *wanted):
    return option(number, struct.pack(">I", len(name)) + name
                  + struct.pack(">H", len(wanted)) + b"".join(struct.pack(">H", w) for w in wanted))


def contexts(number, name, *queries):
    return option(number, struct.pack(">I", len(name)) + name + struct.pack(">I", len(queries))
                  + b"".join(struct.pack(">I", len(q)) + q for q in queries))


def request(command, offset=0, length=0, payload=b"", flags=0, cookie=1, magic=0x25609513):
    return struct.pack(">IHHQQI", magic, flags, command, cookie, offset, length) + payload


def write(offset, data, flags=0):
    return request(WRITE, offset, len(data), data, flags)


def extended(command, offset=0, length=0, payload=b"", flags=0, cookie=1, magic=0x21e41c71):
    return struct.pack(">IHHQQQ", magic, flags, command, cookie, offset, length) + payload


def extended_write(offset, data, flags=PAYLOAD_LEN):
    return extended(WRITE, offset, len(data), data, flags)


def extended_status(offset, length, *ids, flags=PAYLOAD_LEN):
    payload = struct.pack(">Q", length) + b"".join(struct.pack(">I", i) for i in ids)
    return extended(STATUS, offset, len(payload), payload, flags)


HANDSHAKE = {
    "greeting-only": FLAGS,
    "unknown-client-flags": struct.pack(">I", 0x10003),
    "export-name": FLAGS + option(EXPORT_NAME, b"v") + request(READ, 0, 512) + request(DISC),
    "export-name-with-zeroes": struct.pack(">I", 1) + option(EXPORT_NAME, b"v"),
    "export-name-plain-newstyle": struct.pack(">I", 0) + option(EXPORT_NAME, b"v"),
    "export-name-missing": FLAGS + option(EXPORT_NAME, b"nothing"),
    "list": FLAGS + option(LIST) + option(ABORT),
    "list-with-data": FLAGS + option(LIST, b"data"),
    "info-all": FLAGS + ask(INFO, b"v", 0, 1, 2, 3) + ask(INFO, b"r", 3),
    "info-lies": FLAGS + option(INFO, struct.pack(">I", 0xffffffff) + b"v\0\0"),
    "go": FLAGS + ask(GO, b"v", 3) + write(0, b"x" * 512) + request(FLUSH) + request(DISC),
    "go-read-only": FLAGS + ask(GO, b"r") + write(0, b"x" * 16) + request(READ, 0, 16),
    "go-missing-then-found": FLAGS + ask(GO, b"") + ask(GO, b"\xff\xfe") + ask(GO, b"v"),
    "like-libnbd": FLAGS + option(STRUCTURED) + option(SET_META, b"\0\0\0\1v\0\0\0\1\0\0\0\x0fbase:allocation")
                   + ask(GO, b"v", 1, 2, 3),
    "starttls": FLAGS + option(STARTTLS) + option(LIST_META, b"\0\0\0\1v\0\0\0\0"),
    "starttls-go": FLAGS + option(STRUCTURED) + option(STARTTLS, b"data") + option(STARTTLS) + option(STARTTLS)
                   + option(STRUCTURED) + option(LIST) + ask(GO, b"v", 3) + request(READ, 0, 512),
    "starttls-long-before": FLAGS + option(LIST, b"d" * 5000) + option(STARTTLS) + option(LIST, b"d" * 5000),
    "export-name-before-tls": FLAGS + option(LIST) + option(EXPORT_NAME, b"v"),
    "long-option": FLAGS + option(LIST, b"d" * 5000) + option(ABORT),
    "four-gigabytes": FLAGS + option(LIST, b"", 0xffffffff),
    "wrong-magic": FLAGS + b"NBDMAGIC" + bytes(8),
    "contexts": FLAGS + option(STRUCTURED) + contexts(LIST_META, b"v") + contexts(LIST_META, b"v", b"base:", b"qemu:")
                + contexts(SET_META, b"v", BASE, b"qemu:dirty-bitmap:x") + ask(GO, b"v")
                + request(STATUS, 0, 65536) + request(READ, 0, 4096, flags=DF),
    "contexts-unstructured": FLAGS + contexts(SET_META, b"v", BASE) + ask(GO, b"v") + request(STATUS, 0, 512),
    "contexts-of-another": FLAGS + option(STRUCTURED) + contexts(SET_META, b"r", BASE) + ask(GO, b"v")
                           + request(STATUS, 0, 512),
    "contexts-replaced": FLAGS + option(STRUCTURED) + contexts(SET_META, b"v", BASE) + contexts(SET_META, b"none", BASE)
                         + ask(GO, b"v") + request(STATUS, 0, 512),
    "contexts-lies": FLAGS + option(STRUCTURED) + option(SET_META, b"\0\0\0\1v\xff\xff\xff\xff")
                     + option(LIST_META, b"\0\0\0\1v\0\0\0\1\xff\xff\xff\xffbase:"),
    "contexts-many": FLAGS + option(STRUCTURED) + contexts(LIST_META, b"v", *[b"a:"] * 65)
                     + contexts(SET_META, b"v", b"nocolon"),
    "structured-twice": FLAGS + option(STRUCTURED) + option(STRUCTURED) + option(STRUCTURED, b"data") + option(EXTENDED),
    "extended": FLAGS + option(EXTENDED) + contexts(SET_META, b"v", BASE) + ask(GO, b"v", 3) + extended_write(0, b"x" * 64)
                + extended_status(0, 65536, 1) + extended(TRIM, 0, 1 << 20) + extended(DISC),
    "extended-twice": FLAGS + option(EXTENDED, b"data") + option(EXTENDED) + option(EXTENDED) + option(STRUCTURED)
                      + ask(GO, b"r") + extended(READ, 0, 512),
    "extended-export-name": FLAGS + option(EXTENDED) + option(EXPORT_NAME, b"v") + extended(READ, 0, 1),
    "snapshot-name": FLAGS + ask(GO, b"v@monday") + option(EXPORT_NAME, b"v@monday"),
    "long-name": FLAGS + ask(GO, b"n" * 256),
}

TRANSMISSION = {
    "read": WRITABLE + request(READ, 4096, 512),
    "write": WRITABLE + write(0, b"payload") + request(READ, 0, 7),
    "write-fua": WRITABLE + write(512, b"p" * 100, flags=1),
    "flush-trim-zero": WRITABLE + request(FLUSH) + request(TRIM, 0, 65536) + request(ZERO, 4096, 4096, flags=2 | 16),
    "disconnect": WRITABLE + request(READ, 0, 1) + request(DISC) + request(READ, 0, 1),
    "read-only": READ_ONLY + write(0, b"no" * 30) + request(TRIM, 0, 512) + request(READ, 0, 512),
    "beyond-end": WRITABLE + write(1 << 20, b"late") + request(READ, (1 << 64) - 1, 2) + request(ZERO, 1 << 63, 512),
    "zero-length": WRITABLE + b"".join(request(c) for c in (READ, WRITE, TRIM, ZERO)),
    "unknown": WRITABLE + request(CACHE, 0, 1) + request(STATUS, 0, 1) + request(0xffff) + request(READ, 0, 1, flags=4),
    "oversized-read": WRITABLE + request(READ, 0, (32 << 20) + 1),
    "oversized-write": WRITABLE + request(WRITE, 0, (32 << 20) + 1, b"d" * 300),
    "endless-write": WRITABLE + request(WRITE, 0, 0xffffffff),
    "huge-trim": WRITABLE + request(TRIM, 0, 0xffffffff),
    "wrong-magic": WRITABLE + request(READ, 0, 1, magic=0x12345678),
    "structured": STRUCTURED_V + request(READ, 0, 8192) + request(READ, 0, 8192, flags=DF) + request(STATUS, 0, 1 << 20)
                  + request(STATUS, 0, 65536, flags=REQ_ONE) + write(0, b"x") + request(FLUSH),
    "structured-read-only": STRUCTURED_R + write(0, b"no") + request(STATUS, 512, 512) + request(READ, 0, 512, flags=DF),
    "status-bad": STRUCTURED_V + request(STATUS) + request(STATUS, 1 << 20, 1) + request(STATUS, 0, 512, flags=DF)
                  + request(STATUS, 0, 0xffffffff) + request(READ, 0, 512, flags=REQ_ONE),
    "payload-flag": STRUCTURED_V + request(READ, 0, 512, flags=PAYLOAD_LEN) + request(STATUS, 0, 512, flags=PAYLOAD_LEN)
                    + write(0, b"w" * 64, flags=PAYLOAD_LEN) + request(READ, 0, 1),
    "extended": EXTENDED_V + extended(READ, 0, 8192) + extended(READ, 0, 8192, flags=DF) + extended_write(512, b"data")
                + extended(FLUSH) + extended(TRIM, 0, 1 << 20) + extended(ZERO, 4096, 65536, flags=2 | 16)
                + extended(CACHE, 0, 1 << 20) + extended(STATUS, 0, 1 << 20, flags=REQ_ONE) + extended(DISC),
    "extended-read-only": EXTENDED_R + extended_write(0, b"no" * 30) + extended(ZERO, 0, 512) + extended(READ, 0, 512),
    "extended-after-structured": EXTENDED_BOTH + extended(READ, 0, 1) + request(READ, 0, 1) + bytes(4),
    "extended-wide": EXTENDED_V + extended(TRIM, 0, 1 << 44) + extended(CACHE, 1, (1 << 64) - 1)
                     + extended(STATUS, 1 << 63, 1 << 63) + extended(READ, 0, 1 << 40) + extended(ZERO, 1 << 20, 1),
    "extended-status": EXTENDED_V + extended_status(0, 4096, 1) + extended_status(0, 4096, 2)
                       + extended_status(0, 4096, 1, 1) + extended_status(0, 4096) + extended_status(0, 1 << 40, 1)
                       + extended(STATUS, 0, 13, bytes(13), flags=PAYLOAD_LEN),
    "extended-payloads": EXTENDED_V + extended(READ, 0, 40, bytes(40), flags=PAYLOAD_LEN)
                         + extended(99, 0, 40, bytes(40), flags=PAYLOAD_LEN) + extended(TRIM, 0, 0, flags=PAYLOAD_LEN)
                         + extended_write(1 << 20, b"late") + extended(READ, 0, 1),
    "extended-no-flag": EXTENDED_V + extended(WRITE, 0, 64, bytes(64)),
    "extended-endless": EXTENDED_V + extended(WRITE, 0, 1 << 40, flags=PAYLOAD_LEN),
    "extended-half": EXTENDED_V + extended_write(0, b"x" * 1000)[:500],
    "half-header": WRITABLE + request(READ, 0, 1)[:13],
    "half-payload": WRITABLE + write(0, b"x" * 1000)[:500],
}

for target, corpus in (("fuzz_nbd_handshake", HANDSHAKE), ("fuzz_nbd_transmission", TRANSMISSION)):
    (HERE / target).mkdir(parents=True, exist_ok=True)
    for name, data in corpus.items():
        (HERE / target / name).write_bytes(data)

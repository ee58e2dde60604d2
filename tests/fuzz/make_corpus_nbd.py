#!/usr/bin/env python3
"""Writes the seed corpora of fuzz_nbd_handshake and fuzz_nbd_transmission beside this file.

Built from the protocol document alone; the server's code is not used.
"""
import pathlib
import struct

HERE = pathlib.Path(__file__).resolve().parent / "corpus"
FLAGS = struct.pack(">I", 3)
EXPORT_NAME, ABORT, LIST, STARTTLS, INFO, GO, STRUCTURED, LIST_META, SET_META = 1, 2, 3, 5, 6, 7, 8, 9, 10
READ, WRITE, DISC, FLUSH, TRIM, CACHE, ZERO, STATUS = range(8)
WRITABLE, READ_ONLY = b"\0", b"\1"


def option(number, data=b"", length=None):
    return b"IHAVEOPT" + struct.pack(">II", number, len(data) if length is None else length) + data


def ask(number, name, *wanted):
    return option(number, struct.pack(">I", len(name)) + name
                  + struct.pack(">H", len(wanted)) + b"".join(struct.pack(">H", w) for w in wanted))


def request(command, offset=0, length=0, payload=b"", flags=0, cookie=1, magic=0x25609513):
    return struct.pack(">IHHQQI", magic, flags, command, cookie, offset, length) + payload


def write(offset, data, flags=0):
    return request(WRITE, offset, len(data), data, flags)


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
    "long-option": FLAGS + option(LIST, b"d" * 5000) + option(ABORT),
    "four-gigabytes": FLAGS + option(LIST, b"", 0xffffffff),
    "wrong-magic": FLAGS + b"NBDMAGIC" + bytes(8),
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
    "half-header": WRITABLE + request(READ, 0, 1)[:13],
    "half-payload": WRITABLE + write(0, b"x" * 1000)[:500],
}

for target, corpus in (("fuzz_nbd_handshake", HANDSHAKE), ("fuzz_nbd_transmission", TRANSMISSION)):
    (HERE / target).mkdir(parents=True, exist_ok=True)
    for name, data in corpus.items():
        (HERE / target / name).write_bytes(data)

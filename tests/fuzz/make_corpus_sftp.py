#!/usr/bin/env python3
"""Writes the seed corpus of fuzz_sftp_packets beside this file, from draft-ietf-secsh-filexfer-02 alone."""
import pathlib
import struct

HERE = pathlib.Path(__file__).resolve().parent / "corpus" / "fuzz_sftp_packets"


def text(value):
    value = value if isinstance(value, bytes) else value.encode()
    return struct.pack(">I", len(value)) + value


def packet(kind, *fields):
    body = bytes([kind]) + b"".join(fields)
    return struct.pack(">I", len(body)) + body


def number(value):
    return struct.pack(">I", value)


def large(*values):
    return b"".join(struct.pack(">Q", value) for value in values)


ATTRIBUTES = number(0x0F) + large(8192) + number(1000) + number(1000) + number(0o100644) + number(1) + number(2)
VERSION = packet(2, number(3), text("posix-rename@openssh.com"), text("1"), text("hardlink@openssh.com"), text("1"),
                 text("fsync@openssh.com"), text("1"), text("limits@openssh.com"), text("1"),
                 text("statvfs@openssh.com"), text("2"))
NAMES = packet(104, number(5), number(3), text("."), text("drwx"), ATTRIBUTES, text("a\xff"), text("-rw-"),
               number(0), text("b"), text(""), number(0x80000000) + number(1) + text("acl@x") + text("y"))

SEEDS = {
    "version": VERSION,
    "version-plain": packet(2, number(3)),
    "status": packet(101, number(1), number(4), text("Failure"), text("en")),
    "status-short": packet(101, number(1), number(2)),
    "handle": packet(102, number(2), text(b"\0\0\0\1")),
    "data": packet(103, number(3), text(b"x" * 100)),
    "attributes": packet(105, number(4), ATTRIBUTES),
    "names": NAMES,
    "limits": packet(201, number(6), large(262144, 261120, 261120, 1019)),
    "space": packet(201, number(7), large(4096, 4096, 1 << 30, 1 << 20, 1 << 20, 0, 0, 0, 0, 0, 255)),
    "conversation": VERSION + packet(102, number(2), text("h")) + NAMES + packet(101, number(9), number(1)),
    "too-long": struct.pack(">I", 0xFFFFFFFF) + b"x",
    "empty": struct.pack(">I", 0),
    "names-that-lie": packet(104, number(1), number(0xFFFFFFFF)),
    "text-that-lies": packet(103, number(1), number(0xFFFFFFFF), b"x"),
    "shell": b"Welcome to the machine!\r\n",
}

HERE.mkdir(parents=True, exist_ok=True)
for name, data in SEEDS.items():
    for piece in (0, 255):
        (HERE / f"{name}-{piece}").write_bytes(bytes([piece]) + data)

#!/usr/bin/python3
"""Writes blocks over one NBD connection without ever flushing, and notes each acknowledged one; or checks them.

  kill_writer.py write URI FILE ROUND   until the connection breaks; FILE gets a line for each acknowledged write
  kill_writer.py check URI FILE ROUND   every block of FILE holds its newest acknowledged stamp, or a newer
                                        one that was sent and not acknowledged; prints how many were checked

A client of its own (NBD protocol, fixed newstyle and simple replies), so that nothing flushes behind its back.
"""
import random
import socket
import struct
import sys
import urllib.parse

BLOCK = 4096
BLOCKS = 64 * 1024  # 256 MiB
IN_FLIGHT = 16


def connect(uri):
    parsed = urllib.parse.urlparse(uri)
    path = urllib.parse.parse_qs(parsed.query)["socket"][0]
    name = urllib.parse.unquote(parsed.path.lstrip("/")).encode()
    sock = socket.socket(socket.AF_UNIX)
    sock.connect(path)
    magic, opts, flags = struct.unpack(">8sQH", receive(sock, 18))
    assert magic == b"NBDMAGIC" and opts == 0x49484156454F5054 and flags & 3 == 3
    sock.sendall(struct.pack(">I", 3))
    sock.sendall(struct.pack(">QII", opts, 1, len(name)) + name)  # NBD_OPT_EXPORT_NAME
    receive(sock, 10)
    return sock


def receive(sock, count):
    data = b""
    while len(data) < count:
        more = sock.recv(count - len(data))
        if not more:
            raise ConnectionError("closed")
        data += more
    return data


def stamp(round_number, sequence, block):
    head = struct.pack("<QQQ", round_number, sequence, block)
    return random.Random(head).randbytes(BLOCK - len(head)) + head


def write(uri, path, round_number):
    sock = connect(uri)
    chooser = random.Random(round_number)
    pending = {}
    sequence = 0
    with open(path, "w", buffering=1) as acknowledged, open(path + ".sent", "w", buffering=1) as sent:
        try:
            while True:
                while len(pending) < IN_FLIGHT:
                    sequence += 1
                    block = chooser.randrange(BLOCKS)
                    if block in pending.values():
                        continue
                    sent.write(f"{sequence} {block}\n")
                    pending[sequence] = block
                    sock.sendall(struct.pack(">IHHQQI", 0x25609513, 0, 1, sequence, block * BLOCK, BLOCK)
                                 + stamp(round_number, sequence, block))
                magic, error, handle = struct.unpack(">IIQ", receive(sock, 16))
                assert magic == 0x67446698 and error == 0, error
                acknowledged.write(f"{handle} {pending.pop(handle)}\n")
        except (ConnectionError, BrokenPipeError):
            pass


def newest(path):
    found = {}
    with open(path) as lines:
        for line in lines:
            if line.endswith("\n"):
                sequence, block = map(int, line.split())
                found[block] = max(sequence, found.get(block, 0))
    return found


def check(uri, path, round_number):
    sock = connect(uri)
    sent = newest(path + ".sent")
    wanted = newest(path)
    for block, sequence in wanted.items():
        sock.sendall(struct.pack(">IHHQQI", 0x25609513, 0, 0, block, block * BLOCK, BLOCK))
        magic, error, _ = struct.unpack(">IIQ", receive(sock, 16))
        assert magic == 0x67446698 and error == 0, error
        data = receive(sock, BLOCK)
        if data not in (stamp(round_number, sequence, block), stamp(round_number, sent[block], block)):
            sys.exit(f"block {block}: write {sequence} was acknowledged and is not there")
    print(len(wanted))


if __name__ == "__main__":
    {"write": write, "check": check}[sys.argv[1]](sys.argv[2], sys.argv[3], int(sys.argv[4]))

"""What the rows of the client matrix stand on: a server with an export of known size, and a way to look at it.

CofferBed: cofferd with a vault in a directory and two volumes. MemoryBed: nbd_memory_server, the server without a
volume behind it. Both are looked at through libnbd's Python bindings, on a connection apart from the client's.
"""
import json
import os
import random
import socket
import subprocess

import nbd

MIB = 1 << 20
SIZE = 64 * MIB
PIECE = 4 * MIB  # what is read or written at once when looking


class Bed:
    """`uri` of `size` bytes; `image`: a file of that size, a quarter of it holes, that no volume starts with."""

    def __init__(self, work):
        self.work = work
        self.size = SIZE
        self.uri = None
        self.image = os.path.join(work, "image.raw")
        self.back = os.path.join(work, "back.raw")
        os.makedirs(work, exist_ok=True)

    def __enter__(self):
        chooser = random.Random(20261121)
        with open(self.image, "wb") as file:
            file.truncate(self.size)
            file.write(chooser.randbytes(16 * MIB))
            file.seek(32 * MIB)
            for index in range(16 * MIB // 4096):  # compresses well, and every block differs
                file.write((b"%08d coffer " % index * 256)[:4096])
            file.seek(self.size - 12345)
            file.write(chooser.randbytes(12345))
        self.start()
        return self

    def __exit__(self, *_):
        self.stop()

    def start(self):
        raise NotImplementedError

    def stop(self):
        raise NotImplementedError

    def names(self):
        """Texts of this machine, and what stands for them in the matrix."""
        return [(self.uri, "URI"), (self.work + "/", "")]


    def connect(self, uri=None):
        handle = nbd.NBD()
        handle.add_meta_context(nbd.CONTEXT_BASE_ALLOCATION)
        handle.connect_uri(uri or self.uri)
        return handle

    def fill(self, byte, uri=None):
        """The whole export, so that what a client does not write is noticed."""
        handle = self.connect(uri)
        for offset in range(0, handle.get_size(), PIECE):
            handle.pwrite(bytes([byte]) * min(PIECE, handle.get_size() - offset), offset)
        handle.shutdown()

    def load(self):
        """Makes the export what `image` is, without any of the clients."""
        handle = self.connect()
        handle.zero(self.size, 0)
        with open(self.image, "rb") as file:
            for offset in range(0, self.size, PIECE):
                piece = file.read(PIECE)
                first = len(piece) - len(piece.lstrip(b"\0"))  # no zeros before the data: they would be data too
                if first < len(piece):
                    handle.pwrite(piece[first:], offset + first)
        handle.shutdown()

    def differs(self, path, uri=None):
        """Where the export and a file differ first, None if they are equal."""
        handle = self.connect(uri)
        if handle.get_size() != os.path.getsize(path):
            return f"sizes: {handle.get_size()}, {os.path.getsize(path)}"
        with open(path, "rb") as file:
            for offset in range(0, handle.get_size(), PIECE):
                length = min(PIECE, handle.get_size() - offset)
                ours, theirs = handle.pread(length, offset), file.read(length)
                if bytes(ours) != theirs:
                    return next(offset + i for i in range(length) if ours[i] != theirs[i])
        handle.shutdown()
        return None

    def read(self, length, offset):
        handle = self.connect()
        found = bytes(handle.pread(length, offset))
        handle.shutdown()
        return found

    def runs(self):
        """base:allocation of the whole export as [(offset, length, flags)], neighbours of the same flags merged."""
        handle = self.connect()
        merged = []
        offset = 0
        while offset < handle.get_size():
            told = []
            handle.block_status(handle.get_size() - offset, offset, lambda c, at, entries, e: told.extend(entries))
            for length, flags in zip(told[::2], told[1::2]):
                if merged and merged[-1][2] == flags:
                    merged[-1] = (merged[-1][0], merged[-1][1] + length, flags)
                else:
                    merged.append((offset, length, flags))
                offset += length
        handle.shutdown()
        return merged


class CofferBed(Bed):
    """Volumes photos (`uri`) and other (`other_uri`, 32 MiB) of one vault; HOME and XDG_* are the caller's."""

    def __init__(self, coffer, work):
        super().__init__(work)
        self.coffer = os.path.abspath(coffer)
        self.other_size = 32 * MIB
        self.other_uri = None
        self.tcp_port = None
        self.password = os.path.join(work, "password")
        self.store = os.path.join(work, "store")

    def command(self, *words):
        return subprocess.run([self.coffer, *words], check=True, capture_output=True, text=True, cwd=self.work).stdout

    def open(self, name, *options):
        told = json.loads(self.command("open", "--json", "--password-file", self.password, name, *options))
        return told["uri"]

    def start(self):
        with open(self.password, "w", encoding="utf-8", opener=lambda p, f: os.open(p, f, 0o600)) as file:
            file.write(os.urandom(18).hex() + "\n")
        self.command("init", "photos", self.store, str(self.size), "--password-file", self.password)
        self.command("init", "other", self.store, str(self.other_size), "--password-file", self.password)
        self.uri = self.open("photos")
        self.other_uri = self.open("other")

    def socket(self):
        return self.uri.split("socket=", 1)[1]

    def reopen(self, *options):
        self.command("close", "--force", "photos")  # rows hold connections
        self.uri = self.open("photos", *options)

    def reopen_on_tcp(self):
        """Serves photos on a port of its own until the next reopen(); returns the port."""
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        self.reopen(f"--nbd=tcp:127.0.0.1:{port}")
        return port

    def names(self):
        return [*([(self.other_uri, "URI2")] if self.other_uri else []), *super().names(),
                (self.socket() if self.uri and "socket=" in self.uri else "\0", "SOCKET")]

    def stop(self):
        subprocess.run([self.coffer, "daemon", "stop"], check=False, capture_output=True)


class MemoryBed(Bed):
    """ADDRESS [jobs-only] of nbd_memory_server."""

    def __init__(self, server, work, way):
        super().__init__(work)
        self.server = os.path.abspath(server)
        self.way = way
        self.process = None

    def start(self):
        address = self.way[0].replace("unix:", "unix:" + self.work + "/")
        self.process = subprocess.Popen([self.server, address, str(self.size // MIB), *self.way[1:]],
                                        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.uri = self.process.stdout.readline().strip()

    def stop(self):
        self.process.stdin.close()
        if self.process.wait() != 0:
            raise AssertionError(f"the server exited with {self.process.returncode}")

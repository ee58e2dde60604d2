"""A load of stamped requests (stamps.py) on one volume over several NBD connections, and its check afterwards.

    load = StampedLoad(connections=4, blocks_each=2048, seed=1)
    load.start(socket, "photos"); … the daemon is killed … ; load.join()
    … open again …
    problem = load.verify(socket, "photos", Loss.PROCESS)

Each connection has one request under way; it writes, trims, zeroes, flushes and reads what it wrote.
"""
import random
import socket
import struct
import threading

from stamps import BLOCK, WRITE, ZERO, Clock, Line, SizeLine, check, stamp_of

READ_CMD, WRITE_CMD, DISC, FLUSH, TRIM, WRITE_ZEROES = 0, 1, 2, 3, 4, 6
FUA = 1
READ_BYTES = 1 << 20


class RequestError(Exception):
    """The server answered with an error."""


class Connection:
    def __init__(self, path, name):
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.settimeout(120)
        self.socket.connect(str(path))
        self._negotiate(name)

    @classmethod
    def on(cls, connected, name):
        """Over a socket that somebody connected, whose timeout stays."""
        connection = cls.__new__(cls)
        connection.socket = connected
        connection._negotiate(name)
        return connection

    def _negotiate(self, name):
        if self._receive(18)[:16] != b"NBDMAGICIHAVEOPT":
            raise ConnectionError("no NBD server")
        words = name.encode()
        data = struct.pack(">I", len(words)) + words + b"\0\0"
        self.socket.sendall(struct.pack(">I", 3) + b"IHAVEOPT" + struct.pack(">II", 7, len(data)) + data)
        while True:
            _, _, kind, length = struct.unpack(">QIII", self._receive(20))
            data = self._receive(length)
            if kind == 1:
                break
            if kind != 3:
                raise ConnectionError(f"{name}: refused, {kind:x}")
            if data[:2] == b"\0\0":
                self.size = struct.unpack(">Q", data[2:10])[0]

    def close(self):
        self.socket.close()

    def _receive(self, length):
        data = bytearray()
        while len(data) < length:
            more = self.socket.recv(length - len(data))
            if not more:
                raise ConnectionError("closed")
            data += more
        return bytes(data)

    def ask(self, command, offset, length, payload=b"", flags=0):
        self.socket.sendall(struct.pack(">IHHQQI", 0x25609513, flags, command, 7, offset, length) + payload)
        magic, error, cookie = struct.unpack(">IIQ", self._receive(16))
        if (magic, cookie) != (0x67446698, 7):
            raise RequestError("not a reply")
        if error:
            raise RequestError(f"command {command} at {offset}+{length}: error {error}")
        return self._receive(length) if command == READ_CMD else b""


class StampedLoad:
    def __init__(self, connections, blocks_each, seed, size, connect=Connection):
        """`connect(path, name)` gives something with the methods of Connection."""
        self.connect = connect
        self.random = random.Random(seed)
        self.clock = Clock()
        self.lines = [Line(i + 1, i * blocks_each, blocks_each, self.clock) for i in range(connections)]
        self.size_line = SizeLine(size, self.clock)
        self.barrier = 0          # when the last FLUSH that was acknowledged was sent
        self.requests = 0         # acknowledged, ever
        self.flushes = 0
        self.threads, self.problems = [], []
        self._lock = threading.Lock()

    def start(self, path, name, errors_allowed=False, flush_every=14):
        """`errors_allowed`: the disk may fail; a writer then stops, and what it had asked for may be there or not.
        Otherwise only a broken connection ends it."""
        self.stopping = False
        self.threads = [threading.Thread(target=self._run, daemon=True,
                                         args=(line, path, name, errors_allowed, flush_every, self.random.random()))
                        for line in self.lines]
        for thread in self.threads:
            thread.start()

    def join(self, stop=False):
        """After the daemon's end, or with `stop`: at the next request."""
        self.stopping = self.stopping or stop
        for thread in self.threads:
            thread.join(150)
            if thread.is_alive():
                self.problems.append("a writer hangs")
        self.threads = []

    def note_barrier(self, sent):
        with self._lock:
            self.barrier = max(self.barrier, sent)

    def verify(self, path, name, loss):
        """Reads everything; None if it is right, and then that is what there is from now on."""
        if self.problems:
            return self.problems[0]
        connection = self.connect(path, name)
        try:
            found = [(line, self._read_stamps(connection, line)) for line in self.lines]
        except (ValueError, RequestError) as problem:
            return str(problem)
        finally:
            connection.close()
        return check(found + [(self.size_line, connection.size)], self.barrier, loss)

    @staticmethod
    def _read_stamps(connection, line):
        found = []
        for first in range(line.first, line.first + line.count, READ_BYTES // BLOCK):
            count = min(READ_BYTES // BLOCK, line.first + line.count - first)
            data = memoryview(connection.ask(READ_CMD, first * BLOCK, count * BLOCK))
            found += [stamp_of(bytes(data[i * BLOCK:(i + 1) * BLOCK]), line.number, first + i) for i in range(count)]
        return found

    def _run(self, line, path, name, errors_allowed, flush_every, seed):
        chooser = random.Random(seed)
        try:
            connection = self.connect(path, name)
        except OSError:
            return
        try:
            while not self.stopping:
                self._one(line, connection, chooser, flush_every)
        except OSError:
            pass  # the daemon is gone, or the connection
        except RequestError as error:
            if not errors_allowed:
                self.problems.append(f"line {line.number}: {error}")
        except ValueError as problem:
            self.problems.append(f"line {line.number}, while it was written: {problem}")
        finally:
            connection.close()

    def _one(self, line, connection, chooser, flush_every):
        kind = chooser.randrange(100)
        if chooser.randrange(flush_every) == 0:
            sent = self.clock.tick()
            connection.ask(FLUSH, 0, 0)
            self.note_barrier(sent)
            self.flushes += 1
            return
        count = 1 if kind < 70 else chooser.randint(2, 40)  # across a chunk or two
        # Half of it in a corner: overwritten again and again, patched and consolidated.
        span = line.count // 16 if chooser.randrange(2) else line.count
        first = line.first + chooser.randrange(max(1, min(span, line.count - count)))
        if kind < 8:
            data = connection.ask(READ_CMD, first * BLOCK, count * BLOCK)
            for i in range(count):
                stamp = stamp_of(data[i * BLOCK:(i + 1) * BLOCK], line.number, first + i)
                if stamp != line.now[first + i - line.first]:
                    raise ValueError(f"block {first + i} reads as {stamp}, was {line.now[first + i - line.first]}")
            return
        fua = FUA if chooser.randrange(12) == 0 else 0
        if kind < 18:
            request = line.begin(ZERO, first, count)
            command = TRIM if kind < 13 else WRITE_ZEROES
            connection.ask(command, first * BLOCK, count * BLOCK, flags=fua)
        else:
            request = line.begin(WRITE, first, count)
            data = line.bytes_of(line.number_of_newest(), first, count)
            connection.ask(WRITE_CMD, first * BLOCK, count * BLOCK, data, flags=fua)
        line.done(request, durable=bool(fua))
        self.requests += 1

"""What show-04-activation.sh does with sockets handed over, standard streams and libnbd.

  activation.py hold STARTS KIND:NAME:PLACE… -- COMMAND…
      makes the sockets and starts COMMAND with them, as systemd would; again each time somebody comes after it
      has ended, STARTS times in all. KIND: unix, tcp, dgram, idle (bound, but not listening)
  activation.py stdio|sockets COFFER WORDS…     libnbd starts coffer open; writes and reads; again, reads back
  activation.py pipes COFFER WORDS…             the same over two pipes, spoken by hand
  activation.py stop COFFER WORDS…              TERM while a client is connected
  activation.py tls PSKFILE COFFER WORDS…       with alice's key
"""

import os
import select
import signal
import socket
import struct
import subprocess
import sys
import time

DATA = bytes(range(256)) * 4096


def bound(kind, place):
    if kind == "tcp":
        sock = socket.socket(socket.AF_INET)
        sock.bind(("127.0.0.1", 0))
    else:
        sock = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM if kind == "dgram" else socket.SOCK_STREAM)
        usual = os.umask(0o177)
        sock.bind(place)
        os.umask(usual)
    if kind in ("unix", "tcp"):
        sock.listen(16)
    return sock


def start(sockets, names, command):
    child = os.fork()
    if child == 0:
        high = [os.dup2(s.fileno(), 100 + i) for i, s in enumerate(sockets)]
        for i, fd in enumerate(high):
            os.dup2(fd, 3 + i)
            os.close(fd)
        os.environ.update(LISTEN_PID=str(os.getpid()), LISTEN_FDS=str(len(sockets)), LISTEN_FDNAMES=":".join(names))
        os.execv(command[0], command)
    return child


def hold(starts, words):
    split = words.index("--")
    specs = [word.split(":", 2) for word in words[:split]]
    sockets = [bound(kind, place) for kind, name, place in specs]
    names = [name for kind, name, place in specs]
    print("ready", flush=True)
    for _ in range(starts):
        listening = [s for s, spec in zip(sockets, specs) if spec[0] == "unix"]
        if starts > 1:
            select.select(listening, [], [])
        _, status = os.waitpid(start(sockets, names, words[split + 1:]), 0)
        code = os.waitstatus_to_exitcode(status)
        print(f"ended {code}", flush=True)
    return code


def handle(way, words, prepare=lambda h: None):
    import nbd
    h = nbd.NBD()
    prepare(h)
    if way == "sockets":
        h.connect_systemd_socket_activation(words)
    else:
        h.connect_command(words)
    return h


def libnbd(way, words):
    h = handle(way, words)
    h.pwrite(DATA, 1 << 20)
    h.flush()
    assert h.pread(len(DATA), 1 << 20) == DATA
    h.shutdown()
    del h
    h = handle(way, words)
    assert h.pread(len(DATA), 1 << 20) == DATA
    h.pwrite(bytes(len(DATA)), 1 << 20)
    h.shutdown()


class Spoken:
    """NBD by hand over a process's standard streams."""

    def __init__(self, words):
        self.process = subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=0)
        assert self.get(16) == b"NBDMAGICIHAVEOPT"
        self.get(2)
        self.put(struct.pack(">I", 3) + b"IHAVEOPT" + struct.pack(">IIIH", 7, 6, 0, 0))
        while True:
            _, _, kind, length = struct.unpack(">QIII", self.get(20))
            self.get(length)
            assert kind < 0x80000000, hex(kind)
            if kind == 1:
                return

    def put(self, data):
        while data:
            data = data[os.write(self.process.stdin.fileno(), data):]

    def get(self, size):
        data = b""
        while len(data) < size:
            piece = os.read(self.process.stdout.fileno(), size - len(data))
            assert piece, "the stream has ended"
            data += piece
        return data

    def call(self, command, offset=0, length=0, payload=b""):
        self.put(struct.pack(">IHHQQI", 0x25609513, 0, command, 7, offset, length) + payload)
        magic, error, cookie = struct.unpack(">IIQ", self.get(16))
        assert (magic, error, cookie) == (0x67446698, 0, 7)
        return self.get(length) if command == 0 else b""


def pipes(words):
    spoken = Spoken(words)
    spoken.call(1, 0, len(DATA), DATA)
    assert spoken.call(0, 0, len(DATA)) == DATA
    spoken.call(3)
    spoken.process.stdin.close()
    assert os.read(spoken.process.stdout.fileno(), 1) == b"", "something was printed into the stream"
    assert spoken.process.wait(60) == 0


def stop(words):
    spoken = Spoken(words)
    spoken.call(1, 4096, len(DATA), DATA)
    begin = time.monotonic()
    spoken.process.send_signal(signal.SIGTERM)
    code = spoken.process.wait(60)
    assert code == 12, code  # not everything uploaded
    print(f"ended {time.monotonic() - begin:.1f} s after TERM")
    spoken = Spoken(words)
    assert spoken.call(0, 4096, len(DATA)) == DATA
    spoken.process.stdin.close()
    assert spoken.process.wait(60) == 0


def tls(psk_file, words):
    import nbd

    def prepare(h):
        h.set_tls(nbd.TLS_REQUIRE)
        h.set_tls_username("alice")
        h.set_tls_psk_file(psk_file)

    h = handle("stdio", words, prepare)
    assert h.get_tls_negotiated()
    h.pwrite(DATA, 0)
    assert h.pread(len(DATA), 0) == DATA
    h.shutdown()


def main(words):
    if words[0] == "hold":
        return hold(int(words[1]), words[2:])
    if words[0] == "tls":
        tls(words[1], words[2:])
    elif words[0] in ("stdio", "sockets"):
        libnbd(words[0], words[1:])
    else:
        {"pipes": pipes, "stop": stop}[words[0]](words[1:])
    return 0


sys.exit(main(sys.argv[1:]))

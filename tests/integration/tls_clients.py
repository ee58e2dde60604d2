"""What show-04-tls.sh asks of libnbd and of bare sockets.

  tls_clients.py commands URI            every kind of command through TLS
  tls_clients.py together URI… -- MIB    a client for each URI at once, each with a part of its own
  tls_clients.py slow PATH OTHER         a handshake that stops half-way; OTHER is served meanwhile
  tls_clients.py garbage PATH OTHER      bytes that are no handshake, clients that vanish in one
  tls_clients.py injected PATH OTHER     clear text behind STARTTLS
"""

import os
import socket
import struct
import sys
import threading
import time

import nbd

STARTTLS = b"IHAVEOPT" + struct.pack(">II", 5, 0)
STRUCTURED = b"IHAVEOPT" + struct.pack(">II", 8, 0)


def connect(uri):
    handle = nbd.NBD()
    handle.set_uri_allow_local_file(True)
    handle.add_meta_context(nbd.CONTEXT_BASE_ALLOCATION)
    handle.connect_uri(uri)
    assert handle.get_tls_negotiated(), "not encrypted"
    return handle


def commands(uri):
    h = connect(uri)
    assert h.get_structured_replies_negotiated()
    h.zero(4 << 20, 0)
    data = os.urandom(1 << 20)
    h.pwrite(data, 1 << 20, nbd.CMD_FLAG_FUA)
    assert h.pread(1 << 20, 1 << 20) == data
    h.trim(1 << 20, 1 << 20)
    h.flush()
    assert h.pread(1 << 20, 1 << 20) == bytes(1 << 20)
    h.cache(4096, 0)
    told = []
    h.block_status(4 << 20, 0, lambda name, at, entries, error: told.append(entries))
    assert told and told[0][1] == 3, told
    h.shutdown()


def together(uris, mib):
    failures = []

    def work(number, uri):
        try:
            h = connect(uri)
            place = number * (mib << 20)
            for size in (mib << 20, 1 << 20, 65536, 4096):
                for start in range(0, min(mib << 20, 16 * size), size):
                    data = os.urandom(min(size, 32 << 20))
                    h.pwrite(data, place + start)
                    assert h.pread(len(data), place + start) == data, (number, size)
            h.shutdown()
        except Exception as error:  # noqa: BLE001: told by the caller
            failures.append(error)

    threads = [threading.Thread(target=work, args=pair) for pair in enumerate(uris)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures, failures


def agreed(path):
    """A connection on which STARTTLS was answered with ACK."""
    sock = socket.socket(socket.AF_UNIX)
    sock.settimeout(60)
    sock.connect(path)
    assert len(sock.recv(18, socket.MSG_WAITALL)) == 18
    sock.sendall(struct.pack(">I", 3) + STARTTLS)
    answer = sock.recv(20, socket.MSG_WAITALL)
    assert struct.unpack(">QIII", answer)[1:3] == (5, 1), answer
    return sock


def served(uri):
    h = connect(uri)
    h.pread(4096, 0)
    h.shutdown()


def until_closed(sock):
    try:
        while sock.recv(4096):
            pass
    except ConnectionError:
        pass


def slow(path, other):
    begin = time.monotonic()
    silent = agreed(path)
    halfway = agreed(path)
    halfway.sendall(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03")
    worst = 0
    for _ in range(20):
        start = time.monotonic()
        served(other)
        worst = max(worst, time.monotonic() - start)
    until_closed(silent)
    until_closed(halfway)
    taken = time.monotonic() - begin
    assert 9 < taken < 20, taken
    assert worst < 5, worst
    print(f"cut off after {taken:.1f} s; others served meanwhile, each within {worst * 1000:.0f} ms")


def garbage(path, other):
    for bytes_ in (bytes(300), b"\xff" * 70000, b"GET / HTTP/1.1\r\n\r\n", b"\x16\x03\x01\xff\xff" + b"a" * 66000):
        sock = agreed(path)
        try:
            sock.sendall(bytes_)
        except ConnectionError:
            pass
        until_closed(sock)
        served(other)
    for _ in range(40):
        sock = agreed(path)
        sock.sendall(b"\x16\x03\x01\x02\x00\x01")
        sock.close()
    served(other)


def injected(path, other):
    sock = socket.socket(socket.AF_UNIX)
    sock.settimeout(60)
    sock.connect(path)
    assert len(sock.recv(18, socket.MSG_WAITALL)) == 18
    sock.sendall(struct.pack(">I", 3) + STARTTLS + STRUCTURED)
    answer = b""
    try:
        while piece := sock.recv(4096):
            answer += piece
    except ConnectionError:
        pass
    assert len(answer) <= 20, "the injected option was answered"
    served(other)


def main(words):
    if words[0] == "commands":
        commands(words[1])
    elif words[0] == "together":
        split = words.index("--")
        together(words[1:split], int(words[split + 1]))
    else:
        {"slow": slow, "garbage": garbage, "injected": injected}[words[0]](words[1], words[2])


main(sys.argv[1:])

"""Measures what idle NBD connections cost a running cofferd, and a client that works beside them.

  idle_connections.py SOCKET PID CONNECTIONS SECONDS

The client's requests are 4 KiB writes and reads, one at a time; its rate with and without the idle ones is measured
in turn, three times each. Fails at 64 KB or more each, or when the client has less than half its rate.
"""
import os
import resource
import statistics
import sys
import time

import raw_nbd as nbd
from raw_nbd import EXTENDED, SIMPLE, RawNbd

LIMIT = 64000
NAME = "photos"


def memory(pid):
    with open(f"/proc/{pid}/status") as text:
        return next(int(line.split()[1]) * 1024 for line in text if line.startswith("VmRSS:"))


def rate(client, seconds):
    """Requests a second."""
    block = os.urandom(4096)
    done, end = 0, time.monotonic() + seconds
    while time.monotonic() < end:
        if client.write(done % 1000 * 4096, block) or client.read(done % 1000 * 4096, 4096) != block:
            sys.exit("FAILED: the working client's data")
        done += 2
    return done / seconds


def connect(path, count):
    clients = []
    for number in range(count):
        extended = number % 2 == 1
        client = RawNbd(path).go(NAME, EXTENDED if extended else SIMPLE, [nbd.BASE] if extended else ())
        if client.write(number % 1000 * 4096, b"i" * 4096) or len(client.read(0, 65536)) != 65536:
            sys.exit("FAILED: an idle client's first requests")
        clients.append(client)
    return clients


def main():
    path, pid, count, seconds = sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), float(sys.argv[4])
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, min(hard, count + 100)), hard))
    working = RawNbd(path).go(NAME)
    rate(working, seconds / 3)  # so that caches and buffers are there
    for client in connect(path, count // 10):  # and whatever grows once
        client.close()
    alone, beside, costs = [], [], []
    for _ in range(3):
        alone.append(rate(working, seconds / 3))
        before = memory(pid)
        idle = connect(path, count)
        costs.append((memory(pid) - before) / count)
        beside.append(rate(working, seconds / 3))
        for client in idle[::97]:
            if client.read(0, 4096) is None:
                sys.exit("FAILED: an idle connection that wakes")
        for client in idle:
            client.close()
    cost, ratio = max(costs), statistics.median(beside) / statistics.median(alone)
    print(f"# resident memory for each of {count}: {', '.join(f'{c:,.0f}' for c in costs)} bytes")
    print(f"# a working client: {statistics.median(alone):,.0f} requests/s alone, "
          f"{statistics.median(beside):,.0f} beside them")
    if count < 1 or cost >= LIMIT:
        sys.exit(f"FAILED: {cost:,.0f} bytes each, {LIMIT} are allowed")
    if ratio < 0.5:
        sys.exit(f"FAILED: the working client has {ratio:.2f} of its rate left")
    print(f"{count} idle connections: {max(cost, 0):,.0f} bytes each (< {LIMIT:,}); "
          f"a working client beside them: {ratio:.2f} of its rate")


main()

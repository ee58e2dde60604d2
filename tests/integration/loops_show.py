#!/usr/bin/env python3
"""What holds one volume up is felt by no other, nor by `status`: measured against a real daemon.

  loops_show.py pwrite SOCKET GATE IMAGES COFFER SECONDS    the third journal pwrite of the daemon is held at the FIFO GATE
  loops_show.py dirty SOCKET                                writes to `held`
  loops_show.py flushes SOCKET                              volume `held` has 24 FLUSHes that wait for its store

Volumes `held` and `other` are open over NBD at SOCKET and as images in IMAGES. Prints figures, the longest of each kind.
Exits 1 where something was not answered while the other was held; how long it may take is the caller's to judge.
"""
import os
import pathlib
import subprocess
import sys
import threading
import time

import raw_nbd as nbd
from raw_nbd import RawNbd

BLOCK = b"n" * 4096


def timed(call):
    began = time.monotonic()
    call()
    return time.monotonic() - began


class Longest(dict):
    def note(self, what, call):
        self[what] = max(self.get(what, 0), timed(call))

    def print(self, held):
        for what, seconds in self.items():
            print(f"{held}: {what}: at most {seconds * 1000:.1f} ms", flush=True)


def hold_pwrite(path, gate, images, coffer, seconds):
    held, other = RawNbd(path).go("held"), RawNbd(path).go("other")
    for client in other, held:
        assert client.write(0, BLOCK) == 0  # its first segment, by a worker: pwrites one and two
    held.send(nbd.WRITE, 4096, 4096, BLOCK)  # the third, in the loop, and there it stays
    while not os.path.exists(f"{gate}.reached"):
        pass
    image = os.open(f"{images}/other.img", os.O_RDWR)
    of_held = os.open(f"{images}/held.img", os.O_RDWR)
    more = threading.Thread(target=os.pwrite, args=(of_held, BLOCK, 65536))  # through FUSE: a worker's
    more.start()
    longest, rounds = Longest(), 0
    end = time.monotonic() + seconds
    while rounds == 0 or time.monotonic() < end:
        longest.note("write of another volume", lambda: other.write(8192, BLOCK))
        longest.note("write and flush of another volume", lambda: (other.write(0, BLOCK), other.ask(nbd.FLUSH)))
        longest.note("read of another volume", lambda: other.read(0, 4096))
        longest.note("trim of another volume", lambda: other.ask(nbd.TRIM, 0, 4096))
        longest.note("a client that comes to another volume", lambda: RawNbd(path).go("other").close())
        longest.note("FUSE write of another volume", lambda: os.pwrite(image, BLOCK, 16384))
        longest.note("FUSE fsync of another volume", lambda: os.fsync(image))
        longest.note("FUSE read of the held volume", lambda: os.pread(of_held, 4096, 0))
        longest.note("coffer status", lambda: subprocess.run([coffer, "status"], check=True, capture_output=True))
        rounds += 1
    assert more.is_alive() and held.socket not in ready_to_read([held.socket]), "nothing was held"
    with open(gate, "wb"):
        pass
    assert held.reply()[1].error == 0
    more.join()
    longest.print("pwrite held")
    print(f"pwrite held: {rounds} rounds in {seconds} s")


def ready_to_read(sockets):
    import select
    return select.select(sockets, [], [], 0)[0]


def hold_flushes(path):
    held = [RawNbd(path).go("held") for _ in range(24)]
    other = RawNbd(path).go("other")
    assert other.write(0, BLOCK) == 0
    for client in held:
        client.send(nbd.FLUSH)
    longest = Longest()
    began, trims = time.monotonic(), 0
    while time.monotonic() - began < 1.5 and len(ready_to_read([c.socket for c in held])) < len(held):
        longest.note("TRIM of another volume", lambda: other.ask(nbd.TRIM, 0, 4096))
        longest.note("FLUSH of another volume", lambda: other.ask(nbd.FLUSH))
        trims += 1
    assert trims > 0
    longest.print("24 FLUSHes wait")
    return longest["TRIM of another volume"]


if __name__ == "__main__":
    if sys.argv[1] == "dirty":
        assert RawNbd(sys.argv[2]).go("held").write(0, BLOCK) == 0
    elif sys.argv[1] == "pwrite":
        hold_pwrite(*map(pathlib.Path, sys.argv[2:5]), sys.argv[5], float(sys.argv[6]))
    else:
        hold_flushes(pathlib.Path(sys.argv[2]))

#!/usr/bin/env python3
"""One volume through NBD and through its image file at once: what one has written and flushed, the other reads.

  fuse_coherence.py SOCKET NAME DIRECTORY [--rounds N]

SOCKET and NAME are of its NBD export, DIRECTORY is where NAME.img lies. Each round writes a block or a few on one
side, flushes, and reads them on the other, which had read them before (so that what it has cached is old); sides
change from round to round, and every other reader of the file has the file open since the start. Fails at the
first stale byte.
"""
import argparse
import os
import random
import sys
import time

from file_connection import FileConnection
from stamped_load import FLUSH, READ_CMD, TRIM, WRITE_CMD, Connection

BLOCK = 4096


def main():
    arguments = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    arguments.add_argument("socket")
    arguments.add_argument("name")
    arguments.add_argument("directory")
    arguments.add_argument("--rounds", type=int, default=10_000)
    arguments.add_argument("--seed", type=int, default=int.from_bytes(os.urandom(3), "big"))
    options = arguments.parse_args()
    print(f"# seed {options.seed}", flush=True)
    chooser = random.Random(options.seed)
    nbd = Connection(options.socket, options.name)
    kept = FileConnection(options.directory, options.name)
    blocks = min(nbd.size, 16 << 20) // BLOCK
    counts = {"nbd to file": 0, "file to nbd": 0}
    start = time.monotonic()
    for number in range(options.rounds):
        count = chooser.choice((1, 1, 1, 8, 33))
        offset = chooser.randrange(blocks - count) * BLOCK
        length = count * BLOCK
        file = kept if number % 4 < 2 else FileConnection(options.directory, options.name)
        here, there, way = ((nbd, file, "nbd to file"), (file, nbd, "file to nbd"))[number % 2]
        there.ask(READ_CMD, offset, length)
        if chooser.randrange(10) == 0:
            data = bytes(length)
            here.ask(TRIM, offset, length)
        else:
            data = number.to_bytes(8, "little") * (length // 8)
            here.ask(WRITE_CMD, offset, length, data)
        here.ask(FLUSH, 0, 0)
        found = there.ask(READ_CMD, offset, length)
        if found != data:
            at = next(i for i in range(length) if found[i] != data[i])
            sys.exit(f"FAILED: stale in round {number}, {way}: byte {offset + at} (seed {options.seed})")
        counts[way] += 1
        if file is not kept:
            file.close()
    seconds = time.monotonic() - start
    print(f"{counts['nbd to file']} rounds from NBD to the file, {counts['file to nbd']} back, in {seconds:.1f} s: 0 stale")


if __name__ == "__main__":
    main()

#!/usr/bin/env python3
"""kill -9 of the real cofferd under load on a volume's image file.

  fuse_kill_rounds.py PROGRAMS [--rounds N] [--seed N]

A round: four writers, each with a file descriptor and blocks of its own, write, punch, zero and fsync through FUSE;
the daemon is killed at a random moment; its mount is dead, the next open clears it away and mounts anew; then the
prefix oracle (stamps.py) compares every block: nothing that was acknowledged may be missing. Every tenth round the
store alone is opened by another machine, over NBD, and compared too.
"""
import argparse
import errno
import os
import random
import shutil
import sys
import tempfile
import time
from pathlib import Path

from crash_bed import Bed, Lost, wait_for
from file_connection import FileConnection
from kill_rounds import CONFIG
from stamped_load import Connection, StampedLoad
from stamps import Loss

MIB = 1 << 20
WRITERS, BLOCKS_EACH = 4, 2048
AREA = WRITERS * BLOCKS_EACH * 4096


class FuseRounds:
    def __init__(self, root, programs, seed):
        self.root, self.programs = Path(root), programs
        self.random = random.Random(seed)
        self.bed = Bed(self.root / "first", programs)
        self.bed.configure(CONFIG)
        self.mount = self.root / "mount"
        self.load = StampedLoad(WRITERS, BLOCKS_EACH, seed, AREA, FileConnection)
        self.kills = self.dead_mounts = self.remote_checks = 0
        self._start()
        done = self.bed.run("init", "photos", self.root / "store", str(AREA), "--password-file", self.bed.files[0])
        if done.returncode != 0:
            raise Lost(f"init: {done.stderr}")
        self._open()

    def _start(self):
        if not self.bed.start():
            raise Lost("the daemon does not start")

    def _open(self):
        if not self.bed.open("photos", f"--fuse={self.mount}"):
            raise Lost("the volume does not open: " + self.bed.tail())

    def round(self):
        before = self.load.requests
        self.load.start(self.mount, "photos", flush_every=self.random.choice((4, 14, 60)))
        if not wait_for(lambda: self.load.requests > before, 30):
            raise Lost("nobody can write: " + self.bed.tail())
        time.sleep(self.random.uniform(0.05, 0.8))  # the moment of the kill
        self.bed.kill()
        self.kills += 1
        self.load.join()
        self._note_dead_mount()
        self._start()
        self._open()
        self._verify(self.load, self.mount, "")
        if self.kills % 10 == 0:
            self._verify_remote()

    def _note_dead_mount(self):
        try:
            os.stat(self.mount)
        except OSError as error:
            if error.errno != errno.ENOTCONN:
                raise Lost(f"the mount of a killed daemon: {error}") from error
            self.dead_mounts += 1

    @staticmethod
    def _verify(load, path, where):
        problem = load.verify(path, "photos", Loss.PROCESS)
        if problem is not None:
            raise Lost(where + problem)

    def _verify_remote(self):
        done = self.bed.run("sync", "photos")
        if done.returncode != 0:
            raise Lost(f"sync: {done.stderr}")
        other = Bed(self.root / "other", self.programs)
        other.start()
        added = other.with_password("add", self.root / "store", "--as", "copy")
        if added.returncode != 0 or not other.open("photos", "--read-only"):
            raise Lost(f"another machine cannot open it: {added.stderr}")
        self.load.connect = Connection
        try:
            self._verify(self.load, other.socket, "from the store alone: ")
        finally:
            self.load.connect = FileConnection
        other.kill()
        shutil.rmtree(self.root / "other")
        self.remote_checks += 1

    def end(self):
        self.load.join(stop=True)
        self.bed.stop()


def main():
    arguments = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    arguments.add_argument("programs")
    arguments.add_argument("--rounds", type=int, default=50)
    arguments.add_argument("--seed", type=int, default=int.from_bytes(os.urandom(3), "big"))
    options = arguments.parse_args()
    print(f"# seed {options.seed}", flush=True)
    root = Path(tempfile.mkdtemp(prefix="coffer-fuse-kill-",
                                 dir=os.environ.get("SHOW_TMP") or os.environ.get("TMPDIR") or "/var/tmp"))
    rounds = None
    try:
        rounds = FuseRounds(root, options.programs, options.seed)
        while rounds.kills < options.rounds:
            rounds.round()
        if rounds.dead_mounts != rounds.kills:
            raise Lost(f"{rounds.dead_mounts} dead mounts after {rounds.kills} kills: it was not FUSE")
        print(f"{rounds.kills} kills, {rounds.dead_mounts} dead mounts cleared away; {rounds.load.requests} requests "
              f"acknowledged, {rounds.load.flushes} fsyncs, {rounds.remote_checks} comparisons from the store alone; "
              "losses 0")
    except Lost as lost:
        print(f"FAILED: {lost}\n(seed {options.seed})", file=sys.stderr)
        sys.exit(1)
    finally:
        if rounds is not None:
            rounds.end()
        shutil.rmtree(root, ignore_errors=True)


if __name__ == "__main__":
    main()

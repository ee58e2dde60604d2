#!/usr/bin/env python3
"""Power cuts of the real cofferd: its state directory lies on powercut_fs, which loses what was not synced.

  power_rounds.py PROGRAMS POWERCUT_FS [--rounds N] [--seed N] [--store-too]

A round: stamped requests over four connections, a second volume under fio, syncs, resizes, password changes; the
power goes (every call of the file system fails), the daemon is killed, the file system comes back with what the
cut leaves (nothing un-synced, a random subset with torn blocks, or a prefix); the daemon starts again, sometimes
into a second cut while it recovers; then the prefix oracle (stamps.py): all that a FLUSH, a FUA write or a sync
has acknowledged is there, and what is there is a prefix of the history. With --store-too the store, a directory,
lies there too. First a control program that leaves out fsync must lose its data, or the file system proves
nothing.
"""
import argparse
import collections
import os
import random
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

from crash_bed import Bed, Lost, Noise, die_with_parent
from kill_rounds import AREA, BLOCKS_EACH, CONFIG, CONNECTIONS, GROWN_MAX, MIB
from stamped_load import StampedLoad
from stamps import Loss

MODES = ("drop-all", "random-subset", "prefix")


class PowerCutDisk:
    def __init__(self, program, place, seed):
        self.place = Path(place)
        self.place.mkdir()
        self.process = subprocess.Popen([program, str(place), str(seed)], stdin=subprocess.PIPE,
                                        stdout=subprocess.PIPE, text=True, preexec_fn=die_with_parent)
        if self.process.stdout.readline() != "mounted\n":
            print("skipped: no FUSE mounts here", file=sys.stderr)
            sys.exit(77)

    def _tell(self, line):
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()
        if self.process.stdout.readline() != "ok\n":
            raise Lost(f"powercut_fs does not answer {line}")

    def cut(self):
        self._tell("cut")

    def on(self, mode):
        self._tell("on " + mode)

    def end(self):
        self.process.stdin.close()
        self.process.wait(20)


def prove(disk):
    """Data without fsync, and a rename without a sync of the directory, must go; with both they must stay."""
    def sync(path, flags=os.O_RDONLY):
        descriptor = os.open(path, flags)
        os.fsync(descriptor)
        os.close(descriptor)

    def written(name, text, sync_data, sync_directory):
        path = disk.place / name
        path.write_bytes(text)
        if sync_data:
            sync(path)
        if sync_directory:
            sync(disk.place)
        return path

    old, new = b"old " * 2048, b"new " * 2048
    careless, target = (written(name, old, True, True) for name in ("careless", "target"))
    written("target.tmp", new, True, True)
    # Nothing syncs the directory from here on.
    with careless.open("r+b") as file:
        file.write(new)
    nameless = written("nameless", new, True, False)
    os.rename(disk.place / "target.tmp", target)
    if {path.read_bytes() for path in (careless, nameless, target)} != {new}:
        raise Lost("powercut_fs does not show what was written")
    disk.cut()
    disk.on("drop-all")
    lost = [careless.read_bytes() == old, not nameless.exists(), target.read_bytes() == old]
    again = written("again", new, True, True)
    os.rename(again, target)
    sync(disk.place)
    disk.cut()
    disk.on("drop-all")
    if lost != [True, True, True]:
        raise Lost(f"powercut_fs loses too little: {lost}")
    if target.read_bytes() != new:
        raise Lost("powercut_fs loses what was synced")
    for path in disk.place.iterdir():
        path.unlink()
    sync(disk.place)
    print("# without fsync: bytes lost, name lost, rename undone; with it: kept", flush=True)


class PowerRounds:
    def __init__(self, root, programs, disk, seed, store):
        self.root, self.disk, self.store = Path(root), disk, store
        self.random = random.Random(seed)
        self.bed = Bed(self.root / "first", programs, state=disk.place / "state")
        self.bed.configure(CONFIG)
        self.load = StampedLoad(CONNECTIONS, BLOCKS_EACH, seed, AREA)
        self.size = AREA
        self.rounds = self.second_cuts = self.lost_requests = 0
        self.modes = collections.Counter()
        self.bed.start()
        for name, size in (("photos", AREA), ("noise", 64 * MIB)):
            done = self.bed.run("init", name, store, str(size), "--password-file", self.bed.files[0])
            if done.returncode != 0:
                raise Lost(f"init {name}: {done.stderr}")

    def round(self):
        if self.bed.daemon is None:
            self.bed.start()
        self._must_open("photos")
        self._must_open("noise")
        self.load.start(self.bed.socket, "photos", errors_allowed=True, flush_every=self.random.choice((4, 14, 100)))
        noise = Noise(self.bed, "noise", "--iodepth=4", "--fsync=8", "--rate_iops=1000")
        self.cutting = False
        busy = threading.Thread(target=self._be_busy, daemon=True)
        busy.start()
        time.sleep(self.random.uniform(0.1, 1.5))
        acknowledged = self._cut()
        busy.join(150)
        self.load.join()
        noise.end()
        if self.random.randrange(3) == 0:
            self._cut_in_recovery()
        self.bed.start()
        self._must_open("photos")
        problem = self.load.verify(self.bed.socket, "photos", Loss.POWER)
        if problem is not None:
            raise Lost(problem)
        self.size = self.load.size_line.base_size
        self.rounds += 1
        return acknowledged

    def _cut(self):
        mode = self.random.choice(MODES)
        self.modes[mode] += 1
        self.cutting = True
        if self.random.randrange(2):
            self.disk.cut()
            time.sleep(self.random.choice((0, 0.02, 0.2)))  # what it does now reaches no disk
            self.bed.kill()
        else:
            self.bed.kill()
            self.disk.cut()
        self.disk.on(mode)

    def _cut_in_recovery(self):
        starter = threading.Timer(self.random.uniform(0.0, 0.15), self.disk.cut)
        starter.start()
        try:
            self.bed.start()
            self.bed.with_password("open", "photos")
        except Lost:
            pass  # its disk was gone
        starter.join()
        self.bed.daemon.kill()
        self.bed.daemon.wait(60)
        self.bed.daemon = None
        self.disk.on(self.random.choice(MODES))
        self.second_cuts += 1

    def _must_open(self, name):
        done = self.bed.with_password("open", name)
        if done.returncode != 0:
            raise Lost(f"open {name}: {done.returncode}: {done.stderr}")

    def _be_busy(self):
        while not self.cutting:
            for deed in self.random.sample(("sync", "resize", "passwd"), 3):
                if self.cutting:
                    return
                self._deed(deed)

    def _deed(self, deed):
        """Whatever comes of it once the disk has gone."""
        if deed == "sync":
            sent = self.load.clock.tick()
            if self.bed.run("sync", "photos").returncode == 0:
                self.load.note_barrier(sent)
        elif deed == "passwd":
            self.bed.passwd("photos")
        elif self.size + 65536 <= GROWN_MAX:
            self.size += 4096 * self.random.randint(1, 16)
            request = self.load.size_line.begin(self.size)
            if self.bed.run("resize", "photos", str(self.size)).returncode == 0:
                self.load.size_line.done(request, durable=True)


def main():
    arguments = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    arguments.add_argument("programs")
    arguments.add_argument("powercut_fs")
    arguments.add_argument("--rounds", type=int, default=100)
    arguments.add_argument("--store-too", action="store_true")
    arguments.add_argument("--seed", type=int, default=int.from_bytes(os.urandom(3), "big"))
    options = arguments.parse_args()
    if not os.access("/dev/fuse", os.R_OK | os.W_OK):
        print("skipped: no /dev/fuse here", file=sys.stderr)
        sys.exit(77)
    print(f"# seed {options.seed}", flush=True)
    root = Path(tempfile.mkdtemp(prefix="coffer-power-", dir=os.environ.get("SHOW_TMP") or os.environ.get("TMPDIR") or "/var/tmp"))
    disk = PowerCutDisk(options.powercut_fs, root / "disk", options.seed)
    rounds = None
    try:
        prove(disk)
        rounds = PowerRounds(root, options.programs, disk, options.seed,
                             disk.place / "store" if options.store_too else root / "store")
        for _ in range(options.rounds):
            rounds.round()
        if rounds.load.requests == 0 or rounds.load.flushes == 0:
            raise Lost("nothing was done")
        modes = ", ".join(f"{mode} {count}" for mode, count in sorted(rounds.modes.items()))
        print(f"{rounds.rounds} power cuts ({modes}), {rounds.second_cuts} more during recovery, the store "
              f"{'on the same disk' if options.store_too else 'elsewhere'}; {rounds.load.requests} requests "
              f"acknowledged, {rounds.load.flushes} flushes; losses 0")
    except Lost as lost:
        print(f"FAILED: {lost}\n(seed {options.seed})", file=sys.stderr)
        if rounds is not None:
            print(rounds.bed.tail(), file=sys.stderr)
        sys.exit(1)
    finally:
        if rounds is not None and rounds.bed.daemon is not None:
            rounds.bed.daemon.kill()
            rounds.bed.daemon.wait(60)
        disk.end()
        shutil.rmtree(root, ignore_errors=True)


if __name__ == "__main__":
    main()

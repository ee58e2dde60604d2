#!/usr/bin/env python3
"""kill -9 and SIGSTOP of the real cofferd, at every failpoint and at random moments, under load over NBD.

  kill_rounds.py PROGRAMS [--rounds N] [--stops N] [--labels LABEL… | --sample N] [--seed N]

PROGRAMS holds coffer and cofferd built with failpoints. A round: stamped requests over four connections to one
volume, fio on another, and syncs, resizes, password changes, closes beside them; the daemon dies; it starts
again, and may die again while it recovers; then the prefix oracle (stamps.py) compares every block. First every
label found in the sources is hit once, then moments are random. A label that is never hit fails the run. Every
tenth round, and at the end, the store alone is opened by another machine and compared too.
"""
import argparse
import collections
import json
import os
import random
import shutil
import signal
import sys
import tempfile
import threading
import time
from pathlib import Path

from crash_bed import Bed, Lost, Noise, failpoints, wait_for, wait_until
from stamped_load import Connection, StampedLoad
from stamps import Loss

MIB = 1 << 20
CONNECTIONS, BLOCKS_EACH = 4, 2048
AREA = CONNECTIONS * BLOCKS_EACH * 4096
GROWN_MAX = AREA + 64 * MIB
CONFIG = """[defaults]
sync_age = "1s"
sync_bytes = "1MiB"
journal_bytes_max = "32MiB"
memory_cache_bytes_max = 0
[volumes."store/noise"]
sync_age = "1h"
sync_bytes = "64MiB"
journal_bytes_max = "16MiB"
"""
# How often a load passes them in a second, about: which passage of a label is the one is drawn from that.
OFTEN = {"journal-append": 300, "journal-appended": 300, "journal-published": 300, "journal-data-synced": 60,
         "journal-synced": 60, "file-written": 8, "file-renamed": 8, "store-written": 8, "store-linked": 8,
         "pack-sealed": 4, "pack-uploaded": 4}
# Labels that another one's crash must come before.
AFTER = {"head-offered-again": "head-spooled"}


class Rounds:
    def __init__(self, root, programs, seed):
        self.root, self.programs = Path(root), programs
        self.random = random.Random(seed)
        self.bed = Bed(self.root / "first", programs)
        self.bed.configure(CONFIG)
        self.load = StampedLoad(CONNECTIONS, BLOCKS_EACH, seed, AREA)
        self.size = AREA
        self.hits = collections.Counter()
        self.kills = self.recovery_kills = self.stops = self.remote_checks = 0
        self.fio = None
        self.busy_error = None
        self.bed.start()
        for name, size in (("photos", AREA), ("noise", 64 * MIB)):
            done = self.bed.run("init", name, self.root / "store", str(size), "--password-file", self.bed.files[0])
            if done.returncode != 0:
                raise Lost(f"init {name}: {done.stderr}")
        self.bed.kill()

    # --- one round ---

    def round(self, label=None):
        """One round; with a label: whether its failpoint was reached."""
        failpoint, passages = None, 1
        if label is not None:
            passages = self.random.randint(1, OFTEN.get(label, 1))
            failpoint = f"{AFTER.get(label, label)}:{passages}=kill"
        hit = self._crash_under_load(failpoint, self.random.uniform(0.1, 1.2))
        if label is not None and (not hit or label in AFTER):
            hit = self._crash_in_recovery(f"{label}=kill")
        elif label is None and self.random.randrange(3) == 0:
            self._crash_in_recovery(None)
        self.kills += 1
        if label is not None and hit:
            self.hits[label] += 1
        self._verify()
        return hit

    def _crash_under_load(self, failpoint, seconds):
        """Whether the failpoint was reached."""
        if not self.bed.start(failpoint) or not self.bed.open("photos") or not self.bed.open("noise"):
            return self.bed.kill()
        self.load.start(self.bed.socket, "photos", flush_every=self.random.choice((4, 14, 60)))
        self._start_fio()
        deeds = ["sync", "resize", "passwd"]
        self.random.shuffle(deeds)
        busy = threading.Thread(target=self._be_busy, args=(deeds, failpoint), daemon=True)
        busy.start()
        if failpoint is None:
            wait_for(self.bed.died, seconds)
        elif not wait_for(lambda: self.bed.died() or not busy.is_alive(), 90):
            raise Lost("the round's commands hang")
        if failpoint is not None and not self.bed.died():
            # At the close: the fold, the released head, the trimmed journal.
            self.load.join(stop=True)
            self._stop_fio()
            self._deed("close")
        died = self.bed.kill()
        self.load.join()
        self._stop_fio()
        busy.join(150)
        if busy.is_alive():
            raise Lost("a command does not end after the daemon did")
        if self.busy_error:
            raise Lost(self.busy_error)
        return died

    def _crash_in_recovery(self, failpoint):
        """The same without load: at a failpoint, or at any moment of start and open."""
        if failpoint is None:
            threads = [threading.Timer(self.random.uniform(0.0, 0.15), self._kill_now)]
            threads[0].start()
        else:
            threads = []
        try:
            alive = self.bed.start(failpoint) and self.bed.open("photos") and self.bed.open("noise")
        finally:
            for thread in threads:
                thread.join()
        hit = self.bed.kill()
        self.recovery_kills += 1
        return hit and (failpoint is not None or not alive)

    def _kill_now(self):
        wait_for(lambda: self.bed.daemon is not None, 1)
        if self.bed.daemon is not None:
            self.bed.daemon.kill()

    def _be_busy(self, deeds, failpoint):
        # With a label: until it was reached, a few times round; else until the daemon is killed.
        for _ in range(3 if failpoint else 1000):
            for deed in deeds:
                if self.bed.died():
                    return
                self._deed(deed)
                wait_for(self.bed.died, 0.05)

    def _deed(self, deed):
        if deed == "sync":
            sent = self.load.clock.tick()
            done = self.bed.run("sync", "photos")
            if done.returncode == 0:
                self.load.note_barrier(sent)
        elif deed == "passwd":
            done = self.bed.passwd("photos")
        elif deed == "close":
            sent = self.load.clock.tick()
            done = self.bed.run("close", "--all")
            if done.returncode == 0:
                self.load.note_barrier(sent)
        else:
            if self.size + 4096 > GROWN_MAX:
                return
            self.size += 4096 * self.random.randint(1, 16)
            request = self.load.size_line.begin(self.size)
            done = self.bed.run("resize", "photos", str(self.size))
            if done.returncode == 0:
                self.load.size_line.done(request, durable=True)
        if done.returncode != 0 and not wait_for(self.bed.died, 3):
            self.busy_error = f"{deed} failed though the daemon lives: {done.returncode}: {done.stderr}"

    def _start_fio(self):
        self.fio = Noise(self.bed, "noise", "--iodepth=1", "--fsync=1", "--rate_iops=3000")

    def _stop_fio(self):
        if self.fio is not None:
            self.fio.end()
            self.fio = None

    def _verify(self):
        if not self.bed.start() or not self.bed.open("photos") or not self.bed.open("noise"):
            raise Lost("the daemon does not live though nobody kills it: " + self.bed.tail())
        problem = self.load.verify(self.bed.socket, "photos", Loss.PROCESS)
        if problem is not None:
            raise Lost(problem)
        self.size = self.load.size_line.base_size
        if self.kills % 10 == 0:
            self.verify_remote()
        self.bed.kill()

    def verify_remote(self):
        """What the store alone gives, on another machine (O2), after a sync."""
        done = self.bed.run("sync", "photos")
        if done.returncode != 0:
            raise Lost(f"sync after recovery: {done.stderr}")
        other = Bed(self.root / "other", self.programs)
        other.password, other.in_doubt = self.bed.password, self.bed.in_doubt
        other.start()
        added = other.with_password("add", self.root / "store", "--as", "copy")
        if added.returncode != 0 or not other.open("photos", "--read-only"):
            raise Lost(f"another machine cannot open it: {added.stderr}")
        problem = self.load.verify(other.socket, "photos", Loss.PROCESS)
        other.kill()
        shutil.rmtree(self.root / "other")
        if problem is not None:
            raise Lost("from the store alone: " + problem)
        self.remote_checks += 1

    # --- SIGSTOP ---

    def stop_round(self, label):
        """Stopped at the label, or at any moment, and woken: nobody sees an error, everything is right."""
        failpoint = f"{label}:{self.random.randint(1, OFTEN.get(label, 1))}=stop" if label else None
        waker = Waker(self.bed)
        if not self.bed.start(failpoint) or not self.bed.open("photos") or not self.bed.open("noise"):
            raise Lost("the daemon does not start")
        self.load.start(self.bed.socket, "photos")
        self._start_fio()
        busy = threading.Thread(target=self._be_busy, args=(["sync", "resize"], label or "random"), daemon=True)
        busy.start()
        if label is None:
            time.sleep(self.random.uniform(0.1, 0.6))
            self.bed.daemon.send_signal(signal.SIGSTOP)
        wait_for(lambda: waker.woken or not busy.is_alive(), 90)
        before = self.load.requests
        if not wait_for(lambda: self.load.requests > before + 10, 60):
            raise Lost("nothing goes on after SIGCONT")
        busy.join(150)
        self.load.join(stop=True)
        self._stop_fio()
        waker.end()
        if self.busy_error:
            raise Lost(self.busy_error)
        problem = self.load.verify(self.bed.socket, "photos", Loss.PROCESS)
        if problem is not None:
            raise Lost(problem)
        self.stops += waker.woken
        self.bed.kill()


class Waker(threading.Thread):
    """Wakes a stopped daemon after a while."""

    def __init__(self, bed):
        super().__init__(daemon=True)
        self.bed, self.woken, self.ending = bed, 0, False
        self.start()

    def run(self):
        while not self.ending:
            if self.bed.stopped():
                time.sleep(0.2)
                self.bed.daemon.send_signal(signal.SIGCONT)
                self.woken += 1
            time.sleep(0.002)

    def end(self):
        self.ending = True
        self.join()


# --- what is no load: each label of it has a scene of its own ---

class Scenes:
    """Makes, deletes and forks volumes; the daemon dies in the middle, and the same command finishes it."""

    def __init__(self, root, programs):
        self.root, self.programs = Path(root), programs

    def bed(self, name):
        return Bed(self.root / name, self.programs)

    def _armed(self, bed, label, *words):
        """Runs the command on a daemon with that failpoint: whether it was reached."""
        if bed.start(f"{label}=kill") and bed.with_password(*words).returncode != 0:
            wait_for(bed.died, 10)  # the client may know of it first
        return bed.kill()

    def init(self, label):
        bed = self.bed("init")
        words = ("init", "photos", self.root / "vault", "16M")
        hit = self._armed(bed, label, *words)
        bed.start()
        again = bed.with_password(*words)
        if again.returncode != 0:
            # Half a vault, by an init that was broken off: it says so, and what to do.
            if "half a vault" not in again.stderr:
                raise Lost(f"{label}: init again: {again.stderr}")
            shutil.rmtree(self.root / "vault")
            again = bed.with_password(*words)
        if again.returncode != 0 or not bed.open("photos"):
            raise Lost(f"{label}: init again: {again.stderr}")
        bed.stop()
        return hit

    def delete(self, label):
        bed = self.bed("delete")
        bed.start()
        for name in ("photos", "mail"):
            bed.with_password("init", name, self.root / "vault", "16M")
        bed.stop()
        hit = self._armed(bed, label, "delete", "photos", "--confirm=photos")
        bed.start()
        again = bed.with_password("delete", "photos", "--confirm=photos")
        if again.returncode not in (0, 3):
            raise Lost(f"{label}: delete again: {again.stderr}")
        opened = bed.with_password("open", "photos")
        if opened.returncode != 3 or not bed.open("mail"):
            raise Lost(f"{label}: after deleting: {opened.returncode} {opened.stderr}")
        bed.stop()
        return hit

    def fork(self, label):
        """A machine was killed with a tail, another has taken over: the tail becomes a volume, whenever it is
        broken off."""
        first, second = self.bed("first"), self.bed("second")
        first.start()
        first.with_password("init", "photos", self.root / "vault", "16M")
        first.open("photos")
        load = StampedLoad(2, 1024, 1, 16 * MIB)
        load.start(first.socket, "photos")
        wait_until(lambda: load.requests > 100, "a load")
        first.kill()
        load.join()
        second.start()
        second.with_password("add", self.root / "vault", "--as", "vault")
        second.open("photos", "--take-over")
        connection = Connection(second.socket, "photos")
        connection.ask(1, 0, 4096, b"\7" * 4096)
        connection.close()
        done = second.run("close", "photos")
        if done.returncode != 0:
            raise Lost(done.stderr)
        second.stop()

        hit = self._armed(first, label, "open", "photos")
        first.start()
        told = first.with_password("open", "photos")
        if told.returncode != 10 and label != "fork-named" and "FENCED" not in told.stderr:
            raise Lost(f"{label}: the fork is not told: {told.returncode} {told.stderr}")
        listed = json.loads(first.run("list", "--json").stdout)["volumes"]
        forks = [v["volume"] for v in listed if v["volume"].startswith("recovered-")]
        if len(forks) != 1 or not first.open(forks[0]):
            raise Lost(f"{label}: {listed}")
        problem = load.verify(first.socket, forks[0], Loss.PROCESS)
        if problem is not None:
            raise Lost(f"{label}: the fork: {problem}")
        if not first.open("photos"):
            raise Lost(f"{label}: {first.tail()}")
        connection = Connection(first.socket, "photos")
        if connection.ask(0, 0, 4096) != b"\7" * 4096:
            raise Lost(f"{label}: what the other machine wrote is not there")
        connection.close()
        first.stop()
        return hit


def scene_of(label):
    return next((name for name in ("init", "delete", "fork") if label.startswith(name + "-")), None)


def main():
    arguments = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    arguments.add_argument("programs")
    arguments.add_argument("--rounds", type=int, default=100, help="kills, those at labels included")
    arguments.add_argument("--stops", type=int, default=20)
    arguments.add_argument("--labels", nargs="*", help="only these")
    arguments.add_argument("--sample", type=int, help="so many labels, drawn")
    arguments.add_argument("--attempts", type=int, default=4, help="at each label")
    arguments.add_argument("--seed", type=int, default=int.from_bytes(os.urandom(3), "big"))
    options = arguments.parse_args()
    if b"COFFER_FAILPOINT" not in Path(options.programs, "cofferd").read_bytes():
        sys.exit(f"{options.programs}/cofferd has no failpoints: configure with -DCOFFER_FAILPOINTS=ON")
    print(f"# seed {options.seed}", flush=True)
    labels = failpoints() if options.labels is None else options.labels
    if options.sample is not None:
        labels = random.Random(options.seed).sample(labels, options.sample)
    root = Path(tempfile.mkdtemp(prefix="coffer-kill-", dir=os.environ.get("SHOW_TMP") or os.environ.get("TMPDIR") or "/var/tmp"))
    hits, kills = collections.Counter(), 0
    rounds = None
    try:
        for label in labels:
            scene = scene_of(label)
            if scene is not None:
                place = root / label
                place.mkdir()
                hits[label] += getattr(Scenes(place, options.programs), scene)(label)
                kills += 1
                shutil.rmtree(place)
        rounds = Rounds(root, options.programs, options.seed)
        for label in labels:
            if scene_of(label) is not None:
                continue
            for _ in range(options.attempts):
                if rounds.round(label):
                    break
        while kills + rounds.kills < options.rounds:
            rounds.round()
        stop_labels = [label for label in labels if label.startswith(("journal-", "commit-", "pack-", "head-"))]
        for number in range(options.stops):
            rounds.stop_round(rounds.random.choice(stop_labels) if number % 2 and stop_labels else None)
        hits += rounds.hits
        kills += rounds.kills
        for label in labels:
            print(f"{label}\t{hits[label]}")
        never = [label for label in labels if not hits[label]]
        if never:
            raise Lost("never reached: " + ", ".join(never))
        if rounds.load.requests == 0 or kills == 0:
            raise Lost("nothing was done")
        print(f"{kills} kills at {len(labels)} labels and at random, {rounds.recovery_kills} more during recovery, "
              f"{rounds.stops} stops; {rounds.load.requests} requests acknowledged, {rounds.load.flushes} flushes, "
              f"{rounds.remote_checks} comparisons from the store alone; losses 0")
    except Lost as lost:
        print(f"FAILED: {lost}\n(seed {options.seed})", file=sys.stderr)
        if rounds is not None:
            print(rounds.bed.tail(), file=sys.stderr)
        if os.environ.get("KEEP"):
            print(f"kept: {root}", file=sys.stderr)
            root = None
        sys.exit(1)
    finally:
        if rounds is not None:
            rounds._stop_fio()
            try:
                rounds.bed.kill()
            except Lost:
                pass
        if root is not None:
            shutil.rmtree(root, ignore_errors=True)


if __name__ == "__main__":
    main()

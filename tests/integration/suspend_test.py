#!/usr/bin/env python3
"""A machine that goes to sleep and wakes up under load (faults.md row 12), with the real daemon.

  suspend_test.py PROGRAMS SLEPT_CLOCK [unittest arguments]

PROGRAMS holds a coffer and a cofferd whose key derivation is cheap, SLEPT_CLOCK is the library of
tests/support/slept_clock.cc. Asleep means: cofferd and its children are stopped (SIGSTOP), all threads of them; some
seconds pass, in which whatever cofferd waits for in the kernel runs out; CLOCK_BOOTTIME and the wall's clock are half a
day further; they go on (SIGCONT). Who uses the volume is awake all the time and has a request under way.

Root's mounted drive is a loop device, an ordinary user's fuse2fs (tests/fuse/as_user.sh). Needs /dev/fuse.
"""
import contextlib
import hashlib
import itertools
import json
import os
import pathlib
import random
import signal
import socket
import struct
import subprocess
import sys
import threading
import time
import unittest

HERE = pathlib.Path(__file__).resolve()
sys.path.insert(0, str(HERE.parents[1] / "cli"))
import end_to_end_test as e2e  # noqa: E402
from end_to_end_test import MIB, wait_until  # noqa: E402
from file_connection import FileConnection  # noqa: E402
from stamped_load import Connection, StampedLoad  # noqa: E402
from stamps import Loss  # noqa: E402

SLEPT_CLOCK = None  # set by main
HOURS = 12
LINES, BLOCKS_EACH = 4, 2048
AREA = LINES * BLOCKS_EACH * 4096
SYNC_AGE = 1
STILL_SECONDS = 3  # longer than the sync age, and than the pauses in which writers and retries wait


def descendants(pid):
    found = [pid]
    for thread in pathlib.Path(f"/proc/{pid}/task").iterdir():
        with contextlib.suppress(FileNotFoundError):
            children = (thread / "children").read_text().split()
            found += [below for child in children for below in descendants(int(child))]
    return found


def states(pid):
    """Of its threads: "T" is stopped."""
    return {(thread / "stat").read_text().rpartition(")")[2].split()[0]
            for thread in pathlib.Path(f"/proc/{pid}/task").iterdir()}


class Suspend(e2e.CofferTest):
    def setUp(self):
        super().setUp()
        self.slept = self.root / "slept"
        self.set_slept(0)
        self.machine.environment.update(LD_PRELOAD=SLEPT_CLOCK, COFFER_TEST_SLEPT=str(self.slept))
        options = self.machine.environment.get("ASAN_OPTIONS", "")
        self.machine.environment["ASAN_OPTIONS"] = f"{options}:verify_asan_link_order=0"
        self.images = self.root / "images"
        self.addCleanup(self.unmount_what_is_left)
        self.store_away = self.root / "elsewhere"

    def unmount_what_is_left(self):
        lines = pathlib.Path("/proc/self/mountinfo").read_text().splitlines()
        for path in reversed([line.split()[4] for line in lines if line.split()[4].startswith(str(self.root))]):
            command = ["umount", "-l"] if os.geteuid() == 0 else ["fusermount3", "-uz"]
            subprocess.run([*command, path], check=False)

    def configure(self, text):
        """For the next daemon."""
        self.expect(0, "daemon", "stop", password=False)
        directory = self.machine.root / "config" / "coffer"
        directory.mkdir(parents=True, mode=0o700)
        (directory / "config.toml").write_text(text)
        (directory / "config.toml").chmod(0o600)

    # --- Sleep ---

    def set_slept(self, seconds):
        """In place: it is mapped."""
        mode = "r+b" if self.slept.exists() else "wb"
        with open(self.slept, mode, buffering=0) as file:
            file.write(struct.pack("=q", seconds))

    @contextlib.contextmanager
    def asleep(self):
        # Children first: one that has asked cofferd for something cannot be stopped until it has the answer.
        asleep = descendants(self.machine.pid())[::-1]
        try:
            for pid in asleep:
                os.kill(pid, signal.SIGSTOP)
                wait_until(lambda pid=pid: states(pid) == {"T"}, f"all threads of {pid} are stopped")
            time.sleep(STILL_SECONDS)  # what is tested is that this much time passes
            yield
            self.set_slept(HOURS * 3600)
        finally:
            for pid in asleep:
                os.kill(pid, signal.SIGCONT)

    def assert_clock_has_jumped(self):
        """The daemon's: by it the image was written to just now."""
        changed = (self.images / "photos.img").stat().st_mtime
        self.assertAlmostEqual(changed, time.time() + HOURS * 3600, delta=600)

    def await_word(self, *words):
        """A command of coffer that starts when it gets a line."""
        process = subprocess.Popen(["/bin/sh", "-c", 'read word; exec "$@"', "sh", *self.machine.command(*words)],
                                   env=self.machine.environment, text=True, stdin=subprocess.PIPE,
                                   stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        self.addCleanup(process.kill)
        return process

    # --- What is compared ---

    def start_load(self, lines=LINES):
        """Half of the lines through the image file, half over NBD."""
        kinds = itertools.cycle([lambda _, name: FileConnection(self.images, name),
                                 lambda _, name: Connection(self.machine.runtime / "coffer" / "nbd.sock", name)])
        self.load = StampedLoad(lines, BLOCKS_EACH, random.randrange(1 << 30), AREA,
                                lambda path, name: next(kinds)(path, name))
        self.load.start(None, "photos", flush_every=6)
        self.addCleanup(self.load.join, stop=True)
        self.await_progress()

    def await_progress(self, requests=50):
        """Every line has some more of its requests answered."""
        before = [len(line.requests) for line in self.load.lines]
        wait_until(lambda: self.load.problems or all(
            len(line.requests) > past + requests for line, past in zip(self.load.lines, before)), "every writer goes on")
        self.assertEqual(self.load.problems, [])

    def assert_stands_still(self):
        """Every line is in a request that nobody answers."""
        answered = [self.load.requests, self.load.flushes]
        self.assertTrue(all(thread.is_alive() for thread in self.load.threads))
        time.sleep(0.2)
        self.assertEqual([self.load.requests, self.load.flushes], answered)

    def end_load(self):
        self.load.join(stop=True)
        self.assertEqual(self.load.problems, [])
        self.assertGreater(self.load.flushes, 10)
        self.assertIsNone(self.load.verify(None, "photos", Loss.PROCESS))

    def assert_syncs_by_itself(self):
        wait_until(lambda: self.status()["waiting_bytes"] == 0, "all is uploaded without being asked to")
        self.assertEqual(self.status()["last_error"], "")

    def assert_store_holds_it(self):
        """What another machine reads is what was acknowledged."""
        self.expect(0, "close", "photos", password=False)
        other = self.new_machine("other")
        self.expect(0, "add", self.store, "--as", "copy", machine=other)
        self.expect(0, "open", "photos", machine=other)
        self.load.connect = lambda _, name: Connection(other.runtime / "coffer" / "nbd.sock", name)
        self.assertIsNone(self.load.verify(None, "photos", Loss.PROCESS))


class Image(Suspend):
    """The image file and NBD clients of one volume at once."""

    def setUp(self):
        super().setUp()
        self.init(size=str(AREA))

    def serve(self, *options):
        self.open("photos", None, "--nbd", f"--fuse={self.images}", f"--sync-age={SYNC_AGE}s", *options)

    def test_what_was_under_way_is_answered_and_everything_goes_on(self):
        self.serve()
        # Before the image is open here: a child that has it closes it first, and that is a request too.
        commands = [self.await_word(*words) for words in (("sync", "photos"), ("status", "photos"), ("list",))]
        self.start_load()
        with self.asleep():
            self.assert_stands_still()
            for command in commands:
                command.stdin.write("now\n")
                command.stdin.flush()
            time.sleep(0.2)
        self.await_progress()
        for command in commands:
            output = command.communicate(timeout=600)[0]
            self.assertEqual(command.returncode, 0, output)
        with self.asleep():
            self.assert_stands_still()
        self.await_progress()
        self.assert_clock_has_jumped()
        self.end_load()
        self.assert_syncs_by_itself()
        self.assert_store_holds_it()

    def test_who_was_just_saying_what_he_wants_is_not_cut_off(self):
        """Half a negotiation and half a request of the control API: limits of 10 s count no sleep."""
        self.serve()
        places = self.machine.runtime / "coffer"
        clients = {name: socket.socket(socket.AF_UNIX) for name in ("nbd", "control")}
        for name, client in clients.items():
            self.addCleanup(client.close)
            client.settimeout(60)
            client.connect(str(places / f"{name}.sock"))
        clients["nbd"].recv(18, socket.MSG_PEEK | socket.MSG_WAITALL)  # accepted: its time runs
        clients["control"].sendall(b"GET /v1/version HTTP/1.1\r\nHost: co")
        self.status()  # its thread has looked at what came before
        with self.asleep():
            pass
        self.status()  # and at what is late
        self.assertEqual(Connection.on(clients["nbd"], "photos").size, AREA)
        clients["control"].sendall(b"ffer\r\n\r\n")
        self.assertEqual(clients["control"].recv(15, socket.MSG_WAITALL), b"HTTP/1.1 200 OK")

    def test_a_store_that_is_gone_when_it_wakes_up_is_waited_for(self):
        self.serve()
        self.start_load()
        with self.asleep():
            self.store.rename(self.store_away)  # a disk that was pulled, a share that is not back yet
        before = self.load.requests
        wait_until(lambda: "store" in self.status()["last_error"], "status says what is wrong")
        wait_until(lambda: self.load.problems or self.load.requests > before + 50, "writers go on meanwhile")
        self.assertGreater(self.status()["waiting_bytes"], 0)
        self.store_away.rename(self.store)
        self.assert_syncs_by_itself_under_load()
        self.await_progress()
        self.end_load()
        self.assert_syncs_by_itself()
        self.assert_store_holds_it()

    def assert_syncs_by_itself_under_load(self):
        before = self.status()["head_sequence"]
        wait_until(lambda: self.status()["head_sequence"] > before, "a sync after the store is back")

    def test_a_writer_that_waits_for_room_is_not_refused_because_it_slept(self):
        self.configure('[volumes."backups/photos"]\njournal_bytes_max = "16MiB"\njournal_full = "enospc-after=60"\n')
        self.serve()
        self.store.rename(self.store_away)
        self.start_load()
        wait_until(lambda: self.status()["writers_waiting"] > 0, "the journal is full")
        with self.asleep():
            self.store_away.rename(self.store)
        self.await_progress()
        self.end_load()
        self.assert_syncs_by_itself()
        self.assert_store_holds_it()


class Drive(Suspend):
    """A mounted file system."""

    def setUp(self):
        super().setUp()
        self.place = self.root / "drive"
        self.init(size="96M")
        self.mount("--mkfs")
        self.written, self.problems, self.ending = {}, [], False
        self.rounds = {"writer": 0, "reader": 0}
        self.threads = []

    def mount(self, *options):
        way = "loop" if os.geteuid() == 0 else "fuse2fs"
        done = self.expect(0, "open", "photos", f"--mount={self.place}", f"--mount-with={way}",
                           f"--sync-age={SYNC_AGE}s", *options)
        self.assertIn(f"mounted by {way}", done.stderr)

    def work(self, name, step):
        """Runs `step` again and again until it is told to end; what it meets is a problem."""
        def run():
            while not self.ending:
                try:
                    step()
                except OSError as error:
                    self.problems.append(f"{name}: {error}")
                    return
                self.rounds[name] += 1
        self.threads.append(threading.Thread(target=run, daemon=True))
        self.threads[-1].start()

    def write_one(self):
        name = f"file{self.rounds['writer'] % 40}"
        data = os.urandom(random.randrange(1, 300_000))
        with open(self.place / name, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        self.written[name] = hashlib.sha256(data).digest()

    def read_one(self):
        name = f"kept{random.randrange(8)}"
        descriptor = os.open(self.place / name, os.O_RDONLY)
        try:
            os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
            data = os.read(descriptor, 1 << 20)
        finally:
            os.close(descriptor)
        if hashlib.sha256(data).digest() != self.written[name]:
            self.problems.append(f"{name}: {len(data)} bytes, and not those that were written")

    def await_rounds(self, rounds=5):
        before = dict(self.rounds)
        wait_until(lambda: self.problems or all(self.rounds[name] >= before[name] + rounds for name in before),
                   "writer and reader go on")
        self.assertEqual(self.problems, [], self.log())

    def log(self):
        return (self.machine.state / "log" / "cofferd.log").read_text()[-3000:]

    def assert_holds_it(self):
        for name, digest in self.written.items():
            self.assertEqual(hashlib.sha256((self.place / name).read_bytes()).digest(), digest, name)

    def test_a_file_system_in_use_goes_on_and_is_whole(self):
        for number in range(8):
            data = os.urandom(200_000)
            (self.place / f"kept{number}").write_bytes(data)
            self.written[f"kept{number}"] = hashlib.sha256(data).digest()
        self.work("writer", self.write_one)
        self.work("reader", self.read_one)
        self.await_rounds()
        for store_is_gone in (False, True):
            with self.asleep():
                written = self.rounds["writer"]
                time.sleep(0.2)
                self.assertEqual(self.rounds["writer"], written, "a write was synced by nobody")
                if store_is_gone:
                    self.store.rename(self.store_away)
            if store_is_gone:
                wait_until(lambda: "store" in self.status()["last_error"], "a sync that fails")
                time.sleep(STILL_SECONDS)  # as long as a network may take to be there again
                self.assertEqual(self.problems, [], self.log())
                self.store_away.rename(self.store)
            self.await_rounds()
        self.ending = True
        for thread in self.threads:
            thread.join(60)
            self.assertFalse(thread.is_alive())
        self.assertEqual(self.problems, [])
        self.assert_holds_it()
        wait_until(lambda: self.status()["last_error"] == "", "a sync of its own after the store is back")
        self.expect(0, "close", "photos", password=False)
        uri = json.loads(self.expect(0, "open", "photos", f"--fuse={self.images}", "--json").stdout)["uri"]
        checked = subprocess.run(["/sbin/e2fsck", "-fn", uri], capture_output=True, text=True, timeout=600, check=False)
        self.assertEqual(checked.returncode, 0, checked.stdout + checked.stderr)
        self.expect(0, "close", "photos", password=False)
        self.mount()
        self.assert_holds_it()
        self.expect(0, "close", "photos", password=False)


def main():
    global SLEPT_CLOCK
    e2e.CHEAP = os.path.abspath(sys.argv.pop(1))
    SLEPT_CLOCK = os.path.abspath(sys.argv.pop(1))
    unittest.main(verbosity=2, warnings="ignore")


if __name__ == "__main__":
    main()

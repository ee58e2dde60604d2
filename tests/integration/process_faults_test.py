#!/usr/bin/env python3
"""What befalls the real process from outside: copied state, wrong clocks, disks that fail, limits (faults.md).

  process_faults_test.py PROGRAMS POWERCUT_FS [unittest arguments]

PROGRAMS holds a coffer and a cofferd whose key derivation is cheap. POWERCUT_FS may be missing: its tests skip.
"""
import json
import os
import pathlib
import resource
import shutil
import socket
import subprocess
import sys
import threading
import time
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "cli"))
import end_to_end_test as e2e
from end_to_end_test import MIB, running, wait_until
from stamped_load import FLUSH, READ_CMD, WRITE_CMD, Connection, RequestError

POWERCUT_FS = None  # set by main
BLOCK = 4096
FAKETIME = "/usr/lib/x86_64-linux-gnu/faketime/libfaketimeMT.so.1"


class FaultTest(e2e.CofferTest):
    def connect(self, machine=None, name="photos"):
        connection = Connection((machine or self.machine).runtime / "coffer" / "nbd.sock", name)
        self.addCleanup(connection.close)
        return connection

    def write(self, connection, block, byte, flush=True):
        connection.ask(WRITE_CMD, block * BLOCK, BLOCK, bytes([byte]) * BLOCK)
        if flush:
            connection.ask(FLUSH, 0, 0)

    def assert_block(self, connection, block, byte):
        self.assertEqual(connection.ask(READ_CMD, block * BLOCK, BLOCK), bytes([byte]) * BLOCK, f"block {block}")

    def volumes(self, machine):
        told = self.expect(0, "list", "--json", machine=machine, password=False).stdout
        return [volume["volume"] for volume in json.loads(told)["volumes"]]


class CopiedState(FaultTest):
    """faults.md rows 13 and 14."""

    def copy_of(self, machine, name):
        """A machine whose state directory is a copy of what `machine` has now."""
        other = self.new_machine(name)
        shutil.copytree(machine.root / "state", other.root / "state", symlinks=True,
                        ignore=shutil.ignore_patterns("log"))
        return other

    def close_says(self, machine, codes):
        done = machine.run("close", "--force", "photos", password=False)
        self.assertIn(done.returncode, codes, done.stderr)
        return done

    def recovered(self, machine):
        return [name for name in self.volumes(machine) if name.startswith("recovered-")]

    def test_two_that_run_on_copies_of_one_state_get_one_history_and_lose_nothing(self):
        self.init()
        self.open()
        self.write(self.connect(), 0, 1)
        self.expect(0, "sync", "photos", password=False)
        self.machine.kill_daemon()
        other = self.copy_of(self.machine, "copy")

        self.open()
        self.open(machine=other)  # nothing tells it yet
        ours, theirs = self.connect(), self.connect(other)
        self.write(ours, 2, 3)
        self.write(theirs, 3, 4)
        self.expect(0, "sync", "photos", password=False)
        self.assert_is_fenced_and_kept(other, {0: 1, 2: 0, 3: 4})
        self.assert_block(ours, 3, 0)

    def test_a_copy_with_a_tail_is_told_at_its_open_and_may_take_over(self):
        self.init()
        self.open()
        first = self.connect()
        self.write(first, 0, 1)
        self.expect(0, "sync", "photos", password=False)
        self.write(first, 1, 2)  # in the journal only: both have it
        self.machine.kill_daemon()
        other = self.copy_of(self.machine, "copy")
        self.open()
        self.expect(0, "sync", "photos", password=False)
        told = self.expect(10, "open", "photos", machine=other)
        self.assertIn("FENCED", told.stderr)
        self.assertEqual(len(self.recovered(other)), 1)
        refused = self.expect(6, "open", "photos", machine=other)
        self.assertIn("--take-over", refused.stderr)
        self.open("photos", other, "--take-over")
        theirs = self.connect(other)
        self.assert_block(theirs, 1, 2)
        self.write(theirs, 3, 4)
        self.expect(0, "sync", "photos", machine=other, password=False)
        self.write(self.connect(), 2, 3)
        self.assert_is_fenced_and_kept(self.machine, {0: 1, 1: 2, 2: 3, 3: 0})
        self.assert_block(theirs, 2, 0)

    def assert_is_fenced_and_kept(self, machine, blocks):
        """`machine` learns that another one goes on; what it wrote becomes a volume that holds `blocks`."""
        fenced = self.expect(10, "sync", "photos", machine=machine, password=False)
        self.assertIn("FENCED", fenced.stderr)
        self.assertIn("FENCED", machine.run("status", "photos", password=False).stdout)
        told = self.expect(10, "close", "--force", "photos", machine=machine, password=False)
        self.assertIn("FENCED", told.stderr)
        forks = [name for name in self.recovered(machine) if name in told.stderr]
        self.assertEqual(len(forks), 1, told.stderr)
        self.open(forks[0], machine)
        kept = self.connect(machine, forks[0])
        for block, byte in blocks.items():
            self.assert_block(kept, block, byte)

    def test_a_state_from_before_the_newest_commit_goes_on_without_losing_either_side(self):
        self.init()
        self.open()
        first = self.connect()
        self.write(first, 0, 1)
        self.expect(0, "sync", "photos", password=False)
        self.write(first, 1, 2)
        self.machine.kill_daemon()
        old = self.copy_of(self.machine, "snapshot")  # as a virtual machine's snapshot keeps it
        self.open()
        first = self.connect()
        self.write(first, 2, 3)
        self.expect(0, "close", "--force", "photos", password=False)
        self.expect(0, "daemon", "stop", password=False)

        done = old.run("open", "photos")
        forks = []
        if done.returncode == 10:
            forks = self.recovered(old)
            done = old.run("open", "photos")
        self.assertEqual(done.returncode, 0, done.stderr)
        theirs = self.connect(old)
        for block, byte in ((0, 1), (1, 2), (2, 3)):
            self.assert_block(theirs, block, byte)
        for name in forks:
            self.open(name, old)
            self.assert_block(self.connect(old, name), 1, 2)
        self.write(theirs, 4, 5)
        self.expect(0, "close", "--force", "--all", machine=old, password=False)


@unittest.skipUnless(os.path.exists(FAKETIME), "libfaketime is not there")
class Clocks(FaultTest):
    """faults.md row 11. Monotonic clocks run on: only the wall's is wrong."""

    TIMES = ("1970-01-01 00:00:01", "2036-11-21 12:00:00", "1970-06-01 00:00:00", "2099-01-01 00:00:00", None)

    def setUp(self):
        super().setUp()
        self.clock = self.root / "clock"
        self.set_clock(None)
        self.preload(self.machine)

    def preload(self, machine):
        machine.environment.update(LD_PRELOAD=FAKETIME, FAKETIME_TIMESTAMP_FILE=str(self.clock),
                                   FAKETIME_DONT_FAKE_MONOTONIC="1", FAKETIME_NO_CACHE="1")

    def set_clock(self, when):
        self.clock.write_text("+0" if when is None else "@" + when)

    def written_year(self):
        """The clock that the daemon has, by its log."""
        return (self.machine.state / "log" / "cofferd.log").read_text().rstrip().rpartition("\n")[2][:4]

    def test_a_clock_that_is_wrong_at_start_and_changes_between_runs_harms_nothing(self):
        self.set_clock("1970-01-01 00:00:01")
        self.init()
        written = {}
        for number, when in enumerate(self.TIMES):
            self.set_clock(when)
            self.open()
            if when is not None:
                self.assertEqual(self.written_year(), when[:4])
            connection = self.connect()
            for block, byte in written.items():
                self.assert_block(connection, block, byte)
            for block, sync in ((2 * number, True), (2 * number + 1, False)):
                self.write(connection, block, number + 1)
                written[block] = number + 1
                if sync:
                    self.expect(0, "sync", "photos", password=False)
            if number % 2:
                self.expect(0, "close", "--force", "photos", password=False)
                self.expect(0, "daemon", "stop", password=False)
            else:
                self.machine.kill_daemon()  # a journal of one time, replayed in another
        self.set_clock(self.TIMES[0])
        other = self.new_machine("other")
        self.preload(other)
        if len(self.TIMES) % 2:
            self.open()
            self.expect(0, "close", "--force", "photos", password=False)
        self.expect(0, "add", self.store, machine=other)
        self.open(machine=other)
        connection = self.connect(other)
        for block, byte in written.items():
            self.assert_block(connection, block, byte)

    def test_a_clock_that_jumps_while_it_runs_stops_no_sync_and_no_writer(self):
        self.init()
        self.open("photos", None, "--sync-age=1s")
        connection = self.connect()
        for number, when in enumerate(self.TIMES):
            self.set_clock(when)
            self.write(connection, number, number + 1)
            wait_until(lambda: self.status()["waiting_bytes"] == 0, f"a sync by age at {when}", 20)
        for number in range(len(self.TIMES)):
            self.assert_block(connection, number, number + 1)

    def test_how_old_another_machines_head_is_makes_sense_in_words(self):
        self.set_clock("2036-11-21 12:00:00")
        self.init()
        self.open()
        self.write(self.connect(), 0, 1)
        self.expect(0, "sync", "photos", password=False)
        other = self.new_machine("other")
        self.preload(other)
        self.set_clock("1970-01-01 00:00:01")
        self.expect(0, "add", self.store, machine=other)
        refused = self.expect(6, "open", "photos", machine=other)
        self.assertNotRegex(refused.stderr, r"-\d|\d{8,}")


class Disk(FaultTest):
    """The state directory on a disk that fails: powercut_fs with faults."""

    def setUp(self):
        super().setUp()
        if POWERCUT_FS is None or not os.access("/dev/fuse", os.W_OK):
            self.skipTest("no powercut_fs or no /dev/fuse here")
        self.disk = self.root / "disk"
        self.disk.mkdir()
        self.fuse = subprocess.Popen([POWERCUT_FS, str(self.disk), "1"], stdin=subprocess.PIPE,
                                     stdout=subprocess.PIPE, text=True)
        self.addCleanup(self.unmount)
        if self.fuse.stdout.readline() != "mounted\n":
            self.skipTest("no FUSE mounts here")
        self.machine.environment["XDG_STATE_HOME"] = str(self.disk)
        self.machine.state = self.disk / "coffer"
        self.init()
        self.open("photos", None, "--sync-age=1h")
        self.connection = self.connect()
        self.write(self.connection, 0, 1)

    def unmount(self):
        pid_file = self.machine.runtime / "coffer" / "cofferd.pid"
        if pid_file.exists():
            self.machine.kill_daemon()
        self.fuse.stdin.close()
        self.fuse.stdout.close()
        self.fuse.wait(20)

    def tell(self, line):
        self.fuse.stdin.write(line + "\n")
        self.fuse.stdin.flush()
        self.assertEqual(self.fuse.stdout.readline(), "ok\n", line)

    def power_cut(self):
        self.tell("cut")
        self.machine.kill_daemon()
        self.tell("on drop-all")
        self.open()
        self.connection = self.connect()

    def test_a_flush_covers_what_was_answered_on_other_connections(self):
        # Row 64, CAN_MULTI_CONN: a power cut after the flush takes none of it.
        others = [self.connect() for _ in range(3)]
        for number, other in enumerate(others):
            self.write(other, 1 + number, 2 + number, flush=False)
        self.connection.ask(FLUSH, 0, 0)
        self.power_cut()
        for number in range(len(others)):
            self.assert_block(self.connection, 1 + number, 2 + number)

    def test_a_sync_that_fails_once_is_answered_by_writing_again_and_holds(self):
        # Row 18: what the failed sync has forgotten must be in another file before FLUSH says yes.
        self.write(self.connection, 1, 2, flush=False)
        self.tell("fail sync .seg once 5")
        self.connection.ask(FLUSH, 0, 0)
        self.power_cut()
        self.assert_block(self.connection, 0, 1)
        self.assert_block(self.connection, 1, 2)

    def test_a_disk_that_syncs_nothing_any_more_makes_flush_fail_for_good(self):
        # L9: no later FLUSH claims success; what was durable before stays, reads go on, status says why.
        self.write(self.connection, 1, 2, flush=False)
        self.tell("fail sync .seg sticky 5")
        for _ in range(2):
            with self.assertRaises(RequestError):
                self.connection.ask(FLUSH, 0, 0)
        self.tell("heal")
        with self.assertRaises(RequestError):
            self.connection.ask(FLUSH, 0, 0)
        self.assert_block(self.connection, 0, 1)
        self.assert_block(self.connection, 1, 2)
        self.assertIn("the journal in", self.expect(10, "status", "photos", password=False).stdout)
        self.power_cut()
        self.assert_block(self.connection, 0, 1)
        self.write(self.connection, 1, 3)

    def test_a_disk_remounted_read_only_refuses_writes_soon_and_serves_reads(self):
        # Row 22.
        self.tell("read-only")
        started = time.monotonic()
        with self.assertRaises(RequestError):
            self.write(self.connection, 1, 2)
        self.assertLess(time.monotonic() - started, 5)
        self.assert_block(self.connection, 0, 1)
        self.power_cut()  # and mounted anew
        self.assert_block(self.connection, 0, 1)
        self.write(self.connection, 1, 2)

    def test_no_space_at_a_sync_loses_nothing_that_was_acknowledged_as_durable(self):
        # Row 17: delayed allocation says at the sync that there was no room.
        self.write(self.connection, 1, 2, flush=False)
        self.tell("fail sync .seg once 28")
        self.connection.ask(FLUSH, 0, 0)
        self.power_cut()
        self.assert_block(self.connection, 1, 2)

    def test_a_very_slow_disk_makes_flush_wait_and_nobody_else(self):
        # Row 27: a sync that takes half a minute; reads and the control API go on, nothing is done twice.
        self.write(self.connection, 1, 2, flush=False)
        self.tell("slow sync 30")
        flushed = []
        waiting = threading.Thread(target=lambda: flushed.append(self.connection.ask(FLUSH, 0, 0)))
        waiting.start()
        other = self.connect()
        for _ in range(20):
            asked = time.monotonic()
            self.assert_block(other, 1, 2)
            self.status()
            self.assertLess(time.monotonic() - asked, 15)
        self.assertFalse(flushed)
        self.tell("slow sync 0")
        waiting.join(60)
        self.assertEqual(flushed, [b""])
        self.power_cut()
        self.assert_block(self.connection, 1, 2)


class Limits(FaultTest):
    def daemon_with(self, limit, value):
        """A daemon in the foreground under a limit."""
        daemon = subprocess.Popen([str(self.machine.programs / "cofferd")], env=self.machine.environment,
                                  stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
                                  preexec_fn=lambda: resource.setrlimit(limit, (value, value)))
        self.addCleanup(daemon.stderr.close)
        self.addCleanup(daemon.wait, 30)
        wait_until(lambda: daemon.poll() is not None or self.machine.run("daemon", "status",
                                                                         password=False).returncode == 0, "the start")
        self.assertIsNone(daemon.poll())
        return daemon

    def connect_until_nobody_is_let_in(self):
        """Clients past their negotiation, so that no deadline of it makes room, and one that waits to be let in."""
        crowd = []
        while len(crowd) < 60:
            waiting = socket.socket(socket.AF_UNIX)
            self.addCleanup(waiting.close)
            waiting.connect(str(self.machine.runtime / "coffer" / "nbd.sock"))
            waiting.settimeout(3)
            try:
                crowd.append(Connection.on(waiting, "photos"))
            except TimeoutError:
                return crowd, waiting
        self.fail("60 clients with 48 descriptors")

    def test_without_free_descriptors_requests_fail_and_the_daemon_lives(self):
        # Row 26.
        self.daemon_with(resource.RLIMIT_NOFILE, 48)
        self.init()
        self.open()
        first = self.connect()
        self.write(first, 0, 1)
        crowd, waiting = self.connect_until_nobody_is_let_in()
        self.assertGreater(len(crowd), 4)
        self.write(first, 1, 2)
        self.write(crowd[-1], 2, 3)
        for connection in crowd:
            connection.close()
        let_in = Connection.on(waiting, "photos")  # it had only to wait
        self.assert_block(let_in, 2, 3)
        wait_until(lambda: self.machine.run("status", "photos", password=False).returncode == 0, "room again")
        self.expect(0, "sync", "photos", password=False)
        for block in range(3):
            self.assert_block(let_in, block, block + 1)

    def test_out_of_memory_is_like_a_kill(self):
        # Row 15: where an allocation fails the process may die, but acknowledges nothing by halves.
        self.init(size="512M")
        self.open()
        connection = self.connect()
        self.expect(0, "daemon", "status", password=False)
        limit = int(next(line for line in pathlib.Path(f"/proc/{self.machine.pid()}/status").read_text().splitlines()
                         if line.startswith("VmSize")).split()[1]) * 1024 + 24 * MIB
        resource.prlimit(self.machine.pid(), resource.RLIMIT_AS, (limit, limit))
        acknowledged = 0
        try:
            for block in range(0, 256 * 256, 256):  # MiB by MiB, all of it dirty
                connection.ask(WRITE_CMD, block * BLOCK, MIB, bytes([1 + block // 256 % 255]) * MIB)
                acknowledged = block // 256 + 1
        except (OSError, RequestError):
            pass
        self.assertGreater(acknowledged, 0)
        if running(self.machine.pid()):
            self.machine.kill_daemon()
        self.open()
        connection = self.connect()
        for mib in range(acknowledged):
            self.assertEqual(connection.ask(READ_CMD, mib * MIB, MIB), bytes([1 + mib % 255]) * MIB, mib)


def main():
    global POWERCUT_FS
    e2e.CHEAP = os.path.abspath(sys.argv.pop(1))
    powercut_fs = os.path.abspath(sys.argv.pop(1))
    POWERCUT_FS = powercut_fs if os.access(powercut_fs, os.X_OK) else None
    unittest.main(warnings="ignore")


if __name__ == "__main__":
    main()

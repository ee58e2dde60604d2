#!/usr/bin/env python3
"""coffer and cofferd as their users meet them: processes, exit codes, terminals, signals.

  end_to_end_test.py CHEAP_DIR PLANTED_DIR [unittest arguments]

CHEAP_DIR holds a coffer and a cofferd whose key derivation is cheap, PLANTED_DIR a pair whose
self-test has a wrong answer planted. Needs nbdcopy (libnbd-bin) for the data itself.
"""
import concurrent.futures
import fcntl
import http.client
import json
import os
import pathlib
import pty
import select
import shutil
import signal
import socket
import stat
import struct
import subprocess
import sys
import tempfile
import termios
import time
import unittest

CHEAP = PLANTED = None  # set by main
PASSWORD = "correct horse"
MIB = 1 << 20


def running(pid):
    """A zombie counts as gone, since orphans may be reaped late; but while a thread of it is left,
    its sockets still take connections."""
    try:
        text = pathlib.Path(f"/proc/{pid}/stat").read_text()
        threads = len(os.listdir(f"/proc/{pid}/task"))
    except (FileNotFoundError, ProcessLookupError):
        return False
    return threads > 1 or text.rpartition(")")[2].split()[0] != "Z"


def wait_until(condition, what, seconds=60):
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            raise AssertionError(f"not within {seconds} s: {what}")
        time.sleep(0.01)


def tree_of(directory):
    """Every file with its bytes; locks, logs and the pid file aside."""
    found = {}
    for path in sorted(pathlib.Path(directory).rglob("*")):
        relative = path.relative_to(directory)
        if path.name in ("lock", "start.lock", "cofferd.pid", "control-socket") or "log" in relative.parts:
            continue
        found[str(relative)] = path.read_bytes() if path.is_file() else None
    return found


def crc32c(data):
    crc = 0xFFFFFFFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (0x82F63B78 if crc & 1 else 0)
    return crc ^ 0xFFFFFFFF


class Nbd:
    """A client that may say anything, over a Unix socket (NBD's doc/proto.md)."""

    GO, READ, WRITE, DISC, FLUSH, TRIM, ZERO = 7, 0, 1, 2, 3, 4, 6
    EPERM, EINVAL, ENOSPC = 1, 22, 28

    def __init__(self, path):
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.settimeout(60)
        self.socket.connect(str(path))
        assert self.receive(18)[:16] == b"NBDMAGICIHAVEOPT"

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.close()

    def receive(self, length):
        data = b""
        while len(data) < length:
            more = self.socket.recv(length - len(data))
            if not more:
                raise EOFError
            data += more
        return data

    def at_end(self):
        """The server has hung up."""
        try:
            return self.socket.recv(1) == b""
        except ConnectionResetError:
            return True

    def go(self, name):
        """Enters the transmission phase; returns the size."""
        data = struct.pack(">I", len(name)) + name.encode() + b"\0\0"
        self.socket.sendall(struct.pack(">I", 3) + b"IHAVEOPT" +
                            struct.pack(">II", self.GO, len(data)) + data)
        size = None
        while True:
            _, _, kind, length = struct.unpack(">QIII", self.receive(20))
            data = self.receive(length)
            if kind == 1:
                return size
            assert kind == 3, kind
            if data[:2] == b"\0\0":
                size = struct.unpack(">Q", data[2:10])[0]

    def request(self, command, offset, length, payload=b"", flags=0, magic=0x25609513):
        self.socket.sendall(struct.pack(">IHHQQI", magic, flags, command, 7, offset, length) +
                            payload)

    def ask(self, *request, **more):
        """The error of the reply."""
        self.request(*request, **more)
        magic, error, cookie = struct.unpack(">IIQ", self.receive(16))
        assert (magic, cookie) == (0x67446698, 7)
        return error

    def read(self, offset, length):
        assert self.ask(self.READ, offset, length) == 0
        return self.receive(length)


class Machine:
    """A home of its own."""

    def __init__(self, root, programs=None):
        self.root = pathlib.Path(root)
        self.programs = pathlib.Path(programs or CHEAP)
        self.runtime = self.root / "run"
        self.runtime.mkdir(parents=True, mode=0o700)
        self.state = self.root / "state" / "coffer"
        self.environment = {
            "PATH": os.environ["PATH"],
            "HOME": str(self.root),
            "XDG_CONFIG_HOME": str(self.root / "config"),
            "XDG_STATE_HOME": str(self.root / "state"),
            "XDG_CACHE_HOME": str(self.root / "cache"),
            "XDG_RUNTIME_DIR": str(self.runtime),
        }
        for name in ("ASAN_OPTIONS", "TSAN_OPTIONS", "UBSAN_OPTIONS", "LSAN_OPTIONS"):
            if name in os.environ:
                self.environment[name] = os.environ[name]
        self.password_file = self.write_password("password", PASSWORD)

    def write_password(self, name, text, mode=0o600):
        path = self.root / name
        path.write_text(text)
        path.chmod(mode)
        return path

    def command(self, *words):
        return [str(self.programs / "coffer"), *map(str, words)]

    def run(self, *words, password=True, **options):
        extra = ["--password-file", self.password_file] if password else []
        return subprocess.run(self.command(*words, *extra), env=self.environment, text=True,
                              stdin=subprocess.DEVNULL, capture_output=True, timeout=600,
                              start_new_session=True, **options)

    def pid(self):
        return int((self.runtime / "coffer" / "cofferd.pid").read_text())

    def kill_daemon(self, how=signal.SIGKILL):
        pid = self.pid()
        os.kill(pid, how)
        wait_until(lambda: not running(pid), "the daemon's end")

    def ask(self, method, path, body=None):
        """One request of the control API: status, decoded answer."""
        connection = http.client.HTTPConnection("coffer")
        connection.sock = socket.socket(socket.AF_UNIX)
        try:
            connection.sock.connect(str(self.runtime / "coffer" / "control.sock"))
        except OSError:
            connection.close()
            raise
        try:
            connection.request(method, path, body)
        except BrokenPipeError:
            pass  # refused before it was read; the answer is there
        answer = connection.getresponse()
        text = answer.read()
        connection.close()
        return answer.status, json.loads(text)


class CofferTest(unittest.TestCase):
    """A machine, a store, and words for what tests do with them."""

    def setUp(self):
        self.root = pathlib.Path(tempfile.mkdtemp(prefix="coffer-e2e-"))
        self.addCleanup(shutil.rmtree, self.root)  # after tearDown and what a test unmounts
        self.machines = []
        self.machine = self.new_machine("first")
        self.store = self.root / "backups"

    def tearDown(self):
        for machine in self.machines:
            machine.run("daemon", "stop", "--force", password=False)

    def new_machine(self, name, programs=None):
        machine = Machine(self.root / name, programs)
        self.machines.append(machine)
        return machine

    def expect(self, code, *words, machine=None, **options):
        done = (machine or self.machine).run(*words, **options)
        self.assertEqual(done.returncode, code, f"{words}: {done.stdout}{done.stderr}")
        if code not in (0, 12):
            said = done.stdout if code == 10 and words[0] == "status" else done.stderr
            self.assertNotEqual(said.strip(), "", f"{words} failed in silence")
        return done

    def init(self, name="photos", size="16M"):
        return self.expect(0, "init", name, self.store, size)

    def open(self, name="photos", machine=None, *options):
        return self.expect(0, "open", name, *options, machine=machine).stdout.strip()

    def data(self, name="data", size=3 * MIB + 4096):
        path = self.root / name
        path.write_bytes(os.urandom(size))
        return path

    def copy_in(self, path, uri):
        subprocess.run(["nbdcopy", "--flush", str(path), uri], check=True, timeout=600)

    def read_back(self, uri, length):
        path = self.root / "back"
        subprocess.run(["nbdcopy", uri, str(path)], check=True, timeout=600)
        with path.open("rb") as file:
            return file.read(length)

    def status(self, code=0):
        """What needs a person (code 10) is in the answer, not beside it."""
        done = self.machine.run("status", "photos", "--json", password=False)
        self.assertEqual(done.returncode, code, f"{done.stdout}{done.stderr}")
        return json.loads(done.stdout)

    def at_terminal(self, *words):
        """Starts coffer with a terminal of its own; returns the process and our end of it."""
        ours, theirs = pty.openpty()

        def take_terminal():
            os.setsid()
            fcntl.ioctl(theirs, termios.TIOCSCTTY, 0)

        # Of a kind that can clear a line, which is what progress wants.
        process = subprocess.Popen(self.machine.command(*words),
                                   env=dict(self.machine.environment, TERM="xterm"), stdin=theirs,
                                   stdout=subprocess.PIPE, stderr=theirs, preexec_fn=take_terminal)
        os.close(theirs)
        self.addCleanup(process.stdout.close)
        self.addCleanup(os.close, ours)
        self.unread = ""
        return process, ours

    def read_until(self, terminal, text):
        """What the terminal shows up to and with `text`; the rest is kept for the next call."""
        end = time.monotonic() + 60
        while text not in self.unread:
            self.assertTrue(select.select([terminal], [], [], max(0, end - time.monotonic()))[0],
                            f"waited for {text!r}, saw {self.unread!r}")
            self.unread += os.read(terminal, 4096).decode()
        seen, found, self.unread = self.unread.partition(text)
        return seen + found


class EndToEnd(CofferTest):
    # --- The main job ---

    def test_what_one_machine_wrote_another_reads_from_store_and_password_alone(self):
        self.init()
        uri = self.open()
        self.assertEqual(uri, f"nbd+unix:///photos?socket={self.machine.runtime}/coffer/nbd.sock")
        data = self.data()
        self.copy_in(data, uri)
        self.expect(0, "sync", "photos", password=False)
        self.expect(0, "close", "photos", password=False)
        self.expect(0, "daemon", "stop", password=False)
        shutil.rmtree(self.machine.root)
        self.machines.clear()
        second = self.new_machine("second")
        added = self.expect(0, "add", self.store, machine=second)
        self.assertIn("photos", added.stdout)
        self.assertIn("16 MiB", added.stdout)
        uri = self.open("photos", second)
        self.assertEqual(self.read_back(uri, data.stat().st_size), data.read_bytes())
        self.expect(0, "close", "--all", machine=second, password=False)

    def test_an_address_of_its_own_serves_the_empty_name_too(self):
        self.init()
        sock = self.machine.root / "own.sock"
        done = self.machine.run("open", "photos", "--nbd=unix:own.sock", cwd=self.machine.root)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual(stat.S_IMODE(sock.stat().st_mode), 0o600)
        subprocess.run(["nbdinfo", "--size", f"nbd+unix:///?socket={sock}"], check=True,
                       stdout=subprocess.DEVNULL, timeout=600)

    def test_json_is_one_object_with_the_documented_fields(self):
        made = json.loads(self.expect(0, "init", "photos", self.store, "16M", "--json").stdout)
        self.assertEqual((made["volume"], made["size_bytes"], made["vault_created"]),
                         ("photos", 16 * MIB, True))
        opened = json.loads(self.expect(0, "open", "photos", "--json").stdout)
        self.assertEqual((opened["volume"], opened["vault"], opened["already_open"]),
                         ("photos", "backups", False))
        self.assertTrue(opened["uri"].startswith("nbd+unix:///photos?socket="))
        status = json.loads(self.expect(0, "status", "photos", "--json").stdout)
        self.assertEqual((status["state"], status["durability"], status["keys_held"]),
                         ("open", "local", True))
        listed = json.loads(self.expect(0, "list", "--json").stdout)
        self.assertEqual([v["volume"] for v in listed["volumes"]], ["photos"])
        job = json.loads(self.expect(0, "sync", "photos", "--json").stdout)
        self.assertEqual((job["kind"], job["state"], job["unit"]), ("sync", "done", "bytes"))
        failed = self.expect(3, "status", "nothing", "--json")
        self.assertEqual(json.loads(failed.stderr)["code"], "not-found")
        failed = self.expect(2, "status", "--bogus", "--json")
        self.assertEqual(json.loads(failed.stderr)["code"], "invalid-argument")

    # --- Bad input ---

    def test_bad_names_and_sizes_are_usage_errors_and_make_nothing(self):
        for name in ("../x", "a/b", ".", "a\nb", "a\x1b[2Jb", "x" * 300, "", "\u202eoc", "photos@monday"):
            done = self.expect(2, "init", name, self.store, "16M")
            self.assertNotIn("\x1b", done.stderr)
            self.assertIn("volume name", done.stderr)
            self.assertIn("1 to 63 letters", done.stderr)
        for size in ("0", "1", "4097", "17T", "20GX", "20 GB", "1.5", "1.5K", "many", "",
                     "99999999999999999999G"):
            done = self.expect(2, "init", "photos", self.store, size)
            self.assertIn("multiple of 4096 bytes, at most 16T", done.stderr)
        self.expect(2, "init", "--", "-rf", self.store, "16M")
        self.expect(11, "init", "photos", "gopher://x/y", "16M")
        self.assertFalse(self.store.exists())
        self.assertFalse((self.machine.state / "vaults").exists())
        self.assertIn("20 GiB", self.expect(0, "init", "photos", self.store, "20GB").stdout)
        self.assertIn("1.5 GiB", self.expect(0, "init", "mail", self.store, "1.5g").stdout)

    def test_init_overwrites_nothing(self):
        self.init()
        before = tree_of(self.store)
        done = self.expect(4, "init", "photos", self.store, "16M")
        self.assertIn("vault backups has a volume photos already", done.stderr)
        self.assertIn("another name", done.stderr)
        # Where the vault is not known yet, it has no name but its store's.
        done = self.expect(4, "init", "photos", self.store, "16M", machine=self.new_machine("other"))
        self.assertIn(f"{self.store} has a volume photos already", done.stderr)
        self.assertEqual(tree_of(self.store), before)
        foreign = self.root / "foreign"
        foreign.mkdir()
        (foreign / "letter").write_text("mine")
        self.expect(4, "init", "photos", foreign, "16M")
        self.assertEqual(tree_of(foreign), {"letter": b"mine"})
        self.expect(3, "init", "photos", self.root / "missing" / "below", "16M")
        self.assertFalse((self.root / "missing").exists())
        self.expect(3, "add", foreign)
        self.expect(3, "add", self.root / "missing")

    def key_header(self):
        return next((self.store / "keys").iterdir())

    def refused_with(self, path, changed, codes, *reasons):
        """With `changed` in place of the object `path`, every way in is refused with one of `codes`,
        names the store, says each of `reasons` and a next step, and changes nothing anywhere."""
        whole = path.read_bytes()
        path.chmod(0o600)
        path.write_bytes(changed)
        before = tree_of(self.store), tree_of(self.machine.state)
        for words in (("open", "photos"), ("add", self.store), ("init", "mail", self.store, "16M")):
            done = self.machine.run(*words)
            self.assertIn(done.returncode, codes, f"{words}: {done.stderr}")
            lines = done.stderr.splitlines()
            self.assertEqual(len(lines), 2, done.stderr)  # what is wrong, and what to do
            for reason in (str(self.store), *reasons):
                self.assertIn(reason, lines[0])
        self.assertEqual((tree_of(self.store), tree_of(self.machine.state)), before)
        path.write_bytes(whole)

    def test_a_vault_with_a_flipped_bit_is_refused_and_not_written_to(self):
        self.init()
        header = self.key_header()
        for path in (self.store / "vault", header):
            whole = path.read_bytes()
            # Magic, version, suite, id, slots, keyring, MAC; a version may look newer, a cost high.
            for at in (0, 8, 10, 12, 30, *range(44, len(whole), 97), len(whole) - 1):
                if at >= len(whole):
                    continue
                flipped = whole[:at] + bytes([whole[at] ^ 4]) + whole[at + 1:]
                self.refused_with(path, flipped, (5, 9, 11))
            self.refused_with(path, whole[:-1], (9,))
        self.open()

    def test_a_key_header_with_an_impossible_hashing_cost_is_refused(self):
        self.init()
        header = self.key_header()
        whole = header.read_bytes()
        # The first slot's cost: memory in KiB, iterations, parallelism (docs/FORMAT.md).
        self.assertEqual(struct.unpack_from("<III", whole, 44), (64, 1, 1))
        started = time.monotonic()
        for field, value, reason in ((0, 0, "64 to 256"), (0, 63, "64 to 256"), (0, 257, "64 to 256"),
                                     (0, 2**32 - 1, "64 to 256"), (1, 0, "1 to 2"),
                                     (1, 3, "1 to 2"), (1, 2**32 - 1, "1 to 2"),
                                     (2, 0, "1 to 1"), (2, 2, "1 to 1")):
            costs = [64, 1, 1]
            costs[field] = value
            changed = whole[:44] + struct.pack("<III", *costs) + whole[56:]
            self.refused_with(header, changed, (11,), "slot 0", f"is {value}, accepted are {reason}")
        self.assertLess(time.monotonic() - started, 60)  # nothing was hashed
        self.open()

    def test_a_newer_format_is_refused(self):
        self.init()
        marker = self.store / "vault"
        whole = marker.read_bytes()
        for at, newer in ((8, struct.pack("<H", 2)), (28, struct.pack("<Q", 1))):
            changed = whole[:at] + newer + whole[at + len(newer):36]
            changed += struct.pack("<I", crc32c(changed))
            self.refused_with(marker, changed, (11,), "NEWER-FORMAT")
        header = self.key_header()
        whole = header.read_bytes()
        self.refused_with(header, whole[:8] + b"\2\0" + whole[10:], (11,), "NEWER-FORMAT")
        self.open()

    def test_inits_at_once_all_succeed_or_say_that_one_is_under_way(self):
        names = [f"volume{number}" for number in range(4)]
        for number, machines in enumerate(([self.machine] * 4,
                                           [self.new_machine(name) for name in names])):
            store = self.root / f"store-{number}"
            with concurrent.futures.ThreadPoolExecutor(4) as pool:
                done = list(pool.map(
                    lambda pair: pair[0].run("init", pair[1], store, "16M"), zip(machines, names)))
            self.assertIn(0, [one.returncode for one in done])
            for machine, name, one in zip(machines, names, done):
                if one.returncode == 0:
                    continue
                self.assertNotEqual(machines[0], machines[1], one.stderr)  # one daemon: in turn
                self.assertIn(one.returncode, (6, 9), one.stderr)
                self.assertIn("under way", one.stderr)
                self.assertIn("run", one.stderr)
                self.assertNotIn("remove the directory", one.stderr)
                self.expect(0, "init", name, store, "16M", machine=machine)
            last = self.new_machine(f"last-{number}")
            added = self.expect(0, "add", store, "--json", machine=last)
            for name in names:
                self.assertIn(name, added.stdout)

    def test_half_a_vault_is_refused(self):
        self.init()
        whole = self.root / "whole"
        shutil.copytree(self.store, whole)
        for number, lost in enumerate(("vault", "keys", "catalog")):
            path = self.store / lost
            path.unlink() if path.is_file() else shutil.rmtree(path)
            before = tree_of(self.store)
            other = self.new_machine(f"other-{number}")
            for words in (("init", "photos", self.store, "16M"), ("add", self.store)):
                done = self.expect(9, *words, machine=other)
                self.assertIn("half a vault", done.stderr)
                self.assertIn("copy", done.stderr)
            self.assertEqual(tree_of(self.store), before)
            shutil.rmtree(self.store)
            shutil.copytree(whole, self.store)

    def test_directories_without_an_object_are_no_half_a_vault(self):
        self.init()
        for path in list(self.store.rglob("*")):
            if path.is_file():
                path.unlink()
        self.expect(0, "init", "photos", self.store, "16M", machine=self.new_machine("other"))

    def test_a_known_vault_that_lost_its_mount_is_not_made_anew(self):
        self.init()
        away = self.root / "unmounted"
        self.store.rename(away)
        for there in (False, True):  # no mount point, an empty one
            if there:
                self.store.mkdir()
            self.assertIn("mount", self.expect(8, "open", "photos").stderr)
            for words in (("init", "photos", self.store, "16M"), ("init", "mail", self.store, "16M"),
                          ("init", "mail", self.store, "16M", "--as", "backups"),
                          ("add", self.store)):
                done = self.expect(8, *words)
                self.assertIn(f"vault backups belongs at {self.store}", done.stderr)
                self.assertIn("mount", done.stderr)
            self.assertEqual(there, self.store.exists())
        self.assertEqual(list(self.store.iterdir()), [])
        made = self.expect(0, "init", "photos", self.store, "16M", "--as", "another").stdout
        self.assertIn("coffer open another/photos", made)  # bare, the name is no longer unique
        shutil.rmtree(self.store)
        away.rename(self.store)
        self.open("backups/photos")

    def test_another_vault_in_place_of_a_known_one_is_neither_opened_nor_written_to(self):
        self.init()
        other = self.root / "other"
        self.expect(0, "init", "mail", other, "16M")
        self.store.rename(self.root / "unmounted")
        other.rename(self.store)
        before = tree_of(self.store)
        done = self.expect(8, "open", "photos")
        self.assertIn("vault backups", done.stderr)
        self.assertIn("mount", done.stderr)
        self.assertEqual(tree_of(self.store), before)

    def small_file_system(self, size):
        """A file system of `size` below self.root; only root can make one."""
        mounted = self.root / "small"
        mounted.mkdir(exist_ok=True)
        if subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size},mode=700", "coffer-test",
                           mounted], capture_output=True).returncode != 0:
            self.skipTest("may not mount a tmpfs")
        self.addCleanup(subprocess.run, ["umount", mounted], stderr=subprocess.DEVNULL)
        return mounted

    def remount(self, options):
        subprocess.run(["mount", "-o", f"remount,{options}", self.root / "small"], check=True)

    def test_a_full_store_loses_nothing_and_a_later_sync_goes_on(self):
        self.store = self.small_file_system("2M") / "backups"
        self.init()
        data = self.data()
        self.copy_in(data, self.open())
        done = self.expect(7, "sync", "photos", password=False)
        self.assertIn(str(self.store), done.stderr)
        self.assertIn("No space left", done.stderr)
        self.assertIn("make room", done.stderr)
        unfinished = [path for path in self.store.rglob(".coffer-tmp/*") if path.suffix != ".lock"]
        self.assertEqual(unfinished, [])
        self.expect(12, "close", "photos", password=False)
        self.remount("size=64M")
        uri = self.open()
        self.expect(0, "sync", "photos", password=False)
        self.assertEqual(self.read_back(uri, data.stat().st_size), data.read_bytes())
        self.expect(0, "close", "photos", password=False)

    def test_an_init_that_met_a_full_store_can_be_repeated(self):
        for pages in range(1, 10):
            with self.subTest(pages=pages):
                self.store = self.small_file_system(f"{4 * pages}k") / "backups"
                done = self.machine.run("init", "photos", self.store, "16M", "--as", f"v{pages}")
                if done.returncode != 0:
                    self.assertEqual(done.returncode, 7, done.stderr)
                    self.remount("size=1M")
                    self.expect(0, "init", "photos", self.store, "16M", "--as", f"v{pages}")
                subprocess.run(["umount", self.root / "small"], check=True)

    def test_a_store_that_cannot_be_written_to_says_so_and_is_read(self):
        small = self.small_file_system("64M")
        self.store = small / "backups"
        self.init()
        data = self.data()
        self.copy_in(data, self.open())
        self.expect(0, "close", "photos", password=False)
        self.remount("ro")
        for words in (("init", "mail", self.store, "16M"), ("init", "mail", small / "x", "16M")):
            done = self.expect(1, *words)
            self.assertIn(str(small), done.stderr)
            self.assertIn("Read-only file system", done.stderr)
            self.assertIn("mount it for writing", done.stderr)
        uri = self.open()
        self.assertEqual(self.read_back(uri, data.stat().st_size), data.read_bytes())
        newer = self.data("newer")
        self.copy_in(newer, uri)
        self.assertIn("Read-only", self.expect(1, "sync", "photos", password=False).stderr)
        self.remount("rw")
        self.expect(0, "sync", "photos", password=False)
        self.assertEqual(self.read_back(uri, newer.stat().st_size), newer.read_bytes())
        self.expect(0, "close", "photos", password=False)

    # --- Bad NBD requests ---

    def test_nbd_requests_that_make_no_sense_are_refused_and_change_nothing(self):
        self.init()
        self.open()
        size = 16 * MIB
        with Nbd(self.machine.runtime / "coffer" / "nbd.sock") as client:
            self.assertEqual(client.go("photos"), size)
            self.assertEqual(client.ask(Nbd.WRITE, size - 4096, 4096, b"x" * 4096), 0)
            refused = [
                (Nbd.EINVAL, "read across the end", (Nbd.READ, size - 4096, 4097)),
                (Nbd.EINVAL, "read far beyond it", (Nbd.READ, 2**64 - 1, 4096)),
                (Nbd.ENOSPC, "write across the end", (Nbd.WRITE, size - 1, 2, b"yy")),
                (Nbd.ENOSPC, "write whose end overflows", (Nbd.WRITE, 2**64 - 1, 2, b"yy")),
                (Nbd.EINVAL, "trim across the end", (Nbd.TRIM, size - 4096, 8192)),
                (Nbd.ENOSPC, "zeroing across the end", (Nbd.ZERO, size - 4096, 8192)),
                (Nbd.EINVAL, "read of more than 32 MiB", (Nbd.READ, 0, 32 * MIB + 1)),
                (Nbd.EINVAL, "write of more than 32 MiB",
                 (Nbd.WRITE, 0, 32 * MIB + 1, bytes(32 * MIB + 1))),
                (Nbd.EINVAL, "read of nothing", (Nbd.READ, 0, 0)),
                (Nbd.EINVAL, "write of nothing", (Nbd.WRITE, 0, 0)),
                (Nbd.EINVAL, "trim of nothing", (Nbd.TRIM, 0, 0)),
                (Nbd.EINVAL, "zeroing of nothing", (Nbd.ZERO, 0, 0)),
                (Nbd.EINVAL, "block status", (7, 0, 4096)),
                (Nbd.EINVAL, "unknown command", (999, 0, 4096)),
            ]
            for error, what, request in refused:
                self.assertEqual(client.ask(*request), error, what)
            # A FLUSH with a range has but one meaning: all.
            self.assertEqual(client.ask(Nbd.FLUSH, 0, 4096), 0)
            self.assertEqual(client.ask(Nbd.FLUSH, 2**64 - 1, 4096), 0)
            self.assertEqual(client.ask(Nbd.READ, 0, 4096, flags=0x8000), Nbd.EINVAL)
            self.assertEqual(client.read(size - 4096, 4096), b"x" * 4096)  # still in step
            self.assertEqual(client.read(0, 4096), bytes(4096))

    def test_nbd_words_of_the_wrong_phase_end_that_connection_only(self):
        self.init()
        self.open()
        path = self.machine.runtime / "coffer" / "nbd.sock"
        with Nbd(path) as steady:
            steady.go("photos")
            with Nbd(path) as early:  # a request instead of flags and options
                early.request(Nbd.WRITE, 0, 4096, b"z" * 4096)
                self.assertTrue(early.at_end())
            with Nbd(path) as late:  # an option instead of a request
                late.go("photos")
                late.socket.sendall(b"IHAVEOPT" + struct.pack(">II", Nbd.GO, 0) + bytes(12))
                self.assertTrue(late.at_end())
            with Nbd(path) as huge:  # an option of 4 GiB
                huge.socket.sendall(struct.pack(">I", 3) + b"IHAVEOPT" +
                                    struct.pack(">II", Nbd.GO, 2**32 - 1))
                self.assertTrue(huge.at_end())
            self.assertEqual(steady.read(0, 4096), bytes(4096))

    def test_a_read_only_export_refuses_writes(self):
        self.init()
        self.expect(0, "open", "photos", "--read-only")
        with Nbd(self.machine.runtime / "coffer" / "nbd.sock") as client:
            client.go("photos")
            for request in ((Nbd.WRITE, 0, 4096, bytes(4096)), (Nbd.TRIM, 0, 4096),
                            (Nbd.ZERO, 0, 4096)):
                self.assertEqual(client.ask(*request), Nbd.EPERM)
            self.assertEqual(client.read(0, 4096), bytes(4096))

    def test_a_wrong_password_changes_no_byte(self):
        self.init()
        wrong = self.machine.write_password("wrong", "not it")
        store, state = tree_of(self.store), tree_of(self.machine.state)
        for words in (("open", "photos"), ("open", "photos", "--take-over"),
                      ("init", "mail", self.store, "16M"), ("add", self.store)):
            done = self.expect(5, *words, "--password-file", wrong, password=False)
            self.assertIn(f"{self.store}: wrong password", done.stderr)
            self.assertIn("nothing was changed", done.stderr)
        self.assertEqual((tree_of(self.store), tree_of(self.machine.state)), (store, state))

    def test_password_files_that_are_not_private_are_refused_with_the_reason(self):
        self.init()
        machine = self.machine
        for path, reason in ((machine.write_password("loose", PASSWORD, 0o644), "others"),
                             (machine.root, "regular file"),
                             (machine.write_password("empty", "\n"), "empty"),
                             (machine.write_password("nul", "a\0b"), "NUL"),
                             (machine.write_password("long", "x" * (MIB + 1)), "1 MiB"),
                             (machine.root / "missing", "No such file")):
            done = self.expect(5, "open", "photos", "--password-file", path, password=False)
            self.assertIn(reason, done.stderr)
            self.assertIn(str(path), done.stderr)
        if os.geteuid() == 0:
            foreign = machine.write_password("foreign", PASSWORD)
            os.chown(foreign, 65534, -1)
            done = self.expect(5, "open", "photos", "--password-file", foreign, password=False)
            self.assertIn("belongs to user 65534", done.stderr)
        self.expect(5, "open", "photos", password=False)  # no terminal to ask

    def test_a_password_may_come_from_a_descriptor(self):
        read_end, write_end = os.pipe()
        os.write(write_end, PASSWORD.encode() + b"\n")
        os.close(write_end)
        self.expect(0, "init", "photos", self.store, "16M", "--password-fd", str(read_end),
                    password=False, pass_fds=[read_end])
        os.close(read_end)
        self.open()
        self.expect(5, "init", "mail", self.root / "other", "16M", "--password-fd", "77",
                    password=False)

    def test_opening_twice_is_the_same_or_a_conflict(self):
        self.init()
        uri = self.open()
        self.assertEqual(self.open(), uri)
        self.expect(6, "open", "photos", "--read-only")
        self.expect(6, "open", "photos", f"--nbd=unix:{self.machine.root}/x.sock")

    def test_what_another_machine_has_open_is_a_conflict(self):
        self.init()
        self.copy_in(self.data(), self.open())
        self.expect(0, "sync", "photos")
        second = self.new_machine("second")
        self.expect(0, "add", self.store, machine=second)
        done = self.expect(6, "open", "photos", machine=second)
        self.assertIn("--take-over", done.stderr)
        self.expect(0, "open", "photos", "--read-only", machine=second)

    def test_what_is_not_built_says_so(self):
        self.init()
        self.expect(11, "open", "photos", "--device")
        self.expect(11, "open", "photos@monday")

    # --- The daemon ---

    def test_a_second_daemon_on_the_same_state_or_runtime_is_refused(self):
        self.expect(0, "status")
        daemon = [str(self.machine.programs / "cofferd")]
        second = subprocess.run(daemon, env=self.machine.environment, capture_output=True, text=True,
                                timeout=600)
        self.assertEqual(second.returncode, 6, second.stderr)
        self.assertIn(str(self.machine.pid()), second.stderr)
        other_state = dict(self.machine.environment, XDG_STATE_HOME=str(self.root / "other"))
        second = subprocess.run(daemon, env=other_state, capture_output=True, text=True, timeout=600)
        self.assertEqual(second.returncode, 6, second.stderr)
        self.expect(0, "daemon", "status")

    def test_many_clients_at_once_start_one_daemon(self):
        clients = [subprocess.Popen(self.machine.command("status"), env=self.machine.environment,
                                    stdout=subprocess.DEVNULL) for _ in range(6)]
        self.assertEqual([client.wait(timeout=600) for client in clients], [0] * 6)
        log = (self.machine.state / "log" / "cofferd.log").read_text()
        self.assertEqual(log.count("is ready"), 1, log)

    def test_why_a_daemon_does_not_start_is_shown(self):
        (self.machine.root / "state").mkdir()
        self.machine.state.mkdir(mode=0o700)
        self.machine.state.chmod(0o777)
        done = self.expect(2, "status")
        self.assertIn(str(self.machine.state), done.stderr)
        self.assertIn("chmod 700", done.stderr)
        self.machine.state.chmod(0o700)
        self.machine.environment["XDG_RUNTIME_DIR"] = str(self.root / ("r" * 100))
        self.assertIn("107", self.expect(2, "status").stderr)

    def test_a_failed_self_test_keeps_the_daemon_from_starting(self):
        machine = self.new_machine("planted", PLANTED)
        alone = subprocess.run([str(PLANTED / "cofferd")], env=machine.environment, text=True,
                               capture_output=True, timeout=600)
        self.assertEqual(alone.returncode, 70, alone.stderr)
        self.assertIn("self-test", alone.stderr)
        done = machine.run("status")
        self.assertNotEqual(done.returncode, 0)
        self.assertIn("self-test", done.stderr)
        self.assertFalse(machine.state.exists())

    def test_the_daemon_outlives_its_client_and_holds_none_of_its_descriptors(self):
        read_end, write_end = os.pipe()
        done = self.machine.run("status", pass_fds=[write_end])
        self.assertEqual(done.returncode, 0, done.stderr)
        os.close(write_end)
        self.assertEqual(os.read(read_end, 1), b"")  # nobody else holds it open
        os.close(read_end)
        self.assertEqual(os.getsid(self.machine.pid()), os.getpgid(self.machine.pid()))
        self.assertTrue(running(self.machine.pid()))

    def test_term_ends_it_soon_and_what_was_written_is_there_again(self):
        self.init()
        uri = self.open()
        data = self.data()
        self.copy_in(data, uri)
        started = time.monotonic()
        self.machine.kill_daemon(signal.SIGTERM)
        self.assertLess(time.monotonic() - started, 10)
        self.assertEqual(list(p.name for p in (self.machine.runtime / "coffer").glob("*.sock")), [])
        uri = self.open()
        self.assertEqual(self.read_back(uri, data.stat().st_size), data.read_bytes())

    def test_after_a_kill_status_says_locked_and_a_new_open_has_everything(self):
        self.init()
        uri = self.open()
        data = self.data()
        self.copy_in(data, uri)
        self.machine.kill_daemon()
        status = json.loads(self.expect(0, "status", "photos", "--json", password=False).stdout)
        self.assertEqual((status["state"], status["waiting_exact"]), ("locked", False))
        self.assertGreaterEqual(status["waiting_bytes"], data.stat().st_size)
        uri = self.open()
        self.assertEqual(self.read_back(uri, data.stat().st_size), data.read_bytes())
        self.expect(0, "close", "photos")
        status = json.loads(self.expect(0, "status", "photos", "--json").stdout)
        self.assertEqual((status["state"], status["waiting_bytes"]), ("closed", 0))

    def test_usr1_syncs_every_volume(self):
        self.init()
        self.copy_in(self.data(), self.open())
        self.assertGreater(self.status()["waiting_bytes"], 0)
        os.kill(self.machine.pid(), signal.SIGUSR1)
        wait_until(lambda: self.status()["waiting_bytes"] == 0, "the sync after USR1")

    def test_restart_and_stop(self):
        self.expect(3, "daemon", "status")
        self.expect(0, "daemon", "stop")
        self.expect(0, "status")
        first = self.machine.pid()
        self.expect(0, "daemon", "restart")
        self.assertNotEqual(self.machine.pid(), first)
        self.assertFalse(running(first))
        second = self.machine.pid()
        self.expect(0, "daemon", "stop")
        self.assertFalse(running(second))

    def test_run_stays_in_the_foreground_and_logs_to_stderr(self):
        daemon = subprocess.Popen(self.machine.command("daemon", "run"), stderr=subprocess.PIPE,
                                  env=self.machine.environment, text=True)
        self.assertIn("is ready", daemon.stderr.readline())
        self.expect(0, "daemon", "status")
        daemon.send_signal(signal.SIGINT)
        daemon.communicate(timeout=600)
        self.assertEqual(daemon.returncode, 0)

    # --- A store that is gone ---

    def test_without_its_store_close_keeps_the_bytes_and_says_so(self):
        self.init()
        data = self.data()
        self.copy_in(data, self.open())
        away = self.root / "unmounted"
        self.store.rename(away)
        self.store.mkdir()
        self.expect(8, "sync", "photos", password=False)
        self.assertNotEqual(self.status()["last_error"], "")
        done = self.expect(12, "close", "photos", password=False)
        self.assertIn("not uploaded", done.stderr)
        self.assertEqual(list(self.store.iterdir()), [])
        status = self.status()
        self.assertEqual(status["state"], "locked")
        self.assertGreaterEqual(status["waiting_bytes"], data.stat().st_size)
        self.store.rmdir()
        away.rename(self.store)
        uri = self.open()
        self.assertEqual(self.read_back(uri, data.stat().st_size), data.read_bytes())
        self.expect(0, "close", "photos", password=False)

    def test_close_without_waiting_says_how_much_is_left(self):
        self.init()
        data = self.data()
        self.copy_in(data, self.open())
        done = self.expect(12, "close", "photos", "--no-wait", "--json")
        self.assertGreaterEqual(json.loads(done.stdout)["waiting_bytes"], data.stat().st_size)
        again = self.expect(12, "close", "photos", "--json")  # what is closed is done
        self.assertEqual(json.loads(again.stdout)["waiting_bytes"], json.loads(done.stdout)["waiting_bytes"])
        self.expect(0, "close", "--all")

    # --- Terminals and signals ---

    def test_a_new_password_is_asked_for_twice_without_echo(self):
        process, terminal = self.at_terminal("init", "photos", self.store, "16M")
        seen = self.read_until(terminal, "New password for the vault at ")
        seen += self.read_until(terminal, ": ")
        os.write(terminal, b"s3cret\n")
        seen += self.read_until(terminal, "Repeat the new password: ")
        os.write(terminal, b"different\n")
        seen += self.read_until(terminal, "do not match")
        for _ in range(2):
            seen += self.read_until(terminal, ": ")
            os.write(terminal, b"s3cret\n")
        self.assertEqual(process.wait(timeout=600), 0)
        self.assertNotIn("s3cret", seen)
        self.machine.password_file = self.machine.write_password("typed", "s3cret")
        self.open()

    def test_three_times_different_makes_nothing(self):
        process, terminal = self.at_terminal("init", "photos", self.store, "16M")
        for answer in (b"a\n", b"b\n") * 3:
            self.read_until(terminal, ": ")
            os.write(terminal, answer)
        self.assertEqual(process.wait(timeout=600), 5)
        self.assertFalse(self.store.exists())

    def test_ctrl_c_at_the_prompt_ends_coffer_with_echo_on_again(self):
        self.init()
        process, terminal = self.at_terminal("open", "photos")
        self.read_until(terminal, "Password for vault backups: ")
        self.assertFalse(termios.tcgetattr(terminal)[3] & termios.ECHO)
        os.write(terminal, b"\x03")
        self.assertEqual(process.wait(timeout=600), 130)
        self.assertTrue(termios.tcgetattr(terminal)[3] & termios.ECHO)

    def test_ctrl_c_ends_the_wait_and_never_the_work(self):
        self.init()
        self.copy_in(self.data(), self.open())
        away = self.root / "unmounted"
        self.store.rename(away)  # the sync now tries for some seconds
        jobs = lambda: [job["id"] for job in self.machine.ask("GET", "/v1/jobs")[1]["jobs"]]
        before = jobs()  # opening was one
        client = subprocess.Popen(self.machine.command("sync", "photos"), text=True,
                                  env=self.machine.environment, stderr=subprocess.PIPE)
        wait_until(lambda: len(jobs()) > len(before), "the job")
        client.send_signal(signal.SIGINT)
        _, said = client.communicate(timeout=600)
        self.assertEqual(client.returncode, 130, said)
        self.assertIn("goes on", said)
        (job,) = set(jobs()) - set(before)
        self.assertEqual(self.machine.ask("GET", f"/v1/jobs/{job}")[0], 200)
        away.rename(self.store)
        wait_until(lambda: self.status()["waiting_bytes"] == 0, "the upload, by itself", 120)

    # --- The control socket ---

    def test_the_api_answers_plain_http(self):
        self.init()
        self.assertEqual(self.machine.ask("GET", "/v1/version")[1]["pid"], self.machine.pid())
        code, answer = self.machine.ask("PUT", "/v1/volumes/backups%2Fphotos/open",
                                        json.dumps({"password": PASSWORD}))
        self.assertEqual((code, answer["volume"]), (200, "photos"))
        self.assertEqual(self.machine.ask("GET", "/v1/tomorrow")[1]["code"], "unknown-request")
        self.assertEqual(self.machine.ask("POST", "/v1/vaults/add", "x" * (MIB + 1))[0], 413)

    def test_socket_and_directories_are_private(self):
        self.init()
        for path in (self.machine.runtime / "coffer", self.machine.state,
                     self.machine.root / "cache" / "coffer", self.machine.state / "log"):
            self.assertEqual(stat.S_IMODE(path.stat().st_mode), 0o700, path)
        for path in (self.machine.runtime / "coffer").iterdir():
            self.assertEqual(stat.S_IMODE(path.stat().st_mode), 0o600, path)

    def test_the_password_is_nowhere_on_this_machine(self):
        self.init()
        self.copy_in(self.data(), self.open())
        self.expect(0, "--log-level=debug", "close", "photos")
        for path in self.machine.root.rglob("*"):
            if path.is_file() and path != self.machine.password_file:
                self.assertNotIn(PASSWORD.encode(), path.read_bytes(), path)
        words = pathlib.Path(f"/proc/{self.machine.pid()}/cmdline").read_bytes()
        self.assertNotIn(PASSWORD.encode(), words)


def main(module="__main__"):
    global CHEAP, PLANTED
    CHEAP, PLANTED = (pathlib.Path(p).resolve() for p in sys.argv[1:3])
    unittest.main(module=module, argv=[sys.argv[0], *sys.argv[3:]], verbosity=2)


if __name__ == "__main__":
    main()

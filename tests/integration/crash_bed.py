"""cofferd as a child that may be killed at any moment: start, end, passwords that a crash leaves in doubt.

Uses the Machine of tests/cli and daemons whose key derivation is cheap (build target cofferd_cheap).
"""
import ctypes
import os
import pathlib
import re
import select
import shutil
import signal
import subprocess
import sys
import time

REPO = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(REPO / "tests" / "cli"))
from end_to_end_test import Machine, running, wait_until  # noqa: E402

PASSWORDS = ("correct horse", "battery staple")


class Lost(Exception):
    """What must never be: the run fails."""


def failpoints():
    """Every label in the product's sources."""
    found = set()
    for folder in ("core", "nbd", "cli"):
        for path in (REPO / folder).rglob("*.cc"):
            found.update(re.findall(r'COFFER_FAILPOINT\("([a-z-]+)"\)', path.read_text()))
    return sorted(found)


def die_with_parent():
    """For Popen's preexec_fn: what a run has started ends with it, however it ends."""
    ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG


class Noise:
    """fio on another volume. One process, by --thread: a job of its own would outlive its parent."""

    def __init__(self, bed, volume, *options):
        self.process = subprocess.Popen(
            ["fio", "--name=noise", "--thread", "--ioengine=nbd", f"--uri=nbd+unix:///{volume}?socket={bed.socket}",
             "--rw=randwrite", "--bs=4k", "--time_based", "--runtime=300", *options], preexec_fn=die_with_parent,
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, cwd=bed.machine.root)

    def end(self):
        self.process.kill()
        self.process.wait(60)


class Bed:
    """A machine and its daemon."""

    def __init__(self, root, programs, state=None):
        # A coffer without a cofferd beside it: no command of ours starts another daemon.
        client = pathlib.Path(root) / "bin"
        client.mkdir(parents=True)
        shutil.copy(pathlib.Path(programs) / "coffer", client)
        self.machine = Machine(root, client)
        if state is not None:
            self.machine.environment["XDG_STATE_HOME"] = str(state)
            self.machine.state = pathlib.Path(state) / "coffer"
        if "COFFER_BUG" in os.environ:  # a planted one: does this instrument see it?
            self.machine.environment["COFFER_BUG"] = os.environ["COFFER_BUG"]
        self.programs = pathlib.Path(programs)
        self.daemon = None
        self.password = 0  # index in PASSWORDS: the one that holds
        self.in_doubt = False  # a change of the password was under way
        self.files = [self.machine.write_password(f"password{i}", text) for i, text in enumerate(PASSWORDS)]
        self.socket = self.machine.runtime / "coffer" / "nbd.sock"
        self.log = open(self.machine.root / "cofferd.log", "ab")

    def configure(self, text):
        directory = self.machine.root / "config" / "coffer"
        directory.mkdir(parents=True, mode=0o700, exist_ok=True)
        (directory / "config.toml").write_text(text)
        (directory / "config.toml").chmod(0o600)

    def start(self, failpoint=None):
        """True once it is ready; False if it died before."""
        assert self.daemon is None
        environment = dict(self.machine.environment)
        if failpoint is not None:
            environment["COFFER_FAILPOINT"] = failpoint
        ours, theirs = os.pipe()
        self.daemon = subprocess.Popen([str(self.programs / "cofferd"), f"--ready-fd={theirs}"],
                                       env=environment, pass_fds=[theirs], preexec_fn=die_with_parent, stdin=subprocess.DEVNULL,
                                       stdout=self.log, stderr=self.log)
        os.close(theirs)
        end = time.monotonic() + 60
        while not select.select([ours], [], [], 0.05)[0]:
            if time.monotonic() > end:
                raise Lost("cofferd is not ready within 60 seconds")
        report = os.read(ours, 65536)
        os.close(ours)
        if report == b"ok\n":
            return True
        if report or not wait_for(self.died, 5):
            raise Lost(f"cofferd did not start: {report!r}")
        return False

    def died(self):
        daemon = self.daemon
        return daemon is None or daemon.poll() is not None

    def stopped(self):
        daemon = self.daemon
        try:
            text = pathlib.Path(f"/proc/{daemon.pid}/stat").read_text()
        except (AttributeError, FileNotFoundError, ProcessLookupError):
            return False
        return text.rpartition(")")[2].split()[0] == "T"

    def killed_itself(self):
        """The failpoint was reached. Call before kill()."""
        return self.died() and self.daemon.returncode == -signal.SIGKILL

    def kill(self):
        """kill -9, whatever it does; True if it had died by itself before."""
        if self.daemon is None:
            return False
        before = self.died()
        if not before:
            self.daemon.kill()
        self.daemon.wait(60)
        if before and self.daemon.returncode != -signal.SIGKILL:
            raise Lost(f"cofferd ended by itself: {self.daemon.returncode}; its log: {self.tail()}")
        self.daemon = None
        return before

    def stop(self):
        if self.daemon is not None and not self.died():
            self.daemon.send_signal(signal.SIGTERM)
            self.daemon.wait(30)
        self.daemon = None

    def tail(self):
        return (self.machine.root / "cofferd.log").read_text(errors="replace")[-2000:]

    def run(self, *words, **options):
        return self.machine.run(*words, password=False, **options)

    def with_password(self, *words):
        """Runs the command with the password that holds; after a change that was cut short, with either."""
        tries = (1 - self.password, self.password) if self.in_doubt else (self.password,)
        for index in tries:
            done = self.run(*words, "--password-file", self.files[index])
            if done.returncode == 5 and self.in_doubt and index == tries[0]:
                continue
            if done.returncode == 0 and self.in_doubt:
                self.password, self.in_doubt = index, False
            return done
        return done

    def passwd(self, name):
        new = 1 - self.password
        self.in_doubt = True
        done = self.run("passwd", name, "--password-file", self.files[self.password], "--new-password-file",
                        self.files[new])
        if done.returncode == 0:
            self.password, self.in_doubt = new, False
        return done

    def open(self, name, *options):
        """The daemon runs. True if it is open; False if the daemon was killed meanwhile."""
        done = self.with_password("open", name, *options)
        if done.returncode == 0:
            return True
        if wait_for(self.died, 2):
            return False
        raise Lost(f"open {name}: {done.returncode}: {done.stderr}")


def wait_for(condition, seconds):
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            return False
        time.sleep(0.002)
    return True

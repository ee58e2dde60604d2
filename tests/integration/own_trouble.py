#!/usr/bin/env python3
"""One vault's store is sick, or hangs: what do the others, and the daemon, feel of it?

  own_trouble.py PROGRAMS POWERCUT_FS [--mib N] [--rounds N] [--loose]

1. The stores of four vaults are gone and their volumes try to sync: the time of a sync of a fifth, against its time alone.
2. A store on a FUSE file system that is stopped (SIGSTOP), so that no call of it returns, with a sync and a reader in
   it: the others live, `close --no-wait` returns, after SIGCONT all is uploaded and there; `daemon stop` exits 0 in 10 s,
   also while the vault is being unlocked.
3. A stopped daemon: `status`, `daemon status` and `daemon stop` say so.

PROGRAMS holds coffer and cofferd. Prints the figures last. --loose: figures are printed, and what depends on the
machine's speed is not held against its bar (a slice beside other tests).
"""
import argparse
import contextlib
import json
import os
import pathlib
import signal
import statistics
import subprocess
import sys
import tempfile
import threading
import time

from stamped_load import Connection, RequestError

MIB = 1 << 20
READ, WRITE, FLUSH = 0, 1, 3
ALONE_TIMES_MAX = 1.2
COMMAND_SECONDS_MAX = 10


def die(what):
    print(f"FAILED: {what}", file=sys.stderr)
    sys.exit(1)


class Machine:
    def __init__(self, programs, root):
        self.coffer, self.root = str(pathlib.Path(programs).resolve() / "coffer"), root
        self.environment = dict(os.environ, HOME=str(root))
        for name in ("CONFIG_HOME", "STATE_HOME", "CACHE_HOME", "RUNTIME_DIR"):
            place = root / name.lower()
            place.mkdir(mode=0o700)
            self.environment["XDG_" + name] = str(place)
        self.environment.pop("COFFER_LOG", None)
        self.runtime = root / "runtime_dir" / "coffer"
        self.password = root / "password"
        self.password.write_text("correct horse\n")
        self.password.chmod(0o600)

    def start(self, *words, password=False):
        options = ["--password-file", str(self.password)] if password else []
        return subprocess.Popen([self.coffer, *words, *options], env=self.environment, text=True,
                                stdout=subprocess.PIPE, stderr=subprocess.STDOUT)

    def run(self, *words, password=False, code=0, limit=300):
        """What it printed, and how long it took."""
        begin = time.monotonic()
        process = self.start(*words, password=password)
        try:
            output = process.communicate(timeout=limit)[0]
        except subprocess.TimeoutExpired:
            process.kill()
            process.communicate()
            die(f"coffer {' '.join(words)} has not returned within {limit} s")
        if code is not None and process.returncode != code:
            die(f"coffer {' '.join(words)}: exit {process.returncode}, not {code}: {output}")
        return output, time.monotonic() - begin

    def status(self, name):
        listed = json.loads(self.run("status", name, "--json")[0])
        return listed["volumes"][0] if "volumes" in listed else listed

    def pid(self):
        return int((self.runtime / "cofferd.pid").read_text())

    def make(self, name, store):
        self.run("init", name, str(store), "256M", "--as", f"vault-{name}", password=True)
        self.run("open", name, password=True)

    def connect(self, name):
        return Connection(self.runtime / "nbd.sock", name)

    def write(self, name, mib, at=0):
        connection = self.connect(name)
        for i in range(mib):
            connection.ask(WRITE, (at + i) * MIB, MIB, os.urandom(MIB))
        connection.ask(FLUSH, 0, 0)
        connection.close()


class StoppableDisk:
    def __init__(self, program, place):
        place.mkdir()
        self.process = subprocess.Popen([program, str(place), "1"], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                        text=True)
        if self.process.stdout.readline() != "mounted\n":
            print("skipped: no FUSE mounts here", file=sys.stderr)
            sys.exit(77)

    def stop(self):
        os.kill(self.process.pid, signal.SIGSTOP)

    def go_on(self):
        os.kill(self.process.pid, signal.SIGCONT)

    def end(self):
        self.go_on()
        self.process.stdin.close()
        self.process.wait(60)


def sick_stores(machine, mib, rounds):
    """Seconds of a sync alone, and beside four whose stores are gone."""
    sick = [f"sick{i}" for i in range(4)]
    for name in [*sick, "well"]:
        machine.make(name, machine.root / f"store-{name}")

    def sync_well():
        machine.write("well", mib)
        return machine.run("sync", "well")[1]

    sync_well()  # the first one pays for what is made once
    alone = [sync_well() for _ in range(rounds)]
    for name in sick:
        machine.write(name, 32)
        (machine.root / f"store-{name}").rename(machine.root / f"away-{name}")
    beside = []
    for _ in range(rounds):
        machine.write("well", mib)
        waiting = [machine.start("sync", name) for name in sick]
        time.sleep(0.3)  # they are under way
        beside.append(machine.run("sync", "well")[1])
        for process in waiting:
            process.communicate()
    machine.write("well", mib)
    all_together = machine.run("sync", "--all", code=None)[1] if has_sync_all(machine) else None
    for name in sick:
        (machine.root / f"away-{name}").rename(machine.root / f"store-{name}")
        machine.run("sync", name)
        machine.run("close", name)
    return statistics.median(alone), statistics.median(beside), all_together


def has_sync_all(machine):
    return "--all" in machine.run("sync", "--help")[0]


def threads_of(pid):
    return len(os.listdir(f"/proc/{pid}/task"))


def hanging_store(machine, disk, mib):
    figures = {}
    disk_place = machine.root / "disk"
    machine.make("hung", disk_place / "store")
    machine.write("hung", 8)
    machine.run("sync", "hung")
    machine.run("close", "hung")
    (machine.root / "cache_home" / "coffer").mkdir(exist_ok=True)
    subprocess.run(["rm", "-rf", str(machine.root / "cache_home" / "coffer")], check=True)
    machine.run("daemon", "stop", "--force")
    machine.run("open", "well", password=True)
    machine.run("open", "hung", password=True)
    machine.write("hung", mib, at=16)
    written = os.urandom(MIB)
    connection = machine.connect("hung")
    connection.ask(WRITE, 200 * MIB, MIB, written)
    connection.ask(FLUSH, 0, 0)
    disk.stop()
    syncing = machine.start("sync", "hung")
    reader = machine.connect("hung")
    reader.socket.settimeout(300)

    def read_what_is_in_the_store():
        with contextlib.suppress(OSError, RequestError, ConnectionError):
            reader.ask(READ, 0, MIB)

    reading = threading.Thread(target=read_what_is_in_the_store, daemon=True)
    reading.start()
    time.sleep(1)  # both are in the store, and do not come back
    figures["status"] = machine.run("status", limit=60)[1]
    figures["list"] = machine.run("list", limit=60)[1]
    machine.write("well", mib)
    figures["sync of another"] = machine.run("sync", "well", limit=120)[1]
    figures["close --no-wait"] = machine.run("close", "hung", "--no-wait", "--force", code=None, limit=120)[1]
    syncing.communicate(timeout=60)
    reading.join(60)
    if machine.status("hung")["state"] not in ("closed", "locked"):
        die(f"hung is {machine.status('hung')['state']} after close --no-wait")

    unlocking = machine.start("open", "hung", password=True)
    time.sleep(1)
    pid = machine.pid()
    figures["daemon stop while unlocking"] = machine.run("daemon", "stop", "--force", limit=60)[1]
    unlocking.communicate(timeout=60)
    figures["exit of cofferd"] = exit_line(machine)

    disk.go_on()
    machine.run("open", "hung", password=True)
    connection = machine.connect("hung")
    if connection.ask(READ, 200 * MIB, MIB) != written:
        die("what was flushed before the store hung is not there")
    machine.run("sync", "hung")
    machine.run("open", "well", password=True)
    machine.write("hung", mib, at=64)
    disk.stop()
    syncing = machine.start("sync", "hung")
    time.sleep(1)
    figures["daemon stop"] = machine.run("daemon", "stop", "--force", limit=60)[1]
    figures["exit of cofferd"] += exit_line(machine)
    syncing.communicate(timeout=60)
    disk.go_on()
    while os.path.exists(f"/proc/{pid}"):
        time.sleep(0.1)
    machine.run("open", "hung", password=True)
    machine.run("sync", "hung")
    connection = machine.connect("hung")
    if connection.ask(READ, 200 * MIB, MIB) != written:
        die("what was flushed before the store hung is not there")
    connection.close()
    machine.run("close", "hung")
    return figures


def exit_line(machine):
    """How many of the daemon's ends were by the guard that ends what is stuck."""
    log = (machine.root / "state_home" / "coffer" / "log" / "cofferd.log").read_text()
    return log.count("not everything ended in time")


def stopped_daemon(machine):
    figures = {}
    machine.run("open", "well", password=True)
    pid = machine.pid()
    os.kill(pid, signal.SIGSTOP)
    try:
        for words in (["status"], ["daemon", "status"], ["daemon", "stop"]):
            output, seconds = machine.run(*words, code=8, limit=60)
            if f"kill -CONT {pid}" not in output:
                die(f"coffer {' '.join(words)} does not say what to do: {output}")
            figures[" ".join(words)] = seconds
    finally:
        os.kill(pid, signal.SIGCONT)
    machine.run("status")
    return figures


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("programs")
    parser.add_argument("powercut_fs")
    parser.add_argument("--mib", type=int, default=128)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--loose", action="store_true")
    arguments = parser.parse_args()
    root = pathlib.Path(tempfile.mkdtemp(prefix="coffer-trouble-", dir=os.environ.get("SHOW_TMP", "/var/tmp")))
    machine = Machine(arguments.programs, root)
    disk = StoppableDisk(arguments.powercut_fs, root / "disk")
    try:
        alone, beside, together = sick_stores(machine, arguments.mib, arguments.rounds)
        time.sleep(6)
        idle = threads_of(machine.pid())
        hung = hanging_store(machine, disk, 24)
        stopped = stopped_daemon(machine)
        machine.run("daemon", "stop", "--force")
    finally:
        disk.go_on()
        machine.run("daemon", "stop", "--force", code=None)
        disk.end()
        subprocess.run(["rm", "-rf", str(root)], check=False)
    print(f"# a sync of {arguments.mib} MiB: {alone:.2f} s alone, {beside:.2f} s beside four whose stores are gone"
          + (f", {together:.2f} s with them (sync --all)" if together else ""))
    print("# a store that hangs: " + ", ".join(f"{what} {value:.1f} s" for what, value in hung.items()
                                               if what != "exit of cofferd"))
    print("# a stopped daemon: " + ", ".join(f"{what} {value:.1f} s" for what, value in stopped.items()))
    slow = [what for what, value in hung.items() if what != "exit of cofferd" and value > COMMAND_SECONDS_MAX]
    if hung["exit of cofferd"]:
        die(f"cofferd ended by its guard, exit 1, {hung['exit of cofferd']} times")
    if not arguments.loose and slow:
        die(f"longer than {COMMAND_SECONDS_MAX} s: {', '.join(slow)}")
    if not arguments.loose and beside > alone * ALONE_TIMES_MAX:
        die(f"{beside:.2f} s are more than {ALONE_TIMES_MAX} times {alone:.2f} s")
    print(f"{beside / alone:.2f} times its time alone; {idle} threads idle with one volume open; "
          f"daemon stop with a store that hangs {hung['daemon stop']:.1f} s, exit 0")


if __name__ == "__main__":
    main()

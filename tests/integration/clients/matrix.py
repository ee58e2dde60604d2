"""The client matrix: real NBD clients against a server of coffer's, one row each.

    matrix.py --coffer PATH/TO/coffer --work DIR [--expect TSV | --write TSV]     a daemon and its volumes
    matrix.py --memory PATH/TO/nbd_memory_server --work DIR ADDRESS [jobs-only]   the server alone

A row runs one client and compares what the volume, or the client, then holds with what was written; that the client
exits 0 is not enough. Printed and written as TSV: client, version, commands, exit codes, what was checked. A client
that is not installed, a row that fails, and with --expect a row that the file has and this run has not (or the other
way round) make the run fail. Needs a python3 that has libnbd's bindings: they look at the volume beside the client.
"""
import argparse
import dataclasses
import os
import re
import shlex
import shutil
import subprocess
import sys
import time
import traceback

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
sys.dont_write_bytecode = True

import beds


@dataclasses.dataclass
class Row:
    client: str
    run: object
    checked: str
    daemon_only: bool
    commands: list = dataclasses.field(default_factory=list)
    codes: list = dataclasses.field(default_factory=list)
    parts: list = dataclasses.field(default_factory=list)  # what one command showed besides, a line each
    version: str = None  # if the client is not a program of this machine


ROWS = []

# How to ask each client for its version, and what of the answer it is.
VERSIONS = {
    "nbdinfo": ["nbdinfo", "--version"],
    "nbdcopy": ["nbdcopy", "--version"],
    "nbddump": ["nbddump", "--version"],
    "nbdsh": ["nbdsh", "--version"],
    "nbdfuse": ["nbdfuse", "--version"],
    "qemu-img": ["qemu-img", "--version"],
    "qemu-io": ["qemu-io", "--version"],
    "qemu-nbd": ["qemu-nbd", "--version"],
    "fio": ["fio", "--version"],
    "nbd-client": ["nbd-client", "--version"],
    "TLS, X.509": ["nbdinfo", "--version"],  # the first of several clients
    "TLS, PSK": ["nbdinfo", "--version"],
    "kernel 6.12": ["qemu-system-x86_64", "--version"],
    "kernel 6.1": ["qemu-system-x86_64", "--version"],
}


def row(client, checked, daemon_only=False):
    """Registers a function as the row of `client` in which `checked` is found to hold."""

    def register(function):
        ROWS.append(Row(client, function, checked, daemon_only))
        return function

    return register


def version_of(client):
    if not shutil.which(VERSIONS[client][0]):
        return None
    told = subprocess.run(VERSIONS[client], capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL)
    found = re.search(r"\d+(\.\d+)+", told.stdout + told.stderr)
    return found.group(0) if found else None


class Runner:
    """What a row's function is given: the bed, and a way to run commands that are written into the row."""

    def __init__(self, bed, entry):
        self.bed = bed
        self.row = entry

    def run(self, *command, code=0, noted=None, **options):
        """Runs it, notes it (or `noted`), fails unless it exits with `code`; returns what it printed."""
        done = subprocess.run([str(word) for word in command], capture_output=True, cwd=self.bed.work, timeout=7200,
                              check=False, **options)
        self.note(noted or command, done.returncode)
        self.ensure(done.returncode == code, f"exit {done.returncode}, expected {code}",
                    done.stdout[-2000:], done.stderr[-2000:])
        return done.stdout.decode(errors="replace"), done.stderr.decode(errors="replace")

    def note(self, command, code):
        shown = " ".join(shlex.quote(str(word)) for word in command)
        for text, name in self.bed.names():
            shown = shown.replace(shlex.quote(text), name).replace(text, name)
        if shown not in self.row.commands:
            self.row.commands.append(re.sub(r"\s+", " ", shown))
        self.row.codes.append(code)

    @staticmethod
    def ensure(holds, *why):
        if not holds:
            raise AssertionError(" ".join(str(part) for part in why))


def run_row(bed, entry, version):
    """True if it holds."""
    began = time.monotonic()
    try:
        if version is None:
            raise AssertionError(f"{entry.client} is not installed (packaging/dependencies test)")
        entry.run(Runner(bed, entry))
        if not entry.codes:
            raise AssertionError("the row ran nothing")
        failure = None
    except (AssertionError, OSError, subprocess.SubprocessError, beds.nbd.Error) as error:
        failure = error
    seconds = time.monotonic() - began
    print(f"{'ok' if failure is None else 'FAILED'}: {entry.client}: {entry.checked} ({seconds:.1f} s)", flush=True)
    if failure is not None:
        print("    " + "; ".join(entry.commands), file=sys.stderr)
        traceback.print_exception(failure, file=sys.stderr)
    return failure is None


def tsv_lines(rows, versions):
    yield "client\tversion\tcommands\texit\tchecked"
    for entry in rows:
        codes = ",".join(str(code) for code in sorted(set(entry.codes)))
        for checked in entry.parts or [entry.checked]:
            yield "\t".join([entry.client, entry.version or versions[entry.client] or "", "; ".join(entry.commands), codes, checked])


def keys_of(lines):
    return {(cells[0], cells[4]) for cells in (line.split("\t") for line in lines) if len(cells) == 5} - {
        ("client", "checked")}


def main():
    arguments = argparse.ArgumentParser()
    arguments.add_argument("--coffer")
    arguments.add_argument("--memory")
    arguments.add_argument("--work", required=True)
    arguments.add_argument("--expect")
    arguments.add_argument("--write")
    arguments.add_argument("--only", help="rows whose client or text contains this; nothing is compared or written then")
    arguments.add_argument("--kernels", default="", help="of the kernels, these: 6.12 6.1")
    arguments.add_argument("--without-tls", action="store_true")
    arguments.add_argument("--trixie", action="store_true", help="the rows of Debian 13's clients, and no others")
    arguments.add_argument("way", nargs="*")
    given = arguments.parse_args()

    import rows_kernel  # noqa: F401  pylint: disable=unused-import
    import rows_libnbd  # noqa: F401  pylint: disable=unused-import
    import rows_others  # noqa: F401  pylint: disable=unused-import
    import rows_tls  # noqa: F401  pylint: disable=unused-import
    import rows_trixie  # noqa: F401  pylint: disable=unused-import
    import rows_qemu  # noqa: F401  pylint: disable=unused-import

    # nbdsh starts `python3`: the one that has the bindings, which runs this.
    os.environ["PATH"] = f"{os.path.dirname(sys.executable)}:{os.environ['PATH']}"
    bed = beds.CofferBed(given.coffer, given.work) if given.coffer else beds.MemoryBed(
        given.memory, given.work, given.way)
    left_out = {entry.client for entry in ROWS if entry.client.startswith("kernel ")} - {
        "kernel " + kernel for kernel in given.kernels.split()}
    if given.without_tls:
        left_out |= {entry.client for entry in ROWS if entry.client.startswith("TLS, ")}
    left_out |= {entry.client for entry in ROWS if entry.client.startswith("Debian 13 ") != given.trixie}
    rows = [entry for entry in ROWS if (given.coffer or not entry.daemon_only) and
            entry.client not in left_out]
    if given.only:
        rows = [entry for entry in rows if given.only in entry.client or given.only in entry.checked]
    versions = {entry.client: version_of(entry.client) for entry in rows}
    failed = 0
    with bed:
        for entry in rows:
            failed += not run_row(bed, entry, versions[entry.client])
    lines = list(tsv_lines(rows, versions))
    print("\n".join(lines))
    if failed:
        sys.exit(f"{failed} of {len(rows)} rows failed")
    if given.write and not given.only:
        with open(given.write, encoding="utf-8") as file:
            kept = [line for line in file.read().splitlines() if line.split("\t")[0] in left_out]
        with open(given.write, "w", encoding="utf-8") as out:
            rest = kept + lines[1:] if given.trixie else lines[1:] + kept
            out.write("\n".join([lines[0], *rest]) + "\n")
    if given.expect and not given.only:
        with open(given.expect, encoding="utf-8") as file:
            expected = {key for key in keys_of(file.read().split("\n")) if key[0] not in left_out}
        if expected != keys_of(lines):
            sys.exit(f"rows differ from {given.expect}: missing {sorted(expected - keys_of(lines))}, "
                     f"new {sorted(keys_of(lines) - expected)} (update=1 writes it anew)")
    if not rows:
        sys.exit("no rows")
    print(f"{len(rows)} rows, {len(versions)} clients, {sum(len(entry.codes) for entry in rows)} commands: all hold")


if __name__ == "__main__":
    # So that `import matrix` in the files of rows is this module, not a second one.
    sys.modules["matrix"] = sys.modules["__main__"]
    main()

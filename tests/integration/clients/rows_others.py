"""Rows of the client matrix: fio, nbd-client, and all of them over TCP and across a reopen."""
import os
import subprocess

from matrix import row

MIB = 1 << 20
SECONDS = int(os.environ.get("seconds", "5"))


def fio(t, *words):
    t.run("fio", "--ioengine=nbd", "--uri=" + t.bed.uri, "--verify=crc32c", "--verify_fatal=1",
          "--thread=0", "--minimal", *words)


@row("fio", "random reads and writes of 4 to 128 KiB, 16 deep, crc32c of every block")
def fio_random(t):
    fio(t, "--name=random", "--rw=randrw", "--bsrange=4k-128k", "--iodepth=16", f"--size={t.bed.size}",
        "--verify_backlog=512", "--fsync=64", "--time_based", f"--runtime={SECONDS}")


@row("fio", "sizes of any number of bytes from 512 on, crc32c of every block")
def fio_unaligned(t):
    fio(t, "--name=unaligned", "--rw=randwrite", "--bsrange=512-300k", "--bs_unaligned=1", "--iodepth=8",
        "--size=32M", "--verify_backlog=256", "--fsync=16")


@row("fio", "a mixed job of reads and writes, crc32c of every block; trims, after which zeros are there and no more")
def fio_mixed(t):
    fio(t, "--name=mixed", "--rw=randrw", "--rwmixread=30", "--bs=16k", "--iodepth=16", "--size=48M",
        "--verify_backlog=64", "--fsync=32")
    t.bed.fill(0xEE)
    t.run("fio", "--ioengine=nbd", "--uri=" + t.bed.uri, "--name=trim", "--rw=trim", "--bs=64k",
          "--iodepth=8", "--size=16M", "--minimal")
    t.ensure(t.bed.read(16 * MIB, 0) == bytes(16 * MIB), "what was trimmed is not zeros")
    t.ensure(t.bed.read(MIB, 16 * MIB) == b"\xee" * MIB, "trimmed beyond")


@row("fio", "4 connections, each in its quarter, crc32c of every block")
def fio_connections(t):
    quarter = t.bed.size // 4
    fio(t, "--name=quarters", "--rw=randrw", "--bs=4k", "--iodepth=8", f"--size={quarter}", "--numjobs=4",
        f"--offset_increment={quarter}", "--verify_backlog=256", "--group_reporting", "--fsync=128")


@row("fio", "written, synced to the store, closed, opened again: --verify_only finds every block", daemon_only=True)
def fio_reopened(t):
    job = ["--name=kept", "--rw=randwrite", "--bs=32k", "--iodepth=16", "--size=32M", "--randseed=7"]
    fio(t, *job, "--do_verify=0", "--end_fsync=1")
    t.bed.command("sync", "photos")
    t.bed.reopen()
    fio(t, *job, "--verify_only=1")


@row("nbd-client", "-l over TCP lists the export; nbdinfo and nbdcopy over TCP too", daemon_only=True)
def over_tcp(t):
    t.bed.load()
    port = t.bed.reopen_on_tcp()
    try:
        done = subprocess.run(["nbd-client", "-l", "127.0.0.1", str(port)], capture_output=True, text=True,
                              check=False, stdin=subprocess.DEVNULL)
        t.note(["nbd-client", "-l", "127.0.0.1", "PORT"], done.returncode)
        t.ensure(done.returncode == 0 and "photos" in done.stdout.split(), done.stdout, done.stderr)
        t.ensure("127.0.0.1" in t.bed.uri, t.bed.uri)
        t.run("nbdinfo", "--size", t.bed.uri)
        t.run("nbdcopy", "--connections=4", t.bed.uri, t.bed.back)
        t.ensure(t.bed.differs(t.bed.back) is None, "differs from the volume")
        t.bed.fill(0xEE)
        t.run("nbdcopy", t.bed.image, t.bed.uri)
        t.ensure(t.bed.differs(t.bed.image) is None, "differs from the image")
    finally:
        t.bed.reopen()
    t.ensure(t.bed.differs(t.bed.image) is None, "differs after opening again")

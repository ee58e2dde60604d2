"""Rows of the client matrix: the kernel's own client, connected by nbd-client in a virtual machine (tests/kernel)."""
import os
import re

from matrix import row

SHOW = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "show-04-kernel.sh")


def boot(t, kernel):
    out, _ = t.run(SHOW, noted=("kernel=" + kernel, os.path.basename(SHOW)),
                   env={**os.environ, "kernel": kernel, "COFFER_BUILD": os.environ["MATRIX_BUILD"]})
    t.row.version = re.search(r"^# kernel (\S+)", out, re.MULTILINE).group(1)
    # "   7.4 s  ext4 mounted, 78 MiB copied": what was done, without what differs from run to run.
    steps = re.findall(r"^ *[\d.]+ s +(.*)$", out, re.MULTILINE)
    t.row.parts = [re.sub(r"\b\d+ (MiB|fsynced|files)", r"N \1", step) for step in steps]
    t.ensure(steps, out)


@row("kernel 6.12", "every step of show-04-kernel.sh", daemon_only=True)
def kernel_6_12(t):
    boot(t, "6.12")


@row("kernel 6.1", "every step of show-04-kernel.sh", daemon_only=True)
def kernel_6_1(t):
    boot(t, "6.1")

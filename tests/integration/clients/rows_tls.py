"""Rows of the client matrix: TLS with certificates and with shared keys, as show-04-tls.sh runs them."""
import functools
import os
import re
import subprocess

from matrix import row

SHOW = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "show-04-tls.sh")


@functools.cache
def shown():
    """Once for both kinds."""
    return subprocess.run([SHOW], env={**os.environ, "COFFER_BUILD": os.environ["MATRIX_BUILD"]}, text=True,
                          capture_output=True, check=False, timeout=7200)


def lines_of(t, kind):
    done = shown()
    t.note([os.path.basename(SHOW)], done.returncode)
    t.ensure(done.returncode == 0, f"exit {done.returncode}", done.stdout[-2000:], done.stderr[-2000:])
    found = re.findall(rf"^# ((?:came in|refused): [^:\n]*\b{kind}\b[^:\n]*)", done.stdout, re.MULTILINE)
    t.ensure(found, f"no row of {kind}")
    t.row.parts = [re.sub(r"\b\d+ MiB", "N MiB", line) for line in found]


if os.path.exists(SHOW):

    @row("TLS, X.509", "every row of show-04-tls.sh with certificates", daemon_only=True)
    def x509(t):
        lines_of(t, "x509")

    @row("TLS, PSK", "every row of show-04-tls.sh with shared keys", daemon_only=True)
    def psk(t):
        lines_of(t, "psk")

#!/usr/bin/env python3
"""What `cmake --install` puts where, from a build of coffer and cofferd alone.

  install_test.py CMAKE BUILD_DIRECTORY
"""
import os
import pathlib
import subprocess
import sys
import tempfile

WANTED = ["bin/coffer", "bin/cofferd", "share/man/man1/coffer.1", "share/man/man1/coffer-open.1",
          "share/man/man8/cofferd.8", "share/bash-completion/completions/coffer",
          "share/zsh/site-functions/_coffer", "share/fish/vendor_completions.d/coffer.fish",
          "lib/systemd/user/cofferd.service", "lib/systemd/user/cofferd.socket",
          "lib/systemd/system/cofferd.service", "lib/systemd/system/cofferd-nbd.socket",
          "share/doc/coffer/docs/API.md", "share/doc/coffer/README.md"]


def main():
    cmake, build = sys.argv[1:]
    with tempfile.TemporaryDirectory() as root:
        done = subprocess.run([cmake, "--install", build], text=True, capture_output=True,
                              env=dict(os.environ, DESTDIR=root))
        assert done.returncode == 0, done.stderr
        prefix = next(path for path in pathlib.Path(root).rglob("bin")).parent
        missing = [name for name in WANTED if not (prefix / name).exists()]
        assert not missing, f"not installed: {missing}"
        place = "/" + str((prefix / "bin" / "cofferd").relative_to(root))
        for unit in (prefix / "lib" / "systemd").rglob("*.service"):
            assert f"ExecStart={place}\n" in unit.read_text(), unit
    print(f"{len(WANTED)} files are where they belong")


main()

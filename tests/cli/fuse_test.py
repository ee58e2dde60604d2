#!/usr/bin/env python3
"""Volumes as image files (coffer open --fuse=DIR), with the real daemon and the kernel's FUSE.

  fuse_test.py CHEAP_DIR PLANTED_DIR [unittest arguments]        as end_to_end_test.py

Runs as root and as an ordinary user (tests/fuse/as_user.sh); needs /dev/fuse, and fails without it.
"""
import errno
import json
import os
import pathlib
import signal
import stat
import subprocess
import unittest

import end_to_end_test as e2e
from end_to_end_test import MIB, Nbd, wait_until


def mounts():
    """Mount points of ours, as the kernel lists them."""
    lines = pathlib.Path("/proc/self/mountinfo").read_text().splitlines()
    return [line.split()[4] for line in lines if " - fuse.coffer coffer " in line]


def failure(call, *arguments, **options):
    """The errno with which it fails; 0 if it does not."""
    try:
        call(*arguments, **options)
    except OSError as error:
        return error.errno
    return 0


class Fuse(e2e.CofferTest):
    def setUp(self):
        super().setUp()
        self.place = self.root / "images"
        self.image = self.place / "photos.img"

    def tearDown(self):
        super().tearDown()
        left = [path for path in mounts() if path.startswith(str(self.root))]
        for path in left:
            subprocess.run(["fusermount3", "-u", "-z", path], check=False)
        self.assertEqual(left, [], "mounted still")

    def serve(self, *options, name="photos", place=None, machine=None):
        return self.open(name, machine, f"--fuse={place or self.place}", *options)

    def opened(self, flags=os.O_RDWR, path=None):
        file = os.open(path or self.image, flags)
        self.addCleanup(lambda: failure(os.close, file))
        return file

    # --- The main job ---

    def test_what_is_written_to_the_image_another_machine_reads(self):
        self.init()
        self.assertEqual(self.serve(), str(self.image))
        data = os.urandom(3 * MIB + 4096)
        file = self.opened()
        self.assertEqual(os.pwrite(file, data, 4096), len(data))
        os.fsync(file)
        os.close(file)
        self.expect(0, "close", "photos", password=False)
        self.assertFalse(self.image.exists())
        second = self.new_machine("second")
        self.expect(0, "add", self.store, machine=second)
        self.serve("--read-only", machine=second)
        self.assertEqual(os.pread(self.opened(os.O_RDONLY), len(data), 4096), data)
        self.assertEqual(failure(os.open, self.image, os.O_RDWR), errno.EROFS)
        self.assertEqual(stat.S_IMODE(self.image.stat().st_mode), 0o400)

    def test_places_are_printed_and_shown(self):
        self.init()
        done = self.expect(0, "open", "photos", "--nbd", "--fuse=images", "--fuse", "more",
                           cwd=self.root)
        nbd, first, second = done.stdout.splitlines()
        self.assertTrue(nbd.startswith("nbd+unix:///photos"))
        self.assertEqual([first, second], [str(self.image), str(self.root / "more/photos.img")])
        file = self.opened()
        exports = self.status()["exports"]
        self.assertEqual([(export["kind"], export["uri"]) for export in exports],
                         [("nbd", nbd), ("fuse", first), ("fuse", second)])
        self.assertEqual(exports[1]["clients"], 1)
        os.close(file)
        wait_until(lambda: self.status()["exports"][1]["clients"] == 0, "the file is closed")
        again = self.expect(0, "open", "photos", "--nbd", "--fuse=images", "--fuse", "more",
                            cwd=self.root)
        self.assertEqual(again.stdout, done.stdout)
        self.expect(6, "open", "photos", f"--fuse={self.place}")
        knows = json.loads((self.place / "photos.status.json").read_text())
        self.assertEqual((knows["volume"], knows["size_bytes"]), ("photos", 16 * MIB))

    def test_the_kernel_keeps_what_nobody_else_can_change_or_what_was_chosen(self):
        self.init()
        for options, kept in [([], "reads"), (["--nbd"], "none"), ([f"--fuse={self.root}/more"], "none"),
                              (["--fuse-cache=direct"], "none"),
                              (["--fuse-cache=writeback"], "writeback")]:
            self.serve(*options)
            knows = json.loads((self.place / "photos.status.json").read_text())
            self.assertEqual(knows["kernel_cache"], kept, options)
            file = self.opened()
            os.pwrite(file, b"kept", 0)
            os.fsync(file)
            os.close(file)
            self.expect(0, "close", "photos", password=False)

    def test_volumes_share_a_directory_until_the_last_one_is_closed(self):
        self.init()
        self.init("music")
        self.serve()
        self.serve(name="music")
        self.assertEqual({path.name for path in self.place.iterdir()},
                         {"photos.img", "photos.status.json", "music.img", "music.status.json",
                          "snapshots"})
        self.expect(0, "close", "photos", password=False)
        self.assertFalse(self.image.exists())
        self.assertTrue((self.place / "music.img").exists())
        self.expect(0, "close", "--all", password=False)
        self.assertEqual(list(self.place.iterdir()), [])

    # --- Bad input ---

    def test_a_directory_that_will_not_do_says_why_and_what_to_do(self):
        self.init()
        full = self.root / "full"
        full.mkdir()
        (full / "letter").write_text("x")
        for code, place, why, cure in [
                (3, self.root / "not/there", "not/there", "mkdir -p"),
                (2, full / "letter", "no directory", "empty directory of your own"),
                (6, full, "it holds letter", "another directory"),
                (6, "/proc", "mounted on it already", "another directory"),
                (2, self.root / ("a" * 256), "bytes long", "shorter"),
                (2, "", "expected a directory", "--fuse=DIR")]:
            done = self.expect(code, "open", "photos", "--fuse", place)
            self.assertIn(why, done.stderr)
            self.assertIn(cure, done.stderr)
            self.assertEqual(self.status()["state"], "closed")
        self.expect(2, "open", "photos", f"--fuse={self.place}", "--fuse-cache=much")

    @unittest.skipIf(os.getuid() == 0, "root needs no fusermount3; it runs as an ordinary user too")
    def test_a_daemon_that_may_gain_no_rights_says_so(self):
        self.init()
        self.expect(0, "daemon", "stop", password=False)
        command = self.machine.command
        self.machine.command = lambda *words: ["setpriv", "--no-new-privs", *command(*words)]
        done = self.expect(1, "open", "photos", f"--fuse={self.place}")
        self.assertIn("Operation not permitted", done.stderr)
        self.assertIn("NoNewPrivileges", done.stderr)

    def test_the_image_is_changed_by_coffer_alone(self):
        self.init()
        self.serve()
        file = self.opened()
        other = self.place / "other"
        for call, *arguments in [
                (os.truncate, self.image, 0), (os.truncate, self.image, 32 * MIB),
                (os.open, self.image, os.O_RDWR | os.O_TRUNC), (os.rename, self.image, other),
                (os.unlink, self.image), (os.chmod, self.image, 0o644), (os.link, self.image, other),
                (os.chown, self.image, os.getuid(), os.getgid()),
                (os.symlink, "photos.img", other), (os.mkdir, other), (os.mkfifo, other),
                (os.open, other, os.O_CREAT | os.O_RDWR)]:
            self.assertEqual(failure(call, *arguments), errno.EPERM, call)
        self.assertEqual(failure(os.pwrite, file, b"x", 16 * MIB), errno.EFBIG)
        self.assertEqual(os.pwrite(file, b"xyz", 16 * MIB - 2), 2)
        appending = self.opened(os.O_WRONLY | os.O_APPEND)
        self.assertEqual(failure(os.write, appending, b"x"), errno.EFBIG)
        self.assertEqual(self.image.stat().st_size, 16 * MIB)

    # --- Life-cycle ---

    def test_a_killed_daemon_loses_nothing_acknowledged_and_leaves_nothing_in_the_way(self):
        self.init()
        self.serve()
        file = self.opened()
        os.pwrite(file, b"flushed", 0)
        os.fsync(file)
        os.pwrite(file, b"acknowledged", 4096)
        self.machine.kill_daemon()
        self.assertEqual(failure(os.stat, self.image), errno.ENOTCONN)
        self.assertEqual(failure(os.pread, file, 1, 0), errno.ENOTCONN)
        self.assertEqual(failure(os.fsync, file), errno.ENOTCONN)
        self.serve()
        self.assertEqual(mounts().count(str(self.place)), 1)
        file = self.opened()
        self.assertEqual(os.pread(file, 7, 0), b"flushed")
        self.assertEqual(os.pread(file, 12, 4096), b"acknowledged")

    def test_a_directory_that_somebody_has_unmounted_is_mounted_again_by_the_next_open(self):
        self.init()
        self.serve()
        subprocess.run(["fusermount3", "-u", self.place], check=True, timeout=600)
        self.assertFalse(self.image.exists())
        self.assertEqual(self.serve(), str(self.image))
        self.assertEqual(self.image.stat().st_size, 16 * MIB)

    def test_a_daemon_that_ends_unmounts_and_keeps_what_was_written(self):
        self.init()
        self.serve()
        file = self.opened()
        os.pwrite(file, b"kept", 0)
        self.machine.kill_daemon(signal.SIGTERM)
        self.assertEqual(list(self.place.iterdir()), [], "unmounted although it was in use")
        self.assertEqual(failure(os.fsync, file), errno.ENOTCONN)
        log = (self.machine.state / "log" / "cofferd.log").read_text()
        self.assertIn(f"(pid {os.getpid()}) has photos.img open", log)
        self.serve()
        self.assertEqual(os.pread(self.opened(), 4, 0), b"kept")

    def test_a_resize_shows_at_once(self):
        self.init()
        self.serve()
        file = self.opened()
        self.expect(0, "resize", "photos", "32M")
        self.assertEqual(os.fstat(file).st_size, 32 * MIB)
        self.assertEqual(os.pwrite(file, b"beyond", 20 * MIB), 6)
        self.assertEqual(os.pread(file, 6, 20 * MIB), b"beyond")
        self.expect(6, "resize", "photos", "16M", "--discard-tail")
        os.close(file)
        wait_until(lambda: self.status()["exports"][0]["clients"] == 0, "the file is closed")
        self.expect(0, "resize", "photos", "16M", "--discard-tail")
        self.assertEqual(self.image.stat().st_size, 16 * MIB)
        self.expect(0, "resize", "photos", "32M")
        self.assertEqual(os.pread(self.opened(), 6, 20 * MIB), bytes(6))

    def test_nbd_and_two_image_files_of_one_volume_see_each_others_writes(self):
        self.init()
        self.open("photos", None, "--nbd", f"--fuse={self.place}", f"--fuse={self.root}/more")
        files = [self.opened(), self.opened(path=self.root / "more/photos.img")]
        with Nbd(self.machine.runtime / "coffer" / "nbd.sock") as nbd:
            nbd.go("photos")
            for number in range(500):
                block = number.to_bytes(8, "little") * 512
                offset = number % 7 * 4096
                if number % 3 == 0:
                    self.assertEqual(nbd.ask(Nbd.WRITE, offset, 4096, block), 0)
                    self.assertEqual(nbd.ask(Nbd.FLUSH, 0, 0), 0)
                else:
                    os.pwrite(files[number % 3 - 1], block, offset)
                    os.fsync(files[number % 3 - 1])
                self.assertEqual([os.pread(file, 4096, offset) for file in files], [block, block])
                self.assertEqual(nbd.read(offset, 4096), block)

    # --- Others on the machine ---

    @unittest.skipIf(os.getuid() != 0, "root alone can be two users; it runs as root too")
    def test_root_may_use_a_users_image_where_fuse_conf_allows_it_and_nobody_else_may(self):
        script = self.root / "script"
        script.write_text("""
set -e
mount --bind "$1" /etc/fuse.conf
user() { setpriv --reuid=nobody --regid=nogroup --clear-groups env -i HOME=$PWD XDG_RUNTIME_DIR=$PWD/run PATH=$PATH "$@"; }
user ./coffer init photos "$PWD/store" 16M --password-file password >/dev/null
user ./coffer open photos --fuse=images --password-file password >/dev/null
trap 'user ./coffer daemon stop' EXIT
head -c 5 images/photos.img >/dev/null 2>&1 && echo root may
setpriv --reuid=12345 --clear-groups head -c 5 images/photos.img >/dev/null 2>&1 && echo others may
true
""")
        for setting, allowed in [("user_allow_other\n", "root may\n"), ("#user_allow_other\n", "")]:
            home = self.root / f"user{len(setting)}"
            (home / "run").mkdir(parents=True, mode=0o700)
            (home / "password").write_text("x")
            (home / "password").chmod(0o600)
            for program in ("coffer", "cofferd"):
                subprocess.run(["cp", self.machine.programs / program, home], check=True)
            subprocess.run(["chown", "-R", "nobody:nogroup", home], check=True)
            self.root.chmod(0o755)
            configuration = self.root / "fuse.conf"
            configuration.write_text(setting)
            configuration.chmod(0o644)
            done = subprocess.run(["unshare", "-m", "bash", script, configuration], cwd=home,
                                  capture_output=True, text=True, timeout=600, check=False)
            self.assertEqual((done.returncode, done.stdout), (0, allowed), done.stderr)


if __name__ == "__main__":
    e2e.main()

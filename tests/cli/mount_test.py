#!/usr/bin/env python3
"""Volumes that are mounted (coffer open --mount=DIR), with the real daemon, loop devices or fuse2fs.

  mount_test.py CHEAP_DIR PLANTED_DIR [unittest arguments]        as end_to_end_test.py

Root's way is a loop device, an ordinary user's fuse2fs (tests/fuse/as_user.sh): each where it is what is
tried first and works. udisks2 has show-05-rootless.sh. Needs /dev/fuse, and fails without it.
"""
import json
import os
import pathlib
import subprocess
import sys

import end_to_end_test as e2e

WAY = "loop" if os.geteuid() == 0 else "fuse2fs"


def mounts():
    lines = pathlib.Path("/proc/self/mountinfo").read_text().splitlines()
    return [line.split()[4] for line in lines]


class Mount(e2e.CofferTest):
    def setUp(self):
        super().setUp()
        self.place = self.root / "drive"
        self.addCleanup(self.unmount_what_is_left)

    def unmount_what_is_left(self):
        for path in reversed([path for path in mounts() if path.startswith(str(self.root))]):
            subprocess.run(["umount" if os.geteuid() == 0 else "fusermount3", "-l" if os.geteuid() == 0 else "-uz",
                            path], check=False)

    def mount(self, *options, code=0, way=WAY):
        return self.expect(code, "open", "photos", f"--mount={self.place}", f"--mount-with={way}", *options)

    def close(self, *options, code=0):
        return self.expect(code, "close", "photos", *options, password=False)

    def made(self):
        self.init(size="64M")
        self.mount("--mkfs")

    def state(self):
        return json.loads(self.expect(0, "status", "photos", "--json", password=False).stdout)["state"]

    def test_files_come_back_after_a_close(self):
        self.init(size="64M")
        done = self.mount("--mkfs")
        self.assertEqual(done.stdout, f"{self.place}\n")
        self.assertIn(f"ext4, made just now, is mounted by {WAY}", done.stderr)
        (self.place / "file").write_text("kept")
        status = json.loads(self.expect(0, "status", "photos", "--json", password=False).stdout)
        self.assertEqual(status["mount"]["way"], WAY)
        self.assertEqual(status["mount"]["trouble"], "")
        self.close()
        self.assertFalse(self.place.exists())
        self.mount()
        self.assertEqual((self.place / "file").read_text(), "kept")
        self.close()

    def test_other_file_systems_are_made_too(self):
        self.init(size="512M")
        if WAY == "fuse2fs":
            self.assertIn("fuse2fs is for ext4", self.mount("--mkfs=xfs", code=2).stderr)
            self.assertIn("for root alone", self.mount("--mkfs=btrfs", code=11, way="udisks").stderr)
            return
        for name, system in (("photos", "xfs"), ("mail", "btrfs")):
            if name != "photos":
                self.init(name, size="512M")
            self.expect(0, "open", name, f"--mount={self.place}", "--mount-with=loop", f"--mkfs={system}")
            (self.place / "file").write_text("kept")
            self.expect(0, "close", name, password=False)
            done = self.expect(0, "open", name, f"--mount={self.place}")
            self.assertIn(f"{system} is mounted by loop", done.stderr)
            self.assertEqual((self.place / "file").read_text(), "kept")
            self.expect(0, "close", name, password=False)

    def test_nothing_is_made_over_anything(self):
        self.made()
        self.close()
        self.assertIn("ext4", self.mount("--mkfs", code=4).stderr)
        self.assertEqual(self.state(), "closed")

    def test_what_stands_in_the_way_is_named_and_the_volume_closed(self):
        self.init(size="64M")
        self.assertIn("--mkfs", self.mount(code=3).stderr)
        self.place.mkdir()
        (self.place / "mine").write_text("x")
        self.assertIn("not empty", self.mount("--mkfs", code=6).stderr)
        (self.place / "mine").unlink()
        self.place.rmdir()
        self.place.symlink_to("/tmp")
        self.assertIn("symbolic link", self.mount("--mkfs", code=2).stderr)
        self.place.unlink()
        self.place = self.root / "no" / "such"
        self.assertIn(str(self.root / "no"), self.mount("--mkfs", code=3).stderr)
        self.place = pathlib.Path("/proc")
        self.assertIn("mounted at /proc already", self.mount("--mkfs", code=6).stderr)
        self.place = self.root / "drive"
        self.assertIn("no way", self.mount("--mkfs", code=2, way="elsewhere").stderr)
        self.assertIn("read-only", self.mount("--mkfs", "--read-only", code=2).stderr)
        for option in ("--mkfs", "--mount-with=loop"):
            self.assertIn("goes with --mount", self.expect(2, "open", "photos", option).stderr)
        self.assertEqual(self.state(), "closed")
        self.assertFalse(self.place.exists())

    def test_who_uses_it_keeps_it_open_and_force_takes_it_away(self):
        self.made()
        (self.place / "file").write_text("kept")
        user = subprocess.Popen(["sleep", "1000"], cwd=self.place)
        self.addCleanup(user.wait)
        self.addCleanup(user.kill)
        refused = self.close(code=6)
        self.assertIn(f"sleep (pid {user.pid}) works in it", refused.stderr)
        self.assertIn("--force", refused.stderr)
        self.assertEqual(self.state(), "open")
        self.assertEqual((self.place / "file").read_text(), "kept")
        self.close("--force")
        self.assertFalse(self.place.exists())
        self.mount()
        self.assertEqual((self.place / "file").read_text(), "kept")
        self.close()

    def test_who_has_the_image_open_keeps_it_open_too(self):
        self.made()
        status = json.loads(self.expect(0, "status", "photos", "--json", password=False).stdout)
        with open(status["exports"][0]["uri"], "rb"):
            self.assertIn(f"(pid {os.getpid()})", self.close(code=6).stderr)
            self.assertIn(str(self.place), mounts())
        self.close()

    def test_read_only_cannot_be_written_to(self):
        self.made()
        (self.place / "file").write_text("kept")
        self.close()
        self.mount("--read-only")
        self.assertEqual((self.place / "file").read_text(), "kept")
        with self.assertRaises(OSError):
            (self.place / "other").write_text("x")
        self.close()

    def notes_of_resize(self, size, name="photos"):
        """What `coffer resize` leaves to the user, said alike as text and as JSON."""
        done = self.expect(0, "resize", name, size, "--json", password=False)
        notes = json.loads(done.stdout)["notes"]
        said = self.expect(0, "resize", name, size, password=False).stderr
        for note in notes:
            self.assertIn(note, said)
        return "\n".join(notes)

    def space(self):
        found = os.statvfs(self.place)
        return found.f_blocks * found.f_frsize

    def run_program(self, *words):
        return subprocess.run([*map(str, words)], capture_output=True, text=True, timeout=60,
                              env={"PATH": "/usr/sbin:/sbin:/usr/bin:/bin", "LC_ALL": "C"})

    def grow_ext4_unmounted(self):
        self.close()
        images = self.root / "images"
        self.expect(0, "open", "photos", f"--fuse={images}")
        for words in (["e2fsck", "-fp"], ["resize2fs"]):
            done = self.run_program(*words, images / "photos.img")
            self.assertEqual(done.returncode, 0, done)
        self.close()
        self.mount()

    def test_a_mounted_volume_grows(self):
        self.made()
        (self.place / "file").write_text("kept")
        before = self.space()
        notes = self.notes_of_resize("128M")
        self.assertEqual(self.space(), before)  # the file system is its owner's to grow
        if WAY == "fuse2fs":
            self.assertIn("as long as fuse2fs has it", notes)
            self.assertIn("run e2fsck -f and resize2fs on its image", notes)
            self.grow_ext4_unmounted()
        else:
            status = json.loads(self.expect(0, "status", "photos", "--json", password=False).stdout)
            device = status["mount"]["device"]
            sectors = pathlib.Path("/sys/block", pathlib.Path(device).name, "size").read_text()
            self.assertEqual(int(sectors) * 512, 128 << 20)
            self.assertIn(f"{device} has the new size", notes)
            self.assertTrue(notes.endswith(f": resize2fs {device}"), notes)
            grown = self.run_program("resize2fs", device)
            if grown.returncode != 0:  # ext4 asks for CAP_SYS_RESOURCE, which root may lack in a container
                self.assertIn("Permission denied to resize filesystem", grown.stderr)
                print("this root may not grow a mounted ext4; xfs and btrfs below", file=sys.stderr)
                self.grow_ext4_unmounted()
        self.assertGreater(self.space(), 100 << 20)
        data = os.urandom(90 << 20)  # more than there was room for
        (self.place / "more").write_bytes(data)
        self.close()
        self.mount()
        self.assertEqual((self.place / "file").read_text(), "kept")
        self.assertEqual((self.place / "more").read_bytes(), data)
        self.close()

    def test_the_command_that_resize_names_grows_the_file_system_while_it_is_mounted(self):
        if WAY == "fuse2fs":  # which can't do that: what it says is in the test above
            self.init(size="512M")
            self.assertIn("fuse2fs is for ext4", self.mount("--mkfs=xfs", code=2).stderr)
            return
        for name, system in (("photos", "xfs"), ("mail", "btrfs")):
            self.init(name, size="512M")
            self.expect(0, "open", name, f"--mount={self.place}", "--mount-with=loop", f"--mkfs={system}")
            before = self.space()
            notes = self.notes_of_resize("640M", name)
            done = self.run_program(*notes.rsplit(": ", 1)[1].split())
            self.assertEqual(done.returncode, 0, done)
            self.assertGreaterEqual(self.space(), before + (120 << 20), system)
            self.expect(0, "close", name, password=False)

    # With write-back the kernel takes the image for a new file after a resize, and the loop device stays on the old one.
    def test_an_image_whose_size_the_kernel_keeps_is_explained_and_unmounted_all_the_same(self):
        self.init(size="64M")
        self.mount("--mkfs", "--fuse-cache=writeback")
        (self.place / "file").write_text("kept")
        notes = self.notes_of_resize("128M")
        self.assertIn("closed and opened again" if WAY == "loop" else "as long as fuse2fs has it", notes)
        (self.place / "more").write_text("kept too")
        status = json.loads(self.expect(0, "status", "photos", "--json", password=False).stdout)
        self.assertEqual(status["mount"]["trouble"], "")
        self.close()
        self.assertFalse(self.place.exists())
        self.mount("--fuse-cache=writeback")
        for name, text in (("file", "kept"), ("more", "kept too")):
            self.assertEqual((self.place / name).read_text(), text)
        self.close()

    def test_after_a_kill_the_next_open_mounts_it_again(self):
        self.made()
        with open(self.place / "file", "w") as file:
            file.write("kept")
            file.flush()
            os.fsync(file.fileno())
        held = os.open(self.place, os.O_RDONLY)  # busy, as a shell in it would be
        self.addCleanup(os.close, held)
        self.machine.kill_daemon()
        self.mount()
        self.assertEqual((self.place / "file").read_text(), "kept")
        self.assertEqual(mounts().count(str(self.place)), 1)
        self.close()
        self.assertFalse(self.place.exists())

    def test_the_end_of_the_daemon_unmounts_it(self):
        self.made()
        (self.place / "file").write_text("kept")
        self.expect(0, "daemon", "stop", password=False)
        self.assertFalse(self.place.exists())
        self.mount()
        self.assertEqual((self.place / "file").read_text(), "kept")
        self.close()

    def test_one_who_unmounts_it_himself_is_told_and_closes_it(self):
        self.made()
        subprocess.run(["umount" if WAY == "loop" else "fusermount3", *([] if WAY == "loop" else ["-u"]), self.place],
                       check=True)
        self.assertIn("mounted no more", self.expect(0, "status", "photos", password=False).stdout)
        self.close()
        self.assertFalse(self.place.exists())


if __name__ == "__main__":
    e2e.main()

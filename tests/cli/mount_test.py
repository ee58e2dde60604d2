#!/usr/bin/env python3
"""Volumes that are mounted (coffer open --mount=DIR), with the real daemon, loop devices or fuse2fs.

  mount_test.py CHEAP_DIR PLANTED_DIR [unittest arguments]        as end_to_end_test.py

Root's way is a loop device, an ordinary user's fuse2fs (tests/fuse/as_user.sh): each where it is what is
tried first and works. udisks2 has show-05-rootless.sh. Needs /dev/fuse, and fails without it.
"""
import contextlib
import json
import os
import pathlib
import socket
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
        return subprocess.run([*map(str, words)], capture_output=True, text=True, timeout=600,
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

    # With write-back the kernel believes its own size of the image, until it is told the new one.
    def test_with_write_back_a_mounted_volume_has_the_new_size_and_is_unmounted_as_ever(self):
        self.init(size="64M")
        self.mount("--mkfs", "--fuse-cache=writeback")
        (self.place / "file").write_text("kept")
        notes = self.notes_of_resize("128M")
        self.assertIn("has the new size" if WAY == "loop" else "as long as fuse2fs has it", notes)
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

    def unmount_from_outside(self, *options):
        program = ["umount"] if WAY == "loop" else ["fusermount3", "-u"]
        subprocess.run([*program, *options, self.place], check=True)

    def status(self):
        return json.loads(self.expect(0, "status", "photos", "--json", password=False).stdout)

    def test_what_somebody_else_unmounts_is_told_to_be_no_loss_and_mounted_again(self):
        self.made()
        (self.place / "file").write_text("kept")
        self.unmount_from_outside()
        e2e.wait_until(lambda: "nothing is lost" in self.status()["mount"]["trouble"], "a clean end")
        self.assertFalse(self.status()["mount"]["mounted"])
        said = self.expect(0, "status", "photos", password=False).stdout
        self.assertIn("photos is not mounted any more", said)
        self.assertIn(f"coffer open photos --mount={self.place} mounts it again", said)
        self.assertIn("(not mounted)", said)
        # In clear on the local disk: what is there now would be hidden.
        self.place.mkdir(exist_ok=True)
        (self.place / "clear").write_text("x")
        self.assertIn("not empty", self.mount(code=6).stderr)
        self.assertEqual(mounts().count(str(self.place)), 0)
        (self.place / "clear").unlink()
        again = self.mount("--mkfs")  # the line that opened it
        self.assertNotIn("made just now", again.stderr)
        self.assertEqual(mounts().count(str(self.place)), 1)
        self.assertEqual((self.place / "file").read_text(), "kept")
        self.assertTrue(self.status()["mount"]["mounted"])
        self.unmount_from_outside()
        self.close()
        self.assertFalse(self.place.exists())

    def test_what_is_in_use_out_of_sight_is_not_mounted_beside(self):
        self.made()
        with open(self.place / "file", "w") as file:
            file.write("kept")
            file.flush()
            self.unmount_from_outside("-l" if WAY == "loop" else "-z")
            self.assertIn("programs still use", self.mount(code=6).stderr)
            self.assertIn("programs still use", self.close(code=6).stderr)
            self.assertEqual(self.state(), "open")
            file.write(" whole")
        self.mount()
        self.assertEqual((self.place / "file").read_text(), "kept whole")
        self.close()

    def test_whoever_serves_it_and_dies_loses_what_it_had(self):
        if WAY == "loop":  # the kernel itself does
            self.made()
            self.assertEqual(self.status()["mount"]["device"][:9], "/dev/loop")
            return
        self.made()
        (self.place / "file").write_text("kept")
        uri = self.status()["exports"][0]["uri"]
        for comm in pathlib.Path("/proc").glob("[0-9]*/cmdline"):
            try:
                if uri.encode() in comm.read_bytes() and b"fuse2fs" in comm.read_bytes():
                    os.kill(int(comm.parent.name), 9)
            except OSError:
                pass
        e2e.wait_until(lambda: "is lost" in self.status()["mount"]["trouble"], "the death is seen")
        self.mount()
        self.assertEqual(mounts().count(str(self.place)), 1)
        self.close()

    def test_daemon_stop_names_who_uses_a_drive_and_goes_on(self):
        self.made()
        user = subprocess.Popen(["sleep", "1000"], cwd=self.place)
        self.addCleanup(user.wait)
        self.addCleanup(user.kill)
        for command in ("stop", "restart"):
            refused = self.expect(6, "daemon", command, password=False)
            self.assertIn(f"sleep (pid {user.pid}) works in it", refused.stderr)
            self.assertIn("--force", refused.stderr)
        self.assertEqual(self.state(), "open")
        self.assertIn(str(self.place), mounts())
        job = json.loads(self.expect(6, "close", "photos", "--json", password=False).stdout)
        holder = {"pid": user.pid, "program": "sleep", "what": "works in it", "volume": "backups/photos"}
        self.assertIn(holder, job["holders"])
        refused = json.loads(self.expect(6, "daemon", "stop", "--json", password=False).stderr)
        self.assertIn(holder, refused["holders"])
        self.expect(0, "daemon", "stop", "--force", password=False)
        self.assertFalse(self.place.exists())

    def test_term_flushes_what_is_in_use_and_unmounts_it(self):
        self.made()
        file = os.open(self.place / "file", os.O_CREAT | os.O_WRONLY)  # busy
        os.write(file, b"kept")

        def let_go():
            with contextlib.suppress(OSError):  # fuse2fs has ended by then
                os.close(file)
        self.addCleanup(let_go)
        pid = self.machine.pid()
        os.kill(pid, 15)
        e2e.wait_until(lambda: not e2e.running(pid), "the end", 20)
        self.assertNotIn(str(self.place), mounts())
        self.mount()
        self.assertEqual((self.place / "file").read_text(), "kept")
        self.close()

    def test_close_from_inside_does_not_name_itself(self):
        self.made()
        done = self.machine.run("close", "photos", cwd=self.place)
        self.assertEqual(done.returncode, 0, done)

    def test_read_only_what_a_crash_left_is_mounted_and_that_is_said(self):
        systems = ("ext4", "xfs") if WAY == "loop" else ("ext4",)
        for system in systems:
            name = "v" + system
            self.init(name, size="512M")
            self.expect(0, "open", name, f"--mount={self.place}", f"--mkfs={system}", f"--mount-with={WAY}")
            with open(self.place / "file", "w") as file:
                file.write("kept")
                file.flush()
                os.fsync(file.fileno())
            # As it is on the image at this moment.
            info = json.loads(self.expect(0, "status", name, "--json", password=False).stdout)
            image = self.root / "copy"
            subprocess.run(["cp", "--sparse=always", info["exports"][0]["uri"], image], check=True)
            self.expect(0, "close", name, password=False)
            images = self.root / "images"
            self.expect(0, "open", name, f"--fuse={images}")
            subprocess.run(["dd", f"if={image}", f"of={images}/{name}.img", "bs=1M", "conv=notrunc",
                            "status=none"], check=True)
            self.expect(0, "close", name, password=False)
            done = self.expect(0, "open", name, f"--mount={self.place}", "--read-only", f"--mount-with={WAY}")
            if WAY == "loop":  # fuse2fs writes no journal: there is nothing to replay
                self.assertIn("in use when it was last written", done.stderr, system)
            self.assertTrue(os.listdir(self.place) is not None)
            self.expect(0, "close", name, password=False)

    def test_an_xfs_and_its_copy_are_mounted_together(self):
        if WAY != "loop":
            self.init(size="512M")
            self.assertIn("fuse2fs is for ext4", self.mount("--mkfs=xfs", code=2).stderr)
            return
        self.init(size="512M")
        self.mount("--mkfs=xfs")
        (self.place / "file").write_text("kept")
        self.close()
        self.init("twin", size="512M")
        images = self.root / "images"
        for name in ("photos", "twin"):
            self.expect(0, "open", name, f"--fuse={images}")
        subprocess.run(["cp", "--sparse=always", images / "photos.img", self.root / "copy"], check=True)
        subprocess.run(["dd", f"if={self.root}/copy", f"of={images}/twin.img", "bs=1M", "conv=notrunc",
                        "status=none"], check=True)
        for name in ("photos", "twin"):
            self.expect(0, "close", name, password=False)
        self.mount()
        self.expect(0, "open", "twin", f"--mount={self.root}/second")
        self.assertEqual((self.root / "second" / "file").read_text(), "kept")
        for name in ("photos", "twin"):
            self.expect(0, "close", name, password=False)

    def test_data_that_is_no_file_system_is_called_that_and_can_be_emptied(self):
        self.init(size="64M")
        images = self.root / "my images"
        self.expect(0, "open", "photos", f"--fuse={images}")
        image = images / "photos.img"
        with open(image, "r+b") as file:
            file.write(os.urandom(1 << 20))
        self.close()
        for option in ((), ("--mkfs",)):
            refused = self.mount(*option, code=4 if option else 2)
            self.assertIn("data", refused.stderr)
            self.assertIn("fallocate -p -l SIZE NAME.img", refused.stderr)
        # As it says.
        self.expect(0, "open", "photos", f"--fuse={images}")
        subprocess.run(["fallocate", "-p", "-l", str(64 << 20), image], check=True)
        self.close()
        self.mount("--mkfs")
        self.close()

    def test_what_is_wrong_is_said_before_the_password_is_asked_for(self):
        self.init(size="64M")
        busy = socket.create_server(("127.0.0.1", 0))
        self.addCleanup(busy.close)
        port = busy.getsockname()[1]
        taken = self.root / "taken.sock"
        taken.write_text("no socket")
        full = self.root / "full"
        full.mkdir()
        (full / "letter.txt").write_text("mine")
        for words, code, text in (((f"--nbd=tcp:127.0.0.1:{port}",), 4, "the port is in use"),
                                  ((f"--nbd=unix:{taken}",), 4, "something is there"),
                                  (("--nbd=tcp:127.0.0.1:0", "--tls-psk=/no/keys"), 3, "/no/keys"),
                                  (("--tls-psk=/no/keys",), 2, "the shared socket has no TLS"),
                                  ((f"--fuse={full}",), 6, "it holds letter.txt"),
                                  (("--fuse=/proc",), 6, "mounted on it already"),
                                  ((f"--fuse={taken}",), 2, "is no directory"),
                                  (("--mount=/proc",), 6, "mounted at /proc already"),
                                  ((f"--mount={self.place}", "--mkfs=ntfs"), 2, "ntfs"),
                                  (("--nbd=tcp:0.0.0.0:1",), 2, "TLS"),
                                  (("--nbd=elsewhere",), 2, "elsewhere")):
            # With a password that is not even there.
            refused = self.expect(code, "open", "photos", *words, "--password-file=/no/such", password=False)
            self.assertIn(text, refused.stderr)

    def test_lost_and_found_is_the_users(self):
        self.made()
        self.assertEqual((self.place / "lost+found").stat().st_uid, os.geteuid())
        self.close()

    def test_status_shows_every_place(self):
        self.init(size="64M")
        self.expect(0, "open", "photos", "--nbd", f"--fuse={self.root}/images")
        said = self.expect(0, "status", "photos", password=False).stdout
        self.assertIn("nbd+unix://", said)
        self.assertIn(f"{self.root}/images/photos.img", said)
        self.close()


if __name__ == "__main__":
    e2e.main()

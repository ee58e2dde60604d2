#!/usr/bin/env python3
"""What steers cofferd from outside, with real processes: config file, signals, log, start and end.

  daemon_life_test.py CHEAP_DIR PLANTED_DIR [unittest arguments]        as end_to_end_test.py
"""
import json
import os
import signal
import subprocess

import end_to_end_test as e2e
from end_to_end_test import MIB, PASSWORD, Nbd, wait_until


class DaemonTest(e2e.CofferTest):
    def write_config(self, text, mode=0o600):
        directory = self.machine.root / "config" / "coffer"
        directory.mkdir(parents=True, mode=0o700, exist_ok=True)
        path = directory / "config.toml"
        path.write_text(text)
        path.chmod(mode)
        return path

    def nbd(self, name="photos"):
        client = Nbd(self.machine.runtime / "coffer" / "nbd.sock")
        self.addCleanup(client.socket.close)
        client.go(name)
        return client

    def log(self):
        return (self.machine.state / "log" / "cofferd.log").read_text()

    def hup(self):
        """Has the daemon read its config again; returns when it has."""
        before = self.log().count("HUP")
        os.kill(self.machine.pid(), signal.SIGHUP)
        wait_until(lambda: self.log().count("HUP") > before, "the reload")

    def stored_packs(self):
        return [path for path in (self.store / "packs").rglob("*") if path.is_file()]


class ConfigFile(DaemonTest):
    def shown(self, *words):
        found = json.loads(self.expect(0, "config", "show", *words, "--json", password=False).stdout)
        return {one["key"]: (one["value"], one["from"]) for one in found["settings"]}

    def test_show_says_every_value_and_where_it_comes_from(self):
        self.assertEqual(self.shown()["sync_age"], ("60s", "default"))
        path = self.write_config('[defaults]\nsync_age = "10s"\n[vaults.backups]\ncodec = "lz4"\n'
                                 '[volumes."backups/photos"]\nsync_age = "20s"\n')
        self.assertEqual(self.shown()["sync_age"], ("10s", "[defaults], line 2"))
        photos = self.shown("backups/photos")
        self.assertEqual(photos["sync_age"], ("20s", '[volumes."backups/photos"], line 6'))
        self.assertEqual(photos["codec"], ("lz4", "[vaults.backups], line 4"))
        self.assertEqual(photos["chunk_size"], ("64KiB", "default"))
        text = self.expect(0, "config", "show", password=False).stdout
        self.assertIn("memory_cache_bytes_max", text)
        self.assertIn("right", self.expect(0, "config", "check", password=False).stdout)
        path.unlink()
        self.assertIn("not there", self.expect(0, "config", "check", password=False).stdout)
        self.assertFalse(self.machine.state.exists())  # nothing was started for all that

    def test_a_file_with_mistakes_starts_no_daemon_and_check_lists_them(self):
        path = self.write_config('[defaults]\nsync_aeg = "60s"\nsync_bytes = "2GB"\n')
        done = self.expect(2, "status", password=False)
        self.assertIn(f"{path}:2: unknown key", done.stderr)
        self.assertIn("expected sync_age", done.stderr)
        self.assertIn("coffer config check", done.stderr)
        done = self.expect(2, "config", "check", password=False)
        self.assertIn(f"{path}:2: ", done.stderr)
        self.assertIn(f"{path}:3: sync_bytes = \"2GB\": expected a size", done.stderr)
        found = json.loads(self.machine.run("config", "check", "--json", password=False).stdout)
        self.assertEqual(len(found["problems"]), 2)
        self.expect(2, "config", "show", password=False)
        path.write_text("[defaults]\nsync_age = \"60s\"\nsync_age = \"60s\"\n")
        self.assertIn(f"{path}:3: ", self.expect(2, "config", "check", password=False).stderr)
        path.write_bytes(b"[defaults]\nsync_age = \"\xff\xfe\"\n")
        self.assertIn(f"{path}:2: ", self.expect(2, "config", "check", password=False).stderr)
        self.write_config("")
        self.expect(0, "status", password=False)

    def test_a_file_that_others_could_have_written_is_refused(self):
        for mode in (0o620, 0o602, 0o666):
            path = self.write_config("", mode)
            for words in (("status",), ("config", "check"), ("config", "show")):
                done = self.expect(2, *words, password=False)
                self.assertIn(f"{path}: refusing to read it", done.stderr)
                self.assertIn("chmod go-w", done.stderr)
        if os.geteuid() == 0:
            os.chown(self.write_config(""), 65534, -1)
            self.assertIn("belongs to user 65534",
                          self.expect(2, "status", password=False).stderr)
            os.chown(path, 0, -1)
        path.parent.chmod(0o777)
        self.assertIn("chmod 700", self.expect(2, "config", "check", password=False).stderr)

    def test_a_volume_is_made_and_opened_as_the_config_says(self):
        self.write_config('[defaults]\nchunk_size = "16KiB"\nmemory_cache_bytes_max = 0\n'
                          'journal_bytes_max = "16MiB"\n'
                          '[volumes."backups/mail"]\nchunk_size = "256KiB"\n')
        self.init()
        self.init("mail")
        data = self.data()
        uri = self.open()
        self.open("mail")
        self.assertEqual(self.status()["chunk_size"], 16 << 10)
        self.assertEqual(self.status()["journal_bytes_max"], 16 * MIB)
        mail = json.loads(self.expect(0, "status", "mail", "--json", password=False).stdout)
        self.assertEqual(mail["chunk_size"], 256 << 10)
        self.copy_in(data, uri)
        self.expect(0, "sync", "photos", password=False)
        self.assertEqual(self.read_back(uri, data.stat().st_size), data.read_bytes())

    def test_codec_and_pack_size_show_in_what_is_stored(self):
        self.write_config('[defaults]\ncodec = "stored"\npack_bytes_target = "64KiB"\n'
                          '[volumes."backups/mail"]\ncodec = "zstd 19"\n'
                          'pack_bytes_target = "8MiB"\n')
        self.init()
        self.init("mail")
        text = b"".join(b"line %d\n" % i for i in range(300000))[:2 * MIB]
        path = self.root / "text"
        path.write_bytes(text)
        packs, stored = {}, {}
        for name in ("photos", "mail"):
            before = self.stored_packs()
            self.copy_in(path, self.open(name))
            self.expect(0, "sync", name, password=False)
            new = [pack for pack in self.stored_packs() if pack not in before]
            packs[name], stored[name] = len(new), sum(pack.stat().st_size for pack in new)
        # Of chunks of 64 KiB, dedup aside, each has a pack of its own at a target of 64 KiB.
        self.assertGreater(packs["photos"], 20)
        self.assertLessEqual(packs["mail"], 2)
        self.assertGreater(stored["photos"], len(text))
        self.assertLess(stored["mail"], len(text) // 2)

    def test_sync_age_uploads_by_itself(self):
        self.write_config('[defaults]\nsync_age = "1s"\n')
        self.init()
        self.copy_in(self.data(), self.open())
        wait_until(lambda: self.status()["waiting_bytes"] == 0, "the upload, by age", 30)

    def test_sync_bytes_uploads_by_itself(self):
        self.write_config('[defaults]\nsync_age = "1d"\nsync_bytes = "1MiB"\n')
        self.init()
        self.copy_in(self.data(size=4 * MIB), self.open())
        wait_until(lambda: self.status()["committed"] > 0, "the upload, by amount", 30)

    def test_a_full_journal_ends_in_an_error_where_that_was_chosen(self):
        self.write_config('[defaults]\njournal_bytes_max = "16MiB"\nsync_age = "1d"\n'
                          'journal_full = "enospc-after=1s"\n')
        self.init(size="64M")
        self.open()
        self.store.rename(self.root / "unmounted")  # nothing can be uploaded
        client = self.nbd()
        errors = []
        for at in range(0, 32 * MIB, MIB):
            errors.append(client.ask(Nbd.WRITE, at, MIB, os.urandom(MIB)))
            if errors[-1] != 0:
                break
        self.assertEqual(errors[-1], Nbd.ENOSPC)
        self.assertGreater(len(errors), 8)
        self.assertLessEqual(len(errors), 17)
        self.assertEqual(len(client.read(0, MIB)), MIB)  # reads go on
        (self.root / "unmounted").rename(self.store)

    def test_hup_reads_it_again(self):
        self.write_config('[defaults]\nsync_age = "1d"\n')
        self.init()
        self.open()
        self.assertNotIn("debug", self.log())
        self.write_config('[defaults]\nsync_age = "1s"\n[daemon]\nlog_level = "debug"\n')
        self.hup()
        self.expect(0, "close", "photos", password=False)
        self.copy_in(self.data(), self.open())
        wait_until(lambda: self.status()["waiting_bytes"] == 0, "the upload, by the new age", 30)
        self.assertIn(" debug ", self.log())

    def test_hup_with_a_broken_file_changes_nothing(self):
        self.write_config('[defaults]\nchunk_size = "32KiB"\n')
        self.init()
        path = self.write_config('[defaults]\nchunk_size = "33KiB"\n')
        self.hup()
        self.assertIn(f"the config stays as it was: {path}:2: chunk_size", self.log())
        self.init("mail")
        self.open("mail")
        mail = json.loads(self.expect(0, "status", "mail", "--json", password=False).stdout)
        self.assertEqual(mail["chunk_size"], 32 << 10)


if __name__ == "__main__":
    e2e.main()

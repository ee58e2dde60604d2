#!/usr/bin/env python3
"""What commands say and do at their edges: JSON, misspelt words, where the daemon is found, the config's
place, what holds for a volume, names and sizes, password files.

  commands_test.py CHEAP_DIR PLANTED_DIR [unittest arguments]        as end_to_end_test.py
"""
import json
import os
import pathlib
import pty
import subprocess
import unittest

import end_to_end_test as e2e
from end_to_end_test import PASSWORD, MIB

COMPOSED, DECOMPOSED = "caf\u00e9", "cafe\u0301"


class Commands(e2e.CofferTest):
    def json(self, *words, **options):
        return json.loads(self.expect(0, *words, "--json", password=False, **options).stdout)

    # --- The command line ---

    def test_daemon_stop_and_restart_say_in_json_which(self):
        self.assertEqual(self.json("daemon", "stop")["pid"], 0)
        self.init()
        pid = self.machine.pid()
        after = self.json("daemon", "restart")["pid"]
        self.assertEqual(after, self.machine.pid())
        self.assertNotEqual(after, pid)
        self.assertEqual(self.json("daemon", "stop")["pid"], after)

    def test_a_word_that_is_no_command_is_named(self):
        for words in (["--json", "opne"], ["bogus", "--help"], ["--log-level", "debug", "bogus"],
                      ["daemon", "bogus"], ["daemon", "bogus", "--help"]):
            done = self.machine.run(*words, password=False)
            self.assertEqual(done.returncode, 2, words)
            self.assertIn("there is no command", done.stderr)
        self.assertEqual(self.machine.run("daemon", "--help", password=False).returncode, 0)

    def test_an_option_with_a_value_of_its_own_takes_it_as_the_next_word_too(self):
        self.init()
        self.expect(0, "open", "photos", "--nbd", f"unix:{self.root}/own.sock")
        self.assertTrue((self.root / "own.sock").exists())
        self.expect(0, "close", "photos", password=False)
        self.expect(0, "open", "--nbd", "photos")

    def test_sizes_as_people_write_them(self):
        for number, (text, size) in enumerate((("16m", 16 * MIB), ("16MB", 16 * MIB),
                                               ("16MiB", 16 * MIB), ("0.5g", 512 * MIB),
                                               ("1.5G", 1536 * MIB), ("16777216b", 16 * MIB))):
            done = self.expect(0, "init", f"v{number}", self.store, text, "--json")
            self.assertEqual(json.loads(done.stdout)["size_bytes"], size)
        for text in ("1P", "1.00001K", "1.5", "1.G", "16X", "1e3", "0", "-1"):
            self.expect(2, "init", "bad", self.store, text)

    # --- Finding the daemon, and the config ---

    def test_a_job_without_the_runtime_directory_finds_the_daemon(self):
        self.init()
        self.open()
        pid = self.machine.pid()
        cron = dict(self.machine.environment)
        del cron["XDG_RUNTIME_DIR"]
        def run(*words):
            return subprocess.run(self.machine.command(*words), env=cron, text=True,
                                  stdin=subprocess.DEVNULL, capture_output=True, timeout=600)
        self.assertEqual(json.loads(run("daemon", "status", "--json").stdout)["pid"], pid)
        self.assertIn("open", run("status", "photos").stdout)
        closed = run("close", "--all")
        self.assertEqual(closed.returncode, 0, closed.stderr)
        self.assertEqual(self.json("status", "photos")["state"], "closed")
        stopped = run("daemon", "stop")
        self.assertEqual(stopped.returncode, 0, stopped.stderr)
        self.assertFalse(e2e.running(pid))

    def config(self, text):
        directory = self.machine.root / "config" / "coffer"
        directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        path = directory / "config.toml"
        path.write_text(text)
        path.chmod(0o600)
        return path

    def test_others_may_look_into_the_config_and_a_link_may_lead_to_it(self):
        path = self.config("[defaults]\nsync_age = \"5m\"\n")
        path.parent.chmod(0o755)
        path.chmod(0o644)
        elsewhere = self.root / "dotfiles"
        path.rename(elsewhere)
        path.symlink_to(elsewhere)
        self.init()
        values = {one["key"]: one["value"] for one in self.json("config", "show")["settings"]}
        self.assertEqual(values["sync_age"], "300s")
        path.parent.chmod(0o777)
        self.expect(2, "config", "check")
        path.parent.chmod(0o755)
        elsewhere.chmod(0o666)
        self.expect(2, "config", "check")

    def test_config_check_tells_of_sections_for_what_is_not_known(self):
        self.init()
        self.config("[vaults.bakcups]\nsync_age = \"5m\"\n[vaults.backups]\nsync_age = \"5m\"\n"
                    "[volumes.\"backups/photos\"]\nsync_age = \"5m\"\n"
                    "[volumes.\"backups/fotos\"]\nsync_age = \"5m\"\n")
        found = self.json("config", "check")
        self.assertEqual(found["problems"], [])
        self.assertEqual(len(found["notes"]), 2)
        self.assertIn("bakcups", found["notes"][0] + found["notes"][1])
        self.assertIn("backups/fotos", found["notes"][0] + found["notes"][1])

    def test_an_error_of_config_show_does_not_send_you_to_config_show(self):
        self.config("[defaults]\nbogus_key_of_mine = 1\n")
        self.assertNotIn("config show", self.expect(2, "config", "show").stderr)

    def held(self, name):
        shown = self.json("config", "show", name)
        return {one["key"]: (one["value"], one["from"]) for one in shown["settings"]}

    def test_config_show_says_what_holds_for_a_volume(self):
        self.expect(0, "init", "photos", self.store, "16M", "--chunk-size=16KiB",
                    "--durability=cloud")
        for _ in range(2):
            held = self.held("photos")
            self.assertEqual(held["chunk_size"], ("16KiB", "the volume"))
            self.assertEqual(held["durability"], ("cloud", "the volume"))
            self.open()
        self.expect(0, "close", "photos", password=False)
        self.expect(0, "daemon", "restart", password=False)
        self.assertEqual(self.held("photos")["durability"], ("cloud", "the volume"))
        self.open("photos", None, "--durability=local")
        self.assertEqual(self.held("photos")["durability"], ("local", "--durability"))
        self.copy_in(self.data(), self.json("status", "photos")["exports"][0]["uri"])
        self.expect(0, "close", "photos", password=False)
        self.assertEqual(self.held("photos")["durability"], ("local", "the volume"))

    def test_dedup_can_be_turned_off(self):
        data = self.data()
        size = data.stat().st_size
        sizes = {}
        for dedup in ("vault", "off"):
            store = self.root / dedup
            # While the vault stays unlocked it is known what it has.
            uris = []
            for name in ("one", "two"):
                self.expect(0, "init", f"{dedup}-{name}", store, "16M")
                uris.append(self.open(f"{dedup}-{name}", None, f"--dedup={dedup}"))
            for uri, name in zip(uris, ("one", "two")):
                self.copy_in(data, uri)
                self.expect(0, "sync", f"{dedup}-{name}", password=False)
            self.expect(0, "close", "--all", password=False)
            sizes[dedup] = sum(p.stat().st_size for p in (store / "packs").rglob("*") if p.is_file())
        self.assertLess(sizes["vault"], 1.5 * size)
        self.assertGreater(sizes["off"], 1.9 * size)

    # --- Names ---

    def test_names_in_utf_8_are_shown_as_they_are(self):
        self.assertIn("gr\u00f6\u00dfe", self.expect(2, "init", "gr\u00f6\u00dfe", self.store, "16M").stderr)
        store = self.root / "gr\u00f6\u00dfe"
        made = json.loads(self.expect(0, "init", "photos", store, "16M", "--json").stdout)
        self.assertEqual(made["vault"]["alias"], "gr-e")
        self.assertIn(str(store), self.expect(0, "list", password=False).stdout)

    def test_a_dumb_terminal_gets_no_escapes(self):
        self.init()
        self.open()
        ours, theirs = pty.openpty()
        self.addCleanup(os.close, ours)
        done = subprocess.run(self.machine.command("close", "photos"), stderr=theirs,
                              env=dict(self.machine.environment, TERM="dumb"), timeout=600,
                              stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
        os.close(theirs)
        self.assertEqual(done.returncode, 0)
        os.set_blocking(ours, False)
        try:
            seen = os.read(ours, 65536)
        except OSError:
            seen = b""
        self.assertNotIn(b"\x1b", seen)

    def test_a_directory_asks_no_price_for_requests(self):
        self.init()
        self.open()
        self.assertNotIn("requests a day",
                         self.expect(0, "status", "photos", password=False).stdout)

    # --- Passwords that do not come from a terminal ---

    def test_a_new_password_without_a_terminal_is_asked_for_by_its_own_option(self):
        self.init()
        self.assertIn("--new-password-file", self.expect(5, "passwd", "photos").stderr)

    def bash(self, line):
        return subprocess.run(["bash", "-c", line], env=dict(self.machine.environment,
                              COFFER=self.machine.command()[0], STORE=str(self.store)), text=True,
                              capture_output=True, timeout=600, cwd=self.machine.root)

    def test_a_password_comes_from_pipes_links_and_files_of_other_systems(self):
        self.init()
        self.machine.write_password("windows", f"\ufeff{PASSWORD}\r\n")
        self.machine.write_password("open", PASSWORD, 0o644)
        (self.machine.root / "link").symlink_to(self.machine.password_file)
        for source in ("--password-file <(cat password)", "--password-file /dev/stdin < password",
                       "--password-file link", "--password-file windows",
                       "--password-fd 0 < open"):
            done = self.bash(f'"$COFFER" key list photos {source}')
            self.assertEqual(done.returncode, 0, (source, done.stderr))
        done = self.bash('"$COFFER" key list photos --password-file open')
        self.assertEqual(done.returncode, 5)
        hint = done.stderr.split("descriptor: ")[1].strip()
        self.assertEqual(self.bash(f'"$COFFER" key list photos {hint}').returncode, 0)

    def test_one_text_opens_in_either_spelling(self):
        for made, said in ((COMPOSED, DECOMPOSED), (DECOMPOSED, COMPOSED)):
            self.store = self.root / ("store-" + str(len(made)))
            self.machine.password_file = self.machine.write_password("made", made)
            self.expect(0, "init", "v" + str(len(made)), self.store, "16M")
            self.machine.password_file = self.machine.write_password("said", said)
            self.open("v" + str(len(made)))
            self.expect(0, "close", "--all", password=False)
        self.machine.password_file = self.machine.write_password("said", "caf\u00e8")
        self.expect(5, "open", "v4")


if __name__ == "__main__":
    e2e.main()

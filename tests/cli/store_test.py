#!/usr/bin/env python3
"""coffer store test: what it finds of directories, and that it leaves them as they were.

  store_test.py CHEAP_DIR PLANTED_DIR [unittest arguments]        as end_to_end_test.py
"""
import json
import unittest

import end_to_end_test as e2e


class Store(e2e.CofferTest):
    def try_out(self, code, *arguments):
        return self.expect(code, "store", "test", *arguments, password=False)

    def checks(self, code, store):
        reply = json.loads(self.try_out(code, store, "--json").stdout)
        return reply, {check["check"]: check["outcome"] for check in reply["checks"]}

    def test_an_empty_directory_passes_and_can_be_used_afterwards(self):
        place = self.root / "empty"
        place.mkdir()
        reply, checks = self.checks(0, place)
        self.assertEqual(set(checks.values()), {"ok"})
        self.assertEqual(len(checks), 9)
        self.assertTrue(reply["safe_for_two"])
        self.assertFalse(reply["holds_vault"])
        for rate in "up_bytes_per_second", "down_bytes_per_second", "round_trip_us":
            self.assertGreater(reply[rate], 0)
        self.assertLess(abs(reply["clock_difference_seconds"]), 3600)
        self.assertEqual([path for path in place.rglob("*") if path.is_file()], [])
        self.expect(0, "init", "photos", place, "16M")

    def test_a_vault_is_named_or_its_place_and_stays_as_it_was(self):
        self.init()
        files = {path: path.read_bytes() for path in self.store.rglob("*") if path.is_file()}
        said = self.try_out(0, "backups").stdout
        self.assertIn("it holds a vault", said)
        self.assertIn("This store will do", said)
        reply, _ = self.checks(0, self.store)
        self.assertTrue(reply["holds_vault"])
        self.assertEqual({path: path.read_bytes() for path in self.store.rglob("*") if path.is_file()}, files)

    def test_what_is_no_store_is_said_and_nothing_is_made(self):
        missing = self.root / "missing"
        self.assertIn("there is no such directory", self.try_out(3, missing).stderr)
        self.assertFalse(missing.exists())
        other = self.root / "other"
        other.mkdir()
        (other / "letter").write_text("dear")
        self.assertIn("not empty and holds no vault", self.try_out(4, other).stderr)
        self.assertEqual([path.name for path in other.iterdir()], ["letter"])

    def test_a_store_that_takes_nothing_says_why_and_what_it_can(self):
        self.init()
        (self.store / "probe").rmdir()
        (self.store / "probe").write_text("in the way of the directory")
        reply, checks = self.checks(9, self.store)
        self.assertEqual(checks["read"], "ok")
        self.assertEqual(checks["write"], "failed")
        self.assertEqual(checks["a full pack"], "skipped")
        self.assertFalse(reply["safe_for_two"])
    def test_a_store_that_the_config_names_is_a_place_for_vaults(self):
        nas = self.root / "nas"
        nas.mkdir()
        config = self.machine.root / "config" / "coffer"
        config.mkdir(parents=True, exist_ok=True)
        (config / "config.toml").write_text(f'[stores.nas]\nurl = "{nas}"\n')
        self.expect(0, "init", "photos", "nas:backups", "16M")
        self.assertTrue((nas / "backups" / "vault").is_file())
        self.assertEqual(self.checks(0, "nas:backups")[0]["store"], str(nas / "backups"))
        listed = json.loads(self.expect(0, "list", "--json", password=False).stdout)
        self.assertEqual([vault["store"] for vault in listed["vaults"]], [str(nas / "backups")])
        unknown = self.try_out(11, "usb:backups")
        self.assertIn("'usb:' is not known", unknown.stderr)


if __name__ == "__main__":
    e2e.main()

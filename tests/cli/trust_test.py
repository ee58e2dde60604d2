#!/usr/bin/env python3
"""The ways out of ROLLBACK, FORK and a lost trust file: trust show, accept and forget; and that `add` and
`init` give a vault that is known another store or name only when they are told to.

  trust_test.py CHEAP_DIR PLANTED_DIR [unittest arguments]        as end_to_end_test.py
"""
import json
import shutil
import unittest

import end_to_end_test as e2e


class Trust(e2e.CofferTest):
    def fill(self, data, name="photos"):
        """Opens, writes, closes with everything uploaded."""
        self.copy_in(data, self.open(name))
        self.expect(0, "close", name, password=False)

    def copy_of(self, store, name):
        path = self.root / name
        shutil.copytree(store, path)
        return path

    def vault_state(self):
        vaults = list((self.machine.state / "vaults").iterdir())
        self.assertEqual(len(vaults), 1)
        return vaults[0]

    def show(self):
        return json.loads(self.expect(0, "trust", "show", "backups", "--json").stdout)

    def stores(self):
        listed = json.loads(self.expect(0, "list", "--json", password=False).stdout)
        return {vault["alias"]: vault["store"] for vault in listed["vaults"]}

    def content(self, size, *options):
        back = self.read_back(self.open("photos", None, *options), size)
        return back

    def accept(self, code=0, confirm="backups"):
        return self.expect(code, "trust", "accept", "backups", f"--confirm={confirm}")

    # --- ROLLBACK: the second copy that GUARANTEES.md advises ---

    def test_a_second_copy_is_read_at_once_and_written_after_accept(self):
        old, new = self.data("old"), self.data("new")
        size = old.stat().st_size
        self.init()
        self.fill(old)
        copy = self.copy_of(self.store, "copy")
        self.fill(new)
        self.expect(0, "init", "more", self.store, "16M")  # the catalog goes on too
        shutil.rmtree(self.store)
        known = e2e.tree_of(self.machine.state)
        refused = self.expect(4, "add", copy)
        self.assertIn(f"coffer add {copy} --replace", refused.stderr)
        self.assertEqual(e2e.tree_of(self.machine.state), known)
        added = self.expect(0, "add", copy, "--replace")
        self.assertIn("ROLLBACK", added.stderr)
        self.assertIn("coffer trust accept backups", added.stderr)
        self.assertEqual(self.stores(), {"backups": str(copy)})

        failed = self.expect(10, "open", "photos")
        self.assertIn("ROLLBACK", failed.stderr)
        self.assertIn("coffer trust accept backups", failed.stderr)
        before = e2e.tree_of(copy)
        self.assertEqual(self.content(size, "--read-only"), old.read_bytes())
        self.assertIn("ROLLBACK", self.status(10)["needs"][0])
        self.assertEqual(e2e.tree_of(copy), before)
        self.accept(6)
        self.expect(0, "close", "photos", password=False)
        self.assertEqual(e2e.tree_of(copy), before)

        shown = self.show()
        self.assertTrue(shown["doubtful"])
        self.assertEqual({chain["verdict"] for chain in shown["chains"] if chain["doubt"]},
                         {"older", "missing"})
        state = e2e.tree_of(self.machine.state)
        self.accept(2, confirm="photos")
        wrong = self.machine.write_password("wrong", "not it")
        self.expect(5, "trust", "accept", "backups", "--confirm=backups", "--password-file", wrong,
                    password=False)
        self.assertEqual(e2e.tree_of(self.machine.state), state)
        self.accept()
        self.assertEqual(len(list(self.vault_state().glob("trust.replaced-*"))), 1)
        self.assertFalse(self.show()["doubtful"])
        self.assertEqual(self.content(size), old.read_bytes())
        self.copy_in(new, self.open())
        self.expect(0, "close", "photos", password=False)
        self.assertEqual(self.content(size), new.read_bytes())

    # --- the newest head is empty after a power cut of the store's machine ---

    def newest_head(self):
        return min(self.store.glob("heads/*/*"))

    def test_an_emptied_head_is_put_back_by_the_machine_that_wrote_it(self):
        data = self.data("new")
        self.init()
        self.fill(data)
        head = self.newest_head()
        whole = head.read_bytes()
        head.chmod(0o600)
        head.write_bytes(b"")
        opened = self.expect(0, "open", "photos")
        self.assertIn("was damaged in the store; it was put back", opened.stderr)
        self.assertEqual(head.read_bytes(), whole)
        uri = json.loads(self.expect(0, "open", "photos", "--json", password=False).stdout)["uri"]
        self.assertEqual(self.read_back(uri, data.stat().st_size), data.read_bytes())

    def test_an_emptied_head_is_read_as_of_the_one_before_and_gone_on_from_once_accepted(self):
        old, new = self.data("old"), self.data("new")
        self.init()
        self.fill(old)
        before = self.newest_head()
        self.fill(new)
        shutil.rmtree(self.vault_state())  # another machine, which has none of it
        self.expect(0, "daemon", "stop", password=False)
        self.expect(0, "add", self.store)
        for path in self.store.glob("heads/*/*"):
            if path.name < before.name:
                path.chmod(0o600)
                path.write_bytes(b"")
        tree = e2e.tree_of(self.store)
        failed = self.expect(10, "open", "photos")
        self.assertIn("is damaged", failed.stderr)
        self.assertIn("coffer open --read-only", failed.stderr)
        self.assertEqual(self.content(old.stat().st_size, "--read-only"), old.read_bytes())
        self.assertIn("is damaged", self.status(10)["needs"][0])
        self.assertEqual(e2e.tree_of(self.store), tree)
        self.expect(0, "close", "photos", password=False)
        for path in self.store.glob("heads/*/*"):
            if path.name < before.name:
                path.unlink()  # as the hint says
        self.expect(0, "trust", "show", "backups")
        self.accept()
        self.assertEqual(self.content(old.stat().st_size), old.read_bytes())

    def test_an_accept_that_fails_has_changed_nothing(self):
        self.init()
        self.fill(self.data("old"))
        copy = self.copy_of(self.store, "copy")
        self.fill(self.data("new"))
        self.expect(0, "add", copy, "--replace")
        obstacle = self.vault_state() / "trust.tmp" / "in-the-way"
        obstacle.mkdir(parents=True)
        state = e2e.tree_of(self.machine.state)
        self.accept(2)  # EISDIR
        self.assertEqual(e2e.tree_of(self.machine.state), state)
        self.assertTrue(self.show()["doubtful"])
        shutil.rmtree(obstacle.parent)
        self.accept()
        self.open()

    def test_what_is_accepted_is_what_was_looked_at(self):
        self.init()
        self.fill(self.data("old"))
        copy = self.copy_of(self.store, "copy")
        self.fill(self.data("new"))
        self.expect(0, "add", copy, "--replace")
        self.assertEqual(
            self.machine.ask("POST", "/v1/vaults/backups/accept",
                             json.dumps({"offer": "00" * 32, "password": e2e.PASSWORD}))[0], 409)
        self.assertTrue(self.show()["doubtful"])

    # --- FORK ---

    def test_another_history_is_read_and_accepted_too(self):
        self.init()
        self.fill(self.data("old"))
        copy = self.copy_of(self.store, "copy")
        second = self.new_machine("second")
        self.expect(0, "add", copy, machine=second)
        other = self.data("other")
        self.copy_in(other, self.open("copy/photos", second))
        self.expect(0, "close", "--all", machine=second, password=False)
        self.fill(self.data("new"))
        self.fill(self.data("newer"))
        self.expect(0, "add", copy, "--replace")
        self.assertRegex(self.expect(10, "open", "photos").stderr, "FORK|ROLLBACK")
        size = other.stat().st_size
        self.assertEqual(self.content(size, "--read-only"), other.read_bytes())
        self.expect(0, "close", "photos", password=False)
        self.accept()
        self.assertEqual(self.content(size), other.read_bytes())

    # --- A lost trust file ---

    def test_a_lost_trust_file_takes_nothing_away_that_was_not_uploaded(self):
        self.init()
        self.fill(self.data("old"))
        new = self.data("new")
        size = new.stat().st_size
        self.copy_in(new, self.open())
        self.expect(12, "close", "photos", "--no-wait", password=False)
        self.expect(0, "daemon", "stop", password=False)
        (self.vault_state() / "trust").unlink()
        self.assertIn("coffer trust accept backups", self.expect(10, "open", "photos").stderr)
        self.open("photos", None, "--read-only")
        self.expect(12, "close", "photos", password=False)
        self.assertIn("missing", self.show()["lost"])
        self.accept()
        self.assertEqual(self.content(size), new.read_bytes())

    def test_a_damaged_trust_file_is_kept_beside_the_new_one(self):
        self.init()
        self.fill(self.data())
        self.expect(0, "daemon", "stop", password=False)
        trust = self.vault_state() / "trust"
        damaged = b"x" * 100
        trust.write_bytes(damaged)
        self.expect(10, "open", "photos")
        self.accept()
        self.assertEqual([path.read_bytes() for path in self.vault_state().glob("trust.replaced-*")],
                         [damaged])
        self.open()

    # --- show, where all is well ---

    def test_show_says_in_words_that_all_is_well(self):
        self.init()
        self.fill(self.data())
        shown = self.expect(0, "trust", "show", "photos").stdout
        self.assertIn("key header", shown)
        self.assertIn("volume photos", shown)
        self.assertIn("Nothing speaks against it.", shown)
        self.open()
        self.assertFalse(json.loads(self.expect(0, "trust", "show", "backups/photos", "--json",
                                                password=False).stdout)["doubtful"])
        self.expect(3, "trust", "show", "nothing")

    # --- add, init, forget ---

    def test_neither_store_nor_name_changes_without_replace(self):
        self.init()
        copy = self.copy_of(self.store, "copy")
        self.expect(4, "init", "more", copy, "16M")
        self.expect(4, "add", self.store, "--as", "other")
        self.expect(4, "init", "more", self.store, "16M", "--as", "other")
        self.assertEqual(self.stores(), {"backups": str(self.store)})
        self.open()
        self.expect(6, "add", copy, "--replace")
        self.expect(0, "close", "photos", password=False)
        self.assertEqual(self.stores(), {"backups": str(self.store)})
        self.expect(0, "add", self.store, "--as", "other", "--replace")
        self.assertEqual(self.stores(), {"other": str(self.store)})
        self.expect(0, "init", "more", self.store, "16M")

    def test_forget_takes_a_vault_from_the_list_and_nothing_from_the_disk(self):
        self.init()
        data = self.data()
        self.copy_in(data, self.open())
        self.expect(6, "trust", "forget", "backups", password=False)
        self.expect(12, "close", "photos", "--no-wait", password=False)
        self.assertIn("--force", self.expect(6, "trust", "forget", "backups", password=False).stderr)
        self.expect(0, "trust", "forget", "backups", "--force", password=False)
        self.assertEqual(self.stores(), {})
        self.expect(3, "open", "photos")
        self.expect(0, "add", self.store)
        self.assertEqual(self.content(data.stat().st_size), data.read_bytes())

    def test_a_vault_without_volumes_is_listed_and_can_be_forgotten(self):
        self.init()
        self.expect(0, "delete", "photos", "--confirm=photos")
        listed = self.expect(0, "list", password=False).stdout
        self.assertIn("backups", listed)
        self.assertEqual(self.expect(0, "list", "--names", password=False).stdout, "")
        shutil.rmtree(self.store)
        self.expect(0, "trust", "forget", "backups", password=False)
        self.assertNotIn("backups", self.expect(0, "list", password=False).stdout)


if __name__ == "__main__":
    e2e.main()

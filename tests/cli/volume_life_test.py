#!/usr/bin/env python3
"""The commands of a volume's life as their users meet them: passwd, key list, rename, resize, delete,
info, and what a terminal shows of long work.

  volume_life_test.py CHEAP_DIR PLANTED_DIR [unittest arguments]        as end_to_end_test.py
"""
import json
import os
import socket
import struct
import subprocess
import unittest
import urllib.parse

import end_to_end_test as e2e
from end_to_end_test import MIB, PASSWORD, tree_of

NEW = "battery staple"


class NbdClient:
    """A connection that stays open."""

    def __init__(self, uri):
        parts = urllib.parse.urlsplit(uri)
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.connect(urllib.parse.parse_qs(parts.query)["socket"][0])
        name = parts.path.lstrip("/").encode()
        self.take(18)
        self.sock.sendall(struct.pack(">I8sII", 3, b"IHAVEOPT", 1, len(name)) + name)
        self.size, _ = struct.unpack(">QH", self.take(10))

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.sock.close()

    def take(self, count):
        data = b""
        while len(data) < count:
            more = self.sock.recv(count - len(data))
            assert more, "the server hung up"
            data += more
        return data

    def ask(self, kind, offset, length, data=b"", reply=0):
        self.sock.sendall(struct.pack(">IHHQQI", 0x25609513, 0, kind, 1, offset, length) + data)
        _, error, _ = struct.unpack(">IIQ", self.take(16))
        assert error == 0, f"NBD error {error}"
        return self.take(reply)

    def read(self, offset, length):
        return self.ask(0, offset, length, reply=length)

    def write(self, offset, data):
        self.ask(1, offset, len(data), data)


class VolumeLife(e2e.CofferTest):
    client = staticmethod(NbdClient)

    def wait_for_no_client(self):
        """A server learns a moment later that its client has gone."""
        e2e.wait_until(lambda: all(export["clients"] == 0 for export in self.status()["exports"]),
                       "the client's end")

    # --- passwd, key list ---

    def passwd(self, code=0, new=NEW, **options):
        new_file = self.machine.write_password("new", new)
        return self.expect(code, "passwd", "photos", "--new-password-file", new_file, **options)

    def with_password(self, text):
        self.machine.password_file = self.machine.write_password("password", text)

    def test_passwd_changes_the_password_and_no_pack(self):
        self.init()
        self.expect(0, "init", "music", self.store, "16M")
        self.copy_in(self.data(), self.open())
        self.expect(0, "close", "photos")
        before = tree_of(self.store / "packs")
        done = self.passwd()
        self.assertIn("photos, music", done.stdout)
        self.assertEqual(tree_of(self.store / "packs"), before)
        self.expect(5, "open", "photos")
        self.with_password(NEW)
        self.open()
        second = self.new_machine("second")
        self.expect(5, "add", self.store, machine=second)
        second.password_file = second.write_password("password", NEW)
        self.expect(0, "add", self.store, machine=second)

    def test_passwd_of_an_open_volume_lets_its_clients_go_on(self):
        self.init()
        uri = self.open()
        data = self.data()
        self.copy_in(data, uri)
        self.passwd()
        self.assertEqual(self.read_back(uri, data.stat().st_size), data.read_bytes())
        self.expect(0, "sync", "photos", password=False)
        self.expect(0, "close", "photos", password=False)
        self.expect(5, "open", "photos")
        self.with_password(NEW)
        self.assertEqual(self.read_back(self.open(), data.stat().st_size), data.read_bytes())

    def test_passwd_asks_for_the_old_password_although_the_keys_are_held(self):
        self.init()
        self.open()
        store, state = tree_of(self.store), tree_of(self.machine.state)
        self.passwd(5, password=False)
        wrong = self.machine.write_password("wrong", "not it")
        self.expect(5, "passwd", "photos", "--new-password-file", wrong, "--password-file", wrong,
                    password=False)
        self.expect(5, "key", "list", "photos", "--password-file", wrong, password=False)
        self.passwd(5, new="")
        loose = self.machine.write_password("loose", "x", 0o644)
        self.expect(5, "passwd", "photos", "--new-password-file", loose)
        self.expect(3, "passwd", "nothing", "--new-password-file", wrong)
        self.expect(2, "passwd", "photos", "--new-password-file", wrong, "--new-password-fd", "0")
        self.assertEqual((tree_of(self.store), tree_of(self.machine.state)), (store, state))
        self.expect(0, "key", "list", "photos")

    def test_passwd_at_a_terminal_asks_for_the_old_one_and_twice_for_the_new(self):
        self.init()
        process, terminal = self.at_terminal("passwd", "photos")
        seen = self.read_until(terminal, "Password for vault backups: ")
        os.write(terminal, PASSWORD.encode() + b"\n")
        for prompt in ("New password for vault backups: ", "Repeat the new password: "):
            seen += self.read_until(terminal, prompt)
            os.write(terminal, NEW.encode() + b"\n")
        self.assertEqual(process.wait(timeout=600), 0)
        self.assertNotIn(NEW, seen)
        self.expect(5, "open", "photos")
        self.with_password(NEW)
        self.open()

    def test_key_list_tells_of_each_slot(self):
        self.init()
        shown = self.expect(0, "key", "list", "photos").stdout
        self.assertIn("password", shown)
        self.assertIn("0 *", shown)
        keys = json.loads(self.expect(0, "key", "list", "photos", "--json").stdout)
        self.assertEqual(keys["header_sequence"], 1)
        self.assertEqual([(k["slot"], k["kind"], k["opened"]) for k in keys["keys"]],
                         [(0, "password", True)])
        self.assertEqual(keys["keys"][0]["host"], os.uname().nodename)

    # --- rename ---

    def test_rename_gives_another_name_and_keeps_the_rest(self):
        self.init()
        data = self.data()
        self.copy_in(data, self.open())
        self.expect(6, "rename", "photos", "pics")
        self.expect(0, "close", "photos")
        renamed = json.loads(self.expect(0, "rename", "photos", "pics", "--json").stdout)
        self.assertEqual((renamed["volume"], renamed["vault"]), ("pics", "backups"))
        self.expect(3, "open", "photos")
        self.assertEqual(self.read_back(self.open("pics"), data.stat().st_size), data.read_bytes())
        second = self.new_machine("second")
        self.assertIn("pics", self.expect(0, "add", self.store, machine=second).stdout)

    def test_rename_onto_a_name_in_use_or_none_at_all_changes_nothing(self):
        self.init()
        self.init("music")
        before = tree_of(self.store)
        self.expect(4, "rename", "photos", "music")
        self.expect(4, "rename", "photos", "photos")
        self.open("music")
        self.expect(4, "rename", "photos", "music")
        for name in ("a/b", "..", "", "x" * 64, "a\nb"):
            self.expect(2, "rename", "photos", name)
        self.expect(3, "rename", "nothing", "pics")
        after = tree_of(self.store)
        for name, content in before.items():
            self.assertEqual(after[name], content, name)
        listed = json.loads(self.expect(0, "list", "--json").stdout)["volumes"]
        self.assertEqual(sorted(v["volume"] for v in listed), ["music", "photos"])

    def test_rename_needs_the_password_only_while_the_vault_is_locked(self):
        self.init()
        self.init("music")
        self.expect(5, "rename", "photos", "pics", password=False)
        self.open("music")
        self.expect(0, "rename", "photos", "pics", password=False)

    # --- resize ---

    def size_at(self, uri):
        return int(subprocess.run(["nbdinfo", "--size", uri], check=True, capture_output=True,
                                  timeout=600).stdout)

    def test_a_volume_grows_under_its_clients_and_who_reconnects_sees_it(self):
        self.init()
        uri = self.open()
        data = self.data()
        with self.client(uri) as client:
            client.write(0, data.read_bytes()[:MIB])
            self.expect(0, "resize", "photos", "32M", password=False)
            client.write(4096, data.read_bytes()[4096:MIB])
            self.assertEqual(client.read(0, MIB), data.read_bytes()[:MIB])
            self.expect(6, "resize", "photos", "8M", "--discard-tail")
        self.assertEqual(self.size_at(uri), 32 * MIB)
        self.assertEqual(self.status()["size_bytes"], 32 * MIB)

    def test_a_volume_shrinks_only_with_the_flag_and_without_clients(self):
        self.init()
        uri = self.open()
        self.copy_in(self.data(size=16 * MIB), uri)
        before = self.read_back(uri, 16 * MIB)
        done = self.expect(2, "resize", "photos", "8M")
        self.assertIn("--discard-tail", done.stderr)
        self.assertEqual(self.read_back(uri, 16 * MIB), before)
        self.wait_for_no_client()
        self.expect(0, "resize", "photos", "8M", "--discard-tail")
        self.assertEqual(self.size_at(uri), 8 * MIB)
        self.wait_for_no_client()
        self.expect(0, "resize", "photos", "16M")
        self.assertEqual(self.read_back(uri, 16 * MIB), before[:8 * MIB] + bytes(8 * MIB))
        self.expect(0, "close", "photos")
        self.assertEqual(self.read_back(self.open(), 16 * MIB), before[:8 * MIB] + bytes(8 * MIB))

    def test_a_closed_volume_is_resized_with_the_password(self):
        self.init()
        self.expect(5, "resize", "photos", "32M", password=False)
        self.expect(0, "resize", "photos", "32M")
        self.assertEqual(self.status()["state"], "closed")
        second = self.new_machine("second")
        self.assertIn("32 MiB", self.expect(0, "add", self.store, machine=second).stdout)
        for size in ("0", "1", "17T", "many", ""):
            self.expect(2, "resize", "photos", size, "--discard-tail")
        self.expect(3, "resize", "nothing", "32M")
        self.assertEqual(self.status()["size_bytes"], 32 * MIB)

    def test_a_resize_without_its_store_waits_in_the_journal(self):
        self.init()
        uri = self.open()
        away = self.root / "unmounted"
        self.store.rename(away)
        self.expect(0, "resize", "photos", "32M")
        self.assertEqual(self.size_at(uri), 32 * MIB)
        self.machine.kill_daemon()
        away.rename(self.store)
        self.assertEqual(self.size_at(self.open()), 32 * MIB)

    # --- delete ---

    def test_delete_removes_the_volume_everywhere_and_frees_its_name(self):
        self.init()
        self.copy_in(self.data(), self.open())
        self.expect(6, "delete", "photos", "--confirm=photos")
        self.expect(0, "close", "photos")
        packs = tree_of(self.store / "packs")
        done = self.expect(0, "delete", "photos", "--confirm=photos")
        self.assertIn("for gc", done.stdout)
        self.assertEqual(tree_of(self.store / "packs"), packs)
        self.expect(3, "open", "photos")
        self.expect(3, "delete", "photos", "--confirm=photos")
        self.assertEqual(list((self.machine.state).glob("vaults/*/volumes/*")), [])
        second = self.new_machine("second")
        self.assertNotIn("photos", self.expect(0, "add", self.store, machine=second).stdout)
        self.init()
        self.open()

    def test_delete_wants_the_name_and_the_password(self):
        self.init()
        self.init("music")
        self.open("music")  # the keys are held
        before = tree_of(self.store)
        self.expect(2, "delete", "photos")  # no terminal to ask at
        self.expect(2, "delete", "photos", "--confirm=music")
        self.expect(5, "delete", "photos", "--confirm=photos", password=False)
        wrong = self.machine.write_password("wrong", "not it")
        self.expect(5, "delete", "photos", "--confirm=photos", "--password-file", wrong,
                    password=False)
        code, answer = self.machine.ask("POST", "/v1/volumes/photos/delete",
                                        json.dumps({"password": PASSWORD}))
        self.assertEqual((code, answer["code"]), (400, "invalid-argument"))
        self.assertEqual(tree_of(self.store), before)
        self.expect(0, "delete", "photos", "--confirm=photos")

    def test_delete_at_a_terminal_asks_for_the_name(self):
        self.init()
        process, terminal = self.at_terminal("delete", "photos")
        self.read_until(terminal, "Type its name to delete it: ")
        os.write(terminal, b"no\n")
        self.assertEqual(process.wait(timeout=600), 2)
        process, terminal = self.at_terminal("delete", "photos")
        self.read_until(terminal, "Type its name to delete it: ")
        os.write(terminal, b"photos\n")
        self.read_until(terminal, "Password for vault backups: ")
        os.write(terminal, PASSWORD.encode() + b"\n")
        self.assertEqual(process.wait(timeout=600), 0)
        self.expect(3, "status", "photos")

    def test_delete_says_how_much_waits_for_gc(self):
        self.init()
        self.copy_in(self.data(), self.open())
        self.expect(0, "close", "photos")
        packs = sum(path.stat().st_size for path in (self.store / "packs").rglob("*/*"))
        done = json.loads(self.expect(0, "delete", "photos", "--confirm=photos", "--json").stdout)
        self.assertEqual(done["volume"], "photos")
        self.assertGreater(done["gc_bytes"], packs // 2)
        self.assertLess(done["gc_bytes"], packs * 2)
        self.assertFalse(done["gc_bytes_shared"])
        self.init()
        said = self.expect(0, "delete", "photos", "--confirm=photos").stdout
        self.assertRegex(said, r"[0-9] [KMG]?i?B in the store wait for gc")

    # --- info ---

    def test_info_tells_what_the_volume_takes(self):
        self.init()
        quick = json.loads(self.expect(0, "info", "photos", "--quick", "--json",
                                       password=False).stdout)
        self.assertNotIn("survey", quick)
        self.assertNotIn("requests", quick)
        self.expect(5, "info", "photos", password=False)  # no terminal to ask at
        data = self.data()
        self.copy_in(data, self.open())
        self.expect(0, "sync", "photos")
        info = json.loads(self.expect(0, "info", "photos", "--json", password=False).stdout)
        survey = info["survey"]
        blocks = data.read_bytes()
        used = sum(any(blocks[at:at + 4096]) for at in range(0, len(blocks), 4096)) * 4096
        self.assertGreaterEqual(survey["data_bytes"], used)
        self.assertEqual(survey["head_sequence"], info["volume"]["head_sequence"])
        self.assertEqual(survey["heads"], len(list((self.store / "heads").rglob("*/*"))))
        packs = [path.stat().st_size for path in (self.store / "packs").rglob("*/*")]
        self.assertEqual(survey["packs"], len(packs))
        self.assertLessEqual(survey["pack_bytes"], sum(packs))
        stored = survey["frame_bytes"] + survey["page_bytes"] + survey["delta_bytes"]
        self.assertLessEqual(stored, survey["pack_bytes"])
        self.assertGreater(info["requests"]["bytes_up"], stored)
        self.assertEqual([key["kind"] for key in info["keys"]], ["password"])
        self.assertEqual(info["codec"], "zstd 1")
        said = self.expect(0, "info", "photos", password=False).stdout
        for line in ("size", "stored", "dedup saves", "chunk size", "codec", "keys", "heads",
                     "requests", "packs", "overhead", "chunks with patches"):
            self.assertRegex(said, rf"(?m)^{line} ", said)

    # --- progress ---

    def test_a_terminal_shows_how_a_job_gets_on_and_ctrl_c_ends_the_wait_alone(self):
        self.init()
        self.copy_in(self.data(), self.open())
        away = self.root / "unmounted"
        self.store.rename(away)  # the sync now tries for some seconds
        process, terminal = self.at_terminal("sync", "photos")
        self.assertRegex(self.read_until(terminal, " of "), r"sync backups/photos +[0-9]+% ")
        os.write(terminal, b"\x03")
        self.read_until(terminal, "goes on")
        self.assertEqual(process.wait(timeout=600), 130)
        away.rename(self.store)
        e2e.wait_until(lambda: self.status()["waiting_bytes"] == 0, "the upload, by itself", 120)

    def test_without_a_terminal_nothing_is_shown(self):
        self.init()
        self.copy_in(self.data(), self.open())
        self.assertEqual(self.expect(0, "sync", "photos").stderr, "")
        self.assertEqual(self.expect(0, "close", "photos").stderr, "")

    def test_delete_of_what_another_machine_has_open_is_a_conflict(self):
        self.init()
        second = self.new_machine("second")
        self.expect(0, "add", self.store, machine=second)
        self.copy_in(self.data(), self.open("photos", second))
        self.expect(0, "sync", "photos", machine=second)
        done = self.expect(6, "delete", "photos", "--confirm=photos")
        self.assertIn("close it there", done.stderr)
        self.expect(0, "close", "photos", machine=second)
        self.expect(0, "delete", "photos", "--confirm=photos")

    def test_paused_uploads_rest_also_in_a_daemon_started_anew_but_for_what_is_waited_for(self):
        self.init()
        for wrong in "soon", "0s", "-5m", "400d":
            self.expect(2, "pause", wrong, password=False)
        self.assertIn("uploads are paused until 20", self.expect(0, "pause", "2h", password=False).stdout)
        uri = self.open("photos", None, "--sync-age=1s")
        self.copy_in(self.data(), uri)
        status = self.status()
        self.assertTrue(status["uploads_paused"])
        self.assertGreater(status["waiting_bytes"], 0)
        self.assertIn("uploads paused", self.expect(0, "status", password=False).stdout)
        self.expect(0, "daemon", "restart", password=False)
        listed = json.loads(self.expect(0, "status", "--json", password=False).stdout)
        self.assertTrue(listed["uploads"]["paused"])
        self.open("photos", None, "--sync-age=1s")
        self.assertGreater(self.status()["waiting_bytes"], 0)
        self.expect(0, "sync", "photos")
        self.assertEqual(self.status()["waiting_bytes"], 0)
        self.copy_in(self.data(), self.open())
        self.assertGreater(self.status()["waiting_bytes"], 0)
        self.expect(0, "resume", password=False)
        e2e.wait_until(lambda: self.status()["waiting_bytes"] == 0, "the upload, by itself", 120)
        self.assertFalse(self.status()["uploads_paused"])


if __name__ == "__main__":
    e2e.main("__main__")

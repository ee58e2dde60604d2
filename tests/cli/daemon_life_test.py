#!/usr/bin/env python3
"""What steers cofferd from outside, with real processes: config file, signals, log, start and end.

  daemon_life_test.py CHEAP_DIR PLANTED_DIR [unittest arguments]        as end_to_end_test.py
"""
import base64
import http.server
import json
import os
import pathlib
import shutil
import signal
import socketserver
import subprocess
import sys
import threading
import time

import end_to_end_test as e2e
from end_to_end_test import MIB, PASSWORD, Nbd, running, wait_until

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
import reader


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

    def info_of(self, name):
        return json.loads(self.expect(0, "status", name, "--json", password=False).stdout)

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
        self.assertFalse(self.machine.state.exists())  # nothing was started for all that
        self.init()
        for name in ("photos", "backups/photos"):
            photos = self.shown(name)
            self.assertEqual(photos["sync_age"], ("20s", '[volumes."backups/photos"], line 6'))
            self.assertEqual(photos["codec"], ("lz4", "[vaults.backups], line 4"))
            self.assertEqual(photos["chunk_size"], ("64KiB", "the volume"))
        self.expect(3, "config", "show", "nothing", password=False)
        text = self.expect(0, "config", "show", password=False).stdout
        self.assertIn("memory_cache_bytes_max", text)
        self.assertIn("no problems", self.expect(0, "config", "check", password=False).stdout)
        path.unlink()
        self.assertIn("not found; using defaults",
                      self.expect(0, "config", "check", password=False).stdout)

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
        self.assertIn(f"chmod go-w {path.parent}\n",
                      self.expect(2, "config", "check", password=False).stderr)
        path.parent.chmod(0o755)  # may be read
        self.expect(0, "config", "check", password=False)

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
        self.assertEqual(self.info_of("mail")["chunk_size"], 256 << 10)
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

    def test_status_says_what_the_sync_age_costs(self):
        self.write_config('[defaults]\nsync_age = "10m"\n')
        self.init()
        self.open()
        # 144 commits a day and 4 folds, each a pack, a head and a look.
        self.assertEqual(self.status()["requests_per_day"], 3 * (144 + 4))
        # A directory asks no price for them.
        text = self.expect(0, "status", "photos", password=False).stdout
        self.assertNotIn("requests a day", text)

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

    def test_hup_changes_open_volumes_too(self):
        self.write_config('[defaults]\nsync_age = "1d"\n')
        self.init()
        self.copy_in(self.data(), self.open())
        self.assertGreater(self.status()["waiting_bytes"], 0)
        self.assertNotIn(" debug ", self.log())
        self.write_config('[defaults]\nsync_age = "1s"\njournal_bytes_max = "16MiB"\n'
                          'disk_cache_bytes_max = "1GiB"\n[daemon]\nlog_level = "debug"\n')
        self.hup()
        wait_until(lambda: self.status()["waiting_bytes"] == 0, "the upload, by the new age", 30)
        self.assertEqual(self.status()["journal_bytes_max"], 16 * MIB)
        self.assertIn(" debug ", self.log())

    def test_a_flag_wins_until_the_volume_is_closed(self):
        self.write_config('[volumes."backups/photos"]\nsync_age = "1d"\ncodec = "lz4"\n')
        self.expect(0, "init", "photos", self.store, "16M", "--chunk-size=128KiB")
        self.open("photos", None, "--sync-age=1s", "--journal-full=enospc-after=9")
        self.assertEqual(self.status()["chunk_size"], 128 << 10)
        shown = self.shown("photos")
        self.assertEqual(shown["sync_age"], ("1s", "--sync-age"))
        self.assertEqual(shown["journal_full"], ("enospc-after=9s", "--journal-full"))
        self.assertEqual(shown["codec"][0], "lz4")
        self.hup()
        self.assertEqual(self.shown("photos")["sync_age"][0], "1s")
        self.open()  # without a word on them they stay
        done = self.expect(6, "open", "photos", "--sync-age=2s")
        self.assertIn("other settings", done.stderr)
        self.assertIn("expected a time", self.expect(2, "open", "photos", "--sync-age=x").stderr)
        self.expect(2, "init", "mail", self.store, "16M", "--chunk-size=9KiB")
        self.expect(0, "close", "photos", password=False)
        self.assertEqual(self.shown("photos")["sync_age"][0], "86400s")

    def test_with_cloud_durability_a_flush_waits_for_the_store(self):
        self.init()
        self.open("photos", None, "--durability=cloud")
        self.assertEqual(self.status()["durability"], "cloud")
        client = self.nbd()
        self.assertEqual(client.ask(Nbd.WRITE, 0, MIB, os.urandom(MIB)), 0)
        self.assertGreater(self.status()["waiting_bytes"], 0)
        self.assertEqual(client.ask(Nbd.FLUSH, 0, 0), 0)
        self.assertEqual(self.status()["waiting_bytes"], 0)
        client.socket.close()
        self.expect(0, "close", "photos", password=False)
        self.open()
        self.assertEqual(self.status()["durability"], "cloud")  # the head remembers

    def test_each_export_tells_its_description_and_block_sizes(self):
        self.expect(0, "init", "photos", self.store, "16M", "--chunk-size=16KiB")
        self.expect(0, "init", "mail", self.store, "16M", "--chunk-size=256KiB")
        for name, preferred in (("photos", 16 << 10), ("mail", 256 << 10)):
            told = subprocess.run(["nbdinfo", "--no-content", "--json", self.open(name)], check=True, text=True,
                                  capture_output=True, timeout=600).stdout
            export = json.loads(told)["exports"][0]
            self.assertEqual(export["description"], f"coffer volume {name}")
            self.assertEqual((export["block_size_minimum"], export["block_size_preferred"],
                              export["block_size_maximum"]), (1, preferred, 32 * MIB))

    def test_hup_with_a_broken_file_changes_nothing(self):
        self.write_config('[defaults]\nchunk_size = "32KiB"\n')
        self.init()
        path = self.write_config('[defaults]\nchunk_size = "33KiB"\n')
        self.hup()
        self.assertIn(f"the config stays as it was: {path}:2: chunk_size", self.log())
        self.init("mail")
        self.open("mail")
        self.assertEqual(self.info_of("mail")["chunk_size"], 32 << 10)


class Log(DaemonTest):
    def keys_of_the_vault(self):
        """Every key that coffer derives from the password or holds in the keyring, found by the
        independent reader."""
        found = {}

        def collecting(function):
            def collect(*words, **more):
                key = function(*words, **more)
                if key and len(key) == 32:
                    found[bytes(key)] = function.__name__
                return key
            return collect

        originals = {name: getattr(reader, name)
                     for name in ("hkdf", "argon2id", "unseal", "need")}
        self.addCleanup(lambda: [setattr(reader, name, f) for name, f in originals.items()])
        for name in ("hkdf", "argon2id", "unseal"):
            setattr(reader, name, collecting(originals[name]))
        # The keys of tests are cheaper to guess than the page allows.
        reader.need = lambda condition, what: originals["need"](
            condition or "cost of a key slot" in what, what)
        vault = reader.Vault(reader.Store(str(self.store)), PASSWORD.encode())
        for master in vault.masters.values():
            found[bytes(master)] = "master"
        return found

    def test_at_its_chattiest_it_holds_no_password_no_key_and_no_content(self):
        planted = b"PLANTED-CONTENT-OF-A-VOLUME-4711"
        self.machine.environment["COFFER_LOG"] = "debug"
        self.init()
        data = self.root / "data"
        data.write_bytes(planted * (MIB // len(planted)))
        new = self.machine.write_password("new", "battery staple 99")
        wrong = self.machine.write_password("wrong", "not it at all")
        self.expect(5, "add", self.store, "--as", "x", "--replace", "--password-file", wrong,
                    password=False)
        uri = self.open()
        self.copy_in(data, uri)
        self.expect(0, "sync", "photos")
        self.expect(5, "passwd", "photos", "--password-file", wrong, "--new-password-file", new,
                    password=False)
        keys = self.keys_of_the_vault()
        self.assertIn("master", keys.values())
        self.assertGreater(len(keys), 8)
        self.expect(0, "passwd", "photos", "--new-password-file", new)
        self.machine.password_file = new
        self.expect(0, "resize", "photos", "32M")
        self.copy_in(data, uri)
        self.machine.kill_daemon()
        self.open()
        self.machine.ask("POST", "/v1/vaults/add", json.dumps(
            {"store": "https://me:planted-secret@host/x?sig=planted-sig", "password": PASSWORD}))
        self.machine.ask("POST", "/v1/vaults/add", '{"password": "' + PASSWORD)
        self.expect(0, "close", "photos")
        self.expect(0, "daemon", "stop")
        texts = [path.read_bytes() for path in (self.machine.state / "log").iterdir()]
        self.assertIn(b" debug ", texts[0] + b"".join(texts))
        secrets = [PASSWORD.encode(), b"battery staple 99", b"not it at all", planted,
                   b"planted-secret", b"planted-sig"]
        secrets += list(keys)
        for secret in secrets:
            for form in (secret, secret.hex().encode(), secret.hex().upper().encode(),
                         base64.b64encode(secret).rstrip(b"=")):
                for text in texts:
                    self.assertNotIn(form, text)

    def test_a_bad_level_is_a_usage_error(self):
        self.machine.environment["COFFER_LOG"] = "loud"
        self.assertIn("debug, info", self.expect(2, "status", password=False).stderr)
        del self.machine.environment["COFFER_LOG"]
        self.expect(2, "--log-level=loud", "status", password=False)

    def test_the_level_of_a_flag_wins_over_the_config(self):
        self.write_config('[daemon]\nlog_level = "error"\n')
        self.expect(0, "--log-level=debug", "status", password=False)
        self.hup()
        self.assertIn("HUP: read", self.log())


class Signals(DaemonTest):
    def busy_daemon(self):
        """One whose sync has just begun and takes long: the pid."""
        self.write_config('[defaults]\ncodec = "zstd 19"\nsync_age = "1d"\nsync_bytes = "512MiB"\n')
        self.init(size="64M")
        data = self.data(size=48 * MIB)
        self.copy_in(data, self.open())
        self.machine.ask("POST", "/v1/sync")
        wait_until(lambda: self.status()["uploading"], "the sync")
        return self.machine.pid(), data

    def ended_within(self, pid, seconds):
        started = time.monotonic()
        wait_until(lambda: not running(pid), "the end", 60)
        self.assertLess(time.monotonic() - started, seconds)

    def test_term_does_not_wait_for_uploads_and_nothing_is_lost(self):
        pid, data = self.busy_daemon()
        os.kill(pid, signal.SIGTERM)
        self.ended_within(pid, 10.5)
        uri = self.open()
        self.assertEqual(self.read_back(uri, data.stat().st_size), data.read_bytes())

    def test_a_second_term_ends_it_at_once_and_nothing_is_lost(self):
        pid, data = self.busy_daemon()
        os.kill(pid, signal.SIGTERM)
        wait_until(lambda: "ending" in self.log() or not running(pid), "the first signal's effect")
        if running(pid):
            os.kill(pid, signal.SIGTERM)
        self.ended_within(pid, 2)
        uri = self.open()
        self.assertEqual(self.read_back(uri, data.stat().st_size), data.read_bytes())

    def test_while_it_ends_nothing_new_is_taken(self):
        pid, _ = self.busy_daemon()
        os.kill(pid, signal.SIGTERM)
        control = self.machine.runtime / "coffer" / "control.sock"
        wait_until(lambda: "ending" in self.log() or not running(pid), "the signal's effect")
        try:
            code, answer = self.machine.ask("PUT", "/v1/volumes/photos/open", "{}")
            self.assertEqual((code, answer["code"]), (409, "conflict"))
        except OSError:
            pass  # it does not listen any more
        self.ended_within(pid, 10.5)
        self.assertFalse(control.exists())


class Start(DaemonTest):
    def sockets(self):
        return [self.machine.runtime / "coffer" / name for name in ("control.sock", "nbd.sock")]

    def test_sockets_that_a_killed_daemon_left_are_replaced(self):
        self.expect(0, "status", password=False)
        self.machine.kill_daemon()
        before = [path.stat().st_ino for path in self.sockets()]  # still there
        done = self.expect(3, "daemon", "status", password=False)
        self.assertIn("not running", done.stderr)
        self.init()
        self.open()
        self.assertEqual(len(before), 2)
        with Nbd(self.sockets()[1]) as client:
            client.go("photos")

    def test_what_stands_in_the_place_of_a_socket_is_named(self):
        self.expect(0, "status", password=False)
        self.expect(0, "daemon", "stop", password=False)
        self.sockets()[1].mkdir()
        done = self.expect(2, "status", password=False)
        self.assertIn(str(self.sockets()[1]), done.stderr)
        self.sockets()[1].rmdir()
        self.expect(0, "status", password=False)

    def with_another_daemon(self, script):
        """coffer with a cofferd of our own beside it."""
        directory = self.root / "programs"
        directory.mkdir()
        shutil.copy(self.machine.programs / "coffer", directory / "coffer")
        (directory / "cofferd").write_text("#!/bin/sh\n" + script)
        (directory / "cofferd").chmod(0o700)
        self.machine.programs = directory

    def test_a_daemon_that_dies_at_its_start_is_told_at_once(self):
        self.with_another_daemon("exit 3\n")
        started = time.monotonic()
        done = self.expect(1, "status", password=False)
        self.assertIn("cofferd did not start", done.stderr)
        self.assertLess(time.monotonic() - started, 9)

    def test_a_daemon_that_is_never_ready_is_given_up(self):
        pid_file = self.root / "pid"
        self.with_another_daemon(f"echo $$ > {pid_file}\nexec sleep 60 2>/dev/null\n")
        started = time.monotonic()
        done = self.expect(1, "status", password=False)
        self.addCleanup(os.kill, int(pid_file.read_text()), signal.SIGKILL)
        self.assertIn("not ready within 10 seconds", done.stderr)
        self.assertLess(time.monotonic() - started, 20)

    def test_a_daemon_that_is_missing_is_told(self):
        self.with_another_daemon("")
        (self.machine.programs / "cofferd").unlink()
        self.assertIn("cofferd is neither beside", self.expect(3, "status", password=False).stderr)


class VersionSkew(DaemonTest):
    """Daemons of other versions, played by a server of our own."""

    def serve(self, answers):
        """`answers`: path -> (status, object); all else is unknown, as an older daemon has it."""
        class Handler(http.server.BaseHTTPRequestHandler):
            def answer(self):
                self.rfile.read(int(self.headers.get("Content-Length", 0)))
                status, body = answers.get(self.path, (404, {
                    "code": "unknown-request", "message": "unknown request", "what": "", "hint": ""}))
                text = json.dumps(body).encode()
                self.send_response(status)
                self.send_header("Content-Length", str(len(text)))
                self.end_headers()
                self.wfile.write(text)
            do_GET = do_PUT = do_POST = answer

            def version_string(self):
                return "cofferd/0.0.1"

            def address_string(self):
                return "local"

            def log_message(self, *_):
                pass

        directory = self.machine.runtime / "coffer"
        directory.mkdir(mode=0o700)
        server = socketserver.ThreadingUnixStreamServer(str(directory / "control.sock"), Handler)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        self.addCleanup(server.server_close)
        self.addCleanup(server.shutdown)

    def tearDown(self):
        pass  # nothing of ours runs

    def test_an_older_daemon_is_to_be_restarted(self):
        self.serve({"/v1/version": (200, {"version": "0.0.1", "pid": os.getpid()})})
        for words in (("status",), ("config", "show", "photos"), ("key", "list", "photos")):
            done = self.expect(11, *words)
            self.assertIn("cofferd/0.0.1", done.stderr)
            self.assertIn("run coffer daemon restart", done.stderr)
        self.assertIn("cofferd 0.0.1 runs", self.expect(0, "daemon", "status").stdout)

    def test_a_newer_daemon_may_say_more(self):
        self.serve({
            "/v1/version": (200, {"version": "9.0.0", "pid": os.getpid(), "mood": "good"}),
            "/v1/volumes": (200, {"volumes": [{"volume": "photos", "state": "dreaming", "new": [1]}],
                                  "weather": {"rain": None}}),
            "/v1/volumes/photos/settings": (200, {"settings": [
                {"key": "quantum_bytes", "value": "7", "from": "default", "why": "because"}]}),
        })
        self.assertIn("dreaming", self.expect(0, "status").stdout)
        self.assertIn("quantum_bytes", self.expect(0, "config", "show", "photos").stdout)

    def test_an_error_of_a_kind_yet_unknown_is_shown(self):
        self.serve({"/v1/version": (200, {"version": "9.0.0", "pid": os.getpid()}),
                    "/v1/volumes": (418, {"code": "teapot", "message": "short and stout",
                                          "hint": "pour"})})
        done = self.expect(1, "status")
        self.assertIn("short and stout", done.stderr)
        self.assertIn("pour", done.stderr)


class NewerState(DaemonTest):
    """faults.md row 77: the state directory of a newer coffer, and an older one over it."""

    def state_files(self):
        return [path for path in (self.machine.state / "vaults").rglob("*")
                if path.is_file() and path.stat().st_size > 0 and path.name != "reserve"]

    # Spares: read only where the store has lost what they are a copy of, and else written anew.
    SPARE = ".kept"

    def test_what_a_newer_version_wrote_is_refused_and_left_as_it_is(self):
        self.init()
        data = self.data()
        self.copy_in(data, self.open())
        self.expect(12, "close", "photos", "--no-wait", password=False)
        self.expect(0, "daemon", "stop", password=False)
        changed = 0
        for path in self.state_files():
            whole = path.read_bytes()
            if not whole.startswith(b"Cof") or path.suffix == self.SPARE:
                continue  # "known", below
            self.assertEqual(whole[8:10], b"\1\0", path)  # the version, docs/FORMAT.md section 3
            newer = whole[:8] + b"\2\0" + whole[10:]
            path.write_bytes(newer)
            done = self.machine.run("open", "photos")
            self.assertEqual(done.returncode, 11, f"{path}: {done.stderr}")
            self.assertIn("newer", done.stderr.lower())
            self.assertEqual(path.read_bytes(), newer, path)
            path.write_bytes(whole)
            changed += 1
        self.assertGreaterEqual(changed, 3)  # trust file, host key, journal
        self.assertEqual(self.read_back(self.open(), data.stat().st_size), data.read_bytes())

    def test_a_newer_list_of_vaults_is_left_alone(self):
        self.init()
        self.expect(0, "daemon", "stop", password=False)
        known = next(path for path in self.state_files() if path.name == "known")
        whole = known.read_text()
        newer = whole.replace("coffer-known-vault 1", "coffer-known-vault 2")
        self.assertNotEqual(newer, whole)
        known.write_text(newer)
        self.expect(3, "open", "photos")
        self.assertIn("newer coffer", self.log())
        self.assertEqual(known.read_text(), newer)


if __name__ == "__main__":
    e2e.main()

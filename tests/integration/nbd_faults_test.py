#!/usr/bin/env python3
"""A real daemon and NBD clients that ask wrongly, slowly, too much, or go away (faults.md 60-65, A33), and what a
volume looks like through each style of reply.

  nbd_faults_test.py PROGRAMS [unittest arguments]

PROGRAMS holds a coffer and a cofferd whose key derivation is cheap.
"""
import json
import os
import pathlib
import random
import resource
import shutil
import socket
import subprocess
import sys
import threading
import time
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "cli"))
import end_to_end_test as e2e
import raw_nbd as nbd
from end_to_end_test import MIB, wait_until
from raw_nbd import EXTENDED, SIMPLE, STRUCTURED, RawNbd

TIB = 1 << 40
STYLES = {"simple": SIMPLE, "structured": STRUCTURED, "extended": EXTENDED}


class NbdTest(e2e.CofferTest):
    @property
    def path(self):
        return self.machine.runtime / "coffer" / "nbd.sock"

    def raw(self, flags=3):
        client = RawNbd(self.path, flags)
        self.addCleanup(client.close)
        return client

    def client(self, style=SIMPLE, contexts=None, name="photos"):
        if contexts is None:
            contexts = () if style == SIMPLE else [nbd.BASE]
        return self.raw().go(name, style, contexts)

    def process(self, field):
        """A number of /proc/PID/status of the daemon."""
        text = pathlib.Path(f"/proc/{self.machine.pid()}/status").read_text()
        return int(next(line for line in text.splitlines() if line.startswith(field + ":")).split()[1])

    def sockets(self):
        """Those that the daemon has open; none where the system does not let us see them."""
        found = set()
        try:
            for path in pathlib.Path(f"/proc/{self.machine.pid()}/fd").iterdir():
                try:
                    found.add(os.readlink(path))
                except FileNotFoundError:
                    pass
        except PermissionError:
            pass
        return {name for name in found if name.startswith("socket:")}

    def start(self, size="16M", *options):
        self.init(size=size)
        self.expect(0, "open", "photos", *options)


class Row60(NbdTest):
    """Bad magic, unknown option, lengths that lie, names, too many options, abort mid-option, a missing export."""

    def test_negotiation_that_makes_no_sense_ends_or_is_refused_and_others_feel_nothing(self):
        self.start()
        steady = self.client()
        memory, sockets = self.process("VmRSS"), len(self.sockets())
        for what, say in {
            "bad magic": lambda c: c.send_option(nbd.LIST, magic=b"NBDMAGIC"),
            "an option of 4 GiB": lambda c: c.send_option(nbd.GO, b"x" * 100, length=2**32 - 1),
            "an export that is not there": lambda c: c.send_option(nbd.EXPORT_NAME, b"nothing"),
            "an export name of 4096 bytes": lambda c: c.send_option(nbd.EXPORT_NAME, b"n" * 4096),
            "10,000 options": lambda c: [c.send_option(99) for _ in range(10000)],
            "EXPORT_NAME after extended headers": lambda c: (c.option(nbd.EXTENDED_HEADERS),
                                                             c.send_option(nbd.EXPORT_NAME, b"photos")),
        }.items():
            client = self.raw()
            try:
                say(client)
                while not client.at_end():
                    pass
            except (BrokenPipeError, ConnectionResetError):
                pass
            self.assertEqual(steady.read(0, 4096), bytes(4096), what)
        for flags in (0x10003, 0xffffffff):
            client = self.raw(flags)
            self.assertTrue(client.at_end())

        client = self.raw()
        self.assertEqual(client.option(99, b"d" * 300)[0][0], nbd.ERR_UNSUP)
        for name, error in ((b"", nbd.ERR_UNKNOWN), (b"\xff\xfe", nbd.ERR_UNKNOWN), (b"n" * 4000, nbd.ERR_TOO_BIG),
                            (b"n" * 4096, nbd.ERR_TOO_BIG), (b"\0", nbd.ERR_UNKNOWN), (b"../x", nbd.ERR_UNKNOWN)):
            for option in (nbd.INFO, nbd.GO):
                (kind, words), = client.ask_for(option, name)
                self.assertEqual(kind, error, name)
                self.assertNotIn(b"\x1b", words)
        self.assertEqual(client.option(nbd.LIST, b"data")[0][0], nbd.ERR_INVALID)
        self.assertEqual(client.option(nbd.GO, b"\xff\xff\xff\xffx\0\0")[0][0], nbd.ERR_INVALID)
        client.go("photos")  # and still in step
        self.assertEqual(client.read(0, 512), bytes(512))

        for _ in range(30):  # aborts, and ends, in the middle of an option
            client = self.raw()
            client.send_option(nbd.GO, b"\0\0\0\6pho", length=14)
            client.close()
            client = self.raw()
            client.send_option(nbd.GO, b"\0\0\0\6pho", length=14)
            client.send_option(nbd.ABORT)
            client.close()
        client = self.raw()
        self.assertEqual(client.option(nbd.ABORT, b"bye"), [(nbd.ACK, b"")])
        self.assertTrue(client.at_end())
        self.assertEqual(steady.read(0, 4096), bytes(4096))
        wait_until(lambda: len(self.sockets()) <= sockets + 2, "the connections' sockets closed")
        self.assertLess(self.process("VmRSS") - memory, 32 << 10)

    def test_names_of_snapshots_are_kept_for_them(self):
        self.start()
        client = self.raw()
        (kind, words), = client.ask_for(nbd.GO, "photos@monday")
        self.assertEqual(kind, nbd.ERR_UNKNOWN)
        self.assertIn(b"snapshots are not exported", words)
        client.go("photos")
        done = self.expect(2, "init", "photos@monday", self.store, "16M")
        self.assertIn("volume name", done.stderr)
        self.expect(2, "rename", "photos", "pics@monday")
        self.expect(11, "open", "photos@monday")


class Row61(NbdTest):
    """Slowloris in negotiation and in transmission. (1,000 idle connections: show-04-idle-connections.sh.)"""

    def test_there_are_descriptors_for_a_thousand_connections_where_the_hard_limit_allows(self):
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        if hard < 8192:
            self.skipTest("the hard limit is lower")
        resource.setrlimit(resource.RLIMIT_NOFILE, (1024, hard))  # as a login has it
        try:
            self.start()
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        self.assertEqual(resource.prlimit(self.machine.pid(), resource.RLIMIT_NOFILE)[0], 8192)

    def trickle(self, clients, text, stop):
        """Sends `text` byte by byte, again and again, to all; returns when `stop` or all are gone."""
        at, left = 0, list(clients)
        while left and not stop.wait(0.002):
            for client in list(left):
                try:
                    client.socket.send(text[at % len(text):at % len(text) + 1])
                except OSError:
                    left.remove(client)
            at += 1

    def with_trickle(self, clients, text, work):
        stop = threading.Event()
        thread = threading.Thread(target=self.trickle, args=(clients, text, stop))
        thread.start()
        try:
            return work()
        finally:
            stop.set()
            thread.join(60)

    def test_slow_negotiations_are_cut_off_and_keep_nobody_out(self):
        self.start()
        steady = self.client()
        slow = [self.raw() for _ in range(16)]  # as many as may negotiate
        text = b"IHAVEOPT\0\0\0\x63\0\0\x10\0" + bytes(4096)  # an option that ends at some time

        def work():
            started = time.monotonic()
            newcomer = self.client()  # waits for a place: not for long
            self.assertLess(time.monotonic() - started, 30)
            for client in (steady, newcomer):
                self.assertEqual(client.write(0, b"x" * 4096), 0)
        self.with_trickle(slow, text, work)

        def cut_off():
            alone = self.raw()
            started = time.monotonic()
            stop = threading.Event()
            thread = threading.Thread(target=self.trickle, args=([alone], text, stop))
            thread.start()
            try:
                while not alone.at_end():
                    pass
            finally:
                stop.set()
                thread.join(60)
            return time.monotonic() - started
        self.assertGreater(cut_off(), 5)  # 10 s where there is room, whatever it sends
        self.assertEqual(steady.read(0, 4096), b"x" * 4096)

    def test_clients_that_send_requests_byte_by_byte_hold_up_no_other(self):
        self.start()
        steady = self.client()
        slow = [self.client(EXTENDED) for _ in range(25)] + [self.client() for _ in range(25)]
        for client in slow:  # and in the middle of a payload
            client.socket.sendall(client.header(nbd.WRITE, 4096, 4096,
                                                nbd.PAYLOAD_LEN if client.style == EXTENDED else 0))

        def work():
            for number in range(200):
                block = bytes([number % 256]) * 4096
                self.assertEqual(steady.write(0, block, nbd.FUA if number % 50 == 0 else 0), 0)
                self.assertEqual(steady.read(0, 4096), block)
            self.assertEqual(self.client().read(0, 4096), block)
        self.with_trickle(slow, b"s", work)
        for client in slow:
            client.close()
        self.assertEqual(steady.read(4096, 4096)[:1] in (b"\0", b"s"), True)


class Row62(NbdTest):
    """Requests out of range, of no or too much length, with unknown flags; writes to a read-only export."""

    def test_bad_requests_are_refused_in_every_style_and_the_stream_stays_in_step(self):
        self.start()
        size = 16 * MIB
        for name, style in STYLES.items():
            client = self.client(style)
            wide = [] if style != EXTENDED else [
                (nbd.EINVAL, (nbd.TRIM, 0, 2**64 - 1)), (nbd.EINVAL, (nbd.TRIM, 4096, 2**64 - 4096)),
                (nbd.ENOSPC, (nbd.ZERO, size - 1, 2**64 - 1)), (nbd.EINVAL, (nbd.CACHE, 0, 16 * TIB)),
                (nbd.EINVAL, (nbd.STATUS, 1, size)), (nbd.EOVERFLOW, (nbd.READ, 0, 16 * TIB)),
                (nbd.EINVAL, (nbd.TRIM, 0, 0, b"no payload here")), (nbd.EINVAL, (nbd.STATUS, 0, 0, b"x" * 13)),
                (nbd.EINVAL, (nbd.STATUS, 0, 0, bytes(8) + b"\0\0\0\x09"))]
            for error, request in [
                (nbd.EINVAL, (nbd.READ, size - 4096, 4097)), (nbd.EINVAL, (nbd.READ, 2**64 - 1, 4096)),
                (nbd.ENOSPC, (nbd.WRITE, size - 1, 2, b"yy")), (nbd.ENOSPC, (nbd.WRITE, 2**64 - 1, 2, b"yy")),
                (nbd.EINVAL, (nbd.TRIM, size - 4096, 8192)), (nbd.ENOSPC, (nbd.ZERO, size - 4096, 8192)),
                (nbd.EINVAL, (nbd.CACHE, size, 1)), (nbd.EINVAL, (nbd.STATUS, size, 1)),
                (nbd.EINVAL, (nbd.READ, 0, 0)), (nbd.EINVAL, (nbd.WRITE, 0, 0, b"")), (nbd.EINVAL, (nbd.TRIM, 0, 0)),
                (nbd.EINVAL, (nbd.ZERO, 0, 0)), (nbd.EINVAL, (nbd.STATUS, 0, 0)), (0, (nbd.FLUSH, 0, 4096)),
                (0, (nbd.FLUSH, 4096, 0)), (nbd.EINVAL, (8, 0, 4096)), (nbd.EINVAL, (999, 0, 4096)), *wide
            ]:
                self.assertEqual(client.ask(*request).error, error, (name, request))
            for request, flags in (((nbd.READ, 0, 512), 0x8000), ((nbd.TRIM, 0, 512), nbd.NO_HOLE),
                                   ((nbd.WRITE, 0, 512, bytes(512)), nbd.DF), ((nbd.STATUS, 0, 512), nbd.FAST_ZERO)):
                self.assertEqual(client.ask(*request, flags=flags).error, nbd.EINVAL, (name, request))
            block = name.encode().ljust(3, b".")
            self.assertEqual(client.write(511, block), 0)  # unaligned, and in step
            self.assertEqual(client.read(511, len(block)), block)

    def test_what_cannot_be_understood_ends_that_connection_only(self):
        self.start()
        steady = self.client()
        for style in STYLES.values():
            for bad in (b"\xee" * 32, struct_of_other(style), None):
                client = self.client(style)
                first = client.send(nbd.WRITE, 0, 4, b"good")
                if bad is None:  # more payload than is drained
                    client.socket.sendall(client.header(nbd.WRITE, 0, 2**32 - 1, nbd.PAYLOAD_LEN * (style == EXTENDED)))
                else:
                    client.socket.sendall(bad)
                try:
                    client.send(nbd.WRITE, 0, 4, b"evil")
                except OSError:
                    pass
                told, reply = client.reply()
                self.assertEqual((told, reply.error), (first, 0))
                self.assertTrue(client.at_end())
                self.assertEqual(steady.read(0, 4), b"good")

    def test_a_write_with_extended_headers_needs_no_payload_flag(self):  # as every qemu from 8.2 on writes
        self.start()
        client = self.client(EXTENDED)
        inside = client.header(nbd.TRIM, 0, 4096)  # data that looks like a request
        client.asked[7] = (nbd.WRITE, 0, 0, len(inside))
        client.socket.sendall(client.header(nbd.WRITE, 0, len(inside), cookie=7) + inside)
        self.assertEqual(client.reply()[1].error, 0)
        self.assertEqual(client.read(0, len(inside)), inside)

    def test_a_read_only_export_refuses_every_write_and_says_so_in_its_flags(self):
        self.start()
        self.assertEqual(self.client().write(0, b"kept" * 1024, nbd.FUA), 0)
        self.expect(0, "close", "photos", "--force", password=False)
        self.expect(0, "open", "photos", "--read-only")
        for name, style in STYLES.items():
            client = self.client(style)
            expected = nbd.HAS_FLAGS | nbd.READ_ONLY | nbd.SEND_FLUSH | nbd.MULTI_CONN | nbd.SEND_CACHE
            if style != SIMPLE:
                expected |= nbd.SEND_DF
            if style == EXTENDED:
                expected |= nbd.STATUS_PAYLOAD
            self.assertEqual(client.flags, expected, name)
            for command in (nbd.WRITE, nbd.TRIM, nbd.ZERO):
                for flags in (0, nbd.FUA) + ((nbd.NO_HOLE, nbd.FAST_ZERO) if command == nbd.ZERO else ()):
                    payload = b"lost" * 1024 if command == nbd.WRITE else None
                    for offset in (0, client.size):
                        reply = client.ask(command, offset, 4096, payload, flags)
                        self.assertEqual(reply.error, nbd.EPERM, (name, command, flags))
                        self.assertTrue(style == SIMPLE or "read-only" in reply.words)
            self.assertEqual(client.ask(nbd.FLUSH).error, 0)
            self.assertEqual(client.ask(nbd.CACHE, 0, MIB).error, 0)
            self.assertEqual(client.read(0, 4096), b"kept" * 1024)
            if style != SIMPLE:
                self.assertEqual(client.map(), [(0, 4096, 0), (4096, client.size - 4096, nbd.HOLE)])


def struct_of_other(style):
    """A request with the other kind of header."""
    other = RawNbd.__new__(RawNbd)
    other.style = SIMPLE if style == EXTENDED else EXTENDED
    return other.header(nbd.READ, 0, 512) + bytes(8)


class Row63(NbdTest):
    """Clients gone with requests in flight; half-close; garbage after DISC."""

    def test_clients_gone_with_writes_in_flight_leave_whole_blocks_and_nothing_else(self):
        self.start("64M")
        steady = self.client()
        sockets = len(self.sockets())
        sources = random.Random(7)
        for round_number in range(60):
            client = self.client(sources.choice(list(STYLES.values())))
            byte = bytes([round_number + 1])
            for block in range(32):
                client.send(nbd.WRITE, block * 4096, 4096, byte * 4096, nbd.FUA if block % 8 == 0 else 0)
            client.send(nbd.READ, 0, 8 * MIB)
            if round_number % 3 == 0:  # in the middle of a payload
                flags = nbd.PAYLOAD_LEN if client.style == EXTENDED else 0
                client.socket.sendall(client.header(nbd.WRITE, 0, 65536, flags) + byte * 1000)
            if round_number % 2:
                client.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
            client.close()
        self.assertEqual(steady.write(32 * 4096, b"s" * 4096), 0)
        wait_until(lambda: len(self.sockets()) <= sockets + 1, "the connections' sockets closed")

        def blocks(client):
            data = client.read(0, 32 * 4096)
            found = []
            for at in range(0, len(data), 4096):
                self.assertEqual(len(set(data[at:at + 4096])), 1, f"block {at // 4096} is half old, half new")
                found.append(data[at])
            return found

        def check(client):  # what nobody was told of may be done or not, and late, but whole
            self.assertTrue(all(byte <= 60 for byte in blocks(client)))
            self.assertEqual(client.read(32 * 4096, 4096), b"s" * 4096)
        check(steady)
        self.machine.kill_daemon()
        self.expect(0, "open", "photos")
        check(self.client())

    def test_a_client_that_only_stops_sending_gets_every_answer(self):
        self.start("64M")
        writer = self.client()
        for mib in range(4):
            self.assertEqual(writer.write(mib * MIB, bytes([mib + 1]) * MIB), 0)
        for name, style in STYLES.items():
            client = self.client(style)
            asked = []

            def send():
                for number in range(100):  # more than the socket and the server's limits hold
                    asked.append(client.send(nbd.READ, number % 4 * MIB, MIB))
                    asked.append(client.send(nbd.WRITE, 8 * MIB + number * 4096, 4096, bytes([number]) * 4096))
                    if number % 10 == 0:
                        asked.append(client.send(nbd.FLUSH))
                client.socket.shutdown(socket.SHUT_WR)
            sending = threading.Thread(target=send)
            sending.start()
            told = set()
            for _ in range(210):
                cookie, reply = client.reply()
                self.assertEqual(reply.error, 0, name)
                told.add(cookie)
            sending.join(60)
            self.assertEqual(told, set(asked), name)
            self.assertTrue(client.at_end(), name)
        self.assertEqual(writer.read(8 * MIB + 99 * 4096, 4096), bytes([99]) * 4096)

    def test_nothing_after_disconnect_is_looked_at(self):
        self.start()
        steady = self.client()
        for style in STYLES.values():
            client = self.client(style)
            first = client.send(nbd.WRITE, 0, 6, b"before")
            client.send(nbd.DISC)
            try:
                client.send(nbd.WRITE, 0, 6, b"after!")
                client.socket.sendall(os.urandom(100000))
            except OSError:
                pass
            told, reply = client.reply()
            self.assertEqual((told, reply.error), (first, 0))
            self.assertTrue(client.at_end())
            self.assertEqual(steady.read(0, 6), b"before")


class Row64(NbdTest):
    """FLUSH concurrent with writes of other connections. (Under a power cut: process_faults_test.Disk.)"""

    def test_a_flush_covers_what_was_answered_on_other_connections_before_a_kill(self):
        self.start("64M")
        writers = [self.client(style) for style in list(STYLES.values()) * 2]
        flusher = self.client()
        self.assertTrue(flusher.flags & nbd.MULTI_CONN)
        answered = [0] * len(writers)
        covered = list(answered)
        stop = threading.Event()

        def write(index):
            number = 0
            while not stop.is_set():
                number = number % 250 + 1
                writers[index].write(index * 4096, bytes([number]) * 4096)
                answered[index] += 1
        threads = [threading.Thread(target=write, args=(i,)) for i in range(len(writers))]
        for thread in threads:
            thread.start()
        for _ in range(30):
            before = list(answered)
            self.assertEqual(flusher.ask(nbd.FLUSH).error, 0)
            covered = before
        stop.set()
        for thread in threads:
            thread.join(60)
        self.assertTrue(all(covered))
        self.machine.kill_daemon()
        self.expect(0, "open", "photos")
        after = self.client()
        for index, count in enumerate(answered):
            block = after.read(index * 4096, 4096)
            self.assertEqual(block, bytes([(count - 1) % 250 + 1]) * 4096, "not the last that was answered")


class Row65(NbdTest):
    """TRIM, WRITE_ZEROES and CACHE of huge ranges; FAST_ZERO."""

    def test_huge_ranges_are_quick_and_take_no_memory(self):
        self.start("16T")
        writer = self.client()
        for at in (0, 8 * TIB, 16 * TIB - MIB):
            self.assertEqual(writer.write(at, b"d" * MIB), 0)
        self.expect(0, "sync", "photos", password=False)
        memory = self.process("VmRSS")
        everything = 16 * TIB
        client = self.client(EXTENDED)
        self.assertEqual([run[1:] for run in client.map()],
                         [(MIB, 0), (8 * TIB - MIB, 3), (MIB, 0), (8 * TIB - 2 * MIB, 3), (MIB, 0)])
        started = time.monotonic()
        for request, flags in (((nbd.CACHE, 0, everything), 0), ((nbd.CACHE, 1, everything - 1), 0),
                               ((nbd.TRIM, 4096, everything - 8192), 0),
                               ((nbd.ZERO, 4097, everything - 8193), nbd.FAST_ZERO),
                               ((nbd.ZERO, 0, everything), nbd.FAST_ZERO | nbd.FUA),
                               ((nbd.ZERO, 0, everything), nbd.NO_HOLE), ((nbd.TRIM, 0, everything), nbd.FUA)):
            self.assertEqual(writer.ask(nbd.TRIM, 4096, 2**32 - 1).error, 0)
            self.assertEqual(writer.ask(nbd.ZERO, 8 * TIB - 4096, 2**32 - 1, flags=nbd.FAST_ZERO).error, 0)
            self.assertEqual(writer.ask(nbd.CACHE, 4096, 2**32 - 1).error, 0)
            self.assertEqual(client.ask(*request, flags=flags).error, 0, request)
        self.assertEqual(client.map(), [(0, everything, nbd.HOLE)])
        self.assertEqual(writer.read(16 * TIB - MIB, MIB), bytes(MIB))
        self.expect(0, "sync", "photos", password=False)
        self.assertEqual(client.map(), [(0, everything, nbd.HOLE)])
        self.assertLess(time.monotonic() - started, 60)
        self.assertLess(self.process("VmRSS") - memory, 64 << 10)
        self.expect(0, "close", "photos", "--force", password=False)
        self.expect(0, "open", "photos")
        self.assertEqual(self.client(EXTENDED).map(), [(0, everything, nbd.HOLE)])


class A33(NbdTest):
    def test_without_being_asked_nothing_listens_on_a_network(self):
        self.start()
        sockets = self.sockets()
        if not sockets:
            self.skipTest("the daemon's descriptors are hidden from us")
        for table in ("tcp", "tcp6", "udp", "udp6"):
            for line in pathlib.Path(f"/proc/net/{table}").read_text().splitlines()[1:]:
                self.assertNotIn(f"socket:[{line.split()[9]}]", sockets, table)
        self.assertEqual(self.path.stat().st_mode & 0o777, 0o600)
        self.assertEqual(self.path.parent.stat().st_mode & 0o777, 0o700)
        self.expect(0, "close", "photos", "--force", password=False)
        for address in ("tcp:0.0.0.0:10809", "tcp:[::]:10809"):
            refused = self.machine.run("open", "photos", f"--nbd={address}")
            self.assertNotEqual(refused.returncode, 0, address)
            self.assertNotEqual(refused.stderr, "")


class Clients(NbdTest):
    """What a volume is like through each style of reply."""

    def test_every_command_and_flag_works_with_extended_headers(self):
        self.start()
        client = self.client(EXTENDED)
        self.assertEqual(client.flags, nbd.HAS_FLAGS | nbd.SEND_FLUSH | nbd.SEND_FUA | nbd.SEND_TRIM | nbd.SEND_ZERO
                         | nbd.SEND_DF | nbd.MULTI_CONN | nbd.SEND_CACHE | nbd.SEND_FAST_ZERO | nbd.STATUS_PAYLOAD)
        data = os.urandom(3 * MIB)
        self.assertEqual(client.write(MIB, data), 0)
        self.assertEqual(client.write(0, data[:4096], nbd.FUA), 0)
        self.assertEqual(client.read(MIB, len(data)), data)
        reply = client.ask(nbd.READ, 0, 2 * MIB, flags=nbd.DF)
        self.assertEqual(bytes(reply.data), data[:4096] + bytes(MIB - 4096) + data[:MIB])
        reply = client.ask(nbd.READ, 0, 2 * MIB)
        self.assertEqual([chunk[0] for chunk in reply.chunks], [1, 2, 1])
        self.assertEqual(client.ask(nbd.FLUSH).error, 0)
        self.assertEqual(client.ask(nbd.TRIM, 0, 2048).error, 0)  # no whole block: nothing
        self.assertEqual(client.ask(nbd.ZERO, 2048, 1024, flags=nbd.NO_HOLE | nbd.FAST_ZERO | nbd.FUA).error, 0)
        self.assertEqual(client.ask(nbd.CACHE, 0, client.size).error, 0)
        self.assertEqual(client.read(0, 4096), data[:2048] + bytes(1024) + data[3072:4096])
        self.assertEqual(client.status(0, client.size, nbd.REQ_ONE), [(4096, 0)])
        context, = client.contexts
        asked = client.size.to_bytes(8, "big") + context.to_bytes(4, "big")
        self.assertEqual(client.ask(nbd.STATUS, 0, 0, asked).status,
                         {context: [(4096, 0), (MIB - 4096, 3), (3 * MIB, 0), (12 * MIB, 3)]})
        largest = client.ask(nbd.READ, 0, 16 * MIB)
        self.assertEqual(len(largest.data), 16 * MIB)

    def test_the_map_tells_data_trimmed_zeroed_and_never_written_ranges_wherever_they_lie(self):
        self.start("1G")
        client = self.client(STRUCTURED)
        chunk = 65536
        client.write(0, b"d" * (4 * chunk))
        client.write(512 * MIB, b"e" * 4096)            # a part of a chunk
        client.write(600 * MIB, bytes(chunk))           # zeros, as data
        client.write(700 * MIB, b"f" * (8 * chunk))
        client.ask(nbd.TRIM, chunk, 2 * chunk)
        client.ask(nbd.ZERO, 700 * MIB + chunk, chunk)
        client.ask(nbd.ZERO, 700 * MIB + 4 * chunk + 4096, 8192, flags=nbd.NO_HOLE)
        client.ask(nbd.TRIM, 900 * MIB, 100 * MIB)      # where nothing ever was
        at = 700 * MIB
        data = [(0, chunk), (3 * chunk, chunk), (512 * MIB, 4096), (at, chunk), (at + 2 * chunk, 2 * chunk + 4096),
                (at + 4 * chunk + 12288, 4 * chunk - 12288)]

        def check(where):
            # What is zeroed in the middle of a chunk may be committed with it, as data.
            right = [data] if where == "in the journal" else [data, data[:-2] + [(at + 2 * chunk, 6 * chunk)]]
            for style in (STRUCTURED, EXTENDED):
                told = self.client(style).map()
                self.assertEqual(sum(run[1] for run in told), 1024 * MIB, where)
                # Zeros that were written as data may be told as what they are, or as data.
                held = [run[:2] for run in told if run[2] == 0 and run[0] != 600 * MIB]
                self.assertIn(held, right, where)
                self.assertTrue(all(run[2] in (0, nbd.HOLE) for run in told))
            if shutil.which("nbdinfo"):
                uri = f"nbd+unix:///photos?socket={self.path}"
                told = json.loads(subprocess.run(["nbdinfo", "--map", "--json", uri], check=True, timeout=600,
                                                 capture_output=True).stdout)
                joined = []
                for run in told:
                    if joined and joined[-1][2] == run["type"]:
                        joined[-1][1] += run["length"]
                    else:
                        joined.append([run["offset"], run["length"], run["type"]])
                held = [(run[0], run[1]) for run in joined if run[2] == 0 and run[0] != 600 * MIB]
                self.assertIn(held, right, f"nbdinfo, {where}")
        check("in the journal")
        self.expect(0, "sync", "photos", password=False)
        check("committed")
        self.expect(0, "close", "photos", "--force", password=False)
        self.expect(0, "open", "photos")
        check("after it was closed and opened")
        self.expect(0, "close", "photos", "--force", password=False)
        self.expect(0, "open", "photos", "--read-only")
        check("read-only")

    def test_a_client_sees_a_volume_that_grows_and_keeps_it_from_shrinking(self):
        self.start()
        client = self.client(EXTENDED)
        old = client.size
        self.assertEqual(client.write(old, b"n" * 4096), nbd.ENOSPC)
        self.expect(0, "resize", "photos", "32M")
        self.assertEqual(client.write(old, b"n" * 4096), 0)
        self.assertEqual(client.read(old, 4096), b"n" * 4096)
        self.assertEqual(client.status(old, 16 * MIB), [(4096, 0), (16 * MIB - 4096, nbd.HOLE)])
        self.assertEqual(client.ask(nbd.TRIM, 0, 32 * MIB).error, 0)
        self.assertEqual(client.ask(nbd.TRIM, 0, 32 * MIB + 1).error, nbd.EINVAL)
        self.assertEqual(self.client().size, 32 * MIB)
        refused = self.expect(6, "resize", "photos", "16M", "--discard-tail")
        self.assertIn("client", refused.stderr)
        self.assertEqual(client.write(31 * MIB, b"t" * 4096), 0)

    def test_a_client_that_reads_holes_and_takes_no_replies_costs_little(self):
        self.start("1G")
        memory = self.process("VmRSS")
        greedy = []
        for style in (STRUCTURED, EXTENDED):
            for length in (256 << 10, 8 * MIB, 32 * MIB):
                client = self.client(style)
                client.socket.settimeout(2)
                try:
                    for number in range(20000):
                        client.send(nbd.READ, number * length % (1024 * MIB), length)
                except socket.timeout:
                    pass
                greedy.append(client)
        other = self.client()
        self.assertEqual(other.write(0, b"x" * 4096), 0)
        self.assertEqual(other.read(0, 4096), b"x" * 4096)
        self.assertLess(self.process("VmRSS") - memory, 160 << 10)  # six clients; 64 MiB in flight for all, 16 idle


def main():
    e2e.CHEAP = os.path.abspath(sys.argv.pop(1))
    unittest.main(warnings="ignore")


if __name__ == "__main__":
    main()

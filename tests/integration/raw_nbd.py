"""An NBD client that may say anything and looks at every field of what it is told (NBD's doc/proto.md).

    client = RawNbd(socket); client.go("photos", style=EXTENDED, contexts=["base:allocation"])
    reply = client.ask(TRIM, 0, 16 << 40)     # Reply: error, words, data, status

Styles: SIMPLE, STRUCTURED, EXTENDED (64-bit headers; no client of Debian 12 speaks them).
"""
import socket
import struct

SIMPLE, STRUCTURED, EXTENDED = range(3)
EXPORT_NAME, ABORT, LIST, STARTTLS, INFO, GO, STRUCTURED_REPLY, LIST_META, SET_META, EXTENDED_HEADERS = (
    1, 2, 3, 5, 6, 7, 8, 9, 10, 11)
ACK, SERVER, INFO_REPLY, META_REPLY = 1, 2, 3, 4
ERR_UNSUP, ERR_INVALID, ERR_UNKNOWN, ERR_TOO_BIG, ERR_EXT_HEADER = (
    0x80000001, 0x80000003, 0x80000006, 0x80000009, 0x8000000a)
READ, WRITE, DISC, FLUSH, TRIM, CACHE, ZERO, STATUS = range(8)
FUA, NO_HOLE, DF, REQ_ONE, FAST_ZERO, PAYLOAD_LEN = 1, 2, 4, 8, 16, 32
EPERM, EIO, EINVAL, ENOSPC, EOVERFLOW = 1, 5, 22, 28, 75
HAS_FLAGS, READ_ONLY, SEND_FLUSH, SEND_FUA, SEND_TRIM, SEND_ZERO, SEND_DF, MULTI_CONN, SEND_CACHE, SEND_FAST_ZERO, \
    STATUS_PAYLOAD = (1 << bit for bit in (0, 1, 2, 3, 5, 6, 7, 8, 10, 11, 12))
HOLE = 3  # base:allocation: a hole that reads as zeros
BASE = "base:allocation"
PAYLOAD_MAX = 32 << 20


class Broken(AssertionError):
    """The server did not keep to the protocol."""


def must(condition, what):
    if not condition:
        raise Broken(what)


class Reply:
    def __init__(self):
        self.error = 0
        self.words = ""
        self.data = None      # of a READ: bytearray
        self.chunks = []      # (type, offset, length) of a READ's content
        self.status = {}      # of BLOCK_STATUS: context id -> [(length, flags)]


class RawNbd:
    def __init__(self, path, flags=3):
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.settimeout(120)
        self.socket.connect(str(path))
        self.style = SIMPLE
        self.cookie = 0x1122334400000000
        self.contexts = {}
        self.asked = {}  # cookie -> (command, flags, offset, length)
        if flags is not None:
            greeting = self.receive(18)
            must(greeting == b"NBDMAGICIHAVEOPT\0\3", f"greeting {greeting!r}")
            self.socket.sendall(struct.pack(">I", flags))

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        self.socket.close()

    def receive(self, length):
        data = bytearray(length)
        view = memoryview(data)
        have = 0
        while have < length:
            count = self.socket.recv_into(view[have:])
            if count == 0:
                raise EOFError(f"closed after {have} of {length} bytes")
            have += count
        return bytes(data)

    def at_end(self):
        """The server has hung up, and says nothing more."""
        try:
            return self.socket.recv(1) == b""
        except (ConnectionResetError, BrokenPipeError):
            return True

    # Negotiation.

    def send_option(self, option, data=b"", length=None, magic=b"IHAVEOPT"):
        self.socket.sendall(magic + struct.pack(">II", option, len(data) if length is None else length) + data)

    def option_reply(self, option):
        """(type, data) of one reply."""
        magic, told, kind, length = struct.unpack(">QIII", self.receive(20))
        must(magic == 0x3e889045565a9 and told == option and length <= 1 << 20, "an option reply's header")
        data = self.receive(length)
        must(kind < 1 << 31 or data.decode(), "an error without words")
        return kind, data

    def option(self, option, data=b""):
        """All replies up to the last."""
        self.send_option(option, data)
        replies = [self.option_reply(option)]
        while replies[-1][0] in (SERVER, INFO_REPLY, META_REPLY):
            replies.append(self.option_reply(option))
        return replies

    def ask_for(self, option, name, wanted=()):
        name = name if isinstance(name, bytes) else name.encode()
        return self.option(option, struct.pack(">I", len(name)) + name + struct.pack(">H", len(wanted))
                           + b"".join(struct.pack(">H", w) for w in wanted))

    def agree(self, style, name, contexts):
        if style != SIMPLE:
            option = STRUCTURED_REPLY if style == STRUCTURED else EXTENDED_HEADERS
            must(self.option(option) == [(ACK, b"")], "not agreed on")
            self.style = style
        if contexts:
            data = struct.pack(">I", len(name)) + name.encode() + struct.pack(">I", len(contexts))
            replies = self.option(SET_META, data + b"".join(struct.pack(">I", len(c)) + c.encode() for c in contexts))
            must(replies[-1][0] == ACK, f"contexts: {replies[-1]}")
            self.contexts = {struct.unpack(">I", told[:4])[0]: told[4:].decode() for _, told in replies[:-1]}

    def go(self, name, style=SIMPLE, contexts=()):
        """Enters the transmission phase; sets size and flags."""
        self.agree(style, name, contexts)
        replies = self.ask_for(GO, name)
        must(replies[-1] == (ACK, b""), f"{name}: {replies[-1]}")
        (kind, told), = replies[:-1]
        must(kind == INFO_REPLY and len(told) == 12 and told[:2] == b"\0\0", "information of the export")
        self.size, self.flags = struct.unpack(">QH", told[2:])
        return self

    # Transmission.

    def header(self, command, offset, length, flags=0, cookie=7):
        if self.style == EXTENDED:
            return struct.pack(">IHHQQQ", 0x21e41c71, flags, command, cookie, offset, length)
        return struct.pack(">IHHQQI", 0x25609513, flags, command, cookie, offset, length)

    def send(self, command, offset=0, length=0, payload=None, flags=0):
        """Returns the cookie. A payload with extended headers gets its flag."""
        self.cookie += 1
        if payload is not None and self.style == EXTENDED:
            flags |= PAYLOAD_LEN
            length = len(payload)
        self.asked[self.cookie] = (command, flags, offset, length)
        self.socket.sendall(self.header(command, offset, length, flags, self.cookie) + (payload or b""))
        return self.cookie

    def ask(self, *request, **more):
        cookie = self.send(*request, **more)
        told, reply = self.reply()
        must(told == cookie, "another request's reply")
        return reply

    def write(self, offset, data, flags=0):
        return self.ask(WRITE, offset, len(data), data, flags).error

    def read(self, offset, length):
        reply = self.ask(READ, offset, length)
        must(reply.error == 0, f"read of {length} at {offset}: {reply.error} {reply.words}")
        return bytes(reply.data)

    def status(self, offset, length, flags=0):
        """The runs of the one context."""
        reply = self.ask(STATUS, offset, length, flags=flags)
        must(reply.error == 0 and len(reply.status) == 1, f"block status: {reply.error} {reply.words}")
        return next(iter(reply.status.values()))

    def map(self):
        """[(offset, length, flags)] of the whole export, neighbours of one state joined."""
        runs, at = [], 0
        while at < self.size:
            asked = self.size - at if self.style == EXTENDED else min(self.size - at, 0xffffffff)
            for length, state in self.status(at, asked):
                if runs and runs[-1][2] == state:
                    runs[-1] = (runs[-1][0], runs[-1][1] + length, state)
                else:
                    runs.append((at, length, state))
                at += length
        return runs

    def reply(self):
        """(cookie, Reply): the next whole reply."""
        magic = self.receive(4)
        if magic == b"\x67\x44\x66\x98":
            must(self.style != EXTENDED, "a simple reply with extended headers")
            return self._simple_reply()
        reply, cookie = Reply(), None
        while True:
            if self.style == EXTENDED:
                must(magic == b"\x6e\x8a\x27\x8c", f"magic {magic!r}")
                flags, kind, told, offset, length = struct.unpack(">HHQQQ", self.receive(28))
            else:
                must(self.style == STRUCTURED and magic == b"\x66\x8e\x33\xef", f"magic {magic!r}")
                flags, kind, told, length = struct.unpack(">HHQI", self.receive(16))
                offset = None
            must(flags in (0, 1) and length <= PAYLOAD_MAX + 8, f"a chunk of {length} bytes, flags {flags}")
            must(cookie in (None, told) and told in self.asked, "a cookie nobody asked with")
            cookie = told
            must(offset in (None, self.asked[cookie][2]), "not the request's offset")
            self._take_chunk(reply, kind, flags, self.receive(length), *self.asked[cookie])
            if flags:
                break
            magic = self.receive(4)
        command, flags, offset, length = self.asked.pop(cookie)
        if command == READ and not reply.error:
            must(reply.data is not None and sum(c[2] for c in reply.chunks) == length, "not all that was asked for")
            must(not flags & DF or len(reply.chunks) == 1, "fragments")
        if command == STATUS and not reply.error:
            must(len(reply.status) > 0, "no status")
        return cookie, reply

    def _simple_reply(self):
        error, cookie = struct.unpack(">IQ", self.receive(12))
        must(cookie in self.asked, "a cookie nobody asked with")
        command, _, _, length = self.asked.pop(cookie)
        reply = Reply()
        reply.error = error
        must(self.style == SIMPLE or command != READ, "a simple reply to a read")
        if command == READ and not error:
            reply.data = self.receive(length)
        return cookie, reply

    def _take_chunk(self, reply, kind, done, payload, command, flags, offset, length):
        if kind == 0:
            must(done and not payload, "a chunk NONE")
        elif kind in (1, 2):
            must(command == READ and len(payload) >= 9, "data without a read")
            at = struct.unpack(">Q", payload[:8])[0]
            count = len(payload) - 8 if kind == 1 else struct.unpack(">I", payload[8:])[0]
            must(count > 0 and at >= offset and at + count <= offset + length, "data outside of the request")
            for _, other, size in reply.chunks:
                must(at + count <= other or other + size <= at, "chunks overlap")
            if reply.data is None:
                reply.data = bytearray(length)
            if kind == 1:
                reply.data[at - offset:at - offset + count] = payload[8:]
            reply.chunks.append((kind, at, count))
        elif kind in (5, 6):
            must(command == STATUS and (kind == 6) == (self.style == EXTENDED), "the wrong kind of status")
            fixed, each = (8, ">QQ") if kind == 6 else (4, ">II")
            context, = struct.unpack(">I", payload[:4])
            runs = [struct.unpack_from(each, payload, at) for at in range(fixed, len(payload), struct.calcsize(each))]
            must(context in self.contexts and context not in reply.status and runs, "a status chunk")
            must(kind == 5 or struct.unpack(">I", payload[4:8])[0] == len(runs), "not so many descriptors")
            must(all(run > 0 for run, _ in runs), "an empty run")
            must(not flags & REQ_ONE or len(runs) == 1, "more than the one run asked for")
            reply.status[context] = runs
        elif kind in (0x8001, 0x8002):
            reply.error, size = struct.unpack(">IH", payload[:6])
            must(reply.error and len(payload) == 6 + size + (8 if kind == 0x8002 else 0), "an error chunk")
            reply.words = payload[6:6 + size].decode()
            must(reply.words, "an error without words")
            if kind == 0x8002:
                at = struct.unpack(">Q", payload[-8:])[0]
                must(offset <= at < offset + length, "an error elsewhere")
        else:
            raise Broken(f"a chunk of type {kind}")

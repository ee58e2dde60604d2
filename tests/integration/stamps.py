"""What a volume may hold after a crash: the prefix oracle (faults.md O1) for several connections at once.

Every block written holds its address, the line it was written by and the number of the request. A Line is what
goes over one connection, one request after the other, to blocks of its own; so the state of its blocks says how
many of its requests have happened. What two lines say together must be a prefix of the one history: a request
that is there must not have been sent after the acknowledgement of one that is missing.

    line = Line(number=1, first=0, count=4096, clock=clock)
    request = line.begin(WRITE, first, count); … send it … ; line.done(request)
    … crash, open again, read_stamps …
    problem = check([(line, found), …], barrier, Loss.POWER)     # None, or what is wrong
"""
import bisect
import enum
import itertools
import random
import struct

BLOCK = 4096
WRITE, ZERO, RESIZE = "write", "zero", "resize"
_HEAD = struct.Struct("<8sQQQ")
_MAGIC = b"cofferbk"


class Loss(enum.Enum):
    PROCESS = "nothing that was acknowledged"
    POWER = "what was acknowledged after the last barrier"


class Clock:
    """Puts events in order; next() of a count is atomic."""

    def __init__(self):
        self._count = itertools.count(1)

    def tick(self):
        return next(self._count)


class Request:
    __slots__ = ("kind", "first", "count", "sent", "acknowledged", "durable")

    def __init__(self, kind, first, count, sent):
        self.kind, self.first, self.count, self.sent = kind, first, count, sent
        self.acknowledged = None  # when; None: never
        self.durable = False      # FUA, acknowledged


def content(line, number, block):
    """Different for every request and block, never zeros; one in two compresses well."""
    head = _HEAD.pack(_MAGIC, line, number, block)
    if (number + block) % 2:
        body = random.Random((line << 96) ^ (number << 48) ^ block).randbytes(BLOCK - 3 * len(head))
    else:
        body = b"\x5a" * (BLOCK - 3 * len(head))
    half = len(body) // 2
    return head + body[:half] + head + body[half:] + head  # at both ends and in the middle: a torn block shows


def stamp_of(data, line, block):
    """The number of the request that wrote this block of this line, 0 for zeros; ValueError for anything else."""
    if not any(data):
        return 0
    magic, of_line, number, of_block = _HEAD.unpack_from(data)
    if magic != _MAGIC or (of_line, of_block) != (line, block) or data != content(line, number, block):
        raise ValueError(f"block {block} holds what nobody has written there: line {of_line}, request {number}, "
                         f"block {of_block}, {data[:64].hex()}")
    return number


class Line:
    """The requests of one connection, and the blocks it has for itself."""

    def __init__(self, number, first, count, clock):
        self.number, self.first, self.count, self.clock = number, first, count, clock
        self.base = [0] * count   # stamps, before `requests`
        self.base_number = 0      # of the newest request ever sent before those
        self.requests = []
        self.now = list(self.base)

    def begin(self, kind, first, count):
        request = Request(kind, first, count, self.clock.tick())
        self.requests.append(request)
        self._apply(self.now, len(self.requests))
        return request

    def number_of_newest(self):
        return self.base_number + len(self.requests)

    def done(self, request, durable=False):
        request.acknowledged = self.clock.tick()
        request.durable = durable

    def bytes_of(self, number, first, count):
        return b"".join(content(self.number, number, block) for block in range(first, first + count))

    def _apply(self, state, k):
        request = self.requests[k - 1]
        value = self.base_number + k if request.kind == WRITE else 0
        at = request.first - self.first
        state[at:at + request.count] = [value] * request.count

    def candidates(self, found, least):
        """Every k >= least for which the blocks look as after the first k requests, ascending."""
        state = list(self.base)
        wrong = sum(a != b for a, b in zip(state, found))
        good = []
        for k in range(len(self.requests) + 1):
            if k > 0:
                request = self.requests[k - 1]
                part = slice(request.first - self.first, request.first - self.first + request.count)
                wrong -= sum(a != b for a, b in zip(state[part], found[part]))
                self._apply(state, k)
                wrong += sum(a != b for a, b in zip(state[part], found[part]))
            if wrong == 0 and k >= least:
                good.append(k)
        return good

    def describe(self, found, least):
        best = None
        state = list(self.base)
        for k in range(len(self.requests) + 1):
            if k > 0:
                self._apply(state, k)
            if k < least:
                continue
            wrong = [(self.first + i, a, b) for i, (a, b) in enumerate(zip(found, state)) if a != b]
            if best is None or len(wrong) < len(best[1]):
                best = (k, wrong)
        k, wrong = best
        shown = ", ".join(f"block {block} holds {a}, not {b}" for block, a, b in wrong[:8])
        return (f"line {self.number}: no state from request {self.base_number + least} to "
                f"{self.number_of_newest()} is what is there; nearest is {self.base_number + k}, but for "
                f"{len(wrong)} blocks: {shown}")

    def adopt(self, found):
        """What was found is what there is from now on."""
        self.base_number = self.number_of_newest()
        self.requests = []
        self.base = list(found)
        self.now = list(found)


class SizeLine:
    """The sizes a volume was given; one "block", whose stamp is the size itself."""

    def __init__(self, size, clock):
        self.number, self.clock = 0, clock
        self.base_size = size
        self.requests = []

    def begin(self, size):
        request = Request(RESIZE, 0, size, self.clock.tick())
        self.requests.append(request)
        return request

    done = Line.done

    def candidates(self, found, least):
        sizes = [self.base_size] + [request.count for request in self.requests]
        return [k for k, size in enumerate(sizes) if k >= least and size == found]

    def describe(self, found, least):
        return f"the volume has {found} bytes; it had {self.base_size}, then {[r.count for r in self.requests]}"

    def adopt(self, found):
        self.base_size, self.requests = found, []


def _least(line, barrier, loss):
    """How many of the line's requests the crash must have left."""
    for k in range(len(line.requests), 0, -1):
        request = line.requests[k - 1]
        if request.acknowledged is None:
            continue
        if loss is Loss.PROCESS or request.durable or request.acknowledged < barrier:
            return k
    return 0


def check(found_of_lines, barrier, loss):
    """`barrier`: when the last FLUSH (or sync) that was acknowledged was sent. On success every line adopts what
    was found."""
    chosen = []
    for line, found in found_of_lines:
        least = _least(line, barrier, loss)
        good = line.candidates(found, least)
        if not good:
            return line.describe(found, least)
        chosen.append([line, good, good[-1]])
    # From the top down: whoever is ahead of what another one lacks can only be further back.
    while True:
        missing = [entry[0].requests[k].acknowledged for entry in chosen for k in range(entry[2], len(entry[0].requests))
                   if entry[0].requests[k].acknowledged is not None]
        first_missing = min(missing, default=None)
        ahead = [entry for entry in chosen
                 if entry[2] > 0 and first_missing is not None and entry[0].requests[entry[2] - 1].sent > first_missing]
        if not ahead:
            break
        for entry in ahead:
            below = bisect.bisect_left(entry[1], entry[2])
            if below == 0:
                return (f"line {entry[0].number} has its request {entry[2]}, sent at {entry[0].requests[entry[2] - 1].sent}, "
                        f"but one acknowledged at {first_missing} is missing: no prefix of the history")
            entry[2] = entry[1][below - 1]
    for line, found in found_of_lines:
        line.adopt(found)
    return None

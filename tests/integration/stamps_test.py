#!/usr/bin/env python3
"""The oracle itself: it must let pass what a crash may leave, and nothing else."""
import unittest

from stamps import BLOCK, WRITE, ZERO, Clock, Line, Loss, SizeLine, check, content, stamp_of


class Oracle(unittest.TestCase):
    def setUp(self):
        self.clock = Clock()
        self.a = Line(1, 0, 8, self.clock)
        self.b = Line(2, 8, 8, self.clock)

    def write(self, line, first, count=1, kind=WRITE, acknowledged=True, durable=False):
        request = line.begin(kind, first, count)
        if acknowledged:
            line.done(request, durable)

    def check(self, a, b=(0,) * 8, loss=Loss.POWER, barrier=0):
        return check([(self.a, list(a)), (self.b, list(b))], barrier, loss)

    def test_every_prefix_after_the_barrier_passes_and_no_other(self):
        for state, passes in (([0, 0], False), ([1, 0], True), ([1, 2], True), ([0, 2], False), ([3, 2], True),
                              ([3, 0], False)):
            self.setUp()
            self.write(self.a, 0)
            barrier = self.clock.tick()
            self.write(self.a, 1)
            self.write(self.a, 0)
            found = self.check(state + [0] * 6, barrier=barrier)
            self.assertEqual(found is None, passes, f"{state}: {found}")

    def test_a_killed_process_loses_nothing_acknowledged_and_may_have_done_more(self):
        for state, passes in (([0, 0], False), ([1, 0], True), ([1, 2], True)):
            self.setUp()
            self.write(self.a, 0)
            self.write(self.a, 1, acknowledged=False)
            self.assertEqual(self.check(state + [0] * 6, loss=Loss.PROCESS) is None, passes, state)

    def test_a_request_of_many_blocks_happens_whole_or_not_at_all(self):
        self.write(self.a, 0, 4)
        self.assertIsNotNone(self.check([1, 1, 0, 0] + [0] * 4))
        self.assertIsNone(self.check([1, 1, 1, 1] + [0] * 4))

    def test_zeros_are_requests_too(self):
        self.write(self.a, 0, 4)
        self.write(self.a, 1, 2, kind=ZERO)
        self.assertIsNotNone(self.check([1, 1, 1, 1] + [0] * 4, loss=Loss.PROCESS))
        self.assertIsNone(self.check([1, 0, 0, 1] + [0] * 4, loss=Loss.PROCESS))

    def test_an_acknowledged_fua_write_is_there(self):
        self.write(self.a, 0, durable=True)
        self.assertIsNotNone(self.check([0] * 8))
        self.assertIsNone(self.check([1] + [0] * 7))

    def test_what_was_sent_after_an_acknowledgement_comes_after_it(self):
        self.write(self.a, 0)
        self.write(self.b, 8)
        self.assertIn("no prefix", self.check([0] * 8, [1] + [0] * 7))
        self.assertIsNone(self.check([1] + [0] * 7, [0] * 8))

    def test_of_requests_under_way_together_either_may_be_first(self):
        for a, b in ((1, 0), (0, 1)):
            self.setUp()
            first, second = self.a.begin(WRITE, 0, 1), self.b.begin(WRITE, 8, 1)
            self.a.done(first)
            self.b.done(second)
            self.assertIsNone(self.check([a] + [0] * 7, [b] + [0] * 7))

    def test_an_ambiguous_line_goes_back_as_far_as_the_other_needs(self):
        self.write(self.a, 0)                   # 1
        self.write(self.a, 0, kind=ZERO)        # looks like nothing at all: 0 or 2 requests
        self.write(self.b, 8)
        self.write(self.a, 0, kind=ZERO)
        self.assertIsNone(self.check([0] * 8, [0] * 8))

    def test_what_was_seen_once_must_not_go_in_the_next_crash(self):
        self.write(self.a, 0)
        self.assertIsNone(self.check([1] + [0] * 7))
        self.write(self.a, 1)
        self.assertIsNotNone(self.check([0] * 8))
        self.assertIsNone(self.check([1, 2] + [0] * 6))

    def test_a_lost_number_is_never_used_again(self):
        self.write(self.a, 0)
        self.assertIsNone(self.check([0] * 8))
        self.write(self.a, 0)
        self.assertIsNotNone(self.check([1] + [0] * 7))
        self.assertIsNone(self.check([2] + [0] * 7))

    def test_sizes(self):
        size = SizeLine(100, self.clock)
        size.done(size.begin(200), durable=True)
        size.begin(300)
        self.assertIsNotNone(check([(size, 100)], 0, Loss.POWER))
        self.assertIsNone(check([(size, 300)], 0, Loss.POWER))


class Stamps(unittest.TestCase):
    def test_a_block_knows_who_wrote_it(self):
        self.assertEqual(stamp_of(content(1, 7, 9), 1, 9), 7)
        self.assertEqual(stamp_of(bytes(BLOCK), 1, 9), 0)

    def test_blocks_of_other_places_torn_ones_and_strange_ones_are_told(self):
        old, new = content(1, 7, 9), content(1, 8, 9)
        for data in (content(1, 7, 10), content(2, 7, 9), new[:512] + old[512:], new[:3584] + old[3584:],
                     new[:99] + bytes([new[99] ^ 1]) + new[100:], b"\1" * BLOCK):
            with self.assertRaises(ValueError):
                stamp_of(data, 1, 9)


if __name__ == "__main__":
    unittest.main()

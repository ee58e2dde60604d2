#!/usr/bin/env python3
"""Makes tests/fuzz/corpus/fuzz_journal_replay: changes to a journal of two segments of 24 KiB, and
records to seal into groups of whatever shape.

    make_corpus_journal.py      writes beside itself; the files are committed
"""

import os
import struct

HERE = os.path.dirname(os.path.abspath(__file__))


def changes(*pairs):
    return b"\x00" + b"".join(struct.pack("<IB", at, xor) for at, xor in pairs)


def group(records, total=0, keep_total=0, not_durable=0):
    """`records`: kind, flags, offset, length, whether 4096 bytes of data follow."""
    raw = struct.pack("<HBBBB", total, len(records), not_durable, keep_total, 0)
    for kind, flags, offset, length, data in records:
        raw += struct.pack("<BB6xQQB", kind, flags, offset, length, data)
    return raw


def corpus():
    write = (1, 0, 4096, 4096, 1)
    return {
        "nothing": changes(),
        "header": changes((20, 1)),
        "second_header": changes((24576 + 100, 0x80)),
        "group": changes((4096 + 4, 1)),
        "chain_tag": changes((4096 + 8316 + 40, 1)),
        "record": changes((4096 + 5000, 1)),
        "last_group": changes((24576 + 4096 + 9000, 1)),
        "whole": b"\x01" + group([write, write]) + group([(2, 0, 0, 1 << 30, 0), (3, 0, 0, 8192, 0)]),
        "continues": b"\x01" + group([(1, 1, 0, 4096, 1), (1, 0, 4096, 4096, 1)]),
        "open_end": b"\x01" + group([(1, 1, 0, 4096, 1)]) + group([write]),
        "unknown_kind": b"\x01" + group([(9, 0, 0, 4096, 0)]),
        "length_lies": b"\x01" + group([(1, 0, 0, 8192, 1)]),
        "total_lies": b"\x01" + group([write], total=200, keep_total=1),
        "no_records": b"\x01" + group([]),
        "vouches": b"\x01" + group([write]) + group([write], not_durable=1),
    }


def main():
    directory = os.path.join(HERE, "corpus", "fuzz_journal_replay")
    os.makedirs(directory, exist_ok=True)
    for name, raw in corpus().items():
        with open(os.path.join(directory, name), "wb") as file:
            file.write(raw)


if __name__ == "__main__":
    main()

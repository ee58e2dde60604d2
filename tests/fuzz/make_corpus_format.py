#!/usr/bin/env python3
"""Makes tests/fuzz/corpus/fuzz_format_*: the golden structures of tests/testdata/format-v1 as the
targets take them (some with a first byte that chooses a decoder), and a few that lie.

    make_corpus_format.py      writes beside itself; the files are committed
"""

import os
import struct

HERE = os.path.dirname(os.path.abspath(__file__))
GOLDEN = os.path.join(HERE, "..", "testdata", "format-v1")

HUGE = b"\xff\xff\xff\xff\x0f"  # the varint of 2^32 - 1


def golden(name):
    with open(os.path.join(GOLDEN, name + ".bin"), "rb") as file:
        return file.read()


def choose(number, raw):
    return bytes([number]) + raw


def corpus():
    pack_header = golden("pack_header")
    pack_length = struct.unpack_from("<I", pack_header, 12)[0]
    records = golden("record_headers")
    head = golden("head_first")
    catalog = golden("catalog_first")
    return {
        "marker": {"golden": golden("marker"), "newer": golden("marker")[:8] + b"\x02\0"
                   + golden("marker")[10:]},
        "key_header": {"golden": golden("key_header"),
                       "bomb": golden("key_header")[:2120] + b"\xff" * 4 + bytes(100)},
        "keyring": {"first": golden("keyring_first"), "grown": golden("keyring_grown"),
                    "bomb": bytes(56) + HUGE + b"\x80" + bytes(450)},
        "sealed_object": {"head": choose(1, golden("sealed_head")),
                          "catalog": choose(2, golden("sealed_catalog")),
                          "trust": choose(3, golden("sealed_trust")),
                          "host_key": choose(4, golden("sealed_host_key")),
                          "spool": choose(5, golden("spool")),
                          "padded": choose(0, b"plain\x80" + bytes(10))},
        "catalog": {"first": catalog, "grown": golden("catalog_grown"),
                    "bomb": catalog[:-61] + HUGE + bytes(60)},
        "head": {"first": head, "grown": golden("head_grown"),
                 "bomb": head[:-2] + HUGE + bytes(30)},
        "page": {"leaf": golden("leaf_page"), "interior": golden("interior_page"),
                 "bomb": b"\0\0\0\0\1\0" + HUGE + bytes(40)},
        "delta": {"golden": golden("delta"),
                  "bomb": b"\0\0\1\0\0" + HUGE + b"\x02\0\x01" * 9},
        "pack": {"prefix": choose(0, golden("pack_prefix")),
                 "header": choose(1, struct.pack("<Q", pack_length) + pack_header),
                 "table": choose(2, golden("pack_table")),
                 "bomb": choose(2, HUGE + bytes(30))},
        "trust": {"trust": choose(0, golden("trust")), "new": choose(0, golden("trust_new")),
                  "host_key": choose(1, golden("host_key"))},
        "journal": dict(
            {"prefix": choose(0, golden("segment_prefix")),
             "unused": choose(0, bytes(56)),
             "header": choose(1, golden("segment_header")),
             "header_first": choose(1, golden("segment_header_first")),
             "group": choose(2, golden("group_header"))},
            **{"record%d" % i: choose(3, records[24 * i:24 * i + 24]) for i in range(4)}),
    }


def main():
    for target, files in corpus().items():
        directory = os.path.join(HERE, "corpus", "fuzz_format_" + target)
        os.makedirs(directory, exist_ok=True)
        for name, raw in files.items():
            with open(os.path.join(directory, name), "wb") as out:
                out.write(raw)


if __name__ == "__main__":
    main()

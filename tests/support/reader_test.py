#!/usr/bin/env python3
"""reader.py against the golden vault: reads every volume, and refuses any change that matters.

Exits 77 (skipped) with a reason where python3-cryptography is missing.
"""

import hashlib
import os
import shutil
import sys
import tempfile
import unittest

HERE = os.path.dirname(os.path.abspath(__file__))
GOLDEN = os.path.join(HERE, "..", "testdata", "vault-v1")
sys.path.insert(0, HERE)

try:
    import reader
except ImportError as missing:
    print("skipped: %s (install python3-cryptography)" % missing)
    sys.exit(77)


def expected():
    with open(os.path.join(GOLDEN, "EXPECTED")) as file:
        lines = [line.rstrip("\n") for line in file]
    password = lines[0].partition(" ")[2].encode()
    return password, {n: (int(size), sha) for n, size, sha in (x.split() for x in lines[1:])}


PASSWORD, VOLUMES = expected()


def read(root, name, password=PASSWORD):
    """Size and SHA-256 of a volume's content."""
    volume = reader.Volume(reader.Vault(reader.Store(root), password), name)
    with tempfile.NamedTemporaryFile() as out:
        volume.write_to(out.name)
        content = out.read()
    return len(content), hashlib.sha256(content).hexdigest()


class GoldenVault(unittest.TestCase):
    store = os.path.join(GOLDEN, "store")

    def test_every_volume_and_snapshot_reads_as_expected(self):
        for name, content in VOLUMES.items():
            self.assertEqual(read(self.store, name), content, name)

    def test_the_other_password_opens_it_too(self):
        other = b"another password, which opens the vault too"
        self.assertEqual(read(self.store, "photos", other), VOLUMES["photos"])

    def test_a_wrong_password_opens_nothing(self):
        with self.assertRaisesRegex(reader.Refused, "wrong password"):
            read(self.store, "photos", b"wrong")

    def test_a_deleted_volume_is_not_there(self):
        with self.assertRaisesRegex(reader.Refused, "no volume"):
            read(self.store, "photos.old")

    def test_every_frame_of_every_pack_opens(self):
        vault = reader.Vault(reader.Store(self.store), PASSWORD)
        kinds = set()
        for directory, _, names in os.walk(os.path.join(self.store, "packs")):
            for name in names:
                kinds |= {kind for kind, _, _, _ in vault.check_pack(bytes.fromhex(name))}
        self.assertEqual(kinds, {reader.DATA, reader.PAGE, reader.DELTA})


class ChangedVault(unittest.TestCase):
    def setUp(self):
        self.root = tempfile.mkdtemp()
        self.store = os.path.join(self.root, "store")
        shutil.copytree(os.path.join(GOLDEN, "store"), self.store)
        self.addCleanup(shutil.rmtree, self.root)

    def objects(self, prefix):
        found = []
        for directory, _, names in os.walk(os.path.join(self.store, prefix)):
            found += [os.path.join(directory, name) for name in names]
        return sorted(found)

    def change(self, path, at):
        with open(path, "r+b") as file:
            file.seek(at)
            byte = file.read(1)[0]
            file.seek(at)
            file.write(bytes([byte ^ 1]))

    def refuses(self, path, at):
        self.change(path, at)
        with self.assertRaises(reader.Refused, msg="%s at %d" % (path, at)):
            read(self.store, "photos")
        self.change(path, at)

    def test_a_changed_byte_is_found_in_marker_header_catalog_and_head(self):
        head = self.objects("heads/" + self.photos())[0]
        for path in (os.path.join(self.store, "vault"), self.objects("catalog")[0], head):
            for at in range(0, os.path.getsize(path), 37):
                self.refuses(path, at)
        header = self.objects("keys")[0]
        for at in (0, 9, 12, 17, 33, 300, 2095, 2120, 2124, 2500, os.path.getsize(header) - 1):
            self.refuses(header, at)

    def photos(self):
        counts = {name: len(self.objects("heads/" + name))
                  for name in os.listdir(os.path.join(self.store, "heads"))}
        return max(counts, key=counts.get)

    def test_swapped_packs_are_found(self):
        first, second = self.objects("packs")[:2]
        os.rename(first, first + "x")
        os.rename(second, first)
        os.rename(first + "x", second)
        with self.assertRaises(reader.Refused):
            read(self.store, "photos")

    def test_an_older_head_under_the_newest_name_is_found(self):
        newest, before = self.objects("heads/" + self.photos())[:2]
        shutil.copyfile(before, newest)
        with self.assertRaises(reader.Refused):
            read(self.store, "photos")

    def test_a_missing_pack_is_an_error_not_zeros(self):
        for path in self.objects("packs"):
            os.rename(path, path + "x")
            with self.assertRaisesRegex(reader.Refused, "missing object"):
                read(self.store, "photos")
            os.rename(path + "x", path)


class Varints(unittest.TestCase):
    def test_only_the_shortest_form_is_read(self):
        for raw, value in ((b"\x00", 0), (b"\x7f", 127), (b"\x80\x01", 128)):
            self.assertEqual(reader.Cursor(raw, "test").varint(), value)
            self.assertEqual(reader.varint(value), raw)
        for raw in (b"\x80\x00", b"\x80", b"\xff" * 9 + b"\x02", b"\xff" * 11):
            with self.assertRaises(reader.Refused):
                reader.Cursor(raw, "test").varint()


if __name__ == "__main__":
    unittest.main()

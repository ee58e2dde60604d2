#!/usr/bin/env python3
"""Checks every include and a few calls of the sources against the tables in layers.py."""

import pathlib
import re
import sys
import tempfile
import unittest

import layers

ROOT = pathlib.Path(__file__).resolve().parents[2]
TOP_FOLDERS = ["core", "nbd", "fuse", "cli", "gui"]
INCLUDE = re.compile(r'^\s*#\s*include\s*([<"])([^>"]+)[>"]', re.MULTILINE)

# What the C++ library and C offer without reaching past the seams of core/base.
PLAIN_HEADERS = set("""
    algorithm any array atomic bit bitset cassert cctype cerrno charconv chrono cinttypes climits
    cmath compare concepts cstddef cstdint cstdio cstdlib cstring deque exception functional
    initializer_list iomanip iostream istream iterator limits list locale map memory memory_resource
    new numeric optional ostream queue ranges set span sstream stack stdexcept string string_view
    system_error tuple type_traits typeinfo unordered_map unordered_set utility variant vector
    errno.h stddef.h stdint.h string.h
""".split())

# Calls that go around a seam, by name. Matched in code without comments and strings.
FORBIDDEN_CALLS = {
    "clock": re.compile(r"\b(clock_gettime|gettimeofday)\s*\(|_clock\s*::\s*now|(?<![\w.>])(std::|::)time\s*\("),
    "sleep": re.compile(r"\b(sleep_for|sleep_until|nanosleep|usleep)\s*\("),
    "files": re.compile(r"(?<![\w.>])(::)?(fopen|freopen|mkstemp|mkdtemp|openat|creat|unlink|unlinkat|rename|"
                        r"mkdir|rmdir|symlink|chmod|lstat)\s*\(|(?<![\w.>])::(open|truncate|link|stat)\s*\("),
    "randomness": re.compile(r"\b(getrandom|getentropy|srand|random_device|mt19937(_64)?)\b|\bstd::rand\s*\("),
    "threads": re.compile(r"\bstd::(thread|jthread|async|mutex|condition_variable)\b|\bpthread_create\s*\("),
}


def is_in(path, place):
    return path == place or path.startswith(place + "/")


def layer_of(path):
    """The layer of a source or of an include's path, or None: cli/daemon_main.cc before cli."""
    return max((layer for layer in layers.ORDER if is_in(path, layer)), key=len, default=None)


def without_comments_and_strings(text):
    pattern = re.compile(r'//[^\n]*|/\*.*?\*/|"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])*\'', re.DOTALL)
    return pattern.sub(lambda m: re.sub(r"[^\n]", " ", m.group()), text)


class Tables:
    """The tables of layers.py, or others in a test of this test."""

    def __init__(self, edges=None, libraries=None, system_headers=None, calls=None):
        self.edges = layers.EDGES if edges is None else edges
        self.libraries = layers.LIBRARIES if libraries is None else libraries
        self.system_headers = layers.SYSTEM_HEADERS if system_headers is None else system_headers
        self.calls = layers.CALLS if calls is None else calls


def sources(root):
    for folder in TOP_FOLDERS:
        for path in sorted((root / folder).rglob("*")):
            if path.suffix in (".cc", ".h"):
                yield path.relative_to(root).as_posix(), path.read_text(encoding="utf-8")


def check(root, tables):
    """Every violation below `root`, as lines for a person."""
    problems = []
    used = set()
    present = set()
    for path, text in sources(root):
        layer = layer_of(path)
        if layer is None:
            problems.append(f"{path}: lies in no layer; layers.py lists them in ORDER")
            continue
        present.add(layer)
        for match in INCLUDE.finditer(text):
            where = f"{path}:{text.count(chr(10), 0, match.start(2)) + 1}"
            check_include(where, path, layer, match.group(1) == '"', match.group(2), tables,
                          problems, used)
        check_calls(path, layer, text, tables, problems, used)
    problems.extend(stale(tables, used, present))
    return problems


def check_include(where, path, layer, is_quoted, header, tables, problems, used):
    if is_quoted:
        target = layer_of(header)
        if target is None or "/" not in header:
            problems.append(f"{where}: \"{header}\" is not the path of a file from the top")
        elif target != layer and not (layer == "cli/daemon_main.cc" and target == "cli"):
            used.add(("edge", layer, target))
            if (layer, target) not in tables.edges:
                problems.append(f"{where}: {layer} must not include {target} ({header})")
        return
    for part, places in tables.libraries.items():
        if header.startswith(part):
            used.update(("library", part, place) for place in places if is_in(path, place))
            if not any(is_in(path, place) for place in places):
                problems.append(f"{where}: <{header}> belongs to {', '.join(places)} alone")
            return
    if header in PLAIN_HEADERS or layer == "core/base":
        return
    allowed = tables.system_headers.get(header, {})
    hits = [place for place in allowed if is_in(path, place)]
    used.update(("system header", header, place) for place in hits)
    if not hits:
        only = "core/base alone may include" if header in layers.BASE_HEADERS else "nobody listed"
        problems.append(f"{where}: {only} <{header}> (layers.py, SYSTEM_HEADERS)")


def check_calls(path, layer, text, tables, problems, used):
    if layer == "core/base":
        return
    code = without_comments_and_strings(text)
    for name, pattern in FORBIDDEN_CALLS.items():
        match = pattern.search(code)
        if match is None:
            continue
        hits = [place for place, what in tables.calls if what == name and is_in(path, place)]
        used.update(("call", place, name) for place in hits)
        if not hits:
            line = code.count("\n", 0, match.start()) + 1
            problems.append(f"{path}:{line}: {match.group().strip()} goes around core/base ({name})")


def stale(tables, used, present):
    """Lines of the tables that nothing needs. A layer that has no source yet is not judged."""
    for (layer, target) in tables.edges:
        if layer in present and ("edge", layer, target) not in used:
            yield f"layers.py: {layer} does not include {target} any more"
        if layers.ORDER.index(layer) <= layers.ORDER.index(target):
            yield f"layers.py: {layer} stands below {target}, includes point down only"
    for part, places in tables.libraries.items():
        for place in places:
            if layer_of(place) in present and ("library", part, place) not in used:
                yield f"layers.py: {place} does not include {part} any more"
    for header, places in tables.system_headers.items():
        for place in places:
            if layer_of(place) in present and ("system header", header, place) not in used:
                yield f"layers.py: {place} does not include <{header}> any more"
    for (place, name) in tables.calls:
        if layer_of(place) in present and ("call", place, name) not in used:
            yield f"layers.py: {place} makes no call of the kind '{name}' any more"


class TheTree(unittest.TestCase):
    def test_follows_the_tables(self):
        problems = check(ROOT, Tables())
        self.assertEqual(problems, [], "\n" + "\n".join(problems))

    def test_has_sources(self):
        self.assertGreater(len(list(sources(ROOT))), 20)


class TheRules(unittest.TestCase):
    """Each rule finds its own violation in a small made-up tree."""

    def problems(self, files, **tables):
        empty = {"edges": {}, "libraries": {}, "system_headers": {}, "calls": {}}
        with tempfile.TemporaryDirectory() as folder:
            root = pathlib.Path(folder)
            for path, text in files.items():
                (root / path).parent.mkdir(parents=True, exist_ok=True)
                (root / path).write_text(text, encoding="utf-8")
            return check(root, Tables(**{**empty, **tables}))

    def assert_one(self, problems, text):
        self.assertEqual(len(problems), 1, problems)
        self.assertIn(text, problems[0])

    def test_an_unlisted_edge_fails(self):
        files = {"core/map/a.h": '#include "core/base/bytes.h"\n#include "core/map/b.h"\n'}
        self.assert_one(self.problems(files), "core/map/a.h:1: core/map must not include core/base")
        self.assertEqual(self.problems(files, edges={("core/map", "core/base"): "why"}), [])

    def test_a_listed_edge_that_no_longer_occurs_fails(self):
        self.assert_one(self.problems({"core/map/a.h": ""}, edges={("core/map", "core/base"): "why"}),
                        "core/map does not include core/base any more")

    def test_an_edge_upwards_fails(self):
        self.assert_one(
            self.problems({"core/base/a.h": '#include "core/map/b.h"'},
                          edges={("core/base", "core/map"): "why"}), "includes point down only")

    def test_the_client_does_not_see_what_the_daemon_builds(self):
        files = {"cli/daemon_main.cc": '#include "nbd/server.h"', "cli/open.cc": '#include "nbd/server.h"'}
        self.assert_one(self.problems(files, edges={("cli/daemon_main.cc", "nbd"): "why"}),
                        "cli/open.cc:1: cli must not include nbd")

    def test_a_library_has_one_folder(self):
        files = {"core/compress/a.cc": "#include <zstd.h>", "core/pack/a.cc": "#include <zstd.h>"}
        self.assert_one(self.problems(files, libraries={"zstd": ["core/compress"]}),
                        "core/pack/a.cc:1: <zstd.h> belongs to core/compress alone")

    def test_an_unknown_library_fails(self):
        self.assert_one(self.problems({"core/pack/a.cc": "#include <xxhash.h>"}), "<xxhash.h>")

    def test_headers_of_the_system_are_for_core_base(self):
        files = {"core/base/a.cc": "#include <fstream>", "core/pack/a.cc": "#include <fstream>"}
        self.assert_one(self.problems(files), "core/base alone may include <fstream>")

    def test_a_listed_system_header_may_be_where_it_says(self):
        headers = {"sys/socket.h": {"nbd": "serves it"}}
        files = {"nbd/a.cc": "#include <sys/socket.h>"}
        self.assertEqual(self.problems(files, system_headers=headers), [])
        self.assert_one(self.problems({"nbd/a.cc": ""}, system_headers=headers), "any more")

    def test_calls_around_the_seams_fail(self):
        for code in ["auto t = std::chrono::steady_clock::now();", "clock_gettime(x, &t);",
                     "std::time(nullptr);", "::unlink(path);", "fopen(path, mode);",
                     "std::random_device d;", "std::this_thread::sleep_for(x);", "std::thread t;"]:
            self.assert_one(self.problems({"core/pack/a.cc": code}), "goes around core/base")
            self.assertEqual(self.problems({"core/base/a.cc": code}), [])

    def test_words_in_comments_and_strings_are_no_calls(self):
        code = '// std::thread\n/* fopen( */ auto s = "::open("; file.open(x); a->rename(b); bool open();\n'
        self.assertEqual(self.problems({"core/pack/a.cc": code}), [])

    def test_a_listed_call_that_is_gone_fails(self):
        calls = {("nbd/server.cc", "threads"): "why"}
        self.assertEqual(self.problems({"nbd/server.cc": "std::thread t;"}, calls=calls), [])
        self.assert_one(self.problems({"nbd/server.cc": ""}, calls=calls), "any more")

    def test_a_file_outside_every_layer_fails(self):
        self.assert_one(self.problems({"core/util/a.h": ""}), "lies in no layer")


if __name__ == "__main__":
    sys.exit(unittest.main())

#!/usr/bin/env python3
"""docs/LIMITS.md names every constant of core/format/limits.h, and each row a test that exists.

A test is `Suite.Name` (a GoogleTest of tests/) or a script of tests/integration."""

import pathlib
import re
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
# What names no limit of its own, but versions and features.
NO_LIMITS = {"kFormatVersion", "kKnownIncompatibleFeatures"}


def tests_there():
    names = set()
    for path in (ROOT / "tests").rglob("*.cc"):
        for suite, name in re.findall(r"TEST(?:_F|_P)?\(\s*(\w+),\s*(\w+)\s*\)", path.read_text()):
            names.add(f"{suite}.{name}")
    names.update(path.name for path in (ROOT / "tests/integration").iterdir())
    return names


def rows(text):
    for line in text.splitlines():
        cells = [cell.strip() for cell in line.split("|")[1:-1]]
        if len(cells) == 4 and cells[0] != "what meets what" and set(cells[0]) != {"-"}:
            yield cells


def main():
    text = (ROOT / "docs/LIMITS.md").read_text()
    there = tests_there()
    wrong = []
    count = 0
    for what, _, _, tests in rows(text):
        count += 1
        named = re.findall(r"`([^`]+)`", tests)
        if not named:
            wrong.append(f"no test: {what}")
        wrong += [f"no such test: {name}" for name in named if name not in there]
    limits = set(re.findall(r"\b(k\w+) =", (ROOT / "core/format/limits.h").read_text())) - NO_LIMITS
    wrong += [f"in no row: {name}" for name in sorted(limits) if f"`{name}`" not in text]
    if count == 0:
        wrong.append("no table found")
    print("\n".join(wrong) or f"{count} pairs of limits, each with its test")
    return 1 if wrong else 0


sys.exit(main())

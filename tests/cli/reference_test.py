#!/usr/bin/env python3
"""Man pages and completions: every command and option that --help tells of is in them, groff takes the pages,
and bash really completes.

  reference_test.py COFFER REFERENCE_DIR [unittest arguments]
"""
import os
import pathlib
import pty
import re
import select
import shutil
import subprocess
import sys
import tempfile
import time
import unittest

COFFER = pathlib.Path(sys.argv[1]).resolve()
REFERENCE = pathlib.Path(sys.argv[2]).resolve()
GLOBALS = ["--json", "--log-level", "--password-fd", "--password-file"]


def help_of(*words):
    return subprocess.run([COFFER, *words, "--help"], check=True, text=True,
                          stdout=subprocess.PIPE).stdout


def commands():
    """What --help tells of, groups opened: {"open": help, "key list": help}."""
    found = {}
    for name in listed(help_of()):
        text = help_of(name)
        inside = listed(text)
        if not inside:
            found[name] = text
        for word in inside:
            found[f"{name} {word}"] = help_of(name, word)
    return found


def listed(text):
    section = re.search(r"(?m)^Subcommands:\n((?:  .*\n)+)", text)
    return re.findall(r"(?m)^  ([a-z]\S*)", section.group(1)) if section else []


def options_of(text):
    return sorted(set(re.findall(r"(?m)^  (?:-\w,)?(--[a-z0-9-]+)", text)) - {"--help", "--version"})


def positionals_of(text):
    section = re.search(r"(?m)^Positionals:\n((?:  .*\n)+)", text)
    return re.findall(r"(?m)^  ([A-Z]+)", section.group(1)) if section else []


def plain(roff):
    """What a page says, without requests, fonts and escapes."""
    return re.sub(r"\\f.|\\&", "", roff).replace("\\-", "-").replace("\\e", "\\")


class Reference(unittest.TestCase):
    def test_help_has_commands(self):  # or the rest would prove nothing
        names = commands()
        for name in ("open", "close", "key list", "daemon run", "resize"):
            self.assertIn(name, names)
        self.assertIn("--discard-tail", options_of(names["resize"]))

    # --- Man pages ---

    def test_each_command_has_a_page_that_names_its_options_and_says_what_help_says(self):
        for name, text in commands().items():
            page = plain((REFERENCE / f"man/man1/coffer-{name.replace(' ', '-')}.1").read_text())
            for word in options_of(text) + positionals_of(text) + GLOBALS:
                self.assertRegex(page, rf"{re.escape(word)}\b", name)
            summary = " ".join(text.split("\nUsage:")[0].split())
            self.assertIn(summary, " ".join(page.split()), name)
            example = re.search(r"Examples:\n  (.*)\n", text).group(1)
            self.assertIn(example, page, name)

    def test_the_page_of_coffer_names_all_commands_and_exit_codes(self):
        page = plain((REFERENCE / "man/man1/coffer.1").read_text())
        for name in commands():
            self.assertRegex(page, rf"(?m)^{name}$")
            self.assertIn(f"coffer-{name.replace(' ', '-')}(1)", page)
        for option in GLOBALS:
            self.assertIn(option, page)
        for code in [*range(13), 130]:
            self.assertRegex(page, rf"(?m)^{code}$")

    def test_the_page_of_cofferd_says_what_its_help_says(self):
        page = " ".join(plain((REFERENCE / "man/man8/cofferd.8").read_text()).split())
        said = subprocess.run([COFFER.with_name("cofferd"), "--help"], check=True, text=True,
                              stdout=subprocess.PIPE).stdout
        for line in said.removeprefix("usage: ").splitlines():
            self.assertIn(" ".join(line.split()), page)

    @unittest.skipUnless(shutil.which("groff"), "no groff here")
    def test_groff_has_nothing_to_say_about_the_pages(self):
        for page in sorted((REFERENCE / "man").rglob("*.?")):
            done = subprocess.run(["groff", "-man", "-ww", "-z", "-Tutf8", "-Kutf8", page],
                                  text=True, stderr=subprocess.PIPE)
            self.assertEqual((done.returncode, done.stderr), (0, ""), page)

    # --- Completion ---

    def test_completions_name_every_command_and_option(self):
        for path in ("bash/coffer", "zsh/_coffer", "fish/coffer.fish"):
            script = (REFERENCE / path).read_text()
            for name, text in commands().items():
                for word in name.split():
                    self.assertRegex(script, rf"\b{word}\b", path)
                for option in options_of(text) + GLOBALS:
                    shown = "-l " + option[2:] if "fish" in path else option
                    self.assertRegex(script, rf"{re.escape(shown)}(?![a-z0-9-])", (path, name))

    def test_shells_accept_the_scripts(self):
        for shell, path in (("bash", "bash/coffer"), ("zsh", "zsh/_coffer"),
                            ("fish", "fish/coffer.fish")):
            if shutil.which(shell):
                subprocess.run([shell, "-n", REFERENCE / path], check=True)


class Bash(unittest.TestCase):
    """A bash with the completion loaded, and a coffer that knows two volumes."""

    def setUp(self):
        directory = tempfile.TemporaryDirectory()
        self.addCleanup(directory.cleanup)
        self.root = pathlib.Path(directory.name)
        fake = self.root / "coffer"
        fake.write_text('#!/bin/sh\n[ "$*" = "list --names" ] && printf "photos\\nhome/music\\n"\n')
        fake.chmod(0o755)
        (self.root / "secret").touch()
        (self.root / "store").mkdir()

    def complete(self, *words):
        """What bash offers for the last of `words`."""
        script = (f'source "{REFERENCE}/bash/coffer"; COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1))\n'
                  '_coffer; printf "%s\\n" "${COMPREPLY[@]}"')
        done = subprocess.run(["bash", "--norc", "-c", script, "bash", self.root / "coffer", *words],
                              check=True, text=True, cwd=self.root, stdout=subprocess.PIPE)
        return done.stdout.split()

    def test_commands_and_groups(self):
        top = {name.split()[0] for name in commands()}
        self.assertEqual(set(self.complete("")), top)
        self.assertEqual(self.complete("op"), ["open"])
        self.assertEqual(self.complete("key", ""), ["list"])
        self.assertIn("restart", self.complete("daemon", ""))
        self.assertEqual(self.complete("daemon", "restart", ""), [])

    def test_options_of_the_command_and_global_ones(self):
        for name, text in commands().items():
            offered = set(self.complete(*name.split(), "--"))
            self.assertEqual(offered, set(options_of(text)) | set(GLOBALS) | {"--help"}, name)
        self.assertEqual(self.complete("open", "photos", "--take"), ["--take-over"])

    def test_volumes_where_one_is_meant(self):
        for command in ("open", "close", "status", "info", "sync", "passwd", "resize", "rename",
                        "delete"):
            self.assertEqual(self.complete(command, ""), ["photos", "home/music"], command)
        self.assertEqual(self.complete("key", "list", "home/"), ["home/music"])
        self.assertEqual(self.complete("--json", "open", "--password-file", "x", "p"), ["photos"])
        self.assertEqual(self.complete("open", "--password-file", "=", "x", "p"), ["photos"])
        self.assertEqual(self.complete("init", ""), [])  # a new name
        self.assertEqual(self.complete("rename", "photos", ""), [])

    def test_paths_and_words_as_values(self):
        self.assertEqual(self.complete("init", "new", "st"), ["store"])
        self.assertEqual(self.complete("open", "photos", "--password-file", "se"), ["secret"])
        self.assertEqual(self.complete("open", "photos", "--password-file", "=", "se"), ["secret"])
        self.assertEqual(self.complete("open", "photos", "--password-file", "="),
                         self.complete("open", "photos", "--password-file", ""))
        self.assertEqual(self.complete("--log-level", "d"), ["debug"])
        self.assertEqual(self.complete("passwd", "photos", "--new-password-fd", ""), [])

    def test_the_tab_key_completes(self):
        ours, theirs = pty.openpty()
        self.addCleanup(os.close, ours)
        environment = dict(os.environ, PATH=f"{self.root}:{os.environ['PATH']}", PS1="$ ",
                           TERM="dumb", INPUTRC="/dev/null", HISTFILE="")
        process = subprocess.Popen(["bash", "--norc", "--noprofile", "-i"], stdin=theirs,
                                   stdout=theirs, stderr=theirs, env=environment, cwd=self.root,
                                   start_new_session=True)
        os.close(theirs)
        self.addCleanup(process.wait)
        self.addCleanup(process.kill)
        os.write(ours, f'source "{REFERENCE}/bash/coffer"; echo re""ady\n'.encode())
        seen = self.read_until(ours, "ready\r\n")
        os.write(ours, b"coffer ope\tpho\t--take\t")
        seen = self.read_until(ours, "--take-over")
        self.assertIn("open photos ", seen)

    def read_until(self, terminal, text):
        seen = ""
        end = time.monotonic() + 60
        while text not in seen:
            self.assertTrue(select.select([terminal], [], [], max(0, end - time.monotonic()))[0],
                            f"waited for {text!r}, saw {seen!r}")
            seen += os.read(terminal, 4096).decode()
        return seen


if __name__ == "__main__":
    unittest.main(argv=[sys.argv[0], *sys.argv[3:]], verbosity=2)

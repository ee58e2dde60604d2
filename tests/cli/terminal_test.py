#!/usr/bin/env python3
"""Passwords at a terminal: nothing of them shows, whatever is pressed meanwhile; three tries; the old one
is known to be right before the new one is asked for.

  terminal_test.py CHEAP_DIR PLANTED_DIR [unittest arguments]        as end_to_end_test.py
"""
import fcntl
import os
import pty
import signal
import stat
import subprocess
import termios
import unittest

import end_to_end_test as e2e
from end_to_end_test import PASSWORD, wait_until


def echoes(terminal):
    return bool(termios.tcgetattr(terminal)[3] & termios.ECHO)


def has_socket(pid):
    for fd in os.listdir(f"/proc/{pid}/fd"):
        try:
            if stat.S_ISSOCK(os.stat(f"/proc/{pid}/fd/{fd}").st_mode):
                return True
        except FileNotFoundError:
            pass
    return False


class Terminal(e2e.CofferTest):
    PROMPT = "Password for vault backups: "

    def shell(self):
        """A shell with job control at a terminal of its own; our end of that."""
        ours, theirs = pty.openpty()

        def take_terminal():
            os.setsid()
            fcntl.ioctl(theirs, termios.TIOCSCTTY, 0)

        environment = dict(self.machine.environment, PS1="ready> ", TERM="dumb",
                           PATH=f"{self.machine.programs}:{os.environ['PATH']}")
        process = subprocess.Popen(["bash", "--norc", "--noprofile", "-i"], env=environment,
                                   stdin=theirs, stdout=theirs, stderr=theirs,
                                   preexec_fn=take_terminal)
        os.close(theirs)
        self.addCleanup(process.wait)
        self.addCleanup(process.kill)
        self.addCleanup(os.close, ours)
        self.unread = ""
        self.read_until(ours, "ready> ")
        return ours

    def read_rest(self, terminal):
        """What the terminal shows to the end, now that nobody has it open any more."""
        try:
            while True:
                self.unread += os.read(terminal, 4096).decode()
        except OSError:
            return self.unread

    def say(self, terminal, text):
        os.write(terminal, text.encode())

    def test_neither_ctrl_z_nor_fg_makes_a_prompt_echo(self):
        self.init()
        terminal = self.shell()
        self.say(terminal, "coffer key list photos\n")
        seen = self.read_until(terminal, self.PROMPT)
        for _ in range(2):
            self.assertFalse(echoes(terminal))
            self.say(terminal, PASSWORD[:4])  # what is typed before it is dropped
            self.say(terminal, "\x1a")
            seen += self.read_until(terminal, "ready> ")
            self.say(terminal, "fg\n")
            seen += self.read_until(terminal, self.PROMPT)
            self.assertFalse(echoes(terminal))
        self.say(terminal, PASSWORD + "\n")
        seen += self.read_until(terminal, "opened by the password given")
        seen += self.read_until(terminal, "ready> ")
        self.assertNotIn(PASSWORD[:4], seen)
        self.say(terminal, "stty -a; echo over\n")
        self.assertIn(" echo ", self.read_until(terminal, "\nover"))

    def test_what_stops_it_otherwise_does_not_either(self):
        self.init()
        terminal = self.shell()
        self.say(terminal, "coffer key list photos & echo pid=$!; fg\n")
        seen = self.read_until(terminal, self.PROMPT)
        pid = int(seen.split("pid=")[-1].split()[0])
        os.kill(pid, signal.SIGSTOP)
        seen += self.read_until(terminal, "ready> ")
        self.say(terminal, "fg\n")
        seen += self.read_until(terminal, self.PROMPT)
        self.say(terminal, PASSWORD + "\n")
        seen += self.read_until(terminal, "opened by the password given")
        self.assertNotIn(PASSWORD, seen)

    def test_what_is_typed_while_the_password_is_tried_does_not_show(self):
        self.init()
        process, terminal = self.at_terminal("key", "list", "photos")
        seen = self.read_until(terminal, self.PROMPT)
        daemon = self.machine.pid()
        os.kill(daemon, signal.SIGSTOP)
        try:
            os.write(terminal, PASSWORD.encode() + b"\n")
            wait_until(lambda: has_socket(process.pid), "the request")
            os.write(terminal, b"typed-too-early\n")
        finally:
            os.kill(daemon, signal.SIGCONT)
        self.assertEqual(process.wait(60), 0)
        self.assertNotIn("typed-too-early", seen + self.read_rest(terminal))

    def test_a_wrong_password_may_be_said_again_twice(self):
        self.init()
        process, terminal = self.at_terminal("key", "list", "photos")
        for text in ("wrong", "wrong too", PASSWORD):
            self.read_until(terminal, self.PROMPT)
            os.write(terminal, text.encode() + b"\n")
        self.assertEqual(process.wait(60), 0)
        process, terminal = self.at_terminal("key", "list", "photos")
        for text in ("wrong", "wrong too", "wrong again"):
            self.read_until(terminal, self.PROMPT)
            os.write(terminal, text.encode() + b"\n")
        self.assertEqual(process.wait(60), 5)
        self.assertEqual(self.machine.run("key", "list", "photos", "--password-file",
                                          self.machine.write_password("bad", "wrong"),
                                          password=False).returncode, 5)

    def test_passwd_asks_for_a_new_password_once_the_old_one_is_right(self):
        self.init()
        process, terminal = self.at_terminal("passwd", "photos")
        seen = self.read_until(terminal, self.PROMPT)
        os.write(terminal, b"wrong\n")
        seen += self.read_until(terminal, self.PROMPT)
        self.assertNotIn("New password", seen)
        os.write(terminal, PASSWORD.encode() + b"\n")
        for prompt in ("New password for vault backups: ", "Repeat the new password: "):
            self.read_until(terminal, prompt)
            os.write(terminal, b"battery staple\n")
        self.assertEqual(process.wait(60), 0)
        self.expect(5, "open", "photos")

    def test_nothing_is_asked_before_what_can_be_looked_at_is(self):
        missing = self.root / "no" / "store"
        other = self.root / "other"
        other.mkdir()
        (other / "file").write_text("x")
        for words, code in ((("init", "photos", missing, "16M"), 3),
                            (("init", "photos", other, "16M"), 4),
                            (("init", "ph otos", self.store, "16M"), 2),
                            (("init", "photos", self.store, "16X"), 2)):
            process, terminal = self.at_terminal(*words)
            self.assertEqual(process.wait(60), code, words)
            self.assertNotIn("assword for", self.read_rest(terminal))
        self.assertFalse(missing.parent.exists())
        self.init()
        process, terminal = self.at_terminal("init", "photos", self.store, "16M")
        self.assertEqual(process.wait(60), 4)
        self.assertNotIn("assword for", self.read_rest(terminal))


if __name__ == "__main__":
    e2e.main()

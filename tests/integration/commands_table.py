"""The table of show-06-commands.sh: each row runs in a home of its own.

  commands_table.py PROGRAMS [PROGRAMS_BEFORE]
"""
import json
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile

PASSWORD = "correct horse"


class Home:
    """One machine with a vault of one volume, "photos", in `backups`."""

    def __init__(self, programs):
        self.coffer = str(pathlib.Path(programs).resolve() / "coffer")
        self.root = pathlib.Path(tempfile.mkdtemp(prefix="coffer-show-"))
        (self.root / "run").mkdir(mode=0o700)
        self.environment = {"PATH": os.environ["PATH"], "HOME": str(self.root), "TERM": "dumb"}
        for name in ("CONFIG", "STATE", "CACHE"):
            self.environment[f"XDG_{name}_HOME"] = str(self.root / name.lower())
        self.environment["XDG_RUNTIME_DIR"] = str(self.root / "run")
        self.secret("password", PASSWORD)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.run("daemon", "stop")
        shutil.rmtree(self.root)

    def secret(self, name, text, mode=0o600):
        path = self.root / name
        path.write_bytes(text.encode())
        path.chmod(mode)
        return path

    def run(self, *words, drop=(), password=True):
        environment = {k: v for k, v in self.environment.items() if k not in drop}
        extra = ["--password-file", "password"] if password else []
        return subprocess.run([self.coffer, *map(str, words), *extra], env=environment, text=True,
                              capture_output=True, timeout=300, cwd=self.root,
                              stdin=subprocess.DEVNULL)

    def shell(self, line):
        return subprocess.run(["bash", "-c", line.replace("coffer ", f"{self.coffer} ", 1)],
                              env=self.environment, text=True, capture_output=True, timeout=300,
                              cwd=self.root, stdin=subprocess.DEVNULL)

    def init(self, *options):
        done = self.run("init", "photos", "backups", "16M", *options)
        assert done.returncode == 0, done.stderr
        return self


def brief(done):
    """Exit code and the first line said."""
    said = (done.stdout.strip() or done.stderr.strip()).splitlines()
    return f"{done.returncode}: {said[0][:110] if said else 'nothing'}"


ROWS = []


def row(command, good):
    """`good` says of the answer whether it is as it should be."""
    def add(act):
        ROWS.append((command, good, act))
        return act
    return add


@row("--json daemon stop", lambda a: a.startswith("0: {"))
def _(home):
    return brief(home.init().run("--json", "daemon", "stop", password=False))


@row("--json opne", lambda a: a.startswith("2: ") and "no command opne" in a)
def _(home):
    return brief(home.run("--json", "opne", password=False))


@row("bogus --help", lambda a: a.startswith("2: "))
def _(home):
    return brief(home.run("bogus", "--help", password=False))


@row("open photos --nbd unix:own.sock", lambda a: a.startswith("0: "))
def _(home):
    return brief(home.init().run("open", "photos", "--nbd", "unix:own.sock"))


@row("close --all, without XDG_RUNTIME_DIR", lambda a: a.endswith("closed"))
def _(home):
    home.init().run("open", "photos")
    code = home.run("close", "--all", drop=["XDG_RUNTIME_DIR"], password=False).returncode
    state = json.loads(home.run("status", "photos", "--json", password=False).stdout)["state"]
    return f"{code}: photos is {state}"


@row("list, ~/.config/coffer of mode 0755", lambda a: a.startswith("0: "))
def _(home):
    (home.root / "config" / "coffer").mkdir(parents=True, mode=0o755)
    return brief(home.run("list", password=False))


@row("config show, config.toml a link", lambda a: a.startswith("0: "))
def _(home):
    (home.root / "config" / "coffer").mkdir(parents=True, mode=0o700)
    home.secret("dotfile", "[defaults]\nsync_age = \"5m\"\n")
    (home.root / "config" / "coffer" / "config.toml").symlink_to(home.root / "dotfile")
    return brief(home.run("config", "show", password=False))


@row("config show photos, of 16 KiB and cloud", lambda a: a == "16KiB, cloud")
def _(home):
    home.init("--chunk-size=16KiB", "--durability=cloud").run("open", "photos")
    shown = json.loads(home.run("config", "show", "photos", "--json", password=False).stdout)
    held = {one["key"]: one["value"] for one in shown["settings"]}
    return f"{held['chunk_size']}, {held['durability']}"


@row("config check, [vaults.bakcups]", lambda a: "no vault bakcups is known" in a)
def _(home):
    home.init()
    (home.root / "config" / "coffer").mkdir(parents=True, mode=0o700)
    (home.root / "config" / "coffer" / "config.toml").write_text("[vaults.bakcups]\nsync_age = \"5m\"\n")
    (home.root / "config" / "coffer" / "config.toml").chmod(0o600)
    done = home.run("config", "check", password=False)
    said = (done.stderr or done.stdout).strip().splitlines()[0]
    return f"{done.returncode}: {said.split('config.toml')[-1].split(':', 2)[-1].strip()}"


@row("list, after the last volume is deleted", lambda a: "backups" in a)
def _(home):
    home.init().run("delete", "photos", "--confirm=photos")
    return " ".join(home.run("list", password=False).stdout.split("\n", 1)[-1].split()) or "nothing"


@row("init of 1.5G, 16MB, 16m", lambda a: a == "0 0 0")
def _(home):
    return " ".join(str(home.run("init", f"v{i}", "backups", size).returncode)
                    for i, size in enumerate(("1.5G", "16MB", "16m")))


@row("open photos --dedup=off", lambda a: a.startswith("0: "))
def _(home):
    return brief(home.init().run("open", "photos", "--dedup=off"))


@row("init photos größe 16M: the vault's name", lambda a: a == "gr-e")
def _(home):
    return json.loads(home.run("init", "photos", "größe", "16M", "--json").stdout)["vault"]["alias"]


@row("add COPY of a known vault", lambda a: a.startswith("4: ") and a.endswith("backups"))
def _(home):
    home.init()
    shutil.copytree(home.root / "backups", home.root / "copy")
    code = home.run("add", "copy").returncode
    shown = json.loads(home.run("list", "--json", password=False).stdout)["volumes"][0]["store"]
    return f"{code}: its store is {pathlib.Path(shown).name}"


@row("init more backups 16M --as other", lambda a: a.startswith("4: ") and a.endswith("backups"))
def _(home):
    code = home.init().run("init", "more", "backups", "16M", "--as", "other").returncode
    shown = json.loads(home.run("list", "--json", password=False).stdout)["volumes"][0]["vault"]
    return f"{code}: it is called {shown}"


@row("an older copy: open, --read-only, accept, open", lambda a: a == "10 0 0 0")
def _(home):
    home.init()
    shutil.copytree(home.root / "backups", home.root / "copy")
    home.run("init", "more", "backups", "16M")
    home.run("add", "copy", "--replace")
    if not json.loads(home.run("list", "--json", password=False).stdout)["volumes"][0]["store"].endswith("copy"):
        shutil.rmtree(home.root / "backups")
        (home.root / "copy").rename(home.root / "backups")
    codes = [home.run("open", "photos").returncode,
             home.run("open", "photos", "--read-only").returncode]
    home.run("close", "photos", password=False)
    codes.append(home.run("trust", "accept", "backups", "--confirm=backups").returncode)
    codes.append(home.run("open", "photos").returncode)
    return " ".join(map(str, codes))


@row("passwd --password-file F, no terminal", lambda a: "--new-password-file" in a)
def _(home):
    done = home.init().run("passwd", "photos")
    return done.stderr.strip().splitlines()[-1].strip()


for text, line in (("--password-file <(cat password)", "coffer key list photos --password-file <(cat password)"),
                   ("--password-file /dev/stdin < password",
                    "coffer key list photos --password-file /dev/stdin < password"),
                   ("--password-file LINK", "ln -s password link; coffer key list photos --password-file link")):
    @row(text, lambda a: a == "0")
    def _(home, line=line):
        return str(home.init().shell(line).returncode)


@row("a password file with BOM and CR LF", lambda a: a == "0")
def _(home):
    home.init().secret("windows", f"\ufeff{PASSWORD}\r\n")
    return str(home.run("key", "list", "photos", "--password-file", "windows", password=False).returncode)


@row("a password in NFD where NFC was set", lambda a: a == "0")
def _(home):
    home.secret("password", "caf\u00e9")
    home.init().secret("other", "cafe\u0301")
    return str(home.run("key", "list", "photos", "--password-file", "other", password=False).returncode)


def answer(programs, act):
    with Home(programs) as home:
        try:
            return act(home).replace(str(home.root), "~")
        except Exception as error:  # what it was asked for is not there: that is the answer
            return f"({type(error).__name__})"


def main():
    programs, before = sys.argv[1], sys.argv[2] if len(sys.argv) > 2 else None
    wrong = 0
    del ROWS[int(os.environ.get("rows", len(ROWS))):]
    for command, good, act in ROWS:
        now = answer(programs, act)
        wrong += not good(now)
        was = answer(before, act) if before else BEFORE.get(command, "?")
        print(f"{command} | {was} | {now} | {'yes' if good(now) else 'NO'}", flush=True)
    print(f"{len(ROWS)} commands, {wrong} not as they should be")
    return 1 if wrong else 0


BEFORE = json.loads((pathlib.Path(__file__).parent / "commands_before.json").read_text())

if __name__ == "__main__":
    sys.exit(main())

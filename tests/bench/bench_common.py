"""What the benchmarks share: a machine of coffer's own, servers side by side, medians, a plot."""

import json
import os
import pathlib
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time

REPO = pathlib.Path(__file__).resolve().parents[2]


def build(targets=("coffer", "cofferd")):
    """The build directory to measure: $COFFER_BUILD, else a Release build of `targets` made here."""
    given = os.environ.get("COFFER_BUILD")
    if given:
        return pathlib.Path(given)
    path = REPO / "build" / "bench"
    subprocess.run(["cmake", "-S", REPO, "-B", path, "-G", "Ninja", "-DCMAKE_BUILD_TYPE=Release"],
                   check=True, stdout=subprocess.DEVNULL)
    subprocess.run(["cmake", "--build", path, "--target", *targets], check=True,
                   stdout=subprocess.DEVNULL)
    return path


def describe_machine():
    """One line: processor, cores, memory, kernel, date."""
    model = next((line.split(":", 1)[1].strip() for line in open("/proc/cpuinfo")
                  if line.startswith("model name")), "unknown processor")
    kib = int(next(line for line in open("/proc/meminfo")).split()[1])
    return (f"{model}, {os.cpu_count()} cores, {kib // (1 << 20)} GiB, Linux {os.uname().release}, "
            f"{time.strftime('%Y-%m-%d')}")


def cpu_seconds(pid):
    """User and system time of a process so far, its ended threads included."""
    fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


class WorkDirectory:
    """A directory of one's own under $BENCH_TMP (default /var/tmp); gone afterwards."""

    def __enter__(self):
        self.path = pathlib.Path(tempfile.mkdtemp(prefix="coffer-bench-",
                                                  dir=os.environ.get("BENCH_TMP", "/var/tmp")))
        return self.path

    def __exit__(self, *_):
        shutil.rmtree(self.path, ignore_errors=True)


class Coffer:
    """A machine with coffer on it, and one volume `bench` in a directory."""

    def __init__(self, path, size, defaults=None):
        """`defaults`: settings for config.toml."""
        self.path = path
        self.program = build() / "cli" / "coffer"
        self.env = dict(os.environ)
        for name in ("CONFIG", "STATE", "CACHE", "RUNTIME"):
            place = path / name.lower()
            place.mkdir(mode=0o700, parents=True)
            self.env[f"XDG_{name}_{'DIR' if name == 'RUNTIME' else 'HOME'}"] = str(place)
        if defaults:
            config = path / "config" / "coffer"
            config.mkdir(mode=0o700)
            (config / "config.toml").write_text(
                "[defaults]\n" + "".join(f"{key} = {value}\n" for key, value in defaults.items()))
            (config / "config.toml").chmod(0o600)
            self.run("config", "check")
        self.password = path / "password"
        self.password.write_text("not a secret\n")
        self.password.chmod(0o600)
        self.store = path / "store"
        self.run("init", "bench", self.store, str(size), "--password-file", self.password)

    def run(self, *words):
        return subprocess.run([self.program, *words], env=self.env, check=True,
                              stdout=subprocess.PIPE, text=True).stdout

    def open(self, *words):
        return json.loads(self.run("open", "bench", "--json", *words, "--password-file",
                                   self.password))["uri"]

    def daemon_pid(self):
        return int((self.path / "runtime" / "coffer" / "cofferd.pid").read_text())

    def daemon_cpu_seconds(self):
        return cpu_seconds(self.daemon_pid())

    def stop(self):
        subprocess.run([self.program, "daemon", "stop"], env=self.env, check=False,
                       stdout=subprocess.DEVNULL)


class SocketServer:
    """A server of somebody else's, started by `words` with SOCKET replaced; ready when it listens."""

    def __init__(self, path, words):
        path.mkdir(parents=True)
        self.socket = path / "nbd.sock"
        self.process = subprocess.Popen([str(w).replace("SOCKET", str(self.socket)) for w in words],
                                        stdout=subprocess.DEVNULL)
        self.uri = f"nbd+unix:///?socket={self.socket}"
        deadline = time.monotonic() + 20
        while not self.socket.exists():
            if self.process.poll() is not None or time.monotonic() > deadline:
                raise SystemExit(f"{words[0]} does not listen")
            time.sleep(0.02)

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        self.process.wait()


def fio(arguments, seconds, path):
    """fio's result of one job that runs `seconds` unless told otherwise, in `path`: {"iops", "bytes_per_second",
    "operations"}."""
    done = subprocess.run(
        ["fio", "--name=job", "--time_based=1", f"--runtime={round(seconds * 1000)}ms", "--randrepeat=1",
         "--output-format=json", *arguments], check=True, stdout=subprocess.PIPE, text=True, cwd=path).stdout
    job = json.loads(done[done.index("{"):])["jobs"][0]
    if job["error"]:
        raise SystemExit(f"fio: error {job['error']}")
    kinds = [job["read"], job["write"]]
    return {"iops": sum(kind["iops"] for kind in kinds), "bytes_per_second": sum(kind["bw_bytes"] for kind in kinds),
            "operations": sum(kind["total_ios"] for kind in kinds)}


def median(values):
    return statistics.median(values)


def there_and_back(servers, run):
    """(name, server) in order, in every other run backwards: what one leaves behind, such as pages
    still to be written, is then not always in the way of the same one."""
    items = list(servers.items())
    return items if run % 2 == 0 else items[::-1]


def tree_bytes(path):
    """Bytes of all files under `path`, as their sizes say."""
    return sum(p.stat().st_size for p in pathlib.Path(path).rglob("*") if p.is_file())


def fail(text):
    print(text, file=sys.stderr)
    raise SystemExit(1)


def bar_chart(path, title, groups, series, values):
    """SVG: for each of `groups` one bar per name in `series`, as a share of the group's largest.
    `values[group][name]` are numbers; each bar is labelled with its own."""
    colours = ["#1b6ca8", "#9bb8d3", "#7aa874", "#c9a86a", "#b5838d", "#888888"]
    bar, gap, left, top, width = 16, 14, 190, 60, 520
    height = top + len(groups) * (len(series) * bar + gap) + 20
    out = [f'<svg xmlns="http://www.w3.org/2000/svg" width="{left + width + 140}" height="{height}" '
           'font-family="sans-serif" font-size="12">',
           f'<rect width="100%" height="100%" fill="white"/><text x="10" y="20" font-size="15">{title}</text>']
    for i, name in enumerate(series):
        out.append(f'<rect x="{10 + i * 130}" y="32" width="12" height="12" fill="{colours[i]}"/>'
                   f'<text x="{26 + i * 130}" y="43">{name}</text>')
    y = top
    for group in groups:
        largest = max(values[group].values()) or 1
        out.append(f'<text x="10" y="{y + len(series) * bar / 2 + 4}">{group}</text>')
        for i, name in enumerate(series):
            value = values[group][name]
            length = max(1, width * value / largest)
            out.append(f'<rect x="{left}" y="{y}" width="{length:.0f}" height="{bar - 2}" '
                       f'fill="{colours[i]}"/><text x="{left + length + 5:.0f}" y="{y + 11}">{value:,.0f}</text>')
            y += bar
        y += gap
    out.append("</svg>")
    pathlib.Path(path).write_text("\n".join(out) + "\n")

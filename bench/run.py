"""make bench: measures, prints a table, and writes build/bench.json. Figures are kept by hand in docs/benchmarks.md.

Every figure is a distribution or stands beside a floor that was measured in the same run.
"""
import json
import os
import pathlib
import platform
import shutil
import signal
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
BIN = ROOT / "build/release/bin"
CONFIG = """\
pools:
  - name: local
    provider: local
    max_machines: 8
    types: [{name: small, cpus: 1, memory: 512MiB, price: 1.00, spot_price: 0.30}]
  - name: closed            # a pool without room: its jobs stay queued
    provider: local
    max_machines: 1
    types: [{name: small, cpus: 1, memory: 2GiB, price: 1.00, spot_price: 0.30}]
queues:
  - {name: default, pools: [%s]}
"""


class Server:
    """A control plane of its own in a fresh state directory."""

    def __init__(self, pool):
        self.directory = pathlib.Path(tempfile.mkdtemp(prefix="buoy-bench-"))
        self.state = self.directory / "state"
        (self.directory / "config.yaml").write_text(CONFIG % pool)
        self.environment = dict(os.environ, BUOY_STATE_DIR=str(self.state), BUOY_CONFIG=str(self.directory / "config.yaml"),
                                XDG_CACHE_HOME=str(self.directory / "cache"), NO_COLOR="1")

    def __enter__(self):
        self.buoy("server", "start")
        self.endpoint = f"unix:{self.state}/server.sock"
        self.pid = json.loads(self.buoy("server", "status", "--json"))["pid"]
        return self

    def __exit__(self, *_):
        self.buoy("server", "stop")
        for process in pathlib.Path("/proc").iterdir():
            if process.name.isdigit():
                try:
                    if str(self.state).encode() in (process / "cmdline").read_bytes():
                        os.kill(int(process.name), signal.SIGKILL)
                except OSError:
                    pass
        shutil.rmtree(self.directory, ignore_errors=True)

    def buoy(self, *arguments):
        done = subprocess.run([BIN / "buoy", *map(str, arguments)], env=self.environment, cwd=self.directory, text=True,
                              capture_output=True)
        if done.returncode != 0:
            sys.exit(f"bench: buoy {arguments}: {done.stderr}")
        return done.stdout

    def resident_kib(self, pid=None):
        return resident_kib(pid or self.pid)

    def load(self, requests, *extra):
        done = subprocess.run([BIN / "submit_load", self.endpoint, "16", str(requests), *extra], text=True, capture_output=True)
        if done.returncode != 0:
            sys.exit(f"bench: submit_load: {done.stderr}")
        return json.loads(done.stdout)


def resident_kib(pid):
    for line in pathlib.Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS"):
            return int(line.split()[1])
    return 0


def processor_seconds(pid):
    fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def quantiles(values):
    ordered = sorted(values)
    at = lambda q: ordered[min(len(ordered) - 1, int(q * len(ordered)))]
    return {"n": len(ordered), "p50": at(0.50), "p90": at(0.90), "p99": at(0.99), "max": ordered[-1]}


def whole_process(server, commands):
    """Interleaved wall times of whole processes, in milliseconds."""
    result = server.directory / "hyperfine.json"
    subprocess.run(["hyperfine", "--shell=none", "--warmup", "5", "--runs", "100", "--export-json", result,
                    *[" ".join(map(str, command)) for command in commands]],
                   env=server.environment, check=True, capture_output=True)
    return [quantiles([t * 1000 for t in entry["times"]]) for entry in json.loads(result.read_text())["results"]]


def wait_until(condition, limit=60):
    deadline = time.monotonic() + limit
    while time.monotonic() < deadline:
        if value := condition():
            return value
        time.sleep(0.001)
    sys.exit("bench: what was waited for did not happen")


def stamps(path):
    return [int(line) for line in path.read_text().split()] if path.exists() else []


def bench_submits():
    with Server("closed") as server:
        floor = server.load(20_000, "get")
        before = server.resident_kib()
        first = server.load(20_000)
        rest = server.load(80_000)
        grown = server.resident_kib() - before
        return {"floor GET /v1/server per second": floor["per_second"], "first 20,000: per second": first["per_second"],
                "p50 ms": first["p50_ms"], "p99 ms": first["p99_ms"], "20,000 to 100,000 queued: per second": rest["per_second"],
                "server KiB per queued job": round(grown / 100_000, 2)}


def bench_commands():
    with Server("closed") as server:
        server.load(10_000)
        buoy = BIN / "buoy"
        true, version, ps, ps_json = whole_process(server, [["/bin/true"], [buoy, "--version"], [buoy, "ps"], [buoy, "ps", "--json"]])
        return {"/bin/true (floor) ms": true, "buoy --version ms": version, "buoy ps, 10,000 jobs, ms": ps, "buoy ps --json ms": ps_json}


def bench_start(runs=200):
    """From the submit's request to the first instruction of the job's own program, on a free machine."""
    with Server("local") as server:
        latencies = []
        for n in range(runs):
            file = server.directory / f"start-{n}"
            begin = time.time_ns()
            job = json.loads(server.buoy("submit", "--json", "--no-source", "--", BIN / "stamp", file))["job"]
            first = wait_until(lambda: stamps(file))[0]
            latencies.append((first - begin) / 1e6)
            wait_until(lambda: json.loads(server.buoy("show", job, "--json"))["phase"] == "succeeded")
        return {"whole `buoy submit` to first instruction, ms": quantiles(latencies)}


def bench_recovery(runs=100):
    """From SIGKILL of everything on a machine to the job running again with its 1 MiB checkpoint in place."""
    script = """\
if [ -f checkpoints/state ]; then [ "$(wc -c <checkpoints/state)" = 1048576 ] && %s "$1"
else mkdir -p checkpoints; head -c 1048576 /dev/urandom >checkpoints/.tmp; mv checkpoints/.tmp checkpoints/state; fi
while :; do sleep 1000; done
""" % (BIN / "stamp")
    with Server("local") as server:
        (server.directory / "job.sh").write_text(script)
        file = server.directory / "stamps"
        job = json.loads(server.buoy("submit", "--json", "--checkpoint", "checkpoints", "--no-source", "--",
                                     "sh", server.directory / "job.sh", file))["job"]
        show = lambda: json.loads(server.buoy("show", job, "--json"))
        wait_until(lambda: show()["last_version"])
        latencies = []
        for n in range(runs):
            view = wait_until(lambda: (v := show())["phase"] == "running" and v["attempts"] == n + 1 and v)
            host = int((server.state / "machines" / view["machines"][0] / "host.pid").read_text().split()[0])
            begin = time.time_ns()
            os.kill(host, signal.SIGKILL)  # the kernel kills the whole machine with it
            after = wait_until(lambda: len(s := stamps(file)) > n and s)[n]
            latencies.append((after - begin) / 1e6)
        return {"SIGKILL to running again with 1 MiB restored, ms": quantiles(latencies)}


def bench_plans(jobs=24, each=5):
    """What everybody else waits while spot policies' plans are solved: jobs with a deadline, each with a plan of its own."""
    with Server("closed") as server:
        def timed(*arguments):
            begin = time.perf_counter()
            server.buoy(*arguments)
            return (time.perf_counter() - begin) * 1000
        submit = ("submit", "--no-source", "--", "true")
        idle = {"ps": [timed("ps", "--json") for _ in range(jobs * each)], "submit": [timed(*submit) for _ in range(jobs)]}
        busy = {"ps": [], "submit": [], "with a deadline": []}
        for n in range(jobs):
            hours = 8 * 1.11 ** n
            busy["with a deadline"].append(timed("submit", "--no-source", "--checkpoint", "checkpoints", "--work", f"{hours:.0f}h",
                                                 "--deadline", f"{hours * 1.4:.0f}h", "--", "true"))
            busy["ps"] += [timed("ps", "--json") for _ in range(each)]
            busy["submit"].append(timed(*submit))
        return {**{f"whole `buoy {name}`, nothing to solve (floor), ms": quantiles(values) for name, values in idle.items()},
                **{f"the same `buoy {name}` while plans are solved, ms": quantiles(values) for name, values in busy.items()}}


def bench_agent(seconds=30):
    with Server("local") as server:
        job = json.loads(server.buoy("submit", "--json", "--checkpoint", "checkpoints", "--no-source", "--", "sleep", "1000"))["job"]
        wait_until(lambda: json.loads(server.buoy("show", job, "--json"))["phase"] == "running")
        agent = next(int(p.name) for p in pathlib.Path("/proc").iterdir() if p.name.isdigit()
                     and (p / "cmdline").read_bytes().startswith(str(BIN / "buoy-agent").encode() + b"\0run") and str(server.state).encode() in (p / "cmdline").read_bytes())
        before = processor_seconds(agent)
        time.sleep(seconds)
        return {"agent resident MiB": round(server.resident_kib(agent) / 1024, 2), "agent CPU, % of a core": round(100 * (processor_seconds(agent) - before) / seconds, 3)}


def main():
    parts = {"submits": bench_submits, "commands": bench_commands, "start": bench_start, "recovery": bench_recovery, "plans": bench_plans, "agent": bench_agent}
    chosen = sys.argv[1:] or list(parts)
    figures = {}
    print(f"{platform.processor() or platform.machine()}, {os.cpu_count()} cores, {time.strftime('%Y-%m-%d')}")
    for name in chosen:
        figures[name] = parts[name]()
        for label, value in figures[name].items():
            if isinstance(value, dict):
                value = "  ".join(f"{k} {v:.2f}" if isinstance(v, float) else f"{k} {v}" for k, v in value.items())
            print(f"{name:10} {label:52} {value}", flush=True)
    (ROOT / "build/bench.json").write_text(json.dumps(figures, indent=1))


if __name__ == "__main__":
    main()

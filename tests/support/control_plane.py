"""A control plane of a test's own, and the command line that talks to it: the real binaries."""
import json
import os
import pathlib
import shutil
import signal
import subprocess
import tempfile
import time

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
BIN = pathlib.Path(os.environ.get("BUOY_BIN", ROOT / "build/release/bin"))
PASSED_ON = ("BUOY_LOCAL_ISOLATION", "BUOY_LOCAL_CGROUPS")  # so that the tests run as on a host with less
LIMIT = 60  # seconds that anything may take before the test is given up


def wait_for(condition, what, limit=LIMIT):
    """Polls until `condition()` is true; the wait ends when the thing happens, not after a guessed time."""
    deadline = time.monotonic() + limit
    while time.monotonic() < deadline:
        value = condition()
        if value:
            return value
        time.sleep(0.01)
    pytest.fail(f"did not happen in {limit} s: {what}")


def alive(pid):
    """A zombie is not alive: it was killed, and only its parent has not yet noticed."""
    try:
        return pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except (FileNotFoundError, ProcessLookupError):
        return False


class Buoy:
    """A control plane in a state directory, and the command line that talks to it."""

    def __init__(self, directory, config=None, environment=None):
        self.state = directory / "state"
        self.project = directory / "project"
        self.project.mkdir(parents=True)
        self.environment = {k: v for k, v in os.environ.items() if not k.startswith("BUOY_") or k in PASSED_ON}
        self.environment.update(BUOY_STATE_DIR=str(self.state), NO_COLOR="1", LC_ALL="C.UTF-8",
                                XDG_CONFIG_HOME=str(directory / "config"), XDG_CACHE_HOME=str(directory / "cache"))
        self.environment.update(environment or {})
        self.configure(config)

    def configure(self, config):
        path = self.state.parent / "config.yaml"
        if config is not None:
            path.write_text(config)
            self.environment["BUOY_CONFIG"] = str(path)

    def command(self, *arguments):
        return [str(BIN / "buoy"), *map(str, arguments)]

    def run(self, *arguments, check=None, environment=None, limit=LIMIT, **options):
        done = subprocess.run(self.command(*arguments), cwd=self.project, text=True, capture_output=True, timeout=limit,
                              env={**self.environment, **(environment or {})}, stdin=subprocess.DEVNULL, **options)
        if check is not None:
            assert done.returncode == check, f"{arguments} ended with {done.returncode}\n{done.stdout}\n{done.stderr}\n{self.server_log()}"
        return done

    def popen(self, *arguments, **options):
        return subprocess.Popen(self.command(*arguments), cwd=self.project, text=True, env=self.environment,
                                stdin=subprocess.DEVNULL, **{"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, **options})

    def json(self, *arguments):
        end = arguments.index("--") if "--" in arguments else len(arguments)
        return json.loads(self.run(*arguments[:end], "--json", *arguments[end:], check=0).stdout)

    def submit(self, *arguments):
        """Submits and returns the job's id."""
        return self.json("submit", *arguments)["job"]

    def job(self, job):
        return self.json("show", job)

    def wait_phase(self, job, *phases, limit=LIMIT):
        def look():
            found = self.run("show", job, "--json")
            if found.returncode != 0:
                return None
            view = json.loads(found.stdout)
            if view["phase"] in ("failed", "cancelled", "timed_out", "succeeded") and view["phase"] not in phases:
                pytest.fail(f"{job} is {view['phase']}: {view.get('reason')}\n{self.run('logs', job).stdout[-2000:]}\n{self.server_log()}")
            return view if view["phase"] in phases else None
        return wait_for(look, f"{job} in phase {phases}", limit)

    def wait_log(self, job, text, limit=LIMIT):
        return wait_for(lambda: text in self.run("logs", job).stdout, f"'{text}' in the log of {job}", limit)

    def server_pid(self):
        return self.json("server", "status")["pid"]

    def kill_server(self):
        pid = self.server_pid()
        os.kill(pid, signal.SIGKILL)
        wait_for(lambda: not alive(pid), "the end of the control plane")

    def machine_directory(self, machine):
        return self.state / "machines" / machine

    def host_pid(self, machine):
        return int((self.machine_directory(machine) / "host.pid").read_text().split()[0])

    def server_log(self):
        path = self.state / "server.log"
        return path.read_text(errors="replace")[-3000:] if path.exists() else ""

    def write(self, name, text):
        path = self.project / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        return path

    def hosts(self):
        """Process ids of the machines' hosts of this state directory that are alive, whatever the control plane thinks."""
        found = []
        for process in pathlib.Path("/proc").iterdir():
            if not process.name.isdigit():
                continue
            try:
                line = (process / "cmdline").read_bytes().split(b"\0")
            except OSError:
                continue
            if len(line) > 1 and line[1] in (b"host", b"run") and any(str(self.state).encode() in part for part in line):
                found.append(int(process.name))
        return found

    def stop(self):
        """Ends the control plane and every machine; says which machines a test left behind."""
        self.run("server", "stop")
        for pid in self.hosts():
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
        wait_for(lambda: not self.hosts(), "the end of all machines")


@pytest.fixture
def make_buoy():
    """Makes control planes: make_buoy(config=…, environment=…)."""
    made = []

    def make(config=None, environment=None):
        # Short, because a Unix socket's path may have 107 bytes at most.
        directory = pathlib.Path(tempfile.mkdtemp(prefix="buoy-e2e-"))
        made.append((Buoy(directory, config, environment), directory))
        return made[-1][0]

    yield make
    for buoy, directory in made:
        buoy.stop()
        shutil.rmtree(directory, ignore_errors=True)

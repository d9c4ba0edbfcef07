"""A real PyTorch job on a market that takes its machine four times, and the proof that nothing was lost.

What happens: the digits example (examples/digits) runs as a Buoy job on local machines. The market of its pool takes
the first machine with a notice, the second by SIGKILL without a word, the third with a notice, and the fourth while
the control plane itself lies dead of SIGKILL. With --s3 all checkpoints, sources, logs and outputs lie in a real S3
server (Ceph's, on loopback, scripts/radosgw.sh), as they would in AWS. Before that the same script runs once without any of it, which also tells
how long a machine may live so that the job needs five. At the end the two models are compared bit by bit.
"""
import argparse
import contextlib
import json
import os
import pathlib
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
BIN = ROOT / "build/release/bin"
EXAMPLE = ROOT / "examples/digits"
WORK = ROOT / "build/demo"

# {0}: what a machine lives, in seconds.
CONFIG = """\
pools:
  - name: local
    provider: local
    max_machines: 4
    types:
      - {{name: small, cpus: 1, memory: 2GiB, price: 1.00, spot_price: 0.30}}
    market:
      script:                             # one entry for each machine in turn; after the fourth the market is calm
        - {{after: {0:.1f}s, notice: 5s}}    # with a notice
        - {{after: {0:.1f}s}}                # SIGKILL, no notice
        - {{after: {0:.1f}s, notice: 5s}}    # with a notice
        - {{after: {0:.1f}s}}                # SIGKILL, while the control plane is dead too
queues:
  - {{name: default, pools: [local]}}
"""
EPOCHS = 40


def say(text):
    bold, plain = ("\033[1m", "\033[0m") if sys.stdout.isatty() else ("", "")
    print(f"\n{bold}{text}{plain}", flush=True)


def find_python():
    """An interpreter that has torch and sklearn: the first python3 on the PATH need not be Debian's."""
    for candidate in (os.environ.get("PYTHON"), "/usr/bin/python3", shutil.which("python3")):
        if candidate and subprocess.run([candidate, "-c", "import torch, sklearn"], capture_output=True).returncode == 0:
            return candidate
    sys.exit("demo: no python3 with torch and sklearn was found; install python3-torch and python3-sklearn")


def run_uninterrupted(python):
    """Runs the script outside Buoy, and returns how long it took to its first epoch and for all of them."""
    begin = time.monotonic()
    reference = subprocess.Popen([python, "-u", EXAMPLE / "train.py", "--epochs", str(EPOCHS), "--checkpoints", WORK / "reference",
                                  "--model", WORK / "reference.pt"], stdout=subprocess.PIPE, text=True)
    epochs = [time.monotonic() for line in reference.stdout if line.startswith("epoch=")]
    if reference.wait() != 0 or len(epochs) != EPOCHS:
        sys.exit("demo: the uninterrupted run failed")
    training = (epochs[-1] - epochs[0]) * EPOCHS / (EPOCHS - 1)
    return epochs[-1] - training - begin, training


def alive(pid):
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


class ControlPlaneKiller(threading.Thread):
    """Kills the control plane under the fourth machine, waits until the market has taken that machine, starts it again."""

    def __init__(self, buoy, state):
        super().__init__(daemon=True)
        self.buoy, self.state, self.done, self.error = buoy, state, False, None

    def run(self):
        try:
            self.kill_and_restart()
        except Exception as error:  # told by the main thread: the job itself goes on
            self.error = error

    def kill_and_restart(self):
        machine = self.wait_for(lambda: self.running_machine("m4"), "the fourth machine never ran")
        host = int((self.state / "machines/m4/host.pid").read_text().split()[0])
        server = json.loads(self.buoy("server", "status", "--json").stdout)["pid"]
        say(f"── kill -9 {server}: the control plane is gone; the job on {machine} goes on without it ──")
        os.kill(server, signal.SIGKILL)
        self.wait_for(lambda: not alive(host), f"the market never took {machine}")
        say(f"── the market took {machine} while nobody was looking; starting the control plane again ──")
        self.buoy("server", "start")
        self.done = True

    def running_machine(self, name):
        listing = self.buoy("ps", "--json").stdout
        jobs = json.loads(listing)["jobs"] if listing else []
        running = [job for job in jobs if job["phase"] == "running" and name in job.get("machines", [])]
        return name if running else None

    @staticmethod
    def wait_for(condition, otherwise):
        deadline = time.monotonic() + 900  # a slow machine takes minutes for what others do in seconds
        while time.monotonic() < deadline:
            if value := condition():
                return value
            time.sleep(0.1)
        raise TimeoutError(otherwise)


@contextlib.contextmanager
def s3_server():
    """Runs an S3 server with an empty bucket; the environment that AWS's tools, and Buoy, need for it."""
    directory = pathlib.Path(tempfile.mkdtemp(prefix="buoy-demo-s3-"))
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    server = ROOT / "scripts/radosgw.sh"
    try:
        started = subprocess.run([server, "start", directory / "server", str(port)], stdout=subprocess.PIPE, text=True)
        if started.returncode != 0:
            sys.exit("demo: the S3 server did not start")
        found = dict(word.split("=", 1) for word in shlex.split(started.stdout) if "=" in word)
        environment = {name: value for name, value in found.items() if name.startswith("AWS_")}
        subprocess.run([BIN / "buoy", "mb", "s3://training"], check=True, env=dict(os.environ, **environment))
        yield environment
    finally:
        subprocess.run([server, "stop", directory / "server"])
        shutil.rmtree(directory, ignore_errors=True)


def main():
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--s3", action="store_true", help="keep everything in an S3 server that is started for it")
    if not options.parse_args().s3:
        return demo("", {})
    say("$ scripts/radosgw.sh start …            # a real S3 server, in memory")
    with s3_server() as environment:
        print(f"ready at {environment['AWS_ENDPOINT_URL_S3']}; in Buoy's configuration: store: s3://training/buoy")
        demo("store: s3://training/buoy\n", environment)
        say("$ buoy ls --recursive --summarize s3://training/buoy      # what lies there now")
        subprocess.run([BIN / "buoy", "ls", "--recursive", "--summarize", "s3://training/buoy"], check=True,
                       env=dict(os.environ, **environment))


def demo(store, store_environment):
    python = find_python()
    shutil.rmtree(WORK, ignore_errors=True)
    WORK.mkdir(parents=True)
    # A Unix socket's path must be short, so the state is in the temporary directory.
    state = pathlib.Path(tempfile.mkdtemp(prefix="buoy-demo-"))
    say(f"$ python3 train.py --epochs {EPOCHS}      # first without Buoy and without interruption, for comparison")
    starting, training = run_uninterrupted(python)
    print(f"took {starting + training:.1f} s: {starting:.1f} s until PyTorch was loaded, {training:.1f} s of training")
    config = WORK / "config.yaml"
    config.write_text(store + CONFIG.format(starting + training / 10))
    environment = dict(os.environ, BUOY_STATE_DIR=str(state), BUOY_CONFIG=str(config), **store_environment)
    environment.pop("BUOY_SERVER", None)

    def buoy(*arguments, **options):
        return subprocess.run([BIN / "buoy", *arguments], env=environment, text=True,
                              **{"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, **options})

    try:
        started = buoy("server", "start")
        if started.returncode != 0:
            sys.exit(started.stderr)
        say("$ buoy run examples/digits/buoy.yaml")
        killer = ControlPlaneKiller(buoy, state)
        killer.start()
        job = buoy("run", EXAMPLE / "buoy.yaml", "--env", f"PYTHON={python}", stdout=None, stderr=None)
        if job.returncode != 0:
            sys.exit(f"demo: the job ended with {job.returncode}")
        killer.join(10)
        if killer.error:
            sys.exit(f"demo: {killer.error}")
        finished = json.loads(buoy("ps", "--all", "--json").stdout)["jobs"][0]
        reclaims = finished["ledger"]["reclaims_noticed"], finished["ledger"]["reclaims_unnoticed"]
        if not killer.done or reclaims[0] < 2 or reclaims[1] < 2:
            sys.exit(f"demo: the market took too few machines (noticed, unnoticed: {reclaims}); this machine is too fast or too slow")
        buoy("download", finished["id"], WORK / "job")
        say("The proof: the weights of the job that lost four machines, and those of the run that lost none")
        sys.stdout.flush()
        subprocess.run([python, EXAMPLE / "compare.py", "reference.pt", "job/model.pt"], cwd=WORK, check=True)
    finally:
        buoy("server", "stop")
        shutil.rmtree(state, ignore_errors=True)


if __name__ == "__main__":
    main()

"""make bench-transfer: Buoy, other S3 clients and the floor, interleaved, against a real server and a null server.

Prints a table for each workload and writes build/bench-transfer.json: medians, ratios to the floor and to the best peer.
    run.py [--quick] [--rounds N] [--server radosgw|null] [--only WORDS-OF-A-WORKLOAD] [--tools floor,buoy,rclone]
"""
import argparse
import contextlib
import json
import os
import pathlib
import platform
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parents[1]
sys.path[:0] = [str(HERE), str(ROOT / "tests")]
from support.s3_server import RadosGateway, S3Server, free_port  # noqa: E402
from tools import BIN, NOT_PEERS, TOOLS  # noqa: E402
from workloads import BUCKET, WORKLOADS, Scale, make_input  # noqa: E402

PROGRAMS = ["buoy_null_s3", "buoy_floor_s3", "buoy_measure"]
COMMAND_LIMIT = 600  # seconds
MEMORY = 8 << 30  # of the real server


def port():
    """80 where that is allowed and free: the CRT of Debian's awscli takes no other from an endpoint."""
    with socket.socket() as sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            sock.bind(("127.0.0.1", 80))
            return 80
        except OSError:
            return free_port()


class RealServer(RadosGateway):
    name, keeps = "radosgw", True

    def __init__(self):
        super().__init__(MEMORY, port())
        self.make_bucket(BUCKET)
        self.make_bucket("listed")

    def close(self):
        self.stop()

    def empty(self, bucket):
        """At once, and the memory too: its own garbage collection would come an hour later."""
        self.admin("bucket", "rm", f"--bucket={bucket}", "--purge-objects", "--bypass-gc")
        self.admin("gc", "process", "--include-all")
        self.make_bucket(bucket)


class NullServer(S3Server):
    name, keeps = "null", False

    def __init__(self):
        number = port()
        self.process = subprocess.Popen([BIN / "buoy_null_s3", str(number)], stdout=subprocess.PIPE, text=True)
        if self.process.stdout.readline() != "ready\n":
            raise RuntimeError("buoy_null_s3 did not start")
        super().__init__(f"http://127.0.0.1:{number}", "any", "any")

    def empty(self, bucket):
        for key in self.objects(bucket):
            self.delete(bucket, key)

    def close(self):
        self.process.kill()
        self.process.wait()


def build():
    done = subprocess.run(["cmake", "--build", ROOT / "build/release", "--target", *PROGRAMS], text=True, capture_output=True)
    if done.returncode != 0:
        sys.exit(f"bench-transfer: the programs of bench/transfer do not build:\n{done.stdout[-3000:]}")


def work_directory(scale):
    """In memory where there is room, so that no disk is measured."""
    need = 2 * scale.big + 2 * scale.files * scale.file_size + scale.listed * 4096
    if os.path.isdir("/dev/shm") and shutil.disk_usage("/dev/shm").free > 1.2 * need:
        return tempfile.TemporaryDirectory(prefix="buoy-bench-", dir="/dev/shm"), "tmpfs"
    return tempfile.TemporaryDirectory(prefix="buoy-bench-"), "the default temporary directory (page cache, if it fits)"


def measure(workload, tool, command, directory):
    """One run: {"wall", "cpu", "memory"}, or {"failed": why}."""
    report = directory / "report.json"
    environment = {**workload.server.clean_environment(), **tool.environment, "HOME": str(directory)}
    with open(directory / "output", "w+b") as output:
        try:
            subprocess.run([BIN / "buoy_measure", report, *command], env=environment, stdin=subprocess.DEVNULL, stdout=output,
                           stderr=output, check=True, timeout=COMMAND_LIMIT)
        except subprocess.TimeoutExpired:
            return {"failed": f"took longer than {COMMAND_LIMIT} s"}
        output.seek(0)
        said = output.read().decode(errors="replace").strip().splitlines()
    result = json.loads(report.read_text())
    if result.pop("status") != 0:
        return {"failed": (said or ["no message"])[-1][:160]}
    wrong = workload.check(tool)
    return {"failed": wrong} if wrong else result


def run_workload(workload, tools, rounds, directory):
    """Interleaved: every tool once, then again. {tool: [runs]}."""
    workload.prepare()
    results = {}
    for _ in range(rounds):
        for tool in tools:
            runs = results.setdefault(tool.name, [])
            command = workload.command(tool) if tool.path() else None
            if not tool.path():
                runs[:] = [{"failed": "not installed"}]
            elif command and not any("failed" in run for run in runs):
                runs.append(measure(workload, tool, command, directory))
                workload.clean(tool)
    return {name: runs for name, runs in results.items() if runs}


def summary(results):
    table = {}
    for name, runs in results.items():
        failed = next((run["failed"] for run in runs if "failed" in run), None)
        if failed:
            table[name] = {"failed": failed}
            continue
        walls = [run["wall"] for run in runs]
        table[name] = {"wall": statistics.median(walls), "min": min(walls), "max": max(walls), "runs": len(runs),
                       "cpu": statistics.median(run["cpu"] for run in runs), "memory": max(run["memory"] for run in runs)}
    good = {name: row for name, row in table.items() if "wall" in row}
    peers = {name: row["wall"] for name, row in good.items() if name not in NOT_PEERS}
    best = min(peers, key=peers.get, default=None)
    for row in good.values():
        if "floor" in good:
            row["of_floor"] = row["wall"] / good["floor"]["wall"]
        if best:
            row["of_best_peer"] = row["wall"] / peers[best]
    return table, best


def show(title, table, best):
    print(f"\n{title}" + (f" (best peer: {best})" if best else ""))
    print(f"  {'':14} {'wall s':>8} {'min':>8} {'max':>8} {'x floor':>8} {'x peer':>7} {'CPU s':>7} {'MiB':>6}")
    for name, row in table.items():
        if "failed" in row:
            print(f"  {name:14} failed: {row['failed']}")
            continue
        ratios = [f"{row[key]:.2f}" if key in row else "" for key in ("of_floor", "of_best_peer")]
        print(f"  {name:14} {row['wall']:8.3f} {row['min']:8.3f} {row['max']:8.3f} {ratios[0]:>8} {ratios[1]:>7} {row['cpu']:7.2f} "
              f"{row['memory'] / (1 << 20):6.0f}", flush=True)


def run_all(workloads, tools, rounds, directory):
    figures = {}
    for workload in workloads:
        table, best = summary(run_workload(workload, tools, rounds, directory))
        title = f"{workload.server.name}: {workload.name}"
        show(title, table, best)
        figures[title] = {"tools": table, "best peer": best}
    return figures


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="small inputs and one round: does everything work?")
    parser.add_argument("--rounds", type=int, help="default 5; 1 with --quick")
    parser.add_argument("--server", choices=["radosgw", "null"], help="only this one")
    parser.add_argument("--only", default="", help="workloads that have this in their names")
    parser.add_argument("--tools", help="only these, by name, with commas")
    options = parser.parse_args()
    rounds = options.rounds or (1 if options.quick else 5)
    scale = Scale(options.quick)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("bench-transfer: told to stop"))  # and so the servers are stopped
    build()
    holder, where = work_directory(scale)
    with holder as name:
        directory = pathlib.Path(name)
        make_input(directory, scale)
        print(f"{platform.processor() or platform.machine()}, {os.cpu_count()} cores, {time.strftime('%Y-%m-%d')}; files in {where}; "
              f"{scale.big >> 20} MiB in one file, {scale.files} files of {scale.file_size >> 10} KiB, {scale.listed} listed; "
              f"medians of {rounds}", flush=True)
        figures = {}
        for kind in (RealServer, NullServer):
            if options.server in (None, kind.name):
                with contextlib.closing(kind()) as server:
                    tools = [tool(server, directory) for tool in TOOLS if not options.tools or tool.name in options.tools.split(",")]
                    workloads = [w(server, directory, scale) for w in WORKLOADS if options.only in w.name]
                    figures.update(run_all(workloads, tools, rounds, directory))
    (ROOT / "build/bench-transfer.json").write_text(json.dumps(figures, indent=1))


if __name__ == "__main__":
    main()

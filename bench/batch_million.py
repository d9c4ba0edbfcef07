#!/usr/bin/env python3
"""A million jobs in the store: disk, memory, the time until a restarted server answers, and a page of ListJobs among them.

    bench/batch_million.py [--jobs 1000000]

Starts a control plane of its own (build/release) whose queue starts nothing, fills it with bench/submit_load, and prints JSON."""
import argparse
import json
import os
import pathlib
import shutil
import socket
import statistics
import subprocess
import tempfile
import time
import urllib.parse

from batch_submit import BUOY, call

CONFIG = """\
pools:
  - {name: local, provider: local, paused: true, isolation: process, max_machines: 1, types: [{name: small, cpus: 1, memory: 2GiB, price: 1}]}
queues:
  - {name: default, pools: [local], paused: true}
"""


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--jobs", type=int, default=1_000_000)
    options = parser.parse_args()
    directory = pathlib.Path(tempfile.mkdtemp(prefix="buoy-bench-"))
    state = directory / "state"
    config = directory / "config.yaml"
    config.write_text(CONFIG)
    environment = {**os.environ, "BUOY_STATE_DIR": str(state), "BUOY_CONFIG": str(config)}
    run = lambda *words: subprocess.run([str(BUOY), *words], env=environment, check=True, text=True, capture_output=True).stdout

    def start():
        began = time.monotonic()
        run("server", "start", "--listen", "127.0.0.1:0", "--insecure")
        took = time.monotonic() - began
        return json.loads(run("server", "status", "--json")), took

    def disk():
        return sum(path.stat().st_size for path in state.glob("state.db*")) / 2**20

    def memory(pid):
        lines = pathlib.Path(f"/proc/{pid}/status").read_text().splitlines()
        return round(next(int(line.split()[1]) for line in lines if line.startswith("VmRSS")) / 1024)

    try:
        status, _ = start()
        began = time.monotonic()
        load = subprocess.run([str(BUOY.parent / "submit_load"), f"unix:{state}/server.sock", "16", str(options.jobs)],
                              text=True, capture_output=True, check=True).stdout
        filled = time.monotonic() - began
        before = memory(status["pid"])
        run("server", "stop")
        size = disk()
        status, restart = start()
        made = json.loads(run("keys", "create", "--json"))
        url = next(e for e in status["endpoints"] if e.startswith("http:"))
        address = urllib.parse.urlsplit(url)
        connection = socket.create_connection((address.hostname, address.port))

        def page(**more):
            began = time.monotonic()
            answer = call(connection, address.netloc, "/v1/listjobs", json.dumps(
                {"jobQueue": "default", "jobStatus": "RUNNABLE", "maxResults": 100, **more}).encode(), made["id"], made["secret"], {})
            return (time.monotonic() - began) * 1000, answer
        times, token = [], None
        for _ in range(200):
            took, answer = page(**({"nextToken": token} if token else {}))
            times.append(took)
            token = answer.get("nextToken")
        print(json.dumps({"jobs": options.jobs, "submits_per_second": json.loads(load)["per_second"], "fill_s": round(filled, 1),
                          "disk_MiB": round(size), "server_MiB": before, "server_MiB_restarted": memory(status["pid"]),
                          "restart_s": round(restart, 2), "list_100_p50_ms": round(statistics.median(times), 2),
                          "list_100_max_ms": round(max(times), 2), "listed": len(answer["jobSummaryList"]),
                          "load": os.getloadavg()[0]}, indent=1))
    finally:
        subprocess.run([str(BUOY), "server", "stop"], env=environment, capture_output=True)
        shutil.rmtree(directory, ignore_errors=True)


if __name__ == "__main__":
    main()

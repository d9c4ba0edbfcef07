#!/usr/bin/env python3
"""A million jobs in the store: disk, memory, the time until a restarted server answers, and a page of ListJobs among them.

    bench/batch_million.py [--jobs 1000000] [--restarts 3] [--keep DIR]

Starts a control plane of its own (build/release) whose queue starts nothing, fills it with bench/submit_load, and prints JSON.
--keep: what was filled stays in DIR, and is taken from there the next time."""
import argparse
import json
import os
import statistics
import subprocess
import time

from batch_door import BUOY, Client, Server
from run import resident_kib

CONFIG = """\
pools:
  - {name: local, provider: local, paused: true, isolation: process, max_machines: 1, types: [{name: small, cpus: 1, memory: 2GiB, price: 1}]}
queues:
  - {name: default, pools: [local], paused: true}
"""


def fill(server, jobs):
    status = server.start()
    began = time.monotonic()
    load = subprocess.run([str(BUOY.parent / "submit_load"), f"unix:{server.state}/server.sock", "16", str(jobs)],
                          text=True, capture_output=True, check=True).stdout
    filled = time.monotonic() - began
    before = resident_kib(status["pid"])
    server.run("server", "stop")
    return {"submits_per_second": json.loads(load)["per_second"], "fill_s": round(filled, 1), "server_MiB": round(before / 1024)}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--jobs", type=int, default=1_000_000)
    parser.add_argument("--restarts", type=int, default=3)
    parser.add_argument("--keep", metavar="DIR")
    options = parser.parse_args()
    with Server(CONFIG, options.keep) as server:
        result = {} if (server.state / "state.db").exists() else fill(server, options.jobs)
        result["disk_MiB"] = round(sum(path.stat().st_size for path in server.state.glob("state.db*")) / 2**20)
        restarts = []
        for _ in range(options.restarts):
            server.run("server", "stop")
            began = time.monotonic()
            status = server.start()
            restarts.append(round(time.monotonic() - began, 2))
        client = Client(*server.access(status))
        times, more = [], {}
        for _ in range(200):
            began = time.monotonic()
            answer = client.call("listjobs", {"jobQueue": "default", "jobStatus": "RUNNABLE", "maxResults": 100, **more})
            times.append((time.monotonic() - began) * 1000)
            more = {"nextToken": answer["nextToken"]} if answer.get("nextToken") else {}
        print(json.dumps({"jobs": status["jobs"]["unfinished"], **result, "server_MiB_restarted": round(resident_kib(status["pid"]) / 1024),
                          "restart_s": restarts, "list_100_p50_ms": round(statistics.median(times), 2),
                          "list_100_max_ms": round(max(times), 2), "listed": len(answer["jobSummaryList"]),
                          "load": os.getloadavg()[0]}, indent=1))


if __name__ == "__main__":
    main()

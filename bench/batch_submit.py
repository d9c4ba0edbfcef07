#!/usr/bin/env python3
"""SubmitJob as boto3 sends it, from 16 connections: how many a second, each durable before it is answered.

    bench/batch_submit.py [--seconds 5] [--connections 16]

Starts a control plane of its own (build/release) whose queue starts nothing, and prints JSON."""
import argparse
import json
import multiprocessing
import os
import statistics
import time

from batch_door import Client, Server

CONFIG = """\
pools:
  - {name: local, provider: local, paused: true, isolation: process, max_machines: 1, types: [{name: small, cpus: 1, memory: 1GiB, price: 1}]}
queues:
  - {name: idle, pools: [local], paused: true}
"""


def submit(number, access, end, results):
    client, times = Client(*access), []
    while time.monotonic() < end:
        job = {"jobName": f"bench-{number}-{len(times)}", "jobQueue": "idle", "jobDefinition": "true"}
        began = time.monotonic()
        client.call("submitjob", job)
        times.append(time.monotonic() - began)
    results.put(times)


def timed_ms(client, operation, value):
    began = time.monotonic()
    answer = client.call(operation, value)
    return round((time.monotonic() - began) * 1000, 2), answer


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=5)
    parser.add_argument("--connections", type=int, default=16)
    options = parser.parse_args()
    with Server(CONFIG) as server:
        access = server.access(server.start())
        client = Client(*access)
        client.define_true()
        end, results = time.monotonic() + options.seconds, multiprocessing.Queue()
        workers = [multiprocessing.Process(target=submit, args=(n, access, end, results)) for n in range(options.connections)]
        for worker in workers:
            worker.start()
        times = sorted(t for _ in workers for t in results.get())
        array_ms, array = timed_ms(client, "submitjob", {"jobName": "array", "jobQueue": "idle", "jobDefinition": "true",
                                                         "arrayProperties": {"size": 10000}})
        calls = [timed_ms(client, "describejobs", {"jobs": [f"j{n}" for n in range(1, 101)]}) for _ in range(21)]
        described = calls[0][1]
        list_ms, listed = timed_ms(client, "listjobs", {"jobQueue": "idle", "jobStatus": "RUNNABLE", "maxResults": 100})
        print(json.dumps({"submits": len(times), "per_second": round(len(times) / options.seconds),
                          "p50_ms": round(times[len(times) // 2] * 1000, 2), "p99_ms": round(times[len(times) * 99 // 100] * 1000, 2),
                          "array_of_10000_ms": array_ms, "describe_100_first_ms": calls[0][0],
                          "describe_100_p50_ms": statistics.median(ms for ms, _ in calls), "described": len(described["jobs"]),
                          "list_100_ms": list_ms, "listed": len(listed["jobSummaryList"]), "array": array["jobId"],
                          "load": os.getloadavg()[0]}, indent=1))


if __name__ == "__main__":
    main()

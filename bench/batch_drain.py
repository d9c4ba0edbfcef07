#!/usr/bin/env python3
"""Jobs that do nothing, from the first submit to the end of the last: how many a second a pool of 64 slots on this machine
starts and ends, each a process of its own.

    bench/batch_drain.py [--jobs 10000] [--slots 64] [--array] [--slurm CONF]

Starts a control plane of its own (build/release), submits as bench/batch_submit.py does (or one array, with --array), and prints
JSON.

--slurm: jobs of `true` through a Slurm that runs, whose slurm.conf this is, in the same run, after ours: single submits from as
many clients (held, so that nothing runs meanwhile), then --slurm-jobs in arrays of 1,000 until the last has ended. Where its
controller is in a network namespace of its own, that is --slurm-netns. Debian's slurm-wlm and munge, as root, on one machine:

    ClusterName=bench                           # DIR/slurm.conf; beside it cgroup.conf: CgroupPlugin=cgroup/v1
    SlurmctldHost=HOSTNAME(127.0.0.1)
    SlurmUser=root
    SlurmdUser=root
    StateSaveLocation=DIR/state                 # to be made, as is DIR/spool
    SlurmdSpoolDir=DIR/spool
    SlurmctldPidFile=DIR/slurmctld.pid
    SlurmdPidFile=DIR/slurmd.pid
    ProctrackType=proctrack/linuxproc
    TaskPlugin=task/none
    MinJobAge=10
    MaxJobCount=20000
    SchedulerParameters=batch_sched_delay=0,sched_interval=1
    SelectType=select/cons_tres
    SelectTypeParameters=CR_CPU
    SlurmdParameters=config_overrides           # 64 slots, whatever the machine has
    NodeName=n1 NodeHostname=HOSTNAME NodeAddr=127.0.0.1 CPUs=64 RealMemory=8000
    PartitionName=all Nodes=n1 Default=YES MaxTime=INFINITE State=UP

    service munge start; export SLURM_CONF=DIR/slurm.conf; slurmctld; slurmd -N n1; sinfo"""
import argparse
import json
import multiprocessing
import os
import resource
import subprocess
import sys
import threading
import time

from batch_door import Client, Server
from run import processor_seconds

CONFIG = """\
pools:
  - name: local
    provider: local
    isolation: process
    max_machines: {slots}
    idle_timeout: 30s
    types: [{{name: slot, cpus: 1, memory: 256MiB, price: 1}}]
queues:
  - {{name: drain, pools: [local]}}
"""


CLIENTS, SLURM_SUBMITS = 4, 400


def submit(number, step, jobs, access):
    client = Client(*access)
    for i in range(number, jobs, step):
        client.call("submitjob", {"jobName": f"drain-{i}", "jobQueue": "drain", "jobDefinition": "true"})


def buoy(options):
    with Server(CONFIG.format(slots=options.slots)) as server:
        status = server.start()
        access = server.access(status)
        client = Client(*access)
        client.define_true()
        unfinished = lambda: json.loads(server.run("queues", "--json"))["queues"][0]["unfinished"]
        began = time.monotonic()
        if options.array:
            array = client.call("submitjob", {"jobName": "drain", "jobQueue": "drain", "jobDefinition": "true",
                                              "arrayProperties": {"size": options.jobs}})["jobId"]
        else:
            workers = [multiprocessing.Process(target=submit, args=(n, CLIENTS, options.jobs, access))
                       for n in range(CLIENTS)]
            for worker in workers:
                worker.start()
            for worker in workers:
                worker.join()
                if worker.exitcode != 0:
                    sys.exit("bench: a submit failed")
        submitted = time.monotonic() - began
        if options.perf:
            profiler = subprocess.Popen(["perf", "record", "-o", options.perf, "-g", "-a", "--", "sleep", "8"],
                                        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        while unfinished() > 0:
            time.sleep(0.1)
            if time.monotonic() - began > options.limit:
                sys.exit(f"bench: {unfinished()} jobs had not ended after {options.limit} s")
        took = time.monotonic() - began
        if options.perf:
            profiler.wait()
        if options.array:
            succeeded = client.call("describejobs", {"jobs": [array]})["jobs"][0]["arrayProperties"]["statusSummary"]["SUCCEEDED"]
        else:
            succeeded, token = 0, {}
            while token is not None:
                page = client.call("listjobs", {"jobQueue": "drain", "jobStatus": "SUCCEEDED", "maxResults": 100, **token})
                succeeded += len(page["jobSummaryList"])
                token = {"nextToken": page["nextToken"]} if page.get("nextToken") else None
        if succeeded != options.jobs:
            sys.exit(f"bench: {succeeded} of {options.jobs} jobs have succeeded")
        return {"jobs": options.jobs, "slots": options.slots, "array": options.array, "submit_s": round(submitted, 2),
                **({} if options.array else {"submits_per_second": round(options.jobs / submitted)}), "seconds": round(took, 2), "per_second": round(options.jobs / took, 1),
                "server_cpu_s": round(processor_seconds(status["pid"]), 2)}


def sbatch(number, run):
    for _ in range(number):
        run("sbatch", "--hold", "--output=/dev/null", "--job-name=held", "--wrap=true")


def slurm(options):
    inside = ["ip", "netns", "exec", options.slurm_netns] if options.slurm_netns else []
    environment = {**os.environ, "SLURM_CONF": options.slurm}
    run = lambda *words: subprocess.run([*inside, *words], env=environment, check=True, text=True, capture_output=True).stdout
    if run("squeue", "-h").strip():
        sys.exit("bench: the Slurm of --slurm has other jobs")
    began = time.monotonic()
    clients = [threading.Thread(target=sbatch, args=(SLURM_SUBMITS // CLIENTS, run)) for _ in range(CLIENTS)]
    for client in clients:
        client.start()
    for client in clients:
        client.join()
    submits = SLURM_SUBMITS / (time.monotonic() - began)
    run("scancel", "--name=held")
    while run("squeue", "-h").strip():
        time.sleep(0.2)
    began, left = time.monotonic(), options.slurm_jobs
    while left > 0:  # an array has at most 1,001 tasks as Slurm comes
        size = min(left, 1000)
        run("sbatch", "--output=/dev/null", f"--array=1-{size}", "--wrap=true")
        left -= size
    submitted = time.monotonic() - began
    while waiting := run("squeue", "-h", "-r").splitlines():
        time.sleep(0.2)
        if time.monotonic() - began > options.limit:
            sys.exit(f"bench: {len(waiting)} of Slurm's jobs had not ended after {options.limit} s")
    took = time.monotonic() - began
    return {"submits_per_second": round(submits), "jobs": options.slurm_jobs, "array_submit_s": round(submitted, 2),
            "seconds": round(took, 2), "per_second": round(options.slurm_jobs / took, 1)}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--jobs", type=int, default=10_000)
    parser.add_argument("--slots", type=int, default=64)
    parser.add_argument("--array", action="store_true")
    parser.add_argument("--slurm", help="slurm.conf of a cluster that runs")
    parser.add_argument("--slurm-netns", help="the network namespace of its controller")
    parser.add_argument("--slurm-jobs", type=int, default=1_000)
    parser.add_argument("--limit", type=float, default=900)
    parser.add_argument("--perf", help="where to put a profile of eight seconds of it")
    options = parser.parse_args()
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    result = {"buoy": buoy(options)}
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    result["clients_cpu_s"] = round(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime, 2)
    if options.slurm:
        result["slurm"] = slurm(options)
    result["load"] = os.getloadavg()[0]
    print(json.dumps(result, indent=1))


if __name__ == "__main__":
    main()

#!/usr/bin/env python3
"""SubmitJob as boto3 sends it, from 16 connections: how many a second, each durable before it is answered.

    bench/batch_submit.py [--seconds 5] [--connections 16]

Starts a control plane of its own (build/release) whose queue starts nothing, and prints JSON."""
import argparse
import datetime
import hashlib
import hmac
import json
import multiprocessing
import os
import pathlib
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.parse

ROOT = pathlib.Path(__file__).resolve().parent.parent
BUOY = ROOT / "build/release/bin/buoy"
REGION, SERVICE = "us-east-1", "batch"


def headers(host, path, body, key, secret, signing):
    now = datetime.datetime.now(datetime.timezone.utc)
    stamp, day = now.strftime("%Y%m%dT%H%M%SZ"), now.strftime("%Y%m%d")
    signed = "content-type;host;x-amz-date"
    canonical = f"POST\n{path}\n\ncontent-type:application/json\nhost:{host}\nx-amz-date:{stamp}\n\n{signed}\n" \
                + hashlib.sha256(body).hexdigest()
    scope = f"{day}/{REGION}/{SERVICE}/aws4_request"
    text = f"AWS4-HMAC-SHA256\n{stamp}\n{scope}\n{hashlib.sha256(canonical.encode()).hexdigest()}"
    if day not in signing:
        derived = ("AWS4" + secret).encode()
        for part in (day, REGION, SERVICE, "aws4_request"):
            derived = hmac.new(derived, part.encode(), hashlib.sha256).digest()
        signing[day] = derived
    signature = hmac.new(signing[day], text.encode(), hashlib.sha256).hexdigest()
    return (f"POST {path} HTTP/1.1\r\nHost: {host}\r\nContent-Type: application/json\r\nX-Amz-Date: {stamp}\r\n"
            f"Authorization: AWS4-HMAC-SHA256 Credential={key}/{scope}, SignedHeaders={signed}, Signature={signature}\r\n"
            f"Content-Length: {len(body)}\r\n\r\n").encode()


def call(connection, host, path, body, key, secret, signing):
    connection.sendall(headers(host, path, body, key, secret, signing) + body)
    data = b""
    while b"\r\n\r\n" not in data:
        data += connection.recv(65536)
    head, _, rest = data.partition(b"\r\n\r\n")
    length = next(int(line.split(b":")[1]) for line in head.lower().split(b"\r\n") if line.startswith(b"content-length"))
    while len(rest) < length:
        rest += connection.recv(65536)
    status = int(head.split()[1])
    if status != 200:
        sys.exit(f"{path} was answered {status}: {rest.decode()}")
    return json.loads(rest)


def submit(number, url, key, secret, end, results):
    address = urllib.parse.urlsplit(url)
    connection = socket.create_connection((address.hostname, address.port))
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    signing, times, made = {}, [], 0
    while time.monotonic() < end:
        body = json.dumps({"jobName": f"bench-{number}-{made}", "jobQueue": "idle", "jobDefinition": "true"}).encode()
        began = time.monotonic()
        call(connection, address.netloc, "/v1/submitjob", body, key, secret, signing)
        times.append(time.monotonic() - began)
        made += 1
    results.put(times)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=5)
    parser.add_argument("--connections", type=int, default=16)
    options = parser.parse_args()
    directory = pathlib.Path(tempfile.mkdtemp(prefix="buoy-bench-"))
    config = directory / "config.yaml"
    config.write_text("pools:\n  - {name: local, provider: local, paused: true, isolation: process, max_machines: 1, "
                      "types: [{name: small, cpus: 1, memory: 1GiB, price: 1}]}\n"
                      "queues:\n  - {name: idle, pools: [local], paused: true}\n")
    environment = {**os.environ, "BUOY_STATE_DIR": str(directory / "state"), "BUOY_CONFIG": str(config)}
    buoy = lambda *words: subprocess.run([str(BUOY), *words], env=environment, check=True, text=True, capture_output=True).stdout
    try:
        buoy("server", "start", "--listen", "127.0.0.1:0", "--insecure")
        url = next(e for e in json.loads(buoy("server", "status", "--json"))["endpoints"] if e.startswith("http:"))
        made = json.loads(buoy("keys", "create", "--json"))
        address = urllib.parse.urlsplit(url)
        connection = socket.create_connection((address.hostname, address.port))
        one = lambda path, value: call(connection, address.netloc, path, json.dumps(value).encode(), made["id"], made["secret"], {})
        one("/v1/registerjobdefinition", {"jobDefinitionName": "true", "type": "container", "containerProperties": {
            "image": "i", "vcpus": 1, "memory": 64, "command": ["true"]}})
        end, results = time.monotonic() + options.seconds, multiprocessing.Queue()
        workers = [multiprocessing.Process(target=submit, args=(n, url, made["id"], made["secret"], end, results))
                   for n in range(options.connections)]
        for worker in workers:
            worker.start()
        times = sorted(t for _ in workers for t in results.get())
        began = time.monotonic()
        array = one("/v1/submitjob", {"jobName": "array", "jobQueue": "idle", "jobDefinition": "true",
                                      "arrayProperties": {"size": 10000}})
        array_ms = (time.monotonic() - began) * 1000
        ids = [f"j{n}" for n in range(1, 101)]
        began = time.monotonic()
        described = one("/v1/describejobs", {"jobs": ids})
        describe_ms = (time.monotonic() - began) * 1000
        began = time.monotonic()
        listed = one("/v1/listjobs", {"jobQueue": "idle", "jobStatus": "RUNNABLE", "maxResults": 100})
        list_ms = (time.monotonic() - began) * 1000
        print(json.dumps({"submits": len(times), "per_second": round(len(times) / options.seconds),
                          "p50_ms": round(times[len(times) // 2] * 1000, 2), "p99_ms": round(times[len(times) * 99 // 100] * 1000, 2),
                          "array_of_10000_ms": round(array_ms, 2), "describe_100_ms": round(describe_ms, 2),
                          "described": len(described["jobs"]), "list_100_ms": round(list_ms, 2),
                          "listed": len(listed["jobSummaryList"]), "array": array["jobId"],
                          "load": os.getloadavg()[0]}, indent=1))
    finally:
        subprocess.run([str(BUOY), "server", "stop"], env=environment, capture_output=True)
        shutil.rmtree(directory, ignore_errors=True)


if __name__ == "__main__":
    main()

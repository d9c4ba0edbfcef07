"""make bench-cloud: how soon a replacement on EC2 works, and what 5,000 machines cost to watch; on the stand-in for AWS of
tests/cloud. Needs root. Figures are kept by hand in docs/benchmarks.md.

    bench/cloud.py [recovery[=RUNS]] [throttle[=MACHINES]] [reconcile[=MACHINES]]
"""
import json
import pathlib
import sqlite3
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT / "tests"), str(ROOT / "bench")]

from cloud.handle import Cloud, moto_interpreter  # noqa: E402
from cloud.machines import network  # noqa: E402
from run import processor_seconds, quantiles, wait_until  # noqa: E402
from support.control_plane import Buoy  # noqa: E402
from support.s3_server import free_port  # noqa: E402

TYPE, ZONES = "m5.large", ("us-east-1a", "us-east-1b")
CONFIG = """\
store: s3://buoy-bench/store
listen: ["{host}:{port}"]
advertise: https://{host}:{port}
pools:
  - name: aws
    provider: aws
    max_machines: {machines}
    types: [{{name: m5.large, cpus: 1, memory: 2GiB, price: 0.096, spot_price: 0.03}}]
    aws: {{region: us-east-1, zones: [us-east-1a, us-east-1b]}}
queues:
  - {{name: default, pools: [aws]}}
"""
# The date of the first instruction with 1 MiB restored; at the first start the 1 MiB are made.
JOB = """\
now=$(date +%s%N)
if [ "$(wc -c <checkpoints/state)" = 1048576 ]; then echo "restored $now"
else mkdir -p checkpoints; head -c 1048576 /dev/urandom >checkpoints/.tmp; mv checkpoints/.tmp checkpoints/state; fi
trap 'exit 0' TERM
while :; do sleep 1000 & wait; done
"""


def control_plane(cloud, host, machines):
    cloud.client("s3").create_bucket(Bucket="buoy-bench")
    directory = pathlib.Path(tempfile.mkdtemp(prefix="buoy-bench-"))
    return Buoy(directory, CONFIG.format(host=host, port=free_port(), machines=machines), cloud.environment)


def event_of(cloud, kind, instance):
    return next(event for event in cloud.events(kind) if event["instance"] == instance)["time"]


def bench_recovery(runs=30):
    """From EC2's notice to the job running on another machine with its checkpoint; without the time that the stand-in
    takes from a launch to a machine's first process."""
    cloud = Cloud(moto_interpreter())
    buoy = control_plane(cloud, network.GATEWAY, 4)
    try:
        buoy.write("job.sh", JOB)
        job = buoy.submit("--checkpoint", "checkpoints", "--", "sh", "job.sh")
        wait_until(lambda: buoy.job(job)["last_version"])
        whole, launched_after, booted_after = [], [], []
        for n in range(runs):
            wait_until(lambda: buoy.job(job)["phase"] == "running" and buoy.job(job)["attempts"] == n + 1)
            old = cloud.instances("running")[-1]["instance"]
            cloud.interrupt(old, notice=60)
            wait_until(lambda: buoy.run("logs", job).stdout.count("restored ") > n)
            stamps = [int(line.split()[-1]) / 1e9 for line in buoy.run("logs", job).stdout.splitlines() if "restored " in line]
            notice, new = event_of(cloud, "notice", old), cloud.instances()[-1]["instance"]
            launched, booted = event_of(cloud, "launched", new), event_of(cloud, "booted", new)
            whole.append((stamps[n] - notice - (booted - launched)) * 1000)
            launched_after.append((launched - notice) * 1000)
            booted_after.append((stamps[n] - booted) * 1000)
        return {"notice to running again with 1 MiB restored, boot delay subtracted, ms": quantiles(whole),
                "of it: notice to the launch at EC2, ms": quantiles(launched_after),
                "of it: the machine's first process to the job's, ms": quantiles(booted_after)}
    finally:
        buoy.stop()
        cloud.stop()


def bench_throttle(machines=200, rate=10):
    """So many machines asked for at once from an EC2 that takes ten calls a second; beside it the time that the
    throttle alone makes of one call each. What boots does not matter here: nothing does."""
    cloud = Cloud(moto_interpreter(), machines=False)
    buoy = control_plane(cloud, "127.0.0.1", machines)
    try:
        cloud.throttle(rate=rate, burst=rate)
        for _ in range(machines):
            buoy.submit("--no-source", "--", "true")
        wait_until(lambda: len(cloud.instances("running", "pending")) >= machines, 300)
        launches = [event for event in cloud.events("call") if event["call"] == "ec2:CreateFleet"]
        taken = [event["time"] for event in launches if event["status"] == 200]
        seconds = max(taken) - min(event["time"] for event in launches)
        return {"launches": {"machines": len(taken), "seconds": seconds, "over the throttle's own time": seconds / (machines / rate),
                             "refused": len(launches) - len(taken)}}
    finally:
        buoy.stop()
        cloud.stop()


def cpu_ms(pid):
    return 1000 * processor_seconds(pid)


def machine_row(number, instance, now):
    record = {"v": 1, "id": number, "pool": "aws", "type": TYPE, "market": "spot", "price": 30_000_000, "on_demand_price": 96_000_000,
              "phase": "booting", "phase_since": now, "requested": now, "use": "starting", "provider_ref": instance, "billed_from": now, "span_begin": now}
    return number, 0, json.dumps(record)


def bench_reconcile(machines=5000, sweeps=3):
    """A control plane that begins with so many machines in its state, all of them at EC2; then its regular looks.
    The emulator takes 4 ms to write down an instance, and so does it once: all answers after that are the same."""
    cloud = Cloud(moto_interpreter(), machines=False)
    buoy = control_plane(cloud, "127.0.0.1", machines)
    try:
        buoy.run("server", "start", check=0)
        cluster = buoy.json("server", "status")["cluster"]
        floor = cpu_ms(buoy.server_pid())
        buoy.run("server", "stop", check=0)
        instances = make_instances(cloud, cluster, machines)
        cloud.settings(same_answer_for=3600)
        (buoy.state / "aws.json").write_text(json.dumps({"regions": [{"profile": "", "region": "us-east-1"}]}))
        now = int(time.time() * 1e6)
        database = sqlite3.connect(buoy.state / "state.db")
        with database:
            database.executemany("INSERT INTO machines VALUES (?, ?, ?)", [machine_row(n, i, now) for n, i in enumerate(instances, 1)])
            database.execute("INSERT OR REPLACE INTO counters VALUES ('last_machine', ?)", (machines,))
        database.close()

        looks = lambda: cloud.calls().get("ec2:DescribeInstances", 0)
        calls = lambda: sum(cloud.calls().values())
        before = calls()
        buoy.run("server", "start", check=0)
        pid = buoy.server_pid()
        # Whoever asks for all machines costs something, too.
        wait_until(lambda: time.sleep(3) or sum(bool(each["address"]) for each in buoy.json("machines")["machines"]) == machines, 300)
        started = {"CPU ms": cpu_ms(pid) - floor, "calls": calls() - before}
        pages = -(-machines // 1000)
        # A look that is under way is not counted.
        begin = looks() // pages * pages + pages
        wait_until(lambda: looks() >= begin, 300)
        first, first_calls, first_cpu = looks(), calls(), cpu_ms(pid)
        wait_until(lambda: looks() >= first + sweeps * pages, 600)
        done = (looks() - first) / pages
        look = {"CPU ms": round((cpu_ms(pid) - first_cpu) / done, 1), "calls": (calls() - first_calls) / done}
        assert len(cloud.instances("running", "pending")) == machines, "all of them live"
        return {f"restart with {machines:,} machines, beyond an empty one": started, f"one look at {machines:,} machines": look}
    finally:
        buoy.stop()
        cloud.stop()


def make_instances(cloud, cluster, machines):
    ec2 = cloud.client("ec2")
    mine = [{"Key": "buoy:cluster", "Value": cluster}, {"Key": "buoy:pool", "Value": "aws"}]
    image = ec2.describe_images()["Images"][0]["ImageId"]
    instances = []
    while len(instances) < machines:
        zone = ZONES[len(instances) // 100 % 2]  # a subnet has 4,091 addresses
        answer = ec2.run_instances(ImageId=image, InstanceType=TYPE, MinCount=100, MaxCount=100, Placement={"AvailabilityZone": zone},
                                   InstanceMarketOptions={"MarketType": "spot"}, TagSpecifications=[{"ResourceType": "instance", "Tags": mine}])
        instances += [each["InstanceId"] for each in answer["Instances"]]
    for number, instance in enumerate(instances, 1):
        ec2.create_tags(Resources=[instance], Tags=[{"Key": "buoy:machine", "Value": f"m{number}"}])
    return instances


def main():
    parts = {"recovery": bench_recovery, "throttle": bench_throttle, "reconcile": bench_reconcile}
    moto_interpreter()
    network.enter_private_network()
    for part in sys.argv[1:] or parts:
        name, _, size = part.partition("=")
        for label, value in parts[name](*([int(size)] if size else [])).items():
            print(f"{name:10} {label:75} " + "  ".join(f"{k} {v:.1f}" if isinstance(v, float) else f"{k} {v}" for k, v in value.items()), flush=True)


if __name__ == "__main__":
    main()

"""What a job prints is in the store while it runs, and survives the machine, the agent and the control plane's own copy."""
import json
import os
import pathlib
import shutil
import signal

import pytest
from conftest import wait_for
from s3 import fault_proxy, radosgw  # noqa: F401  (fixtures)

# Prints lines until it is killed, and says when it has printed so many.
WRITER = """\
n=0
while :; do
  n=$((n + 1))
  echo "line $n loss=0.$n"
  [ "$n" -eq 200 ] && touch "$1/go-on"
  [ $((n % 50)) -eq 0 ] && sleep 0.05
done
"""


def archive(buoy, job, attempt=1, rank=0, kind="logs"):
    """The pieces, in order: the whole framed log, or the metrics."""
    store = pathlib.Path(buoy.json("server", "status")["store"].removeprefix("file://"))
    found = sorted(store.glob(f"*/{job}/{kind}/{attempt}/{rank}/*"))
    return b"".join(path.read_bytes() for path in found).decode()


def lines(framed):
    return [line.split(" ", 2)[2] for line in framed.splitlines() if line]


def agent_pids(buoy):
    return [int(json.loads(path.read_text())["agent"].split()[0]) for path in buoy.state.glob("machines/*/host.json")]


@pytest.mark.parametrize("victim", ["agent", "machine"])
def test_every_line_is_in_the_store_though_agent_or_machine_is_killed(buoy, victim):
    buoy.write("job.sh", WRITER)
    job = buoy.submit("--metric", "loss=loss=([0-9.]+)", "--", "sh", "job.sh", buoy.project)
    wait_for((buoy.project / "go-on").exists, "200 lines")
    wait_for(lambda: "line 200 loss=0.200" in lines(archive(buoy, job)), "line 200 in the store", limit=15)
    wait_for(lambda: '"value":0.2}' in archive(buoy, job, kind="metrics"), "its metric in the store")
    for pid in agent_pids(buoy) if victim == "agent" else buoy.hosts():
        os.kill(pid, signal.SIGKILL)
    wait_for(lambda: buoy.job(job)["attempts"] == 2, "the second attempt")
    buoy.run("cancel", job, check=0)
    stored = lines(archive(buoy, job))
    assert stored[:200] == [f"line {n} loss=0.{n}" for n in range(1, 201)]
    assert stored == [f"line {n} loss=0.{n}" for n in range(1, len(stored) + 1)], "no line is torn, missing or doubled"
    shutil.rmtree(buoy.state / "logs")  # the control plane's own copy
    assert lines(archive(buoy, job)) == stored
    for line in archive(buoy, job, kind="metrics").splitlines():
        assert json.loads(line).keys() == {"at", "name", "value"}


def test_the_end_of_a_job_is_in_the_store_when_its_machine_has_gone(buoy):
    buoy.run("run", "--name", "x", "--machines", "2", "--", "sh", "-c", "echo rank $RANK; seq 5000; echo the end", check=0)
    wait_for(lambda: not buoy.hosts(), "the end of the machines")
    for rank in range(2):
        assert lines(archive(buoy, "j1", rank=rank)) == [f"rank {rank}", *map(str, range(1, 5001)), "the end"]


def test_a_notice_leaves_time_for_the_last_lines(buoy):
    buoy.write("job.sh", "trap 'echo goodbye; exit 0' TERM; echo hello; while :; do sleep 0.05; done\n")
    job = buoy.submit("--", "sh", "job.sh")
    buoy.wait_log(job, "hello")
    buoy.run("reclaim", job, "--notice", "10s", check=0)
    wait_for(lambda: buoy.job(job)["attempts"] == 2, "the second attempt")
    wait_for(lambda: "goodbye" in lines(archive(buoy, job)), "the first attempt's log in the store")
    buoy.run("cancel", job, check=0)


# ---- in a bucket


def bucket_archive(server, bucket, job, attempt=1, rank=0):
    keys = [key for key in server.objects(bucket) if f"/{job}/logs/{attempt}/{rank}/" in key]
    return b"".join(server.get(bucket, key) for key in sorted(keys)).decode()


def test_a_bucket_that_answers_503_only_makes_it_later(make_buoy, radosgw, fault_proxy):
    bucket = radosgw.make_bucket()
    proxy = fault_proxy(radosgw)
    buoy = make_buoy(f"store: s3://{bucket}/buoy\n", environment=radosgw.at(proxy.endpoint).environment)
    buoy.write("job.sh", 'echo begin; while [ ! -e "$1" ]; do sleep 0.05; done; seq 20000; echo end; while [ ! -e "$2" ]; do sleep 0.05; done\n')
    job = buoy.submit("--no-source", "--", "sh", buoy.project / "job.sh", buoy.project / "one", buoy.project / "two")
    wait_for(lambda: lines(bucket_archive(radosgw, bucket, job)) == ["begin"], "the first line in the bucket")
    proxy.add(kind="slow_down", method="PUT", path="/logs/", first=6)
    (buoy.project / "one").touch()
    buoy.wait_log(job, "end")  # neither the job nor its log waits
    wait_for(lambda: lines(bucket_archive(radosgw, bucket, job)) == ["begin", *map(str, range(1, 20001)), "end"], "the rest")
    (buoy.project / "two").touch()
    buoy.wait_phase(job, "succeeded")


def test_a_noticed_machine_is_kept_until_the_last_lines_are_in_the_bucket(make_buoy, radosgw, fault_proxy):
    bucket = radosgw.make_bucket()
    proxy = fault_proxy(radosgw)
    buoy = make_buoy(f"store: s3://{bucket}/buoy\n", environment=radosgw.at(proxy.endpoint).environment)
    buoy.write("job.sh", "trap 'echo goodbye; exit 0' TERM; echo hello; while :; do sleep 0.05; done\n")
    job = buoy.submit("--", "sh", "job.sh")
    wait_for(lambda: lines(bucket_archive(radosgw, bucket, job)) == ["hello"], "the first line in the bucket")
    proxy.add(kind="slow_down", method="PUT", path="/logs/1/", first=2)
    buoy.run("reclaim", job, "--notice", "30s", check=0)
    wait_for(lambda: "m1" not in [machine["id"] for machine in buoy.json("machines")["machines"]], "the end of the machine")
    assert "goodbye" in lines(bucket_archive(radosgw, bucket, job))
    buoy.run("cancel", job, check=0)

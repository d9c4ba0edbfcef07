"""Jobs that share an EC2 instance, through AWS Batch's door and natively."""
import json
import shutil
import subprocess

import boto3
import pytest
from botocore.config import Config

from cloud.test_jobs import check_bill
from support.containers import APPLETS
from support.control_plane import wait_for

# Counts until the file $0 is there, and saves now and then; on SIGTERM saves where it was and ends with 0.
PATIENT = """\
mkdir -p checkpoints
n=$(cat checkpoints/n 2>/dev/null || echo 0)
echo "started at $n"
save() { echo "$n" >checkpoints/n.tmp; mv checkpoints/n.tmp checkpoints/n; }
trap 'save; echo "saved $n"; exit 0' TERM
until [ -e "$0" ]; do
  n=$((n + 1))
  [ $((n % 20)) != 0 ] || save
  sleep 0.02
done
echo "finished at $n"
"""
QUAD = {"m5.xlarge": (4, "8GiB")}
ENVIRONMENT, QUEUE = "spot", "train"


def machines(buoy):
    return buoy.json("machines")["machines"]


def hosts_of(buoy):
    """Of each part of a machine that there is now: whose."""
    return {each["id"]: each["host"] for each in machines(buoy) if "host" in each}


def wait_price(cloud, buoy, instance):
    """Until it is known what the instance costs, and so its parts: a quarter each."""
    price = cloud.call("prices", type=instance["type"], zone=instance["zone"])["spot"]
    wait_for(lambda: all(each["price"] == pytest.approx(price / (4 if "host" in each else 1), abs=1e-8) for each in machines(buoy)), "the market's price")


def touch(cloud, name):
    """On every instance that runs."""
    for each in cloud.instances("running"):
        cloud.run(each["instance"], "/bin/sh", "-c", f"touch /tmp/{name}")


def wait_end(cloud, buoy):
    wait_for(lambda: not machines(buoy), "the machines' end", 120)
    wait_for(lambda: all(each["state"] == "terminated" for each in cloud.instances()), "the end of the last instance")
    buoy.run("aws", "orphans", "--remove", check=0)
    assert {kind for kind, _ in cloud.leftovers()} == {"bucket", "object"}


def door_of(buoy, least=0):
    """AWS's own client for the door of Batch, with a compute environment on this cloud and a queue; and its command line."""
    buoy.run("ps", check=0)
    made = buoy.json("keys", "create", "--name", "tests")
    url = next(each for each in buoy.json("server", "status")["endpoints"] if each.startswith("https://"))
    client = boto3.session.Session().client(
        "batch", endpoint_url=url, region_name="us-east-1", aws_access_key_id=made["id"], aws_secret_access_key=made["secret"],
        verify=str(buoy.state / "tls/certificate.pem"), config=Config(retries={"total_max_attempts": 1}))
    client.create_compute_environment(computeEnvironmentName=ENVIRONMENT, type="MANAGED", state="ENABLED", computeResources={
        "type": "SPOT", "minvCpus": least, "maxvCpus": 8, "instanceTypes": ["m5.xlarge"], "subnets": ["subnet-1"], "instanceRole": "ecsInstanceRole"})
    client.create_job_queue(jobQueueName=QUEUE, state="ENABLED", priority=1, computeEnvironmentOrder=[{"order": 1, "computeEnvironment": ENVIRONMENT}])

    def aws(*arguments):
        environment = {**buoy.environment, "AWS_ACCESS_KEY_ID": made["id"], "AWS_SECRET_ACCESS_KEY": made["secret"], "AWS_PAGER": ""}
        done = subprocess.run(["/usr/bin/aws", "batch", *arguments, "--endpoint-url", url, "--ca-bundle", buoy.state / "tls/certificate.pem"],
                              text=True, capture_output=True, env=environment, stdin=subprocess.DEVNULL, timeout=60)
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout) if done.stdout else None
    return client, aws


@pytest.fixture
def door(buoy_on_aws):
    buoy = buoy_on_aws(types=QUAD, pool="    isolation: process")
    return buoy, door_of(buoy)[0]


def submit(client, name, image="train:1", **more):
    """A job of one vCPU that works until the file of its name is on its machine."""
    client.register_job_definition(jobDefinitionName=name, type="container", containerProperties={
        "image": image, "command": ["sh", "-c", PATIENT, f"/tmp/{name}"],
        "resourceRequirements": [{"type": "VCPU", "value": "1"}, {"type": "MEMORY", "value": "512"}], **more})
    return client.submit_job(jobName=name, jobQueue=QUEUE, jobDefinition=name)["jobId"]


def said(buoy, job, what):
    """What follows these words, of each line of its log that begins with them."""
    return [line.removeprefix(what + " ") for line in buoy.run("logs", job).stdout.splitlines() if line.startswith(what + " ")]


def status(client, job):
    return client.describe_jobs(jobs=[job])["jobs"][0]["status"]


def desired(client):
    return client.describe_compute_environments(computeEnvironments=[ENVIRONMENT])["computeEnvironments"][0]["computeResources"]["desiredvCpus"]


@pytest.mark.parametrize("notice", [20, 0], ids=["with notice", "without notice"])
def test_jobs_of_batch_share_an_instance_and_move_from_it_together(cloud, door, notice):
    buoy, client = door
    short = submit(client, "short")
    others = [submit(client, f"job{i}") for i in range(3)]
    for job in (short, *others):
        buoy.wait_log(job, "started at 0", limit=120)
    first, = cloud.instances()
    assert first["type"] == "m5.xlarge" and desired(client) == 4
    hosts = hosts_of(buoy)
    assert len(hosts) == 4 and len(set(hosts.values())) == 1
    wait_price(cloud, buoy, first)

    touch(cloud, "short")
    wait_for(lambda: status(client, short) == "SUCCEEDED", "the end of one")
    wait_for(lambda: len(hosts_of(buoy)) == 3, "its part's end")
    assert [status(client, job) for job in others] == ["RUNNING"] * 3 and len(cloud.instances("running")) == 1

    for job in others:
        wait_for(lambda: buoy.job(job)["last_version"], f"a checkpoint of {job}")
    cloud.interrupt(first["instance"], notice=notice)
    for job in others:
        wait_for(lambda: len(said(buoy, job, "started at")) == 2, f"{job} on another machine", 120)
        started = int(said(buoy, job, "started at")[1])
        assert started > 0 and said(buoy, job, "saved") == ([str(started)] if notice else [])
        wait_for(lambda: status(client, job) == "RUNNING", f"{job} to run")
    second, = [each for each in cloud.instances() if each["instance"] != first["instance"]]
    hosts.update(hosts_of(buoy))
    assert len(set(hosts.values())) == 2 and desired(client) == 4

    for i, job in enumerate(others):
        touch(cloud, f"job{i}")
        wait_for(lambda: status(client, job) == "SUCCEEDED", f"the end of {job}")
    wait_end(cloud, buoy)
    assert len(cloud.instances()) == 2 and second["type"] == "m5.xlarge" and desired(client) == 0
    for job in others:
        ledger = buoy.job(job)["ledger"]
        assert (ledger["reclaims_noticed"], ledger["reclaims_unnoticed"]) == ((1, 0) if notice else (0, 1))
        shown = client.describe_jobs(jobs=[job])["jobs"][0]
        assert shown["attempts"][0]["statusReason"].startswith("Host EC2 (instance m")
    check_bill(cloud, buoy, hosts)


IMAGE = "localhost/packing-busybox:1"
IMPORT = f"""
mkdir -p /tmp/image/bin /tmp/image/tmp /tmp/image/etc
cp "$(command -v busybox)" /tmp/image/bin/busybox
for each in {" ".join(APPLETS)}; do ln -sf busybox "/tmp/image/bin/$each"; done
echo root:x:0:0:root:/root:/bin/sh >/tmp/image/etc/passwd
tar -C /tmp/image -c . | podman import - {IMAGE}"""


@pytest.mark.long
def test_containers_of_jobs_share_an_instance(cloud, buoy_on_aws):
    if not shutil.which("podman") or not shutil.which("busybox"):
        pytest.skip("podman and busybox are needed (scripts/install_packages.sh test)")
    buoy = buoy_on_aws(types=QUAD)
    client, aws = door_of(buoy, least=4)
    wait_for(lambda: [each for each in machines(buoy) if each["phase"] == "idle"], "an instance that is kept", 120)
    instance, = cloud.instances("running")
    made = cloud.run(instance["instance"], "/bin/sh", "-c", IMPORT)
    assert made["status"] == 0, made
    host = {"volumes": [{"name": "tmp", "host": {"sourcePath": "/tmp"}}], "mountPoints": [{"sourceVolume": "tmp", "containerPath": "/tmp"}]}
    ends, stays = (submit(client, name, image=IMAGE, **host) for name in ("ends", "stays"))
    for job in (ends, stays):
        buoy.wait_log(job, "started at 0", limit=120)
    late = submit(client, "late", image=IMAGE, **host)  # its own podman looks at what the others' have made
    buoy.wait_log(late, "started at 0", limit=120)
    hosts = hosts_of(buoy)
    assert len(hosts) == 3 and len(set(hosts.values())) == 1 and len(cloud.instances()) == 1
    wait_price(cloud, buoy, instance)
    aws("terminate-job", "--job-id", ends, "--reason", "enough")
    wait_for(lambda: status(client, ends) == "FAILED", "the end of one")
    wait_for(lambda: len(hosts_of(buoy)) == 2, "its part's end")
    assert aws("describe-jobs", "--jobs", stays)["jobs"][0]["status"] == "RUNNING"
    left = cloud.run(instance["instance"], "/bin/sh", "-c", "cat /proc/[0-9]*/cmdline")["stdout"]
    assert "/tmp/stays" in left and "/tmp/ends" not in left, "its container is gone, and another's is there"
    for job, name in ((stays, "stays"), (late, "late")):
        touch(cloud, name)
        wait_for(lambda: status(client, job) == "SUCCEEDED", f"the end of {name}")
    offered = lambda: next(each["types"][0]["spot_price"] for each in buoy.json("pools")["pools"] if each["name"] == ENVIRONMENT)
    before = offered()
    aws("update-compute-environment", "--compute-environment", ENVIRONMENT, "--compute-resources", "minvCpus=0")
    assert offered() == before != 0.03, "the market's price stays"
    wait_end(cloud, buoy)
    check_bill(cloud, buoy, hosts)

"""The machines behind instances: user data runs, the metadata service tells, ends come as they do on EC2."""
import json
import time

import pytest

from cloud.ec2_calls import instance_of, run, wait_state
from support.control_plane import wait_for

TOKEN = "T=$(curl -sS -X PUT -H 'X-aws-ec2-metadata-token-ttl-seconds: 60' http://169.254.169.254/latest/api/token); "
GET = "curl -sS -H \"X-aws-ec2-metadata-token: $T\" http://169.254.169.254/latest/"
# Says when it is up, saves when it is told to stop.
PATIENT = """#!/bin/sh
trap 'echo stopped >>/root/said; exit 0' TERM
echo up >>/root/said
echo "$(hostname) $(id -u)"
while :; do sleep 0.05; done
"""


@pytest.fixture
def ec2(cloud):
    return cloud.client("ec2")


def up(cloud, ec2, user_data=PATIENT, **more):
    """A machine whose user data has begun."""
    instance, = run(ec2, user_data, **more)
    wait_for(lambda: any(event["instance"] == instance for event in cloud.events("booted")), f"boot of {instance}")
    return instance


def shell(cloud, instance, command):
    done = cloud.run(instance, "/bin/sh", "-c", command)
    assert done["status"] == 0, done
    return done["stdout"]


def metadata(cloud, instance, path):
    return shell(cloud, instance, TOKEN + GET + path)


def test_user_data_runs_on_a_machine_of_its_own(cloud, ec2):
    instance = up(cloud, ec2)
    address = instance_of(ec2, instance)["PrivateIpAddress"]
    wait_for(lambda: "0" in cloud.console(instance), "the machine's first words")
    assert cloud.console(instance).split() == ["ip-" + address.replace(".", "-"), "0"]
    assert address in shell(cloud, instance, "ip -4 -o address show eth0")
    # It sees the host's programs, and neither its files nor its processes.
    assert shell(cloud, instance, "ls /usr/bin/env; ls -d /work /proc/[0-9]* 2>/dev/null | wc -l").split()[0] == "/usr/bin/env"
    assert "cloud.front" not in shell(cloud, instance, "cat /proc/[0-9]*/cmdline 2>/dev/null; true")  # some end meanwhile
    assert "ok" in shell(cloud, instance, f"curl -sS -o /dev/null {cloud.endpoint} && echo ok")
    other = instance_of(ec2, up(cloud, ec2, "#!/bin/sh\ncd /root && echo hello >index.html && exec python3 -m http.server 80\n"))
    for address in (other["PrivateIpAddress"], other["PublicIpAddress"]):
        assert shell(cloud, instance, f"curl -sS --retry 20 --retry-delay 1 --retry-connrefused http://{address}/") == "hello\n"


def test_the_metadata_service_wants_a_token(cloud, ec2):
    instance = up(cloud, ec2, MetadataOptions={"HttpTokens": "required", "InstanceMetadataTags": "enabled"},
                  TagSpecifications=[{"ResourceType": "instance", "Tags": [{"Key": "job", "Value": "j1"}]}])
    status = "curl -s -o /dev/null -w '%{http_code}' "
    assert shell(cloud, instance, status + "http://169.254.169.254/latest/meta-data/") == "401"
    assert shell(cloud, instance, status + "-H 'X-aws-ec2-metadata-token: x' http://169.254.169.254/latest/meta-data/") == "401"
    assert shell(cloud, instance, status + "-X PUT http://169.254.169.254/latest/api/token") == "400"
    assert metadata(cloud, instance, "meta-data/instance-id") == instance
    assert metadata(cloud, instance, "meta-data/placement/availability-zone") == "us-east-1a"
    assert metadata(cloud, instance, "meta-data/tags/instance/job") == "j1"
    assert metadata(cloud, instance, "user-data") == PATIENT
    assert "placement/" in metadata(cloud, instance, "meta-data/").split()
    assert json.loads(metadata(cloud, instance, "dynamic/instance-identity/document"))["instanceId"] == instance
    assert shell(cloud, instance, TOKEN + GET + "meta-data/spot/instance-action -o /dev/null -w '%{http_code}'") == "404"


def test_keys_of_the_instance_profile_work(cloud, ec2):
    iam, s3 = cloud.client("iam"), cloud.client("s3")
    iam.create_role(RoleName="reader", AssumeRolePolicyDocument="{}")
    iam.create_instance_profile(InstanceProfileName="p")
    iam.add_role_to_instance_profile(InstanceProfileName="p", RoleName="reader")
    s3.create_bucket(Bucket="bucket")
    s3.put_object(Bucket="bucket", Key="k", Body=b"content")
    instance = up(cloud, ec2, IamInstanceProfile={"Name": "p"})
    assert metadata(cloud, instance, "meta-data/iam/security-credentials/") == "reader"
    keys = json.loads(metadata(cloud, instance, "meta-data/iam/security-credentials/reader"))
    as_role = cloud.client("s3", aws_access_key_id=keys["AccessKeyId"], aws_secret_access_key=keys["SecretAccessKey"], aws_session_token=keys["Token"])
    assert as_role.get_object(Bucket="bucket", Key="k")["Body"].read() == b"content"
    url = s3.generate_presigned_url("get_object", {"Bucket": "bucket", "Key": "k"})
    assert shell(cloud, instance, f"curl -sS '{url}'") == "content"


def test_a_notice_comes_before_the_end(cloud, ec2):
    instance = up(cloud, ec2)
    cloud.call("rebalance", instance=instance)
    assert "noticeTime" in json.loads(metadata(cloud, instance, "meta-data/events/recommendations/rebalance"))
    cloud.interrupt(instance, notice=3)
    action = json.loads(metadata(cloud, instance, "meta-data/spot/instance-action"))
    assert action["action"] == "terminate" and abs(time.mktime(time.strptime(action["time"], "%Y-%m-%dT%H:%M:%SZ")) - time.mktime(time.gmtime())) < 10
    assert instance_of(ec2, instance)["State"]["Name"] == "running"
    ended = wait_state(ec2, instance, "terminated")
    assert ended["StateReason"]["Code"] == "Server.SpotInstanceTermination"
    line, = cloud.bill()
    assert line["free"] and line["cost"] == 0
    assert cloud.leftovers() == []


def test_an_end_without_notice_leaves_no_time(cloud, ec2):
    instance = up(cloud, ec2)
    said = cloud.directory / "machines" / instance / "root/root/said"
    wait_for(lambda: said.exists(), "the machine's first words")
    cloud.interrupt(instance, notice=0)
    wait_state(ec2, instance, "terminated")
    assert said.read_text() == "up\n"


def test_termination_gives_processes_a_moment(cloud, ec2):
    cloud.settings(shutdown=5)
    instance = up(cloud, ec2)
    said = cloud.directory / "machines" / instance / "root/root/said"
    wait_for(lambda: said.exists(), "the machine's first words")
    ec2.terminate_instances(InstanceIds=[instance])
    wait_state(ec2, instance, "terminated")
    assert said.read_text() == "up\nstopped\n"
    line, = cloud.bill()
    assert not line["free"] and line["seconds"] == 60


def test_a_machine_can_end_itself(cloud, ec2):
    instance = up(cloud, ec2, "#!/bin/sh\nshutdown -h now\n")
    assert wait_state(ec2, instance, "terminated")["StateReason"]["Code"] == "Client.InstanceInitiatedShutdown"


def test_a_reboot_keeps_the_disk_and_runs_user_data_no_more(cloud, ec2):
    instance = up(cloud, ec2, "#!/bin/sh\necho run >>/root/said\n")
    said = cloud.directory / "machines" / instance / "root/root/said"
    wait_for(lambda: said.exists() and (said.parents[1] / "var/lib/cloud/instance/boot-finished").exists(), "the first boot")
    before = _started(cloud, instance)
    ec2.reboot_instances(InstanceIds=[instance])
    wait_for(lambda: _started(cloud, instance) not in ("", before), "the reboot")
    assert shell(cloud, instance, "cat /root/said") == "run\n"
    assert instance_of(ec2, instance)["State"]["Name"] == "running"


def _started(cloud, instance):
    """When the machine's first process began; "" while it is off."""
    try:
        return cloud.run(instance, "/usr/bin/cut", "-d ", "-f22", "/proc/1/stat")["stdout"]
    except RuntimeError:
        return ""


def test_lost_hardware_is_told_late(cloud, ec2):
    instance = up(cloud, ec2)
    cloud.lose(instance, said_after=1)
    assert instance_of(ec2, instance)["State"]["Name"] == "running"
    assert wait_state(ec2, instance, "terminated")["StateReason"]["Code"] == "Server.InternalError"


def test_a_machine_can_be_cut_off_and_frozen(cloud, ec2):
    instance = up(cloud, ec2, "#!/bin/sh\nwhile :; do date +%N >/root/tick; sleep 0.02; done\n")
    tick = cloud.directory / "machines" / instance / "root/root/tick"
    wait_for(lambda: tick.exists() and tick.read_text(), "a tick")
    cloud.call("cut", instance=instance)
    assert cloud.run(instance, "/usr/bin/curl", "-sS", "-m1", cloud.endpoint)["status"] != 0
    cloud.call("mend", instance=instance)
    assert cloud.run(instance, "/usr/bin/curl", "-sS", "-m5", "-o", "/dev/null", cloud.endpoint)["status"] == 0
    cloud.call("freeze", instance=instance)
    wait_for(lambda: _still(tick), "the freeze")
    cloud.call("thaw", instance=instance)
    frozen = tick.read_text()
    wait_for(lambda: tick.read_text() not in ("", frozen), "another tick")


def _still(tick):
    """Ten looks, none of which finds anything new."""
    seen = set()
    for _ in range(10):
        seen.add(tick.read_text())
        time.sleep(0.02)
    return len(seen) == 1


def test_a_subnet_without_a_route_leads_nowhere(cloud, ec2):
    vpc = ec2.create_vpc(CidrBlock="10.9.0.0/16")["Vpc"]["VpcId"]
    subnet = ec2.create_subnet(VpcId=vpc, CidrBlock="10.9.1.0/24", AvailabilityZone="us-east-1a")["Subnet"]["SubnetId"]
    instance = up(cloud, ec2, SubnetId=subnet)
    assert cloud.run(instance, "/usr/bin/curl", "-sS", "-m2", cloud.endpoint)["status"] != 0
    assert metadata(cloud, instance, "meta-data/instance-id") == instance


def test_a_page_counts_instances(cloud, ec2):
    """Not the requests that made them."""
    made = {*run(ec2, "#!/bin/sh\n", count=3), *run(ec2, "#!/bin/sh\n", count=2)}
    seen, token = [], ""
    for so_far in (2, 4, 5):
        page = ec2.describe_instances(MaxResults=2, **({"NextToken": token} if token else {}))
        seen += [instance["InstanceId"] for reservation in page["Reservations"] for instance in reservation["Instances"]]
        token = page.get("NextToken", "")
        assert len(seen) == so_far and bool(token) == (so_far < 5)
    assert sorted(seen) == sorted(made)

"""A spotty.yaml on AWS: the article's commands, on machines with podman, tmux and sshd of their own."""
import contextlib
import pathlib
import shutil
import socket
import tempfile
import threading

import pytest

from cloud.test_volumes import old_snapshot, snapshots_by_name, tags_of
from support.containers import APPLETS
from support.control_plane import wait_for
from support.spotty import SCRIPTS, board, close_connections, close_terminals, give_terminals

IMAGE = "localhost/spotty-busybox:1"
START = 120  # seconds of a start
NAME = "spotty-digits-aws-1"


def instances(parameters, importer="podman"):
    """The one instance, whose commands make the image on its machine: nothing can be pulled there."""
    return f"""
instances:
  - name: aws-1
    provider: aws
    parameters:
      region: us-east-1
      instanceType: m5.large
      commands: |
        mkdir -p /tmp/image/bin /tmp/image/tmp /tmp/image/etc
        cp "$(command -v busybox)" /tmp/image/bin/busybox
        for each in {" ".join(APPLETS)}; do ln -sf busybox "/tmp/image/bin/$each"; done
        echo root:x:0:0:root:/root:/bin/sh >/tmp/image/etc/passwd
        tar -C /tmp/image -c . | {importer} import - {IMAGE}
{parameters}"""


CONTAINER = f"""
project:
  name: Digits
  syncFilters:
    - exclude: [.git/*, logs/*]
container:
  projectDir: /workspace/project
  image: {IMAGE}
  env: {{GREETING: hello}}
  ports: [6006]
  volumeMounts:
    - {{name: workspace, mountPath: /workspace}}
    - {{name: data, mountPath: /data}}
  commands: echo made >/workspace/made
"""
PROJECT = CONTAINER + instances("""\
      volumes:
        - {name: workspace, parameters: {size: 1, deletionPolicy: retain}}
        - {name: data, parameters: {size: 1, deletionPolicy: update_snapshot}}
        - {name: models, parameters: {size: 1}}
        - {name: cache, parameters: {size: 1, deletionPolicy: delete}}""") + SCRIPTS


@pytest.fixture
def spotty(cloud, buoy_on_aws):
    if missing := [each for each in ("podman", "tmux", "ssh", "ssh-keygen", "busybox") if not shutil.which(each)]:
        pytest.skip(f"{', '.join(missing)} needed (scripts/install_packages.sh test)")
    if not pathlib.Path("/usr/sbin/sshd").exists():
        pytest.skip("sshd is needed (scripts/install_packages.sh test)")
    home = pathlib.Path(tempfile.mkdtemp(prefix="me"))
    buoy = buoy_on_aws(environment={"HOME": str(home)})
    buoy.home = home
    give_terminals(buoy)
    buoy.write("spotty.yaml", PROJECT)
    buoy.write("train.py", "pass\n")
    buoy.write("logs/old", "not sent")
    yield buoy
    close_terminals(buoy)
    close_connections(home)
    buoy.stop()
    shutil.rmtree(home, ignore_errors=True)


def on_machine(cloud, *command):
    instance, = cloud.instances("running")
    return cloud.run(instance["instance"], *command)["stdout"]


def steps(cloud, disk="/mnt/digits-aws-1-workspace"):
    return int(on_machine(cloud, "cat", f"{disk}/steps") or 0)


def disks(ec2):
    return {tags_of(each).get("Name"): each for each in ec2.describe_volumes()["Volumes"] if str(tags_of(each).get("Name")).startswith("digits-")}


def port_of(started):
    line, = [line for line in started.splitlines() if line.startswith("Port 6006")]
    return line.rpartition(" ")[2]


def test_a_dry_run_changes_nothing(cloud, spotty):
    before = cloud.leftovers()
    said = spotty.run("spotty", "start", "--dry-run", check=0).stdout
    assert "a bucket for the project would be made" in said and "key pair spotty-key-digits-us-east-1 would be made" in said
    assert "volume digits-aws-1-workspace: a new one of 1 GiB" in said and "an hour" in said
    assert cloud.leftovers() == before and not (spotty.home / ".spotty/keys").exists()


def test_what_cannot_be_started_is_said_before_anything_is_made(cloud, spotty):
    ec2 = cloud.client("ec2")
    before = cloud.leftovers()
    spotty.write("spotty.yaml", PROJECT.replace("instanceType: m5.large", "instanceType: m5.large\n      maxPrice: 0.000001"))
    assert "more than maxPrice" in spotty.run("spotty", "start", check=1).stderr
    spotty.write("spotty.yaml", PROJECT.replace("name: cache, parameters: {size: 1,", "name: cache, parameters: {"))
    assert "volume digits-aws-1-cache does not exist" in spotty.run("spotty", "start", check=1).stderr
    ec2.create_key_pair(KeyName="spotty-key-digits-us-east-1")
    spotty.write("spotty.yaml", PROJECT)
    said = spotty.run("spotty", "start", check=1).stderr
    assert "its private key is not here" in said and str(spotty.home / ".spotty/keys/aws/spotty-key-digits-us-east-1") in said
    ec2.delete_key_pair(KeyName="spotty-key-digits-us-east-1")
    for bucket in ("spotty-digits-aaaaaaaaaaaa-us-east-1", "spotty-digits-bbbbbbbbbbbb-us-east-1"):
        cloud.client("s3").create_bucket(Bucket=bucket)
    assert "several buckets" in spotty.run("spotty", "start", check=1).stderr
    for bucket in ("spotty-digits-aaaaaaaaaaaa-us-east-1", "spotty-digits-bbbbbbbbbbbb-us-east-1"):
        cloud.client("s3").delete_bucket(Bucket=bucket)
    assert cloud.leftovers() == before
    assert "is not running" in spotty.run("spotty", "status", check=1).stderr


class OwnTunnel(threading.Thread):
    """What somebody who may not reach machines directly has: a port of his own host that leads to the machine's sshd."""

    def __init__(self, cloud):
        super().__init__(daemon=True)
        self.cloud = cloud
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.start()

    def run(self):
        with contextlib.suppress(OSError):  # closed
            while True:
                here = self.listener.accept()[0]
                there = socket.create_connection((self.cloud.instances("running")[0]["address"], 22))
                for source, target in ((here, there), (there, here)):
                    threading.Thread(target=self.carry, args=(source, target), daemon=True).start()

    @staticmethod
    def carry(source, target):
        with contextlib.suppress(OSError):
            while data := source.recv(65536):
                target.sendall(data)
        for end in (source, target):
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)

    def close(self):
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()


UBUNTU = f"""
project: {{name: Digits}}
containers:
  - projectDir: /workspace/project
    image: {IMAGE}
    hostNetwork: true
    runAsHostUser: true
    workingDir: /workspace
    env: {{GREETING: hello}}
    runtimeParameters: [--shm-size, 32m]
    volumeMounts: [{{name: workspace, mountPath: /workspace}}]
""" + instances("""\
      spotInstance: true
      amiName: ubuntu/images/hvm-ssd/ubuntu-jammy-22.04-amd64-server
      instanceProfileArn: arn:aws:iam::123456789012:instance-profile/mine
      localSshPort: PORT
      dockerDataRoot: /disk/docker
      volumes: [{name: workspace, parameters: {size: 1, mountDir: /disk, deletionPolicy: Delete}}]""", "docker") + SCRIPTS


@pytest.fixture
def tunnel(cloud):
    own = OwnTunnel(cloud)
    yield own
    own.close()


@pytest.mark.long
def test_a_user_who_is_not_root_and_what_else_can_be_set(cloud, spotty, tunnel):
    if not shutil.which("sudo"):
        pytest.skip("sudo is needed (scripts/install_packages.sh test)")
    ec2, iam = cloud.client("ec2"), cloud.client("iam")
    iam.create_role(RoleName="own", AssumeRolePolicyDocument="{}")
    iam.create_instance_profile(InstanceProfileName="mine")
    iam.add_role_to_instance_profile(InstanceProfileName="mine", RoleName="own")
    spotty.write("spotty.yaml", UBUNTU.replace("PORT", str(tunnel.port), 1))
    spotty.run("spotty", "start", check=0, limit=START)
    first, = cloud.instances("running")
    described = ec2.describe_instances(InstanceIds=[first["instance"]])["Reservations"][0]["Instances"][0]
    assert described["IamInstanceProfile"]["Arn"].endswith("instance-profile/mine")
    assert [role["RoleName"] for role in iam.list_roles()["Roles"]] == ["own"], "none is made"
    assert "/disk/docker" in on_machine(cloud, "cat", "/etc/docker/daemon.json")
    assert "overlay" in on_machine(cloud, "ls", "/disk/docker"), "that is where containers are"

    # As the image's user on the machine and in the container, who may write in the project; with the container's options.
    who = "id -u; pwd; echo $GREETING; grep /dev/shm /proc/mounts; echo mine >project/mine; echo $HOST_USER_ID"
    said = spotty.run("spotty", "exec", "--", "sh", "-c", who, check=0).stdout
    assert said.startswith("2000\n/workspace\nhello\n") and "size=32768k" in said and said.endswith("\n2000\n"), said
    shell = spotty.terminal("sh", "-H")
    shell.wait("$")
    shell.keys("echo this is $(whoami)", "Enter")
    shell.wait("this is ubuntu")
    shell.keys("exit", "Enter")
    assert shell.end() == 0

    # -C: the project and the container anew on the same machine, without the instance's commands.
    before = cloud.run(first["instance"], "docker", "inspect", "-f", "{{.Id}}", "spotty-digits-aws-1-default")["stdout"]
    spotty.write("spotty.yaml", UBUNTU.replace("PORT", str(tunnel.port), 1).replace("GREETING: hello", "GREETING: again"))
    anew = spotty.run("spotty", "start", "-C", check=0).stdout
    assert "starting the container" in anew and "the instance's commands" not in anew, anew
    assert spotty.run("spotty", "exec", "--", "sh", "-c", "echo $GREETING; cat project/mine", check=0).stdout == "again\nmine\n"
    assert cloud.run(first["instance"], "docker", "inspect", "-f", "{{.Id}}", "spotty-digits-aws-1-default")["stdout"] != before
    assert [each["instance"] for each in cloud.instances("running")] == [first["instance"]]

    # The volume takes docker's data along, with the container of that name.
    spotty.run("spotty", "run", "train", check=0)
    wait_for(lambda: steps(cloud, "/disk") > 0, "steps")
    cloud.interrupt(notice=5)
    spotty.wait_log(NAME, "script train was started again", limit=START)
    assert "digits-aws-1" in spotty.run("spotty", "ls", check=0).stdout
    assert "spotty-script-train" in spotty.run("spotty", "sh", "-l", check=0).stdout
    assert "was deleted" in spotty.run("spotty", "stop", check=0, limit=START).stdout
    iam.remove_role_from_instance_profile(InstanceProfileName="mine", RoleName="own")
    iam.delete_instance_profile(InstanceProfileName="mine")
    iam.delete_role(RoleName="own")


def test_the_article_with_a_reclaim_in_the_middle(cloud, spotty):
    ec2, s3 = cloud.client("ec2"), cloud.client("s3")
    # Of an earlier life with Spotty: its bucket and a snapshot.
    bucket = "spotty-digits-abcdefghijkl-us-east-1"
    s3.create_bucket(Bucket=bucket)
    s3.put_object(Bucket=bucket, Key="project/gone.py", Body=b"pass")
    old = old_snapshot(ec2, "digits-aws-1-data")

    started = spotty.run("spotty", "start", check=0, limit=START).stdout
    assert "is running" in started and f"made of snapshot {old}" in started, started
    assert [each["Key"] for each in s3.list_objects_v2(Bucket=bucket)["Contents"]] == ["project/spotty.yaml", "project/train.py"]
    first, = cloud.instances("running")
    assert tags_of(ec2.describe_instances(InstanceIds=[first["instance"]])["Reservations"][0]["Instances"][0])["Name"] == "digits-aws-1"
    assert set(disks(ec2)) == {f"digits-aws-1-{each}" for each in ("workspace", "data", "models", "cache")}
    assert (spotty.home / ".spotty/keys/aws/spotty-key-digits-us-east-1").stat().st_mode & 0o777 == 0o600
    shown = spotty.run("spotty", "status", check=0).stdout
    assert "m5.large" in shown and first["zone"] in shown and "Spot Instance" in shown
    assert "digits-aws-1" in spotty.run("spotty", "ls", check=0).stdout

    # A script's own exit code; what is sent by way of the bucket.
    preprocess = spotty.terminal("run", "preprocess", "-p", "WHAT=a && b", "--", "one")
    preprocess.wait("Pane is dead")
    preprocess.keys("C-b", "d")
    assert preprocess.end() == 3
    spotty.write("more.py", "pass\n")
    assert "upload: " in (synced := spotty.run("spotty", "sync", check=0).stdout) and "more.py" in synced
    done = spotty.run("spotty", "exec", "--", "sh", "-c", "ls; cat ../made; exit 7", check=7).stdout
    assert "more.py" in done and "train.py" in done and "made" in done and "gone.py" not in done

    spotty.run("spotty", "run", "tensorboard", "-p", "PORT=6006", check=0)
    wait_for(lambda: ":1776 " in on_machine(cloud, "cat", "/proc/net/tcp", "/proc/net/tcp6"), "the listener")
    assert board(port_of(started)) == "board"

    # Left, and come back to; then the machine is taken.
    train = spotty.terminal("run", "train")
    train.wait("step 3")
    train.keys("C-b", "d")
    assert train.end() == 0
    seen = steps(cloud)
    wait_for(lambda: steps(cloud) > seen, "steps while nobody looks")
    assert "spotty-script-train" in spotty.run("spotty", "sh", "-l", check=0).stdout
    seen = steps(cloud)
    cloud.interrupt(notice=5)
    wait_for(lambda: spotty.job(NAME)["attempts"] == 2, "the replacement", 120)
    spotty.wait_log(NAME, "script train was started again", limit=START)
    second, = cloud.instances("running")
    assert second["instance"] != first["instance"] and second["zone"] == first["zone"], "a volume does not leave its zone"
    wait_for(lambda: steps(cloud) > seen, "training that goes on")
    assert "started again" in (shown := spotty.run("spotty", "status", check=0).stdout)
    assert board(port_of(shown)) == "board"
    again = spotty.terminal("run", "train")
    again.wait("step")
    on_machine(cloud, "touch", "/mnt/digits-aws-1-workspace/go")
    again.wait("training ends")
    shell = spotty.terminal("sh")
    shell.wait("#")
    shell.keys("cat /workspace/made; exit", "Enter")
    assert shell.end() == 0

    assert "logs/preprocess" in spotty.run("spotty", "download", "-i", "logs/*", check=0).stdout
    assert (spotty.project / "logs/preprocess").read_text() == "hello a && b one\n"

    stopped = spotty.run("spotty", "stop", check=0, limit=START).stdout
    assert "was successfully stopped" in stopped, stopped
    for part in ("volume digits-aws-1-workspace", "is kept", "volume digits-aws-1-cache", "was deleted", "its content is in snapshot"):
        assert part in stopped, stopped
    assert set(disks(ec2)) == {"digits-aws-1-workspace"}
    snapshots = snapshots_by_name(ec2)
    assert set(snapshots) == {"digits-aws-1-data", "digits-aws-1-models"} and snapshots["digits-aws-1-data"]["SnapshotId"] != old
    assert not cloud.instances("running") and "No instance" in spotty.run("spotty", "ls", check=0).stdout
    assert "is not running" in spotty.run("spotty", "run", "train", check=1).stderr
    spotty.run("aws", "orphans", "--remove", check=0)
    assert {kind for kind, _ in cloud.leftovers()} <= {"bucket", "object", "volume", "snapshot", "key pair"}, cloud.leftovers()


@pytest.mark.long
def test_volumes_follow_to_another_zone_and_the_scripts_with_them(cloud, spotty):
    ec2 = cloud.client("ec2")
    old = old_snapshot(ec2, "digits-aws-1-data")
    spotty.write("spotty.yaml", CONTAINER + instances("""\
      volumes:
        - {name: workspace, parameters: {size: 1}}
        - {name: data, parameters: {deletionPolicy: update_snapshot}}""") + SCRIPTS)
    spotty.run("spotty", "start", check=0, limit=START)
    spotty.run("spotty", "run", "train", check=0)
    wait_for(lambda: steps(cloud) > 3, "steps")
    spotty.run("spotty", "exec", "--", "sh", "-c", "echo kept >/data/kept", check=0)
    first, = cloud.instances("running")
    before = {name: volume["VolumeId"] for name, volume in disks(ec2).items()}
    seen = steps(cloud)
    cloud.capacity("m5.large", first["zone"], spot=0, on_demand=0, notice=5)
    spotty.wait_log(NAME, "script train was started again", limit=2 * START)
    second, = cloud.instances("running")
    assert second["zone"] != first["zone"]
    wait_for(lambda: steps(cloud) > seen, "training that goes on")
    assert spotty.run("spotty", "exec", "--", "cat", "/data/kept", check=0).stdout == "kept\n"
    shown = spotty.run("spotty", "status", check=0).stdout
    assert "script train was started again" in shown and second["zone"] in shown
    told = spotty.run("why", NAME, check=0).stdout
    assert set(disks(ec2)) == set(before) and not set(before.values()) & {each["VolumeId"] for each in disks(ec2).values()}
    for name, volume in before.items():
        assert f"there was no machine in {first['zone']}: volume {name} ({volume}) was deleted; its content is in snapshot" in told, told

    # At the end each policy as if nothing had moved: no snapshot of the way is left, and the old one is updated.
    stopped = spotty.run("spotty", "stop", check=0, limit=START).stdout
    assert stopped.count("its content is in snapshot") == 2, stopped
    left = snapshots_by_name(ec2)
    assert set(left) == {"digits-aws-1-workspace", "digits-aws-1-data"} and left["digits-aws-1-data"]["SnapshotId"] != old, left
    assert not disks(ec2)


def test_a_full_disk_on_the_machine(cloud, spotty):
    spotty.write("spotty.yaml", CONTAINER + instances("      volumes: [{name: workspace, parameters: {size: 1, deletionPolicy: delete}}]") + SCRIPTS)
    spotty.run("spotty", "start", check=0, limit=START)
    full = spotty.run("spotty", "exec", "--", "sh", "-c", "dd if=/dev/zero of=/workspace/fill bs=1M count=2000 && echo all", check=1)
    assert "No space left on device" in full.stderr and "all" not in full.stdout

    # What is new does not fit, nor what is changed, which stays as it was.
    spotty.write("train.py", "x" * (8 << 20))
    failed = spotty.run("spotty", "sync", check=1).stderr
    assert len(failed.splitlines()) == 1 and "No space left on device" in failed, failed
    assert "sync to instance 'aws-1'" in failed and "/mnt/digits-aws-1-workspace/project/train.py" in failed, failed
    assert on_machine(cloud, "cat", "/mnt/digits-aws-1-workspace/project/train.py") == "pass\n"
    assert spotty.run("spotty", "exec", "--", "true", check=1).stderr == failed, "nothing runs with other files than were meant"

    # The machine is of use, and is cleaned up by its own means.
    assert "m5.large" in spotty.run("spotty", "status", check=0).stdout
    spotty.run("spotty", "exec", "--no-sync", "--", "rm", "/workspace/fill", check=0)
    spotty.run("spotty", "sync", check=0)
    assert len(on_machine(cloud, "cat", "/mnt/digits-aws-1-workspace/project/train.py")) == 8 << 20
    assert on_machine(cloud, "ls", "-A", "/mnt/digits-aws-1-workspace/project").split() == ["spotty.yaml", "train.py"], "nothing half is left"
    spotty.run("spotty", "run", "train", check=0)
    wait_for(lambda: steps(cloud) > 0, "steps")
    spotty.run("spotty", "stop", check=0, limit=START)

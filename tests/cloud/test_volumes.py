"""Volumes of jobs: made, taken over a reclaim, grown, and what becomes of them afterwards."""
import json
import time

import pytest

from cloud.ec2_calls import code_of, run, wait_state
from cloud.machines import volumes
from support.control_plane import wait_for


@pytest.fixture(autouse=True)
def loop_devices():
    if why := volumes.usable():
        pytest.skip(why)


@pytest.fixture
def ec2(cloud):
    return cloud.client("ec2")


def shell(cloud, instance, command):
    done = cloud.run(instance, "/bin/sh", "-c", command)
    assert done["status"] == 0, done
    return done["stdout"]


def test_a_volume_keeps_its_content_from_machine_to_machine(cloud, ec2):
    """Of the cloud itself."""
    volume = ec2.create_volume(AvailabilityZone="us-east-1a", Size=1, VolumeType="gp3")["VolumeId"]
    first, second = run(ec2, "#!/bin/sh\n", count=2, Placement={"AvailabilityZone": "us-east-1a"})
    for instance in (first, second):
        wait_for(lambda: any(event["instance"] == instance for event in cloud.events("booted")), "the boot")
    device = f"/dev/disk/by-id/nvme-Amazon_Elastic_Block_Store_{volume.replace('-', '')}"

    def attach(instance):
        ec2.attach_volume(VolumeId=volume, InstanceId=instance, Device="/dev/sdf")
        wait_for(lambda: ec2.describe_volumes(VolumeIds=[volume])["Volumes"][0]["Attachments"][0]["State"] == "attached", "the attachment")

    attach(first)
    assert code_of(ec2.attach_volume, VolumeId=volume, InstanceId=second, Device="/dev/sdf") == "VolumeInUse"
    assert code_of(ec2.delete_volume, VolumeId=volume) == "VolumeInUse"
    shell(cloud, first, f"mkfs.ext4 -q {device} && mount {device} /mnt && echo kept >/mnt/file")
    ec2.detach_volume(VolumeId=volume)
    assert ec2.describe_volumes(VolumeIds=[volume])["Volumes"][0]["Attachments"][0]["State"] == "detaching"
    shell(cloud, first, "umount /mnt")
    wait_for(lambda: ec2.describe_volumes(VolumeIds=[volume])["Volumes"][0]["State"] == "available", "the detachment")
    attach(first)
    shell(cloud, first, f"mount {device} /mnt && echo more >>/mnt/file")
    cloud.interrupt(first, notice=0)
    wait_state(ec2, first, "terminated")
    attach(second)
    assert shell(cloud, second, f"mount {device} /mnt && cat /mnt/file") == "kept\nmore\n"


# -- of jobs ------------------------------------------------------------------------------------------------------------------

def job_file(buoy, name, run, volumes, **more):
    buoy.write(f"{name}.yaml", json.dumps({"name": name, "run": run, "volumes": volumes, **more}))
    return f"{name}.yaml"


def submit(buoy, name, run, volumes, **more):
    """JSON is YAML."""
    return buoy.submit(job_file(buoy, name, run, volumes, **more))


def tags_of(item):
    return {tag["Key"]: tag["Value"] for tag in item.get("Tags", [])}


def volumes_by_name(ec2):
    return {tags_of(volume).get("Name"): volume for volume in ec2.describe_volumes()["Volumes"] if tags_of(volume).get("buoy:job") or "data" in str(tags_of(volume).get("Name"))}


def snapshots_by_name(ec2):
    return {tags_of(snapshot)["Name"]: snapshot for snapshot in ec2.describe_snapshots(OwnerIds=["self"])["Snapshots"] if "Name" in tags_of(snapshot)}


def history(buoy, job):
    return buoy.run("why", job).stdout


COUNT = "n=$(cat $BUOY_VOLUME_DATA/n 2>/dev/null || echo 0); echo $((n + 1)) >$BUOY_VOLUME_DATA/n; sync; echo saw $n; "


@pytest.mark.long
def test_a_replacement_has_the_volume_and_the_next_job_grows_it(cloud, ec2, buoy_on_aws):
    buoy = buoy_on_aws()
    first = submit(buoy, "first", COUNT + "[ $n -gt 0 ] || exec sleep 1000", [{"name": "data", "size": "1GiB"}])
    buoy.wait_log(first, "saw 0", limit=120)
    cloud.interrupt(notice=0)
    buoy.wait_log(first, "saw 1", limit=120)
    buoy.wait_phase(first, "succeeded", limit=60)
    lost, replacement = cloud.instances()
    assert lost["zone"] == replacement["zone"], "a volume is in one zone"
    wait_for(lambda: "GiB) is kept" in history(buoy, first), "the volume's release")
    volume = volumes_by_name(ec2)["data"]
    assert volume["State"] == "available" and "buoy:job" not in tags_of(volume)
    assert "made volume data" in history(buoy, first) and "volume data is at /mnt/data (new ext4)" in history(buoy, first)

    # Every zone is allowed, and cheaper elsewhere: the volume decides.
    cloud.price("m5.large", volume["AvailabilityZone"], 0.09)
    second = submit(buoy, "second", COUNT + "df --output=size -BM $BUOY_VOLUME_DATA | tail -1", [{"name": "data", "size": "3GiB"}])
    buoy.wait_phase(second, "succeeded", limit=120)
    log = buoy.run("logs", second).stdout
    assert "saw 2" in log and 2800 < int(log.split()[-1].rstrip("M")) < 3200, log + history(buoy, second)
    assert cloud.instances()[-1]["zone"] == volume["AvailabilityZone"]
    assert volumes_by_name(ec2)["data"]["Size"] == 3 and volumes_by_name(ec2)["data"]["VolumeId"] == volume["VolumeId"]
    assert "took volume data" in history(buoy, second) and "was made 3 GiB large" in history(buoy, second)


def old_snapshot(ec2, name):
    volume = ec2.create_volume(AvailabilityZone="us-east-1a", Size=1, VolumeType="gp3")["VolumeId"]
    snapshot = ec2.create_snapshot(VolumeId=volume, TagSpecifications=[{"ResourceType": "snapshot", "Tags": [{"Key": "Name", "Value": name}]}])["SnapshotId"]
    wait_for(lambda: ec2.describe_snapshots(SnapshotIds=[snapshot])["Snapshots"][0]["State"] == "completed", "the snapshot")
    ec2.delete_volume(VolumeId=volume)
    return snapshot


@pytest.mark.long
def test_each_policy_after_the_end(cloud, ec2, buoy_on_aws):
    """All four in one job, and a fifth volume whose snapshot fails: it is kept, with its old snapshot, and the others are done."""
    buoy = buoy_on_aws()
    old = {name: old_snapshot(ec2, name) for name in ("data-create", "data-update", "data-failing")}
    policies = {"data-retain": "retain", "data-failing": "update_snapshot", "data-delete": "delete", "data-create": "create_snapshot",
                "data-update": "update_snapshot"}
    job = submit(buoy, "job", "for each in /mnt/data-*; do echo $BUOY_JOB_ID >$each/by; done; echo written; while [ ! -e /mnt/data-retain/go ]; do sleep 0.1; done",
                 [{"name": name, "size": "1GiB", "deletion": policy} for name, policy in policies.items()])
    buoy.wait_log(job, "written", limit=120)
    there = volumes_by_name(ec2)
    assert len(there) == 5
    cloud.call("fail_snapshot", volume=there["data-failing"]["VolumeId"])
    instance, = cloud.instances("running")
    shell(cloud, instance["instance"], "touch /mnt/data-retain/go")
    buoy.wait_phase(job, "succeeded", limit=60)
    wait_for(lambda: not any("buoy:job" in tags_of(volume) for volume in volumes_by_name(ec2).values()), "the release of all")

    assert set(volumes_by_name(ec2)) == {"data-retain", "data-failing"}
    snapshots = snapshots_by_name(ec2)
    assert snapshots["data-failing"]["SnapshotId"] == old["data-failing"]
    assert snapshots["data-create"]["SnapshotId"] != old["data-create"] and snapshots["data-update"]["SnapshotId"] != old["data-update"]
    renamed, = [name for name in snapshots if name.startswith("data-create-")]
    assert snapshots[renamed]["SnapshotId"] == old["data-create"] and abs(int(renamed.rpartition("-")[2]) - time.time()) < 100
    assert old["data-update"] not in {each["SnapshotId"] for each in snapshots.values()} and len(snapshots) == 4
    told = history(buoy, job)
    assert "the snapshot of volume data-failing failed" in told and "volume data-delete" in told and "was deleted" in told

    # A volume that exists as a snapshot only may be made anywhere, with its content.
    again = submit(buoy, "again", "cat /mnt/data-update/by", [{"name": "data-update", "deletion": "delete"}])
    buoy.wait_phase(again, "succeeded", limit=120)
    assert f"{job}\n" in buoy.run("logs", again).stdout
    wait_for(lambda: "data-update" not in volumes_by_name(ec2), "the volume's end")


def test_a_release_goes_on_where_a_killed_server_left_it(cloud, ec2, buoy_on_aws):
    """Killed when EC2 has made the snapshot and its answer was not heard: no second one is made."""
    buoy = buoy_on_aws()
    with cloud.held("ec2:CreateSnapshot") as fault:
        job = submit(buoy, "job", "echo content >$BUOY_VOLUME_DATA/file", [{"name": "data", "size": "1GiB", "deletion": "create_snapshot"}])
        buoy.wait_phase(job, "succeeded", limit=120)
        assert cloud.reached(fault)
        buoy.kill_server()
    buoy.run("server", "start", check=0)
    wait_for(lambda: not volumes_by_name(ec2), "the volume's end")
    made = [each for each in ec2.describe_snapshots(OwnerIds=["self"])["Snapshots"] if tags_of(each).get("Name") == "data"]
    assert len(made) == 1, made
    wait_for(lambda: "its content is in snapshot" in history(buoy, job), "the history")


def test_what_cannot_be_had_is_said(cloud, ec2, buoy_on_aws):
    buoy = buoy_on_aws()
    job = submit(buoy, "job", "true", [{"name": "data", "snapshot": "nowhere", "size": "1GiB"}, {"name": "data-more", "size": "1GiB", "deletion": "delete"}])
    view = buoy.wait_phase(job, "failed", limit=120)
    assert "volume data: there is no snapshot 'nowhere' in the region" in view["reason"], view["reason"]
    # The other one was made, and is gone with the job.
    assert "made volume data-more" in history(buoy, job)
    wait_for(lambda: not volumes_by_name(ec2), "the end of the other volume")


@pytest.mark.long
def test_a_volume_follows_to_a_zone_that_has_machines(cloud, ec2, buoy_on_aws):
    """A snapshot frees it, where its policy allows one; at the end the policy is kept as if it had never moved."""
    old = {name: old_snapshot(ec2, name) for name in ("data", "data-kept")}
    buoy = buoy_on_aws()
    job = submit(buoy, "job", COUNT + "echo $n >/mnt/data-kept/n; [ $n -gt 0 ] || exec sleep 1000", [
        {"name": "data", "size": "1GiB", "deletion": "update_snapshot"}, {"name": "data-kept", "size": "1GiB", "deletion": "create_snapshot"}])
    buoy.wait_log(job, "saw 0", limit=120)
    first, = cloud.instances("running")
    before = {name: volume["VolumeId"] for name, volume in volumes_by_name(ec2).items()}
    cloud.capacity("m5.large", first["zone"], spot=0, on_demand=0, notice=0)
    buoy.wait_log(job, "saw 1", limit=120)
    buoy.wait_phase(job, "succeeded", limit=60)
    assert cloud.instances()[-1]["zone"] != first["zone"] and buoy.job(job)["attempts"] == 2
    told = history(buoy, job)
    for name, volume in before.items():
        assert f"there was no machine in {first['zone']}: volume {name} ({volume}) was deleted; its content is in snapshot" in told, told
    wait_for(lambda: not volumes_by_name(ec2), "the release")
    snapshots = snapshots_by_name(ec2)
    renamed, = [name for name in snapshots if name.startswith("data-kept-")]
    assert snapshots[renamed]["SnapshotId"] == old["data-kept"]
    own = [each for each in ec2.describe_snapshots(OwnerIds=["self"])["Snapshots"] if tags_of(each).get("buoy:job") == job]
    assert sorted(tags_of(each)["Name"] for each in own) == ["data", "data-kept"] and len(snapshots) == 3

    # What was written in the second zone is what the next job finds, in any.
    again = submit(buoy, "again", COUNT, [{"name": "data", "deletion": "delete"}])
    buoy.wait_phase(again, "succeeded", limit=120)
    assert "saw 2" in buoy.run("logs", again).stdout


def test_a_job_with_volumes_is_refused_where_there_are_none(make_buoy):
    buoy = make_buoy("pools:\n  - {name: local, provider: local, max_machines: 1, types: [{name: small, cpus: 1, memory: 1GiB, price: 1, spot_price: 0.3}]}\n"
                     "queues:\n  - {name: default, pools: [local]}\n")
    done = buoy.run("submit", job_file(buoy, "job", "true", [{"name": "data", "size": "1GiB"}], pools=["local"]))
    assert done.returncode == 2 and "volumes: pool 'local' has none (its provider is 'local')" in done.stderr, done


def test_a_volume_that_is_left_over_is_listed_and_removed(cloud, ec2, buoy_on_aws):
    buoy = buoy_on_aws()
    buoy.run("server", "start", check=0)
    cluster = buoy.json("server", "status")["cluster"]
    marks = {"Name": "data", "buoy:cluster": cluster, "buoy:job": "j99", "buoy:deletion": "delete"}
    volume = ec2.create_volume(AvailabilityZone="us-east-1a", Size=1, TagSpecifications=[
        {"ResourceType": "volume", "Tags": [{"Key": key, "Value": value} for key, value in marks.items()]}])["VolumeId"]
    assert f"volume {volume}" in buoy.run("aws", "orphans", check=0).stdout
    buoy.run("aws", "orphans", "--remove", check=0)
    assert not volumes_by_name(ec2)

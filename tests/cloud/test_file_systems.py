"""Shared file systems of jobs. No NFS is spoken here: a directory takes the server's place, and the mount is checked as text."""
import json

from support.control_plane import wait_for

MEET = ("echo $BUOY_RANK here >$BUOY_SHARED_COMMON/$BUOY_RANK; while [ $(ls $BUOY_SHARED_COMMON | wc -l) -lt 2 ]; do sleep 0.1; done; "
        "cat $BUOY_SHARED_COMMON/*; ")
OPTIONS = "nfsvers=4.1,rsize=1048576,wsize=1048576,hard,timeo=600,retrans=2,noresvport"


def submit(buoy, name, run, deletion, **more):
    buoy.write(f"{name}.yaml", json.dumps({"name": name, "run": run, "file_systems": [{"name": "common", "deletion": deletion}], **more}))
    return buoy.submit(f"{name}.yaml")


def systems(cloud):
    return {each["Name"]: each for each in cloud.client("efs").describe_file_systems()["FileSystems"]}


def test_the_machines_of_a_gang_share_a_file_system(cloud, buoy_on_aws):
    buoy = buoy_on_aws()
    gang = submit(buoy, "gang", MEET + "sleep 1000", "retain", machines=2)
    buoy.wait_log(gang, "1 here", limit=120)
    first = cloud.instances("running")[0]
    noted = cloud.run(first["instance"], "/bin/cat", "/var/log/mount.nfs4.log")["stdout"].splitlines()[-1]
    target, = {each["IpAddress"] for each in cloud.client("efs").describe_mount_targets(FileSystemId=systems(cloud)["common"]["FileSystemId"])["MountTargets"]}
    assert noted == f"{target}:/ /mnt/common -o rw,{OPTIONS}", noted
    buoy.run("cancel", gang, check=0)
    buoy.wait_phase(gang, "cancelled")

    # By its id it is found, too, and neither made nor taken away.
    known = systems(cloud)["common"]["FileSystemId"]
    by_id = submit(buoy, "by-id", f"cat /mnt/{known}/0", "retain", file_systems=[{"name": known}])
    buoy.wait_phase(by_id, "succeeded", limit=120)
    assert "0 here" in buoy.run("logs", by_id).stdout
    missing = submit(buoy, "missing", "true", "retain", file_systems=[{"name": "fs-0000000000000bad0"}])
    buoy.wait_phase(missing, "failed", limit=120)
    assert "there is none of that id" in buoy.run("show", missing).stdout + buoy.run("why", missing).stdout
    assert list(systems(cloud)) == ["common"]

    # The next job finds it, with what is in it, and takes it away.
    last = submit(buoy, "last", "cat $BUOY_SHARED_COMMON/*", "delete")
    buoy.wait_phase(last, "succeeded", limit=120)
    assert "0 here\n1 here\n" in buoy.run("logs", last).stdout
    wait_for(lambda: not systems(cloud), "the file system's end")
    wait_for(lambda: "was deleted" in buoy.run("why", last).stdout, "its end in the history")

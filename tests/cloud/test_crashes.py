"""The control plane is killed around every call that makes something, with the call done or not: one machine in the end."""
import pytest

from support.control_plane import wait_for

# Every call of a first launch that changes the account, and the one that ends the machine.
CALLS = ("CreateSecurityGroup", "AuthorizeSecurityGroupIngress", "CreateRole", "PutRolePolicy", "CreateInstanceProfile",
         "AddRoleToInstanceProfile", "CreateLaunchTemplate", "CreateFleet")


def crash_at(cloud, buoy, job, call, when):
    """Kills the control plane while it waits for the answer to such a call; the call was carried out ("after") or never is."""
    kind = {"before": "hold_before", "after": "hold_after"}[when]
    hold = cloud.fault(kind, calls=f":{call}$", first=1)
    job = job or buoy.submit("--", "sh", "-c", "echo one machine")
    assert cloud.reached(hold), f"{call} was not called"
    buoy.kill_server()
    if when == "before":
        cloud.fault("cut_before", calls=f":{call}$", first=1)  # what was never sent is not carried out either
    cloud.remove_fault(hold)
    return job


@pytest.mark.long
@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("call", CALLS)
def test_killed_at_a_launch(cloud, buoy_on_aws, call, when):
    buoy = buoy_on_aws()
    job = crash_at(cloud, buoy, None, call, when)
    buoy.wait_phase(job, "succeeded", limit=120)  # the command starts the control plane again
    assert len(cloud.instances()) == 1, cloud.events("call")
    wait_for(lambda: not buoy.json("machines")["machines"], "the machine's end")
    buoy.run("aws", "orphans", "--remove", check=0)
    assert {kind for kind, _ in cloud.leftovers()} == {"bucket", "object"}


@pytest.mark.parametrize("when", ["before", "after"])
def test_killed_at_a_termination(cloud, buoy_on_aws, when):
    buoy = buoy_on_aws()
    job = buoy.submit("--", "sleep", "300")
    buoy.wait_phase(job, "running", limit=120)
    hold = cloud.fault(f"hold_{when}", calls=":TerminateInstances$", first=1)
    buoy.run("cancel", job, check=0)
    if cloud.reached(hold, 10):
        buoy.kill_server()
    cloud.remove_fault(hold)
    wait_for(lambda: buoy.job(job)["phase"] == "cancelled" and cloud.instances()[0]["state"] == "terminated", "the end of job and machine")
    assert len(cloud.instances()) == 1

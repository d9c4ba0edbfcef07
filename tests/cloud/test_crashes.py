"""The control plane is killed around every call that changes something: one machine in the end, and nothing left."""
import pytest

from support.control_plane import wait_for

# Every call of a first launch that changes the account.
CALLS = ("CreateSecurityGroup", "AuthorizeSecurityGroupIngress", "CreateRole", "PutRolePolicy", "CreateInstanceProfile",
         "AddRoleToInstanceProfile", "CreateLaunchTemplate", "CreateFleet")
# The last one: what the machine begins with is laid into the store.
BOOT = "PUT"
LAUNCHES = [(call, when) for call in (*CALLS, BOOT) for when in ("before", "after")] + [("CreateFleet", "late")]
# Two of them stand for all where time is short: the call that makes the machine.
QUICK = {("CreateFleet", "before"), ("CreateFleet", "after")}


def crash_at(cloud, buoy, call, when, begin):
    """Kills the control plane while it waits for the answer to such a call. The call never came to be ("before"), was
    under way and is carried out when its sender is dead ("late"), or was carried out and nobody heard of it ("after")."""
    body = '"notice_service":"ec2"' if call == BOOT else None
    hold = cloud.fault("hold_after" if when == "after" else "hold_before", calls=f":{call}$", body=body, first=1)
    begun = begin()
    assert cloud.reached(hold), f"{call} was not called"
    buoy.kill_server()
    cloud.remove_fault(hold, drop=when == "before")
    return begun


def check_end(cloud, buoy):
    wait_for(lambda: not buoy.json("machines")["machines"], "the machine's end")
    buoy.run("aws", "orphans", "--remove", check=0)
    assert {kind for kind, _ in cloud.leftovers()} == {"bucket", "object"}
    assert not [name for _, name in cloud.leftovers() if "/boot/" in name]


@pytest.mark.parametrize("call, when", [pytest.param(*each, marks=[] if each in QUICK else pytest.mark.long) for each in LAUNCHES])
def test_killed_at_a_launch(cloud, buoy_on_aws, call, when):
    buoy = buoy_on_aws()
    job = crash_at(cloud, buoy, call, when, lambda: buoy.submit("--", "sh", "-c", "echo one machine"))
    view = buoy.wait_phase(job, "succeeded")  # the command starts the control plane again
    assert len(cloud.instances()) == 1, cloud.events("call")
    assert view["attempts"] == 1
    check_end(cloud, buoy)


@pytest.mark.parametrize("when", ["before", pytest.param("late", marks=pytest.mark.long), pytest.param("after", marks=pytest.mark.long)])
def test_killed_at_a_termination(cloud, buoy_on_aws, when):
    buoy = buoy_on_aws()
    job = buoy.submit("--", "sleep", "300")
    buoy.wait_phase(job, "running")
    # The machine ends itself when its agent has; it must not be that which saves the day.
    cloud.run(cloud.instances()[0]["instance"], "sh", "-c", "echo '#!/bin/sh' >/var/lib/buoy/end.sh")
    crash_at(cloud, buoy, "TerminateInstances", when, lambda: buoy.run("cancel", job, check=0))
    wait_for(lambda: buoy.job(job)["phase"] == "cancelled" and cloud.instances()[0]["state"] == "terminated", "the end of job and machine")
    assert len(cloud.instances()) == 1
    check_end(cloud, buoy)

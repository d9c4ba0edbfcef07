"""Many machines at once."""
import time

import pytest

from support.control_plane import wait_for

MACHINES = 200
RATE = 10  # calls a second that EC2 takes


@pytest.mark.long
def test_200_machines_through_a_throttle(cloud, buoy_on_aws):
    buoy = buoy_on_aws(max_machines=MACHINES)
    cloud.throttle(rate=RATE, burst=RATE)
    flag = "sleep 600"
    begin = time.monotonic()
    jobs = [buoy.submit("--no-source", "--", "sh", "-c", flag) for _ in range(MACHINES)]
    submitted = time.monotonic()
    wait_for(lambda: len(cloud.instances("running")) >= MACHINES, "all machines", 300)
    running = time.monotonic()
    wait_for(lambda: sum(each["phase"] == "running" for each in buoy.json("ps", "--limit", MACHINES)["jobs"]) >= MACHINES, "all jobs", 300)
    up = time.monotonic()
    calls = cloud.calls()
    refused = [event for event in cloud.events("call") if event["status"] == 503]
    launches = [event for event in cloud.events("call") if event["call"] == "ec2:CreateFleet"]
    taken = [event["time"] for event in launches if event["status"] == 200]
    durations = sorted(event["seconds"] for event in launches)
    print(f"{len(taken)} launches taken in {max(taken) - min(taken):.1f} s, where the throttle alone makes {len(taken) / RATE:.1f} s; "
          f"one takes {durations[len(durations) // 2]:.2f} s, at most {durations[-1]:.2f} s")
    print(f"submitted in {submitted - begin:.1f} s, machines in {running - begin:.1f} s, jobs in {up - begin:.1f} s; "
          f"{len(refused)} calls refused; {calls}")
    assert len(cloud.instances()) == MACHINES
    for job in jobs:
        assert "could not be launched" not in buoy.run("logs", job).stderr

"""Kill, cut, delay, fill: faults are inputs, and nothing may be lost or done twice."""
import os
import pathlib
import random
import shutil
import signal
import subprocess

import pytest
from conftest import BIN, ROOT, alive, wait_for
from jobs import COUNTER, PATIENT, market

CRASH_POINTS = (ROOT / "docs/testing.md").read_text().split("<!-- control crash points -->")[1].split("<!-- end -->")[0]
CRASH_POINTS = [line.split("`")[1] for line in CRASH_POINTS.splitlines() if line.startswith("- `")]

# Holds a lock for as long as it runs and says so when somebody else has it: two at once would be seen.
WITNESS = """\
exec 9>>"$1/$2.lock"
flock -n 9 || { echo double >>"$1/doubles"; exit 99; }
echo started >>"$1/$2.starts"
for n in $(seq "$3"); do echo "line $n"; sleep "$4"; done
"""


def expected_log(lines):
    return [f"line {n}" for n in range(1, lines + 1)]


@pytest.mark.parametrize("point", CRASH_POINTS)
@pytest.mark.parametrize("passing", [1, 3])
def test_control_plane_killed_at_a_persist_point(make_buoy, point, passing):
    buoy = make_buoy()
    buoy.write("job.sh", WITNESS)
    buoy.run("server", "start", environment={"BUOY_CRASH_AT": f"{point}:{passing}"})
    # Whichever command meets the crash fails or reconnects; the same request sent again is harmless.
    for attempt in range(3):
        if buoy.run("submit", "--name", "w", "--request-id", "once", "--", "sh", "job.sh", buoy.project, "w", "20", "0.02").returncode == 0:
            break
    else:
        pytest.fail("could not submit after the crash\n" + buoy.server_log())
    wait_for(lambda: (buoy.run("ps", "--json").returncode == 0), "an answer")
    view = buoy.wait_phase("w", "succeeded")
    assert len(buoy.json("ps", "--all")["jobs"]) == 1, "submitted once"
    assert not (buoy.project / "doubles").exists()
    assert (buoy.project / "w.starts").read_text() == "started\n", "never started a second time"
    assert buoy.run("logs", "w").stdout.splitlines() == expected_log(20)
    wait_for(lambda: not buoy.hosts(), "the end of the machine")


def test_control_plane_killed_100_times_while_200_jobs_run(make_buoy):
    buoy = make_buoy(market("[]", max_machines=24))
    buoy.write("job.sh", WITNESS)
    jobs = [buoy.submit("--name", f"w{n}", "--cpus", "0.1", "--", "sh", "job.sh", buoy.project, f"w{n}", "20", "0.2") for n in range(200)]
    dice = random.Random(7)
    kills = 0
    def unfinished():
        answer = buoy.run("ps", "--json")
        return answer.returncode != 0 or '"unfinished":0' not in answer.stdout.replace(" ", "")
    while kills < 100:
        assert unfinished(), f"all jobs ended after {kills} kills: make them longer"
        status = buoy.run("server", "status", "--json")
        if status.returncode != 0:
            continue
        pid = __import__("json").loads(status.stdout)["pid"]
        # A random amount of work, not of time: so many answers before the kill.
        for _ in range(dice.randrange(4)):
            buoy.run("ps", "--json")
        os.kill(pid, signal.SIGKILL)
        wait_for(lambda: not alive(pid), "the end of the control plane")
        kills += 1
        buoy.run("ps", "--json")
    wait_for(lambda: not unfinished(), "the end of all jobs", limit=300)
    listing = buoy.json("ps", "--all", "--limit", "1000")["jobs"]
    assert len(listing) == 200 and {job["phase"] for job in listing} == {"succeeded"}
    assert not (buoy.project / "doubles").exists()
    for n, job in enumerate(jobs):
        assert (buoy.project / f"w{n}.starts").read_text() == "started\n", f"{job} ran twice"
        assert buoy.run("logs", job).stdout.splitlines() == expected_log(20), job
    wait_for(lambda: not buoy.hosts(), "the end of all machines")


def test_agent_killed(make_buoy):
    buoy = make_buoy()
    buoy.write("job.sh", COUNTER)
    job = buoy.submit("--checkpoint", "checkpoints", "--", "sh", "job.sh", "100", "0.05")
    wait_for(lambda: buoy.job(job)["last_version"], "a commit")
    agents = [pid for pid in buoy.hosts() if b"run" in pathlib.Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")[1]]
    os.kill(agents[0], signal.SIGKILL)
    view = buoy.wait_phase(job, "succeeded")
    assert view["attempts"] == 2 and view["failures"] == 0


def test_machine_directory_removed(make_buoy):
    buoy = make_buoy()
    buoy.write("job.sh", COUNTER)
    job = buoy.submit("--checkpoint", "checkpoints", "--", "sh", "job.sh", "100", "0.05")
    wait_for(lambda: buoy.job(job)["last_version"], "a commit")
    shutil.rmtree(buoy.machine_directory(buoy.job(job)["machines"][0]), ignore_errors=True)
    view = buoy.wait_phase(job, "succeeded")
    assert view["attempts"] == 2 and view["failures"] == 0


def test_late_heartbeats_do_not_touch_a_healthy_job(make_buoy):
    buoy = make_buoy(environment={"BUOY_LEASE": "500ms"})
    buoy.write("job.sh", WITNESS)
    job = buoy.submit("--", "sh", "job.sh", buoy.project, "w", "60", "0.05")
    buoy.wait_log(job, "line 5")
    agents = [pid for pid in buoy.hosts() if b"run" in pathlib.Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")[1]]
    os.kill(agents[0], signal.SIGSTOP)  # the agent falls silent; the job goes on
    wait_for(lambda: "not been heard from" in buoy.run("why", job).stdout, "the lease to expire")
    os.kill(agents[0], signal.SIGCONT)
    view = buoy.wait_phase(job, "succeeded")
    assert view["attempts"] == 1
    assert (buoy.project / "w.starts").read_text() == "started\n"
    assert buoy.run("logs", job).stdout.splitlines() == expected_log(60)


def test_an_old_attempt_that_wakes_up_cannot_commit(make_buoy, tmp_path):
    buoy = make_buoy()
    buoy.write("job.sh", COUNTER)
    job = buoy.submit("--checkpoint", "checkpoints", "--", "sh", "job.sh", "200", "0.05")
    wait_for(lambda: buoy.job(job)["last_version"], "a commit")
    machine = buoy.job(job)["machines"][0]
    old = tmp_path / "old"
    shutil.copytree(buoy.machine_directory(machine), old, symlinks=True, ignore_dangling_symlinks=True,
                    ignore=shutil.ignore_patterns("*.sock", "*.tmp*", "control"))
    buoy.run("reclaim", machine, check=0)
    wait_for(lambda: buoy.job(job)["attempts"] == 2 and buoy.job(job)["phase"] == "running", "the second attempt")
    config = (old / "agent.json").read_text().replace(str(buoy.machine_directory(machine)), str(old))
    (old / "agent.json").write_text(config)
    woken = subprocess.run([BIN / "buoy-agent", "run", "--config", old / "agent.json"], capture_output=True, text=True, timeout=60)
    view = buoy.wait_phase(job, "succeeded")
    assert view["attempts"] == 2
    log = buoy.run("logs", job).stdout
    assert log.count("started at") == 2, "the woken attempt ran nothing and wrote no log"


@pytest.mark.skipif(os.geteuid() != 0, reason="mounting a small file system needs root")
def test_the_stores_disk_is_full(make_buoy, tmp_path):
    disk = tmp_path / "disk"
    disk.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", disk], check=True)
    try:
        buoy = make_buoy(f"store: file://{disk}/store\n" + market("[]"))
        buoy.write("job.sh", """\
mkdir -p checkpoints
head -c 400000 /dev/urandom >checkpoints/small
echo saved small
while [ ! -e "$1/full" ]; do sleep 0.02; done
head -c 1000000 /dev/urandom >checkpoints/large
echo saved large
while [ ! -e "$1/go" ]; do sleep 0.02; done
""")
        job = buoy.submit("--checkpoint", "checkpoints", "--", "sh", "job.sh", buoy.project)
        version = wait_for(lambda: buoy.job(job)["last_version"], "the first commit")
        (disk / "ballast").write_bytes(b"x" * 1_300_000)
        (buoy.project / "full").touch()
        buoy.wait_log(job, "saved large")
        wait_for(lambda: "space" in buoy.run("why", job).stdout.lower(), "the failed save to be told")
        assert buoy.job(job)["last_version"] == version, "nothing is called durable that is not"
        assert buoy.job(job)["phase"] == "running", "training goes on"
        (disk / "ballast").unlink()
        wait_for(lambda: buoy.job(job)["last_version"] > version, "the save to catch up")
        (buoy.project / "go").touch()
        buoy.wait_phase(job, "succeeded")
    finally:
        subprocess.run(["umount", "-l", disk], check=True)


def test_a_second_server_on_the_same_state_directory_is_refused(buoy):
    buoy.run("server", "start", check=0)
    second = buoy.run("serve", "--listen", "127.0.0.1:0")
    assert second.returncode != 0 and str(buoy.server_pid()) in second.stderr

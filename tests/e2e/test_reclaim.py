"""The promise: a job whose machine is taken goes on elsewhere from its last committed checkpoint."""
import os
import signal

from conftest import alive, wait_for
from jobs import COUNTER, PATIENT, market


def steps(log):
    return [int(line.split()[1]) for line in log.splitlines() if line.startswith("step ")]


def test_a_reclaim_with_notice_loses_nothing(make_buoy):
    buoy = make_buoy()
    buoy.write("job.sh", PATIENT)
    job = buoy.submit("--checkpoint", "checkpoints", "--", "sh", "job.sh", str(buoy.project / "go"))
    buoy.wait_log(job, "started at 0")
    buoy.run("reclaim", job, "--notice", "20s", check=0)
    log = buoy.wait_log(job, "saved") and buoy.run("logs", job).stdout
    saved = next(line.split()[1] for line in log.splitlines() if line.startswith("saved"))
    buoy.wait_log(job, f"started at {saved}")
    (buoy.project / "go").touch()
    view = buoy.wait_phase(job, "succeeded")
    assert view["attempts"] == 2 and view["failures"] == 0
    assert view["ledger"]["reclaims_noticed"] == 1


def test_a_reclaim_without_notice_goes_on_from_the_last_commit(make_buoy):
    buoy = make_buoy()
    buoy.write("job.sh", COUNTER)
    job = buoy.submit("--checkpoint", "checkpoints", "--", "sh", "job.sh", "120", "0.05")
    buoy.wait_log(job, "step 20")
    wait_for(lambda: buoy.job(job)["last_version"], "a commit")
    version = buoy.job(job)["last_version"]
    buoy.run("reclaim", job, check=0)
    wait_for(lambda: buoy.job(job)["attempts"] == 2, "the second attempt")
    view = buoy.wait_phase(job, "succeeded")
    log = buoy.run("logs", job).stdout
    starts = [int(line.split()[2]) for line in log.splitlines() if line.startswith("started at")]
    assert len(starts) == 2 and starts[1] > 0, "restored from a checkpoint and not from nothing"
    assert view["last_version"] > version and steps(log)[-1] == 120
    assert view["ledger"]["reclaims_unnoticed"] == 1


def test_a_scripted_market_takes_every_machine_in_turn(make_buoy):
    buoy = make_buoy(market("[{after: 1s, notice: 2s}, {after: 1s}, {after: 1s, notice: 2s}, {after: 1s}]"))
    buoy.write("job.sh", COUNTER)
    done = buoy.run("run", "--name", "market", "--checkpoint", "checkpoints", "--output", "result.txt", "--", "sh", "job.sh", "150", "0.05", check=0)
    view = buoy.job("market")
    assert view["ledger"]["reclaims_noticed"] == 2 and view["ledger"]["reclaims_unnoticed"] == 2
    assert "saved" in done.stdout.lower() or "savings" in done.stdout.lower()
    ledger = view["ledger"]
    assert abs(sum(ledger["time"].values()) - ledger["total_seconds"]) < 0.001
    assert 0 < ledger["total_cost"] < ledger["on_demand_cost"]


def test_a_gang_replaces_only_what_was_lost(make_buoy):
    buoy = make_buoy()
    buoy.write("job.sh", PATIENT)
    job = buoy.submit("--machines", "3", "--checkpoint", "checkpoints", "--", "sh", "job.sh", str(buoy.project / "go"))
    before = buoy.wait_phase(job, "running")["machines"]
    buoy.run("reclaim", before[1], check=0)
    wait_for(lambda: buoy.job(job)["attempts"] == 2 and buoy.job(job)["phase"] == "running", "the second attempt")
    after = buoy.job(job)["machines"]
    assert [a == b for a, b in zip(before, after)] == [True, False, True]
    (buoy.project / "go").touch()
    buoy.wait_phase(job, "succeeded")
    wait_for(lambda: not buoy.hosts(), "the end of all machines")

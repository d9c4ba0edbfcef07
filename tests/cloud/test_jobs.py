"""Jobs of the real control plane on machines of this cloud."""
import contextlib
import shutil
import sqlite3
import subprocess
import sys

import pytest

from support.control_plane import ROOT, wait_for

EXAMPLE = ROOT / "examples/digits"
SLACK = 2.0  # seconds of each machine: EC2 tells its end to the second, or not at all if it shut itself down
LOOK = 5.0  # seconds between looks at EC2
ENDED_BY_US = ("Client.UserInitiatedShutdown", "Client.InstanceInitiatedShutdown")


def spent(buoy):
    """By machine, on and off the accounts of jobs: all spans (docs/formats/state.md)."""
    database = sqlite3.connect(f"file:{buoy.state}/state.db?mode=ro", uri=True)
    with contextlib.closing(database):
        return dict(database.execute("SELECT machine, SUM(price * (end_at - begin_at) / 3.6e9 + amount) / 1e9 FROM spans GROUP BY machine ORDER BY machine"))


def check_bill(cloud, buoy, hosts=None):
    """The ledger says of each machine what its bill says; `hosts`: of each part of a machine, whose."""
    whole = {}
    for number, cost in spent(buoy).items():
        machine = (hosts or {}).get(f"m{number}", f"m{number}")
        whole[machine] = whole.get(machine, 0) + cost
    ledger = list(whole.values())
    bill = cloud.bill()
    reasons = {each["instance"]: each["reason"] for each in cloud.instances()}
    assert len(ledger) == len(bill), (ledger, bill)
    for ours, line in zip(ledger, bill):
        price = cloud.call("prices", type=line["type"], zone=line["zone"])["spot"] / 3600
        slack = SLACK + (LOOK if reasons[line["instance"]] == "Client.InstanceInitiatedShutdown" else 0)
        assert abs(ours - line["cost"]) <= slack * price, (ours, line)
    return bill


def test_a_job_runs_and_leaves_nothing(cloud, buoy_on_aws):
    buoy = buoy_on_aws()
    job = buoy.submit("--", "sh", "-c", "echo hello from $(hostname)")
    buoy.wait_phase(job, "succeeded", limit=120)
    assert "hello from ip-172-31-" in buoy.run("logs", job).stdout
    assert "1 decision, found again" in buoy.run("why", job, check=0).stdout
    wait_for(lambda: all(each["state"] == "terminated" for each in cloud.instances()), "the machine's end")
    wait_for(lambda: not buoy.json("machines")["machines"], "the news of it")
    line, = check_bill(cloud, buoy)
    assert line["seconds"] == 60, "a minute at least"


def test_training_survives_three_losses_bit_for_bit(cloud, buoy_on_aws):
    """The digits job of the demo: taken with a notice, without one, and for want of capacity in its pool."""
    buoy = buoy_on_aws()
    for name in ("train.py", "compare.py", "buoy.yaml"):
        shutil.copy(EXAMPLE / name, buoy.project)
    reference = subprocess.Popen([sys.executable, "train.py", "--epochs", "16", "--checkpoints", buoy.state.parent / "reference", "--model",
                                  buoy.state.parent / "reference.pt"], cwd=buoy.project, stdout=subprocess.DEVNULL)
    job = buoy.submit("buoy.yaml", "--env", f"PYTHON={sys.executable}", "--", sys.executable, "-u", "train.py", "--epochs", "16")

    buoy.wait_log(job, "epoch=2 ", limit=120)
    cloud.interrupt(notice=20)
    buoy.wait_log(job, "asked to stop: saved")
    buoy.wait_log(job, "resumed at epoch", limit=120)
    assert len(cloud.instances()) == 2

    buoy.wait_log(job, "epoch=6 ", limit=120)
    second, = cloud.interrupt(notice=0)
    wait_for(lambda: buoy.run("logs", job).stdout.count("resumed at epoch") == 2, "the third machine", 120)

    buoy.wait_log(job, "epoch=10 ", limit=120)
    third, = cloud.instances("running")
    cloud.capacity(third["type"], third["zone"], spot=0, notice=20)
    view = buoy.wait_phase(job, "succeeded", limit=120)

    assert view["attempts"] == 4 and view["failures"] == 0
    assert cloud.instances()[-1]["zone"] != third["zone"]
    assert reference.wait(120) == 0
    buoy.run("download", job, "got", check=0)
    subprocess.run([sys.executable, "compare.py", buoy.state.parent / "reference.pt", "got/model.pt"], cwd=buoy.project, check=True)
    wait_for(lambda: not buoy.json("machines")["machines"], "the last machine's end")
    reasons = [each["reason"] for each in cloud.instances()]
    assert reasons[1] == "Server.SpotInstanceTermination" and reasons[3] in ENDED_BY_US, reasons
    bill = check_bill(cloud, buoy)
    assert [line["free"] for line in bill] == [reason == "Server.SpotInstanceTermination" for reason in reasons]
    assert bill[1]["free"], "taken within the first hour"
    view = buoy.job(job)
    assert view["ledger"]["total_cost"] <= sum(spent(buoy).values()) + 1e-9
    buoy.run("aws", "orphans", "--remove", check=0)
    assert {kind for kind, _ in cloud.leftovers()} == {"bucket", "object"}


@pytest.mark.long
def test_a_rebalance_recommendation_makes_the_job_save(cloud, buoy_on_aws):
    buoy = buoy_on_aws()
    script = "until grep -q risk $BUOY_CHECKPOINT_CONTROL; do sleep 0.1; done; echo saved >checkpoints/state; echo told; sleep 300"
    job = buoy.submit("--checkpoint", "checkpoints", "--", "sh", "-c", f"mkdir -p checkpoints; {script}")
    buoy.wait_phase(job, "running", limit=120)
    cloud.call("rebalance", instance=cloud.instances()[0]["instance"])
    buoy.wait_log(job, "told")
    wait_for(lambda: buoy.job(job)["last_version"], "the save")
    assert "likelier to be reclaimed" in buoy.run("show", job, "--events").stdout or "likelier" in buoy.run("why", job).stdout
    assert len(cloud.instances()) == 1, "nothing is moved by it"

"""Jobs of the real control plane on machines of this cloud."""
import shutil
import subprocess
import sys

from support.control_plane import ROOT, wait_for

EXAMPLE = ROOT / "examples/digits"
ENDED_BY_US = ("Client.UserInitiatedShutdown", "Client.InstanceInitiatedShutdown")


def test_a_job_runs_and_leaves_nothing(cloud, buoy_on_aws):
    buoy = buoy_on_aws()
    job = buoy.submit("--", "sh", "-c", "echo hello from $(hostname)")
    buoy.wait_phase(job, "succeeded", limit=120)
    assert "hello from ip-172-31-" in buoy.run("logs", job).stdout
    assert "1 decision, found again" in buoy.run("why", job, check=0).stdout
    wait_for(lambda: all(each["state"] == "terminated" for each in cloud.instances()), "the machine's end")


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
    buoy.run("aws", "orphans", "--remove", check=0)
    assert {kind for kind, _ in cloud.leftovers()} == {"bucket", "object"}

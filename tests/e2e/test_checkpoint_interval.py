"""When to save: what the job is told, that it can be asked, and that the example does as it says."""
import json
import os
import shutil
import subprocess
import sys

from conftest import ROOT, wait_for

EXAMPLE = ROOT / "examples/interval"
STEPS = "2500"  # some ten seconds

# Saves when it is told to, by the signal; says what it knows.
ASKED = """\
mkdir -p checkpoints
trap 'echo saving; date +%N >checkpoints/a.tmp; mv checkpoints/a.tmp checkpoints/a' USR1
echo "interval $BUOY_CHECKPOINT_INTERVAL"; cat "$BUOY_CHECKPOINT_CONTROL"
while [ ! -e "$1" ]; do sleep 0.02; done
"""


def reference(directory):
    """What the example finds when nobody disturbs it."""
    directory.mkdir()
    control = directory / "control.json"
    control.write_text('{"save_now": 0, "reason": "start"}')
    subprocess.run([sys.executable, EXAMPLE / "train.py"], cwd=directory, check=True, stdout=subprocess.DEVNULL,
                   env={**os.environ, "STEPS": STEPS, "BUOY_CHECKPOINT_DIR": str(directory), "BUOY_CHECKPOINT_CONTROL": str(control)})
    return (directory / "pi.txt").read_text()


def test_the_example_saves_when_it_is_due_or_asked_and_loses_nothing(make_buoy):
    buoy = make_buoy()
    for name in ("train.py", "buoy.yaml"):
        shutil.copy(EXAMPLE / name, buoy.project)
    job = buoy.submit("buoy.yaml", "--env", f"PYTHON={sys.executable}", "--env", f"STEPS={STEPS}", "--checkpoint-interval", "1s")
    wait_for(lambda: buoy.job(job)["last_version"], "a save that was due")
    answer = buoy.run("save", job, "--wait", check=0).stdout
    assert f"{job} saved version " in answer
    buoy.run("reclaim", job, check=0)
    buoy.wait_log(job, "resumed at step")
    wait_for(lambda: buoy.job(job)["phase"] == "running", "the second attempt")
    buoy.run("reclaim", job, "--notice", "30s", check=0)
    wait_for(lambda: buoy.job(job)["attempts"] == 3, "the third attempt")
    view = buoy.wait_phase(job, "succeeded", limit=180)
    assert view["ledger"]["reclaims_noticed"] == 1 and view["ledger"]["reclaims_unnoticed"] == 1
    buoy.run("download", job, "got", check=0)
    assert (buoy.project / "got/pi.txt").read_text() == reference(buoy.state.parent / "reference")


def test_an_interval_is_found_without_being_asked_for(make_buoy):
    buoy = make_buoy()
    buoy.write("job.sh", ASKED)
    go = buoy.project / "go"
    job = buoy.submit("--checkpoint", "checkpoints", "--", "sh", "job.sh", go)
    log = buoy.wait_log(job, "save_now") and buoy.run("logs", job).stdout.splitlines()
    control = json.loads(next(line for line in log if line.startswith("{")))
    # Nothing is measured yet: a save is taken to cost ten seconds, and a new machine to be taken 1.1 times an hour.
    assert control["auto"] and 200 < control["interval_seconds"] < 300 and 1 < control["losses_per_hour"] < 1.2
    assert f"interval {round(control['interval_seconds'])}" in log
    go.touch()
    buoy.wait_phase(job, "succeeded")


def test_a_signal_asks_for_a_save_too(make_buoy):
    buoy = make_buoy()
    buoy.write("job.sh", ASKED)
    go = buoy.project / "go"
    buoy.write("buoy.yaml", f"name: asked\nrun: sh job.sh {go}\ncheckpoint: {{dir: checkpoints, save_signal: usr1}}\n")
    job = buoy.submit()
    buoy.wait_log(job, "save_now")
    answer = buoy.json("save", job, "--wait")
    assert answer["last_version"] >= 1 and "save_pending" not in answer
    why = buoy.run("why", job, check=0).stdout
    assert "the job is asked to save now" in why and "the save that was asked for" in why
    go.touch()
    buoy.wait_phase(job, "succeeded")
    assert buoy.run("save", job).returncode == 5


def test_a_job_that_does_not_listen_is_not_waited_for_without_end(make_buoy):
    buoy = make_buoy()
    go = buoy.project / "go"
    job = buoy.submit("--checkpoint", "checkpoints", "--", "sh", "-c", f"echo up; while [ ! -e {go} ]; do sleep 0.02; done")
    buoy.wait_log(job, "up")
    late = buoy.run("save", job, "--wait", "--timeout", "500ms", check=124)
    assert "has not saved within" in late.stderr
    plain = buoy.submit("--", "sh", "-c", f"while [ ! -e {go} ]; do sleep 0.02; done")
    refused = buoy.run("save", plain, check=5)
    assert "keeps no checkpoints" in refused.stderr
    go.touch()
    buoy.wait_phase(job, "succeeded")

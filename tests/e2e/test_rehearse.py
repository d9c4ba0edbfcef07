"""Rehearsals: does the verdict say what is true of the job?"""
import json
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import tempfile

import pytest
from conftest import ROOT, wait_for

# A random walk that saves every ten steps. What it keeps, and what it does with it, makes the difference.
WALK = """\
import json, os, random, sys, time
mode = sys.argv[1]
path = os.environ["BUOY_CHECKPOINT_DIR"] + "/state.json"
rng = random.Random(7 if mode != "careless" else None)
step, place = 0, 0.0
if os.path.exists(path) and mode != "forgetful":
    state = json.load(open(path))
    if mode == "broken":
        sys.exit("cannot read this checkpoint")
    step, place = state["step"], state["place"]
    if mode == "exact":
        rng.setstate((state["rng"][0], tuple(state["rng"][1]), state["rng"][2]))
while step < 120:
    place += rng.random() - 0.5
    step += 1
    print(f"step={step} place={place!r} took={time.monotonic()}", flush=True)
    if step % 10 == 0:
        with open(path + ".tmp", "w") as file:
            json.dump({"step": step, "place": place, "rng": rng.getstate()}, file)
        os.replace(path + ".tmp", path)
    time.sleep(0.03)
with open("place.txt", "w") as file:
    print(repr(place), file=file)
"""


@pytest.fixture
def walk(make_buoy):
    buoy = make_buoy()
    buoy.write("walk.py", WALK)

    def rehearse(mode, *arguments, metrics=("place=([0-9.e+-]+)",), check=None):
        flags = [word for i, metric in enumerate(metrics) for word in ("--metric", f"m{i}={metric}")]
        done = buoy.run("rehearse", "--json", "--checkpoint", "checkpoints", "--output", "place.txt", *flags, *arguments,
                        "--", sys.executable, "walk.py", mode, limit=240)
        assert done.returncode == check, done.stdout + done.stderr
        return json.loads(done.stdout)

    yield rehearse
    # A rehearsal has a server of its own: none was started for the user, and nothing is left.
    assert not buoy.state.exists()
    assert not left_behind()


def left_behind():
    return [path for path in pathlib.Path(tempfile.gettempdir()).glob("buoy-rehearsal-*")
            if path.stat().st_uid == os.getuid()]


def test_a_job_that_keeps_everything_is_exact(walk):
    found = walk("exact", check=0)
    assert found["verdict"] == "exact" and found["exit_code"] == 0
    assert [each["scenario"] for each in found["scenarios"]] == ["notice", "no-notice", "during-save", "twice"]
    by_name = {each["scenario"]: each for each in found["scenarios"]}
    assert all(each["verdict"] == "exact" and each["differences"] == [] for each in by_name.values())
    assert [len(by_name[name]["strikes"]) for name in by_name] == [1, 1, 1, 2]
    assert by_name["notice"]["strikes"][0]["notice"] > 0 and by_name["no-notice"]["strikes"][0]["notice"] == 0
    assert by_name["during-save"]["strikes"][0]["mid_save"]
    for each in by_name.values():
        assert 0 < each["resumed_at"] < 1 and each["attempts"] == len(each["strikes"]) + 1
        # It was taken where it had work to lose, and a save to go on from.
        assert each["strikes"][0]["version"] > 0
    assert by_name["no-notice"]["lost"]["redone"] > 0
    cost = found["cost"]
    assert cost["hazard_source"] == "recorded spot markets" and 0.1 < cost["reclaims_per_hour"] < 0.3
    lost = cost["lost_noticed"] * (1 - cost["unnoticed"]) + cost["lost_unnoticed"] * cost["unnoticed"]
    assert cost["lost_seconds_per_hour"] == pytest.approx(cost["reclaims_per_hour"] * lost, rel=1e-3)


def test_a_job_that_forgets_its_random_state_drifts_and_it_is_said_where(walk):
    found = walk("drifts", "--scenario", "no-notice", check=10)
    [scenario] = found["scenarios"]
    assert found["verdict"] == scenario["verdict"] == "drifts" and found["not_compared"] == []
    differences = {each["what"]: each["detail"] for each in scenario["differences"]}
    assert set(differences) == {"metric m0", "output place.txt"}
    first = int(differences["metric m0"].split("point ")[1].split()[0])
    # The first step after the checkpoint is the first that differs: checkpoints are made every ten steps.
    assert first % 10 == 1 and first == round(scenario["resumed_at"] * 120) + 1
    assert "differs first at byte" in differences["output place.txt"]
    # Nobody minds a drift that is small enough.
    assert walk("drifts", "--scenario", "no-notice", "--tolerance", "1e6", check=0)["verdict"] == "exact"


def test_a_job_that_does_not_look_at_its_checkpoint_restarts_from_zero(walk):
    found = walk("forgetful", "--scenario", "no-notice", check=11)
    [scenario] = found["scenarios"]
    assert scenario["verdict"] == "restarts from zero" and scenario["resumed_at"] == 0
    assert "began at the beginning" in scenario["note"]
    # What it costs is all that was done before.
    assert found["cost"]["lost_unnoticed"] > 0.2 * found["reference"]["seconds"]
    # Without metrics the clock tells.
    assert walk("forgetful", "--scenario", "no-notice", metrics=(), check=11)["verdict"] == "restarts from zero"


def test_a_job_that_cannot_resume_fails(walk):
    found = walk("broken", "--scenario", "no-notice", check=12)
    assert "cannot read this checkpoint" in found["scenarios"][0]["last_lines"]


def test_what_differs_by_itself_is_no_drift(walk):
    found = walk("exact", "--scenario", "no-notice", metrics=("place=([0-9.e+-]+)", "took=([0-9.]+)"), check=0)
    assert found["verdict"] == "exact" and found["not_compared"] == ["metric m1"]
    assert walk("careless", "--scenario", "no-notice", check=13)["verdict"] == "unrepeatable"


def test_what_is_never_saved_restarts(make_buoy):
    buoy = make_buoy()
    done = buoy.run("rehearse", "--scenario", "notice", "--output", "out", "--", "sh", "-c", "sleep 2; echo x >out", check=11)
    assert "nothing is ever saved" in done.stdout and "restarts from zero" in done.stdout


def test_mistakes_are_told_before_anything_runs(make_buoy):
    buoy = make_buoy()
    for words, text in ((("--scenario", "never"), "--scenario: must be notice, no-notice, during-save or twice"),
                        (("--tolerance", "-1"), "--tolerance: must be a number"),
                        (("--time-limit", "soon"), "--time-limit"),
                        (("--input", "a=job:other/model"), "lies with the server's jobs"),
                        ((), "nothing to compare")):
        done = buoy.run("rehearse", *words, "--", "true", check=2)
        assert text in done.stderr
    # A job that leaves nothing of what was named, and one that fails by itself, are said as what they are.
    assert "left no output" in buoy.run("rehearse", "--metric", "a=a(b)", "--", "true", check=1).stderr
    failed = buoy.run("rehearse", "--output", "x", "--", "sh", "-c", "echo oh no; exit 3", check=1).stderr
    assert "does not succeed undisturbed" in failed and "oh no" in failed
    assert not left_behind()


def test_the_time_limit_ends_it_and_so_does_ctrl_c(make_buoy):
    buoy = make_buoy()
    late = buoy.run("rehearse", "--time-limit", "2s", "--output", "x", "--", "sh", "-c", "sleep 1000", check=124)
    assert "in time" in late.stderr
    started = buoy.project / "started"
    process = buoy.popen("rehearse", "--output", "x", "--", "sh", "-c", f"touch {started}; sleep 1000")
    wait_for(started.exists, "the job's start")
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=60)
    assert process.returncode == 130
    wait_for(lambda: not left_behind(), "an empty temporary directory")


def test_the_digits_example_is_exact(make_buoy):
    buoy = make_buoy()
    for name in ("train.py", "buoy.yaml"):
        shutil.copy(ROOT / "examples/digits" / name, buoy.project)
    # The hardest scenario alone: importing PyTorch takes most of the time of each run.
    done = buoy.run("rehearse", "buoy.yaml", "--json", "--scenario", "during-save", "--env", f"PYTHON={sys.executable}", "--",
                    sys.executable, "-u", "train.py", "--epochs", "12", limit=280)
    assert done.returncode == 0, done.stdout + done.stderr
    found = json.loads(done.stdout)
    assert found["verdict"] == "exact"
    assert found["reference"]["saves"] >= 3 and len(found["scenarios"]) == 1

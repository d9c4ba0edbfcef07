"""The real thing, small: PyTorch, taken away with and without notice, and the weights compared bit by bit."""
import os
import shutil
import subprocess
import sys

import pytest
from conftest import ROOT, wait_for

EXAMPLE = ROOT / "examples/digits"


def test_weights_are_bit_exact_after_two_reclaims(make_buoy):
    buoy = make_buoy()
    for name in ("train.py", "compare.py", "buoy.yaml"):
        shutil.copy(EXAMPLE / name, buoy.project)
    reference = subprocess.Popen([sys.executable, "train.py", "--epochs", "12", "--checkpoints", buoy.state.parent / "reference", "--model", buoy.state.parent / "reference.pt"],
                                 cwd=buoy.project, stdout=subprocess.DEVNULL)
    job = buoy.submit("buoy.yaml", "--env", f"PYTHON={sys.executable}", "--", sys.executable, "-u", "train.py", "--epochs", "12")
    buoy.wait_log(job, "epoch=2 ")
    buoy.run("reclaim", job, "--notice", "60s", check=0)
    buoy.wait_log(job, "asked to stop: saved")
    buoy.wait_log(job, "resumed at epoch")
    buoy.wait_log(job, "epoch=7 ")
    buoy.run("reclaim", job, check=0)
    view = buoy.wait_phase(job, "succeeded", limit=120)
    assert view["attempts"] == 3 and view["failures"] == 0
    assert reference.wait(120) == 0
    buoy.run("download", job, "got", check=0)
    subprocess.run([sys.executable, "compare.py", buoy.state.parent / "reference.pt", "got/model.pt"], cwd=buoy.project, check=True)

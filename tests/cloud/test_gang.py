"""A gang over several machines, started by PyTorch's own launcher."""
import shutil
import subprocess
import sys

import pytest

from support.control_plane import ROOT, wait_for

EXAMPLE = ROOT / "examples/torchrun"
# The launcher of Debian's PyTorch needs these two on Python 3.11.
LAUNCHER = f"{sys.executable} -m torch.distributed.run -r 9:1 -t 9:1"


@pytest.mark.long
def test_a_gang_that_loses_a_machine_goes_on_from_what_all_of_it_had_saved(cloud, buoy_on_aws):
    buoy = buoy_on_aws()
    for name in ("train.py", "buoy.yaml"):
        shutil.copy(EXAMPLE / name, buoy.project)
    reference = subprocess.Popen([*LAUNCHER.split(), "--nnodes", "1", "--nproc_per_node", "3", "train.py", "--checkpoints", buoy.state.parent / "reference",
                                  "--model", buoy.state.parent / "reference.pt"], cwd=buoy.project, stdout=subprocess.DEVNULL)
    job = buoy.submit("buoy.yaml", "--env", f"TORCHRUN={LAUNCHER}", "--env", "GLOO_SOCKET_IFNAME=eth0")
    buoy.wait_log(job, "step=150 ", limit=120)
    before = buoy.job(job)["machines"]
    refs = {each["id"]: each["provider_ref"] for each in buoy.json("machines")["machines"]}
    zones = {each["zone"] for each in cloud.instances()}
    assert len(before) == 3 and len(zones) == 1, "one zone for a gang"
    cloud.interrupt(refs[before[1]], notice=0)

    buoy.wait_log(job, "rank 2 of 3 resumed at step", limit=120)
    after = buoy.job(job)["machines"]
    assert [a == b for a, b in zip(before, after)] == [True, False, True], "the survivors are kept"
    view = buoy.wait_phase(job, "succeeded", limit=120)
    assert view["attempts"] == 2 and view["failures"] == 0
    log = buoy.run("logs", job).stdout
    resumed = {line.rsplit(" ", 1)[1] for line in log.splitlines() if "resumed at step" in line}
    step = int(resumed.pop())
    assert not resumed and step > 0 and step % 50 == 0, log  # all of them where all had saved, every 50 steps

    assert reference.wait(120) == 0
    buoy.run("download", job, "got", check=0)
    subprocess.run([sys.executable, EXAMPLE.parent / "digits/compare.py", buoy.state.parent / "reference.pt", "got/model.pt"], cwd=buoy.project, check=True)
    wait_for(lambda: not buoy.json("machines")["machines"], "the machines' end")
    assert len(cloud.instances()) == 4

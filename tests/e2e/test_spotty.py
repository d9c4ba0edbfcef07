"""A spotty.yaml as it is, on this machine: the article's commands, with real podman and a real terminal."""
import json
import pathlib
import shutil
import socket
import subprocess

import pytest

from conftest import BIN, wait_for
from support.containers import IMAGE, podman  # noqa: F401  (a fixture)
from support.s3_server import free_port
from support.spotty import SCRIPTS, board, close_terminals, give_terminals

PROJECT = f"""
project:
  name: Digits
  syncFilters:
    - exclude: [.git/*, logs/*, '*.tmp']
    - include: [keep.tmp]
containers:
  - projectDir: /workspace/project
    image: {IMAGE}
    hostNetwork: true
    env: {{GREETING: hello}}
    volumeMounts: [{{name: workspace, mountPath: /workspace}}]
    commands: echo made >/workspace/made
instances:
  - name: here
    provider: local
    parameters:
      volumes: [{{name: workspace, type: HostPath, parameters: {{path: ../disk}}}}]
""" + SCRIPTS


@pytest.fixture
def spotty(make_buoy, podman):
    if not shutil.which("tmux") or not shutil.which("nsenter"):
        pytest.skip("tmux and nsenter are needed (scripts/install_packages.sh test)")
    buoy = make_buoy(environment=podman.environment)
    buoy.podman = podman
    buoy.disk = buoy.project.parent / "disk"
    buoy.write("spotty.yaml", PROJECT)
    buoy.write("logs/.keep", "")
    give_terminals(buoy)
    yield buoy
    close_terminals(buoy)
    buoy.stop()
    podman.podman("rm", "--force", "spotty-digits-here-default", check=None)
    podman.podman("rm", "--force", "spotty-digits-here-default", check=None)


def steps(buoy):
    path = buoy.disk / "steps"
    return int(path.read_text() or 0) if path.exists() else 0


def test_the_commands_of_the_article(spotty):
    spotty.write("train.py", "pass\n")
    spotty.write("old.tmp", "")
    spotty.write("keep.tmp", "")
    assert "is not running" in spotty.run("spotty", "status", check=1).stderr
    dry = spotty.run("spotty", "start", "--dry-run", check=0).stdout
    assert "nothing is changed" in dry and not spotty.disk.exists()
    started = spotty.run("spotty", "start", check=0).stdout
    assert "is running" in started and "HostPath" in started, started
    project = spotty.disk / "project"
    assert (project / "train.py").exists() and (project / "keep.tmp").exists() and not (project / "old.tmp").exists()
    assert (spotty.disk / "made").exists()
    assert "running" in spotty.run("spotty", "status", check=0).stdout
    assert "digits-here" in spotty.run("spotty", "ls", check=0).stdout

    # exec syncs, and gives the exit code of the command.
    spotty.write("more.py", "pass\n")
    done = spotty.run("spotty", "exec", "--", "sh", "-c", "pwd; ls; echo $SPOTTY_CONTAINER_NAME; exit 7", check=7)
    assert "/workspace/project" in done.stdout and "more.py" in done.stdout and "spotty-digits-here-default" in done.stdout

    # A script's parameters and arguments, and its own exit code where it ends while it is looked at.
    assert "no parameter 'NO'" in spotty.run("spotty", "run", "preprocess", "-p", "NO=1", check=2).stderr
    preprocess = spotty.terminal("run", "preprocess", "-p", "WHAT=a && b", "--", "one", "two")
    preprocess.wait("Pane is dead")
    preprocess.keys("C-b", "d")
    assert preprocess.end() == 3
    assert (project / "logs/preprocess").read_text() == "hello a && b one two\n"

    # Left, and come back to: it goes on.
    first = spotty.terminal("run", "train")
    first.wait("step 3")
    first.keys("C-b", "d")
    assert first.end() == 0
    seen = steps(spotty)
    wait_for(lambda: steps(spotty) > seen, "steps while nobody looks")
    assert "spotty-script-train" in spotty.run("spotty", "sh", "-l", check=0).stdout
    again = spotty.terminal("run", "train")
    again.wait(f"step {seen + 5}")
    assert spotty.run("spotty", "sync", check=0).stdout == "", "nothing changed"

    port = free_port()
    spotty.run("spotty", "run", "tensorboard", "-p", f"PORT={port}", check=0)
    wait_for(lambda: board(f"http://localhost:{port}") == "board", "the board")

    shell = spotty.terminal("sh")
    shell.wait("#")
    shell.keys("cat /workspace/made; exit", "Enter")
    assert shell.end() == 0

    spotty.write("logs/.keep", "")
    fetched = spotty.run("spotty", "download", "-i", "logs/*", check=0).stdout
    assert "logs/preprocess" in fetched and (spotty.project / "logs/preprocess").exists()
    assert spotty.run("spotty", "download", "-f", "logs/*", check=0).stdout == ""

    (spotty.disk / "go").touch()
    again.wait("training ends")
    assert "successfully stopped" in spotty.run("spotty", "stop", check=0).stdout
    assert spotty.podman.podman("container", "exists", "spotty-digits-here-default", check=None).returncode == 1
    assert "is not running" in spotty.run("spotty", "run", "train", check=1).stderr


def test_a_reclaim_in_the_middle_of_train(spotty):
    spotty.run("spotty", "start", "--notify", "echo \"$SPOTTY_MESSAGE\" >>../notes", check=0)
    spotty.run("spotty", "run", "train", check=0)
    wait_for(lambda: steps(spotty) > 5, "some steps")
    name = "spotty-digits-here"
    spotty.run("reclaim", name, check=0)
    wait_for(lambda: spotty.job(name)["attempts"] == 2, "the replacement")
    spotty.wait_log(name, "script train was started again")
    seen = steps(spotty)
    wait_for(lambda: steps(spotty) > seen, "training that goes on")
    assert "started again" in spotty.run("spotty", "status", check=0).stdout
    terminal = spotty.terminal("run", "train")
    terminal.wait("step")
    # With a notice too; what has ended is not started again.
    (spotty.disk / "go").touch()
    terminal.wait("training ends")
    spotty.wait_log(name, "script train ended with exit code 0")
    spotty.run("reclaim", name, "--notice", "20s", check=0)
    wait_for(lambda: spotty.job(name)["attempts"] == 3, "the second replacement")
    wait_for(lambda: spotty.run("logs", name).stdout.count("workspace: ready") == 3, "the third machine's workspace")
    assert spotty.run("logs", name).stdout.count("was started again") == 1
    spotty.run("spotty", "stop", check=0)


def test_an_image_that_cannot_be_built_leaves_nothing(spotty):
    spotty.write("spotty.yaml", PROJECT.replace(f"image: {IMAGE}", "file: docker/Dockerfile"))
    spotty.write("docker/Dockerfile", f"FROM {IMAGE}\nRUN echo it goes wrong here && exit 9\n")
    failed = spotty.run("spotty", "start", check=1)
    assert "it goes wrong here" in failed.stdout, failed.stdout
    assert "building the image failed" in failed.stdout and "no machine is left" in failed.stderr
    assert not spotty.hosts() and "No instance" in spotty.run("spotty", "ls", check=0).stdout


def test_it_ends_by_itself(spotty):
    for flags, why in ((("--idle", "2s"), "nothing has run for 2.0s"), (("--hours", "8s"), "")):
        spotty.run("spotty", "start", *flags, check=0)
        name = "spotty-digits-here"
        wait_for(lambda: spotty.run("spotty", "status").returncode == 1, f"the end after {flags}")
        wait_for(lambda: not spotty.hosts(), "the machine's end")
        assert why in spotty.run("logs", name).stdout
        assert spotty.podman.podman("container", "exists", "spotty-digits-here-default", check=None).returncode == 1


def test_a_full_disk_on_the_machine(spotty):
    spotty.disk.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "full", spotty.disk], capture_output=True).returncode != 0:
        pytest.skip("mounting is not permitted")
    try:
        big = spotty.write("big", "x" * (2 << 20))
        failed = spotty.run("spotty", "start", check=1).stderr
        assert len(failed.splitlines()) == 1 and "project/big" in failed and "No space left on device" in failed, failed
        assert not spotty.hosts() and "No instance" in spotty.run("spotty", "ls", check=0).stdout
        big.unlink()
        spotty.run("spotty", "start", check=0)
        spotty.write("big", "x" * (2 << 20))
        assert "No space left on device" in spotty.run("spotty", "exec", "--", "true", check=1).stderr
        # The instance is of use, and has room: nothing is left of what did not fit.
        spotty.run("spotty", "exec", "--no-sync", "--", "sh", "-c", "cat /workspace/made >made && test ! -e big", check=0)
        big.unlink()
        spotty.write("small", "x" * (1 << 19))
        assert spotty.run("spotty", "sync", check=0).stdout == "upload: small\n"
        spotty.run("spotty", "stop", check=0)
    finally:
        subprocess.run(["umount", "--lazy", spotty.disk], check=True)


def test_a_port_that_is_taken(spotty):
    if not spotty.podman.bridge:
        pytest.skip("podman has no network of its own here")
    with socket.socket() as taken:
        taken.bind(("0.0.0.0", 0))
        taken.listen()
        port = taken.getsockname()[1]
        spotty.write("spotty.yaml", PROJECT.replace("hostNetwork: true", f"ports: [{{containerPort: 6006, hostPort: {port}}}]"))
        failed = spotty.run("spotty", "start", check=1)
    assert str(port) in failed.stdout and "in use" in failed.stdout, failed.stdout
    assert "no machine is left" in failed.stderr and not spotty.hosts()
    started = spotty.run("spotty", "start", check=0).stdout
    assert f"http://localhost:{port}" in started, started
    spotty.run("spotty", "stop", check=0)


def test_what_is_wrong_is_said_with_its_place(spotty):
    spotty.write("spotty.yaml", PROJECT.replace("name: Digits", "name: a/b"))
    said = spotty.run("spotty", "status", check=2).stderr
    assert "spotty.yaml:3:9: project.name: must be 2 to 28" in said
    spotty.write("spotty.yaml", PROJECT)
    assert "there is no script 'trian' in the configuration; did you mean 'train'?" in spotty.run("spotty", "run", "trian", check=2).stderr
    assert "there is no instance 'there'" in spotty.run("spotty", "status", "there", check=2).stderr
    spotty.write("spotty.yaml", PROJECT.replace("instances:", "instances:\n  - {name: other, provider: local}"))
    assert "which instance is meant? Name one of: other, here" in spotty.run("spotty", "status", check=2).stderr


def test_what_is_converted_is_a_job(spotty):
    spotty.write("buoy.yaml", spotty.run("spotty", "convert", check=0).stdout)
    spotty.disk.mkdir()
    (spotty.disk / "go").touch()
    job = spotty.submit("buoy.yaml")
    spotty.wait_phase(job, "succeeded")
    assert "training begins" in spotty.run("logs", job).stdout and "training ends" in spotty.run("logs", job).stdout
    assert (spotty.disk / "made").exists(), "with the instance's volume"


def test_called_spotty_it_is_spotty(spotty, tmp_path):
    link = tmp_path / "spotty"
    link.symlink_to(BIN / "buoy")
    done = subprocess.run([link, "status"], cwd=spotty.project, env={**spotty.environment, "BUOY_AGENT": str(BIN / "buoy-agent")},
                          capture_output=True, text=True)
    assert done.returncode == 1 and 'Instance "here" is not running.' in done.stderr
    completed = subprocess.run([link, "completion", "bash"], capture_output=True, text=True, check=True).stdout
    assert "complete -F _spotty spotty" in completed and subprocess.run(["bash", "-n"], input=completed, text=True).returncode == 0
    usage = subprocess.run([link, "strat"], capture_output=True, text=True)
    assert usage.returncode == 2 and "spotty" in usage.stderr

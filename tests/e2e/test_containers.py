"""Jobs in containers, on real podman: what they see, how they end, and that nothing of them stays."""
import json
import os
import signal
import socket
import subprocess

import pytest

from batch_client import Batch, configuration
from conftest import wait_for
from jobs import PATIENT, market
from support.containers import IMAGE, podman  # noqa: F401  (a fixture)

QUIET = "network: none"  # where a network is not the point: bridges are not permitted everywhere


@pytest.fixture
def isolation():
    """What local machines are kept apart by; empty: what this host permits."""
    return ""


EITHER_ISOLATION = pytest.mark.parametrize("isolation", ["", "session"])


@pytest.fixture
def boxed(make_buoy, podman, isolation):
    """A control plane whose machines have podman, and which must leave no container."""
    buoy = make_buoy(market("[]"), environment={**podman.environment, **({"BUOY_LOCAL_ISOLATION": isolation} if isolation else {})})
    buoy.podman = podman
    yield buoy
    # A job's end is told before its container is gone, which its machine's end sees to.
    wait_for(lambda: not buoy.hosts(), "the end of every machine")
    buoy.stop()
    wait_for(lambda: not podman.containers(buoy.state, "--all"), "the end of every container")


def submit(buoy, run, section=QUIET, more="", image=f"image: {IMAGE}"):
    buoy.write("job.yaml", f"name: boxed\nrun: |\n" + "".join(f"  {line}\n" for line in run.splitlines()) +
               f"container:\n  {image}\n" + "".join(f"  {line}\n" for line in section.splitlines()) + more)
    return buoy.submit("job.yaml")


def output(buoy, job, *phases):
    buoy.wait_phase(job, *(phases or ("succeeded",)))
    return buoy.run("logs", job).stdout


def test_a_job_sees_its_project_and_its_own_world(boxed):
    boxed.write("data.txt", "from the project")
    boxed.write("in.txt", "an input")
    boxed.write("secret", "s3cret\n")
    job = submit(boxed, 'pwd; cat data.txt; echo; cat "$BUOY_INPUT_D"; echo; id -u; echo "$GREETING $SECRET $BUOY_JOB_ID"; '
                 "cat /etc/passwd | wc -l; cat /scratch/from-commands; echo to-stderr >&2; echo result >out.txt",
                 QUIET + f"\nenv: {{GREETING: 'hello ${{BUOY_JOB_NAME}}'}}\nsecrets: {{SECRET: {boxed.project}/secret}}\n"
                 "volumes: [/scratch]\ncommands: |\n  echo as $(id -u) >/scratch/from-commands\n  echo preparing",
                 f"inputs: {{d: {boxed.project}/in.txt}}\noutputs: [out.txt]\n")
    text = output(boxed, job)
    for expected in ("/workspace", "from the project", "an input", f"hello boxed s3cret {job}", "as 0", "preparing", "to-stderr"):
        assert expected in text, text


def test_the_image_alone_is_enough(boxed):
    done = boxed.run("run", "--image", IMAGE, "--name", "short", "--", "sh", "-c", "cat /etc/passwd", check=None)
    if not boxed.podman.bridge:
        pytest.skip("podman makes no bridge here")
    assert done.returncode == 0 and "worker" in done.stdout, done.stdout + done.stderr + boxed.server_log()


@pytest.mark.parametrize("code", [0, 3])
def test_the_exit_code_is_that_of_the_command(boxed, code):
    job = submit(boxed, f"exit {code}")
    view = boxed.wait_phase(job, "succeeded" if code == 0 else "failed")
    assert view["exit_code"] == code


def test_a_user_of_the_image_may_write_into_the_workspace(boxed):
    boxed.write("given.txt", "x")
    job = submit(boxed, "id -u; id -g; echo y >>given.txt; mkdir -p checkpoints; echo 1 >checkpoints/n; stat -c %u given.txt",
                 QUIET + "\nuser: worker", "checkpoint: checkpoints\n")
    assert output(boxed, job).split() == ["1234", "1235", "1234"]
    assert boxed.job(job)["last_version"] >= 1


def test_a_reclaim_with_notice_is_told_and_saved(boxed):
    boxed.write("job.sh", PATIENT)
    (boxed.project / "shared").mkdir()
    go = boxed.project / "shared/go"
    job = submit(boxed, f"exec sh job.sh {go}", QUIET + f"\nvolumes: ['{go.parent}:{go.parent}']", "checkpoint: checkpoints\n")
    boxed.wait_log(job, "started at 0")
    boxed.run("reclaim", job, "--notice", "20s", check=0)
    boxed.wait_log(job, "saved")
    log = boxed.run("logs", job).stdout
    saved = next(line.split()[1] for line in log.splitlines() if line.startswith("saved"))
    boxed.wait_log(job, f"started at {saved}")
    go.touch()
    view = boxed.wait_phase(job, "succeeded")
    assert view["attempts"] == 2 and view["ledger"]["reclaims_noticed"] == 1


@EITHER_ISOLATION
def test_reclaims_without_notice_change_no_bit(boxed):
    # Each state follows from the one before: a step done twice, or left out, changes the end.
    job = submit(boxed, """mkdir -p checkpoints
s=$(cat checkpoints/s 2>/dev/null || echo "0 1")
while :; do
  n=${s% *}; x=${s#* }
  [ "$n" -ge 150 ] && break
  s="$((n + 1)) $(( (x * 48271) % 2147483647 ))"
  echo "$s" >checkpoints/s.tmp && mv checkpoints/s.tmp checkpoints/s
  sleep 0.02
done
echo "end $s" """, QUIET, "checkpoint: {dir: checkpoints, settle: 20ms}\n")
    for attempt in (1, 2):
        boxed.wait_phase(job, "running")
        wait_for(lambda: (boxed.job(job)["last_version"] or 0) >= attempt, "a commit")
        boxed.run("reclaim", job, check=0)
        wait_for(lambda: boxed.job(job)["attempts"] > attempt, "the next attempt")
    state = 1
    for _ in range(150):
        state = state * 48271 % 2147483647
    assert f"end 150 {state}" in output(boxed, job)


def test_a_stop_has_its_grace_and_then_an_end(boxed):
    job = submit(boxed, "trap 'echo told; exit 0' TERM; echo ready; while :; do sleep 0.05; done")
    boxed.wait_log(job, "ready")
    boxed.run("cancel", job, check=0)
    assert "told" in output(boxed, job, "cancelled")
    deaf = submit(boxed, "trap '' TERM; echo ready; while :; do sleep 0.05; done", QUIET, "stop_grace: 300ms\n")
    boxed.wait_log(deaf, "ready")
    boxed.run("cancel", deaf, check=0)
    boxed.wait_phase(deaf, "cancelled")


def test_a_save_signal_reaches_the_program_and_not_the_shell(boxed):
    boxed.write("saver.sh", "trap 'echo saving; echo 1 >checkpoints/n' USR1\nmkdir -p checkpoints\necho ready\n"
                            "while [ ! -e checkpoints/n ]; do sleep 0.05; done\n")
    job = submit(boxed, "sh saver.sh; echo went on", QUIET, "checkpoint: {dir: checkpoints, save_signal: SIGUSR1, interval: 10m}\n")
    boxed.wait_log(job, "ready")
    # A handler is seen when its process is next looked at.
    wait_for(lambda: boxed.run("save", job) and "saving" in boxed.run("logs", job).stdout, "the signal")
    assert "went on" in output(boxed, job)


@EITHER_ISOLATION
@pytest.mark.parametrize("whom", ["host", "agent"])
def test_a_killed_agent_leaves_nothing_running(boxed, whom):
    job = submit(boxed, "echo ready; sleep 1000")
    boxed.wait_log(job, "ready")
    (first,) = boxed.podman.containers(boxed.state)
    machine = boxed.job(job)["members"][0]["machine"]
    host = json.loads((boxed.machine_directory(machine) / "host.json").read_text())
    os.kill(int(host["agent"].split()[0]) if whom == "agent" else boxed.host_pid(machine), signal.SIGKILL)
    wait_for(lambda: first not in boxed.podman.containers(boxed.state, "--all"), "the end of the container")
    wait_for(lambda: boxed.job(job)["attempts"] == 2, "the second attempt")
    boxed.run("cancel", job, check=0)
    boxed.wait_phase(job, "cancelled")


def test_memory_is_limited_and_its_want_is_named(boxed):
    job = submit(boxed, "dd if=/dev/zero of=/dev/null bs=200M count=1; sh -c 'x=$(dd if=/dev/zero bs=1M count=300 | tr \"\\0\" a)'",
                 QUIET, "resources: {memory: 48MiB}\n")
    view = boxed.wait_phase(job, "failed", "succeeded")
    if view["phase"] == "succeeded":
        pytest.skip("memory is not limited here")
    assert "out of memory" in view["reason"], view["reason"]


def test_a_dockerfile_is_built_and_its_output_shown(boxed):
    boxed.write("docker/Dockerfile", f"FROM {IMAGE}\nARG WORD\nCOPY hello.txt /hello.txt\nRUN echo building $WORD; echo $WORD >/word\n")
    boxed.write("docker/hello.txt", "copied")
    job = submit(boxed, "cat /hello.txt /word", QUIET + "\nbuild_args: {WORD: seven}", image="file: docker/Dockerfile")
    text = output(boxed, job)
    assert "building seven" in text and "copied" in text, text


def test_a_dockerfile_that_fails_shows_why(boxed):
    boxed.write("Dockerfile", f"FROM {IMAGE}\nRUN echo about to fail; false\n")
    job = submit(boxed, "true", QUIET, image="file: Dockerfile")
    view = boxed.wait_phase(job, "failed")
    assert "the build of Dockerfile" in view["reason"]
    assert "about to fail" in boxed.run("logs", job).stdout


def test_an_image_that_is_not_there_fails_the_job_at_once(boxed):
    job = submit(boxed, "true", QUIET, image="image: localhost/nobody/has-this:1")
    view = boxed.wait_phase(job, "failed")
    assert "image localhost/nobody/has-this:1" in view["reason"], view["reason"]


def test_a_port_in_use_is_said(boxed):
    if not boxed.podman.bridge:
        pytest.skip("podman makes no bridge here")
    with socket.socket() as taken:
        taken.bind(("0.0.0.0", 0))
        taken.listen()
        job = submit(boxed, "true", f"ports: ['{taken.getsockname()[1]}:80']")
        view = boxed.wait_phase(job, "failed")
    assert "in use" in view["reason"], view["reason"]


def test_a_port_leads_into_the_container(boxed):
    if not boxed.podman.bridge:
        pytest.skip("podman makes no bridge here")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    job = submit(boxed, "echo ready; echo from inside | nc -l -p 7000", f"ports: ['{port}:7000']")
    boxed.wait_log(job, "ready")

    def answer():
        try:
            with socket.create_connection(("127.0.0.1", port), timeout=5) as connection:
                return connection.recv(100)
        except OSError:
            return None
    assert b"from inside" in wait_for(answer, "an answer through the port")
    boxed.wait_phase(job, "succeeded")


def test_what_an_image_runs_by_itself(boxed):
    boxed.write("Dockerfile", f'FROM {IMAGE}\nENTRYPOINT ["echo", "entry"]\nCMD ["given"]\n')
    boxed.write("job.yaml", f"name: own\ncontainer: {{file: Dockerfile, {QUIET}}}\n")
    assert "entry given" in output(boxed, boxed.submit("job.yaml"))
    boxed.write("job.yaml", f"name: own\ncontainer: {{file: Dockerfile, {QUIET}, command: [other, words]}}\n")
    assert "entry other words" in output(boxed, boxed.submit("job.yaml"))


def test_without_a_runtime_the_job_waits_and_says_why(make_buoy, tmp_path):
    tools = tmp_path / "bin"
    tools.mkdir()
    buoy = make_buoy(market("[]"), environment={"PATH": str(tools), "DOCKER_HOST": "unix:///nonexistent/docker.sock"})
    buoy.write("job.yaml", f"name: boxed\nrun: 'true'\nimage: {IMAGE}\n")
    job = buoy.submit("job.yaml")
    wait_for(lambda: "runs no containers" in buoy.run("why", job).stdout, "the reason")
    assert "nothing answers" in buoy.run("why", job).stdout
    assert "nothing answers" in buoy.run("doctor").stdout
    buoy.run("cancel", job, check=0)


def test_a_pool_that_runs_processes_runs_the_command_without_its_image(make_buoy):
    buoy = make_buoy(market("[]").replace("    types:", "    isolation: process\n    types:"))
    buoy.write("job.yaml", "name: p\nrun: echo a process\nimage: localhost/nobody/has-this:1\n")
    job = buoy.submit("job.yaml")
    buoy.wait_phase(job, "succeeded")
    assert "a process" in buoy.run("logs", job).stdout
    buoy.write("job.yaml", "name: q\nimage: localhost/nobody/has-this:1\n")
    job = buoy.submit("job.yaml")
    assert "isolation: process" in buoy.wait_phase(job, "failed")["reason"]


@pytest.fixture
def small_storage(podman, tmp_path):
    """Podman's storage on a file system of 24 MiB."""
    root = tmp_path / "storage"
    root.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=24m", "none", root], capture_output=True).returncode:
        pytest.skip("nothing can be mounted here")
    settings = tmp_path / "storage.conf"
    settings.write_text(f'[storage]\ndriver = "vfs"\ngraphroot = "{root}/graph"\nrunroot = "{tmp_path}/run"\n')
    yield {**podman.environment, "CONTAINERS_STORAGE_CONF": str(settings)}
    subprocess.run(["umount", "-l", root], check=True)


def test_a_full_disk_is_said(make_buoy, podman, small_storage):
    buoy = make_buoy(market("[]"), environment=small_storage)
    archive = podman.podman("save", IMAGE, text=False).stdout
    loaded = subprocess.run(["podman", "load"], input=archive, capture_output=True, env={**os.environ, **small_storage})
    if loaded.returncode:
        pytest.skip(f"podman cannot use a storage of its own: {loaded.stderr.decode()[-300:]}")
    buoy.write("Dockerfile", f"FROM {IMAGE}\nRUN dd if=/dev/zero of=/large bs=1M count=64\n")
    job = submit(buoy, "true", QUIET, image="file: Dockerfile")
    view = buoy.wait_phase(job, "failed")
    assert "disk is full" in view["reason"] or "No space left" in buoy.run("logs", job).stdout, view["reason"]


def test_a_batch_job_runs_in_its_image(make_buoy, podman):
    batch = Batch(make_buoy(configuration(isolation="container"), environment=podman.environment))
    client = batch.client()
    batch.environment(client)
    shared = batch.buoy.project / "shared"
    shared.mkdir()
    (shared / "given").write_text("from the machine")
    batch.definition(client, "boxed", ["sh", "-c", "id -u; cat /in/given; echo; echo $0 $WORD $AWS_BATCH_JOB_ID $AWS_BATCH_JOB_ARRAY_INDEX; "
                                       "ulimit -n; df /dev/shm | tail -1; touch /in/x", "Ref::word"],
                     parameters={"word": "given"},
                     container={"image": IMAGE, "user": "1234", "environment": [{"name": "WORD", "value": "set"}],
                                # Both are below what hosts permit that permit no higher ones.
                                "ulimits": [{"name": "nofile", "softLimit": 321, "hardLimit": 400},
                                            {"name": "nproc", "softLimit": 1000, "hardLimit": 1000}],
                                "volumes": [{"name": "v", "host": {"sourcePath": str(shared)}}],
                                "mountPoints": [{"sourceVolume": "v", "containerPath": "/in", "readOnly": True}],
                                "linuxParameters": {"sharedMemorySize": 16}})
    job = client.submit_job(jobName="b", jobQueue="train", jobDefinition="boxed", parameters={"word": "replaced"})["jobId"]
    shown = batch.wait(client, job)
    log = batch.buoy.run("logs", job).stdout
    for expected in ("1234\n", "from the machine", f"replaced set {job}", "321", "16384", "Read-only"):
        assert expected in log, log + shown["statusReason"]
    assert shown["status"] == "FAILED" and shown["container"]["exitCode"] == 1


def test_a_batch_job_beyond_its_memory_is_told_in_awss_words(make_buoy, podman):
    batch = Batch(make_buoy(configuration(isolation="container"), environment=podman.environment))
    client = batch.client()
    batch.environment(client)
    batch.definition(client, "greedy", ["sh", "-c", "x=$(dd if=/dev/zero bs=1M count=300 | tr '\\0' a)"],
                     container={"image": IMAGE, "resourceRequirements": [{"type": "VCPU", "value": "1"}, {"type": "MEMORY", "value": "48"}]})
    job = client.submit_job(jobName="g", jobQueue="train", jobDefinition="greedy")["jobId"]
    shown = batch.wait(client, job)
    if shown["status"] == "SUCCEEDED":
        pytest.skip("memory is not limited here")
    assert shown["container"]["reason"] == "OutOfMemoryError: Container killed due to memory usage"

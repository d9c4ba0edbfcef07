"""The everyday path: submit, follow, look, cancel."""
import json
import os
import signal

import pytest
from conftest import wait_for
from jobs import COUNTER, PATIENT


def test_run_follows_and_ends_with_the_jobs_own_exit_code(buoy):
    done = buoy.run("run", "--name", "hello", "--", "sh", "-c", "echo out; echo err >&2; exit 7")
    assert done.returncode == 7
    assert "out" in done.stdout and "err" in done.stdout + done.stderr
    assert buoy.run("run", "--", "true").returncode == 0
    assert buoy.run("run", "--", "sh", "-c", "kill -9 $$").returncode == 128 + 9


def test_a_job_file_with_source_inputs_outputs_env_and_metrics(buoy):
    buoy.write("data/numbers.txt", "1\n2\n3\n")
    buoy.write("job.sh", 'for n in $(cat "$BUOY_INPUT_DATA/numbers.txt"); do echo "loss=$((10 - n)).5"; done; echo "$SEED" >model.txt\n')
    buoy.write("buoy.yaml", """\
name: digits
run: sh job.sh
inputs: {data: ./data}
outputs: [model.txt]
metrics: {loss: 'loss=([0-9.]+)'}
env: {SEED: "7"}
""")
    done = buoy.run("run", check=0)
    assert "loss=9.5" in done.stdout
    job = buoy.json("show", "digits")
    assert job["phase"] == "succeeded" and job["exit_code"] == 0
    buoy.run("download", "digits", "got", check=0)
    assert (buoy.project / "got/model.txt").read_text() == "7\n"
    shown = buoy.run("show", "digits", check=0).stdout
    assert "loss" in shown and "useful" in shown


def test_listings_have_json(buoy):
    buoy.run("run", "--name", "one", "--", "true", check=0)
    assert [job["name"] for job in buoy.json("ps", "--all")["jobs"]] == ["one"]
    assert buoy.json("pools")["pools"][0]["name"] == "local"
    assert buoy.json("queues")["queues"][0]["name"] == "default"
    assert "machines" in buoy.json("machines", "--all")
    why = buoy.run("why", "one", check=0).stdout
    assert "placed" in why or "chose" in why.lower() or "local" in why


def test_detached_run_goes_on_and_can_be_followed_again(buoy):
    buoy.write("job.sh", PATIENT)
    follow = buoy.popen("run", "--name", "long", "--", "sh", "job.sh", str(buoy.project / "go"))
    buoy.wait_log("long", "started at 0")
    follow.send_signal(signal.SIGINT)
    out, err = follow.communicate(timeout=30)
    assert "buoy logs -f" in out + err
    assert buoy.job("long")["phase"] == "running"
    (buoy.project / "go").touch()
    buoy.wait_phase("long", "succeeded")
    assert "finished at" in buoy.run("logs", "-f", "long", check=0).stdout


def test_cancel_saves_and_ends_the_job(buoy):
    buoy.write("job.sh", PATIENT)
    job = buoy.submit("--checkpoint", "checkpoints", "--", "sh", "job.sh", "/nonexistent/go")
    buoy.wait_log(job, "started at 0")
    buoy.run("cancel", job, check=0)
    view = buoy.wait_phase(job, "cancelled")
    assert view["last_version"] > 0, "what the job saved when it was told to stop must be committed"
    wait_for(lambda: not buoy.hosts(), "the machine's end")


def test_failures_are_retried_as_often_as_asked(buoy):
    buoy.write("job.sh", 'echo try >>"$1"; exit 3\n')
    log = buoy.project / "tries"
    done = buoy.run("run", "--retries", "2", "--", "sh", "job.sh", log)
    assert done.returncode == 3
    assert log.read_text().count("try") == 3


def test_max_run_and_max_wait(buoy):
    assert buoy.run("run", "--max-run", "300ms", "--", "sleep", "1000").returncode == 124
    full = buoy.submit("--machines", "1", "--", "sleep", "1000")
    buoy.wait_phase(full, "running")
    paused = buoy.run("run", "--max-wait", "300ms", "--", "sleep", "1000")
    assert paused.returncode == 124


def test_a_gang_gets_ranks_and_peers(buoy):
    done = buoy.run("run", "--machines", "3", "--", "sh", "-c", 'echo "rank $RANK of $WORLD_SIZE master $MASTER_ADDR:$MASTER_PORT"', check=0)
    for rank in range(3):
        assert f"rank {rank} of 3 master 127.0.0.1:" in done.stdout


def test_the_server_over_tls_needs_the_right_token(make_buoy, tmp_path):
    buoy = make_buoy()
    buoy.run("server", "start", "--listen", "127.0.0.1:0", check=0)
    status = buoy.json("server", "status")
    endpoint = next(e for e in status["endpoints"] if e.startswith("https://"))
    token = (buoy.state / "token").read_text().strip()
    outside = {"BUOY_SERVER": endpoint, "BUOY_TOKEN": token, "BUOY_FINGERPRINT": status["fingerprint"]}
    assert buoy.run("ps", "--json", environment=outside).returncode == 0
    wrong = buoy.run("ps", environment={**outside, "BUOY_TOKEN": "wrong"})
    assert wrong.returncode != 0 and "token" in wrong.stderr.lower()
    unknown = buoy.run("ps", environment={k: v for k, v in outside.items() if k != "BUOY_FINGERPRINT"})
    assert unknown.returncode != 0 and "certificate" in unknown.stderr.lower()


def test_two_first_commands_at_once_start_one_server(buoy):
    commands = [buoy.popen("ps", "--json") for _ in range(8)]
    for command in commands:
        out, err = command.communicate(timeout=60)
        assert command.returncode == 0, err
        json.loads(out)
    assert buoy.server_pid() > 0

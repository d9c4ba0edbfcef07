"""The everyday path: submit, follow, look, cancel."""
import json
import os
import signal

import pytest
from conftest import ROOT, wait_for
from jobs import COUNTER, PATIENT, market


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


def test_an_output_that_is_not_there_is_told_where_people_look(buoy):
    buoy.write("buoy.yaml", "name: forgetful\nrun: echo done\noutputs: [model.pt]\n")
    done = buoy.run("run", check=0)
    told = "output model.pt was not there"
    assert told in done.stderr + done.stdout
    assert told in buoy.run("show", "forgetful", check=0).stdout


def test_listings_have_json(buoy):
    buoy.run("run", "--name", "one", "--", "true", check=0)
    assert [job["name"] for job in buoy.json("ps", "--all")["jobs"]] == ["one"]
    assert buoy.json("pools")["pools"][0]["name"] == "local"
    assert buoy.json("queues")["queues"][0]["name"] == "default"
    assert "machines" in buoy.json("machines", "--all")
    why = buoy.run("why", "one", check=0).stdout
    assert "placed" in why or "chose" in why.lower() or "local" in why


def test_the_manual_is_what_the_program_says(buoy):
    manual = buoy.run("help", "manual", check=0).stdout
    page = (ROOT / "docs/cli.md").read_text()
    assert manual.strip() in page, "docs/cli.md is behind: put `buoy help manual` into it"


def test_detached_run_goes_on_and_can_be_followed_again(buoy):
    buoy.write("job.sh", PATIENT)
    follow = buoy.popen("run", "--name", "long", "--", "sh", "job.sh", str(buoy.project / "go"))
    buoy.wait_log("long", "started at 0")
    follow.send_signal(signal.SIGINT)
    out, err = follow.communicate(timeout=30)
    assert "buoy logs -f" in out + err
    assert follow.returncode == 130, "a command that waits for this one does not go on as if the job had succeeded"
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


def test_waiting_for_several_and_cancelling_them(buoy):
    buoy.write("job.sh", PATIENT)
    go = buoy.project / "go"
    waits = [buoy.submit("--name", name, "--", "sh", "job.sh", str(go)) for name in ("one", "two")]
    fails = buoy.submit("--", "sh", "-c", "exit 7")
    assert buoy.run("wait", "--timeout", "1s", *waits, check=124).stderr.count("has not ended within 1.0s") == 1
    waiting = buoy.popen("wait", fails, *waits)
    buoy.wait_phase(fails, "failed")
    go.touch()
    out, _ = waiting.communicate(timeout=30)
    assert waiting.returncode == 7, "of the first that did not succeed"
    assert out.count(" succeeded after") == 2 and out.count(" failed with exit code 7 after") == 1
    assert buoy.run("wait", "nobody").returncode == 3
    idle = [buoy.submit("--", "sleep", "1000") for _ in range(2)]
    assert buoy.run("cancel", idle[0], "nobody", idle[1]).returncode == 3, "one is not known"
    assert buoy.run("wait", *idle).returncode == 130, "the others are cancelled all the same"


def test_lines_since_an_instant(buoy):
    job = buoy.submit("--", "sh", "-c", "echo here")
    buoy.wait_phase(job, "succeeded")
    assert buoy.run("logs", "--since", "1h", job, check=0).stdout == "here\n"
    later = "2100-01-01T00:00:00Z"
    assert buoy.run("logs", "--since", later, job, check=0).stdout == ""
    assert buoy.run("logs", "--since", later, "--json", job, check=0).stdout == ""
    assert "--since must be a time" in buoy.run("logs", "--since", "yesterday", job, check=2).stderr


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


def test_why_finds_each_decision_again_from_what_was_known(make_buoy):
    buoy = make_buoy(market("[]", max_machines=2))
    buoy.write("job.sh", PATIENT)
    job = buoy.submit("--checkpoint", "checkpoints", "--", "sh", "job.sh", str(buoy.project / "go"))
    buoy.wait_log(job, "started at")
    buoy.run("reclaim", job, check=0)
    wait_for(lambda: buoy.job(job)["attempts"] == 2 and buoy.job(job)["phase"] == "running", "the second attempt")
    (buoy.project / "go").touch()
    buoy.wait_phase(job, "succeeded")
    text = buoy.run("why", job, check=0).stdout
    assert "known: local: 2 of 2 places free" in text and "known: local: 1 of 2 places free" not in text.split("was reclaimed")[0]
    assert "2 decisions, found again from what was known then by the policy's own code: the same" in text
    lines = [json.loads(line) for line in buoy.run("why", job, "--json", check=0).stdout.splitlines()]
    decisions = [line for line in lines if "rederived" in line]
    assert [line["took"] for line in decisions] == [["m1"], ["m2"]] and all(line["rederived"] for line in decisions)
    assert decisions[0]["known"]["pools"][0]["name"] == "local" and decisions[0]["candidates"][0]["rejected"] == ""
    # A machine has what happened to it, and the decision that took it; no other machine's.
    first = buoy.run("why", "m1", check=0).stdout
    assert "placed on m1" in first and "was reclaimed" in first and "placed on m2" not in first
    assert "1 decision, found again" in first
    assert buoy.run("why", "m99").returncode == 3


COUNTS = """\
name: counts
run: |
  n=$(cat state/n 2>/dev/null || echo 0)
  echo "begins at $n"
  n=$((n + 1)); echo $n >state/n.part && mv state/n.part state/n
  exit ${CODE:-0}
checkpoint: {dir: state}
"""


def test_a_failed_jobs_checkpoint_is_taken_up_by_another(buoy):
    buoy.write("buoy.yaml", COUNTS)
    assert "begins at 0" in buoy.run("run", "--env", "CODE=3", check=3).stdout
    # By its name, which the second job has too; then by its id.
    assert "begins at 1" in buoy.run("run", "--checkpoint-from", "counts", check=0).stdout
    assert "began from version" in buoy.run("why", "j2", check=0).stdout
    buoy.write("buoy.yaml", COUNTS.replace("{dir: state}", "{dir: state, from: j1}"))
    assert "begins at 1" in buoy.run("run", check=0).stdout

    assert buoy.run("download", "--checkpoint", "--list", "j1", check=0).stdout == "n\n"
    buoy.run("download", "--checkpoint", "j1", check=0)
    assert (buoy.project / "counts-checkpoint/n").read_text() == "1\n"
    assert "is not empty" in buoy.run("download", "-c", "j1", check=5).stderr
    buoy.run("download", "-c", "j3", "elsewhere", check=0)
    assert (buoy.project / "elsewhere/n").read_text() == "2\n"


def test_a_checkpoint_that_cannot_be_taken_up(buoy):
    none = buoy.submit("--name", "none", "--", "true")
    buoy.wait_phase(none, "succeeded")
    refused = buoy.run("submit", "--checkpoint", "state", "--checkpoint-from", "none", "--", "true", check=2).stderr
    assert "--checkpoint-from" in refused and f"{none} keeps no checkpoints" in refused
    assert "there is no job 'nobody'" in buoy.run("submit", "--checkpoint-from", "nobody", "--", "true", check=2).stderr
    assert "must be a job" in buoy.run("submit", "--checkpoint-from", "s3://bucket/x", "--", "true", check=2).stderr
    assert "no checkpoint" in buoy.run("download", "-c", none, check=3).stderr
    empty = buoy.submit("--name", "empty", "--checkpoint", "state", "--", "true")
    buoy.wait_phase(empty, "succeeded")
    failed = buoy.run("run", "--checkpoint", "state", "--checkpoint-from", empty, "--", "true", check=None)
    assert failed.returncode != 0 and f"checkpoint.from: {empty}: there is no checkpoint" in failed.stdout, failed.stdout

"""Deadlines and budgets on the local provider: real machines, a recorded market, money that is counted."""
import json

from conftest import wait_for
from jobs import COUNTER

# Short bounds, so that a deadline of seconds can be promised: a launch takes less than a second here.
QUICK = {"BUOY_LEASE": "2s"}


def config(market):
    return f"""\
pools:
  - name: local
    provider: local
    max_machines: 8
    launch_time: 2s
    types:
      - {{name: small, cpus: 1, memory: 512MiB, price: 1.00, spot_price: 0.30}}
    market: {{{market}}}
queues:
  - {{name: default, pools: [local]}}
"""


def recorded(directory, available):
    """A market of one tick a second."""
    trace = directory / "zone.json"
    trace.write_text(json.dumps({"metadata": {"gap_seconds": 1}, "data": available}))
    return config(f"trace: {trace}")


def markets(buoy, job):
    records = [json.loads(line) for line in buoy.run("why", job, "--json", check=0).stdout.splitlines()]
    return records, [r["detail"].rsplit(", ", 1)[1] for r in records if r["kind"] == "placed"]


def test_a_deadline_is_met_on_demand_when_spot_goes(make_buoy, tmp_path):
    # Spot for eight seconds, and then for a long time none.
    buoy = make_buoy(recorded(tmp_path, [4] * 8 + [0] * 600), QUICK)
    buoy.write("job.sh", COUNTER)
    job = buoy.submit("--deadline", "50s", "--work", "16s", "--policy", "spot-first", "--stop-grace", "3s",
                      "--checkpoint", "checkpoints", "--", "sh", "job.sh", "60", "0.2")
    view = buoy.wait_phase(job, "succeeded", limit=90)
    assert view["request"]["policy"] == "spot-first"
    records, where = markets(buoy, job)
    assert where[0] == "spot" and where[-1] == "on-demand", where
    submitted = next(r["at"] for r in records if r["kind"] == "submitted")
    finished = next(r["at"] for r in records if r["kind"] == "finished")
    seconds = lambda at: int(at[11:13]) * 3600 + int(at[14:16]) * 60 + float(at[17:23])  # noqa: E731
    assert (seconds(finished) - seconds(submitted)) % 86400 <= 50, "the deadline"
    steered = [r for r in records if r["kind"] == "steered"]
    assert steered[0]["answer"]["hold"] == "spot" and steered[-1]["answer"]["hold"] == "on_demand"
    assert steered[-1]["known"]["time_left"] < steered[0]["known"]["time_left"]
    assert all(r["rederived"] for r in steered), "the policy answers the same from what is kept"
    text = buoy.run("why", job, check=0).stdout
    assert "until the deadline" in text and "on-demand ($1.00/h): the deadline leaves no slack" in text, text


def test_what_is_not_saved_is_taken_to_on_demand_before_it_could_be_lost(make_buoy):
    buoy = make_buoy(config(""), QUICK)
    # Saves only when it is told to stop.
    buoy.write("job.sh", "trap 'mkdir -p checkpoints; echo $n >checkpoints/n; exit 0' TERM\n"
                         "n=$(cat checkpoints/n 2>/dev/null || echo 0); echo started at $n\n"
                         "while [ $n -lt 80 ]; do n=$((n + 1)); sleep 0.2; done\n")
    job = buoy.submit("--deadline", "36s", "--work", "18s", "--stop-grace", "3s", "--policy", "uniform-progress",
                      "--checkpoint", "checkpoints", "--", "sh", "job.sh")
    view = buoy.wait_phase(job, "succeeded", limit=90)
    records, where = markets(buoy, job)
    assert where[:2] == ["spot", "on-demand"], where  # and perhaps back to spot, once it is saved
    assert any(r["kind"] == "moving" for r in records)
    assert view["ledger"]["reclaims_noticed"] == view["ledger"]["reclaims_unnoticed"] == 0
    log = buoy.run("logs", job).stdout
    starts = [int(line.split()[2]) for line in log.splitlines() if line.startswith("started at")]
    assert len(starts) >= 2 and starts[1] > 10, "it saved before it moved"


def test_a_deadline_that_cannot_be_met_changes_nothing(make_buoy):
    buoy = make_buoy(config(""))
    buoy.write("buoy.yaml", "name: x\nrun: 'true'\ndeadline: 8h\nwork: 8h\n")
    done = buoy.run("submit")
    assert done.returncode == 2, done.stderr
    assert "buoy.yaml:3" in done.stderr and "the earliest deadline is 8h" in done.stderr, done.stderr
    flags = buoy.run("submit", "--deadline", "10s", "--work", "20s", "--", "true")
    assert flags.returncode == 2 and "--deadline" in flags.stderr and "earliest" in flags.stderr, flags.stderr
    assert buoy.run("submit", "--deadline", "2001-01-01T00:00:00Z", "--work", "20s", "--", "true").returncode == 2
    assert buoy.run("submit", "--deadline", "10h", "--", "true").returncode == 2, "without work"
    assert buoy.json("ps", "--all")["jobs"] == []


def test_a_budget_pauses_with_a_checkpoint_and_goes_on_with_more(make_buoy):
    buoy = make_buoy(config(""), QUICK)
    buoy.write("job.sh", COUNTER)
    # The reserve: 3 s of grace, 30 s until it would be ended by force and the lease, at the on-demand price.
    reserve = (3 + 30 + 2) * 1.00 / 3600
    budget = reserve + 14 * 0.30 / 3600
    job = "counting"
    done = buoy.run("run", "--name", job, "--budget", f"{budget:.6f}", "--stop-grace", "3s", "--checkpoint",
                    "checkpoints", "--", "sh", "job.sh", "100", "0.2")
    assert done.returncode == 75, done.stderr
    assert "is paused" in done.stderr and "buoy resume" in done.stderr, done.stderr
    view = buoy.job(job)
    assert view["phase"] == "paused"
    assert "budget" in view["reason"] and view["last_version"] > 0
    assert 0 < view["ledger"]["total_cost"] <= budget
    wait_for(lambda: not buoy.hosts(), "the end of its machine")
    assert "paused" in buoy.run("ps", check=0).stdout
    assert "buoy resume" in buoy.run("show", job, check=0).stdout
    assert "budget" in buoy.run("why", job, check=0).stdout

    refused = buoy.run("resume", job)
    assert refused.returncode == 5 and "--budget" in refused.stderr, refused.stderr
    assert buoy.run("resume", job, "--budget", "x").returncode == 2
    assert buoy.run("resume", "nobody", "--budget", "1").returncode == 3
    buoy.kill_server()
    assert buoy.job(job)["phase"] == "paused", "kept"
    buoy.run("resume", job, "--budget", "1", check=0)
    view = buoy.wait_phase(job, "succeeded")
    log = buoy.run("logs", job).stdout
    starts = [int(line.split()[2]) for line in log.splitlines() if line.startswith("started at")]
    assert len(starts) == 2 and starts[1] > 0
    assert view["attempts"] == 2

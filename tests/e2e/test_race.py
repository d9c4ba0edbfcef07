"""A machine asked for in two pools at once."""
import json


def config(directory):
    trace = directory / "empty.json"
    trace.write_text(json.dumps({"metadata": {"gap_seconds": 60}, "data": [0, 0, 0]}))
    types = "types: [{name: small, cpus: 1, memory: 512MiB, price: 1.00, spot_price: 0.30}]"
    return f"""\
pools:
  - {{name: empty, provider: local, {types}, market: {{trace: {trace}}}}}
  - {{name: open, provider: local, {types}}}
queues:
  - {{name: default, pools: [empty, open]}}
"""


def test_the_pool_that_has_a_machine_runs_the_job(make_buoy, tmp_path):
    buoy = make_buoy(config(tmp_path))
    done = buoy.run("run", "--race", "2", "--spot", "only", "--", "echo", "here")
    assert done.returncode == 0 and "here" in done.stdout, done.stdout + done.stderr
    job = "j1"
    records = [json.loads(line) for line in buoy.run("why", job, "--json", check=0).stdout.splitlines()]
    assert [r["detail"] for r in records if r["kind"] == "raced"] == [
        "also asked for m2 in pool open: the first that is up runs the job"]
    started = [r["detail"] for r in records if r["kind"] == "attempt_started"]
    assert started == ["attempt 1 starts on m2"]


def test_a_race_is_for_one_machine(buoy):
    wrong = buoy.run("submit", "--race", "2", "--machines", "2", "--", "true")
    assert wrong.returncode == 2 and "race" in wrong.stderr and "one machine" in wrong.stderr

"""Jobs that share machines: as many at once as there is room for on one, each a machine to itself."""
from conftest import wait_for
from jobs import PATIENT

CONFIG = """\
pools:
  - name: local
    provider: local
    max_machines: 1
    pack: true
    types:
      - {name: quad, cpus: 4, memory: 4GiB, price: 1.00, spot_price: 0.40}
queues:
  - {name: default, pools: [local]}
"""


def machines(buoy):
    return buoy.json("machines")["machines"]


def test_eight_jobs_run_four_at_a_time_on_one_machine_and_through_its_reclaim(make_buoy):
    buoy = make_buoy(CONFIG)
    buoy.write("job.sh", PATIENT)
    go = buoy.project / "go"
    jobs = [buoy.submit("--checkpoint", "checkpoints", "--", "sh", "job.sh", str(go)) for _ in range(8)]
    for job in jobs[:4]:
        buoy.wait_log(job, "started at 0")
    whole = [m for m in machines(buoy) if "host" not in m]
    parts = [m for m in machines(buoy) if "host" in m]
    assert len(whole) == 1 and len(parts) == 4
    assert {m["host"] for m in parts} == {whole[0]["id"]} and {m["job"] for m in parts} == set(jobs[:4])
    assert [buoy.job(job)["phase"] for job in jobs[4:]] == ["queued"] * 4
    assert all(abs(m["price"] - 0.10) < 1e-9 for m in parts), "a quarter of the machine's price"
    shown = buoy.run("machines", check=0).stdout
    assert f"1 cpu of {whole[0]['id']}" in shown
    assert f"(25% of {whole[0]['id']})" in buoy.run("why", jobs[0], check=0).stdout

    buoy.run("reclaim", jobs[1], "--notice", "20s", check=0)
    for job in jobs[:4]:
        buoy.wait_log(job, "saved")
    for job in jobs[:4]:
        wait_for(lambda: buoy.job(job)["attempts"] == 2 and buoy.job(job)["phase"] == "running", f"{job} to go on")
        log = buoy.run("logs", job).stdout
        saved = next(line.split()[1] for line in log.splitlines() if line.startswith("saved"))
        buoy.wait_log(job, f"started at {saved}")  # it goes on where it was
    now = [m for m in machines(buoy) if "host" not in m and m["phase"] == "assigned"]
    assert len(now) == 1 and now[0]["id"] != whole[0]["id"]

    go.touch()
    for job in jobs:
        view = buoy.wait_phase(job, "succeeded")
        assert view["ledger"]["reclaims_noticed"] == (1 if job in jobs[:4] else 0)
    wait_for(lambda: not machines(buoy), "the end of all machines")
    wait_for(lambda: not buoy.hosts(), "the end of all processes")


def test_what_shares_a_machine_is_not_ended_with_its_neighbour(make_buoy):
    buoy = make_buoy(CONFIG)
    buoy.write("job.sh", PATIENT)
    go = buoy.project / "go"
    stays = buoy.submit("--", "sh", "job.sh", str(go))
    goes = buoy.submit("--cpus", "2", "--stop-grace", "1s", "--", "sh", "-c", "trap '' TERM; (sleep 1000 & echo child $!; wait); sleep 1000")
    buoy.wait_log(goes, "child")
    buoy.wait_log(stays, "started at 0")
    buoy.run("cancel", goes, check=0)
    buoy.wait_phase(goes, "cancelled")
    wait_for(lambda: len([m for m in machines(buoy) if "host" in m]) == 1, "its part's end")
    buoy.kill_server()
    assert buoy.run("ps", check=0) and buoy.job(stays)["phase"] == "running"
    go.touch()
    assert buoy.wait_phase(stays, "succeeded")["attempts"] == 1
    wait_for(lambda: not buoy.hosts(), "the end of all processes")

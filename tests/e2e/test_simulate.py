"""Forecasts: what a job would cost on markets that the test made itself."""
import json
import random
import xml.etree.ElementTree

import pytest

JOB = """\
name: train
run: 'true'
machines: 2
checkpoint: {dir: checkpoints, interval: 20m}
"""
FLAGS = ["--work", "8h", "--deadline", "11h", "--changeover", "10m"]


def zone(buoy, name, seed, machines=4, ticks=900):
    """A market of up- and down-times, ten minutes a tick."""
    rng = random.Random(seed)
    data, up = [], True
    while len(data) < ticks:
        data += [rng.randint(2, machines) if up else 0] * rng.randint(2, 60 if up else 20)
        up = not up
    trace = {"metadata": {"gap_seconds": 600, "zone": name, "instance_type": "gpu", "on_demand_price": 3.0},
             "data": data[:ticks], "prices": [0.9 + 0.1 * (tick % 3) for tick in range(ticks)]}
    return buoy.write(f"{name}.json", json.dumps(trace))


@pytest.fixture
def market(buoy):
    buoy.write("buoy.yaml", JOB)
    for number, name in enumerate(["a", "b"]):
        zone(buoy, name, number)
    return buoy


def forecast(buoy, *arguments):
    done = buoy.run("simulate", "--json", *arguments)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_every_policy_meets_the_deadline_and_none_beats_the_optimum(market):
    told = forecast(market, "buoy.yaml", "--trace", "a.json", "b.json", "--starts", "60", "--unnoticed", "0.5", *FLAGS)
    assert told["job"] == "train" and told["machines"] == 2 and told["starts"] == 60
    assert [each["policy"] for each in told["policies"]] == ["on-demand", "spot-first", "uniform-progress", "buoy"]
    for each in told["policies"]:
        assert each["deadline_met"] == 1, each
        assert each["of_optimum"] >= 1
        assert told["optimum_cost"]["min"] <= each["cost"]["min"] <= each["cost"]["p50"] <= each["cost"]["p95"]
        assert each["finish_hours"]["max"] <= 11
    on_demand, buoy = told["policies"][0], told["policies"][-1]
    assert on_demand["of_on_demand"] == 1 and on_demand["redone_hours"] == 0 and on_demand["reclaims"] == 0
    assert buoy["of_on_demand"] < 0.8 and buoy["redone_hours"] > 0
    assert "20m" in " ".join(told["assumptions"])


def test_the_job_says_its_own_deadline_and_budget(market):
    market.write("job.yaml", JOB + "work: 8h\ndeadline: 11h\nbudget: 45\n")
    told = forecast(market, "job.yaml", "--trace", "a.json", "--starts", "20", "--changeover", "10m")
    assert (told["work_hours"], told["deadline_hours"]) == (8, 11)
    on_demand, buoy = told["policies"][0], told["policies"][-1]
    assert on_demand["within_budget"] == 0 < buoy["within_budget"] <= 1
    longer = forecast(market, "job.yaml", "--trace", "a.json", "--starts", "20", "--deadline", "20h", "--changeover", "10m")
    assert longer["deadline_hours"] == 20


def test_the_same_seed_gives_the_same_forecast_and_another_one_another(market):
    arguments = ["--trace", "a.json", "--starts", "20", "--policy", "uniform-progress", *FLAGS]
    first, again, other = (forecast(market, *arguments, "--seed", seed) for seed in ("1", "1", "2"))
    assert first == again
    assert first["policies"] != other["policies"]


def test_one_window_is_what_it_was_and_is_one_of_the_starts(market):
    done = market.run("simulate", "--trace", "a.json", "b.json", "--start-tick", "30", "--work", "8h", "--deadline", "11h",
                      "--changeover", "10m", "--spot-price", "1", "--json")
    assert done.returncode == 0, done.stderr
    rows = {row["policy"]: row for row in map(json.loads, done.stdout.splitlines())}
    assert set(rows) == {"on-demand", "spot-first", "uniform-progress", "buoy", "omniscient"}
    assert rows["on-demand"]["cost"] == pytest.approx(3 * (8 + 1 / 6))
    assert all(not row["missed"] and row["cost"] >= rows["omniscient"]["cost"] for row in rows.values())


def test_people_get_a_table_and_a_picture(market):
    done = market.run("simulate", "--trace", "a.json", "--starts", "20", "--svg", "costs.svg", *FLAGS)
    assert done.returncode == 0, done.stderr
    for word in ("8h of work within 11h", "uniform-progress", "omniscient", "of optimum", "█"):
        assert word in done.stdout, done.stdout
    table = [line for line in done.stdout.splitlines() if line.startswith(("policy", "on-demand", "uniform", "buoy", "omni"))]
    assert len(table) >= 8 and max(map(len, table)) <= 80, done.stdout
    picture = xml.etree.ElementTree.parse(market.project / "costs.svg").getroot()
    assert picture.tag == "{http://www.w3.org/2000/svg}svg"


def test_without_a_recorded_market_it_says_that_the_market_is_made_up(market):
    told = forecast(market, "--starts", "20", "--policy", "spot-first", *FLAGS)
    assert "made up" in told["market"]


def test_a_job_without_checkpoints_pays_for_it(market):
    market.write("plain.yaml", "name: plain\nrun: 'true'\nmachines: 2\n")
    arguments = ["--trace", "a.json", "--starts", "30", "--policy", "uniform-progress", *FLAGS]
    kept, lost = forecast(market, "buoy.yaml", *arguments), forecast(market, "plain.yaml", *arguments)
    assert lost["policies"][0]["cost"]["mean"] > kept["policies"][0]["cost"]["mean"]
    assert lost["policies"][0]["deadline_met"] == 1
    assert "begins again" in " ".join(lost["assumptions"])


@pytest.mark.parametrize("flags, expected", [
    (["--starts", "0"], "--starts"),
    (["--starts", "many"], "--starts"),
    (["--unnoticed", "2"], "--unnoticed"),
    (["--deadline", "7h"], "earliest"),
    (["--deadline", "400h"], "ticks"),
    (["--interval", "soon"], "--interval"),
    (["--interval", "1s", "--save-cost", "5s"], "save"),
    (["--trace", "nowhere.json"], "nowhere.json"),
])
def test_what_cannot_be_simulated_gets_one_clear_error(market, flags, expected):
    done = market.run("simulate", "buoy.yaml", "--trace", "a.json", *FLAGS, *flags, "--svg", "costs.svg")
    assert done.returncode == 2 or done.returncode == 3, done.stdout + done.stderr
    assert expected in done.stderr and len(done.stderr) < 500, done.stderr
    assert not (market.project / "costs.svg").exists()

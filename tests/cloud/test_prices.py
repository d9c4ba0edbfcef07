"""What machines cost, as `buoy aws prices` tells it."""
import json


def test_prices_tell_what_spot_saves(cloud, buoy_on_aws):
    buoy = buoy_on_aws()
    for zone, price in (("us-east-1a", 0.5), ("us-east-1b", 0.3018)):
        cloud.price("g5.xlarge", zone, price)
    text = buoy.run("aws", "prices", "g5.xlarge", check=0).stdout
    rows = {line.split()[0]: line.split()[1:6] for line in text.splitlines()}
    assert text.split("\n")[0].split() == ["zone", "type", "price", "on", "demand", "saving", "last", "week"]
    assert rows["us-east-1b"] == ["g5.xlarge", "$0.3018/h", "$1.01/h", "70", "%"] and rows["us-east-1a"][3] == "50", text
    told = {entry["zone"]: entry for entry in json.loads(buoy.run("aws", "prices", "g5.xlarge", "--json", check=0).stdout)}
    assert told["us-east-1b"]["saving_percent"] == 70 and told["us-east-1a"]["saving_percent"] == 50
    assert told["us-east-1b"]["on_demand_source"] == "kept", "asked once a week"


def test_without_the_price_list_a_dated_table_serves(cloud, buoy_on_aws):
    buoy = buoy_on_aws()
    cloud.fault("denied", calls="^pricing:", code="AccessDeniedException")
    done = buoy.run("aws", "prices", "m5.large", check=0)
    assert "~$0.0960/h" in done.stdout and "approximate" in done.stderr and "price list" in done.stderr, done
    told = json.loads(buoy.run("aws", "prices", "m5.large", "--json", check=0).stdout)
    assert {entry["on_demand_source"] for entry in told} == {"table"}

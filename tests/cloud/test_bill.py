"""AWS's rules for what an instance costs."""
import dataclasses

import pytest

from cloud.front.bill import HOUR, Use, charge

START = 1_800_000_000.0
SPOT = Use("i-1", "m5.large", "us-east-1a", "spot", START, None, False)


@pytest.mark.parametrize("seconds, interrupted, market, charged", [
    (10, False, "spot", 60),        # at least a minute
    (10, False, "on-demand", 60),
    (1800, False, "spot", 1800),    # by the second
    (1800, True, "spot", 0),        # EC2 interrupts in the first hour: free
    (3599, True, "spot", 0),
    (3600, True, "spot", 3600),     # later: by the second
    (1800, True, "on-demand", 1800),
])
def test_what_is_charged(seconds, interrupted, market, charged):
    use = dataclasses.replace(SPOT, ended=START + seconds, interrupted=interrupted, market=market)
    line = charge(use, START + 10 * HOUR, lambda _: 0.36)
    assert line.seconds == charged and line.cost == pytest.approx(charged * 0.0001) and line.free == (charged == 0)


def test_each_hour_has_the_price_of_its_beginning():
    use = dataclasses.replace(SPOT, ended=START + 1.5 * HOUR)
    line = charge(use, use.ended, lambda at: 0.10 if at < START + HOUR else 0.20)
    assert line.cost == pytest.approx(0.10 + 0.5 * 0.20)


def test_what_still_runs_is_charged_until_now():
    assert charge(SPOT, START + 120, lambda _: 0.36).seconds == 120

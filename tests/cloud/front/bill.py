"""What AWS charges for instances: https://aws.amazon.com/ec2/spot/ and the user guide's "Billing for interrupted Spot
Instances": by the second with at least 60 from running to shutting-down; an interruption by EC2 in the first hour is
free; the spot price of an instance-hour is the one at that hour's beginning."""
import dataclasses
from collections.abc import Callable

HOUR = 3600
LEAST = 60  # seconds


@dataclasses.dataclass
class Use:
    """The time of one instance. Times in seconds since the epoch; `ended` is None while it runs."""
    instance: str
    type: str
    zone: str
    market: str
    running: float
    ended: float | None
    interrupted: bool  # by EC2


@dataclasses.dataclass
class Line:
    instance: str
    type: str
    zone: str
    market: str
    running: float
    ended: float | None
    seconds: float  # that are charged
    cost: float  # USD
    free: bool


def charge(use: Use, now: float, price_at: Callable[[float], float]) -> Line:
    """`price_at` is the price in USD an hour that is in force at a time."""
    end = use.ended if use.ended is not None else now
    used = max(end - use.running, 0.0)
    free = use.market == "spot" and use.interrupted and use.ended is not None and used < HOUR
    seconds = 0.0 if free else max(used, float(LEAST))
    cost, begin = 0.0, 0.0
    while begin < seconds:
        part = min(HOUR, seconds - begin)
        cost += part / HOUR * price_at(use.running + begin)
        begin += part
    return Line(use.instance, use.type, use.zone, use.market, use.running, use.ended, seconds, cost, free)

"""What can be had in which pool (instance type and zone), and for how much."""
import bisect
import dataclasses
import hashlib
import json
import math
import pathlib
import threading
import time

# USD an hour, on demand, Linux, us-east-1; of other types by the number of their virtual CPUs.
ON_DEMAND = {"t3.micro": 0.0104, "t3.small": 0.0208, "t3.medium": 0.0416, "m5.large": 0.096, "m5.xlarge": 0.192, "c5.large": 0.085,
             "c5.xlarge": 0.17, "r5.large": 0.126, "g4dn.xlarge": 0.526, "g4dn.2xlarge": 0.752, "g5.xlarge": 1.006,
             "g5.2xlarge": 1.212, "p3.2xlarge": 3.06, "p3.8xlarge": 12.24, "p4d.24xlarge": 32.7726}
PER_CPU = 0.048
STEP = 6 * 3600  # seconds between changes of a generated price


@dataclasses.dataclass
class Trace:
    """A recorded market (the format is described in docs/local-pool.md), from tick `begin`, `speed` times as fast."""
    gap: float
    room: list[int]
    prices: list[float]
    start: float
    begin: int = 0
    speed: float = 1.0

    @classmethod
    def load(cls, path: str, start: float, begin: int = 0, speed: float = 1.0) -> "Trace":
        recorded = json.loads(pathlib.Path(path).read_text())
        return cls(float(recorded["metadata"]["gap_seconds"]), recorded["data"], recorded.get("prices") or [], start, begin, speed)

    def tick(self, at: float) -> int:
        """Before the trace's beginning its first tick, after its end the last."""
        passed = math.floor((at - self.start) * self.speed / self.gap)
        return min(max(self.begin + passed, 0), len(self.room) - 1)

    def time_of(self, tick: int) -> float:
        return self.start + (tick - self.begin) * self.gap / self.speed


@dataclasses.dataclass
class Pool:
    """One instance type in one zone."""
    type: str
    zone: str
    on_demand_price: float
    fixed_price: list[tuple[float, float]] = dataclasses.field(default_factory=list)  # (from when, USD an hour)
    spot_room: int | None = None  # how many spot machines may run; None: as many as are asked for
    on_demand_room: int | None = None
    trace: Trace | None = None
    offered: bool = True

    def spot_price(self, at: float) -> float:
        if self.trace and self.trace.prices:
            return self.trace.prices[min(self.trace.tick(at), len(self.trace.prices) - 1)]
        index = bisect.bisect_right(self.fixed_price, (at, math.inf)) - 1
        return self.fixed_price[index][1] if index >= 0 else self._generated(at)

    def _generated(self, at: float) -> float:
        """Between 25 and 45 % of the on-demand price; the same for the same pool and time."""
        def dice(text: str) -> float:
            return int.from_bytes(hashlib.sha256(f"{self.type} {self.zone} {text}".encode()).digest()[:4], "big") / 2**32

        share = 0.27 + 0.14 * dice("level") + 0.04 * (dice(str(math.floor(at / STEP))) - 0.5)
        return round(self.on_demand_price * share, 6)

    def price_changes(self, begin: float, end: float) -> list[tuple[float, float]]:
        """(time, price): the price in force at `begin`, with the time of its setting, and each later change."""
        if self.trace and self.trace.prices:
            times = [self.trace.time_of(tick) for tick in range(self.trace.tick(begin), self.trace.tick(end) + 1)]
        else:
            times = [float(step * STEP) for step in range(math.floor(begin / STEP), math.floor(end / STEP) + 1)]
            times = sorted(times + [since for since, _ in self.fixed_price if since <= end])
            times = times[max(bisect.bisect_right(times, begin) - 1, 0):]
        changes: list[tuple[float, float]] = []
        for moment in times:
            price = self.spot_price(moment)
            if not changes or changes[-1][1] != price:
                changes.append((moment, price))
        return changes

    def room(self, market: str, at: float) -> int | None:
        """How many machines may run in all; None: no limit."""
        if market != "spot":
            return self.on_demand_room
        traced = self.trace.room[self.trace.tick(at)] if self.trace else None
        limits = [limit for limit in (traced, self.spot_room) if limit is not None]
        return min(limits) if limits else None


class Market:
    """The pools, made when they are first named. Threads: any."""

    def __init__(self, cpus_of: dict[str, int]):
        """`cpus_of` has every instance type that there is."""
        self._cpus_of = cpus_of
        self._lock = threading.Lock()
        self._pools: dict[tuple[str, str], Pool] = {}
        self.quota: dict[str, int | None] = {"spot": None, "on-demand": None}  # virtual CPUs, over all

    def cpus(self, instance_type: str) -> int:
        return self._cpus_of.get(instance_type, 2)

    def on_demand_price(self, instance_type: str) -> float:
        return ON_DEMAND.get(instance_type, round(PER_CPU * self.cpus(instance_type), 4))

    def pool(self, instance_type: str, zone: str) -> Pool:
        with self._lock:
            key = (instance_type, zone)
            if key not in self._pools:
                self._pools[key] = Pool(instance_type, zone, self.on_demand_price(instance_type))
            return self._pools[key]

    def reset(self) -> None:
        with self._lock:
            self._pools.clear()
            self.quota = {"spot": None, "on-demand": None}

    def pools(self) -> list[Pool]:
        with self._lock:
            return list(self._pools.values())

    def set_price(self, instance_type: str, zone: str, price: float, since: float | None = None) -> None:
        pool = self.pool(instance_type, zone)
        pool.fixed_price = sorted([*pool.fixed_price, (time.time() if since is None else since, price)])

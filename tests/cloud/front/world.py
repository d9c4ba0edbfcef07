"""The state of the cloud, and what happens in it by itself: boots, interruptions, lost capacity."""
import dataclasses
import itertools
import threading
import time
from collections.abc import Callable
from typing import Any

from cloud.front import bill
from cloud.front.event_log import EventLog
from cloud.front.faults import Faults
from cloud.front.lives import Life, Machine
from cloud.front.market import Market, Pool
from cloud.front.timeline import Timeline
from cloud.machines.shared import Shared
from cloud.machines.volumes import Volumes

MARKET_TICK = 0.2  # seconds between looks at recorded markets


@dataclasses.dataclass
class Settings:
    """Durations in seconds. EC2 takes longer; tests have no time for that."""
    pending: float = 0.1  # from the launch to running
    boot: float = 0.1  # from running to the first process
    shutdown: float = 0.2  # what processes have between SIGTERM and SIGKILL
    notice: float = 120.0  # between a spot notice and the end
    attach: float = 0.1  # until a volume that is being attached is
    snapshot: float = 0.2  # until a snapshot is complete
    consistent_after: float = 0.0  # until a new instance is seen by Describe calls
    same_answer_for: float = 0.0  # DescribeInstances asked the same: moto takes 4 ms to write down an instance


class World:
    """Threads: any. `lock` is held by whoever changes instances, moto's calls among them."""

    def __init__(self, market: Market, volumes: Volumes, shared: Shared, make_machine: Callable[["World", Life], Machine] | None):
        self.lock = threading.RLock()
        self.settings = Settings()
        self.market = market
        self.log = EventLog()
        self.faults = Faults()
        self.timeline = Timeline()
        self.lives: dict[str, Life] = {}
        self.volumes, self.shared = volumes, shared
        self.doomed_snapshots: dict[str, bool] = {}  # volumes whose next snapshot fails
        self._make_machine = make_machine
        self._numbers = itertools.count(1)
        self._look_at_markets()

    def reset(self) -> None:
        """No instances, a calm market, no faults; with the lock held."""
        for life in self.all():
            before = life.state
            life.become("terminated")  # what is still to happen to it does not
            if life.machine and before != "terminated":
                life.machine.kill()
        self.lives.clear()
        self.volumes.clear()
        self.shared.become([], {})
        self.doomed_snapshots.clear()
        self.faults.clear()
        self.log.clear()
        self.market.reset()
        self.settings = Settings()

    def all(self) -> list[Life]:
        """In the order of their launches."""
        return list(self.lives.values())

    # -- from launch to end --------------------------------------------------------------------------------------------

    def launched(self, life: Life) -> None:
        life.number = next(self._numbers)
        self.lives[life.id] = life
        life.become("pending")
        self.log.add("launched", **life.view())
        self.timeline.after(self.settings.pending, lambda: self._start(life))

    def _start(self, life: Life) -> None:
        with self.lock:
            if life.state != "pending":
                return
            life.become("running")
            life.begin_use()
            if self._make_machine and life.machine is None:
                life.machine = self._make_machine(self, life)
        self.log.add("running", **life.view())
        self.timeline.after(self.settings.boot, lambda: self._boot(life))

    def _boot(self, life: Life) -> None:
        if life.machine and life.state == "running":
            life.machine.boot()
            self.log.add("booted", instance=life.id)

    def end(self, life: Life, reason: str, sudden: bool = False) -> None:
        """Terminates; `reason` is one of lives.ENDS. A sudden end gives processes no time."""
        with self.lock:
            if life.state in ("shutting-down", "terminated"):
                return
            life.become("shutting-down", reason)
            life.end_use(interrupted=reason == "spot")
            if life.request:
                _close_request(life, reason)
        self.log.add("shutting-down", **life.view())
        self.timeline.now(lambda: self._finish(life, reason, sudden))

    def _finish(self, life: Life, reason: str, sudden: bool) -> None:
        if life.machine:
            if sudden:
                life.machine.kill()
            else:
                life.machine.power_off(self.settings.shutdown)
        for device in list(life.record.block_device_mapping.values()):
            self.volumes.disconnect(device.volume_id)
        with self.lock:
            if life.over:
                return
            life.record.terminate()
            life.become("terminated", reason)
        self.log.add("terminated", **life.view())

    def stop(self, life: Life, reason: str = "user") -> None:
        with self.lock:
            if not life.alive:
                return
            life.become("stopping", reason)
            life.end_use(interrupted=False)
        self.timeline.now(lambda: self._stopped(life, reason))

    def _stopped(self, life: Life, reason: str) -> None:
        if life.machine:
            life.machine.power_off(self.settings.shutdown)
        with self.lock:
            if life.state == "stopping":
                life.become("stopped", reason)

    def start_again(self, life: Life) -> None:
        with self.lock:
            life.become("pending")
        self.timeline.after(self.settings.pending, lambda: self._start(life))

    def powered_off(self, life: Life) -> None:
        """The machine's own word: somebody on it shut it down."""
        if not life.alive:
            return
        self.log.add("powered-off", instance=life.id)
        if life.record.instance_initiated_shutdown_behavior == "terminate" or life.market == "spot":
            self.end(life, "instance")
        else:
            self.stop(life, "instance")

    # -- what the market does --------------------------------------------------------------------------------------------

    def interrupt(self, life: Life, notice: float | None = None) -> None:
        """As EC2 takes spot instances back; a notice of 0 is none at all."""
        notice = self.settings.notice if notice is None else notice
        with self.lock:
            if not life.alive:
                raise ValueError(f"{life.id} is {life.state}")
            if notice <= 0:
                return self.end(life, "spot", sudden=True)
            if life.notice is not None:
                return
            life.notice = time.time() + notice
            if life.request:
                life.request.become("active", "marked-for-termination", "The Spot Instance is marked for termination.")
        self.log.add("notice", **life.view())
        self.timeline.after(notice, lambda: self.end(life, "spot"))

    def recommend_rebalance(self, life: Life) -> None:
        life.rebalance = time.time()
        self.log.add("rebalance", instance=life.id)

    def lose(self, life: Life, said_after: float) -> None:
        """The hardware fails: the machine is gone at once, and EC2 says so later."""
        self.log.add("lost", instance=life.id)
        if life.machine:
            life.machine.kill()
        self.timeline.after(said_after, lambda: self.end(life, "failure", sudden=True))

    def running_in(self, pool: Pool, market: str) -> list[Life]:
        return [life for life in self.all() if life.alive and life.market == market
                and (life.type, life.zone) == (pool.type, pool.zone)]

    def free_room(self, pool: Pool, market: str) -> int | None:
        room = pool.room(market, time.time())
        return None if room is None else max(room - len(self.running_in(pool, market)), 0)

    def enforce(self, pool: Pool, notice: float | None = None) -> None:
        """Takes the newest spot instances beyond the pool's room, and those whose price is now too high."""
        now = time.time()
        with self.lock:
            alive = [life for life in self.running_in(pool, "spot") if life.notice is None]
            price = pool.spot_price(now)
            doomed = [life for life in alive if life.max_price is not None and price > life.max_price]
            room = pool.room("spot", now)
            left = sorted((life for life in alive if life not in doomed), key=lambda life: life.number)
            if room is not None:
                doomed += left[room:]
            for life in doomed:
                self.interrupt(life, notice)

    def _look_at_markets(self) -> None:
        for pool in self.market.pools():
            if pool.trace:
                self.enforce(pool)
        self.timeline.after(MARKET_TICK, self._look_at_markets)

    # -- for Describe calls and the bill ---------------------------------------------------------------------------------

    def visible(self, life: Life) -> bool:
        return time.time() - life.launched >= self.settings.consistent_after

    def at_address(self, address: str) -> Life | None:
        return next((life for life in self.all() if not life.over and life.record.private_ip == address), None)

    def bill(self) -> list[dict[str, Any]]:
        now = time.time()
        lines = []
        for life in self.all():
            pool = self.market.pool(life.type, life.zone)
            fixed = pool.on_demand_price
            price = pool.spot_price if life.market == "spot" else lambda _, fixed=fixed: fixed
            lines += [dataclasses.asdict(bill.charge(use, now, price)) for use in life.uses]
        return lines


def _close_request(life: Life, reason: str) -> None:
    if reason == "spot":
        life.request.become("closed", "instance-terminated-no-capacity",
                            "Your Spot instance was terminated because there is no Spot capacity available that matches your request.")
    else:
        life.request.become("closed", "instance-terminated-by-user", "Spot Instance terminated due to user-initiated termination.")

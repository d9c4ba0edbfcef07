"""What a test can do to the cloud: plain JSON over HTTP. POST /NAME with an object of arguments gives {"result": …} or,
with status 400, {"error": sentence}."""
import http.server
import json
import time
from collections.abc import Callable
from typing import Any

from cloud.front import ec2_actions, inventory, moto_app, routes
from cloud.front.faults import Rule
from cloud.front.lives import Life
from cloud.front.market import Trace
from cloud.front.world import World


class Controls:
    """Every public method is a name that can be posted to. Threads: any."""

    def __init__(self, world: World, regions: list[str]):
        self._world, self._regions = world, regions
        self.reset()

    def reset(self) -> None:
        """As at the start."""
        with self._world.lock:
            self._world.reset()
            moto_app.reset()
            ec2_actions.install(self._world)
            for region in self._regions:
                routes.open_default_vpc(moto_app.ec2(region))
            self._at_start = set(inventory.everything(self._world, self._regions))

    def settings(self, **changes: float) -> dict[str, float]:
        for name, value in changes.items():
            if not hasattr(self._world.settings, name):
                raise ValueError(f"there is no setting {name}")
            setattr(self._world.settings, name, value)
        return vars(self._world.settings)

    # -- faults ------------------------------------------------------------------------------------------------------------

    def fault(self, **rule: Any) -> int:
        return self._world.faults.add(Rule(**rule))

    def remove_fault(self, fault: int, drop: bool = False) -> dict[str, int]:
        """`drop`: what is held before it was carried out never will be."""
        rule = self._world.faults.remove(fault, drop)
        return {"seen": rule.seen, "hits": rule.hits}

    def clear_faults(self) -> None:
        self._world.faults.clear()

    def wait_reached(self, fault: int, seconds: float = 30) -> bool:
        """Whether a call waits at a hold, or comes to wait there within this time."""
        return self._world.faults.get(fault).reached.wait(seconds)

    # -- the market --------------------------------------------------------------------------------------------------------

    def capacity(self, type: str, zone: str, spot: int | None = None, on_demand: int | None = None, notice: float | None = None) -> None:
        """How many machines may run; None is no limit. Spot machines beyond it are taken, the newest first."""
        pool = self._world.market.pool(type, zone)
        pool.spot_room, pool.on_demand_room = spot, on_demand
        self._world.enforce(pool, notice)

    def price(self, type: str, zone: str, price: float, since: float | None = None) -> None:
        self._world.market.set_price(type, zone, price, since)
        self._world.enforce(self._world.market.pool(type, zone))

    def trace(self, type: str, zone: str, path: str, begin: int = 0, speed: float = 1.0) -> None:
        """Capacity and price follow a recorded market from now on."""
        self._world.market.pool(type, zone).trace = Trace.load(path, time.time(), begin, speed)

    def offered(self, type: str, zone: str, offered: bool) -> None:
        self._world.market.pool(type, zone).offered = offered

    def quota(self, market: str, cpus: int | None) -> None:
        self._world.market.quota[market] = cpus

    def prices(self, type: str, zone: str) -> dict[str, float]:
        pool = self._world.market.pool(type, zone)
        return {"spot": pool.spot_price(time.time()), "on_demand": pool.on_demand_price}

    # -- instances ---------------------------------------------------------------------------------------------------------

    def instances(self) -> list[dict[str, Any]]:
        return [life.view() for life in self._world.all()]

    def interrupt(self, instance: str | None = None, zone: str | None = None, notice: float | None = None) -> list[str]:
        """EC2 takes one spot instance, all of a zone, or all."""
        return self._each(instance, zone, lambda life: self._world.interrupt(life, notice), spot_only=True)

    def rebalance(self, instance: str) -> list[str]:
        return self._each(instance, None, self._world.recommend_rebalance)

    def lose(self, instance: str | None = None, zone: str | None = None, said_after: float = 1.0) -> list[str]:
        """Hardware fails, without a word; EC2 knows it later."""
        return self._each(instance, zone, lambda life: self._world.lose(life, said_after))

    def freeze(self, instance: str) -> list[str]:
        return self._each(instance, None, lambda life: life.machine.freeze())

    def thaw(self, instance: str) -> list[str]:
        return self._each(instance, None, lambda life: life.machine.thaw())

    def cut(self, instance: str) -> list[str]:
        return self._each(instance, None, lambda life: life.machine.cut())

    def mend(self, instance: str) -> list[str]:
        return self._each(instance, None, lambda life: life.machine.mend())

    def run(self, instance: str, command: list[str]) -> dict[str, Any]:
        """Runs a command on the machine, as if over ssh."""
        return self._world.lives[instance].machine.run(command)

    def console(self, instance: str) -> str:
        return self._world.lives[instance].machine.console()

    # -- volumes -----------------------------------------------------------------------------------------------------------

    def fail_snapshot(self, volume: str) -> None:
        """The next snapshot of this volume ends in state error."""
        self._world.doomed_snapshots[volume] = True

    def _each(self, instance: str | None, zone: str | None, act: Callable[[Life], Any], spot_only: bool = False) -> list[str]:
        lives = [life for life in self._world.all() if life.alive and (instance in (None, life.id)) and (zone in (None, life.zone))
                 and not (spot_only and life.market != "spot")]
        if instance and not lives:
            raise ValueError(f"{instance} is no instance that runs" + (" on spot" if spot_only else ""))
        for life in lives:
            act(life)
        return [life.id for life in lives]

    # -- what was -----------------------------------------------------------------------------------------------------------

    def bill(self) -> list[dict[str, Any]]:
        return self._world.bill()

    def events(self, after: int = 0, wait: float = 0) -> list[dict[str, Any]]:
        return self._world.log.events(after, min(wait, 30))

    def calls(self) -> dict[str, int]:
        return self._world.log.calls()

    def reset_calls(self) -> None:
        self._world.log.reset_calls()

    def leftovers(self) -> list[list[str]]:
        """What there is beyond what there was at the start: (kind, id)."""
        with self._world.lock:
            return sorted(list(item) for item in inventory.everything(self._world, self._regions) if item not in self._at_start)


class ControlServer(http.server.ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 256

    def __init__(self, address: tuple[str, int], controls: Controls):
        super().__init__(address, _Handler)
        self.controls = controls


class _Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: ControlServer

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        name = self.path.strip("/")
        try:
            if name.startswith("_") or not callable(getattr(Controls, name, None)):
                raise ValueError(f"there is no control {name}")
            status, answer = 200, {"result": getattr(self.server.controls, name)(**json.loads(body or b"{}"))}
        except Exception as error:  # a test's mistake, told to the test
            status, answer = 400, {"error": f"{name}: {type(error).__name__}: {error}"}
        data = json.dumps(answer).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *_: object) -> None:
        pass

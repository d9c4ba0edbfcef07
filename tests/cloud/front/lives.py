"""One instance as this cloud knows it: more than moto's record of it."""
import dataclasses
import datetime
import time
from typing import Any, Protocol

from cloud.front.bill import Use

# Names and codes of EC2's instance states.
CODES = {"pending": 0, "running": 16, "shutting-down": 32, "terminated": 48, "stopping": 64, "stopped": 80}

# Why an instance ends: EC2's state reason, its message, and whose act the transition is.
ENDS = {
    "user": ("Client.UserInitiatedShutdown", "User initiated shutdown", "User initiated"),
    "instance": ("Client.InstanceInitiatedShutdown", "Instance initiated shutdown", ""),
    "spot": ("Server.SpotInstanceTermination", "Spot instance termination", "Service initiated"),
    "capacity": ("Server.InsufficientInstanceCapacity", "Insufficient capacity to launch the instance", "Service initiated"),
    "failure": ("Server.InternalError", "Internal error on launch", "Service initiated"),
}


class Machine(Protocol):
    """What runs behind an instance."""

    def boot(self) -> None: ...
    def power_off(self, grace: float) -> None: ...
    def kill(self) -> None: ...
    def reboot(self) -> None: ...
    def freeze(self) -> None: ...
    def thaw(self) -> None: ...


@dataclasses.dataclass
class SpotRequest:
    """What DescribeSpotInstanceRequests tells; RunInstances makes one for each spot instance."""
    id: str
    max_price: float
    kind: str  # "one-time" or "persistent"
    created: float
    state: str = "active"
    status: str = "fulfilled"
    message: str = "Your spot request is fulfilled."
    updated: float = 0.0

    def become(self, state: str, status: str, message: str) -> None:
        self.state, self.status, self.message, self.updated = state, status, message, time.time()


@dataclasses.dataclass(eq=False)
class Life:
    record: Any  # moto's Instance; its state is set here and nowhere else
    region: str
    market: str  # "spot" or "on-demand"
    max_price: float | None
    launched: float
    fleet: str | None = None
    request: SpotRequest | None = None
    machine: Machine | None = None
    uses: list[Use] = dataclasses.field(default_factory=list)
    notice: float | None = None  # when it will be taken, once that was said
    rebalance: float | None = None  # when a rebalance recommendation was given
    number: int = 0  # in the order of launches

    @property
    def id(self) -> str:
        return self.record.id

    @property
    def type(self) -> str:
        return self.record.instance_type

    @property
    def zone(self) -> str:
        return self.record.placement.zone

    @property
    def state(self) -> str:
        return self.record._state.name

    @property
    def alive(self) -> bool:
        return self.state in ("pending", "running")

    @property
    def over(self) -> bool:
        return self.state == "terminated"

    def become(self, state: str, reason: str | None = None) -> None:
        """`reason` is one of ENDS."""
        self.record._state.name, self.record._state.code = state, CODES[state]
        if reason is None:
            self.record._reason, self.record.state_reason.code, self.record.state_reason.message = "", "", ""
            return
        code, message, who = ENDS[reason]
        stamp = datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%d %H:%M:%S GMT")
        self.record._reason = f"{who} ({stamp})" if who else ""
        self.record.state_reason.code, self.record.state_reason.message = code, f"{code}: {message}"

    def begin_use(self) -> None:
        self.uses.append(Use(self.id, self.type, self.zone, self.market, time.time(), None, False))

    def end_use(self, interrupted: bool) -> None:
        if self.uses and self.uses[-1].ended is None:
            self.uses[-1].ended, self.uses[-1].interrupted = time.time(), interrupted

    def view(self) -> dict[str, Any]:
        return {"instance": self.id, "region": self.region, "type": self.type, "zone": self.zone, "market": self.market,
                "state": self.state, "reason": self.record.state_reason.code, "address": self.record.private_ip,
                "launched": self.launched, "notice": self.notice, "fleet": self.fleet, "number": self.number}

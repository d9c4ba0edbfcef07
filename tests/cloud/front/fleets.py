"""CreateFleet of type "instant": https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_CreateFleet.html"""
import dataclasses
import math
import time
from typing import Any

from moto.core.exceptions import ServiceException
from moto.ec2.exceptions import EC2ClientError
from moto.ec2.utils import random_fleet_id

from cloud.front import launching
from cloud.front.lives import Life
from cloud.front.world import World

UNFULFILLABLE = ("UnfulfillableCapacity", "Unable to fulfill capacity due to your request configuration. Please adjust your request and try again.")


@dataclasses.dataclass
class Candidate:
    """One pool that the request allows."""
    template: dict[str, Any]
    override: dict[str, Any]
    parameters: dict[str, Any]  # of RunInstances
    zone: str
    error: tuple[str, str] | None = None  # why it cannot be used at all

    @property
    def type(self) -> str:
        return self.parameters.get("InstanceType", "")

    @property
    def weight(self) -> float:
        return float(self.override.get("WeightedCapacity") or 1)

    @property
    def max_price(self) -> float | None:
        return float(self.override["MaxPrice"]) if self.override.get("MaxPrice") else None

    def told(self) -> dict[str, Any]:
        return {"LaunchTemplateSpecification": self.template, "Overrides": self.override}


@dataclasses.dataclass
class Fleet:
    id: str
    request: dict[str, Any]
    created: float
    lives: list[tuple[Candidate, Life]] = dataclasses.field(default_factory=list)
    errors: list[dict[str, Any]] = dataclasses.field(default_factory=list)
    state: str = "active"

    def result(self) -> dict[str, Any]:
        """CreateFleetResult: the instances of one pool are one entry."""
        entries: dict[int, dict[str, Any]] = {}
        for candidate, life in self.lives:
            entry = entries.setdefault(id(candidate), {
                "LaunchTemplateAndOverrides": candidate.told(), "Lifecycle": life.market, "InstanceIds": [], "InstanceType": life.type})
            entry["InstanceIds"].append(life.id)
        return {"FleetId": self.id, "Errors": self.errors, "Instances": list(entries.values())}

    def view(self) -> dict[str, Any]:
        """FleetData of DescribeFleets."""
        spot = sum(c.weight for c, life in self.lives if life.market == "spot")
        on_demand = sum(c.weight for c, life in self.lives if life.market != "spot")
        return {"FleetId": self.id, "FleetState": self.state, "ActivityStatus": "fulfilled" if self.lives else "error",
                "CreateTime": _stamp(self.created), "Type": "instant", "FulfilledCapacity": spot + on_demand,
                "FulfilledOnDemandCapacity": on_demand, "ClientToken": self.request.get("ClientToken"),
                "TargetCapacitySpecification": self.request["TargetCapacitySpecification"],
                "LaunchTemplateConfigs": self.request["LaunchTemplateConfigs"],
                "Errors": self.errors, "Instances": self.result()["Instances"],
                "Tags": _tags(self.request, "fleet")}


def create(world: World, response: Any, request: dict[str, Any]) -> Fleet:
    """Call it with the world's lock."""
    if request.get("Type") != "instant":
        raise EC2ClientError("UnsupportedOperation", "This stand-in makes only fleets of type instant.")
    for options in ("SpotOptions", "OnDemandOptions"):
        if "MaxTotalPrice" in request.get(options, {}):
            raise EC2ClientError("UnsupportedOperation", f"This stand-in does not know {options}.MaxTotalPrice.")
    fleet = Fleet(random_fleet_id(), request, time.time())
    candidates = _candidates(response.ec2_backend, response.region, request)
    spot, on_demand = _targets(request["TargetCapacitySpecification"])
    for market, target in (("on-demand", on_demand), ("spot", spot)):
        if target > 0:
            _Filling(world, response, fleet, market).fill(candidates, target)
    world.log.add("fleet", fleet=fleet.id, instances=[life.id for _, life in fleet.lives], errors=[e["ErrorCode"] for e in fleet.errors])
    return fleet


def _targets(wanted: dict[str, Any]) -> tuple[float, float]:
    spot, on_demand = float(wanted.get("SpotTargetCapacity") or 0), float(wanted.get("OnDemandTargetCapacity") or 0)
    rest = float(wanted["TotalTargetCapacity"]) - spot - on_demand
    if wanted.get("DefaultTargetCapacityType") == "spot":
        return spot + rest, on_demand
    return spot, on_demand + rest


def _candidates(backend: Any, region: str, request: dict[str, Any]) -> list[Candidate]:
    found = []
    for config in request["LaunchTemplateConfigs"]:
        template = config["LaunchTemplateSpecification"]
        base = launching.flatten(backend, {"LaunchTemplate": template})
        base["TagSpecifications"] = launching.merge_tags(base["TagSpecifications"] + [
            spec for spec in request.get("TagSpecifications", []) if spec["ResourceType"] in launching.TAGGED_AT_LAUNCH])
        for override in config.get("Overrides") or [{}]:
            found += _pools_of(backend, template, override, base)
    return found


def _pools_of(backend: Any, template: dict[str, Any], override: dict[str, Any], base: dict[str, Any]) -> list[Candidate]:
    parameters = {**base, **{key: override[key] for key in ("InstanceType", "ImageId", "SubnetId", "Placement") if override.get(key)}}
    zone = override.get("AvailabilityZone") or parameters.get("Placement", {}).get("AvailabilityZone")
    if override.get("SubnetId") and parameters.get("NetworkInterfaces"):
        first, *others = parameters["NetworkInterfaces"]
        parameters["NetworkInterfaces"] = [{**first, "SubnetId": override["SubnetId"]}, *others]
    named = parameters.get("SubnetId") or any("SubnetId" in nic for nic in parameters.get("NetworkInterfaces", []))
    if not named and not zone:
        return [_candidate(backend, template, override, parameters, each) for each in backend.get_default_subnets()]
    return [_candidate(backend, template, override, parameters, zone)]


def _candidate(backend: Any, template: dict[str, Any], override: dict[str, Any], parameters: dict[str, Any], zone: str | None) -> Candidate:
    if zone:
        parameters = {**parameters, "Placement": {**parameters.get("Placement", {}), "AvailabilityZone": zone}}
    try:
        zone = launching.subnet_of(backend, parameters, zone).availability_zone
    except ServiceException as error:
        return Candidate(template, override, parameters, zone or "", (error.code, error.message))
    return Candidate(template, override, parameters, zone)


class _Filling:
    """One market's part of a fleet."""

    def __init__(self, world: World, response: Any, fleet: Fleet, market: str):
        self.world, self.response, self.fleet, self.market = world, response, fleet, market
        self.options = fleet.request.get("SpotOptions" if market == "spot" else "OnDemandOptions", {})

    def fill(self, candidates: list[Candidate], target: float) -> None:
        for candidate in candidates:
            if candidate.error:
                self._fail(candidate, *candidate.error)
        usable = [candidate for candidate in candidates if not candidate.error]
        least = float(self.options.get("MinTargetCapacity") or 0)
        for group in self._groups(usable, target):
            if least and self._capacity(group) < least:
                for candidate in group:
                    self._fail(candidate, *UNFULFILLABLE)
                continue
            filled = self._launch(group, target)
            if filled >= target or (filled and self._single()):
                return

    def _single(self) -> bool:
        return bool(self.options.get("SingleAvailabilityZone") or self.options.get("SingleInstanceType"))

    def _groups(self, candidates: list[Candidate], target: float) -> list[list[Candidate]]:
        """In the order of the allocation strategy; one a zone or type where the fleet must not be spread."""
        ordered = sorted(candidates, key=lambda candidate: self._rank(candidate, target))
        if not self._single():
            return [ordered]
        groups: dict[tuple[str, str], list[Candidate]] = {}
        for candidate in ordered:
            key = (candidate.zone if self.options.get("SingleAvailabilityZone") else "",
                   candidate.type if self.options.get("SingleInstanceType") else "")
            groups.setdefault(key, []).append(candidate)
        return list(groups.values())

    def _rank(self, candidate: Candidate, target: float) -> tuple[float, ...]:
        strategy = self.options.get("AllocationStrategy") or "lowest-price"
        price = self._price(candidate) / candidate.weight
        room = self._room(candidate)
        if strategy == "price-capacity-optimized":
            return (float(room * candidate.weight < target), price)
        if strategy == "capacity-optimized":
            return (-room, price)
        if strategy in ("prioritized", "capacity-optimized-prioritized"):
            return (float(candidate.override.get("Priority", math.inf)), price)
        return (price,)

    def _price(self, candidate: Candidate) -> float:
        pool = self.world.market.pool(candidate.type, candidate.zone)
        return pool.spot_price(time.time()) if self.market == "spot" else pool.on_demand_price

    def _room(self, candidate: Candidate) -> float:
        room = self.world.free_room(self.world.market.pool(candidate.type, candidate.zone), self.market)
        return math.inf if room is None else room

    def _capacity(self, group: list[Candidate]) -> float:
        return sum(self._room(candidate) * candidate.weight for candidate in group
                   if self.market != "spot" or candidate.max_price is None or candidate.max_price >= self._price(candidate))

    def _launch(self, group: list[Candidate], target: float) -> float:
        filled = 0.0
        for candidate in group:
            if filled >= target:
                break
            order = launching.Order(candidate.parameters, self.market, 1, math.ceil((target - filled) / candidate.weight),
                                    candidate.max_price, fleet=self.fleet.id)
            try:
                lives = launching.launch(self.world, self.response, order)
            except ServiceException as error:
                self._fail(candidate, error.code, error.message)
                continue
            self.fleet.lives += [(candidate, life) for life in lives]
            filled += len(lives) * candidate.weight
        return filled

    def _fail(self, candidate: Candidate, code: str, message: str) -> None:
        self.fleet.errors.append({"LaunchTemplateAndOverrides": candidate.told(), "Lifecycle": self.market, "ErrorCode": code, "ErrorMessage": message})


def _tags(request: dict[str, Any], kind: str) -> list[dict[str, str]]:
    return [tag for spec in request.get("TagSpecifications", []) if spec["ResourceType"] == kind for tag in spec.get("Tags", [])]


def _stamp(seconds: float) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(seconds))

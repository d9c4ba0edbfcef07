"""The EC2 actions that moto lacks or does otherwise than AWS. They take the place of moto's own methods of the same names,
with moto's parsing and serialising, which follow botocore's service model."""
import copy
import datetime
import time
from typing import Any

from moto.core.responses import ActionResult, EmptyResult
from moto.ec2.exceptions import EC2ClientError, InvalidInstanceIdError
from moto.ec2.models.instance_types import INSTANCE_TYPE_OFFERINGS
from moto.ec2.responses import EC2Response
from moto.ec2.responses._base_response import EC2BaseResponse
from moto.ec2.responses.instances import InstanceResponse
from moto.ec2.responses.security_groups import SecurityGroups

from cloud.front import ebs_actions, fleets, launching
from cloud.front.lives import CODES, Life
from cloud.front.once import once
from cloud.front.world import World

PAGE = 1000  # entries in one answer
LINUX = "Linux/UNIX"


class Actions(EC2BaseResponse):
    world: World
    tokens: dict[tuple[str, str, str], tuple[str, Any]]
    fleets: dict[str, fleets.Fleet]

    # -- launching -------------------------------------------------------------------------------------------------------

    def run_instances(self) -> ActionResult:
        with self.world.lock:
            return ActionResult(once(self, "RunInstances", lambda: _run_instances(self)))

    def create_fleet(self) -> ActionResult:
        def make() -> fleets.Fleet:
            self.error_on_dryrun()
            made = fleets.create(self.world, self, self.params)
            self.fleets[made.id] = made
            return made

        with self.world.lock:
            return ActionResult(once(self, "CreateFleet", make).result())

    def describe_fleets(self) -> ActionResult:
        return ActionResult({"Fleets": [fleet.view() for fleet in _named_fleets(self, self._get_param("FleetIds", []))]})

    def describe_fleet_instances(self) -> ActionResult:
        fleet = _named_fleets(self, [self._get_param("FleetId")])[0]
        return ActionResult({"FleetId": fleet.id, "ActiveInstances": [
            {"InstanceId": life.id, "InstanceType": life.type, "InstanceHealth": "healthy",
             "SpotInstanceRequestId": life.request.id if life.request else None} for _, life in fleet.lives if life.alive]})

    def delete_fleets(self) -> ActionResult:
        deleted, refused = [], []
        for fleet in _named_fleets(self, self._get_param("FleetIds", [])):
            alive = [life for _, life in fleet.lives if life.alive]
            if alive and not self._get_bool_param("TerminateInstances"):
                refused.append({"FleetId": fleet.id, "Error": {"Code": "fleetNotInDeletableState", "Message": "A deleted instant fleet cannot "
                                                               "have running instances."}})
                continue
            for life in alive:
                self.world.end(life, "user")
            before, fleet.state = fleet.state, "deleted_terminating" if alive else "deleted"
            deleted.append({"FleetId": fleet.id, "CurrentFleetState": fleet.state, "PreviousFleetState": before})
        return ActionResult({"SuccessfulFleetDeletions": deleted, "UnsuccessfulFleetDeletions": refused})

    # -- instances ---------------------------------------------------------------------------------------------------------

    def describe_instances(self) -> ActionResult:
        hidden = {life.id for life in self.world.all() if not self.world.visible(life)}
        if hidden:
            for wanted in self._get_param("InstanceIds", []):
                if wanted in hidden:
                    raise InvalidInstanceIdError(wanted)
        inner = copy.copy(self)
        inner.params = {**self.params, "MaxResults": len(self.ec2_backend.reservations) + 1, "NextToken": None}
        reservations = InstanceResponse.describe_instances(inner).result["Reservations"]
        for reservation in reservations:
            reservation.instances = [instance for instance in reservation.instances if instance.id not in hidden]
        most = int(self._get_param("MaxResults") or PAGE)
        page, following = _instances_page(reservations, self._get_param("NextToken"), most)
        return ActionResult({"Reservations": page, "NextToken": following})

    def terminate_instances(self) -> ActionResult:
        def end(life: Life) -> None:
            if life.record.disable_api_termination is True:
                raise EC2ClientError("OperationNotPermitted", f"The instance '{life.id}' may not be terminated. Modify its "
                                     "'disableApiTermination' instance attribute and try again.")
            self.world.end(life, "user")

        return _change(self, "TerminatingInstances", end)

    def stop_instances(self) -> ActionResult:
        def stop(life: Life) -> None:
            if life.request and life.request.kind == "one-time":
                raise EC2ClientError("UnsupportedOperation", f"You can't stop the Spot Instance '{life.id}' because it is associated with a "
                                     "one-time Spot Instance request. You can only stop Spot Instances associated with persistent Spot "
                                     "Instance requests.")
            self.world.stop(life)

        return _change(self, "StoppingInstances", stop)

    def start_instances(self) -> ActionResult:
        def start(life: Life) -> None:
            if life.state != "stopped":
                raise EC2ClientError("IncorrectInstanceState", f"The instance '{life.id}' is not in a state from which it can be started.")
            self.world.start_again(life)

        return _change(self, "StartingInstances", start)

    def reboot_instances(self) -> ActionResult:
        for life in _named_lives(self):
            if life.machine and life.state == "running":
                self.world.timeline.now(life.machine.reboot)
        return EmptyResult()

    def delete_security_group(self) -> ActionResult:
        """moto lets a group go that is in use."""
        group = self._get_param("GroupId") or self.ec2_backend.get_security_group_by_name_or_id(self._get_param("GroupName")).id
        with self.world.lock:
            used = any(group in (other.id for other in life.record.security_groups) for life in self.world.all() if not life.over)
            named = any(group == rule.source_group.get("GroupId") for other in self.ec2_backend.describe_security_groups() if other.id != group
                        for rule in [*other.ingress_rules, *other.egress_rules])
            if used or named:
                raise EC2ClientError("DependencyViolation", f"resource {group} has a dependent object")
            return SecurityGroups.delete_security_group(self)

    # -- the spot market ---------------------------------------------------------------------------------------------------

    def describe_spot_instance_requests(self) -> ActionResult:
        wanted = self._get_param("SpotInstanceRequestIds", [])
        found = {life.request.id: life for life in self.world.all() if life.request and life.region == self.region}
        if missing := [request for request in wanted if request not in found]:
            raise EC2ClientError("InvalidSpotInstanceRequestID.NotFound", f"The spot instance request ID '{missing[0]}' does not exist")
        views = [_request_view(life) for request, life in found.items() if not wanted or request in wanted]
        keys = {"state": "State", "instance-id": "InstanceId", "spot-instance-request-id": "SpotInstanceRequestId"}
        for name, values in self._filters_from_querystring().items():
            if name not in keys:
                raise EC2ClientError("InvalidParameterValue", f"The filter '{name}' is invalid")
            views = [view for view in views if view[keys[name]] in values]
        return ActionResult({"SpotInstanceRequests": views})

    def cancel_spot_instance_requests(self) -> ActionResult:
        wanted, cancelled = self._get_param("SpotInstanceRequestIds", []), []
        for life in self.world.all():
            if life.request and life.request.id in wanted:
                if life.request.state == "active":
                    life.request.become("cancelled", "request-canceled-and-instance-running", "The request was cancelled.")
                cancelled.append({"SpotInstanceRequestId": life.request.id, "State": life.request.state})
        return ActionResult({"CancelledSpotInstanceRequests": cancelled})

    def describe_spot_price_history(self) -> ActionResult:
        end = _seconds(self._get_param("EndTime"), time.time())
        begin = min(_seconds(self._get_param("StartTime"), end), end)
        entries = []
        if set(self._get_param("ProductDescriptions", [LINUX])) & {LINUX, "Linux/UNIX (Amazon VPC)"}:
            entries = [_price_view(pool, moment, price) for pool in _priced_pools(self) for moment, price in pool.price_changes(begin, end)]
        entries.sort(key=lambda entry: (entry["Timestamp"], entry["InstanceType"], entry["AvailabilityZone"]), reverse=True)
        first = int(self._get_param("NextToken") or 0)
        size = min(self._get_int_param("MaxResults") or PAGE, PAGE)
        token = str(first + size) if first + size < len(entries) else ""
        return ActionResult({"SpotPriceHistory": entries[first:first + size], "NextToken": token})

    def get_spot_placement_scores(self) -> ActionResult:
        """10 where there is room for all, falling with the part that there is."""
        regions, wanted = self._get_param("RegionNames") or [self.region], int(self._get_param("TargetCapacity"))
        scores = []
        for region in regions:
            zones = {subnet.availability_zone: subnet.availability_zone_id for subnet in _backend_of(self, region).get_default_subnets().values()}
            by_zone = {zone: _score(self.world, self._get_param("InstanceTypes", []), zone, wanted) for zone in zones}
            if self._get_bool_param("SingleAvailabilityZone"):
                scores += [{"Region": region, "AvailabilityZoneId": zones[zone], "Score": score} for zone, score in by_zone.items()]
            else:
                scores.append({"Region": region, "Score": max(by_zone.values())})
        return ActionResult({"SpotPlacementScores": sorted(scores, key=lambda score: -score["Score"])})


def install(world: World) -> None:
    """From now on moto answers with these actions. Again: what they remember is forgotten."""
    Actions.world, Actions.tokens, Actions.fleets = world, {}, {}
    for name, value in [*vars(Actions).items(), *vars(ebs_actions.Actions).items()]:
        if not name.startswith("__"):
            setattr(EC2Response, name, value)


# `response` is in all of these moto's object for the call being answered.

def _run_instances(response: Any) -> dict[str, Any]:
    parameters = launching.flatten(response.ec2_backend, response.params)
    response.error_on_dryrun()
    options = parameters.get("InstanceMarketOptions") or {}
    spot = options.get("SpotOptions") or {}
    order = launching.Order(parameters, "spot" if options.get("MarketType") == "spot" else "on-demand",
                            int(parameters.get("MinCount") or 1), int(parameters.get("MaxCount") or 1),
                            float(spot["MaxPrice"]) if spot.get("MaxPrice") else None, spot.get("SpotInstanceType") or "one-time")
    if "SubnetId" not in parameters and not parameters.get("Placement", {}).get("AvailabilityZone"):
        lives = _anywhere(response, order)
    else:
        lives = launching.launch(response.world, response, order)
    backend = response.ec2_backend
    reservation = next(found for found in backend.reservations.values() if lives[0].record in found.instances)
    return {"ReservationId": reservation.id, "OwnerId": reservation.owner_id, "Groups": [], "Instances": reservation.instances}


def _anywhere(response: Any, order: launching.Order) -> list[Life]:
    """In the zone that EC2 chooses: here the first, by name, that has room."""
    if any("SubnetId" in nic for nic in order.parameters.get("NetworkInterfaces", [])):
        return launching.launch(response.world, response, order)
    error: EC2ClientError | None = None
    placement = order.parameters.get("Placement", {})
    for zone in sorted(response.ec2_backend.get_default_subnets()):
        order.parameters["Placement"] = {**placement, "AvailabilityZone": zone}
        try:
            return launching.launch(response.world, response, order)
        except EC2ClientError as refusal:
            if refusal.code not in ("InsufficientInstanceCapacity", "Unsupported", "SpotMaxPriceTooLow"):
                raise
            error = refusal
    raise error or EC2ClientError("VPCIdNotSpecified", "No default VPC for this user")


def _instances_page(reservations: list[Any], after: str | None, most: int) -> tuple[list[Any], str | None]:
    """EC2 counts instances, where moto counts the requests that made them; a token is the page's last instance."""
    entries = [(reservation, instance) for reservation in reservations for instance in reservation.instances]
    first = 1 + next((n for n, (_, instance) in enumerate(entries) if instance.id == after), len(entries)) if after else 0
    page = entries[first:first + most]
    shown = {instance.id for _, instance in page}
    for reservation in reservations:
        reservation.instances = [instance for instance in reservation.instances if instance.id in shown]
    return [reservation for reservation in reservations if reservation.instances], page[-1][1].id if first + most < len(entries) else None


def _named_fleets(response: Any, wanted: list[str]) -> list[fleets.Fleet]:
    if missing := [fleet for fleet in wanted if fleet not in response.fleets]:
        raise EC2ClientError("InvalidFleetId.NotFound", f"The fleet ID '{missing[0]}' does not exist")
    return [fleet for key, fleet in response.fleets.items() if key in wanted or not wanted]


def _named_lives(response: Any) -> list[Life]:
    """The instances that a call names; all are there, or the call does nothing."""
    wanted, world = response._get_param("InstanceIds", []), response.world
    for instance in wanted:
        life = world.lives.get(instance)
        if life is None or life.region != response.region or not world.visible(life):
            raise InvalidInstanceIdError(instance)
    response.error_on_dryrun()
    return [world.lives[instance] for instance in wanted]


def _change(response: Any, key: str, change: Any) -> ActionResult:
    with response.world.lock:
        entries = []
        for life in _named_lives(response):
            before = {"Name": life.state, "Code": CODES[life.state]}
            change(life)
            entries.append({"InstanceId": life.id, "PreviousState": before, "CurrentState": {"Name": life.state, "Code": CODES[life.state]}})
        return ActionResult({key: entries})


def _request_view(life: Life) -> dict[str, Any]:
    request = life.request
    return {"SpotInstanceRequestId": request.id, "State": request.state, "Type": request.kind, "InstanceId": life.id,
            "SpotPrice": f"{request.max_price:.6f}", "CreateTime": _stamp(request.created), "LaunchedAvailabilityZone": life.zone,
            "ProductDescription": LINUX, "InstanceInterruptionBehavior": "terminate",
            "Status": {"Code": request.status, "Message": request.message, "UpdateTime": _stamp(request.updated)}}


def _priced_pools(response: Any) -> list[Any]:
    """The pools that a call for prices means."""
    filters = response._filters_from_querystring()
    types = response._get_param("InstanceTypes", []) or filters.get("instance-type", [])
    zone = response._get_param("AvailabilityZone")
    zones = [zone] if zone else filters.get("availability-zone", [])
    offered = [(entry["InstanceType"], entry["Location"]) for entry in INSTANCE_TYPE_OFFERINGS["availability-zone"].get(response.region, [])]
    return [response.world.market.pool(*key) for key in sorted(offered) if (not types or key[0] in types) and (not zones or key[1] in zones)]


def _price_view(pool: Any, moment: float, price: float) -> dict[str, Any]:
    return {"InstanceType": pool.type, "AvailabilityZone": pool.zone, "ProductDescription": LINUX, "SpotPrice": f"{price:.6f}", "Timestamp": _stamp(moment)}


def _score(world: World, types: list[str], zone: str, wanted: int) -> int:
    rooms = [world.free_room(world.market.pool(kind, zone), "spot") for kind in types]
    if any(room is None for room in rooms):
        return 10
    return max(1, min(10, 10 * sum(rooms) // max(wanted, 1)))


def _backend_of(response: Any, region: str) -> Any:
    from moto.ec2.models import ec2_backends
    return ec2_backends[response.current_account][region]


def _seconds(value: Any, default: float) -> float:
    if value is None:
        return default
    if isinstance(value, datetime.datetime):
        return value.timestamp() if value.tzinfo else value.replace(tzinfo=datetime.timezone.utc).timestamp()
    return datetime.datetime.fromisoformat(str(value).replace("Z", "+00:00")).timestamp()


def _stamp(seconds: float) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(seconds))

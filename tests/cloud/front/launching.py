"""Starts instances in one pool, or says in EC2's words why not."""
import copy
import dataclasses
import time
from typing import Any

from moto.core.exceptions import ServiceException
from moto.ec2.exceptions import EC2ClientError
from moto.ec2.models.instance_types import INSTANCE_TYPE_OFFERINGS, INSTANCE_TYPES
from moto.ec2.responses.instances import InstanceResponse
from moto.ec2.utils import random_spot_request_id

from cloud.front.lives import Life, SpotRequest
from cloud.front.market import Pool
from cloud.front.world import World

TAGGED_AT_LAUNCH = {"instance", "volume", "network-interface", "spot-instances-request"}


@dataclasses.dataclass
class Order:
    """What is wanted of one pool."""
    parameters: dict[str, Any]  # of RunInstances, without a launch template
    market: str
    least: int = 1
    most: int = 1
    max_price: float | None = None
    request_kind: str = "one-time"
    fleet: str | None = None


def flatten(backend: Any, parameters: dict[str, Any]) -> dict[str, Any]:
    """The parameters with those of their launch template below them."""
    template = parameters.get("LaunchTemplate")
    if not template:
        return dict(parameters)
    version = backend._get_template_from_args({**template, "Version": template.get("Version", "$Default")})
    data = {key: value for key, value in version.data.items() if value is not None}
    if "UserData" in data:
        data["UserData"] = str(data["UserData"])
    own = {key: value for key, value in parameters.items() if key != "LaunchTemplate"}
    tags = [spec for spec in data.get("TagSpecifications", []) if spec["ResourceType"] in TAGGED_AT_LAUNCH]
    tags.append({"ResourceType": "instance", "Tags": [{"Key": "aws:ec2launchtemplate:id", "Value": version.template.id},
                                                      {"Key": "aws:ec2launchtemplate:version", "Value": str(version.number)}]})
    return {**data, **own, "TagSpecifications": merge_tags(tags + own.get("TagSpecifications", []))}


def merge_tags(specifications: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """One entry a kind of resource; of a key given twice the later value."""
    merged: dict[str, dict[str, str]] = {}
    for spec in specifications:
        merged.setdefault(spec["ResourceType"], {}).update({tag["Key"]: tag.get("Value", "") for tag in spec.get("Tags", [])})
    return [{"ResourceType": kind, "Tags": [{"Key": k, "Value": v} for k, v in tags.items()]} for kind, tags in merged.items()]


def subnet_of(backend: Any, parameters: dict[str, Any], zone: str | None) -> Any:
    """The subnet that the parameters name, or the default one of the zone."""
    interfaces = parameters.get("NetworkInterfaces") or [{}]
    named = parameters.get("SubnetId") or interfaces[0].get("SubnetId")
    if named:
        subnet = backend.get_subnet(named)
        if zone and subnet.availability_zone != zone:
            raise EC2ClientError("InvalidParameterValue", f"The availability zone '{zone}' of the request does not match that of the "
                                 f"subnet '{named}', '{subnet.availability_zone}'.")
        return subnet
    defaults = backend.get_default_subnets()
    if zone not in defaults:
        raise EC2ClientError("InvalidParameterValue", f"Invalid availability zone: [{zone}]")
    return defaults[zone]


def launch(world: World, response: Any, order: Order) -> list[Life]:
    """Raises EC2's error. Call it with the world's lock. `response` is moto's, for its account and region."""
    backend = response.ec2_backend
    parameters = copy.deepcopy(order.parameters)
    zone = parameters.get("Placement", {}).get("AvailabilityZone")
    subnet = subnet_of(backend, parameters, zone)
    _check_configuration(backend, parameters)
    pool = world.market.pool(parameters["InstanceType"], subnet.availability_zone)
    count = _grant(world, response.region, pool, order)
    reservation = _run(response, _complete(backend, parameters, subnet, count))
    return [_live(world, response.region, instance, order) for instance in reservation.instances]


def _check_configuration(backend: Any, parameters: dict[str, Any]) -> None:
    if not parameters.get("ImageId"):
        raise EC2ClientError("MissingParameter", "The request must contain the parameter ImageId")
    image = backend.describe_images(ami_ids=[parameters["ImageId"]])[0]
    kind = parameters.setdefault("InstanceType", "m1.small")
    if kind not in INSTANCE_TYPES:
        raise EC2ClientError("InvalidParameterValue", f"Invalid value '{kind}' for InstanceType.")
    supported = INSTANCE_TYPES[kind].get("ProcessorInfo", {}).get("SupportedArchitectures", ["x86_64"])
    if image.architecture and image.architecture not in supported:
        raise EC2ClientError("InvalidParameterValue", f"The architecture '{supported[-1]}' of the specified instance type does not match "
                             f"the architecture '{image.architecture}' of the specified AMI. Specify an instance type and an AMI that "
                             "have matching architectures, and try again. You can use 'describe-instance-types' or "
                             "'describe-images' to discover the architecture of the instance type or AMI.")
    if key := parameters.get("KeyName"):
        backend.describe_key_pairs(key_names=[key])


def _grant(world: World, region: str, pool: Pool, order: Order) -> int:
    """How many instances of the order there is room for; raises if that is too few."""
    offered = [entry["Location"] for entry in INSTANCE_TYPE_OFFERINGS["availability-zone"].get(region, []) if entry["InstanceType"] == pool.type]
    if not pool.offered or (offered and pool.zone not in offered):
        others = ", ".join(sorted(set(offered) - {pool.zone}))
        raise EC2ClientError("Unsupported", f"Your requested instance type ({pool.type}) is not supported in your requested Availability "
                             f"Zone ({pool.zone}). Please retry your request by not specifying an Availability Zone or choosing {others}.")
    if order.market == "spot":
        _check_price(pool, order)
    _check_quota(world, pool, order)
    room = world.free_room(pool, order.market)
    if room is not None and room < order.least:
        raise EC2ClientError("InsufficientInstanceCapacity", _no_capacity(pool, order.market, offered))
    return order.most if room is None else min(order.most, room)


def _check_price(pool: Pool, order: Order) -> None:
    price = pool.spot_price(time.time())
    if order.max_price is not None and order.max_price < price:
        raise EC2ClientError("SpotMaxPriceTooLow", f"Your Spot request price of {order.max_price:g} is lower than the minimum required Spot "
                             f"request fulfillment price of {price:g}.")


def _check_quota(world: World, pool: Pool, order: Order) -> None:
    quota = world.market.quota[order.market]
    if quota is None:
        return
    used = sum(world.market.cpus(life.type) for life in world.all() if life.alive and life.market == order.market)
    if used + order.least * world.market.cpus(pool.type) <= quota:
        return
    if order.market == "spot":
        raise EC2ClientError("MaxSpotInstanceCountExceeded", "Max spot instance count exceeded")
    raise EC2ClientError("VcpuLimitExceeded", f"You have requested more vCPU capacity than your current vCPU limit of {quota} allows for the "
                         "instance bucket that the specified instance type belongs to. Please visit "
                         "http://aws.amazon.com/contact-us/ec2-request to request an adjustment to this limit.")


def _no_capacity(pool: Pool, market: str, offered: list[str]) -> str:
    if market == "spot":
        return "There is no Spot capacity available that matches your request."
    others = ", ".join(sorted(set(offered) - {pool.zone}))
    return (f"We currently do not have sufficient {pool.type} capacity in the Availability Zone you requested ({pool.zone}). Our system will "
            f"be working on provisioning additional capacity. You can currently get {pool.type} capacity by not specifying an Availability "
            f"Zone in your request or choosing {others}.")


def _complete(backend: Any, parameters: dict[str, Any], subnet: Any, count: int) -> dict[str, Any]:
    """With what EC2 takes for granted and moto does not."""
    parameters["MinCount"] = parameters["MaxCount"] = count
    parameters["Placement"] = {**parameters.get("Placement", {}), "AvailabilityZone": subnet.availability_zone}
    if interfaces := parameters.get("NetworkInterfaces"):
        interfaces[0].setdefault("SubnetId", subnet.id)
        interfaces[0].setdefault("DeleteOnTermination", True)
        if interfaces[0].get("AssociatePublicIpAddress") is None:
            interfaces[0]["AssociatePublicIpAddress"] = subnet.map_public_ip_on_launch is True
        parameters.pop("SubnetId", None)
    else:
        parameters["SubnetId"] = subnet.id
    image = backend.describe_images(ami_ids=[parameters["ImageId"]])[0]
    for mapping in parameters.get("BlockDeviceMappings", []):
        if mapping.get("DeviceName") == image.root_device_name:
            mapping.setdefault("Ebs", {}).setdefault("DeleteOnTermination", True)
    for name in ("LaunchTemplate", "InstanceMarketOptions", "ClientToken"):
        parameters.pop(name, None)
    return parameters


def _run(response: Any, parameters: dict[str, Any]) -> Any:
    inner = copy.copy(response)
    inner.params = parameters
    try:
        reservation = InstanceResponse.run_instances(inner).result
    except ServiceException as error:
        if error.code == "NoSuchEntity":  # IAM's word for a missing profile; EC2 has its own
            profile = parameters.get("IamInstanceProfile", {})
            name, value = ("arn", profile["Arn"]) if "Arn" in profile else ("name", profile.get("Name"))
            raise EC2ClientError("InvalidParameterValue", f"Value ({value}) for parameter iamInstanceProfile.{name} is invalid. Invalid IAM "
                                 f"Instance Profile {'ARN' if name == 'arn' else 'name'}") from None
        raise
    _complete_records(response.ec2_backend, reservation, parameters)
    return reservation


def _complete_records(backend: Any, reservation: Any, parameters: dict[str, Any]) -> None:
    profile = parameters.get("IamInstanceProfile")
    for index, instance in enumerate(reservation.instances):
        if profile and index > 0:  # moto gives it to the first only
            backend.associate_iam_instance_profile(instance.id, profile.get("Name"), profile.get("Arn"))
        if not parameters.get("NetworkInterfaces"):
            for interface in instance.nics.values():
                interface.delete_on_termination = True


def _live(world: World, region: str, instance: Any, order: Order) -> Life:
    life = Life(instance, region, order.market, order.max_price, time.time(), order.fleet)
    if order.market == "spot":
        instance.lifecycle = "spot"
        price = order.max_price if order.max_price is not None else world.market.on_demand_price(life.type)
        life.request = SpotRequest(random_spot_request_id(), price, order.request_kind, time.time(), updated=time.time())
        instance.spot_instance_request_id = life.request.id
    if order.fleet:
        instance.add_tags({"aws:ec2:fleet-id": order.fleet})
    world.launched(life)
    return life

"""What the tests ask of EC2, by Amazon's own client."""
import base64
from collections.abc import Callable
from typing import Any

import pytest
from support.control_plane import wait_for

TYPE = "m5.large"
# Amazon Linux 2023 in us-east-1, as moto's SSM names it.
IMAGES = {"x86_64": "ami-0ed094fb1304fd857", "arm64": "ami-0d6fc8f787cd9a417"}


def run(ec2: Any, user_data: str = "", spot: bool = True, count: int = 1, **more: Any) -> list[str]:
    """RunInstances; returns the ids."""
    request = {"ImageId": IMAGES["x86_64"], "InstanceType": TYPE, "MinCount": count, "MaxCount": count, "UserData": user_data, **more}
    if spot:
        request.setdefault("InstanceMarketOptions", {"MarketType": "spot"})
    return [instance["InstanceId"] for instance in ec2.run_instances(**request)["Instances"]]


def instance_of(ec2: Any, instance: str) -> dict[str, Any]:
    return ec2.describe_instances(InstanceIds=[instance])["Reservations"][0]["Instances"][0]


def wait_state(ec2: Any, instance: str, state: str) -> dict[str, Any]:
    def look() -> dict[str, Any] | None:
        found = instance_of(ec2, instance)
        return found if found["State"]["Name"] == state else None

    return wait_for(look, f"{instance} {state}")


def template(ec2: Any, name: str = "test", user_data: str = "", **data: Any) -> dict[str, str]:
    """A launch template, as CreateFleet wants it named."""
    made = ec2.create_launch_template(LaunchTemplateName=name, LaunchTemplateData={
        "ImageId": IMAGES["x86_64"], "InstanceType": TYPE, "UserData": base64.b64encode(user_data.encode()).decode(), **data})
    return {"LaunchTemplateId": made["LaunchTemplate"]["LaunchTemplateId"], "Version": "$Latest"}


def fleet(ec2: Any, overrides: list[dict[str, Any]], target: int = 1, spot: dict[str, Any] | None = None, named: dict[str, str] | None = None,
          **more: Any) -> dict[str, Any]:
    """CreateFleet of type instant, on spot."""
    return ec2.create_fleet(Type="instant", LaunchTemplateConfigs=[{"LaunchTemplateSpecification": named or template(ec2), "Overrides": overrides}],
                            TargetCapacitySpecification={"TotalTargetCapacity": target, "DefaultTargetCapacityType": "spot"},
                            SpotOptions={"AllocationStrategy": "price-capacity-optimized", **(spot or {})}, **more)


def launched(answer: dict[str, Any]) -> list[str]:
    return [instance for entry in answer["Instances"] for instance in entry["InstanceIds"]]


def errors(answer: dict[str, Any]) -> set[tuple[str, str]]:
    """(zone, code) of each pool that failed."""
    return {(error["LaunchTemplateAndOverrides"]["Overrides"].get("AvailabilityZone", ""), error["ErrorCode"]) for error in answer["Errors"]}


def code_of(call: Callable[..., Any], *arguments: Any, **options: Any) -> str:
    """The code of the error that a call ends with."""
    from botocore.exceptions import ClientError
    with pytest.raises(ClientError) as caught:
        call(*arguments, **options)
    return caught.value.response["Error"]["Code"]

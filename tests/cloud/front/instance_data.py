"""What an instance is told about itself by the metadata service."""
import json
import time
from typing import Any

from moto.iam.models import iam_backends

from cloud.front.calls import Call
from cloud.front.credentials import Credentials
from cloud.front.faults import REFUSALS
from cloud.front.lives import Life
from cloud.front.moto_app import ACCOUNT
from cloud.front.world import World


class InstanceData:
    """machines.metadata.Data of one instance."""

    def __init__(self, life: Life, credentials: Credentials):
        self.id, self._life, self._credentials = life.id, life, credentials

    def options(self) -> Any:
        return self._life.record.metadata_options

    def user_data(self) -> str | None:
        return str(self._life.record.user_data) if self._life.record.user_data else None

    def identity(self) -> dict[str, object]:
        life = self._life
        return {"accountId": ACCOUNT, "architecture": life.record.architecture, "availabilityZone": life.zone, "imageId": life.record.image_id,
                "instanceId": life.id, "instanceType": life.type, "pendingTime": _stamp(life.launched), "privateIp": life.record.private_ip,
                "region": life.region, "version": "2017-09-30"}

    def meta_data(self) -> dict[str, str]:
        life, record = self._life, self._life.record
        tree = {"ami-id": record.image_id, "ami-launch-index": str(record.ami_launch_index), "hostname": record.private_dns_name,
                "instance-action": "none", "instance-id": life.id, "instance-life-cycle": life.market, "instance-type": life.type,
                "local-hostname": record.private_dns_name, "local-ipv4": record.private_ip, "placement/availability-zone": life.zone,
                "placement/region": life.region, "reservation-id": "", "services/domain": "amazonaws.com", "services/partition": "aws",
                "security-groups": "\n".join(group.name for group in record.security_groups)}
        if record.public_ip:
            tree |= {"public-ipv4": record.public_ip, "public-hostname": record.public_dns_name or ""}
        if key := public_key(record):
            tree["public-keys/0/openssh-key"] = key
        if record.nics:
            tree["mac"] = record.nics[0].mac_address
        return {**tree, **self._notices(), **self._role(), **self._tags()}

    def _notices(self) -> dict[str, str]:
        tree = {}
        if self._life.notice is not None:
            end = _stamp(self._life.notice)
            tree = {"spot/instance-action": json.dumps({"action": "terminate", "time": end}), "spot/termination-time": end}
        if self._life.rebalance is not None:
            tree["events/recommendations/rebalance"] = json.dumps({"noticeTime": _stamp(self._life.rebalance)})
        return tree

    def _role(self) -> dict[str, str]:
        association = self._life.record.ec2_backend.iam_instance_profile_associations.get(self.id)
        if not association:
            return {}
        profile = iam_backends[ACCOUNT]["aws"].get_instance_profile_by_arn(association.iam_instance_profile.arn)
        info = {"Code": "Success", "LastUpdated": _stamp(self._life.launched), "InstanceProfileArn": profile.arn, "InstanceProfileId": profile.id}
        tree = {"iam/info": json.dumps(info)}
        for role in profile.roles:
            keys = self._credentials.for_instance(self.id, role.name)
            tree[f"iam/security-credentials/{role.name}"] = json.dumps(
                {"Code": "Success", "LastUpdated": _stamp(time.time()), "Type": "AWS-HMAC", "AccessKeyId": keys.access_key,
                 "SecretAccessKey": keys.secret_key, "Token": keys.token, "Expiration": _stamp(keys.expires or 0)})
        return tree

    def _tags(self) -> dict[str, str]:
        if self.options().instance_metadata_tags != "enabled":
            return {}
        return {f"tags/instance/{tag['key']}": tag["value"] for tag in self._life.record.get_tags()}


def public_key(record: Any) -> str:
    """Of the instance's key pair, as it was at the launch; "" without one."""
    pair = record.ec2_backend.key_pairs.get(record.key_name)
    return str(pair.public_key).strip() if pair else ""


class Instances:
    """machines.metadata.Directory."""

    def __init__(self, world: World, credentials: Credentials):
        self._world, self._credentials = world, credentials

    def at(self, address: str) -> InstanceData | None:
        life = self._world.at_address(address)
        return InstanceData(life, self._credentials) if life else None

    def fault(self, address: str, path: str) -> int:
        """Rules for "imds:/latest/…" apply here as well; of them a delay and an error."""
        call = Call("GET", path, {}, b"", address)
        call.service, call.action = "imds", path
        for rule in self._world.faults.select(call):
            if rule.kind == "delay":
                time.sleep(rule.seconds)
            else:
                return rule.status or REFUSALS.get(rule.kind, (503,))[0]
        return 0


def _stamp(seconds: float) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(seconds))

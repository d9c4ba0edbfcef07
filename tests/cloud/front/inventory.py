"""Everything in the account that costs money or names, so that a test can say what was left behind."""
from typing import Any

from moto.efs.models import efs_backends
from moto.iam.models import iam_backends
from moto.s3.models import s3_backends

from cloud.front.moto_app import ACCOUNT, ec2
from cloud.front.world import World

Item = tuple[str, str]  # kind, id


def everything(world: World, regions: list[str]) -> list[Item]:
    found = [("instance", life.id) for life in world.all() if not life.over]
    found += [("spot request", life.request.id) for life in world.all() if life.request and life.request.state in ("open", "active")]
    for region in regions:
        found += _of_ec2(ec2(region))
        found += _of_efs(region)
    return found + _of_iam() + _of_s3()


def _of_ec2(backend: Any) -> list[Item]:
    groups = [group for group in backend.describe_security_groups() if group.name != "default"]
    images = [image for image in backend.describe_images(owners=[ACCOUNT])]
    return [*(("volume", volume.id) for volume in backend.volumes.values()),
            *(("snapshot", snapshot.id) for snapshot in backend.snapshots.values() if snapshot.owner_id == ACCOUNT),
            *(("security group", group.id) for group in groups),
            *(("key pair", name) for name in backend.key_pairs),
            *(("launch template", template.id) for template in backend.launch_templates.values()),
            *(("network interface", interface.id) for interface in backend.enis.values()),
            *(("address", address.allocation_id) for address in backend.addresses),
            *(("image", image.id) for image in images),
            *(("subnet", subnet.id) for subnet in backend.describe_subnets()),
            *(("vpc", vpc) for vpc in backend.vpcs)]


def _of_efs(region: str) -> list[Item]:
    backend = efs_backends[ACCOUNT][region]
    return [("file system", name) for name in backend.file_systems_by_id] + [("mount target", name) for name in backend.mount_targets_by_id]


def shared_directories(region: str) -> tuple[list[str], dict[str, str]]:
    """The file systems, and which is served at which address."""
    backend = efs_backends[ACCOUNT][region]
    return list(backend.file_systems_by_id), {target.ip_address: target.file_system_id for target in backend.mount_targets_by_id.values()}


def _of_iam() -> list[Item]:
    backend = iam_backends[ACCOUNT]["aws"]
    own = [policy for policy in backend.managed_policies.values() if not policy.arn.startswith("arn:aws:iam::aws:")]
    return [*(("role", role.name) for role in backend.roles.values()),
            *(("instance profile", profile.name) for profile in backend.instance_profiles.values()),
            *(("user", user) for user in backend.users),
            *(("policy", policy.arn) for policy in own)]


def _of_s3() -> list[Item]:
    buckets = s3_backends[ACCOUNT]["aws"].buckets
    return [("bucket", name) for name in buckets] + [("object", f"{name}/{key}") for name, bucket in buckets.items() for key in bucket.keys]

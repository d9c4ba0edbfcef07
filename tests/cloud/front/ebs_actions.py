"""The EC2 actions on volumes and snapshots that moto lacks or does otherwise than AWS: states that take time, rules about what
may be attached where, and disks with content (machines.volumes). They take the place of moto's methods, as ec2_actions does."""
from typing import Any

from moto.core.responses import ActionResult, EmptyResult
from moto.ec2.exceptions import EC2ClientError
from moto.ec2.responses._base_response import EC2BaseResponse
from moto.ec2.responses.elastic_block_store import ElasticBlockStore

from cloud.front.lives import Life
from cloud.front.once import once
from cloud.front.world import World

BUSY_LOOK = 0.1  # seconds between looks whether a volume that is to be let go is still mounted


class Actions(EC2BaseResponse):
    world: World
    tokens: dict[tuple[str, str, str], tuple[str, Any]]

    def create_volume(self) -> ActionResult:
        def make() -> Any:
            size, snapshot = self._get_param("Size"), self._get_param("SnapshotId")
            if snapshot and size and int(size) < self.ec2_backend.get_snapshot(snapshot).volume_size:
                raise EC2ClientError("InvalidParameterValue", f"Volume of {size}GiB is smaller than snapshot '{snapshot}'")
            made = ElasticBlockStore.create_volume(self).result
            made.size = int(made.size)
            self.world.volumes.make(made.id, made.size, snapshot)
            return made

        with self.world.lock:
            return ActionResult(once(self, "CreateVolume", make))

    def delete_volume(self) -> ActionResult:
        with self.world.lock:
            answer = ElasticBlockStore.delete_volume(self)
            self.world.volumes.remove(self._get_param("VolumeId"))
            return answer

    def modify_volume(self) -> ActionResult:
        with self.world.lock:
            volume = self.ec2_backend.get_volume(self._get_param("VolumeId"))
            size = int(self._get_param("Size") or volume.size)
            if size < volume.size:
                raise EC2ClientError("InvalidParameterValue", f"New size cannot be smaller than existing size: {volume.size}")
            answer = ElasticBlockStore.modify_volume(self)
            volume.size = size
            self.world.volumes.grow(volume.id, size)
            return answer

    def attach_volume(self) -> ActionResult:
        with self.world.lock:
            volume = self.ec2_backend.get_volume(self._get_param("VolumeId"))
            life = self.world.lives.get(self._get_param("InstanceId"))
            device = self._get_param("Device")
            if life is None:
                raise EC2ClientError("InvalidInstanceID.NotFound", f"The instance ID '{self._get_param('InstanceId')}' does not exist")
            if life.state != "running":
                raise EC2ClientError("IncorrectState", f"Instance '{life.id}' is not 'running'.")
            if volume.attachment:
                raise EC2ClientError("VolumeInUse", f"{volume.id} is already attached to an instance")
            if volume.availability_zone != life.zone:
                raise EC2ClientError("InvalidVolume.ZoneMismatch", f"The volume '{volume.id}' is not in the same availability zone as instance '{life.id}'")
            if device in life.record.block_device_mapping:
                raise EC2ClientError("InvalidParameterValue", f"Invalid value '{device}' for unixDevice. Attachment point {device} is already in use")
            answer = ElasticBlockStore.attach_volume(self)
            volume.attachment.status = "attaching"
        self.world.timeline.after(self.world.settings.attach, lambda: _attached(self.world, life, volume))
        return answer

    def detach_volume(self) -> ActionResult:
        with self.world.lock:
            volume = self.ec2_backend.get_volume(self._get_param("VolumeId"))
            attachment = volume.attachment
            if not attachment:
                raise EC2ClientError("IncorrectState", f"Volume '{volume.id}' is in the 'available' state.")
            life = self.world.lives[attachment.instance.id]
            if life.state != "running":
                raise EC2ClientError("IncorrectState", f"Instance '{life.id}' is in the '{life.state}' state.")
            view = {"VolumeId": volume.id, "InstanceId": life.id, "Device": attachment.device, "State": "detaching"}
            first, attachment.status = attachment.status != "detaching", "detaching"
        if first:
            self.world.timeline.now(lambda: _detach(self.world, life, volume))
        return ActionResult(view)

    def create_snapshot(self) -> ActionResult:
        with self.world.lock:
            snapshot = ElasticBlockStore.create_snapshot(self).result
            snapshot.status = "pending"
            self.world.volumes.take_snapshot(snapshot.id, snapshot.volume.id)
            # moto takes the volume's size at the time it is asked; a snapshot keeps its own.
            snapshot.volume = _AsItWas(snapshot.volume)
        bad = self.world.doomed_snapshots.pop(snapshot.volume.id, None) is not None
        self.world.timeline.after(self.world.settings.snapshot, lambda: setattr(snapshot, "status", "error" if bad else "completed"))
        return ActionResult(snapshot)

    def delete_snapshot(self) -> EmptyResult:
        with self.world.lock:
            answer = ElasticBlockStore.delete_snapshot(self)
            self.world.volumes.remove(self._get_param("SnapshotId"))
            return answer


class _AsItWas:
    def __init__(self, volume: Any):
        self.id, self.size, self.encrypted = volume.id, volume.size, volume.encrypted


def _attached(world: World, life: Life, volume: Any) -> None:
    with world.lock:
        if not volume.attachment or volume.attachment.instance.id != life.id or not life.alive:
            return
    if life.machine:
        number = 1 + ord(volume.attachment.device[-1]) - ord("a")
        world.volumes.connect(volume.id, number, life.machine.run)
    with world.lock:
        if volume.attachment:
            volume.attachment.status = "attached"


def _detach(world: World, life: Life, volume: Any) -> None:
    """When nothing on the machine has it mounted any more, or with the end of the machine."""
    with world.lock:
        if not volume.attachment or not life.alive:
            return
    if life.machine:
        try:
            if world.volumes.mounted(volume.id, life.machine.run):
                return world.timeline.after(BUSY_LOOK, lambda: _detach(world, life, volume))
            world.volumes.vanish(volume.id, life.machine.run)
        except ValueError:  # it is off
            return
        world.volumes.disconnect(volume.id)
    with world.lock:
        if volume.attachment:
            life.record.ec2_backend.detach_volume(volume.id, life.id, volume.attachment.device)

"""What EBS volumes are made of here: sparse files, and loop devices where they are attached. The one place that knows it."""
import contextlib
import pathlib
import shutil
import subprocess
import threading
import time
from collections.abc import Callable
from typing import Any

GIB = 1 << 30
FREE_LIMIT = 30  # seconds until the kernel lets a device go whose machine is gone


def usable() -> str:
    """Why there are no loop devices here; "" where there are."""
    done = subprocess.run(["losetup", "-f"], text=True, capture_output=True)
    return "" if done.returncode == 0 else f"no loop devices: {done.stderr.strip()}"


class Volumes:
    """The disks of one cloud. Threads: any."""

    def __init__(self, directory: pathlib.Path):
        self._directory = directory
        self._lock = threading.Lock()
        self._devices: dict[str, str] = {}  # the host's device of a volume that is attached
        directory.mkdir(parents=True, exist_ok=True)

    def _image(self, name: str) -> pathlib.Path:
        return self._directory / f"{name}.img"

    def clear(self) -> None:
        for volume in list(self._devices):
            self.disconnect(volume)
        for image in self._directory.glob("*.img"):
            image.unlink()

    # -- content -------------------------------------------------------------------------------------------------------------

    def make(self, volume: str, gib: int, snapshot: str | None) -> None:
        image = self._image(volume)
        if snapshot and self._image(snapshot).exists():
            _copy(self._image(snapshot), image)
        with image.open("ab") as file:
            file.truncate(max(gib * GIB, image.stat().st_size))

    def take_snapshot(self, snapshot: str, volume: str) -> None:
        if device := self._devices.get(volume):
            subprocess.run(["blockdev", "--flushbufs", device], check=False)
        if self._image(volume).exists():
            _copy(self._image(volume), self._image(snapshot))

    def grow(self, volume: str, gib: int) -> None:
        with self._image(volume).open("ab") as file:
            file.truncate(max(gib * GIB, self._image(volume).stat().st_size))
        if device := self._devices.get(volume):
            subprocess.run(["losetup", "-c", device], check=True)

    def remove(self, name: str) -> None:
        """A volume or a snapshot."""
        self._image(name).unlink(missing_ok=True)

    # -- where it is ---------------------------------------------------------------------------------------------------------

    def connect(self, volume: str, number: int, run: Callable[[list[str]], dict[str, Any]]) -> None:
        """As a device of the machine on which `run` runs commands, named as NVMe devices are on EC2."""
        with self._lock:
            device = subprocess.run(["losetup", "-f", "--show", str(self._image(volume))], text=True, capture_output=True, check=True).stdout.strip()
            self._devices[volume] = device
        major, minor = _numbers(device)
        name = f"nvme{number}n1"
        run(["/bin/sh", "-c", f"mknod /dev/{name} b {major} {minor} && mkdir -p /dev/disk/by-id && "
                              f"ln -sf ../../{name} /dev/disk/by-id/{_by_id(volume)}"])

    def mounted(self, volume: str, run: Callable[[list[str]], dict[str, Any]]) -> bool:
        """Whether the machine has it mounted: then EC2 does not let it go either."""
        return run(["/bin/sh", "-c", f"grep -q \"^$(readlink -f /dev/disk/by-id/{_by_id(volume)}) \" /proc/mounts || "
                                     f"grep -q '/{_by_id(volume)} ' /proc/mounts"])["status"] == 0

    def vanish(self, volume: str, run: Callable[[list[str]], dict[str, Any]]) -> None:
        """The device's name goes from a machine that runs on."""
        run(["/bin/sh", "-c", f"rm -f \"$(readlink -f /dev/disk/by-id/{_by_id(volume)})\" /dev/disk/by-id/{_by_id(volume)}"])

    def disconnect(self, volume: str) -> None:
        """Waits until nothing uses it any more: two machines must never write to it."""
        with self._lock:
            device = self._devices.pop(volume, None)
        if not device:
            return
        subprocess.run(["losetup", "-d", device], check=False, capture_output=True)
        end = time.monotonic() + FREE_LIMIT
        while time.monotonic() < end and str(self._image(volume)) in subprocess.run(["losetup", "-l", "-n", "-O", "BACK-FILE", device], text=True, capture_output=True).stdout:
            time.sleep(0.02)


def _by_id(volume: str) -> str:
    return "nvme-Amazon_Elastic_Block_Store_" + volume.replace("-", "")


def _numbers(device: str) -> tuple[int, int]:
    import os
    number = os.stat(device).st_rdev
    return os.major(number), os.minor(number)


def _copy(source: pathlib.Path, target: pathlib.Path) -> None:
    with contextlib.suppress(FileNotFoundError):
        target.unlink()
    if subprocess.run(["cp", "--sparse=always", str(source), str(target)], check=False).returncode != 0:
        shutil.copyfile(source, target)

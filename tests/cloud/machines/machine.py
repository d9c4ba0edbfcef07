"""A machine: namespaces for network, processes, mounts and name, all of which end with its first process."""
import contextlib
import dataclasses
import os
import pathlib
import signal
import subprocess
import threading
from collections.abc import Callable
from typing import Any

from cloud.machines import disk, network

FIRST = pathlib.Path(__file__).with_name("first.sh")
END_LIMIT = 30  # seconds that killed processes may take to be gone
REBOOT = 3  # first.sh's exit status
RUN_LIMIT = 60  # seconds
GRACE = 2  # seconds between SIGTERM and the end when somebody on the machine shuts it down
PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


@dataclasses.dataclass
class Spec:
    name: str
    number: int  # of the machine, for its cable
    address: str
    others: list[str]  # further addresses
    routed: bool  # whether its subnet has a way out
    scripts: list[bytes]
    key: str = ""  # of OpenSSH, public: who may log in
    login: str = "root"  # as whom: ubuntu is the one of Ubuntu's images, where docker is (disk.py)


class Machine:
    """Threads: any, but it must be booted by a thread that stays: the kernel ends the machine with it. `on_power_off` is
    called when somebody on the machine shut it down, `on_reboot` when it is to be booted again."""

    def __init__(self, directory: pathlib.Path, spec: Spec, on_power_off: Callable[[], None], on_reboot: Callable[[], None]):
        self.directory, self.spec = directory, spec
        self._on_power_off, self._on_reboot = on_power_off, on_reboot
        self._lock = threading.RLock()
        self._process: subprocess.Popen[str] | None = None
        self._ending = False
        self._group = _Group(spec.name)
        disk.make(directory, spec.name, spec.address)
        disk.install(directory, spec.scripts, spec.key, spec.login)

    # -- power -------------------------------------------------------------------------------------------------------------

    def boot(self) -> None:
        with self._lock, (self.directory / "host.log").open("a") as log:
            if self._process:
                return
            self._ending = False
            self._process = subprocess.Popen(
                ["setpriv", "--pdeathsig", "KILL", "unshare", "--net", "--mount", "--uts", "--ipc", "--pid", "--fork", "--kill-child=KILL",
                 "/bin/sh", str(FIRST), str(self.directory), self.spec.name],
                stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log, text=True, env={"PATH": PATH})
            if self._process.stdout.readline() != "made\n":
                self._process.kill()
                self._process.wait()
                raise network.NotPermitted((self.directory / "host.log").read_text())
            self._group.take([self._process.pid, self._first(self._process)])
            network.connect(self._process.pid, self.spec.number, self.spec.address, self.spec.others, self.spec.routed)
            self._process.stdin.write(f"{round(GRACE * 10)}\n")
            self._process.stdin.flush()
            self._process.stdout.readline()  # "up", or the machine has ended
            threading.Thread(target=self._watch, args=(self._process,), daemon=True).start()

    def power_off(self, grace: float) -> None:
        """SIGTERM to all processes, SIGKILL to those that are left after `grace` seconds."""
        with self._lock:
            process, self._ending = self._process, True
        if not process:
            return
        self.thaw()
        self._signal_first(process, signal.SIGTERM)
        try:
            process.wait(grace)
        except subprocess.TimeoutExpired:
            pass
        self.kill()

    def kill(self) -> None:
        """Power loss: first nothing is heard of it any more, then it is gone."""
        with self._lock:
            process, self._ending = self._process, True
            if not process:
                return
            network.disconnect(self.spec.number)
            self._signal_first(process, signal.SIGKILL)
            self.thaw()
            try:
                process.wait(END_LIMIT)  # it outlives all of the machine
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
            self._process = None
            self._group.remove()

    def reboot(self) -> None:
        with self._lock:
            if self._process:
                self._signal_first(self._process, signal.SIGHUP)

    def _signal_first(self, process: subprocess.Popen[str], number: int) -> None:
        with contextlib.suppress(ValueError, ProcessLookupError):
            os.kill(self._first(process), number)

    @staticmethod
    def _first(process: subprocess.Popen[str]) -> int:
        """The machine's first process, as the host numbers it."""
        try:
            return int(pathlib.Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()[0])
        except (OSError, IndexError):
            raise ValueError("the machine is off") from None

    def _watch(self, process: subprocess.Popen[str]) -> None:
        status = process.wait()
        with self._lock:
            if self._ending or self._process is not process:
                return
            self._process = None
        (self._on_reboot if status == REBOOT else self._on_power_off)()

    # -- what can happen to it -----------------------------------------------------------------------------------------------

    def freeze(self) -> None:
        """Its processes stand still, and do not know it."""
        self._group.freeze(True)

    def thaw(self) -> None:
        self._group.freeze(False)

    def cut(self) -> None:
        """Its network is away."""
        network.pull(self.spec.number)

    def mend(self) -> None:
        network.plug(self.spec.number, [self.spec.address, *self.spec.others])

    # -- for tests ---------------------------------------------------------------------------------------------------------

    def run(self, command: list[str]) -> dict[str, Any]:
        """A command on the machine."""
        with self._lock:  # not in the middle of a boot
            process = self._process
        if not process:
            raise ValueError("the machine is off")
        done = subprocess.run(["nsenter", "-t", str(self._first(process)), "-a", "--", "/usr/bin/env", "-i", f"PATH={PATH}", "HOME=/root", *command],
                              text=True, capture_output=True, timeout=RUN_LIMIT, stdin=subprocess.DEVNULL)
        return {"status": done.returncode, "stdout": done.stdout, "stderr": done.stderr}

    def console(self) -> str:
        return disk.console(self.directory)


class _Group:
    """A control group of version 2, for freezing; None of it matters where there is none."""

    def __init__(self, name: str):
        homes = [home for home in (pathlib.Path("/sys/fs/cgroup"), pathlib.Path("/sys/fs/cgroup/unified")) if (home / "cgroup.procs").exists()
                 and (home / "cgroup.controllers").exists()]
        self._path = homes[0] / f"buoy-cloud-{os.getpid()}-{name}" if homes else None

    def take(self, processes: list[int]) -> None:
        if self._path:
            try:
                self._path.mkdir(exist_ok=True)
                for process in processes:
                    (self._path / "cgroup.procs").write_text(str(process))
            except OSError:
                self._path = None

    def freeze(self, frozen: bool) -> None:
        if not self._path and frozen:
            raise network.NotPermitted("freezing a machine needs control groups of version 2")
        if self._path and self._path.exists():
            (self._path / "cgroup.freeze").write_text("1" if frozen else "0")

    def remove(self) -> None:
        if self._path:
            with contextlib.suppress(OSError):  # a process of it is still being buried
                self._path.rmdir()

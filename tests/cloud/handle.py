"""A test's hold on the cloud: starts its process, and does to it what the market, the hardware and Amazon would."""
import contextlib
import http.client
import json
import os
import pathlib
import shutil
import subprocess
import tempfile
import urllib.parse
from collections.abc import Iterator
from typing import Any

from cloud.machines import network

ROOT = pathlib.Path(__file__).resolve().parents[2]
TESTS = ROOT / "tests"
READY_LIMIT = 60  # seconds
# What a program must not take over from whoever runs the tests.
FOREIGN = ("AWS_", "BUOY_")


def moto_interpreter() -> pathlib.Path:
    """Installs moto where it is missing; needs a network that leads to PyPI, so it comes before the private one."""
    found = subprocess.run([ROOT / "scripts/python_tool.sh", "moto"], text=True, capture_output=True)
    if found.returncode != 0:
        raise RuntimeError(found.stderr)
    return pathlib.Path(found.stdout.strip()) / "python"


class Cloud:
    """One account with its regions, the machines behind its instances, and what a test may do to them."""

    def __init__(self, interpreter: pathlib.Path, machines: bool = True, regions: tuple[str, ...] = ("us-east-1",)):
        """With machines the calling process must be in the cloud's network (network.enter_private_network)."""
        self._session: Any = None
        self._clients: dict[tuple[Any, ...], Any] = {}
        self.directory = pathlib.Path(tempfile.mkdtemp(prefix="cloud-"))
        self._log = (self.directory / "front.log").open("w")
        command = [str(interpreter), "-m", "cloud.front", str(self.directory / "machines")]
        command += ["--machines", "--address", network.GATEWAY] if machines else []
        command += [part for region in regions for part in ("--region", region)]
        clean = {name: value for name, value in os.environ.items() if not name.startswith(FOREIGN)}
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self._log, text=True,
                                         env={**clean, "PYTHONPATH": str(TESTS), "PYTHONDONTWRITEBYTECODE": "1"})
        line = self._process.stdout.readline()
        if not line:
            raise RuntimeError(f"the cloud did not start:\n{self.log()}")
        ready = json.loads(line)
        self.endpoint, self.control = ready["endpoint"], ready["control"]
        self.access_key, self.secret_key, self.region = ready["access_key"], ready["secret_key"], ready["region"]

    def stop(self) -> None:
        self._process.stdin.close()
        try:
            self._process.wait(READY_LIMIT)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._log.close()
        shutil.rmtree(self.directory, ignore_errors=True)

    def log(self) -> str:
        self._log.flush()
        return (self.directory / "front.log").read_text()[-5000:]

    # -- for programs ------------------------------------------------------------------------------------------------------

    @property
    def environment(self) -> dict[str, str]:
        """What a program needs to take this for AWS, and nothing of this machine's own settings."""
        return {"AWS_ENDPOINT_URL": self.endpoint, "AWS_ENDPOINT_URL_S3": self.endpoint, "AWS_ACCESS_KEY_ID": self.access_key,
                "AWS_SECRET_ACCESS_KEY": self.secret_key, "AWS_REGION": self.region, "AWS_DEFAULT_REGION": self.region,
                "AWS_CONFIG_FILE": "/dev/null", "AWS_SHARED_CREDENTIALS_FILE": "/dev/null", "AWS_EC2_METADATA_DISABLED": "true",
                "AWS_PAGER": ""}

    def clean_environment(self) -> dict[str, str]:
        """The whole environment for a subprocess."""
        return {**{k: v for k, v in os.environ.items() if not k.startswith(FOREIGN)}, **self.environment}

    def client(self, service: str, retries: int = 0, **options: Any) -> Any:
        """A botocore client: AWS's own, so that what it understands is AWS's wire. Made once for the same arguments."""
        key = (service, retries, *sorted(options.items()))
        if key not in self._clients:
            self._clients[key] = self._make_client(service, retries, options)
        return self._clients[key]

    def _make_client(self, service: str, retries: int, options: dict[str, Any]) -> Any:
        import botocore.config
        import botocore.session
        self._session = self._session or botocore.session.Session()
        signature = {"signature_version": "s3v4"} if service == "s3" else {}
        config = botocore.config.Config(retries={"max_attempts": retries}, connect_timeout=5, read_timeout=60, s3={"addressing_style": "path"}, **signature)
        options = {"aws_access_key_id": self.access_key, "aws_secret_access_key": self.secret_key, "region_name": self.region, **options}
        return self._session.create_client(service, endpoint_url=self.endpoint, config=config, **options)

    # -- controls ------------------------------------------------------------------------------------------------------------

    def call(self, name: str, **arguments: Any) -> Any:
        connection = http.client.HTTPConnection(urllib.parse.urlsplit(self.control).netloc, timeout=120)
        with contextlib.closing(connection):
            connection.request("POST", f"/{name}", json.dumps(arguments), {"Content-Type": "application/json"})
            answer = json.loads(connection.getresponse().read())
        if "error" in answer:
            raise RuntimeError(answer["error"])
        return answer["result"]

    def reset(self) -> None:
        """As at the start: an empty account, a calm market, no faults."""
        self.call("reset")

    def settings(self, **changes: float) -> dict[str, float]:
        """front.world.Settings."""
        return self.call("settings", **changes)

    def fault(self, kind: str, **rule: Any) -> int:
        """front.faults.Rule, in force until remove_fault()."""
        return self.call("fault", kind=kind, **rule)

    def remove_fault(self, fault: int, drop: bool = False) -> dict[str, int]:
        return self.call("remove_fault", fault=fault, drop=drop)

    def throttle(self, rate: float, burst: int = 1, calls: str = "^ec2:") -> int:
        return self.fault("throttle", rate=rate, burst=burst, calls=calls)

    @contextlib.contextmanager
    def held(self, calls: str, when: str = "after", **rule: Any) -> Iterator[int]:
        """The next such call waits right before its answer ("after") or before it is carried out ("before"); see reached()."""
        fault = self.fault(f"hold_{when}", calls=calls, first=1, **rule)
        try:
            yield fault
        finally:
            self.remove_fault(fault)

    def reached(self, fault: int, seconds: float = 60) -> bool:
        return self.call("wait_reached", fault=fault, seconds=seconds)

    def capacity(self, type: str, zone: str, spot: int | None = None, on_demand: int | None = None, notice: float | None = None) -> None:
        self.call("capacity", type=type, zone=zone, spot=spot, on_demand=on_demand, notice=notice)

    def price(self, type: str, zone: str, price: float, since: float | None = None) -> None:
        self.call("price", type=type, zone=zone, price=price, since=since)

    def instances(self, *states: str) -> list[dict[str, Any]]:
        return [each for each in self.call("instances") if not states or each["state"] in states]

    def interrupt(self, instance: str | None = None, zone: str | None = None, notice: float | None = None) -> list[str]:
        return self.call("interrupt", instance=instance, zone=zone, notice=notice)

    def lose(self, instance: str | None = None, zone: str | None = None, said_after: float = 1.0) -> list[str]:
        return self.call("lose", instance=instance, zone=zone, said_after=said_after)

    def run(self, instance: str, *command: str) -> dict[str, Any]:
        """A command on the machine: status, stdout, stderr."""
        return self.call("run", instance=instance, command=list(command))

    def console(self, instance: str) -> str:
        """What the machine's first boot said."""
        return self.call("console", instance=instance)

    def bill(self) -> list[dict[str, Any]]:
        """front.bill.Line of every use."""
        return self.call("bill")

    def events(self, kind: str | None = None) -> list[dict[str, Any]]:
        return [event for event in self.call("events") if kind in (None, event["kind"])]

    def calls(self) -> dict[str, int]:
        return self.call("calls")

    def leftovers(self) -> list[tuple[str, str]]:
        """What there is beyond what there was at the start: (kind, id)."""
        return [(kind, name) for kind, name in self.call("leftovers")]

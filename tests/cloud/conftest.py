"""Fixtures: the cloud, started once a session and emptied before each test that asks for it."""
import pytest

from cloud.handle import Cloud, moto_interpreter
from cloud.machines import network
from support.control_plane import make_buoy  # noqa: F401  (a fixture)
from support.s3_server import free_port


def pytest_configure(config):
    config.addinivalue_line("markers", "long: `make test` leaves it out, `make cloud-test` does not")


@pytest.fixture(scope="session")
def cloud_process():
    """All that the tests start is in the cloud's network from here on, and the tests themselves too."""
    interpreter = moto_interpreter()
    try:
        network.enter_private_network()
    except network.NotPermitted as problem:
        pytest.skip(str(problem))
    cloud = Cloud(interpreter)
    yield cloud
    cloud.stop()


@pytest.fixture
def cloud(cloud_process):
    """An account in us-east-1 with real machines: see cloud.handle.Cloud."""
    cloud_process.reset()
    yield cloud_process
    cloud_process.reset()


@pytest.fixture
def buoy_on_aws(cloud, make_buoy):
    """Makes control planes whose pool is on this cloud: buoy_on_aws(types={"m5.large": (1, "2GiB")}, zones=[…], pool="    more: yaml")."""
    bucket = "buoy-test"
    cloud.client("s3").create_bucket(Bucket=bucket)

    def make(types=None, zones=("us-east-1a", "us-east-1b"), aws="", pool="", environment=None, max_machines=8):
        port = free_port()
        kinds = [f"      - {{name: {name}, cpus: {cpus}, memory: {memory}, price: {cloud.call('prices', type=name, zone=zones[0])['on_demand']}, spot_price: 0.03}}"
                 for name, (cpus, memory) in (types or {"m5.large": (1, "2GiB")}).items()]
        config = "\n".join([f"store: s3://{bucket}/store", f"listen: [\"{network.GATEWAY}:{port}\"]", f"advertise: https://{network.GATEWAY}:{port}",
                            "pools:", "  - name: aws", "    provider: aws", f"    max_machines: {max_machines}", "    types:", *kinds,
                            "    aws:", f"      region: {cloud.region}", f"      zones: [{', '.join(zones)}]", *([aws] if aws else []), *([pool] if pool else []),
                            "queues:", "  - {name: default, pools: [aws]}", ""])
        return make_buoy(config, {**cloud.environment, **(environment or {})})

    return make

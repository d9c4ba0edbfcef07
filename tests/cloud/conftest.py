"""Fixtures: the cloud, started once a session and emptied before each test that asks for it."""
import pytest

from cloud.handle import Cloud, moto_interpreter
from cloud.machines import network


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

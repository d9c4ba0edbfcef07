"""Runs the real binaries. Every test gets a state directory, and so a control plane, of its own."""
import pathlib
import shutil
import tempfile

import pytest

from s3 import fault_proxy, moto, radosgw, untrusted_certificate  # noqa: F401  (fixtures)
from support.control_plane import BIN, LIMIT, ROOT, Buoy, alive, wait_for  # noqa: F401  (for the tests)


@pytest.fixture
def make_buoy():
    """Makes control planes: make_buoy(config=…, environment=…)."""
    made = []

    def make(config=None, environment=None):
        # Short, because a Unix socket's path may have 107 bytes at most.
        directory = pathlib.Path(tempfile.mkdtemp(prefix="buoy-e2e-"))
        made.append((Buoy(directory, config, environment), directory))
        return made[-1][0]

    yield make
    for buoy, directory in made:
        buoy.stop()
        shutil.rmtree(directory, ignore_errors=True)


@pytest.fixture
def buoy(make_buoy):
    return make_buoy()

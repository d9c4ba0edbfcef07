"""Runs the real binaries. Every test gets a state directory, and so a control plane, of its own."""
import pytest

from s3 import fault_proxy, moto, radosgw, untrusted_certificate  # noqa: F401  (fixtures)
from support.control_plane import BIN, LIMIT, ROOT, Buoy, alive, make_buoy, wait_for  # noqa: F401  (for the tests)


@pytest.fixture
def buoy(make_buoy):
    return make_buoy()

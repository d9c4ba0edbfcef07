"""Fixtures: real S3 servers, one of each a session, and the proxy that makes them bad."""
import pathlib
import sys

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
from support.fault_proxy import FaultProxy  # noqa: E402
from support.s3_server import MotoServer, RadosGateway, make_certificate  # noqa: E402


@pytest.fixture(scope="session")
def radosgw():
    """Ceph's S3 gateway: `endpoint`, `environment`, make_bucket(), put(), get(), objects(), `stranger`, set_quota()."""
    server = RadosGateway()
    yield server
    server.stop()


@pytest.fixture(scope="session")
def moto():
    """A second implementation, with the same methods."""
    server = MotoServer()
    yield server
    server.stop()


@pytest.fixture
def fault_proxy():
    """fault_proxy(server, {"kind": "cut", …}, …) makes a proxy; server.at(proxy.endpoint) is the server seen through it."""
    made = []

    def make(server, *rules, **options):
        made.append(FaultProxy(server.endpoint, rules, **options))
        return made[-1]

    yield make
    for proxy in made:
        proxy.stop()


@pytest.fixture(scope="session")
def untrusted_certificate(tmp_path_factory):
    """Files (certificate, key) for fault_proxy(…, tls=…)."""
    return make_certificate(tmp_path_factory.mktemp("certificate"))

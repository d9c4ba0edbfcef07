"""The cloud, in one process: python -m cloud.front DIRECTORY [--machines]. Run it with moto's interpreter, below the tests'
directory, inside the cloud's network. Says one line of JSON when it is ready; ends with its standard input."""
import argparse
import faulthandler
import json
import os
import pathlib
import resource
import signal
import sys
import threading
from typing import Any

from cloud.front.moto_app import Moto  # first: it says how moto is to behave

from moto.ec2.models.instance_types import INSTANCE_TYPES

from cloud.front import routes
from cloud.front.control import Controls, ControlServer
from cloud.front.credentials import Credentials, Keys
from cloud.front.front import Front
from cloud.front.http_server import Server
from cloud.front.instance_data import Instances, public_key
from cloud.front.lives import Life
from cloud.front.market import Market
from cloud.front.world import World
from cloud.machines import network, user_data
from cloud.machines.machine import Machine, Spec
from cloud.machines.metadata import MetadataServer
from cloud.machines.shared import Shared
from cloud.machines.volumes import Volumes

PORT = 80
ADMINISTRATOR = Keys("AKIACLOUDADMINISTRAT", "administrators/secret/key/of/the/stand/in")


def login_of(record: Any) -> str:
    """As AWS's and Canonical's images have it, except that the former's have root instead of ec2-user here."""
    image = record.ec2_backend.describe_images(ami_ids=[record.image_id])[0]
    return "ubuntu" if str(image.name).startswith("ubuntu/") else "root"


def make_machine(directory: pathlib.Path, world: World, life: Life) -> Machine:
    record = life.record
    name = f"ip-{record.private_ip.replace('.', '-')}"
    others = [record.public_ip] if record.public_ip else []
    routed = routes.leads_out(record.ec2_backend, record.subnet_id, bool(others))
    try:
        scripts = user_data.scripts(str(record.user_data) if record.user_data else None)
    except user_data.Unknown as problem:
        world.log.add("user-data-not-run", instance=life.id, why=str(problem))
        scripts = []
    spec = Spec(name, life.number, record.private_ip, others, routed, scripts, public_key(record), login_of(record))
    return Machine(directory / life.id, spec, lambda: world.powered_off(life), lambda: world.timeline.now(life.machine.boot))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("directory", type=pathlib.Path)
    parser.add_argument("--region", action="append", help="where something may be; default us-east-1")
    parser.add_argument("--address", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--machines", action="store_true", help="boot real machines; the address must be the network's gateway")
    options = parser.parse_args()
    regions = options.region or ["us-east-1"]
    faulthandler.register(signal.SIGUSR1)  # where every thread is, into the log
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))

    cpus = {kind: int(facts.get("VCpuInfo", {}).get("DefaultVCpus", 2)) for kind, facts in INSTANCE_TYPES.items()}
    make = (lambda world, life: make_machine(options.directory, world, life)) if options.machines else None
    world = World(Market(cpus), Volumes(options.directory.parent / "volumes"), Shared(options.directory.parent / "shared"), make)
    credentials = Credentials(ADMINISTRATOR)
    front = Server((options.address, options.port), Front(world, Moto(), credentials).carry_out)
    control = ControlServer(("127.0.0.1", 0), Controls(world, regions))
    servers = [front, control]
    if options.machines:
        servers.append(MetadataServer((network.METADATA, PORT), Instances(world, credentials)))
    for server in servers:
        threading.Thread(target=server.serve_forever, daemon=True).start()
    endpoint = f"http://{options.address}:{front.server_address[1]}"
    print(json.dumps({"endpoint": endpoint, "control": f"http://127.0.0.1:{control.server_address[1]}",
                      "access_key": ADMINISTRATOR.access_key, "secret_key": ADMINISTRATOR.secret_key, "region": regions[0]}), flush=True)
    sys.stdin.read()
    with world.lock:
        world.reset()
    os._exit(0)  # whatever still waits for something


main()

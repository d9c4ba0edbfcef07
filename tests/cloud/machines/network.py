"""The cloud's network: a network namespace of its own, so that nothing of it can reach, or be reached from, outside.

Whoever starts the cloud enters the namespace first, and everything that it starts is in there: the front, the control
plane, the tests. Machines are namespaces of their own, each with one cable to here and one address."""
import contextlib
import ctypes
import os
import pathlib
import subprocess

GATEWAY = "172.31.255.1"  # in the default VPC's range, above its subnets; the front and the control plane listen here
METADATA = "169.254.169.254"
_CLONE_NEWNET = 0x40000000


class NotPermitted(Exception):
    """This host does not let us make machines; the message says what is missing."""


def enter_private_network() -> None:
    """Moves the calling process into a new network. Call it before any thread is started."""
    if os.geteuid() != 0:
        raise NotPermitted("machines need root: namespaces, mounts and addresses are made")
    if ctypes.CDLL(None, use_errno=True).unshare(_CLONE_NEWNET) != 0:
        raise NotPermitted(f"this host permits no network namespaces: {os.strerror(ctypes.get_errno())}")
    ip("link set lo up", f"address add {GATEWAY}/32 dev lo", f"address add {METADATA}/32 dev lo")
    pathlib.Path("/proc/sys/net/ipv4/ip_forward").write_text("1")


def ip(*commands: str, namespace: int | None = None) -> None:
    """iproute2's commands, in this network or in that of a process."""
    enter = [] if namespace is None else ["nsenter", "-t", str(namespace), "-n"]
    done = subprocess.run([*enter, "ip", "-batch", "-"], input="\n".join(commands) + "\n", text=True, capture_output=True)
    if done.returncode != 0:
        raise NotPermitted(f"ip: {done.stderr.strip()}")


def connect(process: int, number: int, address: str, others: list[str], routed: bool) -> None:
    """Lays a cable from here to a machine whose first process is `process`. Without a route it reaches its metadata only."""
    cable = f"m{number}"
    ip(f"link add {cable} type veth peer name eth0 netns {process}", f"link set {cable} up",
       *(f"route replace {each}/32 dev {cable} src {GATEWAY}" for each in [address, *others]))
    ip("link set lo up", f"address add {address}/32 dev eth0", *(f"address add {each}/32 dev lo" for each in others), "link set eth0 up",
       f"route add {METADATA}/32 dev eth0 src {address}",
       *([f"route add {GATEWAY}/32 dev eth0 src {address}", f"route add default via {GATEWAY} dev eth0 src {address}"] if routed else []),
       namespace=process)


def disconnect(number: int) -> None:
    """For good; from now on nothing is heard from there, no reset of a connection either."""
    with contextlib.suppress(NotPermitted):  # it ended by itself, and its cable with it
        ip(f"link delete m{number}")


def pull(number: int) -> None:
    ip(f"link set m{number} down")


def plug(number: int, addresses: list[str]) -> None:
    """The kernel has forgotten the routes of a cable that was down."""
    ip(f"link set m{number} up", *(f"route replace {each}/32 dev m{number} src {GATEWAY}" for each in addresses))

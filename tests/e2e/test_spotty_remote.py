"""Provider remote: a real sshd, whose machine has a home of its own (a mount namespace), and real podman."""
import contextlib
import os
import pathlib
import shutil
import signal
import socket
import subprocess
import tempfile

import pytest

from conftest import wait_for
from support.containers import IMAGE, podman  # noqa: F401  (a fixture)
from support.spotty import TENSORBOARD, board, close_connections, close_terminals, give_terminals

PROJECT = """
project:
  name: far
  syncFilters: [{{exclude: [.git/*]}}, {{include: [.git/keep]}}]
containers:
  - {{projectDir: /workspace, image: {image}, hostNetwork: true}}
instances:
  - name: mine
    provider: remote
    parameters: {{user: root, host: {host}, port: {port}, keyPath: key}}
scripts:
  count: |
    #!/bin/sh
    n=0
    while [ ! -e go ]; do n=$((n + 1)); echo step $n; echo $n >count; sleep 0.1; done
    exit 4
"""


HERE, THERE, CABLE = "198.18.77.1", "198.18.77.2", "buoyfar0"  # of the block for tests of networks (RFC 2544)
NOBODY = "02:00:00:00:00:01"


class Machine:
    """An sshd in a mount namespace of its own, with its own /root; with a cable, in a network of its own as well."""

    def __init__(self, directory, environment, cable=False):
        self.home = directory / "home"
        self.host = THERE if cable else "127.0.0.1"
        self.home.mkdir()
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        for name in ("host_key", "key"):
            subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", directory / name], check=True)
        (directory / "authorized").write_text((directory / "key.pub").read_text())
        settings = "".join(f" {name}={value}" for name, value in environment.items())
        (directory / "sshd_config").write_text(
            f"Port {self.port}\nListenAddress 0.0.0.0\nHostKey {directory}/host_key\nPidFile none\nUsePAM no\n"
            f"AuthorizedKeysFile {directory}/authorized\nStrictModes no\nPermitRootLogin yes\n" + (f"SetEnv{settings}\n" if settings else ""))
        os.makedirs("/run/sshd", exist_ok=True)
        self.log = open(directory / "sshd.log", "w")
        self.process = subprocess.Popen(
            ["unshare", "-m", *(["-n"] if cable else []), "sh", "-c",
             f"mount --bind {self.home} /root && exec {shutil.which('sshd') or '/usr/sbin/sshd'} -D -e -f {directory}/sshd_config"],
            stderr=self.log, start_new_session=True)
        if cable:
            self._lay_cable()
        wait_for(self.answers, "sshd")

    def answers(self):
        with socket.socket() as one:
            return one.connect_ex((self.host, self.port)) == 0

    def _lay_cable(self):
        own = os.stat("/proc/self/ns/net").st_ino
        wait_for(lambda: os.stat(f"/proc/{self.process.pid}/ns/net").st_ino != own, "its network")
        ip("link", "add", CABLE, "type", "veth", "peer", "name", "eth0", "netns", str(self.process.pid))
        ip("address", "add", f"{HERE}/30", "dev", CABLE)
        ip("link", "set", CABLE, "up")
        for words in (["link", "set", "lo", "up"], ["address", "add", f"{THERE}/30", "dev", "eth0"], ["link", "set", "eth0", "up"]):
            ip(*words, network=self.process.pid)

    def _nobodys(self, action, *words):
        """What either side sends goes to nobody: no error, no reset, no word."""
        ip("neighbour", action, THERE, *words, "dev", CABLE)
        ip("neighbour", action, HERE, *words, "dev", "eth0", network=self.process.pid)

    def fall_silent(self):
        self._nobodys("replace", "lladdr", NOBODY, "nud", "permanent")

    def speak_again(self):
        self._nobodys("delete")

    def cut(self):
        """The network between is gone: every connection, not the machine."""
        subprocess.run(["ss", "-K", "dport", "=", str(self.port)], check=True, capture_output=True)

    def _end_what_waits(self):
        """Nobody has told the other side's end of a connection that was given up in a silence."""
        own = os.stat(f"/proc/{self.process.pid}/ns/net").st_ino
        for process in pathlib.Path("/proc").glob("[0-9]*"):
            with contextlib.suppress(OSError):
                if process.name != str(self.process.pid) and os.stat(process / "ns/net").st_ino == own:
                    os.kill(int(process.name), signal.SIGKILL)

    def stop(self):
        if self.host == THERE:
            self._end_what_waits()
            ip("link", "delete", CABLE)
        self.process.kill()
        self.process.wait()
        self.log.close()


def ip(*words, network=None):
    enter = [] if network is None else ["nsenter", "-t", str(network), "-n"]
    subprocess.run([*enter, "ip", *words], check=True)


@contextlib.contextmanager
def far_project(make_buoy, podman, **machine_options):  # noqa: F811
    if os.geteuid() != 0 or not (shutil.which("sshd") or pathlib.Path("/usr/sbin/sshd").exists()):
        pytest.skip("root and sshd are needed (scripts/install_packages.sh test)")
    place = pathlib.Path(tempfile.mkdtemp(prefix="far"))
    machine = Machine(place, podman.environment, **machine_options)
    buoy = make_buoy(environment={"HOME": str(place)})
    buoy.machine = machine
    shutil.copy(place / "key", buoy.project / "key")
    buoy.write("spotty.yaml", PROJECT.format(image=IMAGE, host=machine.host, port=machine.port))
    buoy.write(".git/config", "")
    buoy.write(".git/keep", "")
    buoy.write("sub/a file", "content")
    give_terminals(buoy)
    yield buoy
    close_terminals(buoy)
    buoy.run("spotty", "stop")
    close_connections(place)
    machine.stop()
    shutil.rmtree(place, ignore_errors=True)


@pytest.fixture
def far(make_buoy, podman):  # noqa: F811
    with far_project(make_buoy, podman) as project:
        yield project


@pytest.fixture
def far_by_cable(make_buoy, podman):  # noqa: F811
    if not shutil.which("ip"):
        pytest.skip("ip is needed (scripts/install_packages.sh test)")
    with far_project(make_buoy, podman, cable=True) as project:
        yield project


def test_a_machine_of_ones_own(far):
    started = far.run("spotty", "start", check=0).stdout
    assert "is running" in started, started
    project = far.machine.home / ".spotty/workspaces/spotty-far-mine/project"
    assert (project / "sub/a file").read_text() == "content" and (project / ".git/keep").exists()
    assert not (project / ".git/config").exists() and not (project / "key").exists()
    assert far.run("spotty", "sync", check=0).stdout == "", "all is there"
    far.write("new.txt", "new")
    assert far.run("spotty", "sync", check=0).stdout == "upload: new.txt\n"
    done = far.run("spotty", "exec", "--", "sh", "-c", "cat new.txt; exit 5", check=5)
    assert done.stdout == "new"

    counting, shell = far.terminal("run", "count"), far.terminal("sh")
    counting.wait("step 3")
    shell.wait("#")
    shell.keys("stays=there; echo has $stays", "Enter")
    shell.wait("has there")  # it has come so far
    far.machine.cut()
    for terminal in (counting, shell):
        terminal.wait("The connection to the machine ended; what runs there goes on.")
        assert terminal.end() == 255
    before = int((project / "count").read_text())
    wait_for(lambda: int((project / "count").read_text() or 0) > before, "steps after the connection is gone")
    counting, shell = far.terminal("run", "count"), far.terminal("sh")
    counting.wait(f"step {before + 3}")
    shell.keys("clear; echo it is $stays", "Enter")
    shell.wait("it is there")
    shell.keys("exit", "Enter")  # which clears the screen
    (project / "go").touch()
    counting.wait("Pane is dead")
    counting.keys("C-b", "d")
    assert counting.end() == 4
    assert "download: count" in far.run("spotty", "download", "-i", "count", check=0).stdout
    assert (far.project / "count").read_text() == (project / "count").read_text()
    assert "was removed" in far.run("spotty", "stop", check=0).stdout


def test_a_network_that_falls_silent(far_by_cable):
    """Nothing is refused and nothing is reset: there is just no answer any more."""
    far = far_by_cable
    far.run("spotty", "start", check=0)
    project = far.machine.home / ".spotty/workspaces/spotty-far-mine/project"
    counting, shell = far.terminal("run", "count"), far.terminal("sh")
    counting.wait("step 3")
    shell.wait("#")
    shell.keys("stays=there; echo has $stays", "Enter")
    shell.wait("has there")  # it has come so far
    # A file that takes longer than the network lasts.
    with open(far.project / "big", "wb") as big:
        big.truncate(1 << 40)
    syncing = far.popen("spotty", "sync")
    wait_for((project / "big").exists, "a sync that is on its way")
    far.machine.fall_silent()
    try:
        for terminal in (counting, shell):
            terminal.wait("The connection to the machine ended; what runs there goes on.")
            assert terminal.end() == 255
        said = syncing.communicate(timeout=60)[1]
        assert syncing.returncode == 1 and len(said.splitlines()) == 1 and f"the connection to root@{THERE} was lost" in said, said
        failed = far.run("spotty", "run", "count", check=1).stderr
        assert len(failed.splitlines()) == 1 and "timed out" in failed, failed
        before = int((project / "count").read_text() or 0)
        wait_for(lambda: int((project / "count").read_text() or 0) > before, "steps in the silence")
    finally:
        far.machine.speak_again()
    os.unlink(far.project / "big")
    counting, shell = far.terminal("run", "count"), far.terminal("sh")
    counting.wait(f"step {before + 3}")
    shell.keys("clear; echo it is $stays", "Enter")
    shell.wait("it is there")
    shell.keys("exit", "Enter")  # which clears the screen
    assert far.run("spotty", "sync", check=0).stdout == ""
    (project / "go").touch()
    counting.wait("Pane is dead")


def test_ports_are_reached_through_a_tunnel(far, podman):  # noqa: F811
    if not podman.bridge:
        pytest.skip("podman has no network of its own here")
    far.write("spotty.yaml", PROJECT.format(image=IMAGE, host=far.machine.host, port=far.machine.port).replace("hostNetwork: true", "ports: [{containerPort: 6006}]") + TENSORBOARD)
    with socket.socket() as taken:
        try:
            taken.bind(("127.0.0.1", 6006))
            taken.listen()
        except OSError:
            pass  # by somebody else
        started = far.run("spotty", "start", check=0).stdout
    line, = [line for line in started.splitlines() if line.startswith("Port 6006")]
    address = line.rpartition(" ")[2]
    assert not address.endswith(":6006"), "that one is taken here"
    far.run("spotty", "run", "tensorboard", "-p", "PORT=6006", check=0)

    wait_for(lambda: board(address) == "board", "an answer through the tunnel")
    far.run("spotty", "stop", check=0)
    assert board(address) is None, "the tunnel is gone"


def test_a_machine_that_does_not_answer(far):
    far.machine.stop()
    failed = far.run("spotty", "start", check=1)
    assert "refused" in failed.stderr.lower() or "ssh" in failed.stderr.lower(), failed.stderr

"""A machine's directory: what it changes of the host's programs, and everything else that it has on disk."""
import os
import pathlib
import shutil

TREES = ("usr", "etc")  # the host's, under an overlay
OWN = ("dev", "proc", "sys", "run", "tmp", "var/lib/cloud/instance/scripts", "var/lib/cloud/scripts/per-boot", "var/log", "var/tmp", "home",
       "root", "opt", "mnt", "srv")

# Programs that would ask an init system to do it.
POWER = {"shutdown": "TERM", "poweroff": "TERM", "halt": "TERM", "reboot": "HUP"}


# What podman needs where control groups are of both kinds and limits may not be raised; it does no harm elsewhere.
CONTAINERS = f"""[containers]
default_ulimits=["nofile=1024:1024","nproc=1024:1024"]
[engine]
events_logger="file"
cgroup_manager="cgroupfs"
runtime="{'runc' if shutil.which('runc') else 'crun'}"
"""
UBUNTU = 2000  # uid; 1000 there, but that may be somebody of the host
DOCKER = """#!/bin/sh
root=$(sed -n 's/.*"data-root": *"\\([^"]*\\)".*/\\1/p' /etc/docker/daemon.json 2>/dev/null)
[ "$1" != version ] || exec echo 24.0
exec podman ${root:+--root "$root"} "$@"
"""
# docker reads its configuration when it starts, and does not start with one that it cannot read.
SYSTEMCTL = """#!/bin/sh
[ "$2" != docker ] || [ ! -e /etc/docker/daemon.json ] || exec python3 -m json.tool /etc/docker/daemon.json /dev/null
"""
NFS_CLIENT = pathlib.Path(__file__).with_name("mount_nfs4.sh")


def make(directory: pathlib.Path, name: str, address: str) -> None:
    """The disk of a machine that was never started."""
    root = directory / "root"
    for path in [*(root / each for each in (*TREES, *OWN)), *(directory / layer / tree for layer in ("changed", "work") for tree in TREES)]:
        path.mkdir(parents=True, exist_ok=True)
    for path in (root / "tmp", root / "var/tmp"):
        path.chmod(0o1777)
    (root / "root").chmod(0o700)
    for host in pathlib.Path("/").iterdir():  # /bin and the like, where they lead into /usr
        if host.is_symlink() and str(host.readlink()).startswith("usr/"):
            (root / host.name).symlink_to(host.readlink())
    changed = directory / "changed"
    (changed / "etc/hostname").write_text(f"{name}\n")
    (changed / "etc/hosts").write_text(f"127.0.0.1 localhost\n{address} {name}\n")
    sbin = changed / "usr/sbin"
    sbin.mkdir()
    for program, signal in POWER.items():
        (sbin / program).write_text(f"#!/bin/sh\nexec kill -s {signal} 1\n")
        (sbin / program).chmod(0o755)
    containers = changed / "etc/containers"
    containers.mkdir(parents=True)
    (containers / "containers.conf").write_text(CONTAINERS)
    shutil.copy(NFS_CLIENT, sbin / "mount.nfs4")
    (sbin / "mount.nfs4").chmod(0o755)


def install(directory: pathlib.Path, scripts: list[bytes], key: str, login: str) -> None:
    """What cloud-init makes of an instance: the user data's scripts, where the first boot looks for them, and who may log in."""
    if login == "ubuntu":
        _make_ubuntu(directory)
    if key:
        home = directory / "root" / ("root" if login == "root" else f"home/{login}") / ".ssh"
        home.mkdir(mode=0o700)
        (home / "authorized_keys").write_text(f"{key}\n")
        for path in (home, home / "authorized_keys"):
            os.chown(path, *_owner(login))
    for number, script in enumerate(scripts, 1):
        path = directory / f"root/var/lib/cloud/instance/scripts/part-{number:03}"
        path.write_bytes(script)
        path.chmod(0o700)


def _owner(login: str) -> tuple[int, int]:
    return (0, 0) if login == "root" else (UBUNTU, UBUNTU)


def _make_ubuntu(directory: pathlib.Path) -> None:
    """Its user, who may become root, and docker, as far as podman can stand in for it."""
    etc = directory / "changed/etc"
    for name, line in (("passwd", f"ubuntu:x:{UBUNTU}:{UBUNTU}:Ubuntu:/home/ubuntu:/bin/sh"), ("group", f"ubuntu:x:{UBUNTU}:"),
                       ("shadow", "ubuntu:*:19000:0:99999:7:::")):
        (etc / name).write_text(f"{pathlib.Path('/etc', name).read_text()}{line}\n")
    (etc / "shadow").chmod(0o600)
    (etc / "sudoers.d").mkdir()
    (etc / "sudoers.d/ubuntu").write_text("ubuntu ALL=(ALL) NOPASSWD:ALL\n")
    (etc / "sudoers.d/ubuntu").chmod(0o440)
    home = directory / "root/home/ubuntu"
    home.mkdir()
    os.chown(home, UBUNTU, UBUNTU)
    for program, source in (("docker", DOCKER), ("systemctl", SYSTEMCTL)):
        path = directory / "changed/usr/local/sbin" / program  # before what the host may have
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(source)
        path.chmod(0o755)


def console(directory: pathlib.Path) -> str:
    log = directory / "root/var/log/cloud-init-output.log"
    return log.read_text(errors="replace") if log.exists() else ""


def remove(directory: pathlib.Path) -> None:
    shutil.rmtree(directory, ignore_errors=True)

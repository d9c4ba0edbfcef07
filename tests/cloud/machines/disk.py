"""A machine's directory: what it changes of the host's programs, and everything else that it has on disk."""
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


def install(directory: pathlib.Path, scripts: list[bytes], key: str) -> None:
    """What cloud-init makes of an instance: the user data's scripts, where the first boot looks for them, and who may log in."""
    if key:
        home = directory / "root/root/.ssh"
        home.mkdir(mode=0o700)
        (home / "authorized_keys").write_text(f"{key}\n")
    for number, script in enumerate(scripts, 1):
        path = directory / f"root/var/lib/cloud/instance/scripts/part-{number:03}"
        path.write_bytes(script)
        path.chmod(0o700)


def console(directory: pathlib.Path) -> str:
    log = directory / "root/var/log/cloud-init-output.log"
    return log.read_text(errors="replace") if log.exists() else ""


def remove(directory: pathlib.Path) -> None:
    shutil.rmtree(directory, ignore_errors=True)

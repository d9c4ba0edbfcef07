"""Real podman, with what this machine permits: found out once, by trying."""
import json
import os
import pathlib
import shutil
import subprocess
import tempfile

import pytest

IMAGE = "localhost/buoy-test-busybox:1"
APPLETS = "sh ls cat sleep echo id env kill ps mkdir mv rm touch dd true false printf wc seq stat tail nc awk tr test [".split()
# As podman finds it, then with what hosts with hybrid control groups and without the right to raise limits need.
SETTINGS = [
    "",
    '[engine]\nevents_logger="file"\ncgroup_manager="cgroupfs"\nruntime="runc"\n',
    '[containers]\ndefault_ulimits=["nofile=1024:1024","nproc=1024:1024"]\n'
    '[engine]\nevents_logger="file"\ncgroup_manager="cgroupfs"\nruntime="runc"\n',
]


class Podman:
    def __init__(self, directory):
        self.directory = pathlib.Path(directory)
        self.environment = {}
        self.problem = self._find_settings()
        self.bridge = not self.problem and self.podman("run", "--rm", IMAGE, "true", check=None).returncode == 0

    def podman(self, *arguments, check=0, **options):
        done = subprocess.run(["podman", *arguments], env={**os.environ, **self.environment}, capture_output=True, timeout=120,
                              **{"text": True, "stdin": subprocess.DEVNULL, **options})
        if check is not None:
            assert done.returncode == check, f"podman {arguments}: {done.stdout}{done.stderr}"
        return done

    def _find_settings(self):
        busybox = shutil.which("busybox")
        if not shutil.which("podman") or not busybox:
            return "podman and a static busybox are needed (scripts/install_packages.sh test)"
        said = ""
        storage = self.directory / "storage.conf"
        driver = self.podman("info", "--format", "{{.Store.GraphDriverName}}", check=None).stdout.strip() or "overlay"
        # Each process of the tests has its own: podman fails when another's image goes away while it looks.
        storage.write_text(f'[storage]\ndriver="{driver}"\ngraphroot="{self.directory}/graph"\nrunroot="{self.directory}/run"\n')
        self.environment = {"CONTAINERS_STORAGE_CONF": str(storage)}
        for settings in SETTINGS:
            if settings:
                path = self.directory / "containers.conf"
                path.write_text(settings)
                self.environment["CONTAINERS_CONF"] = str(path)
            said = self._import(busybox)
            done = said or self.podman("run", "--rm", "--net=none", IMAGE, "true", check=None)
            if not said and done.returncode == 0:
                return ""
            said = said or done.stderr
        return f"podman runs nothing here: {said[-300:]}"

    def _import(self, busybox):
        root = self.directory / "root"
        for name in ("bin", "etc", "tmp", "root"):
            (root / name).mkdir(parents=True, exist_ok=True)
        shutil.copy(busybox, root / "bin/busybox")
        for applet in APPLETS:
            if not (root / "bin" / applet).is_symlink():
                (root / "bin" / applet).symlink_to("busybox")
        (root / "etc/passwd").write_text("root:x:0:0:root:/root:/bin/sh\nworker:x:1234:1235::/:/bin/sh\n")
        (root / "etc/group").write_text("root:x:0:\nworker:x:1235:\n")
        archive = subprocess.run(["tar", "-C", root, "-c", "."], capture_output=True, check=True).stdout
        done = self.podman("import", "-", IMAGE, check=None, input=archive, text=False, stdin=None)
        return "" if done.returncode == 0 else done.stderr.decode()

    def containers(self, state, *options):
        """Containers of the jobs of this control plane; others that run at the same time have their own."""
        listed = self.podman("ps", *options, "--filter", "label=buoy.owner", "--format", "json").stdout
        return [each["Id"] for each in json.loads(listed or "[]") or []
                if each["Labels"]["buoy.owner"].startswith(f"{state}/")]


@pytest.fixture(scope="session")
def podman():
    directory = tempfile.mkdtemp(prefix="buoy-podman")
    found = Podman(directory)
    if not found.problem:
        yield found
        found.podman("rmi", "--all", "--force", check=None)
    # What podman still has mounted there is not to be walked through.
    subprocess.run(["umount", f"{directory}/graph/overlay"], capture_output=True)
    shutil.rmtree(directory, ignore_errors=True)
    if found.problem:
        pytest.skip(found.problem)

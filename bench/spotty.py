"""make bench-spotty: what the commands of a spotty.yaml cost on this machine. Prints a table; figures are kept in docs/benchmarks.md.

Needs podman, tmux and a static busybox (scripts/install_packages.sh test), as root.
"""
import pathlib
import shutil
import statistics
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tests"))
from support.containers import IMAGE, Podman  # noqa: E402
from support.control_plane import Buoy  # noqa: E402

FILES = 10_000
PROJECT = f"""
project: {{name: bench}}
containers: [{{projectDir: /workspace, image: {IMAGE}, hostNetwork: true}}]
instances: [{{name: here, provider: local}}]
scripts: {{first: "#!/bin/sh\\ndate +%s.%N >first; sleep 1000\\n"}}
"""


def seconds(work):
    begin = time.monotonic()
    work()
    return time.monotonic() - begin


def report(what, figures, aim):
    middle = statistics.median(figures)
    print(f"{what:55} {middle * 1000:8.1f} ms   ({min(figures) * 1000:.1f} to {max(figures) * 1000:.1f}, {len(figures)} times; aim {aim})")


def main():
    place = pathlib.Path(tempfile.mkdtemp(prefix="buoy-bench-"))
    podman = Podman(place)
    if podman.problem:
        sys.exit(podman.problem)
    buoy = Buoy(place / "b", environment=podman.environment)
    try:
        buoy.write("spotty.yaml", PROJECT)
        for number in range(FILES):
            buoy.write(f"data/{number % 100}/{number}", "content")
        bare = [seconds(lambda: podman.podman("run", "--rm", "--net=host", IMAGE, "true")) for _ in range(5)]
        report("floor: podman run of the same image", bare, "-")
        buoy.run("server", "start", check=0)
        report("start, with 10,000 files to send", [seconds(lambda: buoy.run("spotty", "start", check=0))], "-")
        started = []
        for _ in range(3):
            buoy.run("spotty", "stop", check=0)
            started.append(seconds(lambda: (buoy.run("spotty", "start", check=0), buoy.run("spotty", "run", "--no-sync", "first", check=0))))
        report("start to the first line of a script, nothing to send", started, "floor + 1000 ms")
        report("status", [seconds(lambda: buoy.run("spotty", "status", check=0)) for _ in range(30)], "30 ms")
        report("sync of 10,000 unchanged files", [seconds(lambda: buoy.run("spotty", "sync", check=0)) for _ in range(10)], "300 ms")
        buoy.run("spotty", "stop", check=0)
    finally:
        buoy.stop()
        podman.podman("rmi", "--force", IMAGE, check=None)
        shutil.rmtree(place, ignore_errors=True)


if __name__ == "__main__":
    main()

"""A shell in the cloud: python3 -m cloud, below the tests' directory, as root."""
import os
import subprocess
import sys

from cloud.handle import Cloud, moto_interpreter
from cloud.machines import network


def main() -> int:
    interpreter = moto_interpreter()
    try:
        network.enter_private_network()
    except network.NotPermitted as problem:
        print(f"make cloud: {problem}", file=sys.stderr)
        return 1
    cloud = Cloud(interpreter)
    try:
        print(f"AWS, with the one region {cloud.region}, is at {cloud.endpoint} for the programs of this shell; its controls at {cloud.control} (tests/cloud/front/control.py).\n"
              "It ends, with all machines, when you leave.", flush=True)
        return subprocess.run([os.environ.get("SHELL", "/bin/sh")], env={**cloud.clean_environment(), "CLOUD_CONTROL": cloud.control}).returncode
    finally:
        cloud.stop()


sys.exit(main())

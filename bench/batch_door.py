"""A control plane of a benchmark's own (build/release) with its AWS Batch door open, and requests to it as boto3 sends them."""
import datetime
import hashlib
import hmac
import json
import os
import pathlib
import shutil
import socket
import subprocess
import sys
import tempfile
import urllib.parse

ROOT = pathlib.Path(__file__).resolve().parent.parent
BUOY = ROOT / "build/release/bin/buoy"
REGION, SERVICE = "us-east-1", "batch"


def _headers(host, path, body, key, secret, signing):
    now = datetime.datetime.now(datetime.timezone.utc)
    stamp, day = now.strftime("%Y%m%dT%H%M%SZ"), now.strftime("%Y%m%d")
    signed = "content-type;host;x-amz-date"
    canonical = f"POST\n{path}\n\ncontent-type:application/json\nhost:{host}\nx-amz-date:{stamp}\n\n{signed}\n" \
                + hashlib.sha256(body).hexdigest()
    scope = f"{day}/{REGION}/{SERVICE}/aws4_request"
    text = f"AWS4-HMAC-SHA256\n{stamp}\n{scope}\n{hashlib.sha256(canonical.encode()).hexdigest()}"
    if day not in signing:
        derived = ("AWS4" + secret).encode()
        for part in (day, REGION, SERVICE, "aws4_request"):
            derived = hmac.new(derived, part.encode(), hashlib.sha256).digest()
        signing[day] = derived
    signature = hmac.new(signing[day], text.encode(), hashlib.sha256).hexdigest()
    return (f"POST {path} HTTP/1.1\r\nHost: {host}\r\nContent-Type: application/json\r\nX-Amz-Date: {stamp}\r\n"
            f"Authorization: AWS4-HMAC-SHA256 Credential={key}/{scope}, SignedHeaders={signed}, Signature={signature}\r\n"
            f"Content-Length: {len(body)}\r\n\r\n").encode()


class Client:
    """One connection; not for threads."""

    def __init__(self, url, key, secret):
        address = urllib.parse.urlsplit(url)
        self.host, self.key, self.secret, self.signing = address.netloc, key, secret, {}
        self.connection = socket.create_connection((address.hostname, address.port))
        self.connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def call(self, operation, value):
        path, body = f"/v1/{operation}", json.dumps(value).encode()
        self.connection.sendall(_headers(self.host, path, body, self.key, self.secret, self.signing) + body)
        data = b""
        while b"\r\n\r\n" not in data:
            data += self.connection.recv(65536)
        head, _, rest = data.partition(b"\r\n\r\n")
        length = next(int(line.split(b":")[1]) for line in head.lower().split(b"\r\n") if line.startswith(b"content-length"))
        while len(rest) < length:
            rest += self.connection.recv(65536)
        status = int(head.split()[1])
        if status != 200:
            sys.exit(f"{path} was answered {status}: {rest.decode()}")
        return json.loads(rest)

    def define_true(self):
        self.call("registerjobdefinition", {"jobDefinitionName": "true", "type": "container", "containerProperties": {
            "image": "i", "vcpus": 1, "memory": 64, "command": ["true"]}})


class Server:
    """Runs from start() to the end of the `with`, which removes its state; not that in a directory of the caller's."""

    def __init__(self, config, directory=None):
        self.kept = directory is not None
        self.directory = pathlib.Path(directory or tempfile.mkdtemp(prefix="buoy-bench-")).resolve()
        self.directory.mkdir(parents=True, exist_ok=True)
        self.state = self.directory / "state"
        (self.directory / "config.yaml").write_text(config)
        self.environment = {**os.environ, "BUOY_STATE_DIR": str(self.state), "BUOY_CONFIG": str(self.directory / "config.yaml")}

    def __enter__(self):
        return self

    def __exit__(self, *_):
        subprocess.run([str(BUOY), "server", "stop"], env=self.environment, capture_output=True)
        if not self.kept:
            shutil.rmtree(self.directory, ignore_errors=True)

    def run(self, *words):
        return subprocess.run([str(BUOY), *words], env=self.environment, check=True, text=True, capture_output=True).stdout

    def start(self):
        """Its status."""
        self.run("server", "start", "--listen", "127.0.0.1:0", "--insecure")
        return json.loads(self.run("server", "status", "--json"))

    def access(self, status):
        """What a Client needs: url, key, secret."""
        made = json.loads(self.run("keys", "create", "--json"))
        return next(e for e in status["endpoints"] if e.startswith("http:")), made["id"], made["secret"]

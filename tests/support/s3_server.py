"""S3 servers for tests and benchmarks, and what a test wants to know of them without the product's help."""
import contextlib
import copy
import hashlib
import http.client
import os
import pathlib
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.parse
import xml.etree.ElementTree

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
from support import sigv4  # noqa: E402

SCRIPTS = pathlib.Path(__file__).resolve().parents[2] / "scripts"
READY_LIMIT = 60  # seconds


def free_port():
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return sock.getsockname()[1]


class Answer:
    def __init__(self, response, body):
        self.status, self.headers, self.body = response.status, response.headers, body

    def code(self):
        """The error's code as S3 names it; "" if there is none."""
        found = re.search(rb"<Code>([^<]*)</Code>", self.body)
        return found.group(1).decode() if found else ""


class S3Server:
    """An endpoint with keys. All methods speak plain HTTP of their own, signed by the tests' own SigV4."""

    def __init__(self, endpoint, access_key, secret_key, region="us-east-1"):
        self.endpoint = endpoint
        self.access_key, self.secret_key, self.region = access_key, secret_key, region
        self.buckets = 0

    def at(self, endpoint):
        """The same server by another way in, such as a proxy's."""
        other = copy.copy(self)
        other.endpoint = endpoint
        return other

    def as_user(self, access_key, secret_key):
        other = copy.copy(self)
        other.access_key, other.secret_key = access_key, secret_key
        return other

    @property
    def environment(self):
        """What a program needs, and nothing of this machine's own AWS settings; merge it over os.environ."""
        return {"AWS_ENDPOINT_URL_S3": self.endpoint, "AWS_ACCESS_KEY_ID": self.access_key,
                "AWS_SECRET_ACCESS_KEY": self.secret_key, "AWS_REGION": self.region, "AWS_DEFAULT_REGION": self.region,
                "AWS_CONFIG_FILE": "/dev/null", "AWS_SHARED_CREDENTIALS_FILE": "/dev/null", "AWS_EC2_METADATA_DISABLED": "true",
                "AWS_PAGER": ""}

    def clean_environment(self):
        """The whole environment for a subprocess."""
        return {**{k: v for k, v in os.environ.items() if not k.startswith("AWS_")}, **self.environment}

    def request(self, method, bucket="", key="", query="", body=b"", headers=None, timeout=30):
        parts = urllib.parse.urlsplit(self.endpoint)
        path = "/" + "/".join(filter(None, [bucket, sigv4.encode(key, "/")]))
        sent = {"host": parts.netloc, "x-amz-date": sigv4.timestamp(time.time()),
                "x-amz-content-sha256": hashlib.sha256(body).hexdigest(), **{k.lower(): v for k, v in (headers or {}).items()}}
        signed = [n for n in sent if n == "host" or n.startswith("x-amz-")]
        sent["authorization"] = sigv4.authorization(method, path, query, sent, signed, self.access_key, self.secret_key, self.region)
        with contextlib.closing(http.client.HTTPConnection(parts.hostname, parts.port, timeout=timeout)) as connection:
            connection.request(method, path + ("?" + sigv4.canonical_query(query) if query else ""), body, sent)
            response = connection.getresponse()
            return Answer(response, response.read())

    def _expect(self, answer, what):
        if answer.status >= 300:
            raise AssertionError(f"{what}: {answer.status} {answer.body[:300]!r}")
        return answer

    def make_bucket(self, name=None):
        self.buckets += 1
        name = name or f"bucket-{os.getpid()}-{self.buckets}"
        self._expect(self.request("PUT", name), f"make bucket {name}")
        return name

    def put(self, bucket, key, body, headers=None):
        return self._expect(self.request("PUT", bucket, key, body=body, headers=headers), f"put {key}")

    def get(self, bucket, key):
        return self._expect(self.request("GET", bucket, key), f"get {key}").body

    def delete(self, bucket, key):
        self._expect(self.request("DELETE", bucket, key), f"delete {key}")

    def objects(self, bucket, prefix=""):
        """Key to (size, ETag), by as many ListObjectsV2 as it takes."""
        found, token = {}, ""
        while True:
            query = "list-type=2&encoding-type=url&prefix=" + sigv4.encode(prefix)
            answer = self._expect(self.request("GET", bucket, query=query + (token and "&continuation-token=" + sigv4.encode(token))),
                                  f"list {bucket}")
            tree = xml.etree.ElementTree.fromstring(re.sub(rb'xmlns="[^"]*"', b"", answer.body))
            for entry in tree.findall("Contents"):
                key = urllib.parse.unquote_plus(entry.findtext("Key"))
                found[key] = (int(entry.findtext("Size")), entry.findtext("ETag").strip('"'))
            token = tree.findtext("NextContinuationToken") or ""
            if not token:
                return found

    def uploads(self, bucket):
        """Keys of multipart uploads that were begun and neither completed nor aborted."""
        answer = self._expect(self.request("GET", bucket, query="uploads"), f"list uploads of {bucket}")
        return [key.decode() for key in re.findall(rb"<Upload>.*?<Key>([^<]*)</Key>", answer.body, re.S)]


class RadosGateway(S3Server):
    """Ceph's gateway, started by scripts/radosgw.sh in a directory of its own; about 12 seconds."""

    def __init__(self, memory=6 << 30, port=None):
        self.directory = pathlib.Path(tempfile.mkdtemp(prefix="radosgw-")) / "server"
        started = subprocess.run([SCRIPTS / "radosgw.sh", "start", self.directory, str(port or free_port())], text=True,
                                 capture_output=True, stdin=subprocess.DEVNULL, env={**os.environ, "RADOSGW_MEMORY": str(memory)})
        if started.returncode != 0:
            raise RuntimeError(f"radosgw did not start:\n{started.stderr}")
        values = dict(line.split("=", 1) for line in started.stdout.splitlines())
        super().__init__(values["AWS_ENDPOINT_URL_S3"], values["AWS_ACCESS_KEY_ID"], values["AWS_SECRET_ACCESS_KEY"], values["AWS_REGION"])
        # A user with valid keys who may neither make buckets nor see anybody's.
        self.stranger = self.as_user(values["STRANGER_ACCESS_KEY_ID"], values["STRANGER_SECRET_ACCESS_KEY"])

    def admin(self, *arguments):
        done = subprocess.run([SCRIPTS / "radosgw.sh", "admin", self.directory, *map(str, arguments)], text=True, capture_output=True)
        if done.returncode != 0:
            raise RuntimeError(f"radosgw-admin {arguments}: {done.stderr}")
        return done.stdout

    def set_quota(self, bucket, size):
        """The store is full at `size` bytes for this bucket: uploads beyond get 403 QuotaExceeded. None takes it away."""
        which = ["--quota-scope=bucket", f"--bucket={bucket}"]
        if size is not None:
            self.admin("quota", "set", *which, f"--max-size={size}")
        self.admin("quota", "disable" if size is None else "enable", *which)

    def stop(self):
        subprocess.run([SCRIPTS / "radosgw.sh", "stop", self.directory], check=True, stdin=subprocess.DEVNULL)
        shutil.rmtree(self.directory.parent, ignore_errors=True)


class MotoServer(S3Server):
    """moto_server from the PATH, or else from PyPI. Checks no signatures; answers for STS and IAM too."""

    def __init__(self):
        program = shutil.which("moto_server")
        if not program:
            found = subprocess.run([SCRIPTS / "python_tool.sh", "moto"], text=True, capture_output=True)
            if found.returncode != 0:
                raise RuntimeError(found.stderr)
            program = found.stdout.strip() + "/moto_server"
        port = free_port()
        super().__init__(f"http://127.0.0.1:{port}", "MOTOKEY0000000000001", "moto-secret")
        self._log = tempfile.TemporaryFile()
        self._process = subprocess.Popen([program, "-H", "127.0.0.1", "-p", str(port)], stdin=subprocess.DEVNULL, stdout=self._log,
                                         stderr=self._log, env=self.clean_environment())
        deadline = time.monotonic() + READY_LIMIT
        while time.monotonic() < deadline:
            if self._process.poll() is not None:
                break
            with contextlib.suppress(OSError):
                socket.create_connection(("127.0.0.1", port), 1).close()
                return
            time.sleep(0.05)
        self._log.seek(0)
        log = self._log.read().decode(errors="replace")[-2000:]
        self.stop()
        raise RuntimeError(f"moto_server did not start:\n{log}")

    def stop(self):
        self._process.kill()
        self._process.wait()


def make_certificate(directory):
    """A self-signed certificate for localhost that nobody trusts: (certificate file, key file)."""
    files = str(directory / "proxy.crt"), str(directory / "proxy.key")
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2",
                    "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1", "-out", files[0], "-keyout", files[1]],
                   check=True, capture_output=True)
    return files

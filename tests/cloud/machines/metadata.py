"""The instance metadata service, version 2 (and 1 where an instance allows it):
https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/instancedata-data-retrieval.html

One server at 169.254.169.254 for all machines; it knows them by their addresses."""
import base64
import http.server
import json
import secrets
import socket
import threading
import time
from typing import Protocol

TOKEN_LIFE = (1, 21600)  # seconds
VERSIONS = ("latest", "2021-07-15", "2020-10-27", "1.0")
TTL = "x-aws-ec2-metadata-token-ttl-seconds"
TOKEN = "x-aws-ec2-metadata-token"


class Options(Protocol):
    """moto's MetadataOptions."""
    http_tokens: str
    http_endpoint: str
    http_put_response_hop_limit: int


class Data(Protocol):
    """One instance, seen from inside."""
    id: str

    def options(self) -> Options: ...
    def meta_data(self) -> dict[str, str]: ...
    def user_data(self) -> str | None: ...
    def identity(self) -> dict[str, object]: ...


class Directory(Protocol):
    def at(self, address: str) -> Data | None: ...
    def fault(self, address: str, path: str) -> int: ...


class MetadataServer(http.server.ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 512

    def __init__(self, address: tuple[str, int], directory: Directory):
        super().__init__(address, _Handler)
        self.directory = directory
        self.lock = threading.Lock()
        self.tokens: dict[str, tuple[str, float]] = {}  # to the instance's id and the token's end

    def make_token(self, instance: str, life: int) -> str:
        token = base64.b64encode(secrets.token_bytes(42)).decode()
        with self.lock:
            now = time.monotonic()
            self.tokens = {key: value for key, value in self.tokens.items() if value[1] > now}
            self.tokens[token] = (instance, now + life)
        return token

    def accepts(self, token: str, instance: str) -> bool:
        with self.lock:
            owner, end = self.tokens.get(token, ("", 0.0))
        return owner == instance and end > time.monotonic()


class _Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: MetadataServer

    def do_PUT(self) -> None:
        self.rfile.read(int(self.headers.get("Content-Length") or 0))
        data = self._instance()
        if not data:
            return
        if self.path != "/latest/api/token":
            return self._answer(404)
        if self.headers.get("X-Forwarded-For"):
            return self._answer(403)
        life = self.headers.get(TTL, "")
        if not life.isdecimal() or not TOKEN_LIFE[0] <= int(life) <= TOKEN_LIFE[1]:
            return self._answer(400)
        # The answer may pass as many routers as the instance's owner allows.
        self.connection.setsockopt(socket.IPPROTO_IP, socket.IP_TTL, data.options().http_put_response_hop_limit)
        self._answer(200, self.server.make_token(data.id, int(life)), [(TTL, life)])

    def do_GET(self) -> None:
        data = self._instance()
        if not data:
            return
        token = self.headers.get(TOKEN)
        if (token is None and data.options().http_tokens == "required") or (token is not None and not self.server.accepts(token, data.id)):
            return self._answer(401)
        version, _, path = self.path.lstrip("/").partition("/")
        if version not in VERSIONS:
            return self._answer(200, "\n".join(VERSIONS)) if not version else self._answer(404)
        text = _look_up(data, path)
        if text is None:
            return self._answer(404)
        self._answer(200, text)

    def _instance(self) -> Data | None:
        address = self.client_address[0]
        data = self.server.directory.at(address)
        status = 403 if data is None or data.options().http_endpoint == "disabled" else self.server.directory.fault(address, self.path)
        if status:
            self._answer(status)
            return None
        return data

    def _answer(self, status: int, text: str = "", headers: list[tuple[str, str]] | None = None) -> None:
        body = text.encode()
        self.send_response(status)
        self.send_header("Content-Type", "text/plain")
        self.send_header("Content-Length", str(len(body)))
        for name, value in headers or []:
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


def _look_up(data: Data, path: str) -> str | None:
    if path in ("", "/"):
        return "dynamic\nmeta-data\nuser-data"
    if path.rstrip("/") == "user-data":
        given = data.user_data()
        return base64.b64decode(given).decode(errors="replace") if given else None
    if path == "dynamic/instance-identity/document":
        return json.dumps(data.identity(), indent=2)
    top, _, rest = path.partition("/")
    return tree_look_up(data.meta_data(), rest) if top == "meta-data" else None


def tree_look_up(tree: dict[str, str], path: str) -> str | None:
    """A value, or the list of what is below; names of folders end with a slash there."""
    if path.rstrip("/") in tree and path:
        return tree[path.rstrip("/")]
    prefix = path.rstrip("/") + "/" if path.strip("/") else ""
    below = {key[len(prefix):].partition("/")[:2] for key in tree if key.startswith(prefix)}
    return "\n".join(sorted(name + slash for name, slash in below)) if below else None

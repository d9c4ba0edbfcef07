"""HTTP/1.1 as the fault proxy needs it: heads are parsed, bodies are passed on as they come."""
import asyncio
import contextlib
import re
import socket
import struct

HEAD_LIMIT = 256 * 1024
PIECE = 512 * 1024


class Broken(Exception):
    """The peer is gone, or speaks no HTTP."""


class Wire:
    """One connection. recv_into a buffer that is used again: a piece is valid until the next read."""

    def __init__(self, sock):
        sock.setblocking(False)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.sock = sock
        self._loop = asyncio.get_running_loop()
        self._rest = b""
        self._buffer = memoryview(bytearray(PIECE))

    async def _receive(self, limit):
        count = await self._loop.sock_recv_into(self.sock, self._buffer[:limit])
        return self._buffer[:count]

    async def read(self, limit=PIECE):
        """At least one byte; nothing at the end of the stream."""
        if self._rest:
            piece, self._rest = self._rest[:limit], self._rest[limit:]
            return piece
        return await self._receive(min(limit, PIECE))

    async def read_until(self, mark):
        """Everything up to and with `mark`; None if the stream ends before its first byte."""
        data = self._rest
        while (end := data.find(mark)) < 0:
            piece = await self._receive(65536)
            if not piece:
                if data:
                    raise Broken("the stream ended in mid-head")
                return None
            data += bytes(piece)
            if len(data) > HEAD_LIMIT:
                raise Broken("the head is too long")
        self._rest = data[end + len(mark):]
        return data[:end + len(mark)]

    async def write(self, data):
        await self._loop.sock_sendall(self.sock, data)

    def shut_down(self):
        """Ends the wait of whoever reads from it."""
        with contextlib.suppress(OSError):
            self.sock.shutdown(socket.SHUT_RDWR)

    def close(self):
        self.sock.close()

    def abort(self):
        """RST instead of FIN."""
        if self.sock.fileno() >= 0:
            self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self.sock.close()


class TlsWire(Wire):
    """The server's side of TLS, over asyncio's transports."""

    def __init__(self, reader, writer):
        super().__init__(socket.socket())
        self.sock.close()
        self._reader, self._writer = reader, writer

    async def _receive(self, limit):
        return await self._reader.read(limit)

    async def write(self, data):
        self._writer.write(bytes(data))
        await self._writer.drain()

    def close(self):
        self._writer.close()

    def abort(self):
        self._writer.transport.abort()


class Head:
    """Start line and headers; header names in lower case, order kept."""

    def __init__(self, data):
        lines = data.decode("latin-1").split("\r\n")
        self.start = lines[0]
        self.headers = [(name.strip().lower(), value.strip()) for name, _, value in
                        (line.partition(":") for line in lines[1:] if line)]
        self.raw = data

    def get(self, name, default=None):
        return next((v for n, v in self.headers if n == name), default)

    def set(self, name, value):
        self.remove(name)
        self.headers.append((name, value))
        self._render()

    def remove(self, name):
        self.headers = [(n, v) for n, v in self.headers if n != name]
        self._render()

    def _render(self):
        self.raw = "\r\n".join([self.start, *[f"{n}: {v}" for n, v in self.headers], "", ""]).encode("latin-1")

    def framing(self, no_body=False, ends_with_stream=False):
        """How the body ends: its length, "chunked" or "close"."""
        if no_body:
            return 0
        if "chunked" in (self.get("transfer-encoding") or "").lower():
            return "chunked"
        length = self.get("content-length")
        if length is not None:
            return int(length)
        return "close" if ends_with_stream else 0


class Request(Head):
    def __init__(self, data):
        super().__init__(data)
        try:
            self.method, self.target, _ = self.start.split(" ")
        except ValueError:
            raise Broken(f"no request line: {self.start!r}") from None
        self.path, _, self.query = self.target.partition("?")
        self.body = self.framing()
        self.expects = (self.get("expect") or "").lower() == "100-continue"

    def access_key(self):
        text = self.get("authorization") or self.query.replace("%2F", "/")
        found = re.search(r"Credential=([^/&,]+)/", text)
        return found.group(1) if found else ""


class Response(Head):
    def __init__(self, data, method):
        super().__init__(data)
        try:
            self.status = int(self.start.split(" ")[1])
        except (IndexError, ValueError):
            raise Broken(f"no status line: {self.start!r}") from None
        none = method == "HEAD" or self.status < 200 or self.status in (204, 304)
        self.body = self.framing(none, ends_with_stream=True)
        self.last = self.body == "close" or (self.get("connection") or "").lower() == "close"


async def pieces(wire, framing):
    """The bytes of a body as they come, chunk headers included."""
    if framing == "chunked":
        async for piece in _chunks(wire):
            yield piece
        return
    left = float("inf") if framing == "close" else framing
    while left > 0:
        piece = await wire.read(int(min(left, PIECE)))
        if not piece:
            if framing == "close":
                return
            raise Broken("the stream ended in mid-body")
        left -= len(piece)
        yield piece


async def _chunks(wire):
    while True:
        line = await wire.read_until(b"\r\n")
        if line is None:
            raise Broken("the stream ended in mid-body")
        yield line
        size = int(line.split(b";")[0], 16)
        if size == 0:
            break
        async for piece in pieces(wire, size + 2):
            yield piece
    while True:  # trailers, then an empty line
        line = await wire.read_until(b"\r\n")
        if line is None:
            raise Broken("the stream ended in mid-body")
        yield line
        if line == b"\r\n":
            return

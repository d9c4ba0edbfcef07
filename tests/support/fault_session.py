"""One client connection through the fault proxy: request by request, with the faults of the rules that took it."""
import asyncio
import email.utils
import re
import socket
import time

from support import sigv4
from support.faults import ANSWERS, BEFORE, Rule, error_body
from support.http_wire import Broken, Response, Wire, pieces

SKEW_LIMIT = 15 * 60  # seconds, as S3


class Cut(Exception):
    """A rule ended the connections."""


class Session:
    """One client connection and the one to the server that belongs to it."""

    def __init__(self, upstream, held, client):
        """`held` is the set of rules that hold an answer now, shared by all sessions."""
        self.upstream = upstream
        self.held = held
        self.client = client
        self.server = None
        self.answer = b""  # the last one that was passed on, unless it was long

    def close(self, abort=False):
        for wire in (self.client, self.server):
            if wire:
                wire.abort() if abort else wire.close()

    async def _connect(self):
        if not self.server:
            loop = asyncio.get_running_loop()
            sock = socket.socket()
            sock.setblocking(False)
            await loop.sock_connect(sock, self.upstream)
            self.server = Wire(sock)

    def _answered(self, rules):
        """An answer went out: lets go the ones that were held for it."""
        for rule in self.held:
            if rule not in rules:
                rule.passed.set()

    async def exchange(self, request, rules, record):
        by_kind = {rule.kind: rule for rule in rules}
        for rule in rules:
            if rule.kind in ANSWERS and rule.kind != "fail_after":
                return await self._answer(rule, request, record)
        if "skew" in by_kind and (refusal := skew_refusal(by_kind["skew"], request)):
            return await self._answer(refusal, request, record)
        if resign := by_kind.get("resign") or by_kind.get("skew"):
            sign_anew(request, resign)
        await self._connect()
        if rule := by_kind.get("duplicate"):
            return await self._send_twice(rule, request, record)
        await self._gate(rules, "up")
        await self.server.write(request.raw)
        sending = None
        if request.body:
            sending = asyncio.ensure_future(self._send_body(request, rules, record))
        try:
            again = await self._receive(request, by_kind, record)
            if sending:
                await sending
            return again
        finally:
            if sending:
                sending.cancel()
                await asyncio.gather(sending, return_exceptions=True)

    async def _send_body(self, request, rules, record):
        try:
            await self._pass(self.client, self.server, request.body, rules, "up", record)
        except BaseException:
            self.server.shut_down()  # or the answer would be waited for in vain
            raise

    async def _receive(self, request, by_kind, record):
        rules = by_kind.values()
        response = await self._response(request)
        if rule := by_kind.get("fail_after"):
            async for _ in pieces(self.server, response.body):
                pass
            return await self._answer(rule, request, record, drained=True) and not response.last
        if "skew" in by_kind:
            response.set("date", email.utils.formatdate(time.time() + by_kind["skew"].offset, usegmt=True))
        if rule := by_kind.get("hold"):
            rule.passed.clear()
            self.held.add(rule)
            try:
                await first_of(rule.passed, rule.removed)
            finally:
                self.held.discard(rule)
        await self._gate(rules, "down")
        record.status = response.status
        if "stale" in by_kind and self.answer:
            await self.client.write(self.answer)
        self.answer = b""
        sink = Recorder(self.client)
        await sink.write(response.raw)
        await self._pass(self.server, sink, response.body, rules, "down", record)
        self.answer = sink.written()
        if "repeat" in by_kind:
            await self.client.write(self.answer)
        self._answered(rules)
        return not response.last

    async def _response(self, request):
        """The final head; interim ones are passed on."""
        while True:
            data = await self.server.read_until(b"\r\n\r\n")
            if data is None:
                raise Broken("the server closed the connection")
            response = Response(data, request.method)
            if response.status >= 200:
                return response
            await self.client.write(data)

    async def _gate(self, rules, direction):
        for rule in rules:
            if rule.direction == direction and rule.at == BEFORE:
                if rule.kind == "cut":
                    raise Cut
                if rule.kind == "stall":
                    await rule.removed.wait()

    async def _pass(self, source, sink, framing, rules, direction, record):
        acting = [r for r in rules if r.direction == direction and r.kind in ("cut", "stall", "corrupt", "slow")]
        offset = 0
        async for piece in pieces(source, framing):
            size = len(piece)
            if acting:
                await self._pass_faulty(acting, bytes(piece), offset, sink, direction, record)
            else:
                record.add(direction, size)
                await sink.write(piece)
            offset += size

    async def _pass_faulty(self, rules, piece, offset, sink, direction, record):
        slow = next((rule for rule in rules if rule.kind == "slow"), None)
        for rule in rules:
            at = rule.at - offset
            if not 0 <= at < len(piece):
                continue
            if rule.kind == "corrupt":
                piece = piece[:at] + bytes([piece[at] ^ 1]) + piece[at + 1:]
            elif rule.kind in ("cut", "stall"):
                await self._write(sink, piece[:at], slow, direction, record)
                if rule.kind == "cut":
                    raise Cut
                await rule.removed.wait()
                piece, offset = piece[at:], rule.at
        await self._write(sink, piece, slow, direction, record)

    async def _write(self, sink, data, slow, direction, record):
        step = max(1, int(slow.rate / 50)) if slow else max(1, len(data))
        for begin in range(0, len(data), step):
            part = data[begin:begin + step]
            if slow:
                await slow.throttle(len(part))
            record.add(direction, len(part))
            await sink.write(part)

    async def _send_twice(self, rule, request, record):
        expects = request.expects
        request.remove("expect")
        if expects:
            await self.client.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        body = b"".join([bytes(piece) async for piece in pieces(self.client, request.body)])
        answers = []
        for _ in range(2):
            await self._connect()
            await self.server.write(request.raw + body)
            response = await self._response(request)
            data = b"".join([bytes(piece) async for piece in pieces(self.server, response.body)])
            answers.append((response, data))
            if response.last:
                self.server.close()
                self.server = None
        response, data = answers[0 if rule.answer == "first" else 1]
        record.up, record.down, record.status = 2 * len(body), len(data), response.status
        await self.client.write(response.raw + data)
        self._answered([rule])
        return not response.last

    async def _answer(self, rule, request, record, drained=False):
        """Answers in the server's place; the rest of the request is read and dropped, unless the client waits for a 100."""
        status, code, message = ANSWERS[rule.kind]
        record.status = rule.status or status
        body = error_body(rule.code or code, rule.message or message, request)
        again = drained or not request.expects
        headers = {"Content-Type": "application/xml", "Content-Length": len(body), "x-amz-request-id": "FAULTPROXY000001",
                   "Date": email.utils.formatdate(usegmt=True), "Connection": "keep-alive" if again else "close",
                   **rule.headers}
        head = "".join([f"HTTP/1.1 {record.status} Fault\r\n", *[f"{n}: {v}\r\n" for n, v in headers.items()], "\r\n"])
        await self.client.write(head.encode() + (b"" if request.method == "HEAD" else body))
        if again and not drained:
            async for _ in pieces(self.client, request.body):
                pass
        self._answered([rule])
        return again


class Recorder:
    """Remembers what it passes on, as long as that is not much."""
    MOST = 4 << 20

    def __init__(self, wire):
        self._wire = wire
        self._pieces = []
        self._size = 0

    async def write(self, data):
        self._size += len(data)
        if self._size <= self.MOST:
            self._pieces.append(bytes(data))
        await self._wire.write(data)

    def written(self):
        return b"".join(self._pieces) if self._size <= self.MOST else b""


async def first_of(*events):
    waits = [asyncio.ensure_future(event.wait()) for event in events]
    try:
        await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for wait in waits:
            wait.cancel()


def skew_refusal(rule, request):
    """What a server whose clock is ahead says to this request, if it refuses it."""
    found = re.search(r"X-Amz-Date=(\w+)", request.query)
    stamp = request.get("x-amz-date") or (found and found.group(1))
    clock = time.time() + rule.offset
    if stamp and abs(sigv4.seconds_of(stamp) - clock) <= SKEW_LIMIT:
        return None
    rule.hits += 1
    return Rule("error", status=403, code="RequestTimeTooSkewed",
                message="The difference between the request time and the current time is too large.",
                headers={"Date": email.utils.formatdate(clock, usegmt=True)})


def sign_anew(request, rule):
    """Dates the request now and signs it, with the rule's keys."""
    if not rule.keys or not request.get("authorization"):
        return
    signed = re.search(r"SignedHeaders=([^,\s]+)", request.get("authorization")).group(1).split(";")
    request.set("x-amz-date", sigv4.timestamp(time.time()))
    request.remove("x-amz-security-token")
    signed = [name for name in signed if name != "x-amz-security-token"]
    request.set("authorization", sigv4.authorization(request.method, request.path, request.query, dict(request.headers),
                                                     signed, *rule.keys, rule.region))

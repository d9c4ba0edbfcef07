#!/usr/bin/python3
"""A proxy between a client and an S3 server that does to them what networks, overloaded servers and clocks do.

As a library: FaultProxy("http://127.0.0.1:8000") runs in a thread of its own until stop(); all its methods may be called
from any thread. As a program:
    fault_proxy.py --listen 127.0.0.1:9000 --upstream http://127.0.0.1:8000 --rules '[{"kind": "slow_down", "probability": 0.3}]'
"""
import argparse
import asyncio
import contextlib
import dataclasses
import json
import pathlib
import re
import socket
import ssl
import sys
import threading
import urllib.parse

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
from support.fault_session import Cut, Session  # noqa: E402
from support.faults import Rule  # noqa: E402
from support.http_wire import Broken, Request, TlsWire, Wire  # noqa: E402


@dataclasses.dataclass
class Exchange:
    """One request as it was seen; `up` and `down` are the bytes of its bodies that were passed on so far."""
    method: str
    path: str
    query: str
    status: int = 0  # 0: no answer was passed on yet
    up: int = 0
    down: int = 0
    faults: tuple = ()

    def add(self, direction, count):
        setattr(self, direction, getattr(self, direction) + count)


class FaultProxy:
    def __init__(self, upstream, rules=(), listen=("127.0.0.1", 0), tls=None):
        """`upstream` is http://host:port; `tls` is (certificate file, key file): then clients speak HTTPS to it."""
        parts = urllib.parse.urlsplit(upstream)
        self.upstream = (parts.hostname, parts.port or 80)
        self._context = None
        if tls:
            self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            self._context.load_cert_chain(*tls)
        self._lock = threading.Lock()
        self._rules = []
        self._exchanges = []
        self._held = set()
        self._serving = set()
        self.connections = 0
        self._outage = None
        self._loop = asyncio.new_event_loop()
        for rule in rules:
            self.add(rule)
        self.address = listen
        self._listener = self._bind()
        self.address = self._listener.getsockname()[:2]
        self.endpoint = f"{'https' if tls else 'http'}://{self.address[0]}:{self.address[1]}"
        self._accepting = self._loop.create_task(self._accept(self._listener))
        self._thread = threading.Thread(target=self._run, name="fault-proxy", daemon=True)
        self._thread.start()

    # -- for the test's thread ---------------------------------------------------------------------------------------

    def add(self, rule=None, **fields):
        """Takes a Rule, a dictionary or a rule's fields; acts on requests that begin afterwards."""
        rule = rule if isinstance(rule, Rule) else Rule(**(rule or {}), **fields)
        with self._lock:
            self._rules.append(rule)
        return rule

    def remove(self, rule):
        """Ends a rule; what it stalls or holds goes on."""
        with self._lock:
            self._rules = [other for other in self._rules if other is not rule]
        self._loop.call_soon_threadsafe(rule.removed.set)

    def holds(self, rule):
        """True while an answer is kept back by this rule."""
        return rule in self._held

    def clear(self):
        with self._lock:
            rules = list(self._rules)
        for rule in rules:
            self.remove(rule)

    @contextlib.contextmanager
    def rule(self, kind, **fields):
        made = self.add(kind=kind, **fields)
        try:
            yield made
        finally:
            self.remove(made)

    def outage(self, how="refuse"):
        """Resets all connections; until restore(), new ones are refused ("refuse") or reset when they speak ("reset")."""
        self._call(self._begin_outage(how))

    def restore(self):
        self._call(self._end_outage())

    def exchanges(self, method=None, path=None, query=None):
        """The requests in the order of their beginnings."""
        with self._lock:
            return [e for e in self._exchanges if (method is None or e.method == method)
                    and (path is None or re.search(path, e.path)) and (query is None or re.search(query, e.query))]

    def count(self, **which):
        return len(self.exchanges(**which))

    def counters(self):
        """(method, path) to [requests, bytes up, bytes down]."""
        found = {}
        for e in self.exchanges():
            entry = found.setdefault((e.method, e.path), [0, 0, 0])
            entry[:] = entry[0] + 1, entry[1] + e.up, entry[2] + e.down
        return found

    def reset_counters(self):
        with self._lock:
            self._exchanges.clear()

    def stop(self):
        if self._thread.is_alive():
            self._call(self._begin_outage("refuse"))
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._thread.join()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()

    # -- in the proxy's thread ---------------------------------------------------------------------------------------

    def _call(self, coroutine):
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop).result(30)

    def _run(self):
        asyncio.set_event_loop(self._loop)
        self._loop.run_forever()
        self._loop.close()

    def _bind(self):
        listener = socket.create_server(self.address, backlog=1024)
        listener.setblocking(False)
        return listener

    async def _accept(self, listener):
        while True:
            sock, _ = await self._loop.sock_accept(listener)
            self.connections += 1
            task = self._loop.create_task(self._serve(sock))
            self._serving.add(task)
            task.add_done_callback(self._serving.discard)

    async def _begin_outage(self, how):
        self._outage = how
        serving = list(self._serving)
        if how == "refuse" and self._listener:
            self._accepting.cancel()
            await asyncio.gather(self._accepting, return_exceptions=True)
            self._listener.close()
            self._listener = None
        for task in serving:
            task.cancel()
        await asyncio.gather(*serving, return_exceptions=True)

    async def _end_outage(self):
        self._outage = None
        if not self._listener:
            self._listener = self._bind()
            self._accepting = self._loop.create_task(self._accept(self._listener))

    async def _wire(self, sock):
        if not self._context:
            return Wire(sock)
        reader = asyncio.StreamReader(limit=1 << 20)
        protocol = asyncio.StreamReaderProtocol(reader)
        transport, _ = await self._loop.connect_accepted_socket(lambda: protocol, sock, ssl=self._context)
        return TlsWire(reader, asyncio.StreamWriter(transport, protocol, reader, self._loop))

    async def _serve(self, sock):
        session = None
        try:
            session = Session(self.upstream, self._held, await self._wire(sock))
            while data := await session.client.read_until(b"\r\n\r\n"):
                if self._outage or not await self._exchange(session, Request(data)):
                    break
            session.close(abort=bool(self._outage))
        except (Cut, Broken, OSError, asyncio.CancelledError):
            if session:
                session.close(abort=True)
            else:
                sock.close()

    def _select(self, request):
        with self._lock:
            return [rule for rule in self._rules if rule.takes(request)]

    async def _exchange(self, session, request):
        """Whether the connection can be used again."""
        rules = self._select(request)
        record = Exchange(request.method, request.path, request.query, faults=tuple(rule.kind for rule in rules))
        with self._lock:
            self._exchanges.append(record)
        return await session.exchange(request, rules, record)



def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--listen", default="127.0.0.1:0", metavar="HOST:PORT")
    parser.add_argument("--upstream", required=True, metavar="URL")
    parser.add_argument("--rules", default="[]", metavar="JSON", help="a list of rules; their fields: pydoc3 support.faults")
    options = parser.parse_args()
    host, _, port = options.listen.rpartition(":")
    with FaultProxy(options.upstream, json.loads(options.rules), (host, int(port))) as proxy:
        print(proxy.endpoint, flush=True)
        with contextlib.suppress(KeyboardInterrupt):
            threading.Event().wait()
        for (method, path), (requests, up, down) in sorted(proxy.counters().items()):
            print(f"{requests:8} {up:14} {down:14} {method} {path}")


if __name__ == "__main__":
    main()

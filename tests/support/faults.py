"""The faults that the proxy can cause. A Rule says which requests are meant and what happens to them."""
import asyncio
import dataclasses
import random
import re
import time

# kind: status, code and message as AWS documents them.
ANSWERS = {
    "slow_down": (503, "SlowDown", "Please reduce your request rate."),
    "internal_error": (500, "InternalError", "We encountered an internal error. Please try again."),
    "fail_after": (500, "InternalError", "We encountered an internal error. Please try again."),
    "expired": (400, "ExpiredToken", "The provided token has expired."),
    "denied": (403, "AccessDenied", "Access Denied"),
    "error": (500, "InternalError", "We encountered an internal error. Please try again."),
}
KINDS = {*ANSWERS, "cut", "stall", "corrupt", "slow", "duplicate", "repeat", "stale", "hold", "skew", "resign"}
BEFORE = -1  # `at`: before anything is passed on in that direction


@dataclasses.dataclass(eq=False)
class Rule:
    """kind         what it does
       slow_down, internal_error, expired, denied, error
                    answers at once and forwards nothing; status, code, message and headers can be given
       fail_after   forwards, lets the server do it, then answers 500
       cut          resets both connections after `at` bytes of the body in `direction`; BEFORE: with direction "up" the
                    server sees nothing of it, with "down" it has done it and the client hears nothing
       stall        stops after `at` bytes, until the rule is removed
       corrupt      flips one bit of byte `at` of the body; the length stays right
       slow         at most `rate` bytes a second over all connections together
       duplicate    sends the request upstream twice and passes on the answer to the `answer` ("first" or "second")
       repeat       passes on the answer, and the same bytes once more on the same connection
       stale        passes on the connection's previous answer once more, and then the right one (if there was a previous one)
       hold         keeps one answer back until another one has passed, or until the rule is removed
       skew         the server's clock is `offset` seconds ahead: a request dated otherwise gets RequestTimeTooSkewed
       resign       signs anew with `keys` (the proxy then stands for an account with temporary credentials)
    Which requests: method, path and query (regular expressions, as sent), access_key; of these not the first `skip`,
    only the `first` ones after that, each with `probability`, and only `after_s` seconds after the rule was made."""
    kind: str
    method: str = None
    path: str = None
    query: str = None
    access_key: str = None
    skip: int = 0
    first: int = None
    probability: float = 1.0
    seed: int = 1
    after_s: float = 0
    direction: str = "down"
    at: int = 0
    rate: float = 0
    answer: str = "second"
    offset: float = 3600
    status: int = None
    code: str = None
    message: str = None
    headers: dict = dataclasses.field(default_factory=dict)
    keys: tuple = None
    region: str = "us-east-1"

    def __post_init__(self):
        if self.kind not in KINDS:
            raise ValueError(f"no such fault: {self.kind}; there are {', '.join(sorted(KINDS))}")
        if self.kind == "slow" and self.rate <= 0:
            raise ValueError("slow needs a rate in bytes a second")
        if self.kind == "resign" and not self.keys:
            raise ValueError("resign needs keys: access key and secret key")
        self.seen = 0  # requests that it means
        self.hits = 0  # requests that it acted on
        self.removed = asyncio.Event()
        self.passed = asyncio.Event()
        self._made = time.monotonic()
        self._dice = random.Random(self.seed)
        self._free_at = 0.0

    def means(self, request):
        return ((self.method is None or self.method == request.method)
                and (self.path is None or re.search(self.path, request.path))
                and (self.query is None or re.search(self.query, request.query))
                and (self.access_key is None or self.access_key == request.access_key())
                and time.monotonic() - self._made >= self.after_s)

    def takes(self, request):
        """Whether it acts on this request. Called once a request."""
        if not self.means(request):
            return False
        self.seen += 1
        if self.seen <= self.skip or (self.first is not None and self.hits >= self.first):
            return False
        if self.probability < 1 and self._dice.random() >= self.probability:
            return False
        # A clock that is off shows only on the requests that it refuses; a hit is counted there.
        self.hits += self.kind != "skew"
        return True

    async def throttle(self, count):
        now = time.monotonic()
        self._free_at = max(self._free_at, now) + count / self.rate
        await asyncio.sleep(self._free_at - now)


def error_body(code, message, request):
    return (f'<?xml version="1.0" encoding="UTF-8"?>\n<Error><Code>{code}</Code><Message>{message}</Message>'
            f"<Resource>{request.path.replace('&', '&amp;').replace('<', '&lt;')}</Resource>"
            "<RequestId>FAULTPROXY000001</RequestId><HostId>fault-proxy</HostId></Error>").encode()

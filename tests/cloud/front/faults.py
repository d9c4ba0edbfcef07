"""What can go wrong with a call, on purpose: throttling, errors, lost answers, delays, and places to wait at."""
import dataclasses
import random
import re
import threading
import time

from cloud.front.calls import Answer, Call
from cloud.front.errors import Refusal, refuse
from cloud.front.http_server import Cut

HOLD_LIMIT = 120  # seconds after which a held call goes on, so that no forgotten rule hangs a test

# kind: what the service says where no other status, code or message is given.
REFUSALS = {
    "throttle": (503, "RequestLimitExceeded", "Request limit exceeded."),
    "error": (500, "InternalError", "An internal error has occurred"),
    "error_after": (500, "InternalError", "An internal error has occurred"),
    "expired": (400, "ExpiredToken", "The security token included in the request is expired"),
    "denied": (403, "UnauthorizedOperation", "You are not authorized to perform this operation."),
}
# EC2's own words for it are RequestExpired.
EXPIRED_EC2 = (400, "RequestExpired", "Request has expired.")
KINDS = {*REFUSALS, "cut_before", "cut_after", "delay", "hold_before", "hold_after"}


@dataclasses.dataclass(eq=False)
class Rule:
    """kind          what it does
       error, expired, denied
                     answers at once and does nothing; status, code and message can be given
       error_after   does it, then answers as error
       cut_before, cut_after
                     resets the connection: nothing was done, or all of it and nobody hears
       delay         waits `seconds` first
       hold_before, hold_after
                     waits, before the call is carried out or right before its answer, until the rule is removed;
                     whoever waits for `reached` can kill the caller there, and have what was held dropped
       throttle      at most `rate` calls a second, `burst` at once; the others are refused
    Which calls: `calls`, a regular expression for "service:Action", and `body`, one for the request's text; of these not
    the first `skip`, only the `first` ones after that, each with `probability`."""
    kind: str
    calls: str = "."
    body: str | None = None
    skip: int = 0
    first: int | None = None
    probability: float = 1.0
    seed: int = 1
    seconds: float = 0
    rate: float = 0
    burst: int = 1
    status: int | None = None
    code: str | None = None
    message: str | None = None

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise ValueError(f"no such fault: {self.kind}; there are {', '.join(sorted(KINDS))}")
        if self.kind == "throttle" and self.rate <= 0:
            raise ValueError("throttle needs a rate in calls a second")
        self.seen = 0
        self.hits = 0
        self.removed = threading.Event()
        self.drops = False  # what was held ends without having been carried out
        self.reached = threading.Event()
        self._dice = random.Random(self.seed)
        self._tokens = float(self.burst)
        self._counted = time.monotonic()

    def takes(self, call: Call) -> bool:
        """Whether it acts on this call. Called once a call, under the faults' lock."""
        if not re.search(self.calls, call.name) or (self.body and not re.search(self.body, call.body.decode(errors="replace"))):
            return False
        self.seen += 1
        if self.seen <= self.skip or (self.first is not None and self.hits >= self.first):
            return False
        if self.probability < 1 and self._dice.random() >= self.probability:
            return False
        if self.kind == "throttle" and self._has_token():
            return False
        self.hits += 1
        return True

    def _has_token(self) -> bool:
        """The token bucket that AWS describes for its API: refilled evenly, never above the burst."""
        now = time.monotonic()
        self._tokens = min(float(self.burst), self._tokens + (now - self._counted) * self.rate)
        self._counted = now
        if self._tokens < 1:
            return False
        self._tokens -= 1
        return True

    def refusal(self, call: Call) -> Refusal:
        status, code, message = EXPIRED_EC2 if self.kind == "expired" and call.service == "ec2" else REFUSALS[self.kind]
        if self.kind == "denied" and call.service != "ec2":
            code = "AccessDenied"
        return Refusal(self.status or status, self.code or code, self.message or message)

    def wait(self) -> None:
        self.reached.set()
        self.removed.wait(HOLD_LIMIT)


class Faults:
    """The rules in force. Threads: any."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._rules: dict[int, Rule] = {}
        self._made = 0

    def add(self, rule: Rule) -> int:
        with self._lock:
            self._made += 1
            self._rules[self._made] = rule
            return self._made

    def get(self, number: int) -> Rule:
        with self._lock:
            return self._rules[number]

    def remove(self, number: int, drop: bool = False) -> Rule:
        with self._lock:
            rule = self._rules.pop(number)
        rule.drops = drop
        rule.removed.set()
        return rule

    def clear(self) -> None:
        for number in list(self._rules):
            self.remove(number)

    def select(self, call: Call) -> list[Rule]:
        with self._lock:
            return [rule for rule in self._rules.values() if rule.takes(call)]


def before(rules: list[Rule], call: Call) -> Answer | None:
    """What happens before the call is carried out; an answer is instead of that."""
    for rule in rules:
        if rule.kind == "delay":
            time.sleep(rule.seconds)
        elif rule.kind == "hold_before":
            rule.wait()
            if rule.drops:
                raise Cut
        elif rule.kind == "cut_before":
            raise Cut
        elif rule.kind in ("throttle", "error", "expired", "denied"):
            return refuse(call, rule.refusal(call))
    return None


def after(rules: list[Rule], call: Call, answer: Answer) -> Answer:
    """What happens to the answer of a call that was carried out."""
    for rule in rules:
        if rule.kind == "hold_after":
            rule.wait()
        elif rule.kind == "cut_after":
            raise Cut
        elif rule.kind == "error_after":
            return refuse(call, rule.refusal(call))
    return answer

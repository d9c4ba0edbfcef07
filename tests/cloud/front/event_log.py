"""What happened, in order, and how often each action was called."""
import collections
import threading
import time
from typing import Any


class EventLog:
    """Threads: any. Times are seconds since the epoch."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._events: list[dict[str, Any]] = []
        self._calls: collections.Counter[str] = collections.Counter()

    def add(self, kind: str, **fields: Any) -> None:
        with self._changed:
            self._events.append({"number": len(self._events) + 1, "time": time.time(), "kind": kind, **fields})
            self._changed.notify_all()

    def called(self, name: str) -> None:
        with self._changed:
            self._calls[name] += 1

    def events(self, after: int = 0, wait: float = 0) -> list[dict[str, Any]]:
        """The events with a number above `after`; if there are none, waits that long for the next."""
        deadline = time.monotonic() + wait
        with self._changed:
            while len(self._events) <= after and (left := deadline - time.monotonic()) > 0:
                self._changed.wait(left)
            return self._events[after:]

    def clear(self) -> None:
        with self._changed:
            self._events.clear()
            self._calls.clear()

    def calls(self) -> dict[str, int]:
        with self._changed:
            return dict(self._calls)

    def reset_calls(self) -> None:
        with self._changed:
            self._calls.clear()

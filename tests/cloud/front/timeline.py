"""Things that happen later: one thread that waits, and a pool in which they happen."""
import concurrent.futures
import contextlib
import heapq
import itertools
import sys
import threading
import time
import traceback
from collections.abc import Callable


class Timeline:
    """Threads: any. What is scheduled runs in the pool and may block there."""

    def __init__(self, workers: int = 16):
        self._changed = threading.Condition()
        self._due: list[tuple[float, int, Callable[[], None]]] = []
        self._order = itertools.count()
        self._pool = concurrent.futures.ThreadPoolExecutor(workers, thread_name_prefix="timeline")
        threading.Thread(target=self._run, name="timeline", daemon=True).start()

    def after(self, seconds: float, what: Callable[[], None]) -> None:
        if seconds <= 0:
            return self.now(what)
        with self._changed:
            heapq.heappush(self._due, (time.monotonic() + seconds, next(self._order), what))
            self._changed.notify()

    def now(self, what: Callable[[], None]) -> None:
        with contextlib.suppress(RuntimeError):  # the process ends, and its pool did before
            self._pool.submit(_guarded, what)

    def _run(self) -> None:
        while True:
            with self._changed:
                while not self._due or self._due[0][0] > time.monotonic():
                    self._changed.wait(self._due[0][0] - time.monotonic() if self._due else None)
                what = heapq.heappop(self._due)[2]
            self.now(what)


def _guarded(what: Callable[[], None]) -> None:
    try:
        what()
    except Exception:  # a defect of the stand-in must be seen, in its log, and not end the pool's thread
        traceback.print_exc(file=sys.stderr)

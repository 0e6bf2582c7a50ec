"""Threads of their own for what writes to the database, and a bound on what waits for them.

A database that is locked or slow holds only these threads: answers, health, metrics and reads have others. Whoever
comes when enough requests wait already, or has waited for too long, is sent away at once and may come again. What a
request has waited for a thread it does not wait again for the database: all its waits together have one bound
(`crossmix.ledger.patience`).
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from prometheus_client import Gauge

from crossmix.ledger import patience

WAITING = Gauge("crossmix_waiting_requests", "Requests that wait for the database or are written.", ["what"])
WAIT_SECONDS = 10.0
"""How long a request waits, for a thread and for the database together."""
MOST = 64
"""Requests that may wait for the database, where nothing else is told."""
THREADS = 2
"""SQLite takes one write at a time: the other thread reads and checks its request meanwhile."""
Result = TypeVar("Result")


class BusyError(RuntimeError):
    """Too much waits already; nothing of the request was kept."""


class Writers:
    """A bounded queue in front of a few threads.

    Args:
        name: of what is written, for threads and errors.
        most: requests that may wait or be worked on; one more is refused.
        seconds: after which a request that still waits is refused too, by the database as well; `WAIT_SECONDS` if
            `None`.
    """

    def __init__(self, name: str, most: int = MOST, threads: int = THREADS, seconds: float | None = None) -> None:
        self.name, self.most = name, most
        self.seconds = WAIT_SECONDS if seconds is None else seconds
        self._threads = ThreadPoolExecutor(threads, thread_name_prefix=name)
        self._lock = threading.Lock()
        self._waiting = 0

    def check(self) -> None:
        """Raise `BusyError` where one more is refused, for those who can know it before a body is read."""
        if self._waiting >= self.most:
            raise BusyError(f"{self.name}: {self.most} requests wait already; send it again in a second")

    async def run(self, work: Callable[[], Result]) -> Result:
        """What `work` returns, from one of the threads; raises `BusyError`, and what `work` raises."""
        with self._lock:
            self.check()
            self._waiting += 1
            WAITING.labels(self.name).set(self._waiting)
        last = time.monotonic() + self.seconds

        def one() -> Result:
            if time.monotonic() > last:
                raise self._slow()
            with patience.until(last):
                return work()

        future = self._threads.submit(one)
        result = asyncio.wrap_future(future)
        try:
            done, _ = await asyncio.wait({result}, timeout=self.seconds)
            # A thread may be busy for as long again: who still waits for one is not kept until it is free.
            if not done and future.cancel():
                raise self._slow()
            return await result
        finally:
            future.cancel()  # whoever asked is gone: what has not begun is not done
            with self._lock:
                self._waiting -= 1
                WAITING.labels(self.name).set(self._waiting)

    def _slow(self) -> BusyError:
        return BusyError(f"{self.name}: the database is slow, it waited {self.seconds:g} s; send it again")

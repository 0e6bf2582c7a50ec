"""The webhook's process: its sockets, its loops, and its end on SIGTERM."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Sequence
from typing import Any

from crossmix import listening
from crossmix.background import Loop
from crossmix.clock import Clock
from crossmix.ledger.store import Store

GRACE_SECONDS = 20


class Opening:
    """A ledger that is opened when it is first asked for, and again until it can be: it may be away at the start."""

    def __init__(self, url: str, clock: Clock) -> None:
        self._url, self._clock = url, clock
        self._store: Store | None = None
        self._lock = threading.Lock()

    def __call__(self) -> Store:
        """Raises `StoreAwayError`, and what else `Store` raises."""
        with self._lock:
            if self._store is None:
                self._store = Store(self._url, self._clock)
            return self._store

    @property
    def trouble(self) -> str | None:
        """Why the last write failed; `None`: it did not."""
        return None if self._store is None else self._store.trouble

    def close(self) -> None:
        """Let it go."""
        with self._lock:
            if self._store is not None:
                self._store.close()


def troubles(parts: Sequence[tuple[str, str | None]]) -> list[dict[str, str]]:
    """What is away or missing: each part's name and its trouble, where it has one."""
    return [{"what": what, "why": why} for what, why in parts if why is not None]


def run(app: Any, host: str, port: int, loops: Sequence[Loop], started: Callable[[int], None]) -> None:
    """Serve until SIGTERM or SIGINT; then finish what is under way and return.

    Args:
        port: 0: a free one.
        started: called with the port once it listens.

    Raises:
        ConfigError: the address cannot be bound.
    """
    listener = listening.bound(host, port)
    for loop in loops:
        loop.start()
    try:
        started(int(listener.getsockname()[1]))
        asyncio.run(listening.serve(app, listener, GRACE_SECONDS))
    finally:
        for loop in loops:
            loop.stop()
        for loop in loops:
            loop.join(GRACE_SECONDS)

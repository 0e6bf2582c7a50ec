"""Ticks that are asked for over HTTP: each waits for its round, and for no database that is away.

A round that has begun goes on, however long the database is locked; whoever asked is sent away meanwhile, at once told
what is away, and may come again.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from crossmix.ledger.store import Store

LOOK_SECONDS = 2.0
"""How long a database may refuse a transaction until whoever waits for a tick is told that it is away; also how often
that is tried while a tick is under way."""
WAITING = 16
"""Ticks that may wait or be under way; one more is refused."""


class BusyTickError(RuntimeError):
    """Too many ticks wait already: 503."""


class Ticking:
    """Ticks on a thread of their own, one after the other.

    Args:
        tick: a round; what it did.
        store: opens the database; raises `StoreAwayError`.
        seconds: `LOOK_SECONDS` if `None`.
    """

    def __init__(
        self, tick: Callable[[], dict[str, Any]], store: Callable[[], Store], seconds: float | None = None
    ) -> None:
        self._tick, self._store = tick, store
        self._seconds = LOOK_SECONDS if seconds is None else seconds
        self._rounds, self._looks = (ThreadPoolExecutor(1, thread_name_prefix=name) for name in ("tick", "tick-look"))
        self._waiting = 0

    async def ask(self) -> dict[str, Any]:
        """A round, and what it did.

        Raises:
            BusyTickError: `WAITING` wait already.
            StoreAwayError: the database is away, locked, or refuses writers; a round that has begun goes on.
        """
        if self._waiting >= WAITING:
            raise BusyTickError(f"tick: {WAITING} wait already; send it again in a second")
        self._waiting += 1
        try:
            await self._look()
            future = self._rounds.submit(self._tick)
            result = asyncio.wrap_future(future)
            try:
                while not (await asyncio.wait({result}, timeout=self._seconds))[0]:
                    await self._look()
                return await result
            finally:
                future.cancel()  # whoever asked is gone: a round that has not begun is not done
        finally:
            self._waiting -= 1

    async def _look(self) -> None:
        """Raise `StoreAwayError` where the database takes no transaction."""
        look = self._looks.submit(lambda: self._store().writable(self._seconds))
        await asyncio.wrap_future(look)

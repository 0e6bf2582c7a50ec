"""The server's database: opened as soon as it can be, and since when it is away."""

from __future__ import annotations

import logging
import threading
import time

from crossmix.clock import Clock
from crossmix.ledger.store import Store, StoreAwayError

_log = logging.getLogger(__name__)


class Database:
    """One database for all threads.

    Args:
        url: SQLAlchemy's.
        clock: what time it is in what is written.
    """

    def __init__(self, url: str, clock: Clock) -> None:
        self.url, self._clock = url, clock
        self._store: Store | None = None
        self._opening = threading.Lock()
        self._trouble: str | None = None
        self._since: float | None = None

    def open(self) -> Store:
        """The same one each time; raises `StoreAwayError`."""
        with self._opening:
            if self._store is None:
                self._store = Store(self.url, self._clock)
            return self._store

    @property
    def lost(self) -> bool:
        """Whether it was away when it was last read."""
        return self._trouble is not None

    @property
    def trouble(self) -> tuple[str | None, float | None]:
        """Why it cannot be read, or written, and since when, seconds of the machine's time; twice `None`: it can."""
        if self._trouble is None and self._store is not None:
            # It answers readers, and refuses writers: locked, or its disk is full.
            refused = self._store.trouble
            return None if refused is None else f"it cannot be written: {refused}", self._store.since
        return self._trouble, self._since

    def away(self, error: StoreAwayError) -> None:
        """A reader found it away."""
        if self._trouble is None:
            self._since = time.time()
            _log.warning("%s", error)
        self._trouble = str(error)

    def back(self) -> None:
        """A reader has read all of it."""
        self._trouble, self._since = None, None

    def close(self) -> None:
        """End its connections, where it was ever opened."""
        if self._store is not None:
            self._store.close()

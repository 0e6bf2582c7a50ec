"""What a server that starts, or that has opened its port, still waits for: told on its console until it is there."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from crossmix.background import FINISHED, Loop

_log = logging.getLogger(__name__)
LOOK_SECONDS = 0.5
TELL_SECONDS = 10.0
"""How often it is told again, for a person who looks whether anything happens."""


class Awaiting(Loop):
    """Tells it, every `TELL_SECONDS`, and when there is nothing left to wait for.

    Args:
        why: what is waited for, in a sentence; `None`: nothing just now.
        there: called, once, when nothing is left to wait for; `None`: it goes on until `stop`.
    """

    def __init__(self, why: Callable[[], str | None], there: Callable[[], None] | None) -> None:
        super().__init__("start", LOOK_SECONDS, self._look)
        self._why, self._there = why, there
        self._next = time.monotonic() + TELL_SECONDS

    def _look(self) -> object:
        why = self._why()
        if why is None and self._there is not None:
            self._there()
            return FINISHED
        now = time.monotonic()
        if why is not None and now >= self._next:
            self._next = now + TELL_SECONDS
            _log.warning("waiting: %s", why)
        return None


@contextmanager
def telling(why: Callable[[], str | None]) -> Iterator[None]:
    """Tell what the block waits for, where that takes long; arguments as `Awaiting`'s."""
    loop = Awaiting(why, None)
    loop.start()
    try:
        yield
    finally:
        loop.stop()


__all__ = ["Awaiting", "telling"]

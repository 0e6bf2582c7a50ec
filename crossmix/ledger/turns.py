"""Writers of one process that take turns: who waits here goes on at once, and who is urgent goes first."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager


class Turns:
    """A lock whose urgent callers pass those that wait already."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._busy = False
        self._urgent = 0

    @contextmanager
    def turn(self, seconds: float, urgent: bool = False) -> Iterator[None]:
        """Hold it for the block; raises `TimeoutError` where it was not free within `seconds`."""
        with self._changed:
            self._urgent += urgent
            try:
                free = self._changed.wait_for(lambda: not self._busy and (urgent or not self._urgent), seconds)
            finally:
                self._urgent -= urgent
            if not free:
                self._changed.notify_all()
                raise TimeoutError(f"its writers have waited {seconds:.3g} s for one another")
            self._busy = True
        try:
            yield
        finally:
            with self._changed:
                self._busy = False
                self._changed.notify_all()

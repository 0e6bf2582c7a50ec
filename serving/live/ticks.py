"""The loops that keep a server true, and ticks: a round of all of them, one after the other.

By the machine's clock every loop goes at its own pace. By a clock that somebody drives, those of a tick have a round
whenever it has moved; by either a tick comes at once when it is asked for. A loop's rounds never overlap.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from datetime import datetime
from typing import Any

from crossmix.background import Loop
from crossmix.clock import Clock, wall

PARTS = ("recorder", "database reader", "registry reader", "pusher", "feature store reader", "guardrails", "canary")
"""Loops of a tick in their order, so that each has what those before it did; others go at their own pace."""
STANDING = ("recorder", "database reader")
"""Those that go on while a driven clock stands: what others may have changed, and what was answered."""
END_SECONDS = 5.0
LOOK_SECONDS = 0.2
"""How often a driven clock is looked at."""


class Ticks:
    """A server's loops.

    Args:
        clock: the server's.
    """

    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self.driven = clock is not wall
        """Whether somebody moves the clock."""
        self._loops: list[Loop] = []
        self._ticking, self._adding = threading.Lock(), threading.Lock()
        self._ticked: datetime | None = None
        """What the clock said at the last tick; `None`: one is due."""

    def __iter__(self) -> Iterator[Loop]:
        return iter(tuple(self._loops))

    def __len__(self) -> int:
        return len(self._loops)

    def add(self, loop: Loop) -> None:
        """Take a loop in, and start it where it goes at its own pace."""
        with self._adding:  # a tick has it and counts as one of it, or neither
            self._loops.append(loop)
            due = self.driven and loop.name in PARTS
            if due:
                self._ticked = None
        if not due:
            loop.start()

    def start(self) -> None:
        """Follow a driven clock."""
        if self.driven:
            self.add(Loop("clock", LOOK_SECONDS, self._follow))

    def stop(self) -> None:
        """End all loops; rounds under way have `END_SECONDS` in all."""
        for loop in self:
            loop.stop()
        until = time.monotonic() + END_SECONDS
        for loop in self:
            loop.join(timeout=max(until - time.monotonic(), 0.0))

    def tick(self) -> dict[str, Any]:
        """A round of every part, in order; what came of it, as plain data. A part's trouble stops no other."""
        with self._ticking:
            with self._adding:
                now = self._ticked = self.clock()
                parts = sorted((one for one in self if one.name in PARTS), key=lambda one: PARTS.index(one.name))
            before = _pushed(parts)
            for part in parts:
                part.once()
            return {
                "now": now.isoformat(),
                "pushed": _pushed(parts) - before,
                "parts": [{"name": part.name, "trouble": part.trouble} for part in parts],
            }

    def _follow(self) -> None:
        if self._ticked != self.clock():
            self.tick()
            return
        for loop in self:
            if loop.name in STANDING:
                loop.once()


def _pushed(parts: list[Loop]) -> int:
    """Rows of statistics that were pushed so far."""
    return sum(getattr(part, "pushed", 0) for part in parts)

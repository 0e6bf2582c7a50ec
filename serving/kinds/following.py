"""Champions of kinds, each followed on a thread of its own: none waits for another, and nobody waits for any."""

from __future__ import annotations

import time
from collections.abc import Iterable

from crossmix.background import Loop
from serving.kinds.champion import KindChampion

ASK_SECONDS = 15.0
"""Whoever has the registry asked waits so long at most for all of them together; what comes later counts then."""


END_SECONDS = 5.0
"""How long rounds under way have in all once it ends."""


class Following:
    """The loops.

    Args:
        kinds: champions.
        seconds: pause between questions to the registry.
    """

    def __init__(self, kinds: Iterable[KindChampion], seconds: float) -> None:
        self.kinds = tuple(kinds)
        self._loops = [Loop(f"{one.kind} reader", seconds, one.follow, at_once=True) for one in self.kinds]

    def start(self) -> None:
        """Begin: what served last serves again, then the registry's champion; this does not wait for it."""
        for loop in self._loops:
            loop.start()

    def ask(self, seconds: float | None = None) -> bool:
        """Have the registry asked for each, all at once; whether all have been within so many seconds.

        Args:
            seconds: `ASK_SECONDS` if `None`.
        """
        until = time.monotonic() + (ASK_SECONDS if seconds is None else seconds)
        asked = [loop.ask() for loop in self._loops]
        return all(one.wait(max(until - time.monotonic(), 0.0)) for one in asked)

    def stop(self) -> None:
        """End the loops, and what the bundles hold."""
        for loop in self._loops:
            loop.stop()
        for one in self.kinds:
            one.stop()
        until = time.monotonic() + END_SECONDS
        for loop in self._loops:
            loop.join(max(until - time.monotonic(), 0.0))

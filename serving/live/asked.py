"""What a server asks of its registry just now, for how long, and what has come of it: told while no version serves.

A fetch is watched by the files that it writes, so that a slow one is told from one that stands still.
"""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass
from pathlib import Path

from crossmix.registry import scratch

STALLED_SECONDS = 60.0
"""After so long without anything new a question to the registry is told to stand still."""
LOOK_SECONDS = 0.5
"""Files are not looked at more often, however many ask."""
MEGABYTE = 1_000_000


@dataclass(slots=True)
class _Question:
    what: str
    target: Path | None
    began: float
    looked: float
    moved: float
    arrived: tuple[int, int] = (0, 0)


class Asked:
    """The question that is under way, if any."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._question: _Question | None = None

    def begin(self, what: str, target: Path | None = None) -> None:
        """A question begins, in place of the one before.

        Args:
            what: is done, as "version 2 is fetched".
            target: of a bundle that is fetched; `None`: nothing is.
        """
        now = time.monotonic()
        with self._lock:
            self._question = _Question(what, target, now, now, now)

    def end(self) -> None:
        """It was answered, or failed."""
        with self._lock:
            self._question = None

    @property
    def under_way(self) -> bool:
        """Whether an answer is waited for."""
        return self._question is not None

    def told(self) -> str | None:
        """In a sentence; `None`: nothing is asked."""
        now = time.monotonic()
        with self._lock:
            one = self._question
            if one is None:
                return None
            if one.target is not None and (now - one.looked >= LOOK_SECONDS or one.looked == one.began):
                one.looked, arrived = now, scratch.arrived(one.target)
                if arrived != one.arrived:
                    one.arrived, one.moved = arrived, now
            still = now - one.moved
            count, size = one.arrived
            came = (
                "" if one.target is None else f", {count} file{'' if count == 1 else 's'} and {size / MEGABYTE:.1f} MB"
            )
            if still < STALLED_SECONDS:
                return f"registry: {one.what}, for {now - one.began:.0f} s so far{came}"
            remedy = "look whether the registry and its artifact store answer; it goes on by itself once they do"
            return f"registry: {one.what}{came}, and nothing came for {still:.0f} s; {remedy}"


__all__ = ["Asked"]

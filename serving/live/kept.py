"""The server's campaigns in a file, for a start without the database; written when that is due.

With some hundred campaigns the file follows each change at once. With ten thousand it takes half a second: then the
loop that reads writes it, a twentieth of the time at most, and no request waits for it. What a kill takes from the
file is in the database all the same.
"""

from __future__ import annotations

import json
import logging
import math
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Generic, Protocol, TypeVar

from crossmix import files

_log = logging.getLogger(__name__)
H = TypeVar("H", bound="Holding")
FEW = 500
"""Campaigns up to which the file follows every change, and a request waits for it: some milliseconds."""
MOST_OFTEN = 20
"""Times as long as writing it takes: the pause before it is written again."""


class Holding(Protocol):
    """A snapshot, as far as this file is concerned."""

    @property
    def campaigns(self) -> Mapping[str, Any]:
        """By name."""

    @property
    def revision(self) -> int:
        """Of the database; below 0: it is of the file itself."""


class Kept(Generic[H]):
    """The file; one thread writes it at a time.

    Args:
        clock: seconds that only grow.
    """

    def __init__(self, file: Path, clock: Callable[[], float] = time.monotonic) -> None:
        self.file, self._clock = file, clock
        self._last: object = None
        self._keeping = threading.Lock()
        self._written, self._took = -math.inf, 0.0

    def unlike(self, snapshot: Holding) -> bool:
        """Whether the file holds another snapshot, or none."""
        return snapshot is not self._last

    def quick(self, snapshot: Holding) -> bool:
        """`unlike`, and writing it keeps nobody waiting."""
        return self.unlike(snapshot) and len(snapshot.campaigns) <= FEW

    def due(self, snapshot: Holding) -> bool:
        """`unlike`, and it is time to write it."""
        paused = self._clock() - self._written >= MOST_OFTEN * self._took
        return self.unlike(snapshot) and (paused or self.quick(snapshot))

    def keep(self, newest: Callable[[], H], now: Callable[[H], bool], content: Callable[[H], Any]) -> H | None:
        """Write the newest snapshot if it is to be written now; which one was. A file that cannot be is logged."""
        if newest().revision < 0 or not now(newest()):
            return None  # of the file itself, or not yet
        with self._keeping:
            snapshot = newest()
            if not now(snapshot):
                return None
            try:
                self.write(snapshot, lambda: content(snapshot))
            except OSError as error:
                _log.warning("%s: cannot be kept for a restart (%s)", self.file, error.strerror)
                return None
        return snapshot

    def write(self, snapshot: Holding, content: Callable[[], Any]) -> None:
        """Write what the snapshot holds, as plain data; raises `OSError`, and then waits for another snapshot."""
        began, self._last = self._clock(), snapshot
        self.file.parent.mkdir(parents=True, exist_ok=True)
        # Not indented: that takes ten times as long. Salts and names of campaigns are nobody else's business.
        files.write(self.file, json.dumps(content(), allow_nan=False) + "\n", mode=0o600)
        self._written = self._clock()
        self._took = self._written - began

"""What the server writes down beside answering: who is in which arm, and each split that was served, each once.

Answers never wait for it: rows go through a queue and are written a few times a second. While the database is away they
wait in memory, up to `MOST` of them; beyond that the oldest are counted as lost. Both tables can be made again from the
experiment's salt and the answers' determinism, which is why they need not be durable before an answer is given.
"""

from __future__ import annotations

import logging
import threading
from collections import OrderedDict, deque
from collections.abc import Callable, Hashable
from typing import Any

from crossmix.ledger import served
from crossmix.ledger.store import Store, StoreAwayError

_log = logging.getLogger(__name__)
ASSIGNMENT, SPLIT = "assignment", "split"
MOST = 200_000
BLOCK = 1_000
REMEMBERED = 500_000
"""Keys that are known to be written, so that they are not written again."""


class Recorder:
    """Rows on their way into `assignments` and `served`.

    Args:
        store: gives the database, or raises `StoreAwayError`.
    """

    def __init__(self, store: Callable[[], Store]) -> None:
        self._store = store
        self._rows: deque[tuple[str, dict[str, Any]]] = deque()
        self._seen: OrderedDict[Hashable, None] = OrderedDict()
        self._in_force: OrderedDict[tuple[str, str, int], str] = OrderedDict()
        self._lock = threading.Lock()
        self._writing = threading.Lock()
        self.lost = 0
        self.trouble: str | None = None

    def __len__(self) -> int:
        return len(self._rows)

    def assigned(self, experiment: str, user: str, row: dict[str, Any]) -> None:
        """A user's arm; `user` is hashed."""
        key = (experiment, user)
        with self._lock:
            if key in self._seen:
                return
            self._seen[key] = None
            if len(self._seen) > REMEMBERED:
                self._seen.popitem(last=False)
        self._wait(ASSIGNMENT, row)

    def served(self, key: tuple[str, str, int], allocation_id: str, row: Callable[[], dict[str, Any]]) -> None:
        """The split in force of a campaign, arm and cycle; its row is made only where it is another than the last."""
        with self._lock:
            if self._in_force.get(key) == allocation_id:
                return
            self._in_force[key] = allocation_id
            if len(self._in_force) > REMEMBERED:
                self._in_force.popitem(last=False)
        self._wait(SPLIT, row())

    def _wait(self, kind: str, row: dict[str, Any]) -> None:
        with self._lock:
            self._rows.append((kind, row))
            if len(self._rows) > MOST:
                self._rows.popleft()
                self.lost += 1

    def flush(self) -> bool:
        """Write what waits; False, with `trouble` set, where the database is away: the rows stay."""
        with self._writing:
            while self._rows:
                block = [self._rows[index] for index in range(min(BLOCK, len(self._rows)))]
                try:
                    assignments, splits = ([row for one, row in block if one == kind] for kind in (ASSIGNMENT, SPLIT))
                    served.record(self._store(), assignments, splits)
                except StoreAwayError as error:
                    self.trouble = str(error)
                    return False
                for _ in block:
                    self._rows.popleft()
            self.trouble = None
            return True

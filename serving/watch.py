"""The loop that looks at the guardrails of a running experiment, and ends it when one breaks.

Looking often is safe, as the guardrails are always-valid tests. The end is one transaction with its audit entry; of
several replicas one ends the experiment, and that one calls `on_end` (the registry's rollback), again until it works.
Where the process dies in between, the experiment is ended all the same (everybody gets the static split), and the
rollback is left to a person: the audit trail shows an end without a rollback after it.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sa

from crossmix.config import Config
from serving import audit
from serving import store as tables
from serving.guardrails import broken
from serving.outcomes import VerdictError, experiment, read
from serving.store import Store, StoreAwayError

_log = logging.getLogger(__name__)
WHO = "guardrail"


def check(store: Store, experiment_id: str, config: Config, now: datetime) -> str | None:
    """The sentence of a guardrail that is broken; `None` while all hold, or where the experiment has ended.

    Raises:
        VerdictError: no such experiment.
        StoreAwayError: the database is away.
    """
    one = experiment(store, experiment_id)
    if one.ended is not None:
        return None
    return broken(read(store, one, now), config.serving.guardrails)


def end(store: Store, experiment_id: str, why: str, who: str) -> bool:
    """End an experiment, with its audit entry, in one transaction; `False`: somebody else had ended it.

    Raises:
        VerdictError: no such experiment, or no reason.
        StoreAwayError: the database is away; nothing has changed.
    """
    if not why:
        raise VerdictError("why: it is empty; say why the experiment ends")
    experiment(store, experiment_id)
    rows, at = tables.experiments, datetime.now(UTC)
    with store.change() as connection:
        changed = connection.execute(
            rows.update()
            .where(rows.c.id == experiment_id, rows.c.ended.is_(sa.null()))
            .values(ended=at, why=why[:1_000])
        )
        if changed.rowcount:
            after = {"ended": at.isoformat()}
            audit.record(connection, who, "experiment.end", experiment_id, {"ended": None}, after, why)
    return bool(changed.rowcount)


class Watch(threading.Thread):
    """Looks every `seconds`, until the experiment has ended or `stop` is called.

    Args:
        store: the database, or how to open it (which may raise `StoreAwayError`: tried again).
        on_end: called with the sentence once this process has ended the experiment; called again at every look for as
            long as it raises.
        now: the clock, UTC.
    """

    def __init__(
        self,
        store: Store | Callable[[], Store],
        experiment_id: str,
        config: Config,
        on_end: Callable[[str], Any],
        seconds: float = 60.0,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        super().__init__(name="guardrails", daemon=True)
        self._open = store if callable(store) else lambda: store
        self._experiment, self._config, self._on_end = experiment_id, config, on_end
        self._seconds, self._now = seconds, now
        self._halt = threading.Event()
        self._why: str | None = None
        self.trouble: str | None = None
        """Why the last look failed; `None`: it did not."""
        self.since: float | None = None
        """Of the trouble; seconds, UTC."""

    def run(self) -> None:
        while not self._halt.is_set():
            try:
                if self.look():
                    return
                self.trouble, self.since = None, None
            except StoreAwayError as error:
                self._told(str(error))
            except Exception as error:
                # A guard that dies unseen guards nothing: it is told, logged, and looks again.
                self._told(f"{type(error).__name__}: {error}", full=True)
            self._halt.wait(self._seconds)

    def look(self) -> bool:
        """One look; `True`: there is nothing left to watch."""
        if self._why is None:
            store = self._open()
            why = check(store, self._experiment, self._config, self._now())
            if why is None:
                return experiment(store, self._experiment).ended is not None
            if not end(store, self._experiment, why, WHO):
                return True
            self._why = why
            _log.warning("experiment %s ended: %s", self._experiment, why)
        self._on_end(self._why)
        return True

    def stop(self) -> None:
        """End the thread; it is joined by whoever wants to wait."""
        self._halt.set()

    def _told(self, trouble: str, *, full: bool = False) -> None:
        if trouble != self.trouble:
            _log.warning("guardrails of %s: %s", self._experiment, trouble, exc_info=full)
        self.since = self.since or time.time()
        self.trouble = trouble

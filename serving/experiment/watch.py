"""The loop that looks at the guardrails of a running experiment, and ends it when one breaks.

Looking often is safe, as the guardrails are always-valid tests. The end is one transaction with its audit entry, which
names the version that served; of several replicas one ends the experiment, and that one calls `on_end` (the registry's
rollback of that version), again until it works, and notes it. Where its process dies in between, the experiment is
ended all the same (everybody gets the static split), and after `grace` seconds another replica, or the restarted
process, rolls back.
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
from crossmix.ledger import audit
from crossmix.ledger import store as tables
from crossmix.ledger.audit import Entry
from crossmix.ledger.outcomes import VerdictError, experiment, read
from crossmix.ledger.store import Store, StoreAwayError
from serving.experiment.guardrails import broken

_log = logging.getLogger(__name__)
WHO = "guardrail"
END, ROLLBACK = "experiment.end", "experiment.rollback"


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


def end(store: Store, experiment_id: str, why: str, who: str, version: int | None = None) -> bool:
    """End an experiment, with its audit entry, in one transaction; `False`: somebody else had ended it.

    Args:
        version: the champion that served, for a rollback of it.

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
            after = {"ended": at.isoformat(), "version": version}
            audit.record(connection, who, END, experiment_id, {"ended": None}, after, why)
    return bool(changed.rowcount)


def unfinished(store: Store, experiment_id: str) -> Entry | None:
    """The guardrails' end of an experiment that no rollback has followed; raises `StoreAwayError`."""
    entries = audit.trail(store, experiment_id)
    last = next((entry for entry in entries if entry.action in (END, ROLLBACK)), None)
    return last if last is not None and (last.action, last.who) == (END, WHO) else None


class Watch(threading.Thread):
    """Looks every `seconds`, until the experiment has ended or `stop` is called.

    Args:
        store: the database, or how to open it (which may raise `StoreAwayError`: tried again).
        on_end: called with the end's reason and the version that served, once the experiment has ended by a guardrail;
            called again at every look for as long as it raises. It may be called twice for one end.
        now: the clock, UTC.
        version: the champion that serves.
        grace: seconds that the replica that ended the experiment has for its rollback before others do it.
    """

    def __init__(
        self,
        store: Store | Callable[[], Store],
        experiment_id: str,
        config: Config,
        on_end: Callable[[str, int | None], Any],
        seconds: float = 60.0,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
        version: Callable[[], int | None] = lambda: None,
        grace: float = 60.0,
    ) -> None:
        super().__init__(name="guardrails", daemon=True)
        self._open = store if callable(store) else lambda: store
        self._experiment, self._config, self._on_end = experiment_id, config, on_end
        self._seconds, self._now, self._version, self._grace = seconds, now, version, grace
        self._halt = threading.Event()
        self._mine = False
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
        store = self._open()
        if experiment(store, self._experiment).ended is None:
            why = check(store, self._experiment, self._config, self._now())
            if why is None:
                return False
            if end(store, self._experiment, why, WHO, self._version()):
                self._mine = True
                _log.warning("experiment %s ended: %s", self._experiment, why)
        ended = unfinished(store, self._experiment)
        if ended is None:
            return True
        if not self._mine and (self._now() - ended.at).total_seconds() < self._grace:
            return False
        version = (ended.after or {}).get("version")
        self._on_end(ended.why, version)
        with store.write() as connection:
            audit.record(connection, WHO, ROLLBACK, self._experiment, None, {"version": version}, ended.why)
        return True

    def stop(self) -> None:
        """End the thread; it is joined by whoever wants to wait."""
        self._halt.set()

    def _told(self, trouble: str, *, full: bool = False) -> None:
        if trouble != self.trouble:
            _log.warning("guardrails of %s: %s", self._experiment, trouble, exc_info=full)
        self.since = self.since or time.time()
        self.trouble = trouble

"""The loop that looks at the guardrails of a running experiment, and ends it when one breaks.

Looking often is safe, as the guardrails are always-valid tests. The end is one transaction with its audit entry, which
names the version that served; of several replicas one ends the experiment, and that one calls `on_end` (the registry's
rollback of that version), again until it works, and notes it. Where its process dies in between, the experiment is
ended all the same (everybody gets the static split), and after `grace` seconds another replica, or the restarted
process, rolls back.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Hashable
from datetime import datetime
from typing import Any

from crossmix.background import FINISHED, Loop
from crossmix.clock import Clock, wall
from crossmix.config import Config
from crossmix.ledger import experiments
from crossmix.ledger.experiments import GUARDRAIL
from crossmix.ledger.outcomes_read import read
from crossmix.ledger.store import Store, StoreAwayError
from serving.experiment.guardrails import broken

_log = logging.getLogger(__name__)


def check(store: Store, experiment_id: str, config: Config, now: datetime) -> str | None:
    """The sentence of a guardrail that is broken; `None` while all hold, or where the experiment has ended.

    Raises:
        VerdictError: no such experiment.
        StoreAwayError: the database is away.
    """
    experiment = experiments.get(store, experiment_id)
    if experiment.ended is not None:
        return None
    return broken(read(store, experiment, now), config.serving.guardrails)


class Watch(Loop):
    """Looks every `seconds`, until the experiment has ended or `stop` is called.

    A guard that dies unseen guards nothing: what goes wrong is its trouble, and it looks again.

    Args:
        store: the database, or how to open it (which may raise `StoreAwayError`: tried again).
        experiment_id: or how to know which is the newest: then the one after it is watched too.
        on_end: called with the end's reason and the version that served, once the experiment has ended by a guardrail;
            called again at every look for as long as it raises. It may be called twice for one end.
        now: the clock, UTC.
        version: the champion that serves.
        grace: seconds that the replica that ended the experiment has for its rollback before others do it.
        mark: something cheap that is another one once a verdict would be: guardrails that held are not judged again
            before it is; absent: at every look.
    """

    def __init__(
        self,
        store: Store | Callable[[], Store],
        experiment_id: str | Callable[[], str],
        config: Config,
        on_end: Callable[[str, int | None], Any],
        seconds: float = 60.0,
        now: Clock = wall,
        version: Callable[[], int | None] = lambda: None,
        grace: float = 60.0,
        mark: Callable[[], Hashable] = object,
    ) -> None:
        super().__init__("guardrails", seconds, self._round, at_once=True, expected=(StoreAwayError,))
        self._open = store if callable(store) else lambda: store
        self._follows = callable(experiment_id)
        self._newest: Callable[[], str] = experiment_id if callable(experiment_id) else lambda: experiment_id
        self._config, self._on_end = config, on_end
        self._now, self._version, self._grace = now, version, grace
        self._mark = mark
        self._held: Hashable = None
        """The mark with which all guardrails held."""
        self._mine: str | None = None

    def _round(self) -> object:
        return FINISHED if self.look() and not self._follows else None

    def look(self) -> bool:
        """One look; `True`: there is nothing left to watch."""
        store, experiment = self._open(), self._newest()
        if experiments.get(store, experiment).ended is None:
            mark = self._mark()  # first: what comes meanwhile makes another
            if mark == self._held:
                return False
            sentence = check(store, experiment, self._config, self._now())
            if sentence is None:
                self._held = mark
                return False
            if experiments.end(store, experiment, sentence, GUARDRAIL, self._version()):
                self._mine = experiment
                _log.warning("experiment %s ended: %s", experiment, sentence)
        end = experiments.awaiting_rollback(store, experiment)
        if end is None:
            return True
        # An end that lies further ahead than clocks differ was noted by one that ran ahead: nobody waits until then.
        if self._mine != experiment and abs((self._now() - end.at).total_seconds()) < self._grace:
            return False
        version = (end.after or {}).get("version")
        self._on_end(end.reason, version)
        experiments.rolled_back(store, experiment, version, end.reason)
        return True

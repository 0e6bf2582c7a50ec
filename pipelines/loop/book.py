"""What a simulation reads in the server's ledger: who has which part of a day, and what came since the day before."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from crossmix import terms
from crossmix.ledger import alerts, canaries, experiments, quarantine, runs
from crossmix.ledger.store import Store
from crossmix.metrics import EVERY_ARM

MOST = 1_000
"""Alerts and runs that are read at once: more than days bring."""


class Book:
    """The ledger, read once a day."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self._alerts: set[str] = set()
        self._runs: dict[str, str] = {}

    def parts(self, begins: datetime) -> dict[str, float]:
        """Each arm's part of users in the cycles that begin then; raises `StoreAwayError`."""
        known, trials = experiments.load_all(self.store), canaries.load_all(self.store)
        return {arm: terms.part(known, arm, begins, trials) for arm in EVERY_ARM}

    def news(self) -> dict[str, Any]:
        """Plain data; raises `StoreAwayError`.

        Returns:
            `alerts` raised since; `quarantined`, how many cells the guard holds; `runs` that are new or in another
            state since; `canary`, the newest as it stands.
        """
        raised = [one.notice for one in reversed(alerts.newest(self.store, alerts.RAISED, MOST))]
        new = [one for one in raised if one.alert_id not in self._alerts]
        self._alerts |= {one.alert_id for one in new}
        moved = [one for one in reversed(runs.newest(self.store, MOST)) if self._runs.get(one.run_id) != one.state]
        self._runs |= {one.run_id: one.state for one in moved}
        tried = canaries.load_all(self.store)
        return {
            "alerts": [
                {"campaign_id": one.campaign_id, "cause": one.cause, "platform": one.platform, "cycle": one.cycle}
                | {"severity": one.severity, "detail": one.event["data"]["detail"]}
                for one in new
            ],
            "quarantined": len(quarantine.read(self.store, states=(quarantine.HELD,))),
            "runs": [
                {"run_id": one.run_id, "campaign_id": one.campaign_id, "state": one.state, "detail": one.detail}
                for one in moved
            ],
            "canary": tried[-1].as_dict() if tried else None,
        }

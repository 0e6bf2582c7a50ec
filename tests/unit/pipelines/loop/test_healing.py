"""Who moves the clock waits for what a day set going, and asks again what an alert of days ago began."""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, cast

from crossmix.clock import MemoryClock
from crossmix.ledger import again, alerts, runs
from crossmix.ledger.store import Store
from pipelines.loop.healing import Watched
from pipelines.loop.launch import launcher
from pipelines.loop.processes import Process
from tests.support.webhooks import MARKET, WALL, alert


class Monitor:
    """Its look raises an alert where one is to be raised."""

    def __init__(self, store: Store) -> None:
        self.store, self.first = store, ""

    def ask(self, line: str) -> dict[str, Any]:
        if datetime.fromisoformat(line) == MARKET:
            (receipt,) = alerts.accept(
                self.store, [alert().notice("/x")], starts=("warning",), cooldown=timedelta(0), now=WALL
            )
            self.first = str(receipt.run_id)
        return {"alarms": [], "evidently": False}


def test_a_day_ends_once_its_alerts_runs_and_those_of_days_ago_are_over(tmp_path: Path) -> None:
    market = MemoryClock(MARKET)
    store = Store(f"sqlite:///{tmp_path / 'serving.db'}", market)
    begun: list[tuple[int, str]] = []

    def webhook() -> None:
        """Ends what is open; it is called for as long as that is waited for."""
        for run in runs.newest(store):
            if run.closed is None:
                begun.append(((market() - MARKET).days, run.run_id))
                runs.close(store, run, runs.SUCCEEDED)

    monitor = Monitor(store)
    nobody = launcher(tmp_path, "http://127.0.0.1:1")
    watched = Watched(cast(Process, monitor), store, webhook, nobody, (3, 7), None)
    try:
        for day in range(12):
            market.set(MARKET + timedelta(days=day))
            assert watched.look(market(), day) == {"alarms": []}
            assert runs.open_counts(store) == {"claimed": 0, "started": 0}
    finally:
        store.close()
    first = monitor.first
    assert begun == [(0, first), (3, again.run_of(first, 3)), (7, again.run_of(first, 7))]

"""What a simulation reads in the ledger: news once, and who has which part of a day."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

from crossmix.clock import MemoryClock
from crossmix.config import Alerts
from crossmix.ledger import quarantine
from crossmix.ledger.quarantine import Entry
from crossmix.ledger.store import Store
from monitoring.alerts import Alert
from monitoring.outbox import raise_alert
from pipelines.loop.book import Book

NOW = datetime(2026, 1, 20, tzinfo=UTC)


def test_an_alert_is_news_once_and_a_held_cell_counts_until_it_is_let_go(tmp_path: Path) -> None:
    store = Store(f"sqlite:///{tmp_path / 'serving.db'}", MemoryClock(NOW))
    book = Book(store)
    assert book.news() == {"alerts": [], "quarantined": 0, "runs": [], "canary": None}
    raise_alert(store, Alert(campaign_id="*", cause="cvr", platform="search", cycle=3, at=NOW, detail="off"), Alerts())
    held = Entry(
        campaign_id="spring",
        arm="policy",
        platform="search",
        cycle=3,
        cause="impossible",
        quantity="value",
        observed=100.0,
        expected=1.0,
        z=9.0,
        sentence="a hundred times",
        since=NOW,
        state=quarantine.HELD,
        actor=quarantine.GUARD,
        reason="",
        at=NOW,
    )
    quarantine.update(store, [held], [], NOW)
    news = book.news()
    assert [(one["cause"], one["platform"], one["cycle"]) for one in news["alerts"]] == [("cvr", "search", 3)]
    assert news["quarantined"] == 1
    again = book.news()
    assert (again["alerts"], again["quarantined"]) == ([], 1)
    store.close()

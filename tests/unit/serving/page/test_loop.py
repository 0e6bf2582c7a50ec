"""The loop's section: alerts with what was done, and versions with why, as they stand in the ledger."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from crossmix.clock import MemoryClock
from crossmix.config import Alerts
from crossmix.ledger import alerts, audit
from crossmix.ledger.store import Store
from monitoring.alerts import Alert
from monitoring.outbox import raise_alert
from serving.page import loop

NOW, DAY = datetime(2026, 1, 20, tzinfo=UTC), timedelta(days=1)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    made = Store(f"sqlite:///{tmp_path / 'serving.db'}", MemoryClock(NOW))
    yield made
    made.close()


def alarm(cause: str, cycle: int, platform: str | None = "search") -> Alert:
    return Alert(campaign_id="*", cause=cause, platform=platform, cycle=cycle, at=NOW, detail=f"{cause} is off")


def test_a_quiet_ledger_says_so(store: Store) -> None:
    data = loop.read(store)
    assert data == {"alerts": [], "runs": [], "versions": [], "open": 0}
    assert loop.summary(data) == "no alert yet"
    assert loop.summary(None) == "the database is away"


def test_an_alert_leads_to_a_run_and_to_a_version(store: Store) -> None:
    for notice in (alarm("cvr", 14), alarm("feed", 15, None)):
        raise_alert(store, notice, Alerts())
    taken = alerts.accept(store, [alarm("cvr", 14).notice("/crossmix")], starts=("warning",), cooldown=DAY, now=NOW)
    assert [one.outcome for one in taken] == [alerts.RUN]
    audit.note(store, "readapt", "bundle.serve", "version 3", 2, 3, "expected to earn 2 % more")
    audit.note(store, "ann", "campaign.edit", "spring", None, {"budget": 1})
    data = loop.read(store)
    assert {(one["cause"], one["platform"]) for one in data["alerts"]} == {("cvr", "search"), ("feed", None)}
    assert [(one["campaign_id"], one["state"]) for one in data["runs"]] == [("*", "claimed")]
    assert [(one["subject"], one["actor"]) for one in data["versions"]] == [("version 3", "readapt")]
    assert loop.summary(data).startswith("newest alert: ")
    assert loop.summary(data).endswith(", 2026-01-20; 1 re-adaptation under way")
    (versions,) = loop.version_table(data).rows
    assert [cell.text for cell in versions][1:] == [
        "serves everybody", "version 3", "readapt", "expected to earn 2 % more",
    ]  # fmt: skip
    assert [row[3].text for row in loop.alert_table(data).rows if row[1].text == "cvr on search"] == ["cvr is off"]

"""Alarms become alerts, once per episode; figures that are quiet do not."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

from crossmix.config import load
from crossmix.ledger import alerts, outbox
from crossmix.ledger.store import Store
from monitoring.monitors import EVERY, Finding
from monitoring.raised import alerts_of, raise_alerts

NOW = datetime(2026, 1, 9, tzinfo=UTC)
ALARM = Finding(
    monitor="residuals",
    campaign_id=EVERY,
    arm=EVERY,
    observed=12.0,
    expected=30.0,
    limit=3.7,
    unit="conversions",
    alarming=True,
    detail="fewer",
    cause="cvr",
    platform="search",
    quantity="cvr",
    cycle=41,
    z=-4.4,
    score=4.6,
)


def test_an_alarm_is_an_alert_of_its_cause_and_first_cycle() -> None:
    (alert,) = alerts_of([replace(ALARM, alarming=False), ALARM, replace(ALARM, cause=None)], NOW)
    assert (alert.campaign_id, alert.cause, alert.platform, alert.cycle) == ("*", "cvr", "search", 41)
    assert (alert.observed, alert.expected, alert.z, alert.threshold) == (12.0, 30.0, -4.4, 3.7)


def test_the_same_episode_is_raised_once(database: str) -> None:
    store, settings = Store(database), load("laptop", ()).alerts
    assert raise_alerts(store, [ALARM, replace(ALARM, platform="social")], NOW, settings) == 2
    assert raise_alerts(store, [replace(ALARM, observed=13.0)], NOW, settings) == 0
    assert raise_alerts(store, [replace(ALARM, cycle=50)], NOW, settings) == 1
    assert len(alerts.newest(store)) == 3


def test_what_is_of_all_campaigns_goes_first_as_its_run_is_one_of_each(database: str) -> None:
    store, settings = Store(database), replace(load("laptop", ()).alerts, targets={"loop": {}})
    raise_alerts(store, [replace(ALARM, campaign_id="spring"), ALARM], NOW, settings)
    assert [one.campaign_id for one in outbox.undelivered(store)] == ["*", "spring"]

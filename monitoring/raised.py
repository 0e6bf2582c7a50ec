"""Alarms as alerts: what the monitors found, handed to the outbox once per episode."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from crossmix.config import Alerts
from crossmix.ledger.store import Store
from monitoring.alerts import Alert
from monitoring.monitors import EVERY, Finding
from monitoring.outbox import raise_alert


def alerts_of(findings: Iterable[Finding], now: datetime) -> list[Alert]:
    """An alert per alarm that names its cause and first cycle; those of one cause, platform and cycle have one id.

    Raises:
        AlertError: a finding that cannot be an alert.
    """
    return [
        Alert(
            campaign_id=one.campaign_id,
            cause=one.cause,
            platform=one.platform,
            cycle=one.cycle,
            at=now,
            observed=one.observed,
            expected=one.expected,
            z=one.z,
            threshold=one.limit,
            unit=one.unit,
            detail=one.detail,
        )
        for one in findings
        if one.alarming and one.cause is not None and one.cycle is not None
    ]


def raise_alerts(store: Store, findings: Iterable[Finding], now: datetime, settings: Alerts) -> int:
    """Keep an alert of every alarm for `alerts.targets`; how many were new.

    Raises:
        AlertError: as `alerts_of`.
        StoreAwayError: the database is away.
    """
    # What is of all campaigns goes first: the run that it asks for is one of each.
    alerts = sorted(alerts_of(findings, now), key=lambda one: one.campaign_id != EVERY)
    return sum(raise_alert(store, alert, settings) for alert in alerts)

"""Alerts that their target did not take: parked ones, and those that have been tried again and again."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

from crossmix.config import STRICT, PositiveInt
from crossmix.ledger import outbox
from crossmix.ledger.store import Store
from monitoring.monitors import MONITORS, Finding, Monitor


@dataclass(frozen=True, kw_only=True, slots=True)
class Undelivered:
    """When an alert that waits is told."""

    __pydantic_config__ = STRICT
    tries: PositiveInt = 5
    """Tries without an acknowledgement; a parked alert is told at once."""


def look(store: Store, now: datetime, settings: Undelivered) -> Iterator[Finding]:
    """A finding per alert that is parked, or was tried that often; none where all arrive."""
    for letter in outbox.undelivered(store):
        if letter.parked is None and letter.attempts < settings.tries:
            continue
        state = "parked, crossmix monitor outbox --retry tries it again" if letter.parked else "still tried"
        yield Finding(
            monitor="undelivered",
            campaign_id=letter.campaign_id,
            arm="-",
            observed=float(letter.attempts),
            limit=float(settings.tries),
            unit="tries",
            alarming=True,
            detail=f"alert {letter.alert_id[:12]} for {letter.target}: {letter.trouble}; {state}",
        )


MONITORS.register(
    Monitor(name="undelivered", label="alerts that their target does not take", look=look, settings=Undelivered)
)

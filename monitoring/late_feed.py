"""A feed that is late: how long ago the newest feedback of each campaign's arm came in, in cycles.

Only campaigns that run count: begun, not over, not paused; and only arms that have users: after the experiment's end,
that is one alone. Before the first event, the age counts from the campaign's start, so that a feed that never
began is found too.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

from crossmix import terms
from crossmix.config import STRICT, Positive
from crossmix.ledger import campaigns, experiments, feedback
from crossmix.ledger.store import Store
from crossmix.metrics import ARMS
from monitoring.monitors import MONITORS, Finding, Monitor


@dataclass(frozen=True, kw_only=True, slots=True)
class LateFeed:
    """When a feed is late."""

    __pydantic_config__ = STRICT
    cycles: Positive = 1.5
    """Cycles of the campaign without a new event; a daily report of the day before comes within one."""
    arms: tuple[str, ...] = ARMS
    """Arms that are expected to report."""


def look(store: Store, now: datetime, settings: LateFeed) -> Iterator[Finding]:
    """A finding per running campaign and arm."""
    newest, begun_ones = feedback.newest_received(store), experiments.load_all(store)
    for name, campaign in sorted(campaigns.load_all(store).items()):
        cycle = campaign.cycle(now)
        if campaign.paused or not 0 <= cycle < campaign.cycles:
            continue
        begun = campaign.begins(cycle)
        for arm in settings.arms:
            if begun_ones and terms.part(begun_ones, arm, begun) <= 0:
                continue
            received = newest.get((name, arm))
            since = "the campaign began" if received is None else received.isoformat(timespec="minutes")
            if received is not None and received > now:
                # Noted by a clock that ran ahead: when it really came nobody knows, and nothing has come since.
                since, received = f"a clock ran ahead, to {since}", None
            age = (now - max(received or campaign.starts, campaign.starts)) / campaign.calendar.nominal
            yield Finding(
                monitor="late_feed",
                campaign_id=name,
                arm=arm,
                observed=age,
                limit=settings.cycles,
                unit="cycles",
                alarming=age > settings.cycles,
                cause="late",
                cycle=max(campaign.cycle(max(received or campaign.starts, campaign.starts)), 0),
                detail=f"no feedback since {since}, {age:.1f} cycles of {campaign.cycle_hours:g} h",
            )


MONITORS.register(
    Monitor(name="late_feed", label="age of the newest feedback of each arm", look=look, settings=LateFeed)
)

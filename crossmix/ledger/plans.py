"""What of campaigns bears on what came back: budget, split and cycles, of many campaigns at once.

Limits, pauses and overrides bear on what is served, not on what came of it: who reads the feedback of a thousand
campaigns leaves them in the database, `crossmix.ledger.campaigns` has them all.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache

import sqlalchemy as sa

from crossmix.cycles import Cycles, zone
from crossmix.ledger import tables
from crossmix.ledger.campaigns import BLOCK
from crossmix.ledger.store import Store
from crossmix.ledger.tables import utc

_EPOCH = datetime(2000, 1, 3, tzinfo=UTC)
"""A Monday."""


@dataclass(frozen=True, slots=True)
class Plan:
    """A campaign's."""

    campaign_id: str
    cycle_budget: float
    """Of all arms together, currency per cycle."""
    share: Mapping[str, float]
    """Platform to its share of the static split."""
    cycles: int
    calendar: Cycles
    """One object of all that are read together and begin together."""

    @property
    def cycle_hours(self) -> float:
        return self.calendar.cycle_hours

    @property
    def slot(self) -> int:
        """The row of cycle 0 from an origin that never moves."""
        return slot(self.calendar)


@dataclass(frozen=True, slots=True)
class Place:
    """A campaign's finished cycles, and which row each is."""

    plan: Plan
    first: int
    stop: int
    row: int
    """Of the cycle `first`, from an origin that all campaigns of its length share."""


def load(store: Store, names: Collection[str] | None = None) -> dict[str, Plan]:
    """Plans of these campaigns, where there are such, or of all, in the order of their names; raises `StoreAwayError`.

    Above `BLOCK` names the table is read whole: to name them takes longer.
    """
    table = tables.campaigns.c
    # As text: what is left out is not parsed.
    share = sa.cast(table.share, sa.Text)
    query = sa.select(table.campaign_id, table.cycle_budget, share, table.starts, table.cycles, table.cycle_hours)
    query = query.add_columns(table.timezone)
    wanted = None if names is None else set(names)
    if wanted is not None and len(wanted) <= BLOCK:
        # No database holds a NUL, and PostgreSQL refuses even to look for one.
        query = query.where(table.campaign_id.in_(sorted(name for name in wanted if "\x00" not in name)))
    with store.read() as connection:
        rows = connection.execute(query).all()
    calendars: dict[tuple[datetime, float, str | None], Cycles] = {}
    plans = {}
    for name, budget, share, starts, cycles, hours, timezone in rows:
        if wanted is None or name in wanted:
            calendar = calendars.get((starts, hours, timezone))
            if calendar is None:
                calendar = calendars[starts, hours, timezone] = Cycles(utc(starts), hours, timezone)
            plans[name] = Plan(name, budget, json.loads(share), cycles, calendar)
    return dict(sorted(plans.items()))


def finished(plans: Mapping[str, Plan], now: datetime) -> dict[str, int]:
    """How many cycles of each have ended; 0 or less: none."""
    running: dict[Cycles, int] = {}
    for one in plans.values():
        if one.calendar not in running:
            running[one.calendar] = one.calendar.cycle(now)
    return {name: min(running[one.calendar], one.cycles) for name, one in plans.items()}


@lru_cache(maxsize=4_096)
def slot(calendar: Cycles) -> int:
    """The row of cycle 0 from an origin that all share: whole cycles since a Monday, by the campaign's own calendar."""
    if calendar.days is None:
        return int((calendar.begins(0) - _EPOCH) // calendar.nominal)
    local = calendar.begins(0).astimezone(zone(calendar.timezone or "UTC")).date()
    return (local - _EPOCH.date()).days // calendar.days

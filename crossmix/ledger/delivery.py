"""What was delivered and what was told, of many campaigns at once: a few queries, whatever their number.

Sums come from `tables.totals`, which are kept as events come, and splits from `tables.served`. Campaigns have cycles of
their own, so that a reader names a span of them by campaign: the first and the last, both included.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from crossmix.ledger import tables
from crossmix.ledger.feedback import brought_to_zero
from crossmix.ledger.store import Store
from crossmix.ledger.tables import utc
from crossmix.metrics import QUANTITIES

Spans = Mapping[str, tuple[int, int]]
"""Campaign to its first and last cycle."""
TOGETHER = 500
"""Campaigns that one query names."""


@dataclass(frozen=True, slots=True)
class Cell:
    """Sums of a campaign's arm, cycle and platform."""

    amounts: Mapping[str, float]
    """Each of `QUANTITIES`."""
    complete: bool
    """Marked: nothing more comes of it."""
    received: datetime
    """The newest event, UTC."""
    zeroed: bool = False
    """It had spend, and a correction or a refund took all of it away: its spend is known to be 0."""

    @property
    def priced(self) -> bool:
        """Its spend is known: some was told, or none is known to come."""
        return self.complete or self.zeroed or self.amounts["spend"] != 0


@dataclass(frozen=True, slots=True)
class Split:
    """What an arm was last told in a cycle."""

    budget: float
    """Currency."""
    share: Mapping[str, float]
    """Platform to its share of the budget."""
    most: Mapping[str, float] = field(default_factory=dict)
    """Platform to the most that any answer of the cycle told it, currency: what was told first may have been spent."""

    def amount(self, platform: str) -> float:
        """What the platform was to get, currency."""
        return self.budget * self.share.get(platform, 0.0)


@dataclass(frozen=True, slots=True)
class Flight:
    """A campaign from its first cycle on."""

    spend: float
    """Reported, currency."""
    cycles: int
    """How many have a report."""
    received: datetime
    """The newest event, UTC."""


def cells(store: Store, spans: Spans) -> dict[str, dict[tuple[str, int, str], Cell]]:
    """Reported cells by campaign, then by arm, cycle and platform. What corrections have emptied was not reported.

    Raises `StoreAwayError`.
    """
    table = tables.totals.c
    keys = (table.campaign_id, table.arm, table.cycle, table.platform)
    sums = [sa.func.sum(table[name]) for name in QUANTITIES]
    others = (sa.func.sum(table.complete), sa.func.max(table.received), sa.func.sum(table.events))
    zero = sa.func.max(sa.case(((table.spend != 0) | brought_to_zero(), 1), else_=0))
    result: dict[str, dict[tuple[str, int, str], Cell]] = {name: {} for name in spans}
    with store.read() as connection:
        for some in _batches(spans):
            query = sa.select(*keys, *sums, zero, *others).where(_within(table, some)).group_by(*keys)
            for name, arm, cycle, platform, *values, zeroed, complete, received, events in connection.execute(query):
                if events > 0:
                    amounts = dict(zip(QUANTITIES, map(float, values), strict=True))
                    result[name][arm, cycle, platform] = Cell(
                        amounts, complete > 0, moment(received), bool(zeroed) and amounts["spend"] == 0
                    )
    return result


def splits(store: Store, spans: Spans) -> dict[str, dict[tuple[str, int], Split]]:
    """What was last told, by campaign, then by arm and cycle: before a pause, if that began within the cycle.

    Raises `StoreAwayError`.
    """
    served = tables.served.c
    columns = (served.campaign_id, served.arm, served.cycle, served.budget, served.share)
    result: dict[str, dict[tuple[str, int], Split]] = {name: {} for name in spans}
    with store.read() as connection:
        for some in _batches(spans):
            query = sa.select(*columns).where(_within(served, some)).order_by(served.budget > 0, served.at)
            for name, arm, cycle, budget, share in connection.execute(query):
                before = result[name].get((arm, cycle))
                most = dict(before.most) if before else {}
                for platform, part in share.items():
                    most[platform] = max(most.get(platform, 0.0), budget * part)
                result[name][arm, cycle] = Split(float(budget), share, most)
    return result


def noted(store: Store, stops: Mapping[str, int], before: Mapping[str, int]) -> tuple[dict[str, int], dict[str, int]]:
    """How many splits were noted, of each campaign of which any was: before the cycles `stops`, and before `before`.

    Raises `StoreAwayError`.
    """
    served = tables.served.c
    ends: dict[tuple[int, int], list[str]] = {}
    for name in {**stops, **before}:
        ends.setdefault((stops.get(name, 0), before.get(name, 0)), []).append(name)
    found: tuple[dict[str, int], dict[str, int]] = {}, {}
    with store.read() as connection:
        for both, names in ends.items():
            counts = (sa.func.sum(sa.case((served.cycle < stop, 1), else_=0)) for stop in both)
            query = sa.select(served.campaign_id, *counts).where(served.cycle.between(0, max(both) - 1))
            for some in _batches(names):
                within = query.where(served.campaign_id.in_(some)).group_by(served.campaign_id)
                for name, *numbers in connection.execute(within):
                    for into, number in zip(found, numbers, strict=True):
                        if number:
                            into[name] = int(number)
    return found


def flights(store: Store, campaigns: Sequence[str]) -> dict[str, Flight]:
    """Reported spend of each campaign that has any report, over all of its cycles; raises `StoreAwayError`."""
    table = tables.totals.c
    result = {}
    with store.read() as connection:
        for some in _batches(campaigns):
            query = (
                sa.select(
                    table.campaign_id,
                    sa.func.sum(table.spend),
                    sa.func.count(sa.distinct(table.cycle)),
                    sa.func.max(table.received),
                )
                .where(table.campaign_id.in_(some) & (table.events > 0))
                .group_by(table.campaign_id)
            )
            for name, spend, cycles, received in connection.execute(query):
                result[name] = Flight(float(spend), int(cycles), moment(received))
    return result


def reported(store: Store, campaigns: Sequence[str]) -> dict[str, set[int]]:
    """Cycles of each campaign that have a report; raises `StoreAwayError`."""
    table = tables.totals.c
    result: dict[str, set[int]] = {name: set() for name in campaigns}
    with store.read() as connection:
        for some in _batches(campaigns):
            where = table.campaign_id.in_(some) & (table.events > 0)
            for name, cycle in connection.execute(sa.select(table.campaign_id, table.cycle).where(where).distinct()):
                result[name].add(cycle)
    return result


def arrivals(store: Store, spans: Spans) -> dict[str, dict[int, float]]:
    """Conversions by campaign and by how many cycles after their impressions they came in; raises `StoreAwayError`."""
    table = tables.totals.c
    delay = table.known - table.cycle
    result: dict[str, dict[int, float]] = {name: {} for name in spans}
    with store.read() as connection:
        for some in _batches(spans):
            query = sa.select(table.campaign_id, delay, sa.func.sum(table.conversions)).where(_within(table, some))
            for name, cycles, conversions in connection.execute(query.group_by(table.campaign_id, delay)):
                result[name][cycles] = float(conversions)
    return result


def _batches(campaigns: Mapping[str, Any] | Sequence[str]) -> Iterator[Any]:
    """The same in parts that one query can name."""
    names = list(campaigns)
    for start in range(0, len(names), TOGETHER):
        some = names[start : start + TOGETHER]
        yield {name: campaigns[name] for name in some} if isinstance(campaigns, Mapping) else some


def _within(table: Any, spans: Spans) -> sa.ColumnElement[bool]:
    """Rows of the campaigns within their spans; campaigns of one span are named together."""
    together: dict[tuple[int, int], list[str]] = {}
    for name, span in spans.items():
        together.setdefault(span, []).append(name)
    return sa.or_(
        *(table.campaign_id.in_(names) & table.cycle.between(first, last) for (first, last), names in together.items())
    )


def moment(value: Any) -> datetime:
    """The largest moment of some, UTC: SQLite gives the largest moment back as text."""
    return utc(datetime.fromisoformat(value) if isinstance(value, str) else value)

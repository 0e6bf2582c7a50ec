"""The campaigns of an experiment, and which of their cycles fall into which of its own.

Campaigns have calendars of their own. A campaign's cycle belongs to the experiment's cycle in which it ends, with an
eighth of a cycle's grace; the campaign cycle in which the experiment begins counts (both arms begin in it), unless
another experiment came before it: then it has the cycles that begin in it (`crossmix.terms`).

Shapes: N campaigns, M cycles of campaigns, I rows of `totals`.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import numpy as np
import sqlalchemy as sa
from numpy.typing import NDArray

from crossmix.cycles import Cycles
from crossmix.ledger import tables
from crossmix.ledger.campaigns import budget_at
from crossmix.ledger.experiments import Experiment
from crossmix.ledger.tables import utc

Array = NDArray[np.float64]
Index = NDArray[np.int64]
GRACE = 1 / 8
"""Part of a cycle by which a campaign's may end after the experiment's and still belong to it: clocks change, and
campaigns begin some minutes after their experiment."""


@dataclass(frozen=True, slots=True)
class Member:
    """A campaign's part in the experiment."""

    campaign_id: str
    currency: str
    calendar: Cycles
    first: int
    """First cycle of the experiment."""
    stop: int
    """One past the last finished one."""
    cycles: int
    budget: float
    """Of both arms, currency per cycle, as it is now."""


def chosen(experiment: Experiment, campaigns: Collection[str]) -> list[str]:
    """Those of the campaigns that are in the experiment, in order of name."""
    names = set(campaigns) if experiment.included is None else set(campaigns) & set(experiment.included)
    return sorted(names - set(experiment.excluded or ()))


def members_of(connection: sa.Connection, experiment: Experiment, now: datetime) -> tuple[Member, ...]:
    rows, started = tables.experiments.c, experiment.started
    others = connection.execute(sa.select(rows.started).where(rows.id != experiment.id)).scalars()
    follows = any(utc(begun) < started for begun in others)
    cutoff = min(now, experiment.ended or now)
    columns = ("campaign_id", "currency", "cycle_budget", "starts", "cycle_hours", "cycles", "timezone")
    query = sa.select(*(tables.campaigns.c[name] for name in columns))
    by_name = {row.campaign_id: row for row in connection.execute(query).all()}
    members = []
    for name in chosen(experiment, by_name):
        row = by_name[name]
        calendar = Cycles(utc(row.starts), row.cycle_hours, row.timezone)
        first = max(calendar.cycle(started), 0)
        begins = calendar.begins(first)
        if begins < started and follows:
            first += 1  # it has the cycles that begin in it (`crossmix.terms`)
        stop = min(max(calendar.cycle(cutoff), first), max(row.cycles, first))
        members.append(Member(name, row.currency, calendar, first, stop, row.cycles, float(row.cycle_budget)))
    return tuple(members)


class Ends:
    """Ends of campaigns' cycles in cycles of the experiment since its start, and the experiment's cycle of each."""

    def __init__(self, started: datetime, length: timedelta) -> None:
        self.started, self.length = started, length
        self._days: dict[Any, Array] = {}

    def of(self, calendar: Cycles, stop: int) -> Array:
        """Ends of the cycles before `stop`, from cycle 0 on."""
        if calendar.days is None:
            offset = (calendar.starts - self.started) / self.length
            return np.asarray(offset + np.arange(1, stop + 1) * (calendar.nominal / self.length), float)
        key = (calendar.timezone, calendar.days, calendar.ends(0))
        known = self._days.get(key)
        if known is None or len(known) < stop:
            ends = ((calendar.ends(cycle) - self.started) / self.length for cycle in range(stop))
            known = self._days[key] = np.fromiter(ends, float, stop)
        return known[:stop]

    def slots(self, end: Array, calendar: Cycles) -> Index:
        """The experiment's cycles of campaign cycles that end then."""
        grace = GRACE * min(calendar.nominal / self.length, 1.0)
        return np.maximum(np.ceil(end - grace - 1e-9).astype(np.int64) - 1, 0)


def known_slots(slots_N: Sequence[Index], member_I: Index, known_I: Index) -> Index:
    """The experiment's cycle in which each row became known; what came after a campaign's newest end: in the next.

    Args:
        slots_N: the experiment's cycle of each of a campaign's cycles, up to the one that runs.
    """
    start_N = np.concatenate([[0], np.cumsum([len(one) for one in slots_N])]).astype(np.int64)
    stop_N = np.array([len(one) - 1 for one in slots_N], np.int64)
    flat = np.concatenate([np.zeros(0, np.int64), *slots_N])
    cycle_I = np.clip(known_I, 0, stop_N[member_I])
    return np.asarray(flat[start_N[member_I] + cycle_I], np.int64)


def budgets(members: Sequence[Member], edits: dict[str, list[tuple[datetime, float]]]) -> Array:
    """Budget of each campaign's cycle, of both arms, currency: as it was in force at its end."""
    parts = []
    for one in members:
        budget = np.full(one.stop - one.first, one.budget)
        if one.campaign_id in edits:
            mine = edits[one.campaign_id]
            budget[:] = [budget_at(one.budget, mine, one.calendar.ends(c)) for c in range(one.first, one.stop)]
        if one.first == 0 and len(budget):
            budget[0] *= one.calendar.part(0)
        parts.append(budget)
    return np.concatenate(parts) if parts else np.zeros(0)

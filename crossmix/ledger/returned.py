"""What came back, as `crossmix.feedback.Feedback`: what levels, monitors, guard and re-adaptation read of the ledger.

Campaigns whose cycles are equally long stand side by side: a row is a span of time, the same of all of them, by the
campaign's calendar where its cycles are calendar days. Conversions and revenue count in the cycle in which they became
known; those that come with a cell's first report, if that is late, in the cell's own.

Shapes: T rows, C campaigns, P platforms, A arms.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

import numpy as np
from numpy.typing import NDArray

from crossmix import terms
from crossmix.cycles import Cycles
from crossmix.feedback import Array, Feedback, Whole
from crossmix.ledger import amounts, canaries, experiments, plans, quarantine, told
from crossmix.ledger import campaigns as ledger_campaigns
from crossmix.ledger.amounts import ARRIVED
from crossmix.ledger.plans import Place, Plan
from crossmix.ledger.store import Store
from crossmix.metrics import ARMS, EVERY_ARM
from crossmix.terms import Term, Trial

_DOUBTED = {
    "conversions_TCP": quarantine.ARRIVALS,
    "revenue_TCP": quarantine.ARRIVALS,
    "clicks_TCP": quarantine.RESPONSE,
    "spend_TCP": quarantine.ALL,
    "requests_TCP": quarantine.ALL,
    "impressions_TCP": quarantine.ALL,
}
"""From how much doubt on a field is unknown."""


@dataclass(frozen=True, slots=True, eq=False)
class Returned:
    """Campaigns of one length of cycle."""

    cycle_hours: float
    first: int
    """Number of the first row, from an origin that never moves: `Plan.slot`."""
    ends_TC: NDArray[np.datetime64]
    """When each cycle ended, UTC, microseconds; NaT where the campaign had none."""
    arms: Mapping[str, Feedback]
    """All of the same campaigns, platforms and rows."""


@dataclass(frozen=True, slots=True, eq=False)
class _Calendar:
    """N cycles of campaigns that begin together: most of them do, and time zones are slow."""

    weekday_N: Whole
    ends_N: NDArray[np.datetime64]
    part_AN: Array
    """Each arm's part of users, times the cycle's part of a full one."""

    @classmethod
    def of(
        cls, calendar: Cycles, first: int, stop: int, known: Sequence[Term], arms: Sequence[str], tried: Sequence[Trial]
    ) -> _Calendar:
        begins = [calendar.begins(cycle) for cycle in range(first, stop + 1)]
        # Where no experiment was ever begun nobody knows who saw what.
        alike = 1 / len(arms)
        return cls(
            np.array([calendar.weekday(cycle) for cycle in range(first, stop)], np.int64),
            np.array([one.replace(tzinfo=None) for one in begins[1:]], "datetime64[us]"),
            np.array(
                [
                    [
                        (terms.part(known, arm, begins[n], tried) if known else alike) * calendar.part(first + n)
                        for n in range(stop - first)
                    ]
                    for arm in arms
                ]
            ),
        )


def read(
    store: Store,
    platforms: Sequence[str],
    now: datetime,
    *,
    campaigns: Collection[str] | Mapping[str, Plan] | None = None,
    arms: Sequence[str] | None = None,
    newest: int | None = None,
) -> list[Returned]:
    """Finished cycles of every campaign, the shortest cycles first.

    Args:
        platforms: in slot order; what other platforms delivered is left out.
        now: UTC; a cycle counts once it has ended.
        campaigns: only these, which are looked up, or as they were; `None`: all.
        arms: `None`: the experiment's, and the canary's where a version was ever on trial.
        newest: so many of the last rows of each length; `None`: all.

    Raises:
        StoreAwayError: the database is away.
    """
    tried = canaries.load_all(store)
    arms = (EVERY_ARM if tried else ARMS) if arms is None else arms
    known = campaigns if isinstance(campaigns, Mapping) else plans.load(store, campaigns)
    stops = plans.finished(known, now)
    places: dict[float, list[Place]] = {}
    for name, plan in sorted(known.items()):
        if stops[name] > 0:
            places.setdefault(plan.cycle_hours, []).append(Place(plan, 0, stops[name], plan.slot))
    return [
        _of_one_length(store, hours, _newest(some, newest), tuple(platforms), arms, tried)
        for hours, some in sorted(places.items())
    ]


def believed(store: Store, found: Returned) -> Returned:
    """The same without what is not believed (`crossmix.ledger.quarantine`): unknown, as what nobody reported.

    Raises:
        StoreAwayError: the database is away.
    """
    first = next(iter(found.arms.values()))
    campaign, platform = ({name: n for n, name in enumerate(names)} for names in (first.campaigns, first.platforms))
    doubt = {arm: np.zeros(one.spend_TCP.shape, np.int64) for arm, one in found.arms.items()}
    for entry in quarantine.read(store, first.campaigns, quarantine.UNBELIEVED):
        c, p = campaign.get(entry.campaign_id), platform.get(entry.platform)
        if entry.arm in doubt and c is not None and p is not None:
            row_T = first.cycle_TC[:, c] == entry.cycle
            doubt[entry.arm][row_T, c, p] = np.maximum(doubt[entry.arm][row_T, c, p], entry.doubt)
    if not any(table.any() for table in doubt.values()):
        return found
    arms = {}
    for arm, one in found.arms.items():
        kept = {name: np.where(doubt[arm] >= much, np.nan, getattr(one, name)) for name, much in _DOUBTED.items()}
        blank: dict[str, Any] = kept
        arms[arm] = replace(one, **blank)
    return replace(found, arms=arms)


def _newest(places: list[Place], newest: int | None) -> list[Place]:
    """The same within the last rows; campaigns that ended before them are left out."""
    if newest is None:
        return places
    stop = max(one.row + one.stop for one in places)
    firsts = (max(0, stop - newest - one.row) for one in places)
    return [
        Place(one.plan, first, one.stop, one.row + first)
        for one, first in zip(places, firsts, strict=True)
        if first < one.stop
    ]


def _of_one_length(
    store: Store,
    hours: float,
    places: list[Place],
    platforms: tuple[str, ...],
    arms: Sequence[str],
    tried: Sequence[Trial],
) -> Returned:
    origin = min(one.row for one in places)
    rows = max(one.row - one.first + one.stop for one in places) - origin
    names = tuple(one.plan.campaign_id for one in places)
    cycle_TC = np.full((rows, len(places)), -1, np.int64)
    weekday_TC = np.zeros((rows, len(places)), np.int64)
    ends_TC = np.full((rows, len(places)), np.datetime64("NaT"), "datetime64[us]")
    part_ATC = np.zeros((len(arms), rows, len(places)))
    alike: dict[tuple[Cycles, int, int], list[int]] = {}
    for c, one in enumerate(places):
        alike.setdefault((one.plan.calendar, one.first, one.stop), []).append(c)
    known = experiments.load_all(store)
    for (calendar, first, stop), columns in alike.items():
        days = _Calendar.of(calendar, first, stop, known, arms, tried)
        start = places[columns[0]].row - origin
        span = slice(start, start + stop - first)
        cycle_TC[span, columns] = np.arange(first, stop)[:, None]
        weekday_TC[span, columns], ends_TC[span, columns] = days.weekday_N[:, None], days.ends_N[:, None]
        part_ATC[:, span, columns] = days.part_AN[..., None]
    offset_C = np.array([one.row - origin - one.first for one in places], np.int64)
    came = amounts.read(store, places, offset_C, cycle_TC, platforms, arms)
    served = told.read(store, places, offset_C, cycle_TC, platforms, arms)
    edits = ledger_campaigns.budget_edits(store)
    planned = told.Planned.of(places, platforms, edits)
    feedback = {}
    for a, arm in enumerate(arms):
        found = came[a]
        told_TCP, most_TCP = planned.where_unserved(*served.pop(arm), part_ATC[a], found["active"], cycle_TC)
        feedback[arm] = Feedback(
            campaigns=names,
            platforms=platforms,
            cycle_TC=cycle_TC,
            weekday_TC=weekday_TC,
            part_TC=part_ATC[a],
            told_TCP=told_TCP,
            most_TCP=most_TCP,
            **{f"{name}_TCP": found[name] for name in ("spend", "requests", "impressions", "clicks", *ARRIVED)},
        )
    return Returned(hours, origin, ends_TC, feedback)

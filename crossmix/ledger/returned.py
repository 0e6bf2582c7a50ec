"""What came back, as `crossmix.feedback.Feedback`: what levels, monitors, guard and re-adaptation read of the ledger.

Campaigns whose cycles are equally long stand side by side: a row is a span of time, the same of all of them, by the
campaign's calendar where its cycles are calendar days. Conversions and revenue count in the cycle in which they became
known; those that come with a cell's first report, if that is late, in the cell's own.

Shapes: T rows, C campaigns, P platforms, I rows of `totals`, Q quantities.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

import numpy as np
import sqlalchemy as sa
from numpy.typing import NDArray

from crossmix import terms
from crossmix.cycles import Cycles
from crossmix.feedback import Array, Feedback, Whole
from crossmix.ledger import campaigns as ledger_campaigns
from crossmix.ledger import canaries, delivery, experiments, plans, quarantine, tables
from crossmix.ledger.campaigns import budget_at, most_budget
from crossmix.ledger.plans import Plan
from crossmix.ledger.store import Store
from crossmix.metrics import ARMS, EVERY_ARM
from crossmix.terms import Term, Trial

DELIVERED = ("requests", "won", "impressions", "clicks", "spend")
ARRIVED = ("conversions", "revenue")
_DOUBTED = {
    "conversions_TCP": quarantine.ARRIVALS,
    "revenue_TCP": quarantine.ARRIVALS,
    "clicks_TCP": quarantine.RESPONSE,
    "spend_TCP": quarantine.ALL,
    "requests_TCP": quarantine.ALL,
    "impressions_TCP": quarantine.ALL,
}
"""From how much doubt on a field is unknown."""
_TOGETHER, _MOST = 25, 5_000
"""Campaigns that one query names: their rows are in memory at once, so more where they have few. No database takes more
than some ten thousand names."""
_ROWS = 25_000
"""Cells of a query's campaigns, where it names more."""
_AT_ONCE = 10_000
"""Rows of `totals`: a million Python objects at once take seconds to collect, and memory."""


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


@dataclass(frozen=True, slots=True)
class _Place:
    """A campaign's finished cycles, and which row each is."""

    plan: Plan
    first: int
    stop: int
    row: int
    """Of the cycle `first`, from an origin that all campaigns of its length share."""


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
    places: dict[float, list[_Place]] = {}
    for name, plan in sorted(known.items()):
        if stops[name] > 0:
            places.setdefault(plan.cycle_hours, []).append(_Place(plan, 0, stops[name], plan.slot))
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


def _newest(places: list[_Place], newest: int | None) -> list[_Place]:
    """The same within the last rows; campaigns that ended before them are left out."""
    if newest is None:
        return places
    stop = max(one.row + one.stop for one in places)
    firsts = (max(0, stop - newest - one.row) for one in places)
    return [
        _Place(one.plan, first, one.stop, one.row + first)
        for one, first in zip(places, firsts, strict=True)
        if first < one.stop
    ]


def _of_one_length(
    store: Store,
    hours: float,
    places: list[_Place],
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
        told = _Calendar.of(calendar, first, stop, known, arms, tried)
        start = places[columns[0]].row - origin
        span = slice(start, start + stop - first)
        cycle_TC[span, columns] = np.arange(first, stop)[:, None]
        weekday_TC[span, columns], ends_TC[span, columns] = told.weekday_N[:, None], told.ends_N[:, None]
        part_ATC[:, span, columns] = told.part_AN[..., None]
    offset_C = np.array([one.row - origin - one.first for one in places], np.int64)
    read = _amounts(store, places, offset_C, cycle_TC, platforms, arms)
    served = _told(store, places, offset_C, cycle_TC, platforms, arms)
    edits = ledger_campaigns.budget_edits(store)
    planned = _Planned.of(places, platforms, edits)
    feedback = {}
    for a, arm in enumerate(arms):
        amounts = read[a]
        told_TCP, most_TCP = planned.where_unserved(*served.pop(arm), part_ATC[a], amounts["active"], cycle_TC)
        feedback[arm] = Feedback(
            campaigns=names,
            platforms=platforms,
            cycle_TC=cycle_TC,
            weekday_TC=weekday_TC,
            part_TC=part_ATC[a],
            told_TCP=told_TCP,
            most_TCP=most_TCP,
            **{f"{name}_TCP": amounts[name] for name in ("spend", "requests", "impressions", "clicks", *ARRIVED)},
        )
    return Returned(hours, origin, ends_TC, feedback)


@dataclass(frozen=True, slots=True, eq=False)
class _Rows:
    """Rows of `totals` that count."""

    campaign_I: Whole
    arm_I: Whole
    cycle_I: Whole
    platform_I: Whole
    known_I: Whole
    opened_I: NDArray[np.bool_]
    """The first report of a cell before those that are read: what became known with it counts there."""
    complete_I: NDArray[np.bool_]
    delivered_IQ: Array
    """`DELIVERED`; requests NaN where not told."""
    arrived_IQ: Array


def _amounts(
    store: Store,
    places: list[_Place],
    offset_C: Whole,
    cycle_TC: Whole,
    platforms: tuple[str, ...],
    arms: Sequence[str],
) -> list[dict[str, Array]]:
    """Each arm's amounts, as `_placed`, of some campaigns after the other."""
    whole: list[dict[str, Array]] = [{} for _ in arms]
    with store.read() as connection:
        together = max(_TOGETHER, min(_MOST, _ROWS // (len(cycle_TC) * len(platforms) * len(arms))))
        for start in range(0, len(places), together):
            some = slice(start, start + together)
            rows = _totals(connection, places[some], platforms, arms)
            for a, amounts in enumerate(whole):
                # Into their place at once: what a block leaves behind is too small for the next whole table.
                for name, table in _placed(rows, a, offset_C[some], cycle_TC[:, some], len(platforms)).items():
                    if name not in amounts:
                        amounts[name] = np.empty((len(table), len(places), *table.shape[2:]))
                    amounts[name][:, some] = table
    return whole


def _totals(connection: sa.Connection, places: list[_Place], platforms: tuple[str, ...], arms: Sequence[str]) -> _Rows:
    """The rows of these campaigns' cycles, and those that became known in them."""
    table, number = tables.totals.c, {one.plan.campaign_id: c for c, one in enumerate(places)}
    first = min(one.first for one in places)
    # What leaves out most comes first: SQLite asks in this order, of every row of these campaigns.
    where = (table.known >= first) & table.campaign_id.in_(list(number)) & (table.events > 0)
    where &= table.platform.in_(platforms) & table.arm.in_(list(arms))
    # Arm, platform and two flags as one small number, which costs Python an object less each, and no string.
    slot, arm = (
        sa.case({name: n for n, name in enumerate(names)}, value=column)
        for names, column in ((platforms, table.platform), (arms, table.arm))
    )
    complete, untold = (sa.case((flag, 1), else_=0) for flag in (table.complete > 0, table.requests.is_(None)))
    code = ((complete * 2 + untold) * len(arms) + arm) * len(platforms) + slot
    amounts = [sa.func.coalesce(table.requests, 0.0), *(table[name] for name in (*DELIVERED[1:], *ARRIVED))]
    query = sa.select(table.campaign_id, table.cycle, table.known, code, *amounts).where(where)
    whole = [np.zeros((0, 4), np.int64)]
    parts = [np.zeros((0, len(amounts)))]
    with connection.execute(query) as result:
        # The driver's own rows: numbers and names, which are read by the million, need no row object of SQLAlchemy's.
        while result.cursor is not None and (block := result.cursor.fetchmany(_AT_ONCE)):
            names, *columns = zip(*block, strict=True)
            keys = (map(number.__getitem__, names), *columns[:3])
            whole.append(np.stack([np.fromiter(column, np.int64, len(block)) for column in keys], 1))
            parts.append(np.stack([np.fromiter(column, float, len(block)) for column in columns[3:]], 1))
    key_IK, amount_IQ = np.concatenate(whole), np.concatenate(parts)
    # Along whichever index a database went: sums of a cell add up in one order.
    order_I = np.lexsort((key_IK[:, 2], key_IK[:, 1]))
    amount_IQ = amount_IQ[order_I]
    campaign_I, cycle_I, known_I, code_I = key_IK[order_I].T
    code_I, platform_I = np.divmod(code_I, len(platforms))
    code_I, arm_I = np.divmod(code_I, len(arms))
    complete_I, untold_I = code_I >= 2, code_I % 2 > 0
    delivered_IQ, arrived_IQ = amount_IQ[:, : len(DELIVERED)], amount_IQ[:, len(DELIVERED) :]
    delivered_IQ[untold_I, DELIVERED.index("requests")] = np.nan
    first_C = np.array([one.first for one in places])
    before_I = (cycle_I < first_C[campaign_I]) & np.nan_to_num(delivered_IQ).any(1)
    opened_I = np.zeros(len(code_I), np.bool_)
    cells_IK = np.stack([table_I[before_I] for table_I in (campaign_I, arm_I, cycle_I, platform_I, known_I)], 1)
    opened_I[before_I] = _opened(connection, cells_IK, first, (list(number), arms, platforms))
    return _Rows(campaign_I, arm_I, cycle_I, platform_I, known_I, opened_I, complete_I, delivered_IQ, arrived_IQ)


def _opened(
    connection: sa.Connection, keys_IK: Whole, first: int, names: tuple[Sequence[str], ...]
) -> NDArray[np.bool_]:
    """Which of these rows are their cell's first report; of what became known before `first` the database is asked.

    Args:
        keys_IK: campaign, arm, cycle, platform, and when it became known; all that became known from `first` on.
        names: of campaigns, arms and platforms.
    """
    if not len(keys_IK):
        return np.zeros(0, np.bool_)
    table, index = tables.totals.c, [{name: n for n, name in enumerate(some)} for some in names]
    cells_JK, cell_I = np.unique(keys_IK[:, :4], axis=0, return_inverse=True)
    known_J = np.full(len(cells_JK), np.iinfo(np.int64).max)
    np.minimum.at(known_J, cell_I, keys_IK[:, 4])
    of = {tuple(cell): j for j, cell in enumerate(cells_JK.tolist())}
    delivers = sa.or_(*(sa.func.coalesce(table[name], 0) != 0 for name in DELIVERED))
    where = table.campaign_id.in_([names[0][c] for c in np.unique(cells_JK[:, 0])]) & (table.events > 0) & delivers
    where &= table.arm.in_(list(names[1])) & table.cycle.in_(np.unique(cells_JK[:, 2]).tolist())
    where &= table.platform.in_(list(names[2])) & (table.known < first)
    query = sa.select(table.campaign_id, table.arm, table.cycle, table.platform).where(where)
    for campaign, arm, cycle, platform in connection.execute(query):
        cell = of.get((index[0][campaign], index[1][arm], cycle, index[2][platform]))
        if cell is not None:
            known_J[cell] = -1
    return np.asarray(keys_IK[:, 4] == known_J[cell_I])


def _placed(rows: _Rows, arm: int, offset_C: Whole, cycle_TC: Whole, platforms: int) -> dict[str, Array]:
    """One arm's amounts, (T, C, P) each, NaN where nobody reported; `active`: (T, C), 1 where anything came back."""
    size, campaigns = cycle_TC.shape
    of_arm = np.flatnonzero(rows.arm_I == arm)
    campaign_I, platform_I = rows.campaign_I[of_arm], rows.platform_I[of_arm]
    cycle_I, known_I = rows.cycle_I[of_arm], rows.known_I[of_arm]
    delivered_IQ, complete_I = rows.delivered_IQ[of_arm], rows.complete_I[of_arm]
    delivers_I = np.nan_to_num(delivered_IQ).any(1)
    own_I, reported_I = cycle_I + offset_C[campaign_I], delivers_I | complete_I
    inside_I = (own_I >= 0) & (own_I < size)

    cell_I = (np.clip(own_I, 0, size - 1) * campaigns + campaign_I) * platforms + platform_I
    first = np.full(size * campaigns * platforms, np.iinfo(np.int64).max)
    kept = inside_I & delivers_I
    np.minimum.at(first, cell_I[kept], known_I[kept])
    opens_I = (inside_I & (known_I == first[cell_I])) | rows.opened_I[of_arm]
    arrives_I = np.where(opens_I, own_I, known_I + offset_C[campaign_I])
    shape = (size, campaigns, platforms)

    def summed(values_I: Array, at_I: Whole, keep_I: NDArray[np.bool_]) -> Array:
        where = (at_I[keep_I] * campaigns + campaign_I[keep_I]) * platforms + platform_I[keep_I]
        total: Array = np.bincount(where, values_I[keep_I], minlength=size * campaigns * platforms).astype(float)
        return total.reshape(shape)

    reported_TCP = summed(reported_I.astype(float), own_I, inside_I) > 0
    result: dict[str, Array] = {}
    for name in ("spend", "impressions", "clicks"):
        total = summed(delivered_IQ[:, DELIVERED.index(name)], own_I, inside_I)
        result[name] = np.where(reported_TCP, total, np.nan)
    # Requests are told by some events alone: their win rate stands for all impressions of the cell.
    told_I = np.isfinite(delivered_IQ[:, DELIVERED.index("requests")])
    requests, won = (
        summed(np.nan_to_num(delivered_IQ[:, DELIVERED.index(name)]), own_I, inside_I & told_I)
        for name in ("requests", "won")
    )
    any_told = summed(told_I.astype(float), own_I, inside_I) > 0
    scaled = np.divide(result["impressions"], won, out=np.ones(shape), where=(won > 0) & reported_TCP)
    complete_empty = reported_TCP & ~any_told & (np.nan_to_num(result["impressions"]) == 0)
    result["requests"] = np.where(any_told & reported_TCP, requests * scaled, np.where(complete_empty, 0.0, np.nan))
    here_I = (arrives_I >= 0) & (arrives_I < size)
    some_TCP = reported_TCP | (summed(np.ones(len(of_arm)), arrives_I, here_I) > 0)
    for q, name in enumerate(ARRIVED):
        result[name] = np.where(some_TCP, summed(rows.arrived_IQ[of_arm][:, q], arrives_I, here_I), np.nan)
    result["active"] = reported_TCP.any(2).astype(float)
    return result


def _told(
    store: Store,
    places: list[_Place],
    offset_C: Whole,
    cycle_TC: Whole,
    platforms: tuple[str, ...],
    arms: Sequence[str],
) -> dict[str, tuple[Array, Array]]:
    """What each arm was last told by cell, and at most, currency; NaN where nothing was served. One table where it was
    served nothing."""
    shape = (*cycle_TC.shape, len(platforms))
    splits = delivery.splits(store, {one.plan.campaign_id: (one.first, one.stop - 1) for one in places})
    served = {arm for some in splits.values() for arm, _ in some}
    last = {arm: np.full(shape, np.nan) for arm in arms}
    told = {arm: (table, table.copy() if arm in served else table) for arm, table in last.items()}
    for c, one in enumerate(places):
        for (arm, cycle), split in splits[one.plan.campaign_id].items():
            if arm in told:
                last_TCP, most_TCP = told[arm]
                last_TCP[cycle + offset_C[c], c] = [split.amount(name) for name in platforms]
                most_TCP[cycle + offset_C[c], c] = [split.most.get(name, 0.0) for name in platforms]
    return told


@dataclass(frozen=True, slots=True, eq=False)
class _Planned:
    """The plans' static splits."""

    places: Sequence[_Place]
    share_CP: Array
    budget_C: Array
    """Of a cycle as it is now, currency."""
    edits: Mapping[str, Sequence[tuple[datetime, float]]]
    """Of the campaigns whose budget was another."""

    @classmethod
    def of(
        cls,
        places: Sequence[_Place],
        platforms: tuple[str, ...],
        edits: Mapping[str, Sequence[tuple[datetime, float]]],
    ) -> _Planned:
        share_CP = np.array([[one.plan.share.get(name, 0.0) for name in platforms] for one in places])
        return cls(places, share_CP, np.array([one.plan.cycle_budget for one in places]), edits)

    def where_unserved(
        self, told_TCP: Array, most_TCP: Array, part_TC: Array, active_TC: Array, cycle_TC: Whole
    ) -> tuple[Array, Array]:
        """Where nothing was served and something came back, the plan's static split was told; else nothing. Last, and
        at most: one table where they are the same."""
        unserved_TC = np.asarray(np.isnan(told_TCP).all(2))
        last = np.where(unserved_TC[..., None], 0.0, told_TCP)
        same = most_TCP is told_TCP and not self.edits
        most = last if same else np.where(unserved_TC[..., None], 0.0, most_TCP)
        t_N, c_N = np.nonzero(unserved_TC & (active_TC > 0) & (cycle_TC >= 0))
        budget_N = self.budget_C[c_N]
        largest_N = budget_N.copy()
        edited_C = np.array([one.plan.campaign_id in self.edits for one in self.places], np.bool_)
        for n in np.flatnonzero(edited_C[c_N]).tolist():
            plan, cycle = self.places[c_N[n]].plan, int(cycle_TC[t_N[n], c_N[n]])
            before = self.edits[plan.campaign_id]
            begins, ends = plan.calendar.begins(cycle), plan.calendar.ends(cycle)
            budget_N[n] = budget_at(plan.cycle_budget, before, ends)
            largest_N[n] = most_budget(plan.cycle_budget, before, begins, ends)
        share_NP = self.share_CP[c_N] * part_TC[t_N, c_N][:, None]
        last[t_N, c_N] = share_NP * budget_N[:, None]
        if not same:
            most[t_N, c_N] = share_NP * largest_N[:, None]
        return last, most

"""Has the past changed? What was taken in of the ledger, remembered so that a later look reads only what is new.

A `Past` says how far the feedback of some campaigns was read (`crossmix.ledger.returned`), and what could tell that
something of it is different now: totals that a report has come to since, cells that are believed no more or again,
splits that were noted late, plans that were edited. `compare` names the first row that differs, or may.

Every change of `totals` leaves the time of its event in its row, so rows that changed are among those received since.
What was received in the last `SLACK` before a reading is remembered by sums, as a transaction that began before it may
end after it; so is what came in a cycle after those that were read, some of which counts in them.
"""

from __future__ import annotations

import hashlib
import json
import math
import struct
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa

from crossmix.cycles import Cycles
from crossmix.ledger import canaries, delivery, experiments, plans, quarantine, tables
from crossmix.ledger.amounts import DELIVERED
from crossmix.ledger.delivery import moment
from crossmix.ledger.plans import Plan, slot
from crossmix.ledger.store import Store
from crossmix.ledger.tables import utc
from crossmix.metrics import QUANTITIES

SLACK = timedelta(minutes=10)
"""Longer than any transaction of events waits."""
Group = tuple[str, int, int]
"""Campaign, cycle, and when it became known: rows of `totals` of every arm and platform."""
_DELIVERS = 2
"""Where `Past.sums` has how many rows deliver."""


@dataclass(frozen=True, slots=True)
class View:
    """Campaigns of one length of cycle, as a look finds them."""

    campaigns: Mapping[str, Plan]
    """Those that have a finished cycle."""
    stops: Mapping[str, int]
    """Finished cycles of each."""
    row: int
    """Number of the newest, as in `Returned.first`."""
    plans: Mapping[str, str]
    """Digest of what of each campaign's plan bears on finished cycles."""


@dataclass(frozen=True, slots=True)
class Past:
    """What was taken in."""

    row: int
    """Number of the last row."""
    stops: dict[str, int]
    """Cycles of each campaign."""
    plans: dict[str, str]
    cut: str | None
    """Rows received from then on are in `sums`; ISO, UTC. `None`: nothing was reported yet."""
    sums: list[list[Any]]
    """Each `Group`, and of it: rows, events, rows that deliver, amounts, and the newest event's time."""
    doubted: list[list[Any]]
    """Campaign, arm, platform and cycle of cells of its cycles, and how much of each is doubted."""
    splits: dict[str, int]
    """Splits of each campaign's cycles that were noted."""

    def as_dict(self) -> dict[str, Any]:
        return {one.name: getattr(self, one.name) for one in fields(self)}

    @classmethod
    def from_dict(cls, raw: Mapping[str, Any]) -> Past:
        """Raises `TypeError` where a field is missing."""
        return cls(**raw)


def view(store: Store, names: Sequence[str], hours: float, now: datetime) -> View | None:
    """The campaigns of these names with cycles of so many hours; `None`: no cycle has finished.

    Raises:
        StoreAwayError: the database is away.
    """
    known = {name: one for name, one in plans.load(store, names).items() if one.cycle_hours == hours}
    stops = {name: stop for name, stop in plans.finished(known, now).items() if stop > 0}
    known = {name: known[name] for name in stops}
    if not known:
        return None
    alike = [bool(experiments.load_all(store)), bool(canaries.load_all(store))]
    return View(
        known, stops, max(one.slot + stops[name] for name, one in known.items()) - 1, _digests(known.values(), alike)
    )


def _digests(campaigns: Iterable[Plan], alike: Sequence[bool]) -> dict[str, str]:
    """Of each plan, what of it bears on finished cycles."""
    heads: dict[tuple[Cycles, tuple[str, ...]], bytes] = {}
    digests = {}
    for one in campaigns:
        names = tuple(sorted(one.share))
        head = heads.get((one.calendar, names))
        if head is None:
            calendar = one.calendar
            told = [calendar.starts.isoformat(), calendar.cycle_hours, calendar.timezone, [*names], *alike]
            head = heads[calendar, names] = json.dumps(told).encode()
        # Numbers as they are: their decimals would take half of a look's plans.
        shares = struct.pack(f"<{len(names)}d", *(one.share[name] for name in names))
        digests[one.campaign_id] = hashlib.sha256(head + shares).hexdigest()[:16]
    return digests


def compare(store: Store, past: Past | None, seen: View) -> tuple[int | None, Past]:
    """The first row that is not as it was taken in, `None` where all of `past` still holds; and what is to be
    remembered of a reading that comes after this.

    Raises:
        StoreAwayError: the database is away.
    """
    cut, newest = _cut(store, seen)
    before = None if past is None or past.cut is None else datetime.fromisoformat(past.cut)
    if before is not None and cut is not None:
        cut = max(cut, before)
    old, new = _sums(store, before, cut, 0 if past is None else max(past.stops.values(), default=0))
    doubted = _doubted(store, seen)
    splits, old_splits = delivery.noted(store, seen.stops, {} if past is None else past.stops)
    told = Past(
        row=seen.row,
        stops=dict(seen.stops),
        plans=dict(seen.plans),
        cut=None if cut is None else cut.isoformat(),
        sums=[[*group, *sums] for group, sums in sorted(new.items()) if group[1] < seen.stops.get(group[0], 0)],
        doubted=[[*cell, doubt] for cell, doubt in sorted(doubted.items()) if cell[3] < seen.stops[cell[0]]],
        splits=splits,
    )
    if past is None:
        return None, told
    if past.row > seen.row or (before is not None and (newest is None or newest < before)):
        # Another clock, or another database.
        return 0, told
    changed = [
        *_replanned(past, seen),
        *_reported(past, seen, old),
        *_believed(past, seen, doubted),
        *_noted(past, old_splits),
    ]
    return min(changed, default=None), told


def _cut(store: Store, seen: View) -> tuple[datetime | None, datetime | None]:
    """From when on what was received is remembered; and the newest event."""
    with store.read() as connection:
        newest = connection.execute(sa.select(sa.func.max(tables.feedback_state.c.received))).scalar()
    if newest is None:
        return None, None
    newest = utc(newest)
    ended = {(one.calendar, seen.stops[name]) for name, one in seen.campaigns.items()}
    ends = min(calendar.ends(stop - 1) for calendar, stop in ended if slot(calendar) + stop - 1 == seen.row)
    return min(newest - SLACK, ends), newest


def _sums(
    store: Store, before: datetime | None, cut: datetime | None, stop: int
) -> tuple[dict[Group, list[Any]], dict[Group, list[Any]]]:
    """Sums of what was received since `before` of cycles before `stop`, and of what was since `cut`."""
    if cut is None:
        return {}, {}
    table = tables.totals.c
    # One after the other, so that the first says it of most.
    delivers = [(one, 1) for one in (*(table[name] != 0 for name in reversed(DELIVERED)), table.complete > 0)]
    newer = sa.case((table.received >= cut, 1), else_=0)
    # In another order than the primary key's, along which SQLite would look every row of the history up.
    keys = (newer, table.known, table.cycle, table.campaign_id)
    added = [sa.func.sum(table[name]) for name in ("requests", *QUANTITIES)]
    counts = (sa.func.count(), sa.func.sum(table.events), sa.func.sum(sa.case(*delivers, else_=0)))
    query = sa.select(*keys, sa.func.max(table.received), *counts, *added).group_by(*keys)
    if before is None:
        query = query.where(table.received >= cut)
    else:
        query = query.where((table.received >= before) & ((table.received >= cut) | (table.cycle < stop)))
    old: dict[Group, list[Any]] = {}
    new: dict[Group, list[Any]] = {}
    with store.read() as connection:
        for is_new, known, cycle, campaign, newest, *sums in connection.execute(query):
            one = [*(0.0 if amount is None else float(amount) for amount in sums), moment(newest).isoformat()]
            for into in (old, new) if is_new else (old,):
                group = campaign, cycle, known
                into[group] = _added(one, into[group]) if group in into else one
    return old, new


def _added(one: list[Any], other: list[Any]) -> list[Any]:
    return [*(a + b for a, b in zip(one[:-1], other[:-1], strict=True)), max(one[-1], other[-1])]


def _reported(past: Past, seen: View, now: Mapping[Group, list[Any]]) -> list[int]:
    """Rows whose reports are others."""
    was: dict[Group, list[Any]] = {(row[0], row[1], row[2]): row[3:] for row in past.sums}
    found = []
    for group in was.keys() | now.keys():
        campaign, cycle, known = group
        stop = past.stops.get(campaign, 0)
        if cycle < stop and campaign in seen.campaigns and not _same(was.get(group), now.get(group)):
            delivered = any(sums is not None and sums[_DELIVERS] > 0 for sums in (was.get(group), now.get(group)))
            # Conversions alone count when they became known: after what was taken in.
            if known < stop or delivered:
                found.append(seen.campaigns[campaign].slot + cycle)
    return found


def _same(one: list[Any] | None, other: list[Any] | None) -> bool:
    if one is None or other is None:
        return one is other
    # Sums of the same rows may differ in their last bits.
    return one[-1] == other[-1] and all(
        math.isclose(a, b, rel_tol=1e-9) for a, b in zip(one[:-1], other[:-1], strict=True)
    )


def _replanned(past: Past, seen: View) -> list[int]:
    """Rows in which campaigns have other cycles than they had, or all where a plan is another."""
    if past.plans.keys() - seen.plans.keys() or any(seen.plans[name] != plan for name, plan in past.plans.items()):
        return [0]
    found = []
    for name, one in seen.campaigns.items():
        stop, first = past.stops.get(name, 0), one.slot
        now = max(min(seen.stops[name], past.row + 1 - first), 0)
        if now != stop:
            found.append(first + min(now, stop))
    return found


def _doubted(store: Store, seen: View) -> dict[tuple[str, str, str, int], int]:
    entries = quarantine.read(store, seen.campaigns, quarantine.UNBELIEVED)
    return {(one.campaign_id, one.arm, one.platform, one.cycle): one.doubt for one in entries}


def _believed(past: Past, seen: View, doubted: Mapping[tuple[str, str, str, int], int]) -> list[int]:
    """Rows with a cell that is believed less than it was, or more."""
    was = {(*cell,): doubt for *cell, doubt in past.doubted}
    now = {cell: doubt for cell, doubt in doubted.items() if cell[3] < past.stops.get(cell[0], 0)}
    changed = {cell for cell, _ in was.items() ^ now.items()}
    return [seen.campaigns[cell[0]].slot + cell[3] for cell in changed if cell[0] in seen.campaigns]


def _noted(past: Past, splits: Mapping[str, int]) -> list[int]:
    """All rows, where a split of some cycle was noted since: which one is not known."""
    return [0] if dict(splits) != past.splits else []

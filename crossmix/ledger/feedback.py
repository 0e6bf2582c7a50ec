"""Delivery outcomes as they are kept: increments, each counted once, and their sums.

The sums (`tables.totals`) are kept in the transaction of the events, so that nobody adds events up anew. A correction
names the event that it stands in for, which counts no more from then on, here as in the sums.

Shapes: A arms, C cycles, P platforms, U users.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import lru_cache
from operator import attrgetter
from typing import Any

import numpy as np
import sqlalchemy as sa
from numpy.typing import NDArray

from crossmix.ledger import tables
from crossmix.ledger.store import Store
from crossmix.ledger.tables import utc
from crossmix.metrics import ARMS, QUANTITIES

Array = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Event:
    """One increment of outcomes, checked; as it is kept."""

    event_id: str
    campaign_id: str
    arm: str
    platform: str
    cycle: int
    """Of the impressions."""
    known: int
    """In which it was received: later than `cycle` for a late one."""
    user: str | None
    """Keyed hash."""
    requests: float | None
    """Auction requests; `None`: not told."""
    impressions: float
    clicks: float
    conversions: float
    revenue: float
    """Currency."""
    spend: float
    """Currency."""
    complete: bool = False
    """Nothing more comes of this campaign, arm, platform and cycle."""
    replaces: str | None = None
    """Id of the event that it stands in for: a correction."""
    reason: str | None = None
    """Of a correction, or of what is below 0."""


@dataclass(frozen=True, slots=True)
class Inserted:
    """What became of events."""

    new: list[Event]
    """Counted now."""
    same: list[Event]
    """Counted before, or earlier in the request, with the same content."""
    conflicting: list[Event]
    """Their id is known with another content: they do not count."""
    refused: dict[str, str] = field(default_factory=dict)
    """Id of a correction that does not count, and why."""


@dataclass(frozen=True, slots=True)
class FeedbackState:
    """How far the feedback of a campaign's arm has come."""

    number: int
    """Grows with each transaction that changed its totals."""
    received: datetime
    """The newest event, UTC."""
    cycle: int
    """Newest with an event."""
    late: int = 0
    """How many of those transactions changed a cycle that was over."""


@dataclass(frozen=True, slots=True)
class Totals:
    """Sums of a campaign's outcomes."""

    arms: tuple[str, ...]
    platforms: tuple[str, ...]
    values: dict[str, Array]
    """`requests` (nan: none told) and each of `QUANTITIES`, (A, C, P)."""


@dataclass(frozen=True, slots=True)
class UserTotals:
    """Sums of a campaign's outcomes by user, where the events tell one."""

    arm_U: list[str]
    user_U: list[str]
    """Keyed hashes."""
    values: dict[str, Array]
    """Each of `QUANTITIES`, (U,)."""


@dataclass(frozen=True, slots=True)
class Increment:
    """Events of one cycle and platform that became known in one cycle."""

    known: int
    cycle: int
    slot: int
    delivered: tuple[float, ...]
    """Requests told, impressions of events that tell requests, impressions, clicks, spend."""
    arrived: tuple[float, float]
    """Conversions, revenue."""


def insert(store: Store, events: Sequence[Event], now: datetime) -> Inserted:
    """Keep the events and their sums in one transaction, on the disk when this returns.

    Of several events with one id the first counts. Raises `StoreAwayError`, and then nothing was kept.
    """
    first = {event.event_id: event for event in reversed(events)}
    # In one order of ids, so that two requests with the same events cannot wait for each other.
    ids = sorted(first)
    with store.write() as connection:
        plain = [name for name in ids if first[name].replaces is None]
        new = set(_inserted(connection, [first[name] for name in plain], now))
        cells = _Cells()
        for name in plain:
            if name in new:
                cells.add(first[name], 1)
        refused: dict[str, str] = {}
        for name in ids:
            if first[name].replaces is not None:
                problem = _correct(connection, first[name], now, cells)
                if problem is None:
                    new.add(name)
                elif problem:
                    refused[name] = problem
        known = _known(connection, [name for name in ids if name not in new and name not in refused])
        cells.write(store, connection, now)
    fresh, same, conflicting = [], [], []
    counted: set[str] = set()
    for event in events:
        name = event.event_id
        if name in new and name not in counted:
            counted.add(name)
            fresh.append(event)
        elif name in refused:
            continue
        elif _content(event) == known.get(name, _content(first[name])):
            same.append(event)
        else:
            conflicting.append(event)
    return Inserted(fresh, same, conflicting, refused)


_CONTENT = tuple(one for one in Event.__dataclass_fields__ if one not in ("event_id", "known"))
"""What an event says, as it is kept."""
_SUMMED = ("requests", "won", "impressions", "clicks", "conversions", "revenue", "spend", "events", "complete")


_FIELDS = tuple(Event.__dataclass_fields__)
_values, _content = attrgetter(*_FIELDS), attrgetter(*_CONTENT)
"""Of an event, as tuples."""
BLOCK = 500
"""Events of a statement: some databases take 32,766 values at most."""


def _inserted(connection: sa.Connection, events: Sequence[Event], now: datetime) -> list[str]:
    """Insert events; ids of those whose id was not known."""
    received: Any = now
    if process := tables.events.c.received.type.dialect_impl(connection.dialect).bind_processor(connection.dialect):
        received = process(now)
    mark = "?" if connection.dialect.paramstyle == "qmark" else "%s"
    new: list[str] = []
    for start in range(0, len(events), BLOCK):
        block = events[start : start + BLOCK]
        values = [value for event in block for value in (received, *_values(event))]
        # SQLAlchemy's own way with many rows takes longer than the database does (benchmarks.feedback).
        new += connection.exec_driver_sql(_insertion(mark, len(block)), tuple(values)).scalars()
    return new


@lru_cache(maxsize=8)
def _insertion(mark: str, rows: int) -> str:
    """INSERT of so many events, which leaves those whose id is known."""
    names = ", ".join(f'"{name}"' for name in ("received", *_FIELDS))
    row = f"({', '.join([mark] * (len(_FIELDS) + 1))})"
    return f"INSERT INTO events ({names}) VALUES {', '.join([row] * rows)} ON CONFLICT DO NOTHING RETURNING event_id"


def _known(connection: sa.Connection, ids: Sequence[str]) -> dict[str, tuple[object, ...]]:
    """Content of events by id."""
    table, known = tables.events.c, {}
    for start in range(0, len(ids), 500):
        query = sa.select(table.event_id, *(table[name] for name in _CONTENT))
        for name, *content in connection.execute(query.where(table.event_id.in_(ids[start : start + 500]))):
            known[name] = tuple(content)
    return known


def _correct(connection: sa.Connection, event: Event, now: datetime, cells: _Cells) -> str | None:
    """Put a correction in the place of the event that it replaces; why it cannot be, "" where it is known already."""
    table = tables.events
    row = connection.execute(sa.select(table).where(table.c.event_id == event.replaces)).mappings().first()
    if row is None:
        return f"replaces: {event.replaces!r} is unknown; name an event that was accepted"
    if row["campaign_id"] != event.campaign_id:
        return f"replaces: {event.replaces!r} is of campaign {row['campaign_id']!r}; correct it within its campaign"
    if row["replaced_by"] not in (None, event.event_id):
        return f"replaces: {event.replaces!r} was replaced by {row['replaced_by']!r} already; replace that"
    running = event.known
    if event.cycle == row["cycle"]:
        # It counts where that one did: what a correction tells did not become known later.
        event = replace(event, known=row["known"])
    if not _inserted(connection, [event], now):
        return ""
    connection.execute(table.update().where(table.c.event_id == event.replaces).values(replaced_by=event.event_id))
    cells.add(Event(**{name: row[name] for name in Event.__dataclass_fields__}), -1, running)
    cells.add(event, 1, running)
    return None


class _Cells:
    """What a transaction adds to `totals` and `feedback_state`."""

    def __init__(self) -> None:
        self._sums: dict[tuple[str, str, int, str, int], list[Any]] = {}
        self._late: set[tuple[str, str]] = set()

    def add(self, event: Event, sign: int, running: int | None = None) -> None:
        """Count an event, or, with sign -1, no more.

        Args:
            running: the cycle that runs; `None`: that in which it became known.
        """
        if event.cycle < (event.known if running is None else running):
            self._late.add((event.campaign_id, event.arm))
        key = (event.campaign_id, event.arm, event.cycle, event.platform, event.known)
        row = self._sums.setdefault(key, [None, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0, 0])
        if event.requests is not None:
            row[0] = (row[0] or 0.0) + sign * event.requests
            row[1] += sign * event.impressions
        row[2] += sign * event.impressions
        row[3] += sign * event.clicks
        row[4] += sign * event.conversions
        row[5] += sign * event.revenue
        row[6] += sign * event.spend
        row[7] += sign
        row[8] += sign * event.complete

    def write(self, store: Store, connection: sa.Connection, now: datetime) -> None:
        """Into the tables, in one order for all writers."""
        if not self._sums:
            return
        names = ("campaign_id", "arm", "cycle", "platform", "known", *_SUMMED)
        rows = [
            dict(zip(names, (*key, *self._sums[key]), strict=True)) | {"received": now} for key in sorted(self._sums)
        ]
        table = tables.totals
        insert = store.insert_or(table)
        sums = {name: table.c[name] + insert.excluded[name] for name in _SUMMED[1:]}
        sums["requests"] = sa.func.coalesce(
            table.c.requests + insert.excluded.requests, table.c.requests, insert.excluded.requests
        )
        connection.execute(
            insert.on_conflict_do_update(index_elements=list(table.primary_key), set_={**sums, "received": now}), rows
        )
        arms: dict[tuple[str, str], int] = {}
        for campaign_id, arm, cycle, *_ in self._sums:
            arms[campaign_id, arm] = max(arms.get((campaign_id, arm), -1), cycle)
        state = tables.feedback_state
        again = store.insert_or(state)
        newest = sa.case((again.excluded.cycle > state.c.cycle, again.excluded.cycle), else_=state.c.cycle)
        connection.execute(
            again.on_conflict_do_update(
                index_elements=list(state.primary_key),
                set_={
                    "number": state.c.number + 1,
                    "received": now,
                    "cycle": newest,
                    "late": state.c.late + again.excluded.late,
                },
            ),
            [
                {
                    "campaign_id": campaign_id,
                    "arm": arm,
                    "number": 1,
                    "received": now,
                    "cycle": cycle,
                    "late": int((campaign_id, arm) in self._late),
                }
                for (campaign_id, arm), cycle in sorted(arms.items())
            ],
        )


def number(store: Store) -> int:
    """Grows with every transaction that changed some total; raises `StoreAwayError`."""
    with store.read() as connection:
        return int(connection.execute(sa.select(sa.func.sum(tables.feedback_state.c.number))).scalar() or 0)


def states(store: Store) -> dict[tuple[str, str], FeedbackState]:
    """How far the feedback of each campaign and arm that has any has come; raises `StoreAwayError`."""
    table = tables.feedback_state.c
    query = sa.select(table.campaign_id, table.arm, table.number, table.received, table.cycle, table.late)
    with store.read() as connection:
        return {
            (campaign_id, arm): FeedbackState(number, utc(received), cycle, late)
            for campaign_id, arm, number, received, cycle, late in connection.execute(query)
        }


def newest_received(store: Store) -> dict[tuple[str, str], datetime]:
    """When the newest event of each campaign and arm came in, UTC; raises `StoreAwayError`."""
    return {key: state.received for key, state in states(store).items()}


def known_cells(store: Store, campaign_id: str, arm: str, platforms: Sequence[str]) -> set[tuple[int, int]]:
    """Cycle and slot of cells whose spend is known though it may be 0; raises `StoreAwayError`.

    They are marked complete (nothing more comes of them), or a correction or a refund has brought their spend to 0.
    """
    return known_cells_of(store, [campaign_id], platforms).get((campaign_id, arm), set())


def known_cells_of(
    store: Store, campaigns: Sequence[str], platforms: Sequence[str]
) -> dict[tuple[str, str], set[tuple[int, int]]]:
    """`known_cells` of several campaigns, by campaign and arm, in one query."""
    table = tables.totals.c
    where = table.campaign_id.in_(campaigns) & table.platform.in_(platforms)
    where &= (table.complete > 0) | brought_to_zero()
    slot = {name: index for index, name in enumerate(platforms)}
    cells: dict[tuple[str, str], set[tuple[int, int]]] = {}
    with store.read() as connection:
        for name, arm, cycle, platform in connection.execute(
            sa.select(table.campaign_id, table.arm, table.cycle, table.platform).where(where).distinct()
        ):
            cells.setdefault((name, arm), set()).add((cycle, slot[platform]))
    return cells


def brought_to_zero() -> sa.ColumnElement[bool]:
    """Rows of `totals` of cells that had spend and have none: a correction within the cell, or a refund, took it away.

    The sums cannot tell: they are those of a cell that reported conversions alone. Events are looked at for cells
    without any spend only.
    """
    totals, events = tables.totals, tables.events.alias("spent")
    again, rest = tables.events.alias("instead"), tables.totals.alias("rest")
    cell = ("campaign_id", "arm", "cycle", "platform")

    def same(one: Any, other: Any) -> sa.ColumnElement[bool]:
        return sa.and_(*(one.c[name] == other.c[name] for name in cell))

    within = sa.exists().where((again.c.event_id == events.c.replaced_by) & same(again, events))
    had = sa.exists().where(same(events, totals) & (events.c.spend != 0) & (events.c.replaced_by.is_(None) | within))
    has = sa.exists().where(same(rest, totals) & (rest.c.events > 0) & (rest.c.spend != 0))
    return (totals.c.events > 0) & (totals.c.spend == 0) & ~has & had


def totals(store: Store, campaign_id: str, platforms: Sequence[str], arms: Sequence[str] = ARMS) -> Totals:
    """Sums by arm, cycle of the impressions and platform, up to the newest cycle with an event.

    Raises `StoreAwayError`.
    """
    table = tables.totals.c
    keys = (table.arm, table.cycle, table.platform)
    sums = [sa.func.sum(table[name]).label(name) for name in ("requests", *QUANTITIES)]
    where = (table.campaign_id == campaign_id) & table.arm.in_(arms) & table.platform.in_(platforms)
    with store.read() as connection:
        rows = connection.execute(sa.select(*keys, *sums).where(where).group_by(*keys)).all()
    cycles = max((row.cycle for row in rows), default=-1) + 1
    shape = (len(arms), cycles, len(platforms))
    values = {name: np.zeros(shape) for name in QUANTITIES} | {"requests": np.full(shape, np.nan)}
    slot = {name: index for index, name in enumerate(platforms)}
    number = {name: index for index, name in enumerate(arms)}
    for row in rows:
        cell = number[row.arm], row.cycle, slot[row.platform]
        for name, total_ACP in values.items():
            total = getattr(row, name)
            total_ACP[cell] = np.nan if total is None else total
    return Totals(tuple(arms), tuple(platforms), values)


def by_user(store: Store, campaign_id: str | None = None) -> UserTotals:
    """Sums by arm and user, over all cycles and platforms, of one campaign or of all; raises `StoreAwayError`."""
    table = tables.events.c
    sums = [sa.func.sum(table[name]).label(name) for name in QUANTITIES]
    query = sa.select(table.arm, table.user, *sums).where(_with_user()).group_by(table.arm, table.user)
    if campaign_id is not None:
        query = query.where(table.campaign_id == campaign_id)
    with store.read() as connection:
        rows = connection.execute(query.order_by(table.arm, table.user)).all()
    values = {name: np.array([getattr(row, name) for row in rows], float) for name in QUANTITIES}
    return UserTotals([row.arm for row in rows], [row.user for row in rows], values)


def increments(store: Store, campaign_id: str, arm: str, platforms: Sequence[str]) -> list[Increment]:
    """Outcomes of a campaign's arm by cycle known, cycle and platform (`slot`: its index); raises `StoreAwayError`."""
    return increments_of(store, [campaign_id], platforms).get((campaign_id, arm), [])


def increments_of(
    store: Store, campaigns: Sequence[str], platforms: Sequence[str]
) -> dict[tuple[str, str], list[Increment]]:
    """`increments` of several campaigns, by campaign and arm, in one query."""
    table = tables.totals.c
    sums = [table.requests, table.won, table.impressions, table.clicks, table.spend, table.conversions, table.revenue]
    keys = (table.campaign_id, table.arm, table.known, table.cycle, table.platform)
    query = sa.select(*keys, *(sa.func.coalesce(one, 0.0) for one in sums))
    # What corrections have emptied was not reported.
    where = table.campaign_id.in_(campaigns) & table.platform.in_(platforms) & (table.events > 0)
    slot = {name: index for index, name in enumerate(platforms)}
    found: dict[tuple[str, str], list[Increment]] = {}
    with store.read() as connection:
        for name, arm, known, cycle, platform, *values in connection.execute(query.where(where)):
            one = Increment(known, cycle, slot[platform], tuple(values[:5]), (values[5], values[6]))
            found.setdefault((name, arm), []).append(one)
    return found


def _with_user() -> sa.ColumnElement[bool]:
    """Events that count and tell their user."""
    table = tables.events.c
    return table.user.is_not(None) & table.replaced_by.is_(None)

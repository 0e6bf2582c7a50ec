"""Delivery outcomes as they are kept: increments, each counted once, and their sums.

Shapes: A arms, C cycles, P platforms, U users.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import asdict, dataclass
from datetime import datetime

import numpy as np
import sqlalchemy as sa
from numpy.typing import NDArray

from crossmix.ledger import tables
from crossmix.ledger.store import Store
from crossmix.ledger.tables import utc
from crossmix.metrics import ARMS, QUANTITIES

Array = NDArray[np.float64]
_WRITING = threading.Lock()


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


def insert(store: Store, events: Sequence[Event], now: datetime) -> list[Event]:
    """Keep the events in one transaction, on the disk when this returns; those that were not there yet.

    Of several events with one id the first counts. Raises `StoreAwayError`, and then nothing was kept.
    """
    first = {event.event_id: event for event in reversed(events)}
    statement = store.insert_new(tables.events).returning(tables.events.c.event_id)
    # In one order of ids, so that two requests with the same events cannot wait for each other.
    rows = [{**asdict(first[name]), "received": now} for name in sorted(first)]
    # SQLite has one writer: who waits here goes on at once, who waits there sleeps 100 ms at a time.
    with _WRITING if store.kind == "sqlite" else nullcontext(), store.write() as connection:
        new = connection.execute(statement, rows).scalars().all()
    return [first[name] for name in new]


def newest_received(store: Store) -> dict[tuple[str, str], datetime]:
    """When the newest event of each campaign and arm came in, UTC; raises `StoreAwayError`."""
    table = tables.events.c
    query = sa.select(table.campaign_id, table.arm, sa.func.max(table.received)).group_by(table.campaign_id, table.arm)
    with store.read() as connection:
        return {(campaign_id, arm): utc(received) for campaign_id, arm, received in connection.execute(query)}


def totals(store: Store, campaign_id: str, platforms: Sequence[str], arms: Sequence[str] = ARMS) -> Totals:
    """Sums by arm, cycle of the impressions and platform, up to the newest cycle with an event.

    Raises `StoreAwayError`.
    """
    table = tables.events.c
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
    query = sa.select(table.arm, table.user, *sums).where(table.user.is_not(None)).group_by(table.arm, table.user)
    if campaign_id is not None:
        query = query.where(table.campaign_id == campaign_id)
    with store.read() as connection:
        rows = connection.execute(query.order_by(table.arm, table.user)).all()
    values = {name: np.array([getattr(row, name) for row in rows], float) for name in QUANTITIES}
    return UserTotals([row.arm for row in rows], [row.user for row in rows], values)


def increments(store: Store, campaign_id: str, arm: str, platforms: Sequence[str]) -> list[Increment]:
    """Outcomes of a campaign's arm by cycle known, cycle and platform (`slot`: its index); raises `StoreAwayError`."""
    table = tables.events.c
    keys = (table.known, table.cycle, table.platform)
    won = sa.case((table.requests.is_not(None), table.impressions), else_=0.0)
    sums = [table.requests, won, table.impressions, table.clicks, table.spend, table.conversions, table.revenue]
    where = (table.campaign_id == campaign_id) & (table.arm == arm) & table.platform.in_(platforms)
    query = sa.select(*keys, *(sa.func.coalesce(sa.func.sum(column), 0.0) for column in sums))
    with store.read() as connection:
        rows = connection.execute(query.where(where).group_by(*keys)).all()
    slot = {name: index for index, name in enumerate(platforms)}
    return [
        Increment(known, cycle, slot[platform], tuple(values[:5]), (values[5], values[6]))
        for known, cycle, platform, *values in rows
    ]

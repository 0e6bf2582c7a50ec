"""The table `totals` as arrays, kept between looks: only what has changed since is read again.

A page, a verdict and the guardrails look at every campaign again and again, and most of them have nothing new.
`feedback_state` numbers each arm's changes, so that a look reads those numbers and the rows of what has another one.

Shapes: I rows, Q quantities.
"""

from __future__ import annotations

import threading
import weakref
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, fields
from typing import Any

import numpy as np
import sqlalchemy as sa
from numpy.typing import NDArray

from crossmix.ledger import tables
from crossmix.ledger.store import Store
from crossmix.metrics import EVERY_ARM, QUANTITIES

NAMES = 500
"""Campaigns in one statement; above as many statements as this, everything is read."""
AT_ONCE = 20_000
"""Rows."""
Index = NDArray[np.int64]


@dataclass(frozen=True, slots=True, eq=False)
class Rows:
    """Rows of `totals` with an event that counts."""

    campaign_I: Index
    """Index into `Kept.campaigns`."""
    arm_I: Index
    """Index into `EVERY_ARM`."""
    cycle_I: Index
    platform_I: Index
    """Index into `Kept.platforms`."""
    known_I: Index
    value_IQ: NDArray[np.float64]


@dataclass(slots=True, eq=False)
class Kept:
    """What is known of one database."""

    database: str = ""
    """Its identity."""
    campaigns: dict[str, int] = field(default_factory=dict)
    platforms: dict[str, int] = field(default_factory=dict)
    numbers: dict[tuple[str, str], int] = field(default_factory=dict)
    rows: Rows | None = None
    lock: threading.Lock = field(default_factory=threading.Lock)


_kept: weakref.WeakKeyDictionary[Store, Kept] = weakref.WeakKeyDictionary()
_first = threading.Lock()


def read(store: Store) -> tuple[dict[str, int], dict[str, int], Rows, int]:
    """Index of each campaign and platform, the rows, and a number that grows with every change.

    Raises:
        StoreAwayError: the database is away.
    """
    with _first:
        kept = _kept.setdefault(store, Kept())
    with kept.lock:
        state = tables.feedback_state.c
        with store.read() as connection:
            # The numbers first: what comes between the two statements is read again next time.
            states = connection.execute(sa.select(state.campaign_id, state.arm, state.number)).all()
            database = str(connection.execute(sa.select(tables.identity.c.id)).scalar())
            if database != kept.database:
                # Another database stands where it was.
                kept.database, kept.rows, kept.numbers = database, None, {}
            numbers = {(campaign, arm): number for campaign, arm, number in states}
            changed = sorted({campaign for (campaign, _), _ in numbers.items() ^ kept.numbers.items()})
            if kept.rows is None or changed:
                everything = kept.rows is None or len(changed) > NAMES * 4
                new = [_arrays(kept, some) for some in _select(connection, None if everything else changed)]
                old = [] if kept.rows is None or everything else [_without(kept, kept.rows, changed)]
                kept.rows = _ordered(kept, _joined([*old, *new]))
                kept.numbers = numbers
        return dict(kept.campaigns), dict(kept.platforms), kept.rows, sum(numbers.values())


def _select(connection: sa.Connection, campaigns: Sequence[str] | None) -> Iterator[Sequence[Any]]:
    """The rows, `AT_ONCE` at a time: of a million objects at once the collector of garbage makes seconds."""
    totals = tables.totals.c
    keys = (totals.campaign_id, totals.arm, totals.cycle, totals.platform, totals.known)
    query = sa.select(*keys, *(totals[name] for name in QUANTITIES)).where(
        totals.arm.in_(EVERY_ARM) & (totals.events > 0)
    )
    if campaigns is None:
        queries = [query]
    else:
        parts = (campaigns[start : start + NAMES] for start in range(0, len(campaigns), NAMES))
        queries = [query.where(totals.campaign_id.in_(names)) for names in parts]
    for one in queries:
        yield from connection.execute(one).partitions(AT_ONCE)


def _arrays(kept: Kept, rows: Sequence[Any]) -> Rows:
    """Rows as the database gave them, one or more."""
    size = len(rows)
    campaign, arm, cycle, platform, known, *values = zip(*rows, strict=True)
    arms = {name: index for index, name in enumerate(EVERY_ARM)}
    return Rows(
        np.fromiter((kept.campaigns.setdefault(name, len(kept.campaigns)) for name in campaign), np.int64, size),
        np.fromiter((arms[name] for name in arm), np.int64, size),
        np.fromiter(cycle, np.int64, size),
        np.fromiter((kept.platforms.setdefault(name, len(kept.platforms)) for name in platform), np.int64, size),
        np.fromiter(known, np.int64, size),
        np.array(values, float).T.reshape(size, len(QUANTITIES)),
    )


def _without(kept: Kept, rows: Rows, campaigns: Sequence[str]) -> Rows:
    out = np.zeros(len(kept.campaigns), np.bool_)
    out[[kept.campaigns[name] for name in campaigns if name in kept.campaigns]] = True
    keep_I = ~out[rows.campaign_I]
    return Rows(*(getattr(rows, one.name)[keep_I] for one in fields(Rows)))


def _joined(parts: Sequence[Rows]) -> Rows:
    if not parts:
        nothing = np.zeros(0, np.int64)
        return Rows(nothing, nothing, nothing, nothing, nothing, np.zeros((0, len(QUANTITIES))))
    return Rows(*(np.concatenate([getattr(part, one.name) for part in parts]) for one in fields(Rows)))


def _ordered(kept: Kept, rows: Rows) -> Rows:
    """In order of name, arm, cycle, platform, and when it was known: sums do not depend on what was read when."""
    if not len(rows.arm_I):
        return rows
    campaign_C, platform_C = (_ranks(names) for names in (kept.campaigns, kept.platforms))
    parts = (campaign_C[rows.campaign_I], rows.arm_I, rows.cycle_I, platform_C[rows.platform_I], rows.known_I)
    key_I = np.zeros(len(rows.arm_I), np.int64)
    for part in parts:
        part = part - part.min()
        key_I = key_I * (int(part.max()) + 1) + part
    order = np.argsort(key_I, kind="stable")
    return Rows(*(getattr(rows, one.name)[order] for one in fields(Rows)))


def _ranks(names: dict[str, int]) -> Index:
    """Of each index, where its name comes in order."""
    rank = np.zeros(len(names), np.int64)
    rank[[names[name] for name in sorted(names)]] = np.arange(len(names))
    return rank

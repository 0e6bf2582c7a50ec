"""Runs that alerts asked for: claimed, started, watched under a lease, closed. One is open at a time.

A re-adaptation refits and judges the market of all campaigns with what is known of it by then, so alerts of several
campaigns ask for one run together. Runs of before are of the campaign that their alert was of.

A run is claimed in the transaction that accepts its alert (`crossmix.ledger.alerts`). Leases and heartbeats are of the
wall's time: they say how long a process may be silent before another takes over.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa

from crossmix.ledger import tables
from crossmix.ledger.store import Store
from crossmix.ledger.tables import utc

CLAIMED, STARTED, SUCCEEDED, FAILED = "claimed", "started", "succeeded", "failed"
LONGEST_DETAIL = 1_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """A row."""

    run_id: str
    campaign_id: str
    """`*`, every campaign; of before, its alert's."""
    alert_id: str
    spec: Mapping[str, Any]
    """What the launcher is given; plain data."""
    state: str
    """`CLAIMED`, `STARTED`, `SUCCEEDED` or `FAILED`."""
    claimed: datetime
    """Market time, UTC."""
    closed: datetime | None
    """Market time, UTC; `None`: open."""
    opened: datetime
    """Wall time, UTC."""
    started: datetime | None
    """Wall time, UTC; `None`: not yet."""
    started_id: str | None
    """The launcher's name of it."""
    attempts: int
    """Starts that were tried."""
    holder: str | None
    """Process that starts and watches it."""
    lease: datetime | None
    """Wall time, UTC, until when nobody else takes it."""
    heartbeat: datetime | None
    """Wall time, UTC, when its holder last found it alive."""
    detail: str | None
    """Why it waits or ended."""

    def as_dict(self) -> dict[str, Any]:
        """Plain data."""
        plain = {item.name: getattr(self, item.name) for item in fields(self)}
        return {name: value.isoformat() if isinstance(value, datetime) else value for name, value in plain.items()}


def take(store: Store, holder: str, now: datetime, lease: timedelta) -> list[Run]:
    """The open runs that are the holder's or nobody's by now, from now on the holder's; the oldest first.

    Args:
        holder: a name of the process that no other has at the same time.
        now: wall time, UTC.
        lease: how long they are its own without another call.

    Raises `StoreAwayError`.
    """
    runs = tables.runs
    free = runs.c.closed.is_(None) & ((runs.c.holder == holder) | runs.c.lease.is_(None) | (runs.c.lease <= now))
    with store.read() as connection:
        if connection.execute(sa.select(runs.c.run_id).where(free).limit(1)).first() is None:
            return []
    with store.write() as connection:
        taken = runs.update().where(free).values(holder=holder, lease=now + lease).returning(runs)
        rows = connection.execute(taken).mappings().all()
    return sorted((_run(row) for row in rows), key=lambda run: (run.opened, run.run_id))


def starting(store: Store, run: Run) -> None:
    """A start is about to be tried; raises `StoreAwayError`."""
    _update(store, run, attempts=tables.runs.c.attempts + 1)


def started(store: Store, run: Run, started_id: str, now: datetime) -> None:
    """Its launcher has it, under a name of its own; `now`: wall time, UTC. Raises `StoreAwayError`."""
    _update(store, run, state=STARTED, started=now, started_id=started_id[:200], heartbeat=now, detail=None)


def beat(store: Store, run: Run, now: datetime) -> None:
    """Its holder found it alive at `now`, wall time, UTC; raises `StoreAwayError`."""
    _update(store, run, heartbeat=now, detail=None)


def later(store: Store, run: Run, due: datetime, detail: str) -> None:
    """Nobody takes it before `due`, wall time, UTC; raises `StoreAwayError`."""
    _update(store, run, holder=None, lease=due, detail=detail[:LONGEST_DETAIL])


def close(store: Store, run: Run, state: str, detail: str | None = None) -> None:
    """It is over, `SUCCEEDED` or `FAILED`: another may be opened. Raises `StoreAwayError`."""
    cut = None if detail is None else detail[:LONGEST_DETAIL]
    _update(store, run, state=state, closed=store.clock(), holder=None, lease=None, detail=cut)


def newest(store: Store, limit: int = 100) -> list[Run]:
    """The newest first; raises `StoreAwayError`."""
    table = tables.runs
    query = sa.select(table).order_by(table.c.claimed.desc(), table.c.run_id).limit(limit)
    with store.read() as connection:
        return [_run(row) for row in connection.execute(query).mappings()]


def open_counts(store: Store) -> dict[str, int]:
    """How many are claimed and how many started, of those that are open; raises `StoreAwayError`."""
    table = tables.runs.c
    query = sa.select(table.state, sa.func.count()).where(table.closed.is_(None)).group_by(table.state)
    with store.read() as connection:
        found = {state: int(count) for state, count in connection.execute(query)}
    return {state: found.get(state, 0) for state in (CLAIMED, STARTED)}


def _update(store: Store, run: Run, **values: Any) -> None:
    table = tables.runs
    with store.write() as connection:
        connection.execute(table.update().where(table.c.run_id == run.run_id, table.c.closed.is_(None)).values(values))


def _run(row: Mapping[Any, Any]) -> Run:
    values: dict[str, Any] = {item.name: row[item.name] for item in fields(Run)}
    return Run(**values | {name: utc(one) for name, one in values.items() if isinstance(one, datetime)})

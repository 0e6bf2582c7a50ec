"""Alerts on their way to targets: a row per alert and target waits until the target acknowledges it.

Times are the wall's: when the next try is due. Who tries takes the row for a while, so that of several processes one
sends it, and after a kill another does.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa

from crossmix.ledger import tables
from crossmix.ledger.alerts import RAISED
from crossmix.ledger.store import Store
from crossmix.ledger.tables import utc

LONGEST_TROUBLE = 1_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Letter:
    """An alert for a target."""

    alert_id: str
    target: str
    campaign_id: str
    created: datetime
    """Wall time, UTC."""
    due: datetime
    """Wall time, UTC, of the next try."""
    attempts: int
    parked: datetime | None
    """Wall time, UTC, since when nothing is tried."""
    status: int | None
    """HTTP, of the last try; `None`: no answer."""
    trouble: str | None
    """Of the last try."""
    event: Mapping[str, Any]
    """The CloudEvent, plain data."""

    def as_dict(self) -> dict[str, Any]:
        """Plain data, without the event."""
        return {
            "alert_id": self.alert_id,
            "target": self.target,
            "campaign_id": self.campaign_id,
            "created": self.created.isoformat(),
            "due": self.due.isoformat(),
            "attempts": self.attempts,
            "parked": None if self.parked is None else self.parked.isoformat(),
            "status": self.status,
            "trouble": self.trouble,
        }


def take(store: Store, target: str, now: datetime, lease: timedelta) -> Letter | None:
    """The target's letter that is due for longest, which nobody else takes for `lease`; `None`: none is due.

    Args:
        now: wall time, UTC.

    Raises `StoreAwayError`.
    """
    table = tables.outbox
    due = (table.c.target == target) & table.c.delivered.is_(None) & table.c.parked.is_(None) & (table.c.due <= now)
    first = sa.select(table.c.alert_id).where(due).order_by(table.c.due, table.c.alert_id).limit(1)
    with store.read() as connection:
        alert_id = connection.execute(first).scalar()
    if alert_id is None:
        return None
    taken = table.update().where(due, table.c.alert_id == alert_id).values(due=now + lease)
    with store.write() as connection:
        if connection.execute(taken).rowcount != 1:
            return None  # another process was quicker; the next round sees what is left
        return _letter(connection.execute(_query().where(_is(alert_id, target))).mappings().one())


def delivered(store: Store, letter: Letter, now: datetime, status: int) -> None:
    """The target acknowledged it; `now`: wall time, UTC. Raises `StoreAwayError`."""
    _tried(store, letter, delivered=now, status=status, trouble=None)


def again(store: Store, letter: Letter, due: datetime, status: int | None, trouble: str) -> None:
    """It is tried again at `due`, wall time, UTC; raises `StoreAwayError`."""
    _tried(store, letter, due=due, status=status, trouble=trouble[:LONGEST_TROUBLE])


def park(store: Store, letter: Letter, now: datetime, status: int | None, trouble: str) -> None:
    """It is tried no more until somebody calls `release`; raises `StoreAwayError`."""
    _tried(store, letter, parked=now, status=status, trouble=trouble[:LONGEST_TROUBLE])


def release(store: Store, now: datetime, target: str | None = None) -> int:
    """Parked letters of one target or of all are due at `now`, wall time, UTC; how many. Raises `StoreAwayError`."""
    table = tables.outbox
    update = table.update().where(table.c.parked.is_not(None)).values(parked=None, due=now, attempts=0)
    with store.write() as connection:
        return int(connection.execute(update if target is None else update.where(table.c.target == target)).rowcount)


def prune(store: Store, before: datetime) -> int:
    """Forget what was acknowledged before a wall time, UTC, of whatever target; how many. Raises `StoreAwayError`.

    The alert itself stays in the ledger, so that what is told again is no news.
    """
    table = tables.outbox
    with store.write() as connection:
        return int(connection.execute(table.delete().where(table.c.delivered < before)).rowcount)


def undelivered(store: Store, limit: int = 1_000) -> list[Letter]:
    """What is parked or waits, the oldest first; raises `StoreAwayError`."""
    table = tables.outbox.c
    query = _query().where(table.delivered.is_(None)).order_by(table.created, table.alert_id, table.target)
    with store.read() as connection:
        return [_letter(row) for row in connection.execute(query.limit(limit)).mappings()]


def counts(store: Store, targets: Collection[str] = ()) -> dict[tuple[str, str], int]:
    """How many letters of each target are `waiting` and `parked`; `targets` may have none. Raises `StoreAwayError`."""
    table = tables.outbox.c
    state = sa.case((table.parked.is_not(None), "parked"), else_="waiting")
    query = sa.select(table.target, state, sa.func.count()).where(table.delivered.is_(None))
    with store.read() as connection:
        rows = connection.execute(query.group_by(table.target, state)).all()
    none = {(target, state): 0 for target in targets for state in ("waiting", "parked")}
    return none | {(target, name): int(count) for target, name, count in rows}


def _tried(store: Store, letter: Letter, **values: Any) -> None:
    table = tables.outbox
    with store.write() as connection:
        one = table.update().where(_is(letter.alert_id, letter.target), table.c.delivered.is_(None))
        connection.execute(one.values(attempts=letter.attempts + 1, **values))


def _is(alert_id: str, target: str) -> Any:
    table = tables.outbox.c
    return (table.alert_id == alert_id) & (table.target == target)


def _query() -> Any:
    outbox, alerts = tables.outbox, tables.alerts
    same = (alerts.c.alert_id == outbox.c.alert_id) & (alerts.c.side == RAISED)
    return sa.select(outbox, alerts.c.campaign_id, alerts.c.event).select_from(outbox.join(alerts, same))


def _letter(row: Mapping[Any, Any]) -> Letter:
    values: dict[str, Any] = {name: row[name] for name in Letter.__slots__}
    return Letter(**values | {name: utc(one) for name, one in values.items() if isinstance(one, datetime)})

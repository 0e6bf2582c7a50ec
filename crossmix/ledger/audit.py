"""Who changed what, when, from what to what: written in the transaction of the change, neither without the other."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from crossmix.ledger import tables
from crossmix.ledger.store import Store
from crossmix.ledger.tables import utc

LONGEST_ACTOR, LONGEST_REASON = 200, 1_000
"""Characters that are kept."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One change."""

    id: int
    at: datetime
    """UTC."""
    actor: str
    action: str
    """As campaign.edit, override.set, bundle.promote."""
    subject: str
    """The campaign, version or experiment."""
    before: Any
    """Plain data; `None`: there was nothing."""
    after: Any
    """Plain data; `None`: there is nothing any more."""
    reason: str

    def as_dict(self) -> dict[str, Any]:
        return {**asdict(self), "at": self.at.isoformat()}


def record(
    connection: sa.Connection, at: datetime, actor: str, action: str, subject: str, before: Any, after: Any, reason: str
) -> None:
    """Note a change of the moment `at` within the caller's transaction. `before`, `after`: plain data, or `None`."""
    record_all(connection, at, actor, action, [(subject, before, after)], reason)


def record_all(
    connection: sa.Connection,
    at: datetime,
    actor: str,
    action: str,
    changes: Sequence[tuple[str, Any, Any]],
    reason: str,
) -> None:
    """Note changes of one kind and moment within the caller's transaction: subject, before and after of each."""
    entries = [
        {
            "at": at,
            "actor": actor[:LONGEST_ACTOR],
            "action": action,
            "subject": subject[:200],
            "before": before,
            "after": after,
            "reason": reason[:LONGEST_REASON],
        }
        for subject, before, after in changes
    ]
    connection.execute(tables.audit.insert(), entries)


def note(store: Store, actor: str, action: str, subject: str, before: Any, after: Any, reason: str = "") -> None:
    """Note what changed outside the database; raises `StoreAwayError`."""
    with store.write() as connection:
        record(connection, store.clock(), actor, action, subject, before, after, reason)


def note_once(store: Store, actor: str, action: str, subject: str, before: Any, after: Any, reason: str = "") -> None:
    """`note`, but where the action's newest entry has this subject: several replicas see one change."""
    newest = sa.select(tables.audit.c.subject).where(tables.audit.c.action == action)
    with store.write() as connection:
        if connection.execute(newest.order_by(tables.audit.c.id.desc()).limit(1)).scalar() != subject:
            record(connection, store.clock(), actor, action, subject, before, after, reason)


def trail(
    store: Store, subject: str | None = None, limit: int = 100, *, actions: Collection[str] | None = None
) -> list[Entry]:
    """The newest changes first, of one subject or of all, of some actions or of any; raises `StoreAwayError`."""
    query = sa.select(tables.audit).order_by(tables.audit.c.id.desc()).limit(limit)
    if subject is not None:
        query = query.where(tables.audit.c.subject == subject)
    if actions is not None:
        query = query.where(tables.audit.c.action.in_(list(actions)))
    with store.read() as connection:
        rows = connection.execute(query).mappings().all()
    return [Entry(**{**row, "at": utc(row["at"])}) for row in rows]

"""Who changed what, when, from what to what: written in the transaction of the change, neither without the other."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sa

from crossmix.ledger import store as tables
from crossmix.ledger.store import Store


@dataclass(frozen=True, slots=True)
class Entry:
    """One change."""

    id: int
    at: datetime
    """UTC."""
    who: str
    action: str
    """As campaign.edit, override.set, bundle.promote."""
    subject: str
    """The campaign, version or experiment."""
    before: Any
    """Plain data; `None`: there was nothing."""
    after: Any
    """Plain data; `None`: there is nothing any more."""
    why: str

    def as_dict(self) -> dict[str, Any]:
        return {**asdict(self), "at": self.at.isoformat()}


def record(
    connection: sa.Connection, who: str, action: str, subject: str, before: Any, after: Any, why: str = ""
) -> None:
    """Note a change within the caller's transaction. `before`, `after`: plain data, or `None`."""
    connection.execute(
        tables.audit.insert(),
        {
            "at": datetime.now(UTC),
            "who": who[:200],
            "action": action,
            "subject": subject[:200],
            "before": before,
            "after": after,
            "why": why[:1_000],
        },
    )


def trail(store: Store, subject: str | None = None, limit: int = 100) -> list[Entry]:
    """The newest changes first, of one subject or of all; raises `StoreAwayError`."""
    query = sa.select(tables.audit).order_by(tables.audit.c.id.desc()).limit(limit)
    if subject is not None:
        query = query.where(tables.audit.c.subject == subject)
    with store.read() as connection:
        rows = connection.execute(query).mappings().all()
    return [Entry(**{**row, "at": utc(row["at"])}) for row in rows]


def utc(moment: datetime) -> datetime:
    """A moment as the database gave it, in UTC: SQLite drops the zone."""
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)

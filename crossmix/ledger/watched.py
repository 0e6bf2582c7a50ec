"""How far a monitor has followed the feedback, and what it believes: a look reads the newest cycles alone."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa

from crossmix.ledger import tables
from crossmix.ledger.store import Store
from crossmix.ledger.tables import utc


@dataclass(frozen=True, slots=True)
class Watched:
    """What was kept after the last cycle that was taken in."""

    name: str
    """What is followed."""
    bundle: str
    """Digest of what it is held against."""
    through: datetime
    """End of that cycle, UTC."""
    state: bytes


def load(store: Store, name: str) -> Watched | None:
    """What was kept under a name; raises `StoreAwayError`."""
    table = tables.watched.c
    with store.read() as connection:
        row = connection.execute(sa.select(tables.watched).where(table.name == name)).one_or_none()
    return None if row is None else Watched(row.name, row.bundle, utc(row.through), bytes(row.state))


def keep(store: Store, watched: Watched) -> None:
    """Keep it in place of what was; raises `StoreAwayError`."""
    row = {"name": watched.name, "bundle": watched.bundle, "through": watched.through, "state": watched.state}
    with store.write() as connection:
        connection.execute(store.insert_new(tables.watched, renewed=("bundle", "through", "state")), row)

"""How far a monitor has followed the feedback, and what it believes: a look reads the newest cycles alone."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa

from crossmix.ledger import tables
from crossmix.ledger.store import Store
from crossmix.ledger.tables import utc

PART = "#"
"""Between the name of what is kept and that of a part of it."""


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
    return load_some(store, [name]).get(name)


def load_some(store: Store, names: Collection[str]) -> dict[str, Watched]:
    """What was kept under these names, where anything was; raises `StoreAwayError`."""
    query = sa.select(tables.watched).where(tables.watched.c.name.in_(names))
    with store.read() as connection:
        rows = connection.execute(query).all()
    return {row.name: Watched(row.name, row.bundle, utc(row.through), bytes(row.state)) for row in rows}


def keep(store: Store, watched: Watched, parts: Sequence[Watched] = (), stay: Collection[str] = ()) -> None:
    """Keep it in place of what was, in one transaction with its parts; raises `StoreAwayError`.

    Args:
        parts: what lies beside it, under names that begin with its own and `PART`.
        stay: names of parts that are kept already and stay; all others of it are thrown away.
    """
    table = tables.watched
    rows = [
        {"name": one.name, "bundle": one.bundle, "through": one.through, "state": one.state}
        for one in (watched, *parts)
    ]
    names = [*stay, *(one.name for one in parts)]
    with store.write() as connection:
        old = table.c.name.startswith(watched.name + PART, autoescape=True) & table.c.name.not_in(names)
        connection.execute(table.delete().where(old))
        connection.execute(store.insert_new(table, renewed=("bundle", "through", "state")), rows)

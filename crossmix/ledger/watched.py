"""How far a monitor has followed the feedback, and what it believes: a look reads the newest cycles alone."""

from __future__ import annotations

from collections.abc import Collection, Iterable
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


def keep(store: Store, name: str, rows: Iterable[Watched], stay: Collection[str] = ()) -> None:
    """Keep rows in place of what was under a name and of its parts, in one transaction; raises `StoreAwayError`.

    Args:
        rows: of this name, and what lies beside it, under names that begin with it and `PART`. Each is asked for as it
            is written, and forgotten then: together they may be many megabytes.
        stay: names of parts that are kept already and stay; all others of it are thrown away.
    """
    table = tables.watched
    insert = store.insert_new(table, renewed=("bundle", "through", "state"))
    with store.write() as connection:
        old = table.c.name.startswith(name + PART, autoescape=True) & table.c.name.not_in(list(stay))
        connection.execute(table.delete().where(old))
        for one in rows:
            values = {"name": one.name, "bundle": one.bundle, "through": one.through, "state": one.state}
            connection.execute(insert, values)

"""How far each campaign's arm has got on its way from feedback to the feature store."""

from __future__ import annotations

import sqlalchemy as sa

from crossmix.ledger import tables
from crossmix.ledger.store import Store


def newest(store: Store, campaign_id: str, arm: str) -> int:
    """Newest cycle whose statistics were pushed; -1: none. Raises `StoreAwayError`."""
    table = tables.pushed.c
    query = sa.select(table.cycle).where((table.campaign_id == campaign_id) & (table.arm == arm))
    with store.read() as connection:
        cycle = connection.execute(query).scalar_one_or_none()
    return -1 if cycle is None else int(cycle)


def all_newest(store: Store) -> list[tuple[str, str, int]]:
    """Campaign, arm and `newest` of all that have pushed any; raises `StoreAwayError`."""
    table = tables.pushed.c
    with store.read() as connection:
        rows = connection.execute(sa.select(table.campaign_id, table.arm, table.cycle)).all()
    return [(campaign_id, arm, cycle) for campaign_id, arm, cycle in rows]


def note(store: Store, campaign_id: str, arm: str, cycle: int) -> None:
    """The statistics up to a cycle were pushed; an older cycle changes nothing. Raises `StoreAwayError`."""
    table = tables.pushed
    older = (table.c.campaign_id == campaign_id) & (table.c.arm == arm) & (table.c.cycle < cycle)
    with store.write() as connection:
        connection.execute(store.insert_new(table), {"campaign_id": campaign_id, "arm": arm, "cycle": cycle})
        connection.execute(table.update().where(older).values(cycle=cycle))

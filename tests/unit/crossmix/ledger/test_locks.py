"""Locks that all machines share, on PostgreSQL; on SQLite there is one machine."""

from __future__ import annotations

import pytest
import sqlalchemy as sa

from crossmix.ledger.locks import Lead, alone
from crossmix.ledger.store import Store, StoreAwayError

NAME = 7


def test_one_leads_until_it_frees_the_lock_or_loses_its_connection(empty: str) -> None:
    stores = Store(empty), Store(empty)
    first, second = Lead(NAME), Lead(NAME)
    assert [first.held(stores[0]), first.held(stores[0]), first.terms] == [True, True, 1]
    if stores[0].kind == "sqlite":
        assert second.held(stores[1])
        return
    assert (second.held(stores[1]), second.terms) == (False, 0)
    with stores[1].engine.connect() as connection:
        holder = "SELECT pid FROM pg_locks WHERE locktype = 'advisory' AND granted"
        (pid,) = connection.execute(sa.text(holder)).scalars()
        connection.execute(sa.text(f"SELECT pg_terminate_backend({pid}, 60000)"))
    assert (second.held(stores[1]), second.terms) == (True, 1)
    assert (first.held(stores[0]), first.terms) == (False, 1), "its connection is gone, and with it the lock"
    second.free()
    stores[1].close()
    assert (first.held(stores[0]), first.terms) == (True, 2)
    first.free()
    stores[0].close()


def test_a_block_is_alone(empty: str) -> None:
    one, other = Store(empty), Store(empty)
    with alone(one, NAME, 60):
        if one.kind == "sqlite":
            return
        with pytest.raises(StoreAwayError, match=r"its lock 7 was not free within 0\.1 s"), alone(other, NAME, 0.1):
            pass
        with alone(other, NAME + 1, 60):
            pass
    with alone(other, NAME, 60):
        pass
    for store in (one, other):
        store.close()

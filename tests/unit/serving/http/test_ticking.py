"""A tick over HTTP: what its round did, or within seconds that the database is away; never what a lock lasts."""

from __future__ import annotations

import asyncio
import sqlite3
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from fastapi import FastAPI

from crossmix.ledger.store import Store, StoreAwayError
from serving.http import errors, ticking
from serving.http.ticking import BusyTickError, Ticking


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    made = Store(f"sqlite:///{tmp_path / 'serving.db'}")
    yield made
    made.close()


@pytest.fixture
def lock(store: Store) -> Iterator[sqlite3.Connection]:
    """Another process's, free until it begins."""
    connection = sqlite3.connect(str(store.engine.url.database), isolation_level=None, check_same_thread=False)
    yield connection
    connection.close()


def test_a_database_that_takes_a_transaction_is_writable_and_stays_as_it_was(store: Store) -> None:
    before = store.revision()
    store.writable(0.05)
    with store.read() as connection:
        assert connection.exec_driver_sql("PRAGMA busy_timeout").scalar_one() == 10_000
    assert store.revision() == before


def test_one_that_is_locked_is_away_until_the_lock_is_free(store: Store, lock: sqlite3.Connection) -> None:
    lock.execute("BEGIN IMMEDIATE")
    with pytest.raises(StoreAwayError, match="database is locked"):
        store.writable(0.05)
    lock.execute("ROLLBACK")
    store.writable(0.05)


def test_a_round_is_not_begun_while_the_database_is_locked(store: Store, lock: sqlite3.Connection) -> None:
    async def ask() -> None:
        done: list[int] = []
        ticks = Ticking(lambda: {"now": done.append(1)}, lambda: store, seconds=0.05)
        lock.execute("BEGIN IMMEDIATE")
        with pytest.raises(StoreAwayError, match="database is locked"):
            await ticks.ask()
        assert done == []
        lock.execute("ROLLBACK")
        assert await ticks.ask() == {"now": None}
        assert done == [1]

    asyncio.run(ask())


def test_who_waits_for_a_round_that_the_lock_holds_up_is_sent_away(store: Store, lock: sqlite3.Connection) -> None:
    """The database is locked while the round is under way, as a slow backup does; the round goes on after it."""

    async def ask() -> None:
        let_go, done = threading.Event(), threading.Event()

        def tick() -> dict[str, Any]:
            lock.execute("BEGIN IMMEDIATE")
            assert let_go.wait(60)
            done.set()
            return {}

        with pytest.raises(StoreAwayError, match="database is locked"):
            await Ticking(tick, lambda: store, seconds=0.05).ask()
        assert not done.is_set()
        let_go.set()
        assert await asyncio.to_thread(done.wait, 60)

    asyncio.run(ask())


def test_a_long_round_is_waited_for_where_the_database_is_well(store: Store) -> None:
    async def ask() -> None:
        looks, let_go = 0, threading.Event()

        def looked() -> Store:
            nonlocal looks
            looks += 1
            if looks == 4:
                let_go.set()
            return store

        def tick() -> dict[str, Any]:
            return {"waited": let_go.wait(60)}

        assert await Ticking(tick, looked, seconds=0.02).ask() == {"waited": True}
        assert looks >= 4

    asyncio.run(ask())


def test_one_more_than_may_wait_is_refused(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ticking, "WAITING", 2)

    async def ask() -> None:
        let_go = threading.Event()
        ticks = Ticking(lambda: {"waited": let_go.wait(60)}, lambda: store, seconds=0.05)
        both = [asyncio.create_task(ticks.ask()) for _ in range(2)]
        await asyncio.sleep(0)
        with pytest.raises(BusyTickError, match="tick: 2 wait already; send it again in a second"):
            await ticks.ask()
        let_go.set()
        assert await asyncio.gather(*both) == [{"waited": True}] * 2

    asyncio.run(ask())


def test_it_is_answered_with_503_and_when_to_come_again(store: Store, lock: sqlite3.Connection) -> None:
    app, ticks = FastAPI(), Ticking(lambda: {"pushed": 0}, lambda: store, seconds=0.05)
    app.post("/serving/tick")(ticks.ask)
    errors.install(app)

    async def ask() -> httpx.Response:
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://localhost") as client:
            return await client.post("/serving/tick")

    lock.execute("BEGIN IMMEDIATE")
    answer = asyncio.run(ask())
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "1")
    file = store.engine.url.database
    assert answer.json() == {"error": f"database sqlite:///{file}: database is locked"}
    lock.execute("ROLLBACK")
    answer = asyncio.run(ask())
    assert (answer.status_code, answer.json()) == (200, {"pushed": 0})

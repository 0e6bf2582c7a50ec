"""Writers of one database: whose turn it is, and what a database that refuses them says."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from crossmix.ledger import audit, store
from crossmix.ledger.store import Store, StoreAwayError
from crossmix.ledger.turns import Turns


@pytest.fixture
def opened(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Store]:
    monkeypatch.setattr(store, "SQLITE_SECONDS", 0.05)
    made = Store(f"sqlite:///{tmp_path}/serving.db")
    yield made
    made.close()


@pytest.fixture
def other(opened: Store, tmp_path: Path) -> Iterator[sqlite3.Connection]:
    """Another process's connection."""
    connection = sqlite3.connect(tmp_path / "serving.db", isolation_level=None)
    yield connection
    connection.close()


def note_many(opened: Store) -> None:
    """A megabyte."""
    with opened.write() as connection:
        for number in range(1_000):
            audit.record(connection, opened.clock(), "ann", "x", str(number), None, None, "r" * 1_000)


def note(opened: Store) -> None:
    audit.note(opened, "ann", "bundle.serve", "version 1", None, 1)


def test_who_is_urgent_goes_before_all_that_wait() -> None:
    turns, order = Turns(), []
    holding, let_go = threading.Event(), threading.Event()

    def hold() -> None:
        with turns.turn(60):
            holding.set()
            let_go.wait(60)

    def take(name: str, urgent: bool) -> None:
        with turns.turn(60, urgent):
            order.append(name)

    first = threading.Thread(target=hold)
    first.start()
    assert holding.wait(60)
    waiting = [threading.Thread(target=take, args=(f"post {n}", False)) for n in range(5)]
    for thread in waiting:
        thread.start()
    switch = threading.Thread(target=take, args=("kill switch", True))
    switch.start()
    while not turns._urgent:
        assert switch.is_alive()
    let_go.set()
    for thread in (first, switch, *waiting):
        thread.join(60)
    assert order[0] == "kill switch"
    assert sorted(order[1:]) == [f"post {n}" for n in range(5)]


def test_a_turn_that_does_not_come_is_an_error_and_leaves_nothing_behind() -> None:
    turns = Turns()
    with turns.turn(1), pytest.raises(TimeoutError, match=r"its writers have waited 0\.01 s"), turns.turn(0.01, True):
        pass
    with turns.turn(0.01):
        pass


def test_a_refused_write_is_the_stores_trouble_until_one_succeeds(opened: Store, other: sqlite3.Connection) -> None:
    note(opened)
    assert (opened.trouble, opened.since) == (None, None)
    other.execute("BEGIN EXCLUSIVE")
    for _ in range(2):
        with pytest.raises(StoreAwayError, match="locked"):
            note(opened)
    assert opened.trouble is not None
    assert "locked" in opened.trouble
    assert opened.since is not None
    assert len(audit.trail(opened)) == 1, "it is read all the same"
    other.execute("ROLLBACK")
    note(opened)
    assert (opened.trouble, opened.since) == (None, None)


def test_an_error_of_the_caller_is_no_trouble_of_the_database(opened: Store) -> None:
    with pytest.raises(ValueError, match="mine"), opened.write():
        raise ValueError("mine")
    assert opened.trouble is None


def test_an_idle_server_learns_that_nobody_can_write(opened: Store, other: sqlite3.Connection) -> None:
    before = opened.revision()
    note(opened)
    other.execute("BEGIN EXCLUSIVE")
    opened.probe(idle=3_600)
    assert opened.trouble is None, "somebody has just written"
    opened.probe(idle=0)
    assert "locked" in str(opened.trouble)
    other.execute("ROLLBACK")
    opened.probe(idle=3_600)
    assert opened.trouble is None, "it looks again while there is trouble"
    assert opened.revision() == before


def test_a_full_disk_is_trouble_and_passes(opened: Store) -> None:
    with opened.read() as connection:
        # Of this one connection, which the pool gives out again: no page more than it has.
        pages = connection.exec_driver_sql("PRAGMA page_count").scalar_one()
        connection.exec_driver_sql(f"PRAGMA max_page_count={pages}")
    with pytest.raises(StoreAwayError, match="full"):
        note_many(opened)
    assert "full" in str(opened.trouble)
    assert audit.trail(opened) == []
    with opened.read() as connection:
        connection.exec_driver_sql("PRAGMA max_page_count=1000000")
    opened.probe(idle=3_600)
    assert opened.trouble is None

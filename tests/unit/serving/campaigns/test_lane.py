"""The kill switch's lane: holds at once, gets into the database once and in order, and outlives what goes wrong."""

from __future__ import annotations

import asyncio
import errno
import sqlite3
import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from crossmix.clock import MemoryClock
from crossmix.ledger import audit, switches
from crossmix.ledger import store as stores
from crossmix.ledger.campaigns import load_all
from crossmix.ledger.store import Store, StoreAwayError
from crossmix.ledger.switches import LIFT, PAUSE, SET, Switch
from serving.campaigns import journal, lane, service
from serving.campaigns.journal import Journal
from tests.support.serving_live import PLATFORMS, START, FakeLive, raw


@pytest.fixture
def clock() -> MemoryClock:
    return MemoryClock(START)


@pytest.fixture
def store(tmp_path: Path, clock: MemoryClock, monkeypatch: pytest.MonkeyPatch) -> Iterator[Store]:
    monkeypatch.setattr(stores, "SQLITE_SECONDS", 0.05)
    monkeypatch.setattr(lane, "RETRY_SECONDS", 0.02)
    monkeypatch.setattr(lane, "ANSWER_SECONDS", 0.1)
    made = Store(f"sqlite:///{tmp_path}/serving.db", clock)
    service.create(made, raw(), PLATFORMS, "ann")
    yield made
    made.close()


@pytest.fixture
def live(store: Store) -> Iterator[FakeLive]:
    made = FakeLive(store, START)
    yield made
    made.lane.stop()


@pytest.fixture
def locked(store: Store, tmp_path: Path) -> Iterator[sqlite3.Connection]:
    """Another process's connection, which holds the database."""
    connection = sqlite3.connect(tmp_path / "serving.db", isolation_level=None)
    connection.execute("BEGIN EXCLUSIVE")
    yield connection
    connection.close()


def switch(action: str, reason: str = "odd", *split: Any) -> Switch:
    return Switch(action, "spring", "bob", reason, START, *split)


def until(true: Callable[[], Any]) -> None:
    """Wait for something that another thread does."""
    last = time.monotonic() + 60
    while not true():
        assert time.monotonic() < last, "it did not come"
        time.sleep(0.005)


def trail(store: Store) -> list[tuple[str, str]]:
    """Changes of the switches, the oldest first."""
    return [(one.action, one.reason) for one in reversed(audit.trail(store)) if one.action != "campaign.create"]


def put(live: FakeLive, *asked: Switch) -> list[lane.Entry]:
    async def ask() -> list[lane.Entry]:
        return [await live.lane.ask(one) for one in asked]

    return asyncio.run(ask())


def test_it_is_in_the_database_when_it_is_acknowledged(live: FakeLive, store: Store) -> None:
    (entry,) = put(live, switch(SET, "odd", "static"))
    until(lambda: entry.note() is None)
    kept = load_all(store)["spring"]
    assert kept == live.campaigns["spring"]
    assert kept.override is not None
    assert (kept.override.kind, kept.override.actor, kept.override.at) == ("static", "bob", START)
    assert entry.revision == store.revision()
    live.reload()
    assert live.lane.names() == set()


def test_a_change_that_is_acknowledged_as_pending_is_told_before_the_first_try_has_failed(
    live: FakeLive, store: Store, locked: sqlite3.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stores, "SQLITE_SECONDS", 60.0)
    patient = Store(store.url)
    monkeypatch.setattr(live, "store", patient)
    (entry,) = put(live, switch(PAUSE))
    assert (entry.note(), live.lane.trouble) == (lane.PENDING, lane.WAITS)
    assert live.lane.since is not None
    locked.execute("ROLLBACK")
    until(lambda: entry.note() is None)
    until(lambda: (live.lane.trouble, live.lane.since) == (None, None))
    patient.close()


def test_while_the_database_is_locked_it_holds_here_and_is_written_once_in_order(
    live: FakeLive, store: Store, locked: sqlite3.Connection, clock: MemoryClock
) -> None:
    entries = put(live, switch(SET, "a", "static"), switch(LIFT, "b"), switch(SET, "c", "static"), switch(PAUSE, "d"))
    assert [entry.note() for entry in entries] == [lane.PENDING] * 4
    here = live.campaigns["spring"]
    assert (here.override and here.override.reason, here.paused) == ("c", True)
    assert load_all(store)["spring"].override is None
    live.reload()
    assert live.campaigns["spring"] == here, "reading the database anew does not undo it"
    until(lambda: "locked" in str(live.lane.trouble))  # at first it may only be that it has not answered yet
    clock.advance(timedelta(hours=3))
    locked.execute("ROLLBACK")
    until(lambda: entries[-1].note() is None)
    assert trail(store) == [(SET, "a"), (LIFT, "b"), (SET, "c"), (PAUSE, "d")]
    assert load_all(store)["spring"] == here
    moments = [one.at for one in audit.trail(store)][:4]
    assert moments == [START + timedelta(microseconds=n) for n in (3, 2, 1, 0)], "of the requests, not of the writing"
    until(lambda: live.lane.trouble is None)
    live.reload()
    assert live.lane.names() == set()


def test_it_outlives_a_restart(live: FakeLive, store: Store, locked: sqlite3.Connection) -> None:
    put(live, switch(SET, "a", "given", {"search": 1.0}), switch(LIFT, "b"), switch(SET, "c", "static"))
    live.lane.stop()
    again = FakeLive(store, START)
    override = again.campaigns["spring"].override
    assert override is not None
    assert (override.kind, override.reason) == ("static", "c")
    again.lane.prepare()
    locked.execute("ROLLBACK")
    until(lambda: again.lane._next() is None)
    assert load_all(store)["spring"].override == override
    assert trail(store) == [(SET, "a"), (LIFT, "b"), (SET, "c")]
    again.reload()
    again.lane.stop()
    third = FakeLive(store, START)
    assert third.lane.names() == set(), "what is in the database is not in the file any more"


def test_a_crash_between_database_and_file_writes_nothing_twice(live: FakeLive, store: Store) -> None:
    (entry,) = put(live, switch(SET, "a", "static"))
    until(lambda: entry.note() is None)
    live.lane.stop()
    again = FakeLive(store, START)  # the file has it still: nobody has read the database since
    assert again.lane.names() == {"spring"}
    again.lane.prepare()
    until(lambda: again.lane._next() is None)
    assert trail(store) == [(SET, "a")]
    again.lane.stop()


def test_a_full_disk_does_not_refuse_it(
    live: FakeLive, store: Store, locked: sqlite3.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    live.lane.prepare()
    size = live.lane._journal.file.stat().st_size
    assert size == journal.ROOM
    entries = put(live, switch(SET, "a", "static"), switch(PAUSE, "b"))
    assert live.lane._journal.file.stat().st_size == size, "its room was taken before"
    assert [entry.note() for entry in entries] == [lane.PENDING] * 2

    def full(*_: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(journal, "_write", full)
    (entry,) = put(live, switch(LIFT, "c"))
    assert entry.note() == lane.NOT_KEPT
    assert live.campaigns["spring"].override is None
    monkeypatch.undo()
    locked.execute("ROLLBACK")
    until(lambda: entry.note() is None)
    assert trail(store) == [(SET, "a"), (PAUSE, "b"), (LIFT, "c")]


def test_whatever_goes_wrong_in_the_database_it_is_tried_again(
    live: FakeLive, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    right, errors = switches.write, iter([ValueError("odd"), StoreAwayError("away")])

    def write(*args: Any) -> Any:
        error = next(errors, None)
        if error is not None:
            raise error
        return right(*args)

    monkeypatch.setattr(switches, "write", write)
    (entry,) = put(live, switch(PAUSE, "a"))
    until(lambda: entry.note() is None)
    assert trail(store) == [(PAUSE, "a")]


def test_a_journal_forgets_what_is_done_and_what_was_cut_short(tmp_path: Path) -> None:
    file = tmp_path / "journal"
    kept = Journal(file)
    kept.prepare()
    for number in ("1", "2", "3"):
        kept.add(number, {"n": number, "text": "é\n"})
    kept.done("2")
    assert Journal(file).rows == {number: {"n": number, "text": "é\n"} for number in ("1", "3")}
    content = file.read_bytes()
    cut = content.rstrip(b"\n")[:-10]
    file.write_bytes(cut.ljust(len(content), b"\n"))
    again = Journal(file)
    assert set(again.rows) == {"1", "2", "3"}, "the line that said 2 is done was cut short"
    again.add("4", {})
    assert set(Journal(file).rows) == {"1", "2", "3", "4"}
    for number in "1234":
        again.done(number)
    assert (Journal(file).rows, file.stat().st_size) == ({}, journal.ROOM)
    assert not file.read_bytes().strip()

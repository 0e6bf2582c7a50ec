"""The server's database: opened once, away and back, and changes of the champion that wait for it."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from crossmix.clock import wall
from crossmix.ledger import audit
from crossmix.ledger.store import Store, StoreAwayError
from serving.live.database import Database
from serving.live.promoted import Promoted


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    made = Database(f"sqlite:///{tmp_path / 'serving.db'}", wall)
    yield made
    made.close()


def test_it_is_opened_when_it_is_asked_for_and_once(database: Database, tmp_path: Path) -> None:
    assert not (tmp_path / "serving.db").exists()
    store = database.open()
    assert isinstance(store, Store)
    assert database.open() is store
    assert (database.lost, database.trouble) == (False, (None, None))


def test_that_it_is_away_is_told_since_it_was_and_logged_once(
    database: Database, caplog: pytest.LogCaptureFixture
) -> None:
    before = time.time()
    with caplog.at_level(logging.WARNING, "serving.live.database"):
        database.away(StoreAwayError("no route"))
        why, since = database.trouble
        assert (database.lost, why) == (True, "no route")
        assert since is not None
        assert before <= since <= time.time()
        # It is away for another reason, but since then.
        database.away(StoreAwayError("locked"))
        assert database.trouble == ("locked", since)
    assert [record.getMessage() for record in caplog.records] == ["no route"]
    database.back()
    assert (database.lost, database.trouble) == (False, (None, None))


def test_one_that_cannot_be_written_is_not_lost(database: Database) -> None:
    store = database.open()
    store.trouble, store.since = "its disk is full", 1_000.0
    assert (database.lost, database.trouble) == (False, ("it cannot be written: its disk is full", 1_000.0))
    # That it cannot be read is the greater trouble.
    database.away(StoreAwayError("no route"))
    assert database.trouble[0] == "no route"


def test_another_champion_is_noted_once_and_waits_for_the_database(database: Database) -> None:
    told = {"actor": "ann", "reason": "better"}
    champion: Any = SimpleNamespace(current=SimpleNamespace(version=1), promotion=lambda: told)
    one, replica = Promoted(champion), Promoted(champion)
    one.note(database.open)
    assert audit.trail(database.open()) == []

    def away() -> Store:
        raise StoreAwayError("no route")

    for version in (2, 3):
        champion.current = SimpleNamespace(version=version)
        one.note(away)
    one.note(database.open)
    replica.note(database.open)
    one.note(database.open)
    rows = [(row.subject, row.before, row.after, row.actor, row.reason) for row in audit.trail(database.open())]
    assert rows == [("version 3", 2, 3, "ann", "better"), ("version 2", 1, 2, "ann", "better")]

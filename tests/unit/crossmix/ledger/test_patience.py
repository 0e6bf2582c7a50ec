"""One bound over all that a request waits for in the database."""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path

import pytest

from crossmix.ledger import patience, store
from crossmix.ledger.store import Store
from crossmix.ledger.turns import Turns


class Watch:
    """A clock that is moved."""

    def __init__(self) -> None:
        self.now = 100.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def watch(monkeypatch: pytest.MonkeyPatch) -> Watch:
    made = Watch()
    monkeypatch.setattr(patience.time, "monotonic", made.monotonic)
    return made


@pytest.fixture
def opened(tmp_path: Path) -> Iterator[Store]:
    made = Store(f"sqlite:///{tmp_path}/serving.db")
    yield made
    made.close()


def limit(opened: Store, *, writes: bool) -> int:
    """Milliseconds that a statement of a transaction waits for the lock."""
    with (opened.write() if writes else opened.read()) as connection:
        return int(connection.exec_driver_sql("PRAGMA busy_timeout").scalar_one())


def test_what_is_left_is_told_of_the_earliest_moment_around(watch: Watch) -> None:
    assert patience.left(10.0) == 10.0
    assert patience.left(math.inf) == math.inf
    with patience.until(104.0):
        assert patience.left(10.0) == 4.0
        with patience.until(107.0):
            assert patience.left(10.0) == 4.0
        watch.now = 103.0
        assert (patience.left(10.0), patience.left(0.5)) == (1.0, 0.5)
        watch.now = 105.0
        assert patience.left(10.0) == 0.0
    assert patience.left(10.0) == 10.0


@pytest.mark.parametrize("writes", [False, True])
def test_statements_wait_for_what_is_left_and_the_connections_limit_comes_back(
    opened: Store, watch: Watch, writes: bool
) -> None:
    assert limit(opened, writes=writes) == 10_000
    with patience.until(103.0):
        assert limit(opened, writes=writes) == 3_000
        watch.now = 102.5
        assert limit(opened, writes=writes) == 500
        watch.now = 110.0
        assert limit(opened, writes=writes) == 0
    assert limit(opened, writes=writes) == 10_000


def test_what_the_turn_took_is_not_waited_for_again(
    opened: Store, watch: Watch, monkeypatch: pytest.MonkeyPatch
) -> None:
    turn, waited = Turns.turn, []

    def slow(turns: Turns, seconds: float, urgent: bool = False) -> object:
        waited.append(seconds)
        watch.now += 6.0
        return turn(turns, seconds, urgent)

    monkeypatch.setattr(Turns, "turn", slow)
    assert limit(opened, writes=True) == 4_000
    with patience.until(watch.now + 7.0):
        assert limit(opened, writes=True) == 1_000
    assert waited == [store.SQLITE_SECONDS, 7.0]
    assert limit(opened, writes=False) == 10_000, "of the connection, which the pool gives out again"


def test_a_transaction_that_fails_leaves_the_connection_as_it_was(opened: Store, watch: Watch) -> None:
    with pytest.raises(ValueError, match="mine"), patience.until(watch.now + 1.0), opened.write():
        raise ValueError("mine")
    assert limit(opened, writes=True) == 10_000

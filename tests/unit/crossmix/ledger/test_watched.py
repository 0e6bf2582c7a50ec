"""What monitors keep: the newest under each name, on both engines."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest
import sqlalchemy as sa

from crossmix.ledger.store import Store
from crossmix.ledger.watched import PART, Watched, keep, load, load_some

THROUGH = datetime(2026, 1, 9, 12, 30, tzinfo=UTC)


def test_what_is_kept_is_read_and_replaced(empty: str) -> None:
    store = Store(empty)
    assert load(store, "residuals@24h") is None
    first = Watched("residuals@24h", "a" * 64, THROUGH, b"\x00\xff state")
    keep(store, first.name, [first])
    hours = Watched("residuals@1h", "b" * 64, THROUGH, b"hours")
    keep(store, hours.name, [hours])
    assert load(store, "residuals@24h") == first
    later = Watched("residuals@24h", "c" * 64, THROUGH + timedelta(days=1), b"")
    keep(store, later.name, [later])
    assert load(store, "residuals@24h") == later
    assert load(store, "residuals@1h") == hours
    store.close()


def part(number: int, state: bytes) -> Watched:
    return Watched(f"a{PART}{number}", "a" * 64, THROUGH, state)


def test_each_row_is_asked_for_when_the_one_before_is_written_and_all_or_none_are_kept(empty: str) -> None:
    store = Store(empty)
    head = Watched("a", "a" * 64, THROUGH, b"head")
    keep(store, "a", [part(1, b"one"), part(2, b"two"), head])
    steps: list[str] = []
    sa.event.listen(store.engine, "before_cursor_execute", lambda *given: steps.append(given[2].split()[0]))

    def rows() -> Iterator[Watched]:
        for number in (3, 4):
            steps.append(f"row {number}")
            yield part(number, b"new")

    keep(store, "a", rows(), stay=[part(2, b"").name])
    assert steps == ["DELETE", "row 3", "INSERT", "row 4", "INSERT"]
    names = [part(number, b"").name for number in range(6)]
    assert set(load_some(store, ["a", *names])) == {"a", *names[2:5]}

    def broken() -> Iterator[Watched]:
        yield part(5, b"lost")
        raise RuntimeError("away")

    with pytest.raises(RuntimeError, match="away"):
        keep(store, "a", broken())
    assert set(load_some(store, ["a", *names])) == {"a", *names[2:5]}
    store.close()

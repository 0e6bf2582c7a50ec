"""Plans of many campaigns: as the campaigns themselves have them, by one statement, and nothing beside."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest
import sqlalchemy as sa

from crossmix.ledger import campaigns, plans
from crossmix.ledger.campaigns import BLOCK, Campaign, changing
from crossmix.ledger.store import Store

START = datetime(2026, 3, 27, 9, tzinfo=UTC)
DAY = timedelta(days=1)


@pytest.fixture
def store(empty: str) -> Iterator[Store]:
    opened = Store(empty, clock=lambda: START)
    zones = (None, "Europe/Berlin", "America/New_York")
    made = [
        Campaign(
            f"c{number:04}",
            "EUR",
            100.0 + number,
            {"search": 0.1 + 0.2, "social": 0.7 - number / 10_000},
            {"search": {"max": 0.5}},
            START + (number % 5) * DAY / 3,
            3 + number % 4,
            (24.0, 6.0)[number % 2],
            timezone=zones[number % 3],
        )
        for number in range(BLOCK + 50)
    ]
    with changing(opened, "tester", "") as table:
        table.add_all(made)
        table.set_override(made[0], "given", {"search": 1.0})
    yield opened
    opened.close()


def selected(store: Store) -> list[str]:
    asked: list[str] = []
    sa.event.listen(store.engine, "before_cursor_execute", lambda *given: asked.append(given[2]))
    return asked


def test_they_are_the_campaigns_own(store: Store) -> None:
    every = campaigns.load_all(store)
    found = plans.load(store)
    assert list(found) == sorted(every)
    for name, one in every.items():
        mine = found[name]
        assert (mine.calendar, mine.cycles, mine.cycle_budget) == (one.calendar, one.cycles, one.cycle_budget)
        assert mine.share == one.share
    now = START + 3 * DAY
    assert plans.finished(found, now) == {name: min(one.cycle(now), one.cycles) for name, one in every.items()}


def test_many_are_read_by_one_statement_and_a_few_by_their_names(store: Store) -> None:
    every, asked = [f"c{number:04}" for number in range(BLOCK + 40)], selected(store)
    assert list(plans.load(store, [*reversed(every), "none", "nul\x00"])) == every
    assert list(plans.load(store, ["c0003", "c0001", "none", "nul\x00"])) == ["c0001", "c0003"]
    assert plans.load(store, []) == {}
    whole, some, _ = asked
    assert "WHERE" not in whole
    assert "WHERE" in some
    for left_out in ("limits", "paused", "overrides"):
        assert not any(left_out in text for text in asked)


def test_campaigns_that_begin_together_share_a_calendar(store: Store) -> None:
    """So that what follows of it is worked out once."""
    found = plans.load(store)
    assert len({id(one.calendar) for one in found.values()}) == len({one.calendar for one in found.values()}) == 30

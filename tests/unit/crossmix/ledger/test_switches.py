"""Overrides and pauses as they get into the database: once, with their own moment, under what was decided later."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from crossmix.clock import MemoryClock
from crossmix.ledger import audit, switches
from crossmix.ledger.campaigns import Campaign, CampaignTable, changing, load_all
from crossmix.ledger.store import Store
from crossmix.ledger.switches import LIFT, PAUSE, RESUME, SET, Switch

START = datetime(2026, 1, 5, 9, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
SPRING = Campaign("spring", "EUR", 1_000.0, {"search": 1.0}, {}, START, 14, 24.0)


@pytest.fixture
def clock() -> MemoryClock:
    return MemoryClock(START)


@pytest.fixture
def store(empty: str, clock: MemoryClock) -> Iterator[Store]:
    opened = Store(empty, clock)
    with changing(opened, "ann", "") as table:
        table.add(SPRING)
    yield opened
    opened.close()


def switch(action: str, at: datetime = START, reason: str = "odd") -> Switch:
    return Switch(action, "spring", "bob", reason, at, "static" if action == SET else None)


def now(store: Store) -> Campaign:
    return load_all(store)["spring"]


def trail(store: Store) -> list[tuple[str, datetime, str]]:
    """The oldest first, but for the campaign's own."""
    return [(one.action, one.at, one.reason) for one in reversed(audit.trail(store))][1:]


def test_each_is_kept_as_it_is_served(store: Store) -> None:
    served = now(store)
    for number, action in enumerate((SET, PAUSE, LIFT, RESUME, SET)):
        one = switch(action, START + number * MINUTE)
        served = one.on(served)
        assert switches.write(store, one) == store.revision()
        assert now(store) == served
    assert [(action, at) for action, at, _ in trail(store)] == [
        (action, START + number * MINUTE) for number, action in enumerate((SET, PAUSE, LIFT, RESUME, SET))
    ]
    assert Switch.from_dict(one.as_dict()) == one


def test_a_repetition_changes_nothing(store: Store, clock: MemoryClock) -> None:
    one = switch(SET)
    switches.write(store, one)
    clock.advance(MINUTE)
    switches.write(store, one)
    assert trail(store) == [(SET, START, "odd")]
    switches.write(store, switch(SET, START + timedelta(microseconds=1)))
    assert len(trail(store)) == 2, "another one of a microsecond later is another one"


def set_(table: CampaignTable, one: Campaign) -> Any:
    return table.set_override(one, "static", None)


@pytest.mark.parametrize(
    ("waits", "since", "stands"),
    [
        (SET, CampaignTable.lift_override, lambda one: one.override is None),
        (LIFT, set_, lambda one: one.override.reason == "since"),
        (PAUSE, lambda table, one: table.set_paused(one, False), lambda one: not one.paused),
        (RESUME, lambda table, one: table.set_paused(one, True), lambda one: one.paused),
    ],
)
def test_what_another_server_decided_later_stands(
    store: Store,
    clock: MemoryClock,
    waits: str,
    since: Callable[[CampaignTable, Campaign], Any],
    stands: Callable[[Campaign], bool],
) -> None:
    switches.write(store, switch(SET))
    if waits == PAUSE:
        switches.write(store, switch(PAUSE))
    clock.advance(5 * MINUTE)
    with changing(store, "cy", "since") as table:
        since(table, table.all()["spring"])
    clock.advance(MINUTE)
    late = switch(waits, START + 4 * MINUTE, "late")
    switches.write(store, late)
    assert stands(now(store))
    assert trail(store)[-1] == (waits, late.at, "late"), "the trail has it all the same"


def test_what_is_of_another_kind_or_campaign_is_not_later(store: Store, clock: MemoryClock) -> None:
    with changing(store, "ann", "") as table:
        table.add(Campaign("autumn", "EUR", 1_000.0, {"search": 1.0}, {}, START, 14, 24.0))
    clock.advance(5 * MINUTE)
    with changing(store, "cy", "since") as table:
        table.set_paused(table.all()["spring"], True)
        table.set_override(table.all()["autumn"], "static", None)
    switches.write(store, switch(SET, START + MINUTE))
    assert (now(store).override is not None, now(store).paused) == (True, True)


def test_what_a_clock_that_ran_ahead_noted_is_not_later(store: Store, clock: MemoryClock) -> None:
    switches.write(store, switch(SET, START + timedelta(days=365), "ahead"))
    switches.write(store, switch(LIFT, START, "now"))
    assert now(store).override is None


def test_an_unknown_campaign_and_a_change_that_changes_nothing(store: Store) -> None:
    revision = store.revision()
    assert switches.write(store, Switch(PAUSE, "autumn", "bob", "", START)) is None
    assert switches.write(store, switch(RESUME)) == revision + 2
    assert trail(store) == []

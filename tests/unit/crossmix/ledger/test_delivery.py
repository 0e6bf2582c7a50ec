"""What was delivered and told, of many campaigns by a few queries, on both engines."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest

from crossmix.ledger import delivery, feedback, served
from crossmix.ledger.campaigns import Campaign, budget_edits, changing, pauses
from crossmix.ledger.feedback import Event
from crossmix.ledger.store import Store

START = datetime(2026, 1, 5, tzinfo=UTC)


@pytest.fixture
def store(empty: str) -> Iterator[Store]:
    opened = Store(empty, clock=lambda: START)
    yield opened
    opened.close()


def event(name: str, campaign: str, cycle: int, known: int, spend: float, **changes: object) -> Event:
    values = (campaign, "policy", "search", cycle, known, None, None, 10.0, 2.0, 3.0, 4.0, spend)
    return Event(name, *values, **changes)  # type: ignore[arg-type]


def split(name: str, cycle: int, at: timedelta, budget: float) -> dict[str, object]:
    row = {"allocation_id": name, "at": START + at, "campaign_id": "a", "arm": "policy", "cycle": cycle, "bundle": "b"}
    nothing = dict.fromkeys(("state", "logits", "log_density", "override"))
    return {**row, "budget": budget, "share": {"search": 0.25, "social": 0.75}, **nothing}


def test_each_campaigns_cells_lie_in_its_own_span(store: Store) -> None:
    events = [event(f"{name}{cycle}", name, cycle, cycle, 5.0) for name in ("a", "b") for cycle in range(6)]
    events.append(event("late", "a", 3, 5, 1.5, complete=True))
    feedback.insert(store, events, START)
    cells = delivery.cells(store, {"a": (2, 3), "b": (5, 9), "none": (0, 9)})
    assert {name: sorted(cycle for _, cycle, _ in one) for name, one in cells.items()} == {
        "a": [2, 3],
        "b": [5],
        "none": [],
    }
    cell = cells["a"]["policy", 3, "search"]
    assert cell.amounts == {"impressions": 20, "clicks": 4, "conversions": 6, "revenue": 8, "spend": 6.5}
    assert (cell.complete, cell.received) == (True, START)
    assert not cells["a"]["policy", 2, "search"].complete
    assert delivery.arrivals(store, {"a": (2, 3), "b": (0, 9)}) == {"a": {0: 6.0, 2: 3.0}, "b": {0: 18.0}}
    assert delivery.reported(store, ["a", "none"]) == {"a": set(range(6)), "none": set()}
    flight = delivery.flights(store, ["a", "none"])
    assert flight == {"a": delivery.Flight(31.5, 6, START)}


def test_what_corrections_have_emptied_was_not_reported(store: Store) -> None:
    feedback.insert(store, [event("wrong", "a", 1, 1, 5.0)], START)
    moved = event("right", "a", 2, 2, 5.0, replaces="wrong", reason="the day before")
    assert feedback.insert(store, [moved], START).new == [moved]
    assert list(delivery.cells(store, {"a": (0, 9)})["a"]) == [("policy", 2, "search")]
    assert delivery.reported(store, ["a"]) == {"a": {2}}
    assert delivery.flights(store, ["a"])["a"].cycles == 1


def test_of_several_splits_of_a_cycle_the_last_was_told(store: Store) -> None:
    rows = [split("x", 0, timedelta(hours=2), 200.0), split("y", 0, timedelta(hours=1), 100.0)]
    served.record(store, [], [*rows, split("z", 1, timedelta(hours=30), 300.0)])
    told = delivery.splits(store, {"a": (0, 0), "b": (0, 1)})
    assert list(told["a"]) == [("policy", 0)]
    assert told["b"] == {}
    one = told["a"]["policy", 0]
    assert (one.budget, one.amount("search"), one.amount("video")) == (200.0, 50.0, 0.0)
    again = [split("v", 1, timedelta(hours=26), 400.0), split("w", 1, timedelta(hours=31), 100.0)]
    served.record(store, [], [one | {"campaign_id": "a"} for one in again])
    late = delivery.splits(store, {"a": (1, 1)})["a"]["policy", 1]
    assert (late.budget, late.most["search"]) == (100.0, 100.0), "the most of the cycle, in whatever order"


def test_pauses_and_edits_are_those_of_the_campaigns_asked_for(store: Store) -> None:
    plans = [Campaign(name, "EUR", 10.0, {"search": 1.0}, {}, START, 9, 24.0) for name in ("a", "b")]
    with changing(store, "anna", "") as table:
        for one in plans:
            table.add(one)
            table.set_paused(one, True)
            table.edit(one, Campaign(one.campaign_id, "EUR", 20.0, {"search": 1.0}, {}, START, 9, 24.0))
    assert pauses(store, ["a"]) == {"a": [(START, True)]}
    assert budget_edits(store, ["b"]) == {"b": [(START, 10.0)]}
    assert set(budget_edits(store)) == {"a", "b"}
    assert pauses(store, []) == {}


def test_splits_are_counted_before_two_moments_at_once(store: Store) -> None:
    told = [split(f"s{n}", cycle, cycle * timedelta(days=1), 80.0) for n, cycle in enumerate((0, 2, 2, 4))]
    served.record(store, [], told)
    assert delivery.noted(store, {"a": 5, "b": 5}, {"a": 3}) == ({"a": 4}, {"a": 3})
    assert delivery.noted(store, {"a": 1}, {"a": 0}) == ({"a": 1}, {})
    assert delivery.noted(store, {"b": 5}, {"a": 9}) == ({}, {"a": 4})
    assert delivery.noted(store, {}, {}) == ({}, {})

"""Events and their sums: kept together, corrected together, on both engines."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
import sqlalchemy as sa

from crossmix.ledger import delivery, feedback, tables
from crossmix.ledger.feedback import Event, FeedbackState
from crossmix.ledger.store import Store

NOW = datetime(2026, 1, 6, 9, tzinfo=UTC)
ONE = Event("e1", "spring", "policy", "search", 0, 1, None, 50.0, 20.0, 4.0, 1.0, 30.0, 12.5)
PLATFORMS = ("search", "social")


@pytest.fixture
def store(empty: str) -> Iterator[Store]:
    opened = Store(empty)
    yield opened
    opened.close()


def _anew(store: Store) -> list[tuple[object, ...]]:
    """The sums as adding up every event that counts gives them."""
    table = tables.events.c
    keys = (table.campaign_id, table.arm, table.cycle, table.platform, table.known)
    names = ("requests", "impressions", "clicks", "conversions", "revenue", "spend")
    query = sa.select(*keys, *(sa.func.sum(table[name]) for name in names), sa.func.count())
    with store.read() as connection:
        rows = connection.execute(query.where(table.replaced_by.is_(None)).group_by(*keys).order_by(*keys))
        return [tuple(row) for row in rows]


def _kept(store: Store) -> list[tuple[object, ...]]:
    table = tables.totals.c
    keys = (table.campaign_id, table.arm, table.cycle, table.platform, table.known)
    names = ("requests", "impressions", "clicks", "conversions", "revenue", "spend", "events")
    with store.read() as connection:
        query = sa.select(*keys, *(table[name] for name in names)).where(table.events > 0).order_by(*keys)
        return [tuple(row) for row in connection.execute(query)]


def test_sums_are_kept_as_events_come(store: Store) -> None:
    rng = np.random.default_rng(5)
    for block in range(6):
        events = [
            replace(
                ONE,
                event_id=f"b{block}-{n}",
                arm=str(rng.choice(["policy", "control"])),
                platform=str(rng.choice(PLATFORMS)),
                cycle=int(rng.integers(0, 3)),
                known=block,
                requests=None if rng.random() < 0.5 else float(rng.integers(1, 9)),
                spend=float(rng.integers(0, 100)),
            )
            for n in range(40)
        ]
        again = [*events[:5], *events]
        assert len(feedback.insert(store, again, NOW + timedelta(days=block)).new) == 40
    assert _kept(store) == _anew(store)
    assert feedback.states(store)["spring", "policy"] == FeedbackState(6, NOW + timedelta(days=5), 2, 5)


def test_an_id_that_is_known_counts_once_and_other_content_under_it_not_at_all(store: Store) -> None:
    assert feedback.insert(store, [ONE], NOW).new == [ONE]
    other, fresh = replace(ONE, spend=99.0), replace(ONE, event_id="e2")
    later = replace(ONE, known=7)
    inserted = feedback.insert(
        store, [later, other, fresh, fresh, replace(fresh, clicks=5.0)], NOW + timedelta(hours=1)
    )
    assert inserted.new == [fresh]
    assert inserted.same == [later, fresh]
    assert inserted.conflicting == [other, replace(fresh, clicks=5.0)]
    total = feedback.totals(store, "spring", PLATFORMS).values
    assert total["spend"][0, 0].tolist() == [25.0, 0.0]
    assert feedback.states(store)["spring", "policy"].number == 2


def test_a_repeated_request_changes_nothing(store: Store) -> None:
    feedback.insert(store, [ONE], NOW)
    before = feedback.states(store), _kept(store)
    assert feedback.insert(store, [ONE], NOW + timedelta(days=1)).same == [ONE]
    assert (feedback.states(store), _kept(store)) == before


def test_a_correction_stands_in_for_its_event_everywhere(store: Store) -> None:
    user = replace(ONE, user="u1")
    feedback.insert(store, [user, replace(ONE, event_id="e2", platform="social")], NOW)
    mended = replace(user, event_id="e3", spend=2.5, revenue=0.0, known=2, replaces="e1", reason="invoice 17")
    assert feedback.insert(store, [mended], NOW + timedelta(days=1)).new == [mended]
    total = feedback.totals(store, "spring", PLATFORMS).values
    assert total["spend"][0, 0].tolist() == [2.5, 12.5]
    assert total["revenue"][0, 0].tolist() == [0.0, 30.0]
    assert total["requests"][0, 0].tolist() == [50.0, 50.0]
    assert _kept(store) == _anew(store)
    increments = sorted(feedback.increments(store, "spring", "policy", PLATFORMS), key=lambda one: one.slot)
    # What it tells did not become known later than what it replaces; that a finished cycle changed is known.
    assert [(one.known, one.delivered[4]) for one in increments] == [(1, 2.5), (1, 12.5)]
    assert feedback.states(store)["spring", "policy"].late == 2
    assert feedback.by_user(store, "spring").values["spend"].tolist() == [2.5]
    assert feedback.insert(store, [mended], NOW + timedelta(days=2)).same == [mended]
    assert _kept(store) == _anew(store)


def test_a_correction_of_a_correction_and_one_of_its_own_request(store: Store) -> None:
    second = replace(ONE, event_id="a2", spend=2.0, replaces="e1")
    third = replace(ONE, event_id="a3", spend=3.0, replaces="a2")
    assert feedback.insert(store, [ONE, second, third], NOW).new == [ONE, second, third]
    assert feedback.totals(store, "spring", PLATFORMS).values["spend"][0, 0, 0] == 3.0
    assert _kept(store) == _anew(store)


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"replaces": "nobody"}, "replaces: 'nobody' is unknown; name an event that was accepted"),
        ({"replaces": "e2"}, "replaces: 'e2' was replaced by 'e3' already; replace that"),
        ({"replaces": "w1"}, "replaces: 'w1' is of campaign 'winter'; correct it within its campaign"),
    ],
)
def test_a_correction_that_cannot_be_is_refused_and_the_rest_counts(
    store: Store, change: dict[str, str], problem: str
) -> None:
    feedback.insert(store, [ONE, replace(ONE, event_id="e2"), replace(ONE, event_id="w1", campaign_id="winter")], NOW)
    feedback.insert(store, [replace(ONE, event_id="e3", replaces="e2", spend=1.0)], NOW)
    kept = _kept(store)
    wrong, fresh = replace(ONE, event_id="e4", **change), replace(ONE, event_id="e5", cycle=4, known=4)
    inserted = feedback.insert(store, [wrong, fresh], NOW)
    assert (inserted.new, inserted.refused) == ([fresh], {"e4": problem})
    assert len(_kept(store)) == len(kept) + 1
    assert _kept(store) == _anew(store)


def test_known_cells_are_known_and_a_correction_opens_them_again(store: Store) -> None:
    nothing = Event("z1", "spring", "policy", "social", 0, 0, None, None, 0.0, 0.0, 0.0, 0.0, 0.0, complete=True)
    feedback.insert(store, [ONE, nothing], NOW)
    assert feedback.known_cells(store, "spring", "policy", PLATFORMS) == {(0, 1)}
    feedback.insert(store, [replace(nothing, event_id="z2", complete=False, replaces="z1")], NOW)
    assert feedback.known_cells(store, "spring", "policy", PLATFORMS) == set()


NONE = {"impressions": 0.0, "clicks": 0.0, "spend": 0.0, "requests": None}
"""Of an event that tells neither."""


@pytest.mark.parametrize(
    ("more", "known"),
    [
        ([replace(ONE, event_id="a2", spend=0.0, replaces="e1")], {(0, 0)}),
        ([replace(ONE, event_id="a2", spend=-ONE.spend, reason="refunded")], {(0, 0)}),
        (
            [
                replace(ONE, event_id="a2", spend=0.0, replaces="e1"),
                replace(ONE, event_id="a3", spend=0.0, clicks=3.0, replaces="a2"),
            ],
            {(0, 0)},
        ),
        ([], set()),  # its spend says so itself
        ([replace(ONE, event_id="a2", spend=1.0, replaces="e1")], set()),
        # Told of the wrong cell: nothing was ever told of this one, also where conversions are.
        ([replace(ONE, event_id="a2", platform="social", replaces="e1")], set()),
        (
            [
                replace(ONE, event_id="a2", platform="social", replaces="e1"),
                replace(ONE, event_id="a3", conversions=1.0, **NONE),
            ],
            set(),
        ),
    ],
)
def test_a_spend_that_is_brought_to_zero_is_known(store: Store, more: list[Event], known: set[tuple[int, int]]) -> None:
    feedback.insert(store, [ONE, *more], NOW)
    assert feedback.known_cells(store, "spring", "policy", PLATFORMS) == known
    cells = delivery.cells(store, {"spring": (0, 0)})["spring"]
    priced = {platform for (_, _, platform), cell in cells.items() if cell.priced}
    told = {one.platform for one in more if one.spend > 0} or ({"search"} if not more else set())
    assert priced == told | {PLATFORMS[slot] for _, slot in known}


def test_conversions_alone_bring_nothing_to_zero(store: Store) -> None:
    feedback.insert(store, [replace(ONE, conversions=2.0, **NONE)], NOW)
    assert feedback.known_cells(store, "spring", "policy", PLATFORMS) == set()
    mended = replace(ONE, event_id="a2", conversions=1.0, replaces="e1", **NONE)
    feedback.insert(store, [mended], NOW)
    assert feedback.known_cells(store, "spring", "policy", PLATFORMS) == set(), "a correction of conversions"

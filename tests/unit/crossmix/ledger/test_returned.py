"""What came back of finished cycles, on both engines."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import fields, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import sqlalchemy as sa

from crossmix.clock import MemoryClock
from crossmix.ledger import canaries, experiments, feedback, quarantine, served
from crossmix.ledger.campaigns import Campaign, changing
from crossmix.ledger.experiments import Plan
from crossmix.ledger.feedback import Event
from crossmix.ledger.past import compare, view
from crossmix.ledger.returned import Returned, believed, read
from crossmix.ledger.store import Store

START = datetime(2026, 1, 5, tzinfo=UTC)
DAY = timedelta(days=1)
PLATFORMS = ("search", "social")
NAN = np.nan


@pytest.fixture
def store(empty: str) -> Iterator[Store]:
    opened = Store(empty, clock=lambda: START)
    experiments.begin(opened, Plan("first", "salt", {"policy": 0.75, "control": 0.25}, 14, 0.05), "tester")
    yield opened
    opened.close()


def campaign(name: str, starts: datetime = START, cycles: int = 9, hours: float = 24, **changes: Any) -> Campaign:
    share = {"search": 0.25, "social": 0.75}
    return Campaign(name, "EUR", 100.0, share, {}, starts, cycles, hours, **changes)


def run(store: Store, *campaigns: Campaign) -> None:
    with changing(store, "tester", "") as table:
        table.add_all(campaigns)


def event(name: str, cycle: int, known: int, amounts: tuple[float, ...], **changes: Any) -> Event:
    """Of campaign a, arm policy, platform search unless told; amounts as they are passed on below."""
    where = {"campaign_id": "a", "arm": "policy", "platform": "search", "user": None, "requests": None} | changes
    impressions, clicks, conversions, revenue, spend = amounts
    return Event(
        event_id=name,
        cycle=cycle,
        known=known,
        impressions=impressions,
        clicks=clicks,
        conversions=conversions,
        revenue=revenue,
        spend=spend,
        **where,
    )


def only(found: list[Returned]) -> Returned:
    (one,) = found
    return one


def test_what_nobody_reported_is_unknown_and_a_complete_zero_is_zero(store: Store) -> None:
    run(store, campaign("a"))
    none = (0.0, 0.0, 0.0, 0.0, 0.0)
    events = [event("one", 0, 0, (10, 2, 1, 5, 4)), event("two", 2, 2, none, complete=True)]
    feedback.insert(store, events, START)
    found = only(read(store, PLATFORMS, START + 3 * DAY))
    policy = found.arms["policy"]
    assert policy.cycle_TC.tolist() == [[0], [1], [2]]
    assert policy.weekday_TC.tolist() == [[0], [1], [2]]
    np.testing.assert_array_equal(policy.part_TC, 0.75)
    np.testing.assert_array_equal(policy.spend_TCP[:, 0], [[4, NAN], [NAN, NAN], [0, NAN]])
    np.testing.assert_array_equal(policy.clicks_TCP[:, 0], [[2, NAN], [NAN, NAN], [0, NAN]])
    np.testing.assert_array_equal(policy.revenue_TCP[:, 0], [[5, NAN], [NAN, NAN], [0, NAN]])
    # Impressions whose auctions nobody told are no win rate of 1; of nothing, nothing was asked.
    np.testing.assert_array_equal(policy.requests_TCP[:, 0], [[NAN, NAN], [NAN, NAN], [0, NAN]])
    assert np.isnan(found.arms["control"].spend_TCP).all()
    assert found.ends_TC[:, 0].astype("datetime64[D]").astype(str).tolist() == [
        "2026-01-06",
        "2026-01-07",
        "2026-01-08",
    ]


def test_conversions_count_when_they_came_but_with_a_late_first_report_in_their_own_cycle(store: Store) -> None:
    run(store, campaign("a"))
    events = [
        event("on time", 0, 0, (10, 2, 1, 5, 4)),
        event("its late conversion", 0, 2, (0, 0, 1, 7, 0)),
        event("next morning", 1, 2, (20, 4, 3, 9, 8)),
        event("two days on", 1, 3, (0, 0, 2, 6, 0)),
        event("today", 4, 4, (99, 9, 9, 9, 9)),
    ]
    feedback.insert(store, events, START)
    policy = only(read(store, PLATFORMS, START + 4 * DAY)).arms["policy"]
    np.testing.assert_array_equal(policy.conversions_TCP[:, 0, 0], [1, 3, 1, 2])
    np.testing.assert_array_equal(policy.revenue_TCP[:, 0, 0], [5, 9, 7, 6])
    np.testing.assert_array_equal(policy.impressions_TCP[:, 0, 0], [10, 20, NAN, NAN])
    newest = only(read(store, PLATFORMS, START + 4 * DAY, newest=2)).arms["policy"]
    assert newest.cycle_TC.tolist() == [[2], [3]]
    np.testing.assert_array_equal(newest.conversions_TCP[:, 0, 0], [1, 2])


def test_the_newest_rows_are_the_last_of_all_however_late_a_first_report_comes(store: Store) -> None:
    run(store, campaign("a", cycles=30), campaign("b", START + 3 * DAY, cycles=30), campaign("over", cycles=12))
    events = [
        event(f"{name} {cycle}", cycle, cycle + late, (10 + cycle, 2, 1, 5, 4), campaign_id=name, platform=platform)
        for name in ("a", "b", "over")
        for cycle in range(0, 17, 2)
        for platform, late in (("search", cycle % 3), ("social", 11))
    ]
    events += [
        event("once more", 0, 11, (0, 0, 2, 6, 0), platform="social"),
        event("before its report", 1, 3, (0, 0, 1, 2, 0), platform="social"),
        event("its report", 1, 15, (7, 1, 0, 0, 3), platform="social"),
    ]
    feedback.insert(store, events, START)
    now = START + 19 * DAY
    every = only(read(store, PLATFORMS, now))
    for newest in range(1, 20):
        some = only(read(store, PLATFORMS, now, newest=newest))
        assert some.first == every.first + 19 - newest
        of = np.array([name in some.arms["policy"].campaigns for name in every.arms["policy"].campaigns])
        assert of.tolist() == [True, True, newest > 7]
        for arm, one in some.arms.items():
            last = every.arms[arm].between(19 - newest, 19).only(of)
            for table in fields(one):
                np.testing.assert_array_equal(getattr(one, table.name), getattr(last, table.name), table.name)


def test_requests_told_by_some_events_stand_for_all_impressions_of_the_cell(store: Store) -> None:
    run(store, campaign("a"))
    events = [event("told", 0, 0, (10, 2, 0, 0, 4), requests=40.0), event("not", 0, 0, (30, 2, 0, 0, 4))]
    feedback.insert(store, events, START)
    policy = only(read(store, PLATFORMS, START + DAY)).arms["policy"]
    assert (policy.impressions_TCP[0, 0, 0], policy.requests_TCP[0, 0, 0]) == (40, 160)


def test_told_is_what_was_last_served_and_the_plan_where_nothing_was(store: Store) -> None:
    run(store, campaign("a"))
    row = {"allocation_id": "x", "at": START, "campaign_id": "a", "arm": "policy", "cycle": 0, "bundle": "b"}
    nothing = dict.fromkeys(("state", "logits", "log_density", "override"))
    split = {**row, "budget": 80.0, "share": {"search": 0.5, "social": 0.5}, **nothing}
    served.record(store, [], [split])
    feedback.insert(store, [event("one", 1, 1, (10, 2, 1, 5, 4))], START)
    found = only(read(store, PLATFORMS, START + 3 * DAY))
    np.testing.assert_array_equal(found.arms["policy"].told_TCP[:, 0], [[40, 40], [18.75, 56.25], [0, 0]])
    np.testing.assert_array_equal(found.arms["control"].told_TCP, 0)


def test_the_most_that_was_told_in_a_cycle_is_kept_beside_the_last(store: Store) -> None:
    """Of answers, and of a plan that was edited within a cycle of which nothing was served."""
    run(store, campaign("a"))
    nothing = dict.fromkeys(("state", "logits", "log_density", "override"))
    rows = [
        {"allocation_id": f"x{at}", "at": START + at * timedelta(hours=1), "campaign_id": "a", "arm": "policy"}
        | {"cycle": 0, "bundle": "b", "budget": budget, "share": {"search": share, "social": 1 - share}, **nothing}
        for at, (budget, share) in enumerate([(80.0, 0.5), (100.0, 0.3), (60.0, 0.6)])
    ]
    served.record(store, [], rows)
    edited = MemoryClock(START + 1.5 * DAY)
    again = Store(str(store.url), clock=edited)
    with changing(again, "tester", "") as table:
        table.edit(campaign("a"), replace(campaign("a"), cycle_budget=40.0))
    again.close()
    feedback.insert(store, [event("one", 1, 1, (10, 2, 1, 5, 4)), event("two", 2, 2, (10, 2, 1, 5, 4))], START)
    policy = only(read(store, PLATFORMS, START + 3 * DAY)).arms["policy"]
    np.testing.assert_allclose(policy.told_TCP[:, 0], [[36, 24], [7.5, 22.5], [7.5, 22.5]])
    np.testing.assert_allclose(policy.most_TCP[:, 0], [[40, 70], [18.75, 56.25], [7.5, 22.5]])


def test_campaigns_stand_side_by_side_by_calendar_and_by_length(store: Store) -> None:
    evening = datetime(2026, 1, 6, 20, tzinfo=UTC)  # 09:00 of the 7th in Auckland
    run(
        store,
        campaign("a"),
        campaign("later", START + 2 * DAY, cycles=1),
        campaign("local", evening, timezone="Pacific/Auckland"),
        campaign("hourly", START + timedelta(hours=95), cycles=20, hours=1),
        campaign("future", START + 9 * DAY),
    )
    now = START + 4 * DAY
    hourly, daily = read(store, PLATFORMS, now)
    assert (hourly.cycle_hours, daily.cycle_hours) == (1, 24)
    assert hourly.arms["policy"].cycle_TC.tolist() == [[0]]
    policy = daily.arms["policy"]
    assert policy.campaigns == ("a", "later", "local")
    assert policy.cycle_TC.tolist() == [[0, -1, -1], [1, -1, -1], [2, 0, 0], [3, -1, 1]]
    # Its first day began at 09:00 of its own clock.
    np.testing.assert_allclose(policy.part_TC[2], [0.75, 0.75, 0.75 * 15 / 24])
    last = only(read(store, PLATFORMS, now, campaigns=["a", "later", "local"], newest=1)).arms["policy"]
    assert last.campaigns == ("a", "local")
    assert last.cycle_TC.tolist() == [[3, 1]]


def test_many_campaigns_are_read_by_a_few_queries(store: Store) -> None:
    run(store, *(campaign(f"c{number:04}") for number in range(700)))
    events = [event(f"e{number}", 0, 0, (10, 2, 1, 5, 4), campaign_id=f"c{number:04}") for number in range(700)]
    feedback.insert(store, events, START)
    asked: list[str] = []
    sa.event.listen(store.engine, "before_cursor_execute", lambda *given: asked.append(given[2]))
    policy = only(read(store, PLATFORMS, START + DAY)).arms["policy"]
    assert (policy.spend_TCP[0, :, 0] == 4).all()
    # Campaigns, experiments, edits; totals of a hundred campaigns each, whose rows are in memory at once; splits of
    # five hundred.
    assert len([text for text in asked if text.startswith("SELECT")]) <= 4 + 7 + 2


def plans(store: Store, call: Callable[[], object]) -> list[str]:
    """How SQLite finds the rows of `totals` in what is asked within the call."""
    asked: list[tuple[str, Any]] = []

    def note(*given: Any) -> None:
        asked.append((given[2], given[3]))

    sa.event.listen(store.engine, "before_cursor_execute", note)
    call()
    sa.event.remove(store.engine, "before_cursor_execute", note)
    with store.read() as connection:
        rows = [connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {text}", values).all() for text, values in asked]
    return [row[-1] for some in rows for row in some if "totals" in row[-1]]


def test_what_is_new_is_found_without_a_look_at_what_is_not(tmp_path: Path) -> None:
    store = Store(f"sqlite:///{tmp_path / 'serving.db'}", clock=lambda: START)
    run(store, campaign("a"))
    for cycle in range(3):
        told = [event(f"e{cycle}", cycle, cycle, (10, 2, 1, 5, 4))]
        feedback.insert(store, told, START + cycle * DAY + DAY / 2)
    seen = view(store, ["a"], 24.0, START + 2 * DAY)
    assert seen is not None
    _, past = compare(store, None, seen)
    assert plans(store, lambda: read(store, PLATFORMS, START + 3 * DAY, newest=1)) == [
        "SEARCH totals USING INDEX totals_by_known (campaign_id=? AND known>?)"
    ]
    assert plans(store, lambda: compare(store, past, seen)) == [
        "SEARCH totals USING INDEX totals_by_received (received>?)"
    ]
    store.close()


@pytest.mark.parametrize("order", [(0, 1, 2), (2, 1, 0)])
def test_sums_do_not_depend_on_the_order_in_which_reports_came(store: Store, order: tuple[int, ...]) -> None:
    run(store, campaign("a"))
    for cycle in order:
        late = event(f"late {cycle}", cycle, 3, (0, 0, 1, (0.1, 0.2, 0.3)[cycle], 0))
        feedback.insert(store, [event(f"e{cycle}", cycle, cycle, (10, 2, 1, 5, 4)), late], START + 3 * DAY)
    found = only(read(store, PLATFORMS, START + 4 * DAY, newest=1)).arms["policy"]
    assert found.revenue_TCP[0, 0, 0] == 0.1 + 0.2 + 0.3
    assert 0.3 + 0.2 + 0.1 != 0.1 + 0.2 + 0.3


def test_a_version_on_trial_has_its_part_of_the_policys_users_in_the_cycles_that_begin_in_each_step(empty: str) -> None:
    clock = MemoryClock(START)
    store = Store(empty, clock=clock)
    experiments.begin(store, Plan("first", "salt", {"policy": 0.75, "control": 0.25}, 14, 0.05), "tester")
    run(store, campaign("a"))
    assert set(only(read(store, PLATFORMS, START + DAY)).arms) == {"policy", "control"}
    # It begins in the course of the first day, and so has the second; it steps at the very beginning of the third.
    clock.advance(DAY / 2)
    tried = canaries.begin(store, canaries.Plan(2, "b" * 64, 1, (0.2, 0.6), 7, 0.0, 0.05), "ann")
    clock.advance(DAY * 1.5)
    assert canaries.advance(store, tried, reason="2 cycles")
    clock.advance(DAY / 2)
    assert canaries.end(store, canaries.load_all(store)[-1], canaries.ROLLED_BACK, "lost", "guardrail")
    feedback.insert(store, [event("one", 2, 2, (10, 2, 1, 5, 4), arm="canary")], START)
    found = only(read(store, PLATFORMS, START + 4 * DAY))
    parts = {arm: one.part_TC[:, 0].tolist() for arm, one in found.arms.items()}
    assert parts == {
        "policy": pytest.approx([0.75, 0.6, 0.3, 0.75]),
        "control": pytest.approx([0.25] * 4),
        "canary": pytest.approx([0.0, 0.15, 0.45, 0.0]),
    }
    canary = found.arms["canary"]
    np.testing.assert_array_equal(canary.spend_TCP[:, 0, 0], [NAN, NAN, 4, NAN])
    # Nothing was served to it in that cycle: the plan's split of its part of the budget was told.
    np.testing.assert_allclose(canary.told_TCP[:, 0], [[0, 0], [0, 0], [11.25, 33.75], [0, 0]])
    store.close()


def held(quantity: str, cause: str = "impossible", cycle: int = 0) -> quarantine.Entry:
    return quarantine.Entry(
        campaign_id="a",
        arm="policy",
        platform="search",
        cycle=cycle,
        cause=cause,
        quantity=quantity,
        observed=1.0,
        expected=100.0,
        z=-9.0,
        sentence="",
        state=quarantine.HELD,
        since=START,
        actor=quarantine.GUARD,
        reason="",
        at=START,
    )


@pytest.mark.parametrize(
    ("entry", "unknown"),
    [
        (held("value"), {"conversions", "revenue"}),
        (held("ctr"), {"clicks", "conversions", "revenue"}),
        (held("spend", "overspent"), {"spend", "requests", "impressions", "clicks", "conversions", "revenue"}),
        (held("value", cycle=1), set()),
    ],
)
def test_what_is_held_is_unknown_as_far_as_it_is_doubted(
    store: Store, entry: quarantine.Entry, unknown: set[str]
) -> None:
    run(store, campaign("a"))
    feedback.insert(store, [event("one", 0, 0, (10, 2, 1, 5, 4), requests=40.0)], START)
    quarantine.update(store, [entry], [], START)
    policy = believed(store, only(read(store, PLATFORMS, START + DAY))).arms["policy"]
    names = ("spend", "requests", "impressions", "clicks", "conversions", "revenue")
    assert {name for name in names if np.isnan(getattr(policy, f"{name}_TCP")[0, 0, 0])} == unknown
    assert policy.told_TCP[0, 0, 0] == 18.75

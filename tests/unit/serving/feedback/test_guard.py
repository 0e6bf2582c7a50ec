"""`serving.feedback.guard`, and what cells and statistics make of what is held."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from crossmix.config import Guard
from crossmix.ledger import quarantine
from crossmix.ledger.campaigns import Campaign
from crossmix.ledger.feedback import Increment
from crossmix.ledger.quarantine import ALL, ARRIVALS, HELD, RESPONSE, Entry
from crossmix.ledger.served import Split
from crossmix.state import ALLOCATION
from serving.feedback.cells import Flight, cells
from serving.feedback.gaps import NOTHING, missing
from serving.feedback.guard import Doorkeeper, told
from serving.feedback.statistics import row_of
from tests.support.pushing import DAY, PLATFORMS, World, both
from tests.support.serving_live import START, raw

NAMES = ("search", "social", "video")
STATIC = np.array([0.5, 0.3, 0.2])
CAMPAIGN = Campaign.from_dict({**raw(cycle_budget=100.0, cycles=30, limits={}), "timezone": "UTC"})


def flight(days: int, held: dict[tuple[int, int], int], hold: int = 10, times: float = 1.0) -> Flight:
    """Every platform spends 0.8 of what it is told; of cycle 3 search's revenue is `times` what it was."""
    increments = []
    for cycle in range(days):
        for slot, share in enumerate(STATIC):
            revenue = 30.0 * share * (times if (cycle, slot) == (3, 0) else 1.0)
            delivered = (1_000.0, 100.0, 100.0, 20.0, 80.0 * share)
            increments.append(Increment(cycle, cycle, slot, delivered, (2.0, revenue)))
    splits = {cycle: Split(STATIC, 100.0) for cycle in range(days)}
    return Flight(increments, (), splits, STATIC, lambda _: 100.0, 30, held=held, hold=hold)


def row(one: Flight, newest: int) -> Any:
    return row_of(CAMPAIGN, NAMES, cells(one, newest, 10), {}, 20, 0.6).values_X


def field(values_X: Any, name: str) -> Any:
    return ALLOCATION.of_platforms(values_X, name, 3)


@pytest.mark.parametrize(("doubt", "spent"), [(ARRIVALS, 40.0), (RESPONSE, 40.0), (ALL, 50.0)])
def test_the_money_of_a_held_cell_counts_as_reported_or_where_that_is_wrong_as_told(doubt: int, spent: float) -> None:
    made = cells(flight(4, {(3, 0): doubt}), 3, 10)
    assert made.spent_CP[3].tolist() == pytest.approx([spent, 24.0, 16.0])
    assert made.known_CP[3].tolist() == [doubt == ARRIVALS, True, True]
    assert made.arrived_CPQ[3, 0].tolist() == [0.0, 0.0]
    assert made.delivered_CPQ[3, 0].any() == (doubt == ARRIVALS)
    assert made.cold == ()


def test_revenue_that_is_not_believed_is_taken_at_the_rates_of_the_good_cells() -> None:
    good = row(flight(4, {}), 3)
    poisoned = row(flight(4, {}, times=100.0), 3)
    held = row(flight(4, {(3, 0): ARRIVALS}, times=100.0), 3)
    assert field(poisoned, "windowed_roi")[0] > 20 * field(good, "windowed_roi")[0]
    assert held.tolist() == pytest.approx(good.tolist(), rel=1e-5)


def test_delivery_that_is_not_believed_leaves_the_statistics_of_the_cycles_before() -> None:
    held, good = row(flight(4, {(3, 0): RESPONSE}, times=100.0), 3), row(flight(4, {}), 3)
    for name in ("windowed_roi", "last_roi", "windowed_ctr", "windowed_cvr", "win_rate", "log_price", "utilisation"):
        assert field(held, name).tolist() == pytest.approx(field(good, name).tolist(), rel=1e-5), name


def test_after_too_long_a_hold_a_platform_is_cold_and_its_money_stays() -> None:
    held = {(cycle, 0): ARRIVALS for cycle in range(4, 15)}
    assert cells(flight(14, held), 13, 10).cold == ()
    made = cells(flight(15, held), 14, 10)
    assert made.cold == (0,)
    assert not made.known_CP[:, 0].any()
    assert made.known_CP[:, 1:].all()
    assert made.spent_CP[:, 0].tolist() == pytest.approx([40.0] * 15)
    values = row(flight(15, held), 14)
    for name in ("windowed_roi", "last_roi", "windowed_ctr", "windowed_cvr", "win_rate", "log_price"):
        assert field(values, name)[0] == 0, name
    assert field(values, "windowed_roi")[1] == pytest.approx(0.3)
    assert cells(flight(16, held), 15, 10).cold == ()
    assert cells(flight(15, held, hold=0), 14, 10).cold == ()


def entry(cycle: int, platform: str, **more: Any) -> Entry:
    now = datetime(2026, 1, 9, tzinfo=UTC)
    plain = Entry(
        "spring", "policy", platform, cycle, "overspent", "spend", 100.0, 50.0, None, "", now, HELD, "guard", "", now
    )
    return replace(plain, **more)


def test_what_is_held_is_told_by_platform() -> None:
    made = cells(flight(4, {(2, 0): ALL, (3, 0): ALL}), 3, 10)
    found = told(NOTHING, CAMPAIGN, "policy", NAMES, [entry(2, "search"), entry(3, "search")], made, 10)
    why = "cells of platform search of campaign spring, arm policy held since cycle 2: spend 2x what was told"
    since = (START + timedelta(days=2)).isoformat()
    assert (found.notes, found.held) == ((why,), 2)
    assert found.troubles == ({"what": "guard", "why": why, "since": since},)
    assert told(NOTHING, CAMPAIGN, "policy", NAMES, [], made, 10) is NOTHING


def test_a_platform_that_is_cold_says_so() -> None:
    held = {(cycle, 0): ALL for cycle in range(4)}
    found = told(NOTHING, CAMPAIGN, "policy", NAMES, [], cells(flight(4, held, hold=3), 3, 10), 3)
    assert found.notes == (
        "platform search of campaign spring, arm policy has been held for more than 3 cycles: its statistics are those "
        "of the log",
    )


def test_a_silent_platform_is_told_for_its_probe() -> None:
    quiet = flight(12, {})
    kept = [one for one in quiet.increments if one.slot != 2 or one.cycle < 2]
    found = missing(CAMPAIGN, "policy", NAMES, cells(replace(quiet, increments=kept), 11, 10))
    assert found.silent == ((2, 10),)
    assert missing(CAMPAIGN, "policy", NAMES, cells(replace(quiet, increments=kept), 10, 10)).silent == ()


# ---- the guard over a store ------------------------------------------------------------------------------------------


def guarded(world: World) -> Doorkeeper:
    """Of a bundle that knows no market."""
    bundle: Any = SimpleNamespace(digest="d", extra=lambda _: None, plans={})
    live: Any = SimpleNamespace(bundle=bundle, platforms=PLATFORMS, campaigns=world.campaigns)
    return Doorkeeper(live, Guard())


def half(world: World, cycle: int) -> list[dict[str, Any]]:
    """Reports of less than each arm was told: half of the plan, as no experiment says who has what."""
    return [{**one, "spend": one["spend"] / 2} for one in both(world, cycle)]


def test_spend_above_what_was_told_is_held_before_statistics_are_made_and_let_go_once_corrected(world: World) -> None:
    guard = guarded(world)
    world.take(0.5, *half(world, 0))
    assert world.advance(1, guard=guard) == 1
    good = world.row().copy()
    events = half(world, 1)
    (wrong,) = (one for one in events if one["arm"] == "policy" and one["platform"] == PLATFORMS[0])
    right = dict(wrong)
    wrong["spend"] *= 3
    world.take(1.5, *events)
    world.advance(2, guard=guard)
    (held,) = quarantine.read(world.store)
    assert (held.arm, held.platform, held.cycle, held.cause, held.state) == (
        "policy",
        PLATFORMS[0],
        1,
        "overspent",
        HELD,
    )
    assert (held.observed, held.expected) == (pytest.approx(3 * right["spend"]), pytest.approx(200.0))
    assert held.since == START + 2 * DAY
    assert field_of(world, "windowed_roi") == pytest.approx(float(ALLOCATION.of_platforms(good, "windowed_roi")[0]))
    (why,) = world.gaps.troubles(what="guard")
    assert "held since cycle 1: spend 2.1x what was told" in why["why"]
    assert world.gaps.held() == {("c0", "policy"): 1}
    # The sender corrects it.
    world.take(2.2, {**right, "event_id": "right", "replaces": wrong["event_id"], "reason": "counted thrice"})
    world.advance(2.3, guard=guard)
    (freed,) = quarantine.read(world.store)
    assert (freed.state, freed.actor, freed.reason) == ("confirmed", "guard", quarantine.CORRECTED)
    assert world.gaps.troubles(what="guard") == []


def field_of(world: World, name: str) -> float:
    return float(world.field(name)[0])


def test_a_server_that_leaves_writing_to_another_holds_nothing_itself(world: World) -> None:
    events = both(world, 0)
    events[0]["spend"] *= 3
    world.take(0.5, *events)
    world.advance(1, guard=guarded(world), writes=False)
    assert quarantine.read(world.store) == []

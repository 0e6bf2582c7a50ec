"""Experiments that follow each other: whose arms hold in which cycle, for users, budgets and feedback."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from crossmix.terms import REPLACED, SHIPPED
from serving.assignment import arms
from serving.assignment.arms import Experiment, ExperimentError

DAY = timedelta(days=1)
NOON = datetime(2026, 1, 10, 12, tzinfo=UTC)
MIDNIGHT = datetime(2026, 1, 10, tzinfo=UTC)
USERS = [f"user {n}" for n in range(300)]
HALF = {"policy": 0.5, "control": 0.5}


def follows(ended: datetime, outcome: str | None = None, shipped: datetime | None = None) -> Experiment:
    """`second`, which began at NOON after `first`."""
    first = Experiment("first", "one", started=NOON - 9 * DAY, ended=ended, outcome=outcome, shipped=shipped)
    return Experiment("second", "two", HALF, started=NOON, earlier=(first,))


def test_a_cycle_under_way_is_finished_as_it_was_when_the_next_one_replaces_it() -> None:
    second = follows(NOON, REPLACED)
    first = second.earlier[0]
    for user in USERS:
        assert second.arm_asked(user, MIDNIGHT) == second.arm_served(user, MIDNIGHT) == first.arm(user)
        assert second.arm_asked(user, MIDNIGHT + DAY) == second.arm_served(user, MIDNIGHT + DAY) == second.arm(user)
    assert sum(first.arm(user) != second.arm(user) for user in USERS) > 90, "another salt is another shuffle"
    assert [second.part("policy", MIDNIGHT + n * DAY) for n in (-20, -1, 0, 1)] == [0.7, 0.7, 0.7, 0.5]
    assert (second.asked(MIDNIGHT).id, second.asked(MIDNIGHT + DAY).id, second.asked(None).id) == (
        "first", "second", "second",
    )  # fmt: skip


@pytest.mark.parametrize(("outcome", "arm"), [(None, "control"), (SHIPPED, "policy")])
def test_after_an_end_the_next_ones_first_cycle_is_the_next_that_begins(outcome: str | None, arm: str) -> None:
    ended = NOON - 2 * DAY
    second = follows(ended, outcome, ended if outcome else None)
    assert {second.arm_asked(user, MIDNIGHT) for user in USERS} == {arm}
    assert {second.arm_served(user, MIDNIGHT) for user in USERS} == {arm}
    assert [second.part(arm, MIDNIGHT + n * DAY) for n in (-3, -2, -1, 0, 1)] == [
        second.earlier[0].weights[arm], second.earlier[0].weights[arm], 1.0, 1.0, 0.5,
    ]  # fmt: skip
    assert {second.arm_served(user, MIDNIGHT - 2 * DAY) for user in USERS} == {"policy", "control"}, "it was shared"


def test_the_first_one_has_the_cycle_in_which_it_begins() -> None:
    first = Experiment("first", "one", started=NOON)
    assert [first.asked(MIDNIGHT).id, first.part("policy", MIDNIGHT)] == ["first", 0.7]
    assert first.arm_asked("ann", MIDNIGHT) == first.arm("ann")


def test_an_end_counts_for_users_at_once_and_for_budgets_from_the_next_cycle() -> None:
    ended = Experiment("first", "one", started=NOON - 9 * DAY, ended=NOON)
    assert {ended.arm_asked(user, MIDNIGHT) for user in USERS} == {"control"}
    assert (ended.part("policy", MIDNIGHT), ended.part("policy", MIDNIGHT + DAY)) == (0.7, 0.0)
    shipped = replace(ended, outcome=SHIPPED, shipped=NOON)
    assert {shipped.arm_asked(user, MIDNIGHT) for user in USERS} == {"policy"}
    assert (shipped.part("policy", MIDNIGHT), shipped.part("policy", MIDNIGHT + DAY)) == (0.7, 1.0)
    assert shipped.part("control", MIDNIGHT + DAY) == 0.0


def test_one_that_ended_first_and_shipped_later_had_the_static_split_in_between() -> None:
    one = Experiment("first", "s", started=NOON - 9 * DAY, ended=NOON, outcome=SHIPPED, shipped=NOON + 2 * DAY)
    assert [one.part("policy", MIDNIGHT + n * DAY) for n in range(5)] == [0.7, 0.0, 0.0, 1.0, 1.0]
    assert {one.arm_served(user, MIDNIGHT + 2 * DAY) for user in USERS} == {"control"}
    assert {one.arm_asked(user, MIDNIGHT + 3 * DAY) for user in USERS} == {"policy"}


def test_what_a_clock_that_ran_ahead_noted_holds_from_now_on() -> None:
    ahead = replace(follows(NOON + 300 * DAY, REPLACED), started=NOON + 300 * DAY)
    healed = arms.not_ahead(ahead, None, NOON)
    assert (healed.started, healed.earlier[0].ended) == (NOON, NOON)
    later = arms.not_ahead(ahead, healed, NOON + 3 * DAY)
    assert (later.started, later.earlier[0].ended) == (NOON, NOON), "as first heard of"
    usual = follows(NOON, REPLACED)
    assert arms.not_ahead(usual, None, NOON) is usual


def test_without_a_database_and_without_a_note_of_it_everybody_gets_the_static_split() -> None:
    one = arms.unknown("first")
    assert (one.everybody, one.part("control", NOON), one.arm_asked("ann", NOON)) == ("control", 1.0, "control")
    assert arms.unknown("first").salt != one.salt


def test_it_comes_back_from_plain_data() -> None:
    second = follows(NOON, REPLACED)
    rows = json.loads(json.dumps(arms.kept(second)))
    assert arms.restored(rows) == second
    assert arms.restored([]) is None


def test_no_salt_is_printed() -> None:
    one = Experiment("first", "peppercorn", earlier=(Experiment("before", "peppercorn"),))
    assert "peppercorn" not in repr(one)
    with pytest.raises(ExperimentError) as error:
        Experiment("first", "peppercorn", {"policy": 1.7, "control": -0.7})
    assert "peppercorn" not in str(error.value)

"""A batch within budgets: held against every possible choice, ties filled, campaigns apart, and no budget passed."""

from __future__ import annotations

import itertools
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crossmix.journeys.allocate import AllocationError, Chosen, Floats, choose
from crossmix.journeys.batch import Asked, settle


def of_one(users: int, *, budget: float = np.inf, shadow: float = 0.0, most: float = np.inf) -> Asked:
    """One campaign's."""
    return Asked(np.zeros(users, np.int64), np.array([shadow]), np.array([budget]), np.array([most]))


def spent(chosen: Chosen, cost_BC: Floats) -> float:
    """Added up one by one, as a ledger does."""
    total = 0.0
    for row in np.flatnonzero(chosen.allocated_B):
        total += float(cost_BC[row, chosen.channel_B[row]])
    return total


def gained(chosen: Chosen, value_BC: Floats) -> float:
    rows = np.flatnonzero(chosen.allocated_B)
    return float(value_BC[rows, chosen.channel_B[rows]].sum())


def best(value_BC: Floats, cost_BC: Floats, budget: float, most: float) -> float:
    """The largest value of all choices: every user gets a channel or none."""
    users, channels = value_BC.shape
    found = 0.0
    for picked in itertools.product(range(-1, channels), repeat=users):
        taken = [(row, at) for row, at in enumerate(picked) if at >= 0]
        if len(taken) <= most and sum(cost_BC[row, at] for row, at in taken) <= budget:
            found = max(found, sum(value_BC[row, at] for row, at in taken))
    return found


@settings(deadline=None, max_examples=80)
@given(
    seed=st.integers(0, 100_000),
    users=st.integers(1, 5),
    channels=st.integers(1, 3),
    part=st.floats(0, 1.2),
    most=st.sampled_from([0, 1, 2, 3, np.inf]),
    even=st.booleans(),
)
def test_against_every_choice_it_misses_at_most_what_its_price_says(
    seed: int, users: int, channels: int, part: float, most: float, even: bool
) -> None:
    rng = np.random.default_rng(seed)
    value_BC, cost_BC = rng.random((users, channels)), rng.random((users, channels)) + 0.05
    if even:  # many ties
        value_BC, cost_BC = np.round(value_BC * 3), np.ceil(cost_BC * 2)
    budget = part * float(cost_BC.max(1).sum())
    [shadow], chosen = settle(value_BC, cost_BC, of_one(users, budget=budget, most=most))
    cost, value = spent(chosen, cost_BC), gained(chosen, value_BC)
    assert cost <= budget
    assert chosen.allocated_B.sum() <= most
    optimum = best(value_BC, cost_BC, budget, most)
    assert optimum - shadow * (budget - cost) - 1e-9 <= value <= optimum + 1e-9
    margin_BC = value_BC - shadow * cost_BC
    told_B = margin_BC[np.arange(users), chosen.channel_B]
    np.testing.assert_allclose(told_B, margin_BC.max(1), atol=1e-9)
    np.testing.assert_allclose(chosen.margin_B, told_B, atol=1e-9)
    assert (chosen.margin_B[chosen.allocated_B] >= 0).all()
    if most == np.inf:
        assert chosen.allocated_B[told_B > 1e-9].all()


def test_one_price_for_all_is_the_best_choice_and_the_first_of_equals_come_first() -> None:
    """100 new users, all alike: half of them are paid for, at the price that makes each worth what it costs."""
    value_BC, cost_BC = np.full((100, 2), 2.0), np.ones((100, 2))
    [shadow], chosen = settle(value_BC, cost_BC, of_one(100, budget=50.0))
    assert shadow == pytest.approx(2.0)
    assert chosen.allocated_B.tolist() == [True] * 50 + [False] * 50
    [_], few = settle(value_BC, cost_BC, of_one(100, budget=50.0, most=7))
    assert np.flatnonzero(few.allocated_B).tolist() == list(range(7))


def test_a_cheaper_channel_is_taken_where_the_better_one_is_too_dear() -> None:
    """Channel 1 gives 3 more for 2 more: worth it up to lambda 1.5, which is the price where 2 are left of 3."""
    value_BC, cost_BC = np.array([[5.0, 8.0]]), np.array([[1.0, 3.0]])
    [shadow], chosen = settle(value_BC, cost_BC, of_one(1, budget=2.0))
    assert (shadow, chosen.channel_B.tolist()) == (pytest.approx(1.5), [0])
    assert chosen.allocated_B.tolist() == [True]
    [shadow], chosen = settle(value_BC, cost_BC, of_one(1, budget=3.0))
    assert (shadow, chosen.channel_B.tolist()) == (0.0, [1])


@pytest.mark.parametrize("budget", [0.0, 1e-300, 1e-9])
def test_next_to_nothing_buys_what_is_free_alone(budget: float) -> None:
    value_BC = np.array([[3.0], [2.0], [1.0], [0.0]])
    cost_BC = np.array([[1e-8], [0.0], [5.0], [0.0]])
    [shadow], chosen = settle(value_BC, cost_BC, of_one(4, budget=budget))
    assert chosen.allocated_B.tolist() == [False, True, False, False]
    assert np.isfinite(shadow)
    assert shadow > 0


def test_costs_next_to_nothing_pass_no_budget_either() -> None:
    cost_BC = np.full((6, 1), 3e-320)
    [shadow], chosen = settle(np.ones((6, 1)), cost_BC, of_one(6, budget=1e-319))
    assert chosen.allocated_B.sum() == 3
    assert np.isfinite(shadow)
    assert spent(chosen, cost_BC) <= 1e-319


def test_without_a_budget_the_price_is_the_given_one() -> None:
    rng = np.random.default_rng(3)
    value_BC, cost_BC = rng.random((30, 4)), rng.random((30, 4))
    for shadow, most in ((0.0, None), (0.8, None), (0.8, 4)):
        asked = of_one(30, shadow=shadow, most=np.inf if most is None else most)
        [told], chosen = settle(value_BC, cost_BC, asked)
        meant = choose(value_BC, cost_BC, shadow, most=most)
        assert told == shadow
        np.testing.assert_array_equal(chosen.channel_B, meant.channel_B)
        np.testing.assert_array_equal(chosen.margin_B, meant.margin_B)
        np.testing.assert_array_equal(chosen.allocated_B, meant.allocated_B)


def test_campaigns_of_a_batch_do_not_touch_one_another() -> None:
    rng = np.random.default_rng(11)
    value_BC, cost_BC = rng.random((60, 3)), rng.random((60, 3)) + 0.1
    group_B = rng.integers(0, 4, 60)
    asked = Asked(
        group_B,
        np.array([0.0, 0.7, 0.0, 0.4]),
        np.array([2.0, np.inf, 0.5, np.inf]),
        np.array([np.inf, 3, 2, np.inf]),
    )
    shadow_G, together = settle(value_BC, cost_BC, asked)
    for group in range(4):
        of = group_B == group
        one = of_one(
            int(of.sum()),
            budget=asked.budget_G[group],
            shadow=asked.shadow_G[group],
            most=asked.most_G[group],
        )
        [shadow], alone = settle(value_BC[of], cost_BC[of], one)
        assert shadow_G[group] == pytest.approx(shadow, rel=1e-9)
        np.testing.assert_array_equal(together.allocated_B[of], alone.allocated_B)
        np.testing.assert_array_equal(together.channel_B[of], alone.channel_B)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"budget_G": np.array([-1.0])}, "budget_left: -1.0"),
        ({"shadow_G": np.array([np.nan])}, "lambda: nan"),
        ({"most_G": np.array([-2.0])}, "top: -2.0"),
    ],
)
def test_what_is_no_budget_or_no_price_is_refused(change: dict[str, Any], says: str) -> None:
    with pytest.raises(AllocationError, match=says):
        settle(np.ones((2, 1)), np.ones((2, 1)), replace(of_one(2), **change))
    with pytest.raises(AllocationError, match="costs"):
        settle(np.ones((2, 1)), np.array([[1.0], [np.inf]]), of_one(2))

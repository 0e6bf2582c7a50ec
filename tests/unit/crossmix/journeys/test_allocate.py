"""Allocation: closed forms, and that no budget is ever passed."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crossmix.journeys.allocate import (
    AllocationError,
    Pace,
    begin,
    choose,
    draw,
    explicit,
    implicit,
    initial,
    mix,
    paid_for,
    top,
    value,
)


def test_the_channel_is_the_best_by_value_less_the_price_of_its_cost() -> None:
    value_BC = np.array([[3.0, 2.0], [0.5, 0.4], [0.0, 5.0]])
    cost_C = np.array([2.0, 0.5])
    free = choose(value_BC, cost_C, 0.0)
    assert free.channel_B.tolist() == [0, 0, 1]
    assert free.allocated_B.all()
    dear = choose(value_BC, cost_C, 1.0)
    assert dear.channel_B.tolist() == [1, 1, 1]
    np.testing.assert_allclose(dear.margin_B, [1.5, -0.1, 4.5])
    assert dear.allocated_B.tolist() == [True, False, True]


def test_a_batch_is_filled_from_the_best_down_and_ends_where_the_budget_does() -> None:
    value_BC, cost_C = np.array([[1.0], [4.0], [3.0], [2.0]]), np.array([1.0])
    assert choose(value_BC, cost_C, 0.0, budget=2.5).allocated_B.tolist() == [False, True, True, False]
    assert choose(value_BC, cost_C, 0.0, most=1).allocated_B.tolist() == [False, True, False, False]
    assert top(np.array([0.1, 0.9, 0.5]), np.ones(3), 10.0, most=2).tolist() == [False, True, True]
    assert top(np.array([0.1, 0.9, 0.5]), np.ones(3), 1.0).tolist() == [False, True, False]


def test_the_worth_of_a_click_and_of_a_conversion_add_up() -> None:
    got = value(np.array([[0.2, 0.4]]), np.array([[0.1, 0.0]]), 2.0, np.array([10.0, 30.0]))
    np.testing.assert_allclose(got, [[1.4, 0.8]])


@pytest.mark.parametrize(
    ("costs", "shadow", "field"), [([np.nan], 0.0, "costs"), ([-1.0], 0.0, "costs"), ([1.0], -1.0, "lambda")]
)
def test_what_is_no_cost_or_no_price_is_refused(costs: list[float], shadow: float, field: str) -> None:
    with pytest.raises(AllocationError, match=field):
        choose(np.ones((2, 1)), np.array(costs), shadow)


@settings(deadline=None, max_examples=60)
@given(
    seed=st.integers(0, 10_000),
    budget=st.floats(0.0, 200.0),
    rounds=st.integers(1, 15),
    off=st.floats(0.0, 10.0),
)
def test_spend_never_passes_the_budget_whatever_lambda_is(seed: int, budget: float, rounds: int, off: float) -> None:
    rng = np.random.default_rng(seed)
    cost_C = rng.exponential(1.0, 3)
    pace, spent = Pace(shadow=off, budget=budget, rounds=rounds, scale=1.0), 0.0
    for _ in range(rounds):
        value_BC = rng.exponential(1.0, (30, 3))
        chosen = choose(value_BC, cost_C, pace.shadow, budget=pace.cap)
        cost = float(cost_C[chosen.channel_B][chosen.allocated_B].sum())
        spent += cost
        pace = pace.after(cost)
    assert spent <= budget * (1 + 1e-9)
    assert pace.shadow >= 0


def test_more_than_is_left_is_refused() -> None:
    with pytest.raises(AllocationError, match="spend"):
        Pace(shadow=0.0, budget=1.0, rounds=2, scale=1.0).after(1.1)


def test_dual_descent_finds_the_price_at_which_the_budget_is_spent_evenly() -> None:
    """Values are exponential and the cost is 1: a share exp(-lambda) of users is bought, so lambda is ln(1 / share)."""
    rng = np.random.default_rng(0)
    users, rounds, share = 4_000, 60, 0.1
    pace = begin(rng.exponential(1.0, (users, 1)), np.ones(1), users * rounds * share, rounds)
    assert pace.shadow == pytest.approx(np.log(1 / share), rel=0.05)
    wrong, spends = Pace(shadow=0.5, budget=pace.budget, rounds=rounds, scale=pace.scale), []
    for _ in range(rounds):
        chosen = choose(rng.exponential(1.0, (users, 1)), np.ones(1), wrong.shadow, budget=wrong.cap)
        spends.append(int(chosen.allocated_B.sum()))
        wrong = wrong.after(float(spends[-1]))
    assert sum(spends) >= 0.97 * pace.budget
    assert np.mean(spends[20:50]) == pytest.approx(users * share, rel=0.25)


def test_the_seed_s_policies_are_equation_17() -> None:
    channel = np.array([0, 0, 0, 0, 1, 1])
    clicked = np.array([1, 0, 0, 0, 1, 0], bool)
    np.testing.assert_allclose(explicit(channel, clicked, 3), [1 / 3, 2 / 3, 0])
    reward = np.array([0.9, 0.6, 0.2, 0.1, 0.1, 0.6])
    np.testing.assert_allclose(implicit(channel, reward, 0.5, 3), [0.5, 0.5, 0])
    np.testing.assert_allclose(initial(np.array([1.0, 0.0]), np.array([0.0, 1.0]), 0.25), [0.75, 0.25])
    np.testing.assert_allclose(mix(np.array([[1.0, 0.0]]), np.array([0.5, 0.5]), 0.8), [[0.9, 0.1]])
    np.testing.assert_allclose(explicit(channel, np.zeros(6, bool), 2), [0.5, 0.5])


def test_channels_are_drawn_by_their_shares() -> None:
    rows = np.tile([0.2, 0.5, 0.3], (30_000, 1))
    drawn = np.bincount(draw(rows, np.random.default_rng(0)), minlength=3) / len(rows)
    np.testing.assert_allclose(drawn, [0.2, 0.5, 0.3], atol=4 * 0.5 / np.sqrt(30_000))


def test_a_free_channel_does_not_set_the_price_of_money() -> None:
    rng = np.random.default_rng(8)
    value_BC = rng.exponential(1.0, (2_000, 2))
    free, paid = begin(value_BC, np.array([0.0, 1.0]), 500.0, 1), begin(value_BC, np.array([1e-9, 1.0]), 500.0, 1)
    assert 0 < free.shadow < value_BC[:, 1].max()
    assert free.scale == free.shadow
    chosen = choose(value_BC, np.array([0.0, 1.0]), free.shadow)
    assert (chosen.allocated_B & (chosen.channel_B == 1)).sum() == pytest.approx(500, abs=2)
    assert paid.shadow == pytest.approx(free.shadow, rel=1e-2)
    assert begin(value_BC, np.zeros(2), 500.0, 1).shadow == 0.0


def test_what_is_dearer_than_what_is_left_is_not_won_and_the_next_is_tried() -> None:
    price_B = np.array([4.0, 3.0, 9.0, 2.0, 1.0])
    assert paid_for(np.array([1, 2, 0, 3]), price_B, 9.0).tolist() == [1, 0, 3]
    assert paid_for(np.array([1, 0, 3]), price_B, 9.0).tolist() == [1, 0, 3]
    assert paid_for(np.array([2]), price_B, 8.9).tolist() == []
    assert paid_for(np.array([], np.int64), price_B, 0.0).tolist() == []

"""Elasticities by data alone: what money did, what demand may have done, and how well they are told apart."""

from __future__ import annotations

import numpy as np
import pytest

from crossmix.evaluate.decision.elasticities import (
    LEAST,
    UNKNOWN,
    Elasticities,
    H,
    Slope,
    cell,
    elasticities,
    slope,
    together,
)
from tests.support.decisions import wandering

TRUE = 0.6


def alone(y: np.ndarray, x: np.ndarray) -> Slope:
    """Of budgets that never moved together."""
    return slope(y, x, np.zeros_like(x))


def test_the_interval_of_an_elasticity_covers_it() -> None:
    covered = []
    for seed in range(300):
        rng = np.random.default_rng(seed)
        x = wandering(rng, 120, 0.35)
        found = alone(0.68 * x + wandering(rng, 120, 0.15), x)
        covered.append(abs(found.alone - 0.68) <= 1.96 * found.alone_error)
    assert 0.91 <= np.mean(covered) <= 0.985


def test_more_spend_that_moved_tells_more() -> None:
    rng = np.random.default_rng(1)
    x, noise = wandering(rng, 182, 1.0), wandering(rng, 182, 0.1)
    wide, narrow = (alone(0.7 * part * x + noise, part * x) for part in (0.35, 0.07))
    assert narrow.alone_error == pytest.approx(5 * wide.alone_error, rel=0.01)
    assert wide.alone == pytest.approx(0.7, abs=3 * wide.alone_error)


def test_both_slopes_are_those_of_one_regression() -> None:
    """E without h, less what h takes of it, is E beside h."""
    rng = np.random.default_rng(7)
    x, m = wandering(rng, 300, 0.3), wandering(rng, 300, 0.3)
    x = x + m
    found = slope(0.6 * x + 0.3 * m + 1e-6 * rng.standard_normal(300), x, m)
    assert found.with_all == pytest.approx(0.3, abs=1e-5)
    assert found.alone - found.gain * found.with_all == pytest.approx(0.6, abs=1e-5)
    assert 0.2 < found.gain < 0.8


def test_spend_that_never_moved_tells_nothing() -> None:
    ones = np.ones((60, 1, 2))
    revenue = np.exp(np.stack([wandering(np.random.default_rng(p), 60, 0.2) for p in range(2)], 1))[:, None]
    for days in (60, LEAST - 1):
        found = elasticities(revenue[:days], ones[:days], 50 * ones[:days], np.zeros(days))
        assert (found.value == 0).all()
        assert (found.error == UNKNOWN).all()
        assert (found.common == 0).all()


def test_what_is_left_over_a_right_prediction_has_no_slope() -> None:
    rng = np.random.default_rng(4)
    spend = np.exp(wandering(rng, 150, 0.4))
    predicted = 300 * spend**0.6
    revenue = predicted * np.exp(wandering(rng, 150, 0.1))
    off = cell(revenue, spend, 0 * spend + 40, 0 * spend, predicted)
    assert abs(off.alone) <= 2.5 * off.alone_error
    wrong = cell(revenue, spend, 0 * spend + 40, 0 * spend, predicted * spend**0.5)
    assert wrong.alone == pytest.approx(off.alone - 0.5, abs=0.02)


def test_cycles_are_summed_until_a_sum_has_conversions() -> None:
    """One conversion a day: daily revenue is mostly nothing, of which no logarithm is taken."""
    rng = np.random.default_rng(2)
    spend = np.exp(wandering(rng, 400, 0.4))
    conversions = rng.poisson(spend**0.7).astype(float)
    found = cell(50 * conversions, spend, conversions, 0 * spend)
    assert found.alone == pytest.approx(0.7, abs=2.5 * found.alone_error)
    assert found.alone_error < 0.6


def followed(
    seed: int, campaigns: int, platforms: int, own: float, demand: float, per_day: float = 15.0
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Revenue, spend and conversions of half a year, (T, C, P): budgets follow demand in proportion, and move by `own`
    in ln of their own; conversions ~ demand (spend / demand)^0.6."""
    rng = np.random.default_rng([9, seed])
    cells = campaigns * platforms

    def series(deviation: float) -> np.ndarray:
        drawn = np.stack([wandering(rng, 182, deviation) for _ in range(cells)], 1)
        return np.exp(drawn).reshape(182, campaigns, platforms)

    demand_T = np.exp(wandering(rng, 182, demand, 0.9))[:, None, None]
    moved = series(own)
    conversions = rng.poisson(per_day * demand_T * moved**TRUE * series(0.1)).astype(float)
    return 50 * conversions, 100 * demand_T * moved, conversions


def known(*history: np.ndarray) -> Elasticities:
    return elasticities(*history, together(history[1]))


MANY = [(1, 3), (1, 4), (1, 5), (3, 4), (4, 2)]


@pytest.mark.parametrize("own", [0.0, 0.01])
@pytest.mark.parametrize("shape", [(1, 2), *MANY])
def test_where_budgets_only_moved_together_nothing_tells_money_from_demand(shape: tuple[int, int], own: float) -> None:
    """Everything grows with demand in proportion: spend alone says 1, with an error of a few hundredths."""
    for seed in range(4):
        found = known(*followed(seed, *shape, own, 0.3))
        assert (found.error >= 0.2).all()
        assert (found.common >= 0.2).all()
        assert np.mean(np.abs(found.value - TRUE) <= 2.5 * found.error) >= 0.7


def test_one_cell_alone_always_moved_together() -> None:
    """By how much h is unknown a priori, its elasticity is."""
    found = known(*followed(0, 1, 1, 0.35, 0.0))
    whole = np.sqrt(H.mean_sd**2 + H.platform**2 + H.campaign**2 + H.own**2)
    assert found.common.item() == pytest.approx(whole, rel=0.01)
    assert found.error.item() > found.common.item()


@pytest.mark.parametrize(("shape", "most"), [((1, 2), 1.45), *((shape, 1.25) for shape in MANY)])
def test_where_they_moved_apart_it_is_about_as_sure_as_without(shape: tuple[int, int], most: float) -> None:
    """Two cells that moved apart still tell; of three or more what they did together costs little."""
    wider, covered = [], []
    for seed in range(40):
        history = followed(seed, *shape, 0.35, 0.0)
        found = known(*history)
        without = elasticities(*history, np.zeros(182))
        wider.append(found.error / without.error)
        covered.append(np.abs(found.value - TRUE) <= 1.96 * found.error)
    assert np.mean(wider) < most
    assert np.mean(covered) > 0.84


@pytest.mark.parametrize("shape", MANY)
def test_demand_that_budgets_follow_is_not_taken_for_money(shape: tuple[int, int]) -> None:
    found = [known(*followed(seed, *shape, 0.35, 0.3)) for seed in range(8)]
    without = [elasticities(*followed(seed, *shape, 0.35, 0.3), np.zeros(182)) for seed in range(8)]
    assert np.mean([one.value for one in found]) == pytest.approx(TRUE, abs=0.09)
    assert np.mean([one.value for one in without]) > TRUE + 0.1
    assert np.mean([one.error for one in found]) < 0.15


def test_a_cell_that_stood_still_tells_what_the_others_movement_is() -> None:
    """One budget moved, the other's revenue shows that no demand moved with it."""
    rng = np.random.default_rng(5)
    spend = np.stack([np.exp(wandering(rng, 182, 0.4)), np.ones(182)], 1)[:, None]
    revenue = 700 * spend**TRUE * np.exp(np.stack([wandering(rng, 182, 0.1) for _ in range(2)], 1))[:, None]
    found = known(revenue, spend, 0 * spend + 15)
    assert found.error[0].tolist() == pytest.approx([0.08, UNKNOWN], abs=0.04)
    assert found.value[0, 0] == pytest.approx(TRUE, abs=2.5 * found.error[0, 0])


def test_together_is_the_mean_of_what_was_spent_above_the_usual() -> None:
    spend = np.array([[1.0, 4.0], [np.e, 4.0], [1.0, 4.0 * np.e], [0.0, 4.0 * np.e], [0.0, 0.0]])[:, None]
    usual = np.array([1 / 3, np.log(4) + 0.5])
    off = [[0.0, np.log(4)], [1.0, np.log(4)], [0.0, np.log(4) + 1]] - usual
    assert together(spend).tolist() == pytest.approx([*off.mean(1), 0.5, 0.0])


def test_cycles_that_do_not_count_are_left_out_before_cycles_are_summed() -> None:
    """Five conversions a day: eight make a sum, and half a sum of nothing would look like proportion."""
    found = []
    for seed in range(30):
        rng = np.random.default_rng([61, seed])
        spend_T = 100 * np.exp(wandering(rng, 182, 0.4))
        spend_T[60:123] = np.repeat([100.0, 200.0, 100.0], 21)
        sold_T = 5 * np.where((np.arange(182) >= 60) & (np.arange(182) < 123), (spend_T / 100) ** 0.3, spend_T / 100)
        sales = rng.poisson(sold_T).astype(float)[:, None, None]
        among = np.zeros((182, 1, 1), bool)
        among[60:123] = True
        spend = spend_T[:, None, None]
        found.append(elasticities(50 * sales, spend, sales, np.zeros(182), among_TCP=among).value[0, 0])
    assert np.mean(found) == pytest.approx(0.3, abs=0.1)

"""Pairs of arms whose size changes: the equal case is `sequential`'s, the level holds over all steps, the logarithm's
loss is given back, what was known before makes the first pairs count."""

from __future__ import annotations

import math

import numpy as np
import pytest

from crossmix.evaluate.stats.sequential import AnalysisError, sequential
from crossmix.evaluate.stats.unequal import NOTHING, Before, before, below_by_pair, noise, unequal

STEPS = np.repeat([[0.07, 0.63], [0.14, 0.56], [0.35, 0.35]], 7, axis=0)
"""Parts of canary and policy."""
SIGMA = 0.06
"""Deviation of an arm that has all users."""


def drawn(runs: int, part_T2: np.ndarray, seed: int) -> np.ndarray:
    """Log-ratios without a lift: figures with a mean of 1 and a variance in proportion to 1 / part, (R, T)."""
    rng, logs = np.random.default_rng(seed), []
    for part_T in part_T2.T:
        shape_T = part_T / SIGMA**2
        logs.append(np.log(rng.gamma(shape_T, 1 / shape_T, (runs, len(part_T)))))
    return np.asarray(logs[0] - logs[1])


def test_arms_of_one_size_are_sequentials() -> None:
    ratio = np.array([0.21, -0.05, 0.11, 0.3, 0.02, 0.17])
    mine, theirs = unequal(ratio, np.full((6, 2), 0.5), 0.05), sequential(np.exp(ratio), np.ones(6), 0.05)
    for name in ("lift", "low", "high", "p"):
        assert getattr(mine, name) == pytest.approx(getattr(theirs, name), rel=1e-9), name


def test_the_interval_leaves_out_a_threshold_exactly_where_the_test_is_below_it() -> None:
    ratio_RT = drawn(40, STEPS, 1) + math.log(0.75)
    known = Before(np.full(40, 13 * SIGMA**2), 13)
    for threshold in (0.0, -0.1):
        found_RT = below_by_pair(ratio_RT, STEPS, threshold, 0.08, known)
        for row in range(40):
            one = Before(13 * SIGMA**2, 13)
            highs = [unequal(ratio_RT[row, :n], STEPS[:n], 0.08, one).high for n in range(1, 22)]
            assert found_RT[row].tolist() == np.maximum.accumulate(np.array(highs) < threshold).tolist()
    assert 0.3 < found_RT[:, 9].mean() < found_RT[:, -1].mean()


@pytest.mark.parametrize("degrees", [0, 13])
def test_a_harmless_arm_is_rarely_below_over_all_steps(degrees: int) -> None:
    """Level 0.04 on one side; the gammas are as skewed as an arm with 20 sales a cycle."""
    ratio_RT = drawn(4_000, STEPS, 2)
    squares_R = SIGMA**2 * np.random.default_rng(3).chisquare(degrees, 4_000) if degrees else np.zeros(4_000)
    false = below_by_pair(ratio_RT, STEPS, 0.0, 0.08, Before(squares_R, degrees))[:, -1].mean()
    assert 0.005 < false < 0.04


def test_what_was_known_before_makes_the_first_pairs_count() -> None:
    ratio_RT = drawn(1_000, STEPS, 4) + math.log(0.7)
    known = before(drawn(1_000, np.full((14, 2), [0.7, 0.3]), 5), noise(np.full((14, 2), [0.7, 0.3])))
    assert known.degrees == 13
    assert np.asarray(known.squares).mean() / 13 == pytest.approx(SIGMA**2, rel=0.05)
    with_it, without = (below_by_pair(ratio_RT, STEPS, 0.0, 0.08, one).mean(0) for one in (known, NOTHING))
    assert with_it[4] > 2 * without[4]
    assert with_it[9] > without[9] > 0.7


def test_the_smaller_arms_logarithm_has_lost_more_and_gets_it_back() -> None:
    part = np.full((4_000, 2), [0.07, 0.63])
    ratio = drawn(1, part, 6)[0]
    assert ratio.mean() == pytest.approx(-(SIGMA**2) / 2 * (1 / 0.07 - 1 / 0.63), rel=0.25)
    assert abs(unequal(ratio, part, 0.05).lift) < 0.3 * abs(ratio.mean())


def test_several_cycles_to_a_pair_are_less_noisy() -> None:
    assert noise([0.07, 0.63], 4) == pytest.approx(noise([0.07, 0.63]) / 2)
    assert noise([[0.5, 0.5]]).tolist() == [2.0]


def test_equal_figures_have_no_lift_and_no_interval() -> None:
    same = unequal(np.zeros(5), STEPS[:5], 0.05)
    assert (same.lift, same.low, same.high, same.p) == (0.0, 0.0, 0.0, 1.0)


@pytest.mark.parametrize(
    ("ratio", "part", "named"),
    [
        ([0.1, 0.2, 0.3], STEPS[:2], "give two parts to a ratio"),
        ([0.1, 0.2], STEPS[:2], "wait for 3"),
        ([0.1, math.inf, 0.3], STEPS[:3], "leave out cycles without a figure above 0"),
        ([0.1, 0.2, 0.3], np.zeros((3, 2)), "or a part is 0"),
    ],
)
def test_what_cannot_be_judged_says_why(ratio: list[float], part: np.ndarray, named: str) -> None:
    with pytest.raises(AnalysisError, match=named):
        unequal(ratio, part, 0.05)

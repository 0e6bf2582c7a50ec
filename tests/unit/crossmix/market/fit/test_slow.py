"""A level's slow moves: against the dense posterior, and trends and steps against what made them."""

from __future__ import annotations

import math

import numpy as np
import pytest

from crossmix.market.fit import regression
from crossmix.market.fit.regression import Columns
from crossmix.market.fit.slow import ALIKE, EACH, MOVES, MOVING, SIZES, Slow, Told

LAW = (math.log(0.1), 1.4, -9.0)
DAYS = 182


def told(rng: np.random.Generator, series: int, moves: int) -> Told:
    root = rng.standard_normal((series, moves, 2 * moves))
    return Told(root @ root.swapaxes(1, 2), 5 * rng.standard_normal((series, moves)))


def test_the_parts_of_a_move_have_their_joint_posterior() -> None:
    rng = np.random.default_rng(0)
    platform_K, moves = np.array([0, 1, 2, 0, 1, 2]), 3
    size = np.array([0.3, 0.05, 0.8])
    slow = Slow(np.zeros((1, moves)), size[None], platform_K)
    seen = told(rng, 6, moves)
    found = slow.found(seen)
    # All parts at once: of all, of three platforms, of six series.
    part = np.zeros((6, moves, 10, moves))
    for k, p in enumerate(platform_K):
        part[k][:, [0, 1 + p, 4 + k]] = np.eye(moves)[:, None]
    part = part.reshape(6, moves, 10 * moves)
    precision = np.diag(np.tile(1 / size, 10)) + np.einsum("kjx,kji,kiy->xy", part, seen.precision, part)
    whole = np.linalg.inv(precision)
    mean = whole @ np.einsum("kjx,kj->x", part, seen.pull)
    covariance = np.einsum("kjx,xy,liy->klji", part, whole, part)
    np.testing.assert_allclose(found.mean_KJ, part @ mean, rtol=1e-8, atol=1e-10)
    common = np.einsum("kjc,lic->klji", found.common_KJJ, found.common_KJJ)
    for k in range(6):
        np.testing.assert_allclose(found.covariance_KJJ[k] + common[k, k], covariance[k, k], rtol=1e-7, atol=1e-10)
        for other in np.flatnonzero(platform_K != platform_K[k]):
            np.testing.assert_allclose(common[k, other], covariance[k, other], rtol=1e-7, atol=1e-10)


def test_nearly_the_same_history_has_nearly_the_same_loadings() -> None:
    """Fits of one history are averaged: where two errors change places in size their loadings must not."""
    slow = Slow(np.zeros((1, 2)), np.ones((1, 2)), np.zeros(2, np.int64))
    loadings = []
    for precision in ((10.0, 10.1), (10.1, 10.0)):
        seen = Told(np.repeat(np.diag(precision)[None], 2, 0), np.ones((2, 2)))
        loadings.append(slow.found(seen).common_KJJ)
    assert np.abs(loadings[0]).max() > 0.05
    np.testing.assert_allclose(*loadings, atol=0.01)


def test_sizes_weigh_by_what_they_explain() -> None:
    """One series of one move: the evidence of each size is a normal density."""
    slow = Slow(np.zeros((1, 1)), np.array([[0.0], [0.04], [0.5]]), np.zeros(1, np.int64))
    one, prior = Told(np.array([[[50.0]]]), np.array([[50 * 0.6]])), (0.7, 0.2, 0.1)
    density = [
        weight * math.exp(-0.5 * 0.6**2 / (size + 1 / 50)) / math.sqrt(size + 1 / 50)
        for weight, size in zip(prior, (0.0, 0.04, 0.5), strict=True)
    ]
    weight = np.array(density) / sum(density)
    shrunk = np.array([0.0, 0.6 * 0.04 / 0.06, 0.6 * 0.5 / 0.52])
    left = np.array([0.0, 1 / (25 + 50), 1 / (2 + 50)])
    moved = slow.moved(one, prior)
    assert moved.mean[0, 0] == pytest.approx(weight @ shrunk)
    assert moved.covariance[0, 0, 0] == pytest.approx(weight @ (left + shrunk**2) - (weight @ shrunk) ** 2)
    assert moved.size[0, 0] == pytest.approx(weight @ [0.0, 0.04, 0.5])


def test_series_that_tell_nothing_are_as_likely_as_their_prior() -> None:
    """Each by itself or all alike: the probabilities of both, of series that tell nothing."""
    slow = Slow.of(DAYS, 14, np.arange(3))
    moves = slow.since_TJ.shape[1]
    nothing = Told(np.zeros((3, moves, moves)), np.zeros((3, moves)))
    assert slow.likelihood_of_all(nothing) == pytest.approx(np.log(ALIKE[0] + (1 - ALIKE[0]) * MOVES[0] ** 3))


def test_the_mean_of_what_a_walk_will_do_is_a_third_of_its_time_away() -> None:
    walk = SIZES[-1][1]
    assert Slow.of(DAYS, 15, np.arange(1)).variance_HJ[-1, -1] == pytest.approx(walk**2 * 5 / (DAYS - 1))


def test_one_series_moves_as_all_do_and_levels_are_likelier_to_where_budgets_did() -> None:
    size = np.array([[0.0], [0.04], [0.5], [0.0], [0.0]])
    slow, one = Slow(np.zeros((1, 1)), size, np.zeros(1, np.int64)), Told(np.array([[[50.0]]]), np.array([[30.0]]))
    density = np.exp(-0.5 * 0.6**2 / (size[:, 0] + 1 / 50)) / np.sqrt(size[:, 0] + 1 / 50)
    for moved, prior in ((0.0, [0.6, *[0.1] * 4]), (1.0, [0.1, *[0.225] * 4]), (0.4, [0.4, *[0.15] * 4])):
        found = slow.budgets(moved).found(one)
        weight = np.array(prior) * density / (np.array(prior) @ density)
        assert found.moved == pytest.approx(1 - weight[0])
        assert found.mean_KJ[0, 0] == pytest.approx(weight @ (0.6 * size[:, 0] / (size[:, 0] + 1 / 50)))
    # Of several it is what they have in common.
    apart = Told(np.repeat(one.precision, 2, 0), np.array([[30.0], [-30.0]]))
    together = Told(apart.precision, np.array([[30.0], [30.0]]))
    pair = Slow(np.zeros((1, 1)), size, np.arange(2))
    assert pair.found(apart).moved < 0.4 < 0.9 < pair.found(together).moved


def test_a_line_is_the_likelier_to_move_where_others_of_the_account_do() -> None:
    slow = Slow.of(DAYS, 14, np.arange(3))
    # Others that tell nothing leave what is known of a line by itself.
    assert slow.beside([1.0, 1.0, 1.0]).alike == pytest.approx(ALIKE)
    for odds in ([0.0, 0.1, 0.0], [0.2, 40.0, 0.3], [1e9, 1e300, 2.0]):
        # Every answer of an account: whether it moved, and each of its other lines.
        likely = np.array([[1 - EACH, EACH * one] for one in np.minimum(odds, 1e60)])
        account = MOVING * likely.sum(1).prod()
        still, *sizes = slow.beside(odds).alike
        assert 1 - still == pytest.approx(EACH * account / (account + 1 - MOVING))
        np.testing.assert_allclose(np.divide(sizes, sum(sizes)), np.divide(ALIKE[1:], sum(ALIKE[1:])))
    assert 1 - slow.beside([0.0, 0.0, 0.0]).alike[0] == pytest.approx(1 / 6)
    # What the data say is by how much they raise the odds that there were.
    followed = slow.budgets(1.0)
    for known in (slow, followed):
        before = 1 - known.alike[0]
        assert known.odds(before) == pytest.approx(1.0)
        assert known.odds(0.5) == pytest.approx((1 - before) / before)
    assert followed.beside([1.0, 1.0, 1.0]).budgets(1.0).alike == pytest.approx(followed.alike)


def drifting(rng: np.random.Generator, series: int) -> np.ndarray:
    drift = 0.1 * rng.standard_normal((DAYS, series))
    for t in range(1, DAYS):
        drift[t] = 0.8 * drift[t - 1] + 0.6 * drift[t]
    return drift


def fitted(level_TK: np.ndarray, seed: int) -> regression.Line:
    rng = np.random.default_rng(seed)
    u = 0.3 * rng.standard_normal(level_TK.shape)
    x = np.stack([np.ones_like(u), u], 2)
    slow = Slow.of(DAYS, 14, np.arange(level_TK.shape[1]))
    mean = np.tile([float(level_TK.mean()), 0.7], (level_TK.shape[1], 1))
    columns = Columns(x, mean, np.array([3.0, 1.0]), slow)
    seen = np.ones(u.shape, bool)
    noisy = level_TK + 0.7 * u + drifting(rng, u.shape[1]) + 0.03 * rng.standard_normal(u.shape)
    return regression.fit(noisy, np.full(u.shape, 0.03**2), seen, columns)


def error(line: regression.Line) -> np.ndarray:
    return np.sqrt(line.covariance_KRR[:, 0, 0] + (line.common_KJ**2).sum(1))


@pytest.mark.parametrize("times", [2.5, 1 / 2.5])
def test_a_trend_is_followed_to_its_end_by_all_series_together(times: float) -> None:
    trend = np.linspace(0, math.log(times), DAYS)[:, None] + np.array([1.0, 2.0, 3.0, 4.0])
    off = []
    for seed in range(6):
        line = fitted(trend, seed)
        off.append((line.beta_KR[:, 0] - trend[-1]) / error(line))
        # Drifts of 10 %, four of them: the end of a line through 182 days of each is known to 0.045, of all to 0.02.
        assert abs((line.beta_KR[:, 0] - trend[-1]).mean()) < 0.1
        assert (error(line) < 0.12).all()
        # The drift around it is what it is, not the trend.
        assert math.exp(line.law[0]) == pytest.approx(0.1, rel=0.3)
        np.testing.assert_allclose(line.slow_TK[0], -math.log(times), atol=0.15)
        np.testing.assert_array_equal(line.slow_TK[-1], 0.0)
        np.testing.assert_allclose(line.beta_KR[:, 1], 0.7, atol=0.06)
    assert float(np.mean(np.abs(off) < 2)) > 0.9


@pytest.mark.parametrize("ago", [30, 60, 90])
@pytest.mark.parametrize("times", [1.7, 1 / 1.7])
def test_a_step_of_one_series_moves_that_one_alone(ago: int, times: float) -> None:
    level = np.tile([1.0, 2.0, 3.0, 4.0], (DAYS, 1))
    level[-ago:, 1] += math.log(times)
    line = fitted(level, ago)
    off = line.beta_KR[:, 0] - level[-1]
    # A month of a drift of 10 % that lasts five days is known to 0.055.
    assert abs(off[1]) < 0.17
    assert abs(off[1]) < 3 * error(line)[1]
    assert np.abs(off[[0, 2, 3]]).max() < 0.07
    assert error(line)[[0, 2, 3]].max() < 0.05 < error(line)[1]
    np.testing.assert_allclose(line.slow_TK[0, [0, 2, 3]], 0, atol=0.03)
    assert line.slow_TK[0, 1] * math.log(times) < -0.15


def test_a_level_that_stays_is_the_mean_that_it_was() -> None:
    level = np.tile([1.0, 2.0, 3.0, 4.0], (DAYS, 1))
    off = []
    for seed in range(6):
        line = fitted(level, seed)
        columns = Columns(np.ones((DAYS, 4, 1)), level[:1].T, np.array([3.0]))
        assert columns.moves.since_TJ.shape == (DAYS, 0)
        off.append(np.abs(line.slow_TK).max())
        # 0.1 sqrt(9 / 182) of the mean, little more of the doubt whether it moved.
        assert error(line).max() < 0.045
    assert np.median(off) < 0.01
    assert max(off) < 0.05


def test_a_series_that_ended_long_ago_is_known_by_its_last_cycles_and_by_what_all_did_since() -> None:
    still = np.tile([1.0, 2.0, 3.0, 4.0], (DAYS, 1))
    stepped, grown = still.copy(), still + np.linspace(0, 1, DAYS)[:, None]
    stepped[-110:, 3] += 0.6
    errors = []
    for level in (still, stepped, grown):
        rng = np.random.default_rng(3)
        seen = np.ones(level.shape, bool)
        seen[-60:, 3] = False
        columns = Columns(np.ones((*level.shape, 1)), level[:1].T, np.array([3.0]), Slow.of(DAYS, 14, np.arange(4)))
        line = regression.fit(level + drifting(rng, 4), np.full(level.shape, 1e-3), seen, columns)
        errors.append(error(line))
        # It grew with the others while nobody saw it; a step of its own it keeps.
        assert line.beta_KR[3, 0] == pytest.approx(level[-1, 3], abs=0.15)
        assert errors[-1][3] > 1.1 * errors[-1][:3].max()
    assert errors[0][3] < 0.06
    # What moved by itself once may have moved again since.
    assert errors[1][3] > 0.2

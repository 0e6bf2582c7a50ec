"""Regression with an AR(1) residual: against dense least squares, and counts against what made them."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

from crossmix.market.fit import regression
from crossmix.market.fit.regression import Columns
from crossmix.market.fit.slow import Slow


def columns(x_TKR: np.ndarray, mean: float = 0.0, deviation: float = 3.0) -> Columns:
    return Columns(x_TKR, np.full(x_TKR.shape[1:], mean), np.full(x_TKR.shape[2], deviation))


def test_a_line_is_that_of_dense_least_squares() -> None:
    rng = np.random.default_rng(0)
    days = np.arange(25)
    x = np.stack([np.ones(25), rng.standard_normal(25)], 1)[:, None]
    noise, seen = rng.uniform(0.01, 0.1, (25, 1)), rng.random((25, 1)) > 0.2
    y = (x @ np.array([1.0, 0.5])) + 0.3 * rng.standard_normal((25, 1))
    law = (math.log(0.2), 1.2, -5.0)
    line = regression.fit(y, noise, seen, columns(x), law)
    rho = 1 / (1 + math.exp(-1.2))
    covariance = 0.04 * rho ** abs(days[:, None] - days) + np.diag(noise[:, 0] + math.exp(-5.0))
    rows = np.flatnonzero(seen[:, 0])
    inverse = np.linalg.inv(covariance[np.ix_(rows, rows)])
    inner = x[rows, 0].T @ inverse @ x[rows, 0] + np.eye(2) / 9
    np.testing.assert_allclose(line.covariance_KRR[0], np.linalg.inv(inner), rtol=1e-8)
    np.testing.assert_allclose(line.beta_KR[0], np.linalg.solve(inner, x[rows, 0].T @ inverse @ y[rows, 0]), rtol=1e-8)
    left = y[:, 0] - x[:, 0] @ line.beta_KR[0]
    law_TT = 0.04 * rho ** abs(days[:, None] - days)
    np.testing.assert_allclose(line.drift_TK[:, 0], law_TT[:, rows] @ inverse @ left[rows], rtol=1e-7, atol=1e-12)


def test_the_law_of_the_drift_is_found() -> None:
    rng = np.random.default_rng(1)
    drift = np.zeros((300, 6))
    for t in range(1, 300):
        drift[t] = 0.8 * drift[t - 1] + 0.2 * 0.6 * rng.standard_normal(6)
    x = np.ones((300, 6, 1))
    line = regression.fit(2 + drift, np.full((300, 6), 1e-6), np.ones((300, 6), bool), columns(x))
    # 1,800 days with a memory of five: the deviation is known to 6 %.
    assert np.exp(line.law[0]) == pytest.approx(0.2, rel=0.2)
    # They are alike, and each keeps what is common.
    np.testing.assert_array_equal(line.deviation_K, np.exp(line.law[0]))
    np.testing.assert_array_equal(line.own_K, np.exp(line.law[2]))
    assert 1 / (1 + math.exp(-line.law[1])) == pytest.approx(0.8, abs=0.06)


def drifting(rng: np.random.Generator, deviation: float, series: int) -> np.ndarray:
    drift = deviation * rng.standard_normal((200, series))
    for t in range(1, 200):
        drift[t] = 0.8 * drift[t - 1] + 0.6 * drift[t]
    return drift


@pytest.mark.parametrize("seed", [0, 4, 6])
def test_the_law_is_the_mode_though_a_longer_persistence_is_nearly_as_likely(seed: int) -> None:
    """With noise of single cycles that is not there, it explains nearly as much, and says half as much of the level."""
    rng = np.random.default_rng(seed)
    drift = drifting(rng, 0.1, 4)
    u = 0.3 * rng.standard_normal(drift.shape)
    x = np.stack([np.ones_like(u), u], 2)
    prior = replace(columns(x), slow=Slow.of(len(u), 14, np.arange(4)))
    line = regression.fit(2 + 0.7 * u + drift, np.full(u.shape, 1e-5), np.ones(u.shape, bool), prior, each=False)
    # 800 days: the persistence is known to 0.02.
    assert 1 / (1 + math.exp(-line.law[1])) == pytest.approx(0.8, abs=0.05)
    # Of the mean of 200 days with a memory of nine, and a little for what levels may have done.
    error = 0.1 * math.sqrt(9 / 200)
    told = np.sqrt(line.covariance_KRR[:, 0, 0] + (line.common_KJ**2).sum(1))
    assert (0.9 * error < told).all()
    assert (told < 1.4 * error).all()


def test_a_wild_series_is_told_from_those_that_are_alike_and_known_as_badly_as_it_is() -> None:
    rng = np.random.default_rng(4)
    u = 0.3 * rng.standard_normal((200, 6))
    noise = drifting(rng, 0.1, 6)
    noise[:, 4] += 0.9 * rng.standard_normal(200)  # of each cycle's own
    noise[:, 5] = drifting(rng, 0.4, 1)[:, 0]  # a drift four times as large
    x = np.stack([np.ones_like(u), u], 2)
    line = regression.fit(2 + 0.7 * u + noise, np.full(u.shape, 1e-4), np.ones(u.shape, bool), columns(x))
    # 800 days of the four: their deviation is known to 10 %.
    np.testing.assert_allclose(line.deviation_K[:4], 0.1, rtol=0.25)
    assert line.own_K[:4].max() < 0.02**2
    assert line.own_K[4] == pytest.approx(0.9**2, rel=0.4)
    assert line.own_K[5] < 0.15**2
    assert line.deviation_K[5] == pytest.approx(0.4, rel=0.3)
    error = np.sqrt(line.covariance_KRR[:, 1, 1])
    # Of white noise over spend that wanders as much in itself: 0.9 / (0.3 sqrt(200)); of the others' innovations.
    assert error[4] == pytest.approx(0.9 / (0.3 * math.sqrt(200)), rel=0.25)
    np.testing.assert_allclose(error[:4], 0.1 * 0.6 / (0.3 * math.sqrt(1.64 * 200)), rtol=0.3)
    assert (np.abs(line.beta_KR[:, 1] - 0.7) < 3 * error).all()


def test_few_counts_are_not_pulled_to_one_side() -> None:
    # 0.7 events a day: their logarithm does not even exist on half of the days.
    rng = np.random.default_rng(2)
    u = 0.5 * rng.standard_normal((200, 40))
    exposure = np.full((200, 40), 70.0)
    count = rng.poisson(exposure * np.exp(math.log(0.01) - 0.3 * u)).astype(float)
    x = np.stack([np.ones_like(u), u], 2)
    prior = Columns(x, np.tile([math.log(0.01), 0.0], (40, 1)), np.array([3.0, 1.0]))
    line, mean = regression.fit_counts(count, exposure, np.ones_like(u, bool), prior)
    z = (line.beta_KR - [math.log(0.01), -0.3]) / np.sqrt(np.diagonal(line.covariance_KRR, axis1=1, axis2=2))
    # Means of 40: known to a sixth of a standard error.
    assert np.abs(z.mean(0)).max() < 0.6
    assert 0.7 < z.std(0)[1] < 1.3
    np.testing.assert_allclose(mean.sum(), count.sum(), rtol=0.03)


def test_a_step_whose_day_is_known_leaves_the_level_to_what_came_since() -> None:
    """As a column with a normal prior, which stays out of what is told of the others."""
    rng = np.random.default_rng(7)
    x = np.stack([np.ones((60, 2)), rng.standard_normal((60, 2))], 2)
    before = np.zeros((60, 2))
    before[:40, 1] = 1.0
    y = x @ np.array([1.0, 0.5]) + 0.6 * before + 0.05 * rng.standard_normal((60, 2))
    law, seen, noise = (math.log(0.05), 1.5, -6.0), np.ones((60, 2), bool), np.full((60, 2), 0.01**2)
    line = regression.fit(y, noise, seen, replace(columns(x), step_TK=before), law, each=False)
    wide = np.concatenate([x, before[..., None]], 2)
    deviation = np.array([3.0, 3.0, regression.STEP_SD])
    dense = regression.fit(y, noise, seen, Columns(wide, np.zeros((2, 3)), deviation), law, each=False)
    assert line.beta_KR.shape == (2, 2)
    np.testing.assert_allclose(line.beta_KR, dense.beta_KR[:, :2], rtol=1e-9)
    np.testing.assert_allclose(line.covariance_KRR, dense.covariance_KRR[:, :2, :2], rtol=1e-9)
    np.testing.assert_allclose(line.fitted_TK, dense.fitted_TK, rtol=1e-9)
    np.testing.assert_allclose(line.slow_TK, before * dense.beta_KR[:, 2], atol=1e-12)
    assert line.beta_KR[1, 0] == pytest.approx(1.0, abs=0.06)
    assert line.slow_TK[0, 1] == pytest.approx(0.6, abs=0.06)
    without = regression.fit(y, noise, seen, columns(x), law, each=False)
    assert without.beta_KR[1, 0] > 1.2

"""Regression with an AR(1) residual: against dense least squares, and counts against what made them."""

from __future__ import annotations

import math

import numpy as np
import pytest

from crossmix.market.fit import regression
from crossmix.market.fit.regression import Columns


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
    assert line.deviation == pytest.approx(0.2, rel=0.2)
    assert 1 / (1 + math.exp(-line.law[1])) == pytest.approx(0.8, abs=0.06)


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

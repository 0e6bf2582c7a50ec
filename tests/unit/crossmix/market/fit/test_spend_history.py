"""Supply from a spend history: the cost curve it assumes, its likelihood against a dense Gaussian, its Jacobian."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy.stats import multivariate_normal

from crossmix.config import Market as Settings
from crossmix.market.fit import estimators, spend_history
from crossmix.market.fit.supply import cost_curve


def test_slope_of_the_cost_curve_is_that_of_noisy_bids() -> None:
    # The closed form against the numerical curve that the log of impressions uses.
    from scipy.special import ndtri

    settings = Settings(lognormal_sigma=0.6, assumed_bid_dispersion=0.4)
    levels = np.linspace(0, 1, 513)
    knots = np.exp(0.6 * ndtri(levels.clip(5e-4, 1 - 5e-4)))
    curve = cost_curve(knots, 0.4)
    inner = slice(60, -60)
    slope = np.polyfit(ndtri(levels[inner]), np.log(curve[inner]), 1)[0]
    assert spend_history.assumed_slope(settings) == pytest.approx(slope, rel=0.02)
    ours = spend_history.cost_curve(slope, 512)
    assert 0.5 * (ours[1:] + ours[:-1]).mean() == pytest.approx(1.0)
    np.testing.assert_allclose(np.polyfit(ndtri(levels[inner]), np.log(ours[inner]), 1)[0], slope, rtol=1e-6)


def _series(seed: int = 0, days: int = 12) -> tuple[spend_history._Series, dict[str, torch.Tensor]]:
    rng = np.random.default_rng(seed)
    spend = rng.uniform(50, 150, (days, 2, 3))
    shown = np.round(20 * spend**0.7)
    clicks = np.round(0.1 * shown)
    shown[3, 0, 0] = clicks[3, 0, 0] = spend[3, 0, 0] = 0
    keep = np.ones(days, bool)
    keep[5] = False
    series = spend_history._series(shown, clicks, spend, keep, np.arange(days) % 7)
    return series, spend_history._start(Settings(), series)


def test_filter_is_the_density_of_an_ar1_with_noise() -> None:
    series, parameters = _series()
    drift = torch.tensor(np.random.default_rng(1).normal(size=series.observed_TQCP.shape)) * series.seen_TQCP
    likelihood = spend_history._filter(parameters, series, drift).log_likelihood
    expected = 0.0
    days = np.arange(len(drift))
    for q in range(2):
        deviation, persistence, noise = (
            float(parameters[name][q].detach()) for name in ("deviation", "persistence", "noise")
        )
        law = np.exp(2 * deviation) * (1 / (1 + np.exp(-persistence))) ** abs(days[:, None] - days)
        for c in range(2):
            for p in range(3):
                seen = series.seen_TQCP[:, q, c, p].numpy()
                variance = np.diag(series.noise_TQCP[:, q, c, p].numpy() + np.exp(noise))
                expected += multivariate_normal(cov=(law + variance)[np.ix_(seen, seen)]).logpdf(
                    drift[seen, q, c, p].numpy()
                )
                expected += 0.5 * seen.sum() * np.log(2 * np.pi)
    assert float(likelihood.detach()) == pytest.approx(expected, rel=1e-9)


def test_steepness_is_the_derivative_of_the_drift_at_a_fixed_spend() -> None:
    series, parameters = _series()
    step = 1e-6
    # At a fixed spend, ln price falls as ln W rises.
    moved = replace(
        series,
        log_wins_TCP=series.log_wins_TCP + step,
        observed_TQCP=series.observed_TQCP - torch.tensor([step, 0.0])[:, None, None],
    )
    for odds in (-2.0, 0.0, 3.0):  # the last wins nearly all requests, where the share won bends
        with torch.no_grad():
            parameters["odds"].fill_(odds)
            before, steepness = spend_history._curves(parameters, series)
            after, _ = spend_history._curves(parameters, moved)
        seen = series.seen_TQCP[:, 0]
        slope = ((after - before)[:, 0] / step).abs()[seen]
        np.testing.assert_allclose(slope.numpy(), steepness.exp()[seen].numpy(), rtol=1e-4)


def test_spread_of_single_values_shows_in_daily_revenue() -> None:
    rng = np.random.default_rng(3)
    conversions = rng.poisson(40, (200, 2, 3)).astype(float)
    mean = np.array([[10.0, 30.0, 90.0], [12.0, 33.0, 70.0]])
    cv = 0.6
    revenue = rng.gamma(np.maximum(conversions, 1e-9) / cv**2) * mean * cv**2
    value, error, spread = estimators.value_of_totals(conversions, revenue)
    assert (np.abs(value - mean) < 4 * error).all()
    np.testing.assert_allclose(spread, cv, rtol=0.1)  # 1,200 squares: their mean is known to 4 %
    np.testing.assert_allclose(error, cv * mean / np.sqrt(conversions.sum(0)), rtol=0.15)

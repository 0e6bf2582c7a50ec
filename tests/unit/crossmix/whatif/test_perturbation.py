"""Fig. 4: the smoother and measured marginals against independent computations."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.signal import savgol_filter
from scipy.stats import norm

from crossmix import whatif
from crossmix.whatif.perturbation import _smoother
from tests.support.markets import make_market
from tests.support.scenes import revenue


def test_the_smoother_is_a_local_regression_and_a_savitzky_golay_filter() -> None:
    share = np.arange(0.01, 0.7, 0.02)
    design = (share[:, None] + np.array([-0.01, 0, 0.01])).reshape(-1)
    smoother = _smoother(share, design, 0.05)
    assert smoother @ (3 + 7 * design) == pytest.approx(np.full(len(share), 7.0))
    inner = slice(5, -5)  # where the window is symmetric, a parabola's slope is met exactly
    assert (smoother @ design**2)[inner] == pytest.approx(2 * share[inner])
    response = np.sqrt(design) + 0.02 * np.random.default_rng(0).standard_normal(len(design))
    slopes = []
    for at in share:
        weight = np.clip(1 - np.abs((design - at) / 0.05) ** 3, 0, None) ** 1.5  # polyfit squares its weights
        slopes.append(np.polyfit(design - at, response, 1, w=weight)[0])
    assert smoother @ response == pytest.approx(savgol_filter(slopes, 5, 2))


def test_measured_marginals_agree_with_the_closed_form() -> None:
    market = make_market(platforms=3)
    scene = whatif.make_scene(market, "c0", draws=10)
    found = whatif.perturbations(scene, spacing=0.03, cycles=300, top=0.8)
    assert [one.platform for one in found] == list(scene.platforms)
    points = len(found[0].share_G)
    limit = norm.isf(0.001 / (2 * 6 * points))  # Bonferroni over 3 platforms x 2 slopes x points
    for slot, one in enumerate(found):
        for slope in (one.own, one.net):
            error = (slope.measured.high - slope.measured.low) / (2 * 1.959964)
            z = (slope.measured.value - slope.smoothed) / error
            assert np.abs(z).max() < limit
            # Neighbours share simulated cycles: some 10 of the points are independent, so z^2 averages 1 +- 0.45.
            assert 0.2 < (z**2).mean() < 2.5
            # What the smoothing bends is small where the window is symmetric; power: the curve is many errors long.
            inner = slice(4, -4)
            assert np.abs(slope.smoothed - slope.closed)[inner].max() < 0.05 * np.abs(one.own.closed).max()
            assert np.ptp(slope.closed) > 5 * np.median(error)
        # Net: what the platform gains less what the others lose, by finite differences at a fixed total.
        others = scene.today_P.numpy().copy()
        others[slot] = 0
        others /= others.sum()

        def total(share: float, slot: int = slot, others: np.ndarray = others) -> float:
            split = (1 - share) * others
            split[slot] = share
            return revenue(scene, split, scene.budget)

        at = points // 2
        share = float(one.share_G[at])
        slope_here = (total(share + 1e-5) - total(share - 1e-5)) / (2e-5 * scene.budget)
        assert one.net.closed[at] == pytest.approx(slope_here, rel=1e-3, abs=1e-4)

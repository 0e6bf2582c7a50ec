"""Thresholds found on quiet residuals: they keep the budget there, and on others of the same law."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy import stats

from crossmix.config import Config, laptop
from crossmix.evaluate.watch.flights import static
from crossmix.evaluate.watch.quiet import MONTH, RARE, calibrate, found, scale, scaled
from crossmix.evaluate.watch.statistic import Sums, Track, look, scores, windowed
from crossmix.market.level_evidence import QUANTITIES
from tests.support import watching
from tests.support.markets import of_totals

Q = len(QUANTITIES)
CTR, CVR = (QUANTITIES.index(name) for name in ("ctr", "cvr"))


def noise(seed: int, cycles: int = 60, flights: int = 20, platforms: int = 3, skew: float = 0.0) -> Sums:
    rng = np.random.default_rng(seed)
    z = rng.standard_normal((cycles, flights, platforms, Q))
    if skew:
        z[:, :, 0] = rng.gamma(1 / skew, 1, z[:, :, 0].shape) * np.sqrt(skew) - 1 / np.sqrt(skew)
    return Sums(z, 0 * z, np.ones_like(z))


def allowed(budget: float) -> Config:
    config = laptop()
    return replace(config, thresholds=replace(config.thresholds, budget=budget))


@pytest.mark.parametrize(("budget", "skew"), [(0.5, 0.0), (2.0, 0.5)])
def test_the_budget_is_kept_and_used_where_the_law_is_the_same(budget: float, skew: float) -> None:
    calibrated = found(allowed(budget), noise(1, skew=skew), 1.0)
    assert calibrated.days == 20 * 60
    assert 0.8 * budget <= calibrated.achieved <= budget
    fresh = noise(2, flights=100, skew=skew)
    limits = calibrated.thresholds
    alerts = int(look(fresh, limits, Track.begin(limits, 100, 3))[0].alarms.any((2, 3)).sum())
    months = 100 * 60 / MONTH
    # The thresholds' own flights, a fifth of these, leave the rate unsure by a quarter.
    low, high = stats.poisson.interval(0.99, budget * months)
    assert low * 0.5 <= alerts <= high * 1.7


def test_both_rules_alarm() -> None:
    told = noise(1)
    calibrated = found(allowed(2.0), told, 1.0)
    looked, _ = look(told, calibrated.thresholds, Track.begin(calibrated.thresholds, 20, 3))
    counts = looked.by_largest.any((2, 3)).sum(), looked.by_cusum.any((2, 3)).sum()
    assert sum(counts) >= 0.8 * calibrated.alerts > 0
    assert max(counts) <= 1.5 * min(counts)


def test_thresholds_of_hours_are_of_hours() -> None:
    calibrated = found(allowed(6.0), noise(3, cycles=120, flights=20), 1 / 24)
    assert calibrated.thresholds.windows == (1, 24)
    assert calibrated.thresholds.cooldown == 7 * 24
    assert calibrated.thresholds.reference == pytest.approx(0.5 / np.sqrt(24))
    assert calibrated.days == pytest.approx(100)
    # Of a hundred days, in which six a month are twenty.
    assert 3.0 <= calibrated.achieved <= 6.0
    assert calibrated.thresholds.before == 23


def few(seed: int, cycles: int = 112, flights: int = 20) -> Sums:
    """Cycles of six hours, in which a platform's conversions are a tenth of one."""
    told = noise(seed, cycles, flights)
    count = np.random.default_rng(seed + 1).poisson(0.1, told.observed.shape[:3])
    for table, values in zip(told, (count, 0.1, 0.1), strict=True):
        table[..., CVR] = values
    return told


def test_tails_of_short_cycles_are_made_alike() -> None:
    """Of other flights, as far out as the scale was taken; the 99th percentile alone leaves those of few too long."""
    mine, fresh = (windowed(few(seed, flights=200), (1, 4)) for seed in (6, 7))
    furthest = []
    for own in (scaled(mine, 28), scale(mine)):
        score_WTFPQ = scores(fresh, own)
        largest = score_WTFPQ.reshape(2, 4, 28, 200, 3, Q).max((2, 4))
        furthest.append(np.quantile(largest, RARE, (1, 2)))
    normal = stats.norm.ppf(RARE ** (1 / (2 * 3 * 28)))
    np.testing.assert_allclose(furthest[0], normal, rtol=0.15)
    assert furthest[1][1, CVR] > 1.2 * furthest[1][1, CTR]
    # Of cycles of a day nothing is changed, and where nothing was told nothing is known.
    np.testing.assert_array_equal(scaled(mine[:1], 28), scale(mine[:1]))
    mine[..., CVR] = np.nan
    assert (scaled(mine, 28)[..., CVR] == 1).all()


def test_a_day_is_not_judged_by_the_tails_of_what_is_seldom() -> None:
    """A click rate 2.2 deviations low in each of four cycles is found in their day: conversions hide it no more."""
    limits = found(allowed(0.5), few(8), 0.25).thresholds
    told = Sums(np.zeros((8, 1, 3, Q)), np.zeros((8, 1, 3, Q)), np.ones((8, 1, 3, Q)))
    told.observed[4:, 0, 0, CTR] = -2.2
    looked, _ = look(told, limits, Track.begin(limits, 1, 3))
    assert looked.by_largest[:, 0, 0, CTR].tolist() == [False] * 7 + [True]
    assert looked.window[7, 0, 0, CTR] == 1
    # Of conversions, of which there are few, five deviations in a day are nothing rare.
    assert (limits.largest * limits.scale_2WPQ[0, 1, :, CVR] > 5).all()


def test_cells_that_alarm_in_one_cycle_are_one_alert() -> None:
    told = noise(1, platforms=2)
    told.observed[:, :, 1] = told.observed[:, :, 0]
    calibrated = found(allowed(2.0), told, 1.0)
    alarms = look(told, calibrated.thresholds, Track.begin(calibrated.thresholds, 20, 2))[0].alarms
    alerts = int(alarms.any((2, 3)).sum())
    assert alerts == pytest.approx(calibrated.alerts, rel=0.2)
    assert alarms.sum() >= 2 * alerts > 0


def test_alerts_are_counted_by_the_scale_of_the_other_flights() -> None:
    """By their own they would be fewer than a fresh flight has."""
    told = noise(5, flights=10)
    calibrated, counted = found(allowed(6.0), told, 1.0), []
    z_WTFPQ = told.z()[None]
    for others in (True, False):
        alerts = 0
        for own, other in ((slice(0, 5), slice(5, 10)), (slice(5, 10), slice(0, 5))):
            half = Sums(*(table[:, own] for table in told))
            limits = replace(calibrated.thresholds, scale_2WPQ=scale(z_WTFPQ[:, :, other if others else own]))
            alerts += int(look(half, limits, Track.begin(limits, 5, 3))[0].alarms.any((2, 3)).sum())
        counted.append(alerts)
    assert calibrated.alerts == counted[0] > counted[1]
    # What serves is the scale of all of them.
    np.testing.assert_array_equal(calibrated.thresholds.scale_2WPQ, scale(z_WTFPQ))


def test_short_cycles_are_played_for_as_many_days() -> None:
    market = replace(watching.market(), cycle_hours=6)
    assert calibrate(watching.small(flights=2, days=3.0), market, static).days == 2 * 3


@pytest.mark.slow
def test_what_a_fit_of_totals_is_unsure_of_widens_what_is_quiet() -> None:
    """A drift that may be twice as large, or half as large."""
    q = QUANTITIES.index("ctr")
    z = {}
    for of, market in (("totals", of_totals(watching.market())), ("impressions", watching.market())):
        none = {name: 0 * table for name, table in market.error.items()}
        for name, part in (("sure", 0.0), ("unsure", 1.0)):
            error = none | {"ctr_drift": part * market.value["ctr_drift"]}
            told = calibrate(watching.small(flights=4, days=20.0), replace(market, error=error), static)
            z[of, name] = told.z_IPQ[..., q]
    assert z["totals", "unsure"].std() > 1.08 * z["totals", "sure"].std()
    np.testing.assert_array_equal(z["impressions", "unsure"], z["impressions", "sure"])


def test_a_long_tail_has_a_wide_scale_on_its_side_alone() -> None:
    z = noise(4, skew=0.5).z()[None]
    found_2WPQ = scale(z)
    assert (found_2WPQ[0, 0, 0] > 1.2).all()
    assert (found_2WPQ[1, 0, 0] < 0.9).all()
    np.testing.assert_allclose(found_2WPQ[:, 0, 1:], 1.0, atol=0.12)
    # A platform that told little has the scale of all.
    z[:, :, :, 2] = np.nan
    z[0, :10, 0, 2] = 0.1
    together = np.quantile(z[np.isfinite(z[..., 0]), 0], 0.99) / stats.norm.ppf(0.99)
    assert scale(z)[0, 0, 2, 0] == pytest.approx(together)


def test_a_market_is_played_and_the_same_seed_finds_the_same() -> None:
    calibrated = watching.calibrated()
    assert calibrated.days == 8 * 40
    assert calibrated.achieved <= 0.5
    assert 3.0 < calibrated.thresholds.largest < 5.0
    assert calibrated.z_IPQ.shape == (320, 3, Q)
    assert np.nanstd(calibrated.z_IPQ) == pytest.approx(1.0, abs=0.1)
    again = calibrate(watching.small(), watching.market(), static)
    assert again.thresholds.largest == calibrated.thresholds.largest
    assert again.thresholds.cusum == calibrated.thresholds.cusum
    np.testing.assert_array_equal(again.thresholds.scale_2WPQ, calibrated.thresholds.scale_2WPQ)

"""Steps of one platform's rate: found where they are, with their size, and nowhere else."""

from __future__ import annotations

import numpy as np
import pytest

from crossmix.market.fit.rate_steps import found

DAYS, PLATFORMS = 200, 3
EACH = 30.0
"""Conversions a day and platform."""


def drawn(seed: int, factor_TP: np.ndarray, campaigns: int = 1) -> tuple[np.ndarray, np.ndarray]:
    """Conversions whose rate drifts by 10 %, (T, C, P), and their clicks."""
    rng = np.random.default_rng(seed)
    clicks = np.exp(0.25 * np.repeat(rng.standard_normal((DAYS // 7 + 1, campaigns, PLATFORMS)), 7, 0))[:DAYS] * 1000
    drift = rng.standard_normal((DAYS, campaigns, PLATFORMS))
    for t in range(1, DAYS):
        drift[t] = 0.8 * drift[t - 1] + 0.6 * drift[t]
    mean = EACH / campaigns * clicks / 1000 * np.exp(0.1 * drift) * factor_TP[:, None]
    return rng.poisson(mean).astype(float), clicks


def steps(conversions: np.ndarray, clicks: np.ndarray) -> list[tuple[int, int, float]]:
    return [tuple(one) for one in found(conversions, clicks, 0.5 * clicks, conversions, 14)]


def stepped(ago: int, times: float, *platforms: int) -> np.ndarray:
    factor = np.ones((DAYS, PLATFORMS))
    factor[-ago:, list(platforms)] = times
    return factor


@pytest.mark.parametrize("ago", [19, 30, 50])
@pytest.mark.parametrize("times", [0.55, 1.8])
def test_a_step_of_one_platform_is_found_with_day_and_size(ago: int, times: float) -> None:
    ((platform, at, size),) = steps(*drawn(40_200 + ago, stepped(ago, times, 1)))
    assert platform == 1
    assert abs(at - (DAYS - ago)) <= 3
    # Three weeks of a drift of 10 % that lasts five days, and six before.
    assert size == pytest.approx(np.log(times), abs=0.18)


@pytest.mark.parametrize("seed", range(40_210, 40_222))
def test_rates_that_drift_have_none(seed: int) -> None:
    assert steps(*drawn(seed, np.ones((DAYS, PLATFORMS)))) == []


def test_what_all_do_is_no_step_of_one() -> None:
    assert steps(*drawn(40_230, stepped(25, 0.55, 0, 1, 2))) == []


def test_what_came_back_has_not_stayed() -> None:
    factor = stepped(40, 0.5, 1)
    factor[-12:] = 1.0
    assert steps(*drawn(40_231, factor)) == []


def test_last_days_fewer_than_half_a_window_count_too() -> None:
    factor = stepped(20, 0.35, 1)
    assert len(steps(*drawn(40_240, factor))) == 1
    factor[-6:] = 1.1
    assert steps(*drawn(40_240, factor)) == []


def test_an_old_step_is_history_that_a_fit_follows() -> None:
    conversions, clicks = drawn(40_241, stepped(90, 0.5, 1))
    assert steps(conversions, clicks) == []
    ((_, at, _),) = steps(conversions[:-60], clicks[:-60])
    assert abs(at - (DAYS - 90)) <= 3


def test_a_fall_as_the_platform_had_before_is_none() -> None:
    factor = stepped(25, 0.55, 1)
    factor[60:90, 1] = 0.55
    assert steps(*drawn(40_232, factor)) == []


def test_a_campaign_that_ends_is_no_step() -> None:
    factor = np.ones((DAYS, PLATFORMS))
    conversions, clicks = drawn(40_233, factor, campaigns=2)
    conversions[:, 0] = np.round(3 * conversions[:, 0])
    conversions[-25:, 0, 1] = clicks[-25:, 0, 1] = 0.0
    assert steps(conversions, clicks) == []


def test_money_that_moved_with_the_rate_explains_it() -> None:
    conversions, clicks = drawn(40_234, stepped(25, 0.7, 1))
    spend = 0.5 * clicks
    spend[-25:, :, 1] *= 2.0
    assert found(conversions, clicks, spend, conversions, 14) == []


def test_a_history_without_enough_before_says_nothing() -> None:
    conversions, clicks = (table[-70:] for table in drawn(40_235, stepped(19, 0.55, 1)))
    assert steps(conversions, clicks) == []

"""The first experiment: which platform, how much, how long."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
import torch

from crossmix.evaluate.decision.change import Change, changes
from crossmix.evaluate.decision.first_test import (
    CLOSE,
    LARGEST_SWING,
    LEAST_PAIRS,
    POWER,
    SWING,
    TRIAL_EVENTS,
    _deviation,
    first_test,
)
from crossmix.market.model import Market
from tests.support.markets import make_market, of_totals

TRIED = np.ones(3, bool)


USEFUL_PAIRS = 4
"""Of weeks up and down: eight weeks."""


def quiet(drift: float = 0.0) -> Market:
    """A market whose cycles differ by counting and, where asked, by drift."""
    market = make_market(platforms=3, campaigns=1)
    value = dict(market.value) | {
        name: torch.full_like(market.value[name], drift) for name in ("ctr_drift", "cvr_drift", "price_drift")
    }
    value |= {"requests_sd": torch.zeros_like(value["requests_sd"]), "requests": 20 * value["requests"]}
    return replace(market, value=value, budget=20 * market.budget)


def whole(market: Market) -> Change:
    return changes(market, probe=0.03, draws=4)[0][0]


def spread(*deviations: float) -> np.ndarray:
    return np.outer([1.0, -1.0, 1.0, -1.0], deviations)


def test_it_is_on_the_platform_that_leaves_most_of_the_spread() -> None:
    market = quiet()
    change = whole(market)
    for slot, deviations in enumerate(((9.0, 1.0, 1.0), (1.0, 9.0, 1.0), (1.0, 1.0, 9.0))):
        test = first_test(market, change, spread(*deviations), TRIED)
        assert test.platform == f"p{slot}"
        amount = change.budget * change.today_P[slot]
        assert (test.low, test.high) == pytest.approx((amount * (1 - SWING), amount * (1 + SWING)))


def by_hand(market: Market, change: Change, swing: float) -> tuple[float, float]:
    """Standard error of the first platform's elasticity after a pair of weeks, and the one that is wanted.

    Without drift the difference of two weeks of ln revenue has variance (1 + cv^2) / 7 (1 / high + 1 / low), of the
    conversions a day at either amount: those of today times (1 +- swing)^elasticity.
    """
    conversions = change.now_P[0] / float(market.value["value"][0, 0])
    earned = change.now_P[0] / (change.budget * change.today_P[0])
    bent = change.marginal_P[0] / earned
    counts = [conversions * (1 + sign * swing) ** bent for sign in (1, -1)]
    single = (1 + float(market.value["value_cv"][0, 0]) ** 2) / 7
    error = math.sqrt(single * sum(1 / count for count in counts)) / math.log((1 + swing) / (1 - swing))
    common = np.average(change.marginal_P[1:], weights=change.today_P[1:])
    return error, max(abs(change.marginal_P[0] - common) / earned, CLOSE) / POWER


def test_it_lasts_until_the_elasticity_is_known_well_enough() -> None:
    market = quiet()
    change = whole(market)
    test = first_test(market, change, spread(9.0, 1.0, 1.0), TRIED)
    error, wanted = by_hand(market, change, SWING)
    pairs = max(math.ceil((error / wanted) ** 2), LEAST_PAIRS)
    assert test.cycles == 14 * pairs
    assert test.elasticity_error == pytest.approx(error / math.sqrt(pairs))
    assert test.block == 7
    assert pairs <= USEFUL_PAIRS
    assert (test.settles, test.usual_cycles, test.needed_cycles) == (True, None, None)


def smaller(market: Market, times: float) -> Market:
    """With so much less money and as many fewer requests: fewer conversions of the same kind."""
    value = dict(market.value) | {"requests": market.value["requests"] / times}
    return replace(market, value=value, budget=market.budget / times)


def test_what_would_take_too_long_is_done_in_a_larger_step() -> None:
    """The least one, in steps of 5 %, that is enough within eight weeks."""
    for times in range(2, 60):
        market = smaller(quiet(), times)
        change = whole(market)
        error, wanted = by_hand(market, change, SWING)
        if USEFUL_PAIRS < (error / wanted) ** 2 <= 3 * USEFUL_PAIRS:
            break
    test = first_test(market, change, spread(9.0, 1.0, 1.0), TRIED)
    swings = [SWING + 0.05 * step for step in range(9)]
    enough = [swing for swing in swings if by_hand(market, change, swing)[0] / wanted <= math.sqrt(USEFUL_PAIRS)]
    amount = change.budget * change.today_P[0]
    assert SWING < enough[0] < LARGEST_SWING
    assert (test.low, test.high) == pytest.approx((amount * (1 - enough[0]), amount * (1 + enough[0])))
    assert test.cycles <= 56
    assert test.settles
    assert test.usual_cycles == 14 * math.ceil((error / wanted) ** 2) > 56
    assert test.needed_cycles is None


def test_what_no_step_tells_in_time_says_what_it_would_take() -> None:
    market = smaller(quiet(), 400)
    change = whole(market)
    test = first_test(market, change, spread(9.0, 1.0, 1.0), TRIED)
    error, wanted = by_hand(market, change, LARGEST_SWING)
    assert (test.settles, test.cycles) == (False, 56)
    assert test.needed_cycles == 14 * math.ceil((error / wanted) ** 2) > 56
    assert test.elasticity_error == pytest.approx(error / math.sqrt(USEFUL_PAIRS))


def test_a_step_leaves_the_others_something() -> None:
    market = smaller(quiet(), 400)
    market.static[0] = torch.tensor([0.6, 0.2, 0.2])
    test = first_test(market, whole(market), spread(9.0, 1.0, 1.0), TRIED)
    # 65 % more of 60 % is 99 % of all the money; 70 % would be more than there is.
    assert test.high == pytest.approx(0.99 * float(market.budget[0]))


def test_a_market_that_drifts_takes_longer_and_may_not_settle() -> None:
    calm, wild = (quiet(drift) for drift in (0.02, 0.6))
    tests = [first_test(one, whole(one), spread(9.0, 1.0, 1.0), TRIED) for one in (calm, wild)]
    assert tests[0].cycles <= tests[1].cycles
    assert (tests[1].settles, tests[1].cycles) == (False, 14 * USEFUL_PAIRS)


def test_conversions_that_come_late_blur_weeks_so_that_stretches_are_longer() -> None:
    """Of a wave of a week up and a week down a law that spreads over two weeks leaves nothing."""
    market = of_totals(quiet())
    at_once, even = torch.zeros(1, 3, 14), torch.full((1, 3, 14), 1 / 14)
    at_once[..., 0] = 1.0
    change = whole(replace(market, delay=at_once))
    week, later = (
        first_test(replace(market, delay=delay), change, spread(9.0, 1.0, 1.0), TRIED) for delay in (at_once, even)
    )
    assert week.block == 7
    assert later.block == 14
    assert later.elasticity_error is not None
    assert later.elasticity_error < math.inf
    assert later.usual_cycles is not None
    assert week.usual_cycles is not None
    assert later.usual_cycles > 2 * week.usual_cycles
    assert later.high > week.high
    # Two weeks up and two down: the blurred wave is a triangle between 1/2 and -1/2, of a third of the square's power.
    wave = np.convolve(np.tile(np.repeat([0.5, -0.5], 14), 2), np.full(14, 1 / 14))[28:56]
    assert wave @ wave == pytest.approx(28 / 12, rel=0.02)
    slowed, square = (
        _deviation(replace(market, delay=law), 0, 0, 14, float(change.now_P[0])) for law in (even, at_once)
    )
    assert slowed == pytest.approx(square * 3**0.5, rel=0.02)
    assert _deviation(replace(market, delay=even), 0, 0, 7, float(change.now_P[0])) == math.inf


def test_a_platform_that_was_never_tried_is_tried_with_little() -> None:
    market = quiet()
    market.static[0] = torch.tensor([0.0, 0.6, 0.4])
    change = whole(market)
    tried = np.array([False, True, True])
    change = replace(change, best_P=np.array([0.3, 0.4, 0.3]))
    test = first_test(market, change, spread(1.0, 9.0, 1.0), tried)
    assert (test.platform, test.elasticity_error) == ("p0", None)
    assert test.low == test.high == pytest.approx(0.03 * change.budget)
    a_day = change.then_P[0] * 0.03 / 0.3 / float(market.value["value"][0, 0])
    assert (test.cycles, test.settles) == (7 * max(2, math.ceil(TRIAL_EVENTS / (7 * a_day))), True)
    few = first_test(market, replace(change, then_P=change.then_P / 400), spread(1.0, 9.0, 1.0), tried)
    assert (few.cycles, few.settles) == (56, False)
    assert few.needed_cycles == 7 * math.ceil(TRIAL_EVENTS / (7 * a_day / 400)) > 56


@pytest.mark.parametrize("crumb", [0.0, 1.5e-8, 5e-5])
def test_a_platform_that_has_nothing_cannot_go_up_and_down(crumb: float) -> None:
    market = quiet()
    market.static[0] = torch.tensor([crumb, 0.6 - crumb, 0.4])
    test = first_test(market, whole(market), spread(9.0, 2.0, 1.0), TRIED, np.array([10.0, 0.1, 0.1]))
    assert test.platform == "p1"
    assert test.low == pytest.approx(0.6 * float(market.budget[0]) * (1 - SWING), rel=1e-3)

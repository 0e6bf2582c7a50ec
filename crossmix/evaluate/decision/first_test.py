"""The first experiment that would settle a decision: money moved on purpose, up and down in turn, on one platform.

It is the platform whose answer to money is least known where it counts: the one that leaves most of the gain's spread.
Its budget goes up by `SWING` for a week and down by as much for the next, and the others take up the difference, so
that the total stays. With noise S of ln revenue, AR(1) in its drifts beside counting, k pairs of weeks tell the
elasticity by least squares on the wave s, 1/2 in the first week and -1/2 in the second, to

    se = sqrt(s' S s / k) / (s' s) / ln((1 + swing) / (1 - swing))

where counting has the mean variance of a week at either amount. Where conversions come late, s is what is left of the
wave when each cycle's come by the delay's law: of weeks little, if they come a week late, so that stretches of two
weeks (`STRETCHES`) may need fewer cycles.

It lasts until the elasticity is known to `POWER` parts of what separates the platform's marginal ROI from the others'.
A test of more than `USEFUL_HOURS` comes too late to be of use: the market has moved by then. A larger step tells as
much sooner, as the pairs go with 1 / ln((1 + swing) / (1 - swing))^2, and costs about as much in all: what a swing
loses goes with its square, too. So the swing is the least, in steps of 5 %, up to `LARGEST_SWING`, that is enough
within that time. Where none is, the test of the largest swing says what it would take.

Shapes: P platforms, n cycles of a pair of stretches.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from crossmix.evaluate.decision.backtest import WEEK_HOURS
from crossmix.evaluate.decision.change import Change
from crossmix.market.model import Market

Array = npt.NDArray[np.float64]

SWING = 0.3
"""By which the budget goes up and down, relative, where that is enough within `USEFUL_HOURS`."""
LARGEST_SWING, FINEST = 0.7, 0.05
"""The most that is proposed instead: between 30 and 170 % of today's money. In steps of."""
USEFUL_HOURS = 8 * WEEK_HOURS
"""A test that takes longer is of no use."""
POWER = 2.8
"""Standard errors within the difference: 5 % false, 80 % found."""
CLOSE = 0.15
"""Elasticities closer than this, times revenue per money, are not told apart: it matters little which is right."""
LEAST_PAIRS = 2
FLAT = 1e-6
"""Mean square of what is left of a wave below which it tells nothing."""
STRETCHES = (1, 2)
"""Weeks at one amount, of which the ones that need fewest cycles are taken where conversions come late. Two pairs of
longer ones are of no use."""
TRIAL_EVENTS = 30.0
"""Conversions after which a platform that was never tried is no longer unknown."""
DRIFTS = ("ctr", "cvr", "price")


@dataclass(frozen=True, slots=True)
class FirstTest:
    """What to do; money in currency per cycle."""

    campaign: str
    platform: str
    low: float
    high: float
    block: int
    """Cycles at one amount before the other."""
    cycles: int
    """In all."""
    elasticity_error: float | None
    """What the elasticity is known to afterwards; `None`: a platform that was never tried."""
    settles: bool
    """Whether that is enough; otherwise no test of a useful length is."""
    usual_cycles: int | None = None
    """What steps of `SWING` would take to be enough, where that is too long and these are larger."""
    needed_cycles: int | None = None
    """What this one would take to be enough, where it is not."""


def first_test(
    market: Market,
    change: Change,
    spread_NP: Array,
    tried_P: npt.NDArray[np.bool_],
    known_error_P: Array | None = None,
    demand_led_P: npt.NDArray[np.bool_] | None = None,
) -> FirstTest:
    """The test of one campaign.

    Args:
        spread_NP: revenue then less now by platform, at draws.
        known_error_P: standard errors of the elasticities by the data alone; `None`: not known.
        demand_led_P: platforms whose spend may follow their own demand, where the change is unsure for that: one of
            them comes first.
    """
    slot = market.campaigns.index(change.campaign)
    block = max(1, round(WEEK_HOURS / market.cycle_hours))
    new_P = ~tried_P & (change.best_P > 0.005)
    if new_P.any():
        return _trial(market, change, int(np.argmax(np.where(new_P, change.then_P, -1.0))), block)
    weight_P = spread_NP.std(0) + 1e-9 * change.today_P
    if known_error_P is not None:
        # A platform on which nothing is moved may be the one to move money to.
        weight_P = weight_P + 0.1 * np.minimum(known_error_P, 1.0) * change.now_P
    if demand_led_P is not None and (demand_led_P & ~change.idle_P).any():
        weight_P = np.where(demand_led_P, weight_P, -1.0)
    p = int(np.argmax(np.where(change.idle_P, -1.0, weight_P)))
    amount = change.budget * float(change.today_P[p])
    others_P = np.arange(len(change.today_P)) != p
    common = float(np.average(change.marginal_P[others_P], weights=change.today_P[others_P] + 1e-9))
    earned = float(change.now_P[p]) / max(amount, 1e-12)
    apart = max(abs(float(change.marginal_P[p]) - common) / max(earned, 1e-12), CLOSE)
    # The others have no more to give than they spend.
    room = (1 - float(change.today_P[p])) / max(float(change.today_P[p]), 1e-9)
    bent = min(max(float(change.marginal_P[p]) / max(earned, 1e-12), 0.0), 1.0)
    wanted = apart / POWER

    def error(swing: float, stretch: int) -> float:
        """Standard error of the elasticity after a pair of stretches."""
        counting = 0.5 * ((1 + swing) ** -bent + (1 - swing) ** -bent)
        deviation = _deviation(market, slot, p, stretch, float(change.now_P[p]) / counting)
        return deviation / math.log((1 + swing) / (1 - swing))

    def needed(swing: float, stretch: int) -> float:
        """Pairs of stretches until the elasticity is known well enough."""
        return max(float(LEAST_PAIRS), float(np.ceil((error(swing, stretch) / wanted) ** 2 - 1e-9)))

    late = market.of_totals and float(market.delay[slot, p, 0]) < 1
    stretches = [weeks * block for weeks in (STRETCHES if late else STRETCHES[:1])]

    def quickest(swing: float) -> int:
        return min(stretches, key=lambda stretch: stretch * needed(swing, stretch))

    def useful(stretch: int) -> int:
        """Most pairs of stretches."""
        return max(LEAST_PAIRS, int(USEFUL_HOURS // (2 * stretch * market.cycle_hours)))

    steps = [min(SWING, room)]
    larger = round((LARGEST_SWING - SWING) / FINEST)
    steps += [swing for swing in (SWING + FINEST * (k + 1) for k in range(larger)) if swing <= room]
    swing = next((one for one in steps if needed(one, quickest(one)) <= useful(quickest(one))), steps[-1])
    stretch, usual = quickest(swing), quickest(steps[0])
    pairs = int(min(needed(swing, stretch), useful(stretch)))
    settles = needed(swing, stretch) <= useful(stretch)
    return FirstTest(
        campaign=change.campaign,
        platform=change.platforms[p],
        low=amount * (1 - swing),
        high=amount * (1 + swing),
        block=stretch,
        cycles=2 * stretch * pairs,
        elasticity_error=error(swing, stretch) / math.sqrt(pairs),
        settles=settles,
        usual_cycles=_cycles(usual, needed(steps[0], usual)) if swing > steps[0] else None,
        needed_cycles=None if settles else _cycles(stretch, needed(swing, stretch)),
    )


def _cycles(stretch: int, pairs: float) -> int | None:
    """`None`: no number of pairs is enough."""
    return 2 * stretch * int(pairs) if math.isfinite(pairs) else None


def _trial(market: Market, change: Change, p: int, block: int) -> FirstTest:
    """A platform that was never tried gets a probe's share until some conversions are in."""
    slot = market.campaigns.index(change.campaign)
    share = min(change.probe, float(market.maximum[slot, p]))
    amount = share * change.budget
    worth = float(market.value["value"][slot, p])
    per_cycle = float(change.then_P[p]) * share / max(float(change.best_P[p]), 1e-9) / max(worth, 1e-9)
    needed = max(2, math.ceil(TRIAL_EVENTS / max(per_cycle * block, 1e-6)))
    most = max(2, USEFUL_HOURS // (block * market.cycle_hours))
    return FirstTest(
        campaign=change.campaign,
        platform=change.platforms[p],
        low=amount,
        high=amount,
        block=block,
        cycles=min(needed, most) * block,
        elasticity_error=None,
        settles=needed <= most,
        needed_cycles=needed * block if needed > most else None,
    )


def _deviation(market: Market, slot: int, p: int, block: int, revenue: float) -> float:
    """Standard deviation of ln revenue at the high amount less that at the low one, of a pair of blocks."""
    wave = _arriving(market, slot, p, np.repeat([0.5, -0.5], block))
    if wave @ wave < FLAT * 2 * block:
        return math.inf
    weight = wave / (wave @ wave)
    lag = np.abs(np.subtract.outer(np.arange(2 * block), np.arange(2 * block)))

    def of(name: str) -> float:
        return float(market.value[name][slot, p])

    covariance = np.zeros(lag.shape)
    for name in DRIFTS:
        covariance += of(f"{name}_drift") ** 2 * of(f"{name}_persistence") ** lag
    conversions = revenue / max(of("value"), 1e-12)
    single = of("requests_sd") ** 2 + (1 + of("value_cv") ** 2) / max(conversions, 1e-3)
    return float(np.sqrt(weight @ (covariance + single * np.eye(2 * block)) @ weight))


def _arriving(market: Market, slot: int, p: int, wave_N: Array) -> Array:
    """What a wave of clicks that goes on and on is by the cycles in which its conversions come, (N,); conversions of a
    log of impressions are told by the cycle of their impression."""
    if not market.of_totals:
        return wave_N
    law_D = market.delay[slot, p].double().numpy()
    return np.asarray(sum(part * np.roll(wave_N, d) for d, part in enumerate(law_D)))

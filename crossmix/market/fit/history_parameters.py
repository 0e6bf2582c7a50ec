"""What a spend history tells, as the market's parameters: curves, rates and their errors, of the pooled regressions.

Shapes: T cycles, C campaigns, P platforms.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from crossmix.config import Market
from crossmix.market.fit.cut import cut
from crossmix.market.fit.cycle import TOGETHER
from crossmix.market.fit.history_series import PRICE_CV, WEEK, History
from crossmix.market.fit.pooling import Pooled
from crossmix.market.fit.regression import Line
from crossmix.market.fit.today import rolling

Array = npt.NDArray[np.float64]
Mask = npt.NDArray[np.bool_]

REACH = 3.0
"""The price curve reaches so many times the most that the campaign spends (`_largest`)."""
LEAST_SHARE = 1 / 64
"""Least usual share of requests won: below it a curve of 128 knots is too coarse. What it leaves out of a small
platform's reach is continued where it is asked for (`crossmix.market.reach`)."""
OFTEN = 0.95
"""Part of the cycles that spend no more than what is usual at most."""
REQUESTS_ERROR = 0.3
"""Relative standard error told of requests, which totals do not tell."""
ELASTICITY = (0.1, 0.98)
"""Least and largest elasticity of conversions in money."""
GAIN = (0.3, 0.98)
"""The same of impressions: conversions answer to these by the ratio, which the market holds up to 5 only."""
STEEPEST = 1.3
"""Largest exponent of the Hill curve (`crossmix.fading`) that a response is taken to follow. Above 1 little money earns
less than in proportion, as a threshold makes it (Vakratsas, Feinberg, Bass and Kalyanaram, Marketing Science 23, 2004):
at 1 data could not show it, and what saturates fast was taken to saturate too late."""

FACTOR_PASSES = 20
"""Over the platforms, one after the other: loadings of four are settled to three digits."""


@dataclass(frozen=True, slots=True)
class Aggregate:
    """What the totals tell; each (C, P) unless said otherwise. Pairs: value and standard error."""

    requests: Array
    """Requests of an average weekday."""
    requests_se: Array
    usual_share: Array
    """Share of requests won at the usual spend."""
    price: Array
    """Mean price of an impression at the usual spend, currency."""
    log_price_se: Array
    """Of ln of the price of an impression at the usual spend."""
    gain: Array
    """Elasticity of impressions in spend."""
    saturation: tuple[Array, Array]
    elasticity: tuple[Array, Array]
    """Of conversions in impressions at the usual share."""
    bend: tuple[Array, Array]
    ctr: tuple[Array, Array]
    """Click probability of a cycle's first impression; error: of its level at the usual share."""
    cvr: tuple[Array, Array]
    """Conversions per click at the usual share."""
    value: tuple[Array, Array]
    """Revenue per conversion, currency."""
    week: Array
    """Requests by weekday over their mean, (C, P, 7)."""
    price_multiplier: Array
    """Smoothed price multiplier in the fitted cycles, (T, C, P); also for cycles not fitted on. 1 is the price of the
    end, as `slow` is of the others."""
    slow: dict[str, Array]
    """What prices, clicks per impression, conversions per click and values (price, clicks, conversions, value) were by
    the slow moves of their levels, over those of the end, (T, C, P) each."""
    price_noise: Array
    """Variance of ln price within a cycle that is no drift, (T, C, P)."""
    untried: Mask
    """Cells without delivery."""
    shared: dict[str, Array]
    """Part of the variance of a parameter's errors that a campaign's platforms have in common, (C, P) each."""
    delay: Array
    """Probability that a conversion comes d cycles after its click, (P, D + 1)."""


def described(
    settings: Market,
    history: History,
    u_CP: Array,
    lines: Mapping[str, Line],
    level: Mapping[str, Pooled],
    slope: Mapping[str, Pooled],
    bend: Mapping[str, Pooled],
    shift_CP: Array,
    delay_PD: Array,
) -> Aggregate:
    """The market's parameters of the pooled regressions.

    Args:
        shift_CP: what the level of impressions was raised by above the logarithm's mean (`smearing.py`).
        delay_PD: `Delays.law` of conversions.
    """
    gain = slope["impressions"][0].clip(*GAIN)
    whole_se = np.sqrt(sum(one.variance for one in slope.values()))
    # Twice the money never earns more than twice as much, whatever the data of a spend that hardly moved say.
    whole, _ = cut(sum(one.mean for one in slope.values()), whole_se, 0.0, 1.0)
    whole = whole.clip(*ELASTICITY)
    # The curve's exponent is E + b / E.
    bent = np.clip(-np.asarray(sum(one.mean for one in bend.values())), 0.0, whole * (STEEPEST - whole))
    bent_se = np.minimum(np.sqrt(sum(one.variance for one in bend.values())), 0.5)
    money, impressions = np.exp(u_CP), np.exp(level["impressions"][0])
    share = _usual_share(settings, history, money, gain)
    # d ln clicks / d ln W = x / (e^x - 1) at x = kappa w.
    follow = (1 + slope["clicks"][0] / gain).clip(0.05, 0.9999)
    x = _fading_of(follow)
    kappa_se = np.sqrt(slope["clicks"][1]) / gain * 2 / share
    week = _week(history, lines["impressions"], gain)
    drift = _around_the_mean(history, lines["impressions"], shift_CP)
    noise = np.broadcast_to(lines["impressions"].own_K.reshape(history.cells), history.shape).copy()
    noise[history.used] += (PRICE_CV**2 / np.maximum(history.totals_TK["impressions"], 1)).reshape(-1, *history.cells)
    rate = {name: np.exp(level[name][0]) for name in ("clicks", "conversions", "value")}
    error = {name: rate[name] * np.sqrt(level[name][1]) for name in rate}
    first = x / -np.expm1(-x)
    return Aggregate(
        requests=impressions / share,
        requests_se=REQUESTS_ERROR * impressions / share,
        usual_share=share,
        price=money / impressions,
        log_price_se=np.sqrt(level["impressions"][1]) / gain,
        gain=gain,
        saturation=(x / share, kappa_se),
        elasticity=(whole / gain, whole_se / gain),
        bend=(bent / gain**2, bent_se / gain**2),
        ctr=((rate["clicks"] * first).clip(0, 1), error["clicks"] * first),
        cvr=(rate["conversions"].clip(0, 1), error["conversions"]),
        value=(rate["value"], error["value"]),
        week=week,
        price_multiplier=np.exp(-drift / gain),
        slow={name: np.exp(_slow(history, lines[name])) for name in ("clicks", "conversions", "value")}
        | {"price": np.exp(-_slow(history, lines["impressions"]) / gain)},
        price_noise=noise / gain**2,
        untried=~history.tried,
        shared={
            "elasticity": _shared(*slope.values()),
            "bend": _shared(*bend.values()),
            "price_level": _shared(level["impressions"]),
            "ctr": _shared(level["clicks"]),
            "cvr": _shared(level["conversions"]),
            "value": _shared(level["value"]),
        },
        delay=delay_PD,
    )


def _around_the_mean(history: History, line: Line, shift_CP: Array) -> Array:
    """ln of a cycle's mean impressions, given all cycles, over those at the level, (T, C, P).

    The level lies `shift_CP` above the logarithm's mean, around which the drift was found. What is left open of the
    cycle, of the drift and of its own noise, raises its mean by its part of that; where nothing was seen that is all.
    """
    drift = _slow(history, line)
    told_TK = line.drift_TK - shift_CP.ravel() * (line.deviation_K**2 - line.left_TK) / line.around_K
    told_TK = told_TK + line.beta_KR[:, TOGETHER] * history.together()
    drift[history.used] += told_TK.reshape(-1, *history.cells)
    return drift


def _slow(history: History, line: Line) -> Array:
    """What a level did slowly, ln over that of the end, (T, C, P); of cycles before those fitted on as in their
    first."""
    slow = np.zeros((history.shape[0], *history.cells))
    slow[history.used] = line.slow_TK.reshape(-1, *history.cells)
    slow[: history.used.start] = slow[history.used.start]
    return slow


def _shared(*terms: Pooled) -> Array:
    """Part of the variance of a sum of terms that is an error of all of a campaign's platforms, (C, P).

    Of parts a_p the errors of two platforms correlate by sqrt(a_p a_q), which is fitted to the posterior's by least
    squares over all pairs (one factor by minimum residuals: Harman and Jones, 1966).
    """
    covariance_CPP = np.asarray(sum(one.covariance for one in terms))
    sd_CP = np.sqrt(np.asarray(sum(one.variance for one in terms)))
    pairs_CPP = (covariance_CPP / (sd_CP[:, :, None] * sd_CP[:, None])).clip(0.0, 1.0)
    platforms = sd_CP.shape[1]
    pairs_CPP[:, np.arange(platforms), np.arange(platforms)] = 0.0
    if platforms < 2:
        return np.zeros_like(sd_CP)
    load_CP = np.sqrt(pairs_CPP.sum(2) / (platforms - 1))
    for _ in range(FACTOR_PASSES):
        for p in range(platforms):
            square_C = (load_CP**2).sum(1) - load_CP[:, p] ** 2
            told_C = (pairs_CPP[:, p] * load_CP).sum(1)
            load_CP[:, p] = np.where(square_C > 0, told_C / np.maximum(square_C, 1e-300), 0.0).clip(0.0, 1.0)
    return np.asarray(load_CP**2)


def _usual_share(settings: Market, history: History, money_CP: Array, gain_CP: Array) -> Array:
    """Share won at the usual spend: so that the curve reaches `REACH` times the most that the campaign spends."""
    reach = (money_CP / np.maximum(REACH * _largest(history)[:, None], 1e-9)) ** gain_CP
    return np.asarray(reach.clip(LEAST_SHARE, max(settings.assumed_win_rate, LEAST_SHARE)))


def _largest(history: History) -> Array:
    """The most that a campaign spends in a cycle, (C,): today, in all but one of twenty cycles, or in its largest week,
    whichever is most. A season that began a fortnight ago, or a launch, is no small part of the mean."""
    spend_TC = history.totals_TK["spend"].reshape(-1, *history.cells).sum(2)
    usual_C = [float(np.quantile(one[one > 0], OFTEN)) if (one > 0).any() else 0.0 for one in spend_TC.T]
    weeks_C = rolling(spend_TC, max(history.ahead // 2, 1)).max(0)
    return np.asarray(np.max([usual_C, weeks_C, spend_TC[-max(history.ahead, 1) :].mean(0)], 0))


def _fading_of(follow_CP: Array) -> Array:
    """x with x / (e^x - 1) = follow, by bisection; at most 10."""
    low, high = np.full_like(follow_CP, 1e-6), np.full_like(follow_CP, 10.0)
    for _ in range(50):
        middle = 0.5 * (low + high)
        above = middle / np.expm1(middle) > follow_CP
        low, high = np.where(above, middle, low), np.where(above, high, middle)
    return 0.5 * (low + high)


def _week(history: History, line: Line, gain_CP: Array) -> Array:
    """Factors of requests by weekday, (C, P, 7); pooled over campaigns by precision."""
    if history.weekday_T is None:
        return np.ones((*history.cells, 7))
    beta = line.beta_KR[:, WEEK:].reshape(*history.cells, 7)
    variance = np.diagonal(line.covariance_KRR, axis1=1, axis2=2)[:, WEEK:].reshape(*history.cells, 7)
    weight = 1 / np.maximum(variance, 1e-9)
    week = np.broadcast_to((beta * weight).sum(0) / weight.sum(0), beta.shape)
    week = week - week.mean(-1, keepdims=True)
    # At a fixed spend impressions rise by 1 - g of what requests rise by.
    factor = np.exp(np.clip(week / np.maximum(1 - gain_CP, 0.15)[..., None], -0.7, 0.7))
    return np.asarray(factor / factor.mean(-1, keepdims=True))

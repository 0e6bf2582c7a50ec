"""Supply and response from a spend history: daily totals per platform, no impression, no bid.

Contract: docs/design.md#data-contract; why so: docs/decisions/0016-a-historys-response-is-fitted-as-a-whole.md.

What a history tells is how impressions W, clicks and conversions move when the spend S moves from cycle to cycle.
Around the usual spend of a cell, with u = ln S less its mean, three series are regressed (`regression.py`):

    ln W               = a1 + g u + k1 u^2 / 2 + h1 m + weekday + drift
    ln clicks / W      = a2 + d u + k2 u^2 / 2 + h2 m + weekday + drift     Poisson
    ln conversions / clicks = a3 + e u + k3 u^2 / 2 + h3 m + weekday + drift   Poisson; clicks of cycles before too

With m, the mean of u over all cells in the cycle, goes what is the cycle's and not the money's: budgets that follow
demand rise where everything sells better, which looks like a steeper answer to money. What a cell's own spend does is
what is left when cells of the same cycle are compared (Mundlak, On the pooling of time series and cross section data,
Econometrica 46, 1978). The error of h is one of all cells' elasticities in common, and where budgets only ever moved
together that error is large: nothing in such a history can tell demand from money. Days that sell more while only some
budgets rise are told by the other cells' rates (`cycle.py`), weekdays by columns of their own.

The first line is that of the logarithm's mean. By how much a cycle's mean impressions are more, drift and own noise
together, says the smearing estimate of Duan (1983), cell by cell (`smearing.py`); counts are fitted by their mean.

All three on the money, which is what is decided: wherever returns diminish, in price, in clicks or in conversions, the
sum E = g + d + e is the elasticity of conversions, and b = -(k1 + k2 + k3) how fast it falls. The market holds a price
curve of elasticity g, kappa of d, and E and b as a whole (`crossmix.fading`), with errors of the whole.

Every coefficient, and the values of conversions, are pooled over campaigns and platforms (`pooling.py`), so that a cell
of little data, or none, is what like cells are, with an error that says so. How many requests there were, nobody can
tell from totals: the usual share won is set so that the curve reaches three times the most that the campaign spends,
and what asks for more continues it (`crossmix.market.reach`).

Shapes: T cycles, C campaigns, P platforms, K = C P cells.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from crossmix.config import Market
from crossmix.market.fit.cycle import TOGETHER
from crossmix.market.fit.history_parameters import Aggregate, Array, Mask, described
from crossmix.market.fit.history_series import WEEK, History
from crossmix.market.fit.pooling import Pooled, Spread, pooled
from crossmix.market.fit.promotions import cycles, promotions
from crossmix.market.fit.regression import Line
from crossmix.market.fit.smearing import smeared

# How cells differ, a priori: mean, its deviation; deviations of platforms, campaigns, cells.
LEVEL = {
    "impressions": Spread(0.0, 10.0, 0.7, 0.3, 0.25),
    "clicks": Spread(-4.0, 5.0, 0.6, 0.3, 0.25),
    "conversions": Spread(-4.0, 5.0, 0.4, 0.4, 0.25),
    "value": Spread(3.0, 10.0, 0.3, 0.3, 0.15),
}
SLOPE = {
    "impressions": Spread(0.85, 0.15, 0.08, 0.03, 0.03),
    "clicks": Spread(-0.1, 0.12, 0.06, 0.03, 0.03),
    "conversions": Spread(0.0, 0.15, 0.12, 0.03, 0.03),
}
BEND = {
    "impressions": Spread(-0.04, 0.05, 0.04, 0.02, 0.02),
    "clicks": Spread(-0.04, 0.05, 0.04, 0.02, 0.02),
    "conversions": Spread(-0.04, 0.2, 0.1, 0.02, 0.02),
}
WITH_ALL = Spread(0.0, 0.15, 0.03, 0.015, 0.015)
"""Of h: demand that budgets follow in proportion would add at most 1 less the elasticity, in all three lines together,
times the part of what moves spend that is demand. Cells differ in it by no more than that part of how slopes do."""


def fit(
    settings: Market,
    totals: Mapping[str, Array],
    keep_T: Mask,
    weekday_T: npt.NDArray[np.int64] | None,
    ahead: int = 14,
) -> Aggregate:
    """Fit all cells; what they share is the drifts' law, and what pooling finds. Sale weeks and stock-outs of all
    platforms (`crossmix.market.fit.promotions`) are left out as if unseen.

    Args:
        totals: spend, impressions, clicks, conversions and revenue, (T, C, P) each.
        keep_T: cycles to fit on.
        weekday_T: Monday 0; `None`: every day is alike.
        ahead: cycles after those fitted on that levels are wanted of.
    """
    moved_T = cycles(promotions(totals, keep_T, weekday_T, ahead), len(keep_T))
    history = History.of(totals, keep_T & ~moved_T, weekday_T, ahead)
    lines, late = history.lines({name: spread.mean for name, spread in SLOPE.items()})
    u_CP = history.usual_log_spend()
    level, slope, bend = {}, {}, {}
    for name in SLOPE:
        slope[name], bend[name], level[name] = _pooled_line(name, lines[name], history, u_CP)
    shift = smeared(history.totals_TK["impressions"], lines["impressions"].fitted_TK, history.seen_TK)
    shift_CP, logarithm = shift.shift.reshape(history.cells), level["impressions"]
    level["impressions"] = logarithm._replace(
        mean=logarithm.mean + shift_CP,
        variance=np.maximum(logarithm.variance, shift.variance.reshape(history.cells)),
    )
    level["value"] = _value(history, lines["value"])
    return described(settings, history, u_CP, lines, level, slope, bend, shift_CP, late.law())


def _pooled_line(name: str, line: Line, history: History, u_CP: Array) -> tuple[Pooled, Pooled, Pooled]:
    """Slope, bend and level of one series, pooled; levels at the cell's usual spend."""
    tried = history.tried
    beta, covariance = line.beta_KR, line.covariance_KRR

    def own(place: int, spread: Spread) -> Pooled:
        variance = np.where(tried, covariance[:, place, place].reshape(tried.shape), np.inf)
        return pooled(beta[:, place].reshape(tried.shape), variance, spread)

    together = own(TOGETHER, WITH_ALL)
    moves = covariance[:, :, TOGETHER] / covariance[:, TOGETHER, TOGETHER, None]
    beta = np.asarray(beta + moves * (together.mean.ravel() - beta[:, TOGETHER])[:, None])
    covariance = np.asarray(covariance - moves[:, :, None] * covariance[:, None, :, TOGETHER])
    slope = _with_error_of(together, own(1, SLOPE[name]), moves[:, 1].reshape(tried.shape), tried)
    bend = own(2, BEND[name])
    # What the level is, given the pooled shape.
    shape = np.stack([(pair[0].ravel() - beta[:, i]) for i, pair in ((1, slope), (2, bend))], 1)
    gain = np.linalg.solve(covariance[:, 1:3, 1:3], covariance[:, 1:3, :1])[..., 0]
    level = beta[:, 0] + (gain * shape).sum(1) + _over_week(line)
    variance = np.maximum(covariance[:, 0, 0] - (gain * covariance[:, 0, 1:3]).sum(1), 1e-9)
    # Cells are compared where they spend alike.
    common = (u_CP * tried).sum(0) / np.maximum(tried.sum(0), 1) - u_CP
    common = np.where(tried, common, 0.0)
    moved = level.reshape(tried.shape) + slope[0] * common
    found = pooled(moved, np.where(tried, variance.reshape(tried.shape), np.inf), _centred(LEVEL[name], moved, tried))
    return slope, bend, _with_common(found._replace(mean=found.mean - slope[0] * common), line)


def _over_week(line: Line) -> Array:
    """ln of the mean over weekdays, over that of their geometric mean, which a level is of, (K,)."""
    days = line.beta_KR[:, WEEK:]
    if not days.shape[1]:
        return np.zeros(len(days))
    return np.asarray(np.log(np.exp(days - days.mean(1, keepdims=True)).mean(1)))


def _with_error_of(together: Pooled, slope: Pooled, gain_CP: Array, tried_CP: Mask) -> Pooled:
    """Slopes that were pooled given `together`, with its error, which moves a cell's slope by `gain_CP`; that of cells
    never tried, which borrow theirs, by the others' mean."""
    mean = float(gain_CP[tried_CP].mean()) if tried_CP.any() else 0.0
    gain_CP = np.where(tried_CP, gain_CP, mean)
    variance = slope.variance + gain_CP**2 * together.variance
    covariance = slope.covariance + gain_CP[:, :, None] * gain_CP[:, None] * together.covariance
    return Pooled(slope.mean, variance, covariance)


def _centred(spread: Spread, figure_CP: Array, tried_CP: Mask) -> Spread:
    """The prior around the cells' own mean: nothing is said of a level."""
    mean = float(figure_CP[tried_CP].mean()) if tried_CP.any() else spread.mean
    return Spread(mean, spread.mean_sd, spread.platform, spread.campaign, spread.own)


def _with_common(level: Pooled, line: Line) -> Pooled:
    """Levels with the error of what all series did together."""
    common_CPJ = line.common_KJ.reshape(*level.mean.shape, -1)
    covariance = level.covariance + common_CPJ @ common_CPJ.swapaxes(1, 2)
    return level._replace(variance=level.variance + (common_CPJ**2).sum(2), covariance=covariance)


def _value(history: History, line: Line) -> Pooled:
    """ln of revenue per conversion, pooled."""
    some = {name: np.where(history.seen_TK, history.totals_TK[name], 0.0) for name in ("conversions", "revenue")}
    known = ((some["conversions"].sum(0) > 0) & (some["revenue"].sum(0) > 0)).reshape(history.cells)
    log = line.beta_KR[:, 0].reshape(history.cells)
    variance = np.where(known, line.covariance_KRR[:, 0, 0].reshape(history.cells), np.inf)
    return _with_common(pooled(log, variance, _centred(LEVEL["value"], log, known)), line)


__all__ = ["Aggregate", "fit"]

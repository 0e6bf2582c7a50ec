"""What data alone know of each cell's answer to money, whatever is fitted beside them: d ln revenue / d ln spend.

A cell's ln revenue is regressed on its ln spend x, on m, how far all cells spent above what is usual in the cycle, and
on a linear trend, by generalised least squares with AR(1) errors (Cochrane and Orcutt 1949):

    ln revenue = a + b t + E x + h m + error

As in the fit (`crossmix.market.fit.spend_history`), with m goes what is the cycle's and not the money's, so that E is
what is left when cells of the same cycle are compared (Mundlak 1978). h is pooled over all cells with the prior that
the fit has for its three lines in sum. Where budgets only ever moved together, x and m are one, and the error of E has
all of that prior's width: nothing in such a history tells demand from money. One cell alone always moves together.

Shapes: T cycles, C campaigns, P platforms, n sums in a series.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from crossmix.market.fit.pooling import Spread, pooled
from crossmix.market.fit.spend_history import SLOPE, WITH_ALL

Array = npt.NDArray[np.float64]

ENOUGH = 8.0
"""Conversions that a sum of a series has on average; cycles are summed until it does."""
LEAST = 8
"""Sums below which a series tells no slope."""
UNKNOWN = 10.0
"""Standard error of a coefficient that nothing tells."""
STILL = 1e-12
"""Sum of squares of a series that does not move."""
ROUNDS = 3
LINES = len(SLOPE) ** 0.5
H = Spread(
    WITH_ALL.mean, *(LINES * sd for sd in (WITH_ALL.mean_sd, WITH_ALL.platform, WITH_ALL.campaign, WITH_ALL.own))
)
"""Of h: the sum of the three lines' of the fit, each independent of the others."""


class Slope(NamedTuple):
    """What one cell's own series tell."""

    alone: float
    """E if h were 0."""
    alone_error: float
    """Standard error of E if h were known; `UNKNOWN` or more where nothing tells."""
    gain: float
    """By how much E falls with h: 1 where x only moved as m did."""
    with_all: float
    """h."""
    with_all_error: float


class Elasticities(NamedTuple):
    """Of every cell, (C, P) each."""

    value: Array
    error: Array
    """Standard error; `UNKNOWN` where a series is too short or spend never moved."""
    common: Array
    """Part of that error (its square is a part of the error's) which an unknown h leaves."""


NOTHING = Slope(0.0, UNKNOWN, 0.0, 0.0, UNKNOWN)


def elasticities(
    revenue_TCP: Array,
    spend_TCP: Array,
    conversions_TCP: Array,
    together_T: Array,
    predicted_TCP: Array | None = None,
    among_TCP: npt.NDArray[np.bool_] | None = None,
) -> Elasticities:
    """Of revenue, or of revenue over what was predicted.

    Args:
        together_T: m (`together`).
        among_TCP: cycles that count, of each cell; `None`: all.
    """
    shape = spend_TCP.shape[1:]
    value, error, common = np.zeros(shape), np.full(shape, UNKNOWN), np.zeros(shape)
    found = dict[tuple[int, int], Slope]()
    for c, p in np.ndindex(*shape):
        kept = slice(None) if among_TCP is None else among_TCP[:, c, p]
        revenue, spend, conversions = (table[kept, c, p] for table in (revenue_TCP, spend_TCP, conversions_TCP))
        predicted = None if predicted_TCP is None else predicted_TCP[kept, c, p]
        found[c, p] = cell(revenue, spend, conversions, together_T[kept], predicted)
    h, variance = np.zeros(shape), np.full(shape, np.inf)
    for at, one in found.items():
        if one.with_all_error < UNKNOWN:
            h[at], variance[at] = one.with_all, one.with_all_error**2
    every = pooled(h, variance, H)
    for at, one in found.items():
        left = abs(one.gain) * float(every.variance[at]) ** 0.5
        whole = math.hypot(one.alone_error, left)
        if whole < UNKNOWN:
            value[at], error[at], common[at] = one.alone - one.gain * every.mean[at], whole, left
    return Elasticities(value, error, common)


def together(spend_TCP: Array) -> Array:
    """m: the mean over the cells that spent in a cycle of ln of their spend less its usual one, (T,)."""
    spent = spend_TCP > 0
    log = np.log(np.where(spent, spend_TCP, 1.0))
    usual_CP = log.sum(0) / np.maximum(spent.sum(0), 1)
    off = np.where(spent, log - usual_CP, 0.0)
    return np.asarray(off.sum((1, 2)) / np.maximum(spent.sum((1, 2)), 1))


def cell(
    revenue_T: Array, spend_T: Array, conversions_T: Array, together_T: Array, predicted_T: Array | None = None
) -> Slope:
    """Of its revenue, or of its revenue over what was predicted.

    Cycles are summed until a sum has some conversions; sums without spend or revenue tell nothing.

    Returns:
        `NOTHING` where the series is too short.
    """
    at_once = _at_once(conversions_T)
    parts = len(spend_T) // at_once
    if parts < LEAST:
        return NOTHING
    spend, revenue, predicted, moved = (
        series[len(series) - parts * at_once :].reshape(parts, at_once).sum(1)
        for series in (spend_T, revenue_T, revenue_T if predicted_T is None else predicted_T, together_T / at_once)
    )
    seen = (spend > 0) & (revenue > 0) & (predicted > 0)
    if seen.sum() < LEAST:
        return NOTHING
    y = np.log(revenue[seen]) - (np.log(predicted[seen]) if predicted_T is not None else 0.0)
    return slope(y, np.log(spend[seen]), moved[seen])


def _at_once(conversions_T: Array) -> int:
    mean = float(conversions_T.mean()) if len(conversions_T) else 0.0
    return max(1, int(np.ceil(ENOUGH / max(mean, 1e-3))))


def slope(y_n: Array, x_n: Array, m_n: Array) -> Slope:
    """Slopes of y over x and m beside a linear trend, with AR(1) errors; the noise of either series may persist."""
    trend = np.linspace(-1, 1, len(y_n))
    design = np.column_stack([np.ones_like(trend), trend, x_n, m_n])
    rho: float = 0.0
    for _ in range(ROUNDS):
        y, z = _whitened(y_n, rho), _whitened(design, rho)
        left = y_n - design @ np.linalg.lstsq(z, y, rcond=None)[0]
        rho = float(np.clip((left[1:] @ left[:-1]) / max(float(left[:-1] @ left[:-1]), 1e-300), 0.0, 0.95))
    y, z = _whitened(y_n, rho), _whitened(design, rho)
    (y, x, m), level = np.column_stack([y, z[:, 2:]]).T, z[:, :2]
    y, x, m = (one - level @ np.linalg.lstsq(level, one, rcond=None)[0] for one in (y, x, m))
    # First x, then what m has beside it (Frisch and Waugh 1933), so that both may be the same series.
    (alone, gain), moved = _over(x, y, m)
    y, m = y - alone * x, m - gain * x
    (with_all,), moved_with_all = _over(m, y)
    variance = float(((y - with_all * m) ** 2).sum()) / max(len(y) - 5, 1)
    errors = (math.sqrt(variance / told) if told > 0 else UNKNOWN for told in (moved, moved_with_all))
    alone_error, with_all_error = (min(error, UNKNOWN) for error in errors)
    return Slope(alone, alone_error, gain, with_all, with_all_error)


def _whitened(series: Array, rho: float) -> Array:
    return np.asarray(series[1:] - rho * series[:-1])


def _over(x_n: Array, *series: Array) -> tuple[list[float], float]:
    """Slopes of series over x, and the sum of its squares; 0 where it is steady."""
    told = float(x_n @ x_n)
    if told <= STILL:
        return [0.0] * len(series), 0.0
    return [float(x_n @ one) / told for one in series], told

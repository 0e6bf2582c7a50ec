"""What a cycle does to all cells alike beside their money: paydays, holidays, weather, weeks of a season.

Where some budgets follow such days and others do not, money and the day are one for the first, and no mean of budgets
(m in `crossmix.market.fit.spend_history`) tells them apart; rates of the others on the same days do. Of residuals
around money, weekday and slow moves,

    e_tk = common_t + own_tk        common an AR(1), own independent between cells

the covariance of different cells is the common part's variance. Where it lies `CLEAR` deviations above what the same
series have when they are shifted against each other in time, the best linear prediction of each cycle's common part is
taken out of a cell's series: by the other cells alone, so that nothing of its own answer to money goes with it (common
correlated effects: Pesaran, Estimation and inference in large heterogeneous panels, Econometrica 74, 2006). Where it is
not clear nothing is taken out. What lasts for months is left to the levels (`slow.py`), which are wanted of the end.

Shapes: T cycles, K cells, R columns.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from crossmix.market.fit.regression import Law, Line

Array = npt.NDArray[np.float64]
Mask = npt.NDArray[np.bool_]

TOGETHER = 3
"""Place of m's coefficient."""
CLEAR, LEAST = 3.0, 0.03
"""Deviations of the covariance, and deviation of the common part, from which on there is one."""
SHIFTS, APART = 40, 14
"""Shifts of cells against each other that tell the first, and cycles of the least."""
NEAR = 28
"""Cycles on either side that a common part is around."""
LONGEST = 0.97
"""Persistence at most."""
ALONE = 12
"""Cells up to which each is left out by itself; among more it hardly counts."""
FAR = 3.0
"""Deviations beyond which a residual counts as one there."""


class Common(NamedTuple):
    """Of every cell, what the others tell."""

    mean_TK: Array
    left_TK: Array
    """Its variance."""

    def times_TK(self, seen_TK: Mask) -> Array:
        """What exposures are multiplied by, 1 on average."""
        times_TK = np.exp(self.mean_TK)
        mean_K = np.where(seen_TK, times_TK, 0.0).sum(0) / np.maximum(seen_TK.sum(0), 1)
        return np.asarray(times_TK / np.where(mean_K > 0, mean_K, 1.0))


Residual = Callable[[Array], tuple[Array, Array]]
"""From ln of what is expected, of rates where there are exposures, to what is left and its variance by counting."""


def of_counts(count_TK: Array, exposure_TK: Array) -> Residual:
    """What is left of counts, over what is expected."""

    def residual(log_TK: Array) -> tuple[Array, Array]:
        mean_TK = np.maximum(exposure_TK * np.exp(log_TK.clip(-30, 30)), 1e-6)
        return (count_TK - mean_TK) / mean_TK, 1 / mean_TK

    return residual


def without_common(
    fitted: Callable[[Common, Law | None], Line], residual: Residual, seen_TK: Mask, x_TKR: Array
) -> Line:
    """A line without what all cells have in common, where that is clear; its drift has it.

    Args:
        fitted: the line, given the common part and the drift's law; without the latter it is found.
        x_TKR: its columns. That of m stands in for the common part until that is known, and is left out of what
            residuals are around.
    """
    alike = Common(np.zeros(seen_TK.shape), np.zeros(seen_TK.shape))
    line = fitted(alike, None)
    for law in (line.law, line.law, None):
        found = common(*_around_all_but_m(line, residual, x_TKR), seen_TK)
        if found is None:
            break
        alike = found
        line = fitted(alike, law)
    return replace(line, drift_TK=line.drift_TK + alike.mean_TK)


def _around_all_but_m(line: Line, residual: Residual, x_TKR: Array) -> tuple[Array, Array]:
    covariance_KRR = line.covariance_KRR
    with_m_KR = covariance_KRR[:, :, TOGETHER] / covariance_KRR[:, TOGETHER, TOGETHER, None]
    part_TK = np.einsum("tkr,kr->tk", x_TKR, with_m_KR * line.beta_KR[:, TOGETHER, None])
    off_TK, noise_TK = residual(line.fitted_TK - part_TK)
    return off_TK, noise_TK + line.around_K


def common(residual_TK: Array, variance_TK: Array, seen_TK: Mask) -> Common | None:
    """What all cells have in common, cycle by cycle; `None`: nothing that is clear.

    Args:
        variance_TK: of the residuals, by counting and by what cells do by themselves.
    """
    precision_TK = np.where(seen_TK, 1 / np.maximum(variance_TK, 1e-9), 0.0)
    deviation_TK = np.sqrt(np.maximum(variance_TK, 1e-9))
    residual_TK = np.where(seen_TK, residual_TK.clip(-FAR * deviation_TK, FAR * deviation_TK), 0.0)
    if (precision_TK.sum(0) > 0).sum() < 2:
        return None
    residual_TK = residual_TK - (precision_TK * residual_TK).sum(0) / np.maximum(precision_TK.sum(0), 1e-9)
    size, persistence = _law(precision_TK * residual_TK, precision_TK)
    if size <= 0:
        return None
    times, cells = residual_TK.shape
    prior_TT = size * persistence ** np.abs(np.subtract.outer(np.arange(times), np.arange(times)))
    mean_TK, left_TK = np.zeros((times, cells)), np.zeros((times, cells))
    if cells > ALONE:
        mean_TK[:], left_TK[:] = (one[:, None] for one in _predicted(prior_TT, precision_TK, residual_TK))
    else:
        for k in range(cells):
            others = np.arange(cells) != k
            mean_TK[:, k], left_TK[:, k] = _predicted(prior_TT, precision_TK[:, others], residual_TK[:, others])
    return Common(mean_TK - _around(mean_TK), left_TK)


def _around(series_TK: Array) -> Array:
    """Mean of the cycles within `NEAR` of each: what lasts longer is the level's, which is wanted of the end."""
    times = len(series_TK)
    near_TT = np.abs(np.subtract.outer(np.arange(times), np.arange(times))) <= NEAR
    return np.asarray(near_TT @ series_TK / near_TT.sum(1)[:, None])


def _law(weighted_TK: Array, precision_TK: Array) -> tuple[float, float]:
    """Variance of the common part and its persistence; zeros where it is not clear."""
    times, cells = weighted_TK.shape
    size = _covariance(weighted_TK, precision_TK, 0)
    if times < 4 * APART or size < LEAST**2:
        return 0.0, 0.0
    # As cells are to each other at other times: what chance makes of such series, bursts and drifts with them.
    chance = []
    for shift in np.linspace(APART, times - APART, SHIFTS).astype(int):
        at_TK = (np.arange(times)[:, None] + shift * np.arange(cells)) % times
        weighted, precision = (np.take_along_axis(one, at_TK, 0) for one in (weighted_TK, precision_TK))
        chance.append(_covariance(weighted, precision, 0))
    if size < CLEAR * float(np.sqrt(np.mean(np.square(chance)))):
        return 0.0, 0.0
    return size, float(np.clip(_covariance(weighted_TK, precision_TK, 1) / size, 0.0, LONGEST))


def _covariance(weighted_TK: Array, precision_TK: Array, lag: int) -> float:
    """Of one cell with another so many cycles before, the mean over pairs by what they tell."""
    times = len(weighted_TK)
    (one, other), (of_one, of_other) = ((a[lag:], a[: times - lag]) for a in (weighted_TK, precision_TK))
    got = (one.sum(1) * other.sum(1) - (one * other).sum(1)).sum()
    return float(got / max((of_one.sum(1) * of_other.sum(1) - (of_one * of_other).sum(1)).sum(), 1e-12))


def _predicted(prior_TT: Array, precision_TK: Array, residual_TK: Array) -> tuple[Array, Array]:
    told_T = precision_TK.sum(1)
    pull_T = (precision_TK * residual_TK).sum(1)
    # (P^-1 + D)^-1 = P - P (P + D^-1)^-1 P, without an inverse of what nothing tells.
    root_T = np.sqrt(told_T)
    inner = np.eye(len(told_T)) + root_T[:, None] * prior_TT * root_T
    gain = np.linalg.solve(inner, root_T[:, None] * prior_TT)
    left_TT = prior_TT - (prior_TT * root_T) @ gain
    return left_TT @ pull_T, np.maximum(np.diagonal(left_TT), 0.0)


__all__ = ["TOGETHER", "Common", "common", "of_counts", "without_common"]

"""Partial pooling over campaigns and platforms: what cells with little data, or none, borrow from the others.

Of a figure y_cp (the logarithm of a price, a rate, a value; an elasticity) with known sampling variance s_cp^2

    y_cp = m + platform_p + campaign_c + own_cp + noise      each effect N(0, its variance)

is a random-effects model with crossed effects (Henderson, 1975). The three deviations are the mode of their marginal
posterior (empirical Bayes; lognormal priors keep them from 0 where a 2 x 2 table says nothing of them), the effects'
posterior is normal and closed. An unseen cell has s_cp = infinity: it gets the mean of its platform and its campaign,
and the variance says how much cells differ.

Shapes: C campaigns, P platforms, n = C P cells.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from scipy.linalg import solve_triangular
from scipy.optimize import minimize

Array = npt.NDArray[np.float64]

LOG_SD = 0.7
"""Deviation of the logarithm of a deviation, a priori: a factor of two either way."""
TINY = 1e-9
MOST = 96
"""Cells from which the deviations are found: those known best."""


@dataclass(frozen=True, slots=True)
class Spread:
    """How cells differ, a priori, in units of the figure."""

    mean: float
    mean_sd: float
    platform: float
    """Median deviation of platforms; likewise the next two."""
    campaign: float
    own: float


class Pooled(NamedTuple):
    """The posterior of every cell."""

    mean: Array
    """(C, P)."""
    variance: Array
    """(C, P)."""
    covariance: Array
    """Of a campaign's platforms, (C, P, P): an error of what all have in common is an error of each."""


def pooled(figure_CP: Array, variance_CP: Array, spread: Spread) -> Pooled:
    """Pool a figure over all cells.

    Args:
        variance_CP: of sampling; infinite where the cell was not seen, whose figure does not matter.
    """
    shape = figure_CP.shape
    campaign, platform = (index.ravel() for index in np.indices(shape))
    variance = variance_CP.ravel()
    known = np.flatnonzero(np.isfinite(variance) & np.isfinite(figure_CP.ravel()))
    y, s2 = figure_CP.ravel()[known], np.maximum(variance[known], TINY)
    alike = np.stack([platform[:, None] == platform, campaign[:, None] == campaign, np.eye(len(platform), dtype=bool)])
    alike = alike.astype(float)
    medians = np.array([spread.platform, spread.campaign, spread.own])
    log_sd = np.log(medians)
    if len(known) > 1:
        some = known[np.argsort(s2, kind="stable")[:MOST]]
        rows, near = np.searchsorted(known, some), np.ascontiguousarray(alike[:, some[:, None], some])
        noise, off = np.diag(s2[rows]), y[rows] - spread.mean

        def loss(candidate: Array) -> float:
            factor = np.linalg.cholesky(_covariance(near, candidate, spread) + noise)
            z = solve_triangular(factor, off, lower=True, check_finite=False)
            prior = 0.5 * (((candidate - np.log(medians)) / LOG_SD) ** 2).sum()
            return float(0.5 * z @ z + np.log(np.diag(factor)).sum() + prior)

        bounds, enough = [(x - 4, x + 3) for x in log_sd], {"ftol": 1e-6, "maxiter": 40}
        found = minimize(loss, log_sd, method="L-BFGS-B", bounds=bounds, options=enough)
        log_sd = np.asarray(found.x)
    whole = _covariance(alike, log_sd, spread)
    gain = np.linalg.solve(whole[np.ix_(known, known)] + np.diag(s2), whole[known]).T
    mean = spread.mean + gain @ (y - spread.mean)
    left = np.diag(whole) - (gain * whole[:, known]).sum(1)
    # The same of every pair of platforms of a campaign.
    blocks = (gain.reshape(*shape, -1), whole.reshape(*shape, *shape), whole[:, known].reshape(*shape, -1))
    within_CPP = np.einsum("cpcq->cpq", blocks[1]) - np.einsum("cpk,cqk->cpq", blocks[0], blocks[2])
    return Pooled(mean.reshape(shape), np.maximum(left, TINY).reshape(shape), within_CPP)


def linked(seen_CP: npt.NDArray[np.bool_]) -> npt.NDArray[np.bool_]:
    """Cells of which the seen ones tell something, (C, P): a chain of seen cells joins campaign and platform, so that
    the campaign can be compared with others and the platform too."""
    reached: npt.NDArray[np.int64] = seen_CP.astype(np.int64)
    for _ in range(sum(seen_CP.shape)):
        wider = np.minimum(reached @ reached.T @ reached, 1)
        if (wider == reached).all():
            break
        reached = wider
    return reached.astype(bool)


def _covariance(alike: Array, log_sd: Array, spread: Spread) -> Array:
    return np.asarray(np.tensordot(np.exp(2 * log_sd), alike, 1) + spread.mean_sd**2)

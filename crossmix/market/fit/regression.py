"""Regression of cycle-to-cycle series whose residual is an AR(1) drift and noise of one cycle (`crossmix.drift`).

    y_tk = x_tk . beta_k + drift_tk + noise_tk

The Kalman filter is linear in y, so that it makes innovations of y and of every column of x at once: among those beta
is found by least squares (generalised least squares without a T x T matrix). Deviation, persistence and noise of the
drift are those of all series together, the mode of their posterior with beta integrated out (REML with weak priors).

As a filter conditions every cycle on all before it, a budget that follows the performance of earlier cycles does no
harm; that budgets do not follow the same cycle's shocks is assumed.

Shapes: T cycles, K series, R columns.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.optimize import minimize

from crossmix.drift import whitened

Array = npt.NDArray[np.float64]
Mask = npt.NDArray[np.bool_]

START = (math.log(0.15), 1.5, -6.0)
"""ln of the drift's deviation, logit of its persistence, ln of the variance of a cycle's own noise."""
PRIOR = ((math.log(0.15), 1.0), (1.5, 1.0), (-6.0, 2.0))
"""Mean and deviation of each: drifts of 5 to 40 %, persistence of a day or two to months."""
MOST = 24
"""Series from which these are found: those seen in most cycles."""
PASSES = 3
"""Of reweighting counts."""


@dataclass(frozen=True, slots=True)
class Line:
    """What a regression found."""

    beta_KR: Array
    covariance_KRR: Array
    fitted_TK: Array
    """x . beta."""
    drift_TK: Array
    """Given all cycles seen."""
    left_TK: Array
    """Variance of the drift given all cycles seen."""
    own: float
    """Variance of a cycle's own noise beside the one given."""
    deviation: float
    law: tuple[float, float, float]
    """The drift's parameters, as `START`."""

    @property
    def around(self) -> float:
        """Variance of the series around its columns: drift and own noise, without the noise given."""
        return self.deviation**2 + self.own


@dataclass(frozen=True, slots=True)
class Columns:
    """What a series is explained by, with a normal prior on each coefficient."""

    x_TKR: Array
    mean_KR: Array
    deviation_R: Array


Law = tuple[float, float, float]
"""The drift's parameters, as `START`."""


def fit(observed_TK: Array, noise_TK: Array, seen_TK: Mask, columns: Columns, law: Law | None = None) -> Line:
    """Fit all series; `observed_TK` is any finite number where it was not seen.

    Args:
        law: of the drift; `None`: it is found.
    """
    law = _law_of(observed_TK, noise_TK, seen_TK, columns) if law is None else law
    whole = _Series.of(observed_TK, noise_TK, seen_TK, columns)
    beta, covariance, _ = whole.at(law)
    fitted = np.einsum("tkr,kr->tk", columns.x_TKR, beta)
    drift, left = whole.drift(law, fitted)
    return Line(
        beta_KR=beta,
        covariance_KRR=covariance,
        fitted_TK=fitted,
        drift_TK=drift,
        left_TK=left,
        own=float(np.exp(law[2])),
        deviation=float(np.exp(law[0])),
        law=law,
    )


def _law_of(observed_TK: Array, noise_TK: Array, seen_TK: Mask, columns: Columns) -> Law:
    """The mode of the law's posterior, beta integrated out."""
    order = np.argsort(-seen_TK.sum(0), kind="stable")[:MOST]
    some = _Series.of(observed_TK[:, order], noise_TK[:, order], seen_TK[:, order], _only(columns, order))

    def loss(law: Array) -> float:
        prior = sum(((x - mean) / sd) ** 2 for x, (mean, sd) in zip(law, PRIOR, strict=True))
        return 0.5 * float(prior) - some.at(_bounded(law))[2]

    settings = {"maxfev": 70, "xatol": 0.1, "fatol": 0.1}
    simplex = np.asarray(START) + np.array([[0, 0, 0], [0.5, 0, 0], [0, 1, 0], [0, 0, 1.5]])
    found = minimize(loss, np.asarray(START), method="Nelder-Mead", options=settings | {"initial_simplex": simplex})
    return _bounded(found.x)


def _bounded(law: Array) -> Law:
    deviation, persistence, own = (float(x) for x in np.clip(law, [-5, -4, -14], [0.7, 5, 0]))
    return deviation, persistence, own


def fit_counts(
    count_TK: Array, exposure_TK: Array, seen_TK: Mask, columns: Columns, law: Law | None = None
) -> tuple[Line, Array]:
    """Of counts with mean exposure x exp(x . beta + drift), by iterated reweighting (McCullagh and Nelder, 1989).

    Returns:
        The line, and the mean without drift, (T, K).
    """

    def mean(beta_KR: Array) -> Array:
        return np.asarray(np.exp(np.einsum("tkr,kr->tk", columns.x_TKR, beta_KR).clip(-30, 30)))

    beta_KR, line = columns.mean_KR, None
    for number in range(PASSES):
        rate_TK = mean(beta_KR)
        mean_TK = np.maximum(np.where(seen_TK, exposure_TK * rate_TK, 1.0), 1e-6)
        working = np.log(rate_TK) + np.where(seen_TK, (count_TK - mean_TK) / mean_TK, 0.0)
        # The law hardly depends on the weights: it is found once, when they are nearly right.
        known = law if law is not None or number == 1 else START if line is None else line.law
        line = fit(working, 1 / mean_TK, seen_TK, columns, known)
        beta_KR = line.beta_KR
    assert line is not None
    return line, exposure_TK * mean(beta_KR)


@dataclass(frozen=True, slots=True)
class _Series:
    """Series and columns, and what a law of the drift makes of them."""

    stacked_TKS: Array
    """y, then the columns."""
    noise_TK: Array
    seen_TK: Mask
    columns: Columns

    @classmethod
    def of(cls, observed_TK: Array, noise_TK: Array, seen_TK: Mask, columns: Columns) -> _Series:
        stacked = np.concatenate([observed_TK[..., None], columns.x_TKR], 2)
        return cls(np.where(seen_TK[..., None], stacked, 0.0), noise_TK, seen_TK, columns)

    def at(self, law: Law) -> tuple[Array, Array, float]:
        """beta, its covariance, and the log-likelihood with beta integrated out."""
        rho, variance, own = _law(law)
        path = whitened(self.stacked_TKS, self.noise_TK + own, self.seen_TK, rho, variance)
        white_TKS = np.where(self.seen_TK[..., None], path.innovation_TKS / np.sqrt(path.whole_TK)[..., None], 0.0)
        log_variance = float(np.log(path.whole_TK[self.seen_TK]).sum())
        y_TK, x_TKR = white_TKS[..., 0], white_TKS[..., 1:]
        precision_R = self.columns.deviation_R**-2
        mean_KR = self.columns.mean_KR
        inner = np.einsum("tkr,tks->krs", x_TKR, x_TKR) + np.diag(precision_R)
        right = np.einsum("tkr,tk->kr", x_TKR, y_TK) + precision_R * mean_KR
        covariance = np.linalg.inv(inner)
        beta = np.einsum("krs,ks->kr", covariance, right)
        fitted = (y_TK**2).sum() + (precision_R * mean_KR**2).sum() - (beta * right).sum()
        determinant = np.linalg.slogdet(inner)[1].sum()
        return beta, covariance, float(-0.5 * (log_variance + fitted + determinant))

    def drift(self, law: Law, fitted_TK: Array) -> tuple[Array, Array]:
        """The residual's drift given all cycles, and the variance that is left of it, (T, K) each."""
        residual_TK = np.where(self.seen_TK, self.stacked_TKS[..., 0] - fitted_TK, 0.0)
        rho, variance, own = _law(law)
        path = whitened(residual_TK[..., None], self.noise_TK + own, self.seen_TK, rho, variance)
        return path.smoothed(rho)[..., 0], path.left(rho)


def _law(law: Law) -> tuple[float, float, float]:
    """Persistence, stationary variance, a cycle's own noise."""
    return 1 / (1 + math.exp(-law[1])), math.exp(2 * law[0]), math.exp(law[2])


def _only(columns: Columns, series: npt.NDArray[np.int64]) -> Columns:
    return Columns(columns.x_TKR[:, series], columns.mean_KR[series], columns.deviation_R)

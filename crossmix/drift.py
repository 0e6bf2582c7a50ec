"""AR(1) log-drift: its law, and the Kalman filter that follows it. One definition for the market, its fit, competitors,
what-if and the base policy.

A log-drift x moves a rate or a price by the factor exp(x - sigma^2 / 2), whose mean is 1:

    x' = rho x + N(0, sigma^2 (1 - rho^2))        stationary N(0, sigma^2), autocovariance sigma^2 rho^|k|
    y  = x + N(0, R)                              what a cycle shows of it

The belief about x is normal, N(m, V). With the innovation e = y - m and its variance S = V + R:

    update    K = V / S,  m <- m + K e,  V <- (1 - K) V,  log-likelihood -(ln S + e^2 / S) / 2
    predict   m <- rho m,  V <- rho^2 V + sigma^2 (1 - rho^2)

All functions are pure, batched and, but for `whitened`, differentiable; `variance` is the stationary sigma^2. What a
cycle shows as a count is linearised by the caller (extended Kalman filter), who gives innovation and variance.

What reads a *windowed mean* of past cycles instead of one cycle after the other is no Kalman filter: the base policy's
tables (`crossmix.market.pacing`) hold its best linear filter, made from `factor_covariance` of the same law.

Shapes: any, the same or broadcastable; T cycles lead where named.
"""

from __future__ import annotations

from typing import NamedTuple, TypeVar

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

Array = npt.NDArray[np.float64]
Numbers = TypeVar("Numbers", Tensor, Array)


class Belief(NamedTuple):
    """N(mean, variance) about one log-drift."""

    mean: Tensor
    variance: Tensor


class Filtered(NamedTuple):
    """A filter's way through T cycles, (T, ...) each."""

    mean_T: Tensor
    """Given all up to the cycle, its own included."""
    variance_T: Tensor
    ahead_T: Tensor
    """Variance before the cycle was seen."""
    log_likelihood: Tensor
    """Sum over cycles and cells, without the constant -ln(2 pi) / 2 of each number seen."""


# ---- the law ---------------------------------------------------------------------------------------------------------


def autocovariance(rho: Numbers, variance: Numbers, lag: Numbers) -> Numbers:
    """Cov(x_t, x_{t+lag}) = sigma^2 rho^lag, lag >= 0."""
    return variance * rho**lag


def factor_covariance(rho: Tensor, variance: Tensor, lag: Tensor) -> Tensor:
    """Covariance of the factors exp(x - sigma^2 / 2) of two cycles `lag` apart: exp(sigma^2 rho^lag) - 1."""
    return torch.expm1(autocovariance(rho, variance, lag))


def shock(rho: Tensor, sigma: Tensor) -> Tensor:
    """Deviation of what a cycle adds: sigma sqrt(1 - rho^2)."""
    return sigma * (1 - rho**2).clamp(min=0).sqrt()


def advance(x: Tensor, rho: Tensor, sigma: Tensor, normal: Tensor) -> Tensor:
    """The next cycle's drift; `normal`: a standard normal draw."""
    return rho * x + shock(rho, sigma) * normal


def factor(x: Tensor, variance: Tensor) -> Tensor:
    """exp(x - sigma^2 / 2): mean 1 over the stationary law."""
    return torch.exp(x - 0.5 * variance)


# ---- the filter ------------------------------------------------------------------------------------------------------


def stationary(variance: Tensor) -> Belief:
    """The belief of one who has seen nothing."""
    return Belief(torch.zeros_like(variance), variance)


def predict(belief: Belief, rho: Tensor, variance: Tensor) -> Belief:
    """One cycle passes."""
    return Belief(rho * belief.mean, rho**2 * belief.variance + variance * (1 - rho**2))


def update(belief: Belief, innovation: Tensor, innovation_variance: Tensor, known: Tensor | None = None) -> Belief:
    """What a cycle showed is taken in.

    Args:
        innovation: e, what was seen less what was expected.
        innovation_variance: S = V + R; infinite where the cycle tells nothing.
        known: false where there is nothing to take in; by default all is seen.
    """
    gain = belief.variance / innovation_variance
    if known is not None:
        gain = torch.where(known, gain, torch.zeros_like(gain))
    return Belief(belief.mean + gain * innovation, (1 - gain) * belief.variance)


def ahead_of_one(rho: Tensor, variance: Tensor, gain: Tensor, innovation: Tensor) -> Belief:
    """The coming cycle's belief of one who saw a single cycle: `predict` after `update` of `stationary`, in short.

    m = rho K e, V = sigma^2 (1 - rho^2 K).
    """
    return Belief(rho * gain * innovation, variance * (1 - rho**2 * gain))


def expected_factor(belief: Belief, variance: Tensor) -> Tensor:
    """E[exp(x - sigma^2 / 2)] under a belief: 1 under the stationary law."""
    return torch.exp(belief.mean + 0.5 * (belief.variance - variance))


def log_density(innovation: Tensor, innovation_variance: Tensor) -> Tensor:
    """ln N(e; 0, S) without the constant -ln(2 pi) / 2."""
    return -0.5 * (innovation_variance.log() + innovation**2 / innovation_variance)


def filtered(observed_T: Tensor, noise_T: Tensor, seen_T: Tensor, rho: Tensor, variance: Tensor) -> Filtered:
    """The filter from the stationary law through T cycles.

    Args:
        observed_T: y, (T, ...); any finite number where it was not seen.
        noise_T: R, (T, ...).
        seen_T: (T, ...) bools.
        rho, variance: broadcastable to a cycle's shape.
    """
    belief = Belief(torch.zeros_like(observed_T[0]), variance.expand_as(observed_T[0]))
    means, variances, aheads, likelihood = [], [], [], []
    for t in range(len(observed_T)):
        if t:
            belief = predict(belief, rho, variance)
        aheads.append(belief.variance)
        innovation, whole = observed_T[t] - belief.mean, belief.variance + noise_T[t]
        likelihood.append(torch.where(seen_T[t], log_density(innovation, whole), 0.0).sum())
        belief = update(belief, innovation, whole, seen_T[t])
        means.append(belief.mean)
        variances.append(belief.variance)
    return Filtered(torch.stack(means), torch.stack(variances), torch.stack(aheads), torch.stack(likelihood).sum())


class Whitened(NamedTuple):
    """A filter's way through T cycles of K series, of which S columns each are asked at once."""

    innovation_TKS: Array
    """e; where the cycle was not seen it is of no use."""
    whole_TK: Array
    """S = V + R."""
    mean_TKS: Array
    """Given all up to the cycle, its own included."""
    variance_TK: Array
    ahead_TK: Array
    """Variance before the cycle was seen."""

    def smoothed(self, rho: float) -> Array:
        """As `smoothed` of a `Filtered`, (T, K, S)."""
        pull_TK = self.variance_TK[:-1] * rho / np.maximum(self.ahead_TK[1:], 1e-12)
        smooth_TKS = self.mean_TKS.copy()
        for t in range(len(smooth_TKS) - 2, -1, -1):
            smooth_TKS[t] += pull_TK[t][:, None] * (smooth_TKS[t + 1] - rho * self.mean_TKS[t])
        return smooth_TKS

    def left(self, rho: float) -> Array:
        """Variance of x_t given all cycles, (T, K): V_t + (V_t rho / V_{t+1|t})^2 (V'_{t+1} - V_{t+1|t})."""
        square_TK = (self.variance_TK[:-1] * rho / np.maximum(self.ahead_TK[1:], 1e-12)) ** 2
        left_TK = self.variance_TK.copy()
        for t in range(len(left_TK) - 2, -1, -1):
            left_TK[t] += square_TK[t] * (left_TK[t + 1] - self.ahead_TK[t + 1])
        return left_TK


def whitened(
    observed_TKS: Array, noise_TK: Array, seen_TK: npt.NDArray[np.bool_], rho: float, variance: npt.ArrayLike
) -> Whitened:
    """`filtered` without gradients, of several columns that share noise and gaps: for a fit that asks it often.

    Args:
        observed_TKS: any finite number where it was not seen.
        rho: of all series.
        variance: of all, or of each, (K,).
    """
    times, series, _ = observed_TKS.shape
    ahead_TK, gain_TK, after_TK = np.empty((3, times, series))
    believed = np.broadcast_to(np.asarray(variance, float), (series,))
    shocked = believed * (1 - rho**2)
    kept = rho**2
    for unknown, ahead, gain, after in zip(
        np.where(seen_TK, noise_TK, np.inf), ahead_TK, gain_TK, after_TK, strict=True
    ):
        ahead[:] = believed
        np.divide(believed, believed + unknown, out=gain)
        np.multiply(1 - gain, believed, out=after)
        believed = kept * after + shocked
    innovation_TKS, mean_TKS = np.empty_like(observed_TKS), np.empty_like(observed_TKS)
    expected = np.zeros_like(observed_TKS[0])
    for observed, gain, innovation, mean in zip(
        observed_TKS, gain_TK[..., None], innovation_TKS, mean_TKS, strict=True
    ):
        np.subtract(observed, expected, out=innovation)
        np.multiply(gain, innovation, out=mean)
        mean += expected
        expected = rho * mean
    return Whitened(innovation_TKS, ahead_TK + noise_TK, mean_TKS, after_TK, ahead_TK)


def smoothed(path: Filtered, rho: Tensor) -> Tensor:
    """E[x_t | all cycles], (T, ...), by Rauch, Tung and Striebel: m_t + V_t rho / V_{t+1|t} (m'_{t+1} - rho m_t)."""
    smooth = [path.mean_T[-1]]
    for t in range(len(path.mean_T) - 2, -1, -1):
        pull = path.variance_T[t] * rho / path.ahead_T[t + 1].clamp(min=1e-12)
        smooth.append(path.mean_T[t] + pull * (smooth[-1] - rho * path.mean_T[t]))
    return torch.stack(smooth[::-1])

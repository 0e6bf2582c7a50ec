"""Always-valid t-test of pairs between arms of unequal and changing size: an arm that is small first, and then larger.

The log-ratio of an arm's ROI to another's has a variance in proportion to 1 / a + 1 / b, a and b the arms' parts of the
users (`noise`). Divided by that, pairs of all steps have one deviation, and the lift is a regression on its inverse. As
in `sequential`, the standardised lift is mixed over N(0, spread^2), in deviations of the first pair, and the unknown
deviation over its right Haar measure:

    B = r^(-1/2) [(S + q) / (S + q / r)]^((n + m) / 2),    q = (x . z)^2 / x . x,    S = z . z - q + S_0,
    z = ratio / noise,    x = noise_1 / noise,    r = 1 + spread^2 x . x,

a test martingale under every deviation. S_0 and m are the squares and degrees of freedom of earlier pairs (`Before`),
whose own lift is nobody's business: what they tell of the deviation makes the first pairs count. Where their noise is
more than the parts say, as where both arms' splits differ or explore, the test errs towards silence.

The logarithm of a noisy figure is low by half its variance, and the smaller arm's by more: sigma^2 / 2 (1 / a - 1 / b)
is given back, sigma^2 as the earlier pairs tell it, else as these do.

Shapes: R experiments, T pairs, 2 arms.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from crossmix.evaluate.stats.sequential import SPREAD, AnalysisError, Lift

Array = NDArray[np.float64]
FEWEST = 3
"""Pairs, earlier ones included, that tell anything."""


@dataclass(frozen=True, slots=True)
class Before:
    """What earlier pairs tell of the deviation of an arm that has all users."""

    squares: ArrayLike = 0.0
    """Sum of the squared residuals of ratio / noise, of each experiment: (R,), or a number."""
    degrees: int = 0
    """Of freedom: pairs, less one for their mean."""


NOTHING = Before()


def noise(part_T2: ArrayLike, period: int = 1) -> Array:
    """Deviation of the log-ratio of arms with these parts of the users, in those of one arm that has them all, (T,).

    Args:
        period: cycles that are summed to a pair.
    """
    part = np.asarray(part_T2, float)
    return np.asarray(np.sqrt((1 / part).sum(-1) / period), float)


def before(ratio_RT: ArrayLike, noise_T: ArrayLike) -> Before:
    """What pairs tell of the deviation, whatever their lift, (R, T) or (T,); fewer than three tell nothing."""
    ratio, weight = np.asarray(ratio_RT, float), 1 / np.asarray(noise_T, float) ** 2
    if ratio.shape[-1] < FEWEST:
        return NOTHING
    mean = (weight * ratio).sum(-1, keepdims=True) / weight.sum()
    return Before((weight * (ratio - mean) ** 2).sum(-1), ratio.shape[-1] - 1)


def unequal(ratio_T: ArrayLike, part_T2: ArrayLike, level: float, known: Before = NOTHING, period: int = 1) -> Lift:
    """Lift of the first arm over the second, its always-valid interval and p.

    Args:
        ratio_T: ln of the first arm's figure over the second's, of each pair.
        part_T2: the arms' parts of the users then.
        level: two-sided.
        period: cycles that are summed to a pair.

    Raises:
        AnalysisError: fewer than three pairs, earlier ones included; lengths that differ; a ratio that is no number.
    """
    ratio, part = np.asarray(ratio_T, float), np.asarray(part_T2, float)
    if part.shape != (len(ratio), 2):
        raise AnalysisError(f"pairs: {ratio.shape} ratios, {part.shape} parts; give two parts to a ratio")
    if not len(ratio) or len(ratio) + known.degrees < FEWEST:
        raise AnalysisError(f"pairs: {len(ratio)}, and {known.degrees} degrees of freedom before; wait for {FEWEST}")
    if not (np.isfinite(ratio).all() and (part > 0).all()):
        raise AnalysisError("pairs: a ratio is no number, or a part is 0; leave out cycles without a figure above 0")
    mean, x, squares, evidence = (float(one[0]) for one in _judged(ratio[None], part, known, period, 0.0))
    r, n = 1 + SPREAD**2 * x, len(ratio) + known.degrees
    c = (math.sqrt(r) / level) ** (2 / n)
    reach = math.inf if c >= r else math.sqrt((c - 1) / (1 - c / r) * squares / x)
    high = math.expm1(mean + reach) if mean + reach < 700 else math.inf
    return Lift(math.expm1(mean), math.expm1(mean - reach), high, min(1.0, math.exp(-evidence)), len(ratio))


def below_by_pair(
    ratio_RT: ArrayLike,
    part_T2: ArrayLike,
    threshold: float,
    level: float,
    known: Before = NOTHING,
    period: int = 1,
) -> NDArray[np.bool_]:
    """Whether the whole interval of `unequal`, looked at after every pair, has been below `threshold`, (R, T)."""
    ratio, part = np.asarray(ratio_RT, float), np.asarray(part_T2, float)
    clear_RT = np.zeros(ratio.shape, np.bool_)
    for n in range(max(FEWEST - known.degrees, 1), ratio.shape[1] + 1):
        mean_R, *_, evidence_R = _judged(ratio[:, :n], part[:n], known, period, math.log1p(threshold))
        clear_RT[:, n - 1] = (evidence_R >= -math.log(level) - 1e-12) & (mean_R < 0)
    return np.asarray(np.maximum.accumulate(clear_RT, axis=1), np.bool_)


def _judged(
    ratio_RT: Array, part_T2: Array, known: Before, period: int, edge: float
) -> tuple[Array, Array, Array, Array]:
    """Least-squares lift less `edge`, ln; x . x; S; and ln B: of each experiment, (R,) each."""
    noise_T = noise(part_T2, period)
    fair_RT = ratio_RT + _lost(ratio_RT, part_T2, noise_T, known, period) - edge
    x_T = noise_T[0] / noise_T
    z_RT, xx = fair_RT * x_T, float(x_T @ x_T)
    mean_R = z_RT @ x_T / xx
    q_R = mean_R**2 * xx
    # Around the fit: equal figures then have no spread at all.
    squares_R = ((z_RT - mean_R[:, None] * x_T) ** 2).sum(1) + np.asarray(known.squares) * noise_T[0] ** 2
    r, n = 1 + SPREAD**2 * xx, ratio_RT.shape[1] + known.degrees
    with np.errstate(divide="ignore", invalid="ignore"):
        over_R = q_R / squares_R
        log_R = 0.5 * n * (np.log1p(over_R) - np.log1p(over_R / r)) - 0.5 * math.log(r)
    # Without any spread there is infinite evidence of a lift, and none where there is no lift either.
    log_R = np.where(squares_R > 0, log_R, np.where(q_R > 0, np.inf, 0.0))
    return mean_R, np.full(len(ratio_RT), xx), squares_R, log_R


def _lost(ratio_RT: Array, part_T2: Array, noise_T: Array, known: Before, period: int) -> Array:
    """What the logarithms have lost by the noise of their figures, (R, T)."""
    mine = before(ratio_RT, noise_T)
    degrees = known.degrees or mine.degrees
    squares = np.asarray((known if known.degrees else mine).squares, float)
    variance_R1 = np.broadcast_to(squares / max(degrees, 1), len(ratio_RT))[:, None]
    return np.asarray(variance_R1 / 2 * (1 / part_T2[:, 0] - 1 / part_T2[:, 1]) / period, float)

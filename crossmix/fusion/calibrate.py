"""Calibration of a head's logits after training, on rows it was not trained on.

Candidates are Platt scaling and isotonic regression, each with and without an intercept per platform; the one with the
lowest error out of fold is kept. The market reads platform means off these probabilities, so they count in the error.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

from crossmix.fusion.quality import Floats, calibration_error

FOLDS = 5
LEAST_POSITIVES = 30
"""Fewer positives than this cannot carry a platform's intercept or a step function."""
PRIOR_SLOPE = 0.5
PRIOR_INTERCEPT = 3.0
PRIOR_PLATFORM = 0.5
"""Prior standard deviations, in logits, of what Platt scaling adds: few events on a platform move it little."""
PLATT_SHARE = 0.1
"""Weight of Platt scaling inside isotonic regression."""
FLOOR = 1e-6


@dataclass(frozen=True, slots=True)
class Calibration:
    """p = isotonic(expit(slope x logit + intercept[platform])); without knots, isotonic is the identity."""

    method: str
    slope: float = 1.0
    intercept: list[float] = field(default_factory=list)
    """Per platform."""
    knots: list[list[float]] = field(default_factory=list)
    """Isotonic steps: probabilities in, probabilities out."""

    def apply(self, logits: NDArray[Any], platform: NDArray[Any]) -> Floats:
        """Calibrated probabilities, (rows,), inside (0, 1), of raw logits and platform indices, (rows,) each."""
        p: Floats = expit(self.slope * np.asarray(logits, dtype=np.float64) + np.asarray(self.intercept)[platform])
        if self.knots:
            p = np.interp(p, self.knots[0], self.knots[1])
        clipped: Floats = np.clip(p, FLOOR, 1 - FLOOR)
        return clipped


def identity(platforms: int) -> Calibration:
    """Leave the logits alone."""
    return Calibration("none", 1.0, [0.0] * platforms)


def platt(
    logits: NDArray[Any], label: NDArray[Any], platform: NDArray[Any], platforms: int, by_platform: bool
) -> Calibration:
    """Slope and intercept (one, or one per platform) at the posterior mode, by Newton's method."""
    columns = [np.asarray(logits, dtype=np.float64), np.ones(len(logits))]
    precision = [PRIOR_SLOPE**-2, PRIOR_INTERCEPT**-2]
    if by_platform:
        columns += [(platform == index).astype(np.float64) for index in range(platforms)]
        precision += [PRIOR_PLATFORM**-2] * platforms
    design, prior = np.stack(columns, axis=1), np.asarray(precision)
    theta = np.zeros(design.shape[1])  # what is added to slope 1 and intercept 0
    best = _cost(design, label, prior, theta)
    for _ in range(100):
        p = expit(design[:, 0] + design @ theta)
        gradient = design.T @ (label - p) - prior * theta
        hessian = (design * (p * (1 - p))[:, None]).T @ design + np.diag(prior)
        step = np.linalg.solve(hessian, gradient)
        # The cost is convex, but a full step from a saturated start overshoots: halve it until it helps.
        while (cost := _cost(design, label, prior, theta + step)) > best and np.abs(step).max() > 1e-9:
            step = step / 2
        if np.abs(step).max() <= 1e-9:
            break
        theta, best = theta + step, cost
    offsets = theta[2:] if by_platform else np.zeros(platforms)
    name = "platt by platform" if by_platform else "platt"
    return Calibration(name, float(1 + theta[0]), (theta[1] + offsets).tolist())


def _cost(design: Floats, label: NDArray[Any], prior: Floats, theta: Floats) -> float:
    """Negative log posterior of `platt`, up to a constant."""
    logits = design[:, 0] + design @ theta
    return float(np.sum(np.logaddexp(0, logits) - label * logits) + 0.5 * np.sum(prior * theta**2))


def isotonic(
    logits: NDArray[Any], label: NDArray[Any], platform: NDArray[Any], platforms: int, by_platform: bool
) -> Calibration:
    """Isotonic regression on top of Platt scaling: what is left that is monotone, but not logistic."""
    from sklearn.isotonic import IsotonicRegression

    base = platt(logits, label, platform, platforms, by_platform)
    p = base.apply(logits, platform)
    # Blended labels stay unbiased where Platt is, and keep a run of negatives from becoming a probability of 0.
    fitted = IsotonicRegression().fit(p, (1 - PLATT_SHARE) * label + PLATT_SHARE * p)
    knots = [fitted.X_thresholds_.tolist(), fitted.y_thresholds_.tolist()]
    return Calibration(base.method.replace("platt", "isotonic"), base.slope, base.intercept, knots)


def group_error(label: NDArray[Any], p: NDArray[Any], platform: NDArray[Any], platforms: int) -> float:
    """Mean |mean predicted - observed rate| over platforms, weighted by rows."""
    count = np.bincount(platform, minlength=platforms)
    gap = np.bincount(platform, weights=p - label, minlength=platforms)
    return float(np.abs(gap).sum() / max(count.sum(), 1))


def fit(
    logits: NDArray[Any],
    label: NDArray[Any],
    platform: NDArray[Any],
    user: NDArray[Any],
    platforms: int,
    seed: int,
) -> tuple[Calibration, dict[str, float]]:
    """The best candidate, fitted on all rows, and every candidate's error out of fold.

    Args:
        logits: raw, (rows,).
        label: 0 or 1, (rows,).
        platform: platform index, (rows,).
        user: a number per user, (rows,): a user's rows are alike and stay in one fold.
        platforms: number of platforms.
        seed: of the folds.

    The error is the expected calibration error plus the platforms' (`group_error`). With fewer than
    `LEAST_POSITIVES` of either class only plain Platt scaling is tried; without any, nothing is.
    """
    label = np.asarray(label, dtype=np.float64)
    scarce = int(min(label.sum(), (1 - label).sum()))
    if scarce == 0:
        return identity(platforms), {}
    if scarce < LEAST_POSITIVES:
        return platt(logits, label, platform, platforms, by_platform=False), {}
    fold = np.random.default_rng(seed).integers(FOLDS, size=int(user.max()) + 1)[user]
    errors: dict[str, float] = {}
    candidates = [(method, flag) for method in (platt, isotonic) for flag in (False, True)]
    for method, by_platform in candidates:
        p, name = np.empty(len(label)), ""
        for held in range(FOLDS):
            rest, here = fold != held, fold == held
            fitted = method(logits[rest], label[rest], platform[rest], platforms, by_platform)
            p[here], name = fitted.apply(logits[here], platform[here]), fitted.method
        errors[name] = calibration_error(label, p) + group_error(label, p, platform, platforms)
    best, flag = candidates[int(np.argmin(list(errors.values())))]
    return best(logits, label, platform, platforms, flag), errors

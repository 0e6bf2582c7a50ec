"""Are two numbers different: Welch's t, and the two-way bootstrap over training seeds and market seeds.

Shapes: S training seeds, N market seeds.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import stats

Array = NDArray[np.float64]
RESAMPLES = 2_000


@dataclass(frozen=True, slots=True)
class Welch:
    """Welch's t for two samples with variances of their own (§3.1)."""

    difference: float
    """Mean of the first less mean of the second."""
    ci95: tuple[float, float]
    t: float
    degrees: float
    """Welch and Satterthwaite's degrees of freedom."""
    p: float
    """Two-sided."""


def welch(first: ArrayLike, second: ArrayLike) -> Welch:
    """Compare two independent samples.

    Raises:
        ValueError: fewer than two numbers in a sample, or one that is not finite, or no spread in both.
    """
    a, b = (np.asarray(sample, float).ravel() for sample in (first, second))
    for name, sample in (("first", a), ("second", b)):
        if len(sample) < 2 or not np.isfinite(sample).all():
            raise ValueError(f"welch: the {name} sample needs two or more finite numbers; it has {sample.tolist()[:5]}")
    parts = np.array([a.var(ddof=1) / len(a), b.var(ddof=1) / len(b)])
    error = math.sqrt(parts.sum())
    if error == 0:
        raise ValueError("welch: neither sample has any spread; there is nothing to test")
    degrees = parts.sum() ** 2 / sum(part**2 / (len(s) - 1) for part, s in zip(parts, (a, b), strict=True))
    difference = float(a.mean() - b.mean())
    t = difference / error
    half = float(stats.t.ppf(0.975, degrees)) * error
    return Welch(
        difference, (difference - half, difference + half), t, float(degrees), float(2 * stats.t.sf(abs(t), degrees))
    )


def two_way(table_SN: Array, seed: int = 0) -> dict[str, Any]:
    """Mean over training seeds and market seeds, (S, N), with the 95 % interval of resampling both."""
    rng = np.random.default_rng(seed)
    rows, columns = table_SN.shape
    picked = [
        table_SN[np.ix_(rng.integers(rows, size=rows), rng.integers(columns, size=columns))].mean()
        for _ in range(RESAMPLES)
    ]
    return {"mean": float(table_SN.mean()), "ci95": [float(x) for x in np.percentile(picked, [2.5, 97.5])]}

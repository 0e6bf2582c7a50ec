"""From the mean of a logarithm to the logarithm of a mean: the smearing estimate of Duan (1983), cell by cell.

A regression of ln W says exp(x . beta) where the mean of W is more. Of the n cycles that a cell was seen in

    s = ln (sum W / sum exp(x . beta))

is by how much, whatever the law of what is left: Duan's mean of the exponentials of the residuals, each weighing the
volume that was expected, so that what is told of the cycles seen adds up to what was. (Were the residual normal, s
would be half its variance; a few days of lost delivery make that variance large without making the mean so.) The
figure of a cell with few cycles leans on all of them,

    s* = (n s + `DAYS` s_all) / (n + `DAYS`)        s_all the mean of s over all cycles of all cells

so that one never seen has s_all. In terms of the iid residual ratio r, n ln(mean W) is known to cv(r)^2, which a
variance of residuals pooled over all cells may understate for one that is wilder than the others.

N. Duan, Smearing estimate: a nonparametric retransformation method, JASA 78 (383), 1983, 605-610.

Shapes: T cycles, K cells.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]

DAYS = 14.0
"""Cycles of its own from which a cell's figure weighs as much as that of all cells."""


class Smeared(NamedTuple):
    """What is added to the logarithm's mean, each (K,)."""

    shift: Array
    variance: Array
    """Least variance of the logarithm of a cell's mean; 0 of one that was never seen."""


def smeared(amount_TK: Array, log_fitted_TK: Array, seen_TK: npt.NDArray[np.bool_]) -> Smeared:
    """The smearing estimate of every cell.

    Args:
        amount_TK: W.
        log_fitted_TK: x . beta.
        seen_TK: cycles that were fitted on; nothing else is read.
    """
    n = seen_TK.sum(0)
    log = np.where(seen_TK, log_fitted_TK, -np.inf)
    most = np.where(n > 0, log.max(0, initial=-np.inf), 0.0)
    expected = np.exp(log - most)
    amount = np.where(seen_TK, amount_TK, 0.0)
    seen = np.maximum(expected.sum(0), 1e-300)
    ratio = amount.sum(0) / seen
    shift = np.where(n > 0, np.log(np.maximum(ratio, 1e-300)) - most, 0.0)
    overall = float((n * shift).sum() / max(int(n.sum()), 1))
    # Of a ratio of sums, by its residuals.
    off = ((amount - ratio * expected) ** 2).sum(0) / np.maximum(amount.sum(0), 1e-9) ** 2
    return Smeared((n * shift + DAYS * overall) / (n + DAYS), np.where(n > 0, off, 0.0))


__all__ = ["DAYS", "Smeared", "smeared"]

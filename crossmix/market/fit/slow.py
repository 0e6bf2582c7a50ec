"""What a series' level does slowly: a trend or a step, which an AR(1) drift around one level does not follow.

A level is what it is at the end, less what it has moved by since,

    level_t = level - sum_j z_j since_j(t)        since_j rises from 0 at the end to 1 along its part of the past

by a trend along the whole history and a random walk whose steps are the longer the longer they are ago (`GAPS`). Of
each is asked how large it is, none among the answers (`SIZES`), and what is told is the mean over the answers by their
posterior probability: a history that is stationary keeps its mean as level, one that grew has that of its end. What
has moved is the sum of what all series did, what those of a platform did, and what each did by itself,

    z_k = all + platform_k + own_k                each N(0, diag(size^2)), its size by `MOVES` or `ALIKE`

so that an account whose every platform sells better is followed by all of its data. An account of which none of four
lines moved is known better than four lines of which each may have: they are asked together (`Slow.beside`). The account
moves with probability `MOVING`, and then each line by itself with `EACH`; where the data of line l raise its odds by
B_l,

    P(account moves | others) = A / (A + 1 - MOVING)        A = MOVING prod (1 - EACH + EACH B_l) over the others

and `EACH` of that is a line's prior probability. Where all budgets moved for good, levels most likely did too
(`Slow.budgets`): at the same money demand moves each stage by a small trend, which by itself is no more likely than
none, and half of it was lost to that doubt. A series tells of its z as v' z - z' M z / 2 (`Told`), all else integrated
out. Of a + o with o ~ N(0, Q) that is the same with

    M (I + Q M)^-1,  (I + M Q)^-1 v

so that one level of the hierarchy after the other is integrated out, and found on the way back.

Shapes: T cycles, J moves (the trend, the walk's steps, and last what the walk will have done in the next window), N
series or groups of them, K series, H sizes.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]
Indices = npt.NDArray[np.int64]

SIZES = ((0.0, 0.0), (0.25, 0.1), (0.7, 0.2), (0.0, 0.4), (0.0, 1.2))
"""Deviations over the whole history, ln, of the trend and of the walk."""
ALIKE = (0.6, 0.1, 0.1, 0.1, 0.1)
"""Prior probability of each, of what all series do together, or of the one that there is."""
MOVING, EACH = 0.8, 0.5
"""Probability that anything of an account moved, and then each of its lines: by itself a line moves as in `ALIKE`."""
FOLLOWED = (0.1, 0.225, 0.225, 0.225, 0.225)
"""The same where all budgets moved for good: whoever set them saw that something had."""
BUDGETS = (0.88, 0.03, 0.03, 0.03, 0.03)
"""Of what all budgets do: one that wanders looks like a trend sooner than a level does."""
MOVES = (0.96, 0.01, 0.01, 0.01, 0.01)
"""Of what the series of a platform do, or one series by itself."""
GAPS = (1, 1, 1, 1, 1, 1, 1, 1, 2, 2, 4, 4, 8, 8)
"""Lengths of the walk's steps, the last first, in units of `UNIT` cycles or less."""
UNIT = 14.0
SHORT = 8.0
"""A unit is no more than this part of the history."""
ROUNDS = 4


class Told(NamedTuple):
    """What series tell of their moves."""

    precision: Array
    """M, (N, J, J)."""
    pull: Array
    """v, (N, J)."""

    def given(self, mean_NJ: Array) -> Told:
        """Of what is left of the moves when these are known."""
        return Told(self.precision, self.pull - (self.precision @ mean_NJ[..., None])[..., 0])

    def through(self, variance_NJ: Array) -> Told:
        """Of what others have in common with it, when its own part has this variance."""
        root = np.sqrt(variance_NJ)
        inner = np.eye(root.shape[1]) + root[:, :, None] * self.precision * root[:, None]
        left = np.eye(root.shape[1]) - (self.precision * root[:, None]) @ np.linalg.solve(
            inner, np.broadcast_to(np.eye(root.shape[1]), inner.shape) * root[:, None]
        )
        return Told(left @ self.precision, (left @ self.pull[..., None])[..., 0])

    def summed(self, group_N: Indices, groups: int) -> Told:
        precision, pull = np.zeros((groups, *self.precision.shape[1:])), np.zeros((groups, self.pull.shape[1]))
        np.add.at(precision, group_N, self.precision)
        np.add.at(pull, group_N, self.pull)
        return Told(precision, pull)


class Moved(NamedTuple):
    """The posterior of a part of the moves."""

    mean: Array
    """(N, J)."""
    covariance: Array
    """(N, J, J)."""
    size: Array
    """Mean prior variance, (N, J)."""
    still: Array
    """Probability that nothing moved, (N,)."""


class Found(NamedTuple):
    """The moves of all series."""

    mean_KJ: Array
    covariance_KJJ: Array
    """Of the part that the series do not have in common."""
    common_KJJ: Array
    """Loadings of each series on the errors of what all have in common."""
    moved: float
    """Probability that what all have in common, or the one series that there is, moved."""


@dataclass(frozen=True, slots=True)
class Slow:
    """What may have moved."""

    since_TJ: Array
    variance_HJ: Array
    """Of the moves, at each size."""
    platform_K: Indices
    alike: tuple[float, ...] = ALIKE
    """Prior probability of each size, of what all series do together."""

    @classmethod
    def of(cls, times: int, ahead: int, platform_K: Indices) -> Slow:
        """Moves of a history.

        Args:
            ahead: cycles after the history that the level is wanted of.
        """
        last = max(times - 1, 1)
        age_T = np.arange(times)[::-1].astype(float)
        ends = np.minimum(np.cumsum(GAPS) * max(min(UNIT, times / SHORT), 1.0), last)
        ends = np.append(np.unique(ends[ends < last]), last)
        begins = np.append(0.0, ends[:-1])
        walk_TJ = ((age_T[:, None] - begins) / (ends - begins)).clip(0, 1)
        since_TJ = np.column_stack([age_T / last, walk_TJ, np.zeros(times)])
        trend, walk = np.square(SIZES).T
        # The mean of a walk's next n cycles is n / 3 cycles of it away.
        steps = np.append(ends - begins, ahead / 3) / last
        return cls(since_TJ, np.column_stack([trend, walk[:, None] * steps]), platform_K)

    @classmethod
    def none(cls, times: int, series: int) -> Slow:
        """A level that stays."""
        return cls(np.zeros((times, 0)), np.zeros((1, 0)), np.zeros(series, np.int64))

    def only(self, series: Indices) -> Slow:
        return replace(self, platform_K=self.platform_K[series])

    def budgets(self, moved: float) -> Slow:
        """Moves of levels where all budgets moved for good with that probability."""
        pairs = zip(FOLLOWED, self.alike, strict=True)
        return replace(self, alike=tuple(moved * followed + (1 - moved) * alike for followed, alike in pairs))

    def odds(self, moved: float) -> float:
        """By how much the data raised the odds that all series moved, which is now of that probability."""
        before = 1 - self.alike[0]
        return moved / max(1 - moved, 1e-12) * (1 - before) / before

    def beside(self, odds: Iterable[float]) -> Slow:
        """Moves of one line of an account, given by how much the data of its other lines raise their odds."""
        account = math.log(MOVING / (1 - MOVING)) + sum(math.log1p(EACH * (one - 1)) for one in odds)
        moved = EACH / (1 + math.exp(-account))
        sizes = sum(ALIKE[1:])
        return replace(self, alike=(1 - moved, *(moved * size / sizes for size in ALIKE[1:])))

    def likelihood(self, told: Told) -> Array:
        """Log-likelihood of each series' own moves over none, (N,)."""
        return _log_sum(self._log_odds(told, self._each(len(told.pull))))

    def likelihood_of_all(self, told: Told) -> float:
        """The same of all series, which move either each by itself or all alike."""
        each = float(self.likelihood(told).sum())
        if len(told.pull) == 1 or len(self.variance_HJ) == 1:
            return each
        alike_H1 = self._log_odds(Told(told.precision.sum(0)[None], told.pull.sum(0)[None]), self.alike)
        alike_H1 += len(told.pull) * np.log(MOVES[0])
        alike_H1[0] = each + np.log(self.alike[0])
        return float(_log_sum(alike_H1)[0])

    def moved(self, told: Told, prior: tuple[float, ...]) -> Moved:
        """The posterior over the sizes."""
        odds_HN = self._log_odds(told, prior)
        weight_HN = np.exp(odds_HN - odds_HN.max(0))
        weight_HN /= weight_HN.sum(0)
        root_HJ = np.sqrt(self.variance_HJ)
        whole_HNJJ = root_HJ[:, None, :, None] * np.linalg.inv(_inner(root_HJ, told)) * root_HJ[:, None, None, :]
        each_HNJ = (whole_HNJJ @ told.pull[..., None])[..., 0]
        mean_NJ = (weight_HN[..., None] * each_HNJ).sum(0)
        off_HNJ = each_HNJ - mean_NJ
        whole_HNJJ += off_HNJ[..., :, None] * off_HNJ[..., None, :]
        covariance_NJJ = (weight_HN[..., None, None] * whole_HNJJ).sum(0)
        return Moved(mean_NJ, covariance_NJJ, weight_HN.T @ self.variance_HJ, weight_HN[0])

    def found(self, told: Told) -> Found:
        """The moves of all series, by what each tells."""
        series, moves = told.pull.shape
        groups = int(self.platform_K.max(initial=0)) + 1
        # One series of a platform is the platform; one platform is all.
        grouped = 1 < groups < series
        own_KJ, platform_PJ, all_1 = np.zeros((series, moves)), np.zeros((groups, moves)), np.zeros(groups, np.int64)
        for _ in range(ROUNDS):
            of_platform = told.through(own_KJ).summed(self.platform_K, groups)
            of_all = of_platform.through(platform_PJ).summed(all_1, 1)
            common = self.moved(of_all, self.alike) if series > 1 else _nothing(1, moves)
            left = of_platform.given(common.mean)
            platform = self.moved(left, MOVES) if grouped else _nothing(groups, moves)
            together_KJ = common.mean + platform.mean[self.platform_K]
            own = self.moved(told.given(together_KJ), self._each(series))
            own_KJ, platform_PJ = own.size, platform.size
        follows_KJJ = np.eye(moves) - own.covariance @ told.precision
        shared_KJJ = follows_KJJ @ platform.covariance[self.platform_K] @ follows_KJJ.swapaxes(1, 2)
        through_PJJ = np.eye(moves) - platform.covariance @ of_platform.precision
        values, vectors = np.linalg.eigh(common.covariance[0])
        # The symmetric root: loadings of several fits of one history, which are averaged, have signs and order alike.
        root_JJ = (vectors * np.sqrt(np.maximum(values, 0.0))) @ vectors.T
        return Found(
            mean_KJ=together_KJ + own.mean,
            covariance_KJJ=own.covariance + shared_KJJ,
            common_KJJ=follows_KJJ @ through_PJJ[self.platform_K] @ root_JJ,
            moved=1 - float((common if series > 1 else own).still[0]),
        )

    def _each(self, series: int) -> tuple[float, ...]:
        """Prior probability of each size, of what one of so many series does by itself."""
        return MOVES if series > 1 else self.alike

    def _log_odds(self, told: Told, prior: tuple[float, ...]) -> Array:
        """ln of each size's prior probability and of what it explains better than none, the first, (H, N)."""
        odds_HN = np.zeros((len(self.variance_HJ), len(told.pull)))
        if len(odds_HN) == 1:
            return odds_HN
        root_HJ = np.sqrt(self.variance_HJ[1:])
        # v' Q^(1/2) inner^-1 Q^(1/2) v is the Schur complement of a bordered matrix's corner, by its factor.
        moves = root_HJ.shape[1]
        inner_HNJJ = np.zeros((*odds_HN[1:].shape, moves + 1, moves + 1))
        inner_HNJJ[..., :moves, :moves] = _inner(root_HJ, told)
        inner_HNJJ[..., moves, :moves] = root_HJ[:, None] * told.pull
        inner_HNJJ[..., moves, moves] = 1 + (inner_HNJJ[..., moves, :moves] ** 2).sum(2)
        factor_HNJJ = np.linalg.cholesky(inner_HNJJ)
        explained_HN = (factor_HNJJ[..., moves, :moves] ** 2).sum(2)
        determinant_HN = np.log(np.diagonal(factor_HNJJ, axis1=2, axis2=3)[..., :moves]).sum(2)
        odds_HN[1:] = 0.5 * explained_HN - determinant_HN
        return odds_HN + np.log(prior)[:, None]


def _log_sum(odds_HN: Array) -> Array:
    most_N = odds_HN.max(0)
    return np.asarray(most_N + np.log(np.exp(odds_HN - most_N).sum(0)))


def _inner(root_HJ: Array, told: Told) -> Array:
    """I + Q^(1/2) M Q^(1/2), (H, N, J, J)."""
    scaled = root_HJ[:, None, :, None] * told.precision * root_HJ[:, None, None, :]
    return np.asarray(np.eye(root_HJ.shape[1]) + scaled)


def _nothing(groups: int, moves: int) -> Moved:
    return Moved(
        np.zeros((groups, moves)), np.zeros((groups, moves, moves)), np.zeros((groups, moves)), np.ones(groups)
    )


__all__ = ["BUDGETS", "Found", "Slow", "Told"]

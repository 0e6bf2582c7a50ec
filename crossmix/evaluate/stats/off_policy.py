"""What a policy would have earned on a log that another one served (§3.1's log playback; contextual bandit per cycle).

The log holds the logits z that were sampled, their density under the policy that served, and the reward. With the
target's density of the same logits, w = p_target(z | s) / p_served(z | s), and with q(s, a) a model of the reward:

    IPS     mean(w r)
    SNIPS   sum(w r) / sum(w)
    DR      mean(E_target[q(s, .)] + w (r - q(s, a)))       doubly robust: unbiased if either w or q is right

Intervals are 95 %, normal, with standard errors clustered by campaign flight where clusters are given: cycles of a
flight share its drift. Exploration is cut off (`crossmix.exploration`): logits that the target cannot sample weigh
nothing, and splits of the target that the log could not hold count in none of the estimates but DR's model; `covered`
tells how much of the target the log holds. The effective sample size is (sum w)^2 / sum w^2; below `ENOUGH` the
answer is that the policies overlap too little, with the number of cycles that would be needed.

Shapes: N logged cycles, P platforms.
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import stats

from crossmix.exploration import FeedbackError

Array = NDArray[np.float64]
ENOUGH = 50.0
"""Least effective sample size for an estimate to be believed: its relative error is then some 1 / sqrt(50) = 14 % of
the reward's own spread."""


@dataclass(frozen=True, slots=True)
class Estimate:
    """A value with its 95 % interval."""

    value: float
    ci95: tuple[float, float]
    error: float
    """Standard error."""


@dataclass(frozen=True, slots=True)
class OffPolicy:
    """What a log says about a target policy."""

    logged: Estimate
    """Of the policy that served: the mean reward."""
    ips: Estimate
    snips: Estimate
    doubly_robust: Estimate | None
    """`None` without a model of the reward."""
    effective: float
    """Effective sample size."""
    largest: float
    """Largest weight over the sum of all."""
    covered: float
    """Mean weight: about the part of the target's splits that the log could hold. Below 1, IPS is too low by what the
    rest would earn."""
    enough: bool
    needed: int
    """Logged cycles for an effective sample size of `ENOUGH`, at this overlap."""

    def plain(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self)


def estimate(
    log_target_N: ArrayLike,
    log_served_N: ArrayLike,
    reward_N: ArrayLike,
    *,
    model_N: ArrayLike | None = None,
    model_target_N: ArrayLike | None = None,
    cluster_N: ArrayLike | None = None,
) -> OffPolicy:
    """Estimate a target policy's mean reward.

    Args:
        log_target_N, log_served_N: ln density of the logged logits under target and under the policy that served;
            minus infinity where the target cannot sample them.
        reward_N: of the logged cycles.
        model_N: q(s, a) of the logged split.
        model_target_N: q's mean over the target's splits in the logged state.
        cluster_N: flight of each row; `None`: rows are independent.

    Raises:
        FeedbackError: lengths differ, fewer than two clusters, a number that is not finite, half a model, or a target
            that could have served none of the log.
    """
    given = {"log_target": log_target_N, "log_served": log_served_N, "reward": reward_N}
    if (model_N is None) != (model_target_N is None):
        raise FeedbackError("model: give both its value at the logged split and its mean over the target's, or neither")
    if model_N is not None and model_target_N is not None:
        given |= {"model": model_N, "model_target": model_target_N}
    column = {name: np.asarray(values, float) for name, values in given.items()}
    size = len(column["reward"])
    for name, values in column.items():
        if values.shape != (size,):
            raise FeedbackError(f"{name}: shape {values.shape}, while reward has {size} rows; give one number per row")
        usable_N = np.isfinite(values) | ((name == "log_target") & np.isneginf(values))
        if not usable_N.all():
            row = int(np.flatnonzero(~usable_N)[0])
            raise FeedbackError(f"{name}: {values[row]} in row {row}; leave such rows out of the log")
    cluster = np.arange(size) if cluster_N is None else np.unique(np.asarray(cluster_N), return_inverse=True)[1]
    if len(cluster) != size or len(np.unique(cluster)) < 2:
        raise FeedbackError(f"cluster: {len(np.unique(cluster))} flight in {size} rows; an interval needs two or more")
    weight, reward = np.exp(column["log_target"] - column["log_served"]), column["reward"]
    total = weight.sum()
    if total == 0:
        raise FeedbackError(
            "log_target: the target would have served none of the logged splits; more cycles do not help, explore "
            "further (online.sigma) or ask about a policy nearer to the one that served"
        )
    ratio = float((weight * reward).sum() / total)
    doubly = None
    if model_N is not None:
        doubly = _mean(column["model_target"] + weight * (reward - column["model"]), cluster)
    effective = float(total**2 / np.square(weight).sum())
    return OffPolicy(
        logged=_mean(reward, cluster),
        ips=_mean(weight * reward, cluster),
        # The ratio's influence: w (r - ratio) / mean(w).
        snips=_around(ratio, weight * (reward - ratio) / weight.mean(), cluster),
        doubly_robust=doubly,
        effective=effective,
        largest=float(weight.max() / total),
        covered=float(weight.mean()),
        enough=effective >= ENOUGH,
        needed=math.ceil(size * ENOUGH / effective),
    )


def _mean(value_N: Array, cluster_N: NDArray[np.int64]) -> Estimate:
    return _around(float(value_N.mean()), value_N - value_N.mean(), cluster_N)


def _around(value: float, influence_N: Array, cluster_N: NDArray[np.int64]) -> Estimate:
    """Interval from the influence of every row, summed within clusters."""
    sums = np.bincount(cluster_N, influence_N)
    count = len(sums)
    error = math.sqrt(np.square(sums).sum() * count / (count - 1)) / len(influence_N)
    half = float(stats.t.ppf(0.975, count - 1)) * error
    return Estimate(value, (value - half, value + half), error)

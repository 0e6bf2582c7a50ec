"""Today's budget and splits of a log, and its limits (docs/design.md#market).

Shapes: T cycles, C campaigns, P platforms.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch

from crossmix.config import Config, ConfigError
from crossmix.constraints import TOLERANCE, Limits, check, project
from crossmix.market.fit.log import Array, Log
from crossmix.market.fit.pooling import linked
from crossmix.market.fit.today import today


@dataclass(frozen=True, slots=True)
class Plan:
    """What is planned of each campaign, and what no split may leave."""

    budget: Array
    """Per cycle, (C,), currency."""
    static: torch.Tensor
    """The plan's own split, (C, P)."""
    control: torch.Tensor
    """The historical one."""
    limits: Limits[torch.Tensor]


def plan_of(
    config: Config, log: Log, planned_TCP: Array, low_CP: Array, high_CP: Array, untried_CP: npt.NDArray[np.bool_]
) -> Plan:
    """Today's budget and splits (`crossmix.market.fit.today`), and limits.

    A cell that was never tried, and of which no others tell, gets `limits.probe` at most.

    Raises:
        InfeasibleError: limits that no split can keep.
    """
    now = today(log, planned_TCP)
    minimum, maximum, step, freeze = _limits(config, log, low_CP, high_CP)
    probed = np.where(~linked(~untried_CP), np.minimum(maximum, np.maximum(config.limits.probe, minimum)), maximum)
    # Where nothing but what was never tried has room, there is nothing to hold it to.
    maximum = np.where(probed.sum(1, keepdims=True) >= 1, probed, maximum)
    limits = Limits(tensor(minimum), tensor(maximum), torch.tensor(freeze), tensor(step))
    box = (limits.minimum_P, limits.maximum_P)
    check(*box, log.meta.platforms)
    return Plan(
        budget=now.budget_C,
        static=within(_shares(now.planned_CP), *box),
        control=within(_shares(now.spent_CP), *box),
        limits=limits,
    )


def within(share_CP: Array, low_CP: torch.Tensor, high_CP: torch.Tensor) -> torch.Tensor:
    """The split within its limits that is nearest; what has nothing and no minimum keeps exactly nothing.

    The projection sums in single precision, which leaves such a share at 0 or some 1e-8: an answer that compares
    amounts with today's (a ratio, its logarithm) would take that for money.
    """
    split_CP = project(tensor(share_CP), low_CP, high_CP)
    rounded_CP = torch.tensor(share_CP == 0) & (low_CP == 0) & (split_CP > 0) & (split_CP < TOLERANCE)
    kept_CP = split_CP.masked_fill(rounded_CP, 0.0)
    return torch.where(rounded_CP.any(1, keepdim=True), kept_CP / kept_CP.sum(1, keepdim=True), split_CP)


def tensor(array: npt.ArrayLike) -> torch.Tensor:
    return torch.tensor(np.asarray(array), dtype=torch.float32)


def _limits(
    config: Config, log: Log, low_CP: Array, high_CP: Array
) -> tuple[Array, Array, Array, npt.NDArray[np.bool_]]:
    defaults = config.limits
    unknown = [name for name in defaults.freeze if name not in log.meta.platforms]
    if unknown:
        raise ConfigError(
            f"limits.freeze: {unknown[0]!r} is not a platform of this log; use one of {', '.join(log.meta.platforms)}"
        )
    minimum = np.where(np.isfinite(low_CP), low_CP, defaults.minimum)
    maximum = np.where(np.isfinite(high_CP), high_CP, defaults.maximum)
    freeze = np.array([name in defaults.freeze for name in log.meta.platforms])
    return minimum, maximum, np.full_like(minimum, defaults.step), np.broadcast_to(freeze, minimum.shape).copy()


def _shares(spend_CP: Array) -> Array:
    total = spend_CP.sum(1, keepdims=True)
    return np.asarray(np.where(total > 0, spend_CP / np.maximum(total, 1e-12), 1 / spend_CP.shape[1]))

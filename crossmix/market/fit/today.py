"""What is spent today: the budget and the splits that every answer starts from.

A budget that grew threefold in half a year, or a platform that ended two months ago, is not told by the mean of a whole
history. Of a spend history today is the last full window of cycles (config `data.today_days`), each campaign's own: of
one that has ended, the last window that it ran in. Of a log of impressions, which is days or weeks long, it is the
training period, as plan and spend were then.

Shapes: T cycles, C campaigns, P platforms.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from crossmix.market.fit.log import Array, Log

WEEK_HOURS = 168


@dataclass(frozen=True, slots=True)
class Today:
    """Budget per cycle and splits."""

    budget_C: Array
    """What is planned per cycle, or spent where there is no plan, currency."""
    planned_CP: Array
    """Sums of the plan that `static` is split by, currency; of spend where nothing was planned."""
    spent_CP: Array
    """Sums of spend, currency."""


def today(log: Log, planned_TCP: Array) -> Today:
    """Today's budget and splits of every campaign.

    A cycle without any row at all tells nothing, and does not count.
    """
    spend_TCP = log.totals()["spend"]
    used_TC = _used(log, spend_TCP)
    cycles_C = np.maximum(used_TC.sum(0), 1)
    planned_CP, spent_CP = ((table * used_TC[..., None]).sum(0) for table in (planned_TCP, spend_TCP))
    budget_C, spent_C = planned_CP.sum(1) / cycles_C, spent_CP.sum(1) / cycles_C
    return Today(
        budget_C=np.where(budget_C > 0, budget_C, spent_C),
        planned_CP=np.where(planned_CP.sum(1, keepdims=True) > 0, planned_CP, spent_CP),
        spent_CP=spent_CP,
    )


def largest(log: Log) -> Array:
    """The most that a week of a spend history's training period spent per cycle, by platform and last on all
    together, (C, P + 1), currency.

    Of a history shorter than a week, or whose cycles are longer, it is the largest cycle's. Empty of impressions, whose
    supply is known.
    """
    if not log.meta.aggregate:
        return np.zeros(0)
    spend_TCP = log.totals()["spend"][: log.train_cycles]
    spend_TCK = np.concatenate([spend_TCP, spend_TCP.sum(2, keepdims=True)], 2)
    return np.asarray(rolling(spend_TCK, max(round(WEEK_HOURS / log.meta.cycle_hours), 1)).max(0))


def rolling(amount_T: Array, width: int) -> Array:
    """Means of every `width` cycles on end, along the first axis; of all where there are fewer."""
    width = min(width, len(amount_T))
    sums = np.concatenate([np.zeros_like(amount_T[:1]), amount_T.cumsum(0)])
    return np.asarray(np.maximum(sums[width:] - sums[:-width], 0.0) / width)


def _used(log: Log, spend_TCP: Array) -> npt.NDArray[np.bool_]:
    """Cycles that tell a campaign's today, (T, C)."""
    times, campaigns, _ = log.shape
    cycle = np.arange(times)[:, None]
    if not log.meta.today_cycles:
        return np.broadcast_to(cycle < log.train_cycles, (times, campaigns))
    seen_T = np.zeros(times, bool)
    seen_T[np.unique(log.column("cycle"))] = True
    spent_TC = spend_TCP.sum(2) > 0
    # A campaign that is over tells of the time when it ran.
    current = cycle >= times - log.meta.today_cycles
    end_C = np.where((spent_TC & current).any(0) | ~spent_TC.any(0), times, times - spent_TC[::-1].argmax(0))
    return seen_T[:, None] & (cycle < end_C) & (cycle >= end_C - log.meta.today_cycles)


__all__ = ["Today", "largest", "rolling", "today"]

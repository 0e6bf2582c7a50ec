"""Fidelity of a market that was fitted on a spend history: held-out cycles take the place of held-out users.

The market retraces the training period under the plan; in the held-out cycles, on which nothing was fitted, its price
and response are what the cycles around them let it expect. What it delivers there is compared with the history.

Shapes: T cycles of the training period, H of them held out, C campaigns, P platforms, Q quantities, R resamples.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from crossmix.evaluate.fidelity.cycles import drawn, held_out, observed
from crossmix.evaluate.fidelity.divergence import DRAWS, STEP_BINS, Divergence, compare
from crossmix.evaluate.fidelity.impressions import METRICS, RESAMPLES, SUMS, Comparison, Deviation, metrics
from crossmix.evaluate.fidelity.two_sample import TwoSample, paired
from crossmix.market.fit.log import Log
from crossmix.market.model import Market
from crossmix.market.replay_splits import retrace

Array = npt.NDArray[np.float64]

NEEDS_IMPRESSIONS = ("click_probability", "price")
"""Divergences of single impressions, which a history has none of."""
CLASSIFIED = 5
"""Draws of the market that a classifier compares with the history."""


def fidelity(market: Market, log: Log, planned_TCP: Array) -> Comparison:
    """The market against the held-out cycles of the period it was fitted on."""
    return Comparison(
        deviations(market, log, planned_TCP),
        divergences(market, log, planned_TCP),
        told_apart(market, log, planned_TCP),
    )


def deviations(market: Market, log: Log, planned_TCP: Array) -> dict[str, dict[str, Deviation]]:
    """Deviation of CTR, CVR, ROI and spend with 95 % intervals: {"total" or platform: {metric: Deviation}}.

    Market and history are summed over the same held-out cycles, and the interval resamples those: a cycle's market
    moves all campaigns at once. Without a plan ROI is over spend.
    """
    held_H, shape = _held(log), tuple(market.path["requests"].shape)
    outcome = retrace(market, planned_TCP, plan_is_spend=log.plan_from_spend)
    model_QTCP = np.stack([getattr(outcome, name).double().numpy().reshape(shape) for name in SUMS])
    totals = log.totals()
    real_QTCP = np.stack([totals[name][: log.train_cycles] for name in SUMS])
    weight_RH = np.random.default_rng(0).multinomial(
        len(held_H), np.full(len(held_H), 1 / max(len(held_H), 1)), RESAMPLES
    )
    result: dict[str, dict[str, Deviation]] = {}
    for p, group in enumerate(("total", *market.platforms), start=-1):
        own = slice(None) if p < 0 else slice(p, p + 1)
        ours_QH, real_QH = (table[:, held_H][..., own].sum((2, 3)) for table in (model_QTCP, real_QTCP))
        planned_H = planned_TCP[held_H][..., own].sum((1, 2))
        point, spread = (
            [
                metrics(table @ weight.T, None if log.plan_from_spend else weight @ planned_H)
                for table in (ours_QH, real_QH)
            ]
            for weight in (np.ones((1, len(held_H))), weight_RH)
        )
        events = int(real_QH[SUMS.index("conversions")].sum())
        with np.errstate(divide="ignore", invalid="ignore"):
            result[group] = {
                metric: Deviation.of(
                    float((point[0][metric] / point[1][metric] - 1)[0]),
                    spread[0][metric] / spread[1][metric] - 1,
                    events,
                )
                for metric in METRICS
            }
    return result


def divergences(market: Market, log: Log, planned_TCP: Array) -> dict[str, dict[str, Divergence]]:
    """KL divergence, history against market, of the log changes of CTR, CVR, ROI and spend into held-out cycles.

    The market's changes are draws of the same cycles, campaigns and platforms.
    """
    into_H = _held(log)
    into_H = into_H[into_H > 0] - 1
    real = observed(log, np.ones(len(log.frame), bool), planned_TCP, log.train_cycles).steps()
    draws = [drawn(market, planned_TCP, _all(market), seed, plan_is_spend=log.plan_from_spend) for seed in range(DRAWS)]
    model = [draw.steps() for draw in draws]
    result: dict[str, dict[str, Divergence]] = {}
    for p, group in enumerate(("total", *market.platforms), start=-1):
        own = slice(None) if p < 0 else slice(p, p + 1)
        result[group] = {
            f"change.{metric}": compare(
                steps[into_H][..., own].ravel(),
                np.concatenate([draw[metric][into_H][..., own].ravel() for draw in model]),
                STEP_BINS,
            )
            for metric, steps in real.items()
        }
    return result


def told_apart(market: Market, log: Log, planned_TCP: Array) -> dict[str, TwoSample]:
    """The classifier test on the held-out cycles and draws of the market for them."""
    real = observed(log, np.ones(len(log.frame), bool), planned_TCP, log.train_cycles)
    draws = [
        drawn(market, planned_TCP, _all(market), seed, plan_is_spend=log.plan_from_spend) for seed in range(CLASSIFIED)
    ]
    won = np.stack([real.impressions, *(draw.impressions for draw in draws)]).sum(0) > 0
    keep_TCP = (won | (real.planned > 0)) & np.isin(np.arange(len(won)), _held(log))[:, None, None]
    return paired(real.features(), np.stack([draw.features() for draw in draws]), keep_TCP, market.platforms)


def _all(market: Market) -> Array:
    """A history's totals are those of all users."""
    return np.ones(tuple(market.path["requests"].shape[1:]))


def _held(log: Log) -> npt.NDArray[np.int64]:
    """Training cycles held out that have a row, (H,)."""
    return np.unique(log.column("cycle")[held_out(log)].astype(np.int64))

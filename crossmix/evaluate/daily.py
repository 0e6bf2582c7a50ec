"""Fidelity of a market that was fitted on a spend history: held-out cycles take the place of held-out users.

The market retraces the training period under the plan; in the held-out cycles, on which nothing was fitted, its price
and response are what the cycles around them let it expect. Its totals there are compared with the history's.

Shapes: T cycles of the training period, H of them held out, C campaigns, P platforms, R resamples.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import torch

from crossmix.evaluate.fidelity import METRICS, RESAMPLES, Deviation, divergence
from crossmix.history import Outcome
from crossmix.market.log import TOTALS, Log
from crossmix.market.model import Market
from crossmix.market.retrace import retrace

Array = npt.NDArray[np.float64]
Cubes = dict[str, Array]

NEEDS_IMPRESSIONS = ("click_probability", "price")
"""Divergences of single impressions, which a history has none of."""
DRAWS = 10
"""Draws of the market behind a divergence."""


def deviations(market: Market, log: Log, planned_TCP: Array) -> dict[str, dict[str, Deviation]]:
    """Deviation of CTR, CVR, ROI and spend with 95 % intervals: {"total" or platform: {metric: Deviation}}.

    Market and history are summed over the same held-out cycles, and the interval resamples those: a cycle's market
    moves all campaigns at once. Without a plan ROI is over spend.
    """
    held_H = _held(log)
    model = _cubes(retrace(market, planned_TCP, plan_is_spend=log.plan_from_spend), market)
    real = {name: table[: log.train_cycles] for name, table in log.totals().items()}
    weight_RH = np.random.default_rng(0).multinomial(
        len(held_H), np.full(len(held_H), 1 / max(len(held_H), 1)), RESAMPLES
    )
    result: dict[str, dict[str, Deviation]] = {}
    for p, group in enumerate(("total", *market.platforms), start=-1):
        members = slice(None) if p < 0 else slice(p, p + 1)

        def per_cycle(table: Array, members: slice = members) -> Array:
            return np.asarray(table[held_H][..., members].sum((1, 2)))

        planned_H = None if log.plan_from_spend else per_cycle(planned_TCP[: log.train_cycles])
        ours_H, real_H = ({name: per_cycle(table) for name, table in cubes.items()} for cubes in (model, real))
        events = int(real_H["conversions"].sum())
        everything = np.ones((1, len(held_H)))
        result[group] = {}
        for metric in METRICS:
            value = _ratio(metric, ours_H, real_H, planned_H, everything)
            spread = _ratio(metric, ours_H, real_H, planned_H, weight_RH)
            spread = spread[np.isfinite(spread)]
            low, high = np.percentile(spread, [2.5, 97.5]) if len(spread) > RESAMPLES // 2 else (-np.inf, np.inf)
            result[group][metric] = Deviation(float(value[0]), float(low), float(high), events)
    return result


def divergences(market: Market, log: Log, planned_TCP: Array) -> dict[str, float]:
    """KL divergence, history against market, of the log changes of CTR, CVR, ROI and spend into held-out cycles; nats.

    The market's changes are draws of the same cycles, campaigns and platforms.
    """
    held_H = _held(log)
    held_H = held_H[held_H > 0]
    planned = planned_TCP[: log.train_cycles]
    real = _changes({name: table[: log.train_cycles] for name, table in log.totals().items()}, planned, held_H)
    drawn: dict[str, list[Array]] = {metric: [] for metric in METRICS}
    for seed in range(DRAWS):
        outcome = retrace(market, planned_TCP, torch.Generator().manual_seed(seed), plan_is_spend=log.plan_from_spend)
        for metric, values in _changes(_cubes(outcome, market), planned, held_H).items():
            drawn[metric].append(values)
    return {f"change.{metric}": divergence(real[metric], np.concatenate(drawn[metric]), bins=10) for metric in METRICS}


def _held(log: Log) -> npt.NDArray[np.int64]:
    """Training cycles held out that have a row, (H,)."""
    rows = (log.frame["split"] == "train") & log.frame["holdout"].astype(bool)
    return np.unique(log.frame.loc[rows, "cycle"].to_numpy(np.int64))


def _cubes(outcome: Outcome, market: Market) -> Cubes:
    shape = tuple(market.path["requests"].shape)
    return {name: np.asarray(getattr(outcome, name).double().numpy().reshape(shape)) for name in TOTALS}


def _ratio(metric: str, ours_H: Cubes, real_H: Cubes, planned_H: Array | None, weight_RH: npt.ArrayLike) -> Array:
    """Market over history, less 1, for every weighting of the cycles, (R,)."""
    weight = np.asarray(weight_RH, float)
    with np.errstate(divide="ignore", invalid="ignore"):
        ours, real = (
            _metric(
                metric,
                {name: weight @ row for name, row in rows.items()},
                None if planned_H is None else weight @ planned_H,
            )
            for rows in (ours_H, real_H)
        )
        return np.asarray(ours / real - 1)


def _metric(metric: str, sums: Cubes, planned: Array | None) -> Array:
    """CTR, CVR, ROI (over spend where there is no plan) or spend."""
    top, bottom = {
        "ctr": (sums["clicks"], sums["impressions"]),
        "cvr": (sums["conversions"], sums["clicks"]),
        "roi": (sums["revenue"], sums["spend"] if planned is None else planned),
        "spend": (sums["spend"], np.ones_like(sums["spend"])),
    }[metric]
    return np.asarray(top / bottom)


def _changes(cubes: Cubes, planned_TCP: Array, held_H: npt.NDArray[np.int64]) -> dict[str, Array]:
    """ln of a held-out cycle's figure over the cycle's before, where both have one."""
    result = {}
    for metric in METRICS:
        with np.errstate(divide="ignore", invalid="ignore"):
            series = np.log(_metric(metric, cubes, planned_TCP))
            step = (series[held_H] - series[held_H - 1]).ravel()
        result[metric] = step[np.isfinite(step)]
    return result

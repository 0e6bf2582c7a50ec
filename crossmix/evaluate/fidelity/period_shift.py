"""Shift: the log's test period against its training period. The world's doing, not the market's: no gate reads it.

Shapes: T cycles, C campaigns, P platforms, K cells, R resamples.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from crossmix.evaluate.fidelity import two_sample
from crossmix.evaluate.fidelity.cycles import observed
from crossmix.evaluate.fidelity.divergence import STEP_BINS, Divergence, compare
from crossmix.evaluate.fidelity.impressions import (
    METRICS,
    SUMS,
    Comparison,
    Deviation,
    metrics,
    resampled,
    user_sums,
)
from crossmix.market.fit.blocks import Of, Rows
from crossmix.market.fit.log import Log
from crossmix.market.fit.predictions import predictions

Array = npt.NDArray[np.float64]
PERIODS = ("train", "test")


def shift(log: Log, planned_TCP: Array, fusion: Path | None) -> Comparison:
    """The test period over the training period, all users: deviations less 1 (spend per cycle), KL(test || training),
    and whether a classifier can tell in which period a cycle lies. Intervals resample users, or cycles.
    """
    spans = {"train": slice(0, log.train_cycles), "test": slice(log.meta.first_cycle["test"], log.meta.cycles)}
    return Comparison(
        _deviations(log, planned_TCP, spans),
        _divergences(log, planned_TCP, spans, fusion),
        _classified(log, planned_TCP, spans),
    )


def _deviations(log: Log, planned_TCP: Array, spans: dict[str, slice]) -> dict[str, dict[str, Deviation]]:
    _, campaigns, platforms = log.shape
    cells = campaigns * platforms
    campaign, platform, late = log.column("c"), log.column("p"), log.within("test")

    def cell(rows: Rows) -> npt.NDArray[np.int64]:
        return np.asarray(campaign[rows].astype(np.int64) * platforms + platform[rows] + late[rows] * cells)

    sums_KQ, sums_RKQ = resampled(user_sums(log, log.within(*PERIODS), cell, 2 * cells))
    platform_K = np.tile(np.arange(platforms), campaigns)
    result: dict[str, dict[str, Deviation]] = {}
    for p, group in enumerate(("total", *log.meta.platforms), start=-1):
        members = np.flatnonzero((platform_K == p) | (p < 0))
        point: list[dict[str, Any]] = []
        spread: list[dict[str, Any]] = []
        for number, name in enumerate(PERIODS):
            planned_P = planned_TCP[spans[name]].sum((0, 1))
            planned = None if log.plan_from_spend else float(planned_P[p] if p >= 0 else planned_P.sum())
            rows = members + number * cells
            length = max(len(planned_TCP[spans[name]]), 1)
            for into, q in ((point, sums_KQ[rows].sum(0)), (spread, sums_RKQ[:, rows].sum(1).T)):
                figures = metrics(q, planned)
                into.append({**figures, "spend": figures["spend"] / length})
        with np.errstate(divide="ignore", invalid="ignore"):
            result[group] = {
                metric: Deviation.of(
                    float(point[1][metric] / point[0][metric] - 1),
                    np.asarray(spread[1][metric] / spread[0][metric] - 1),
                    int(sums_KQ[members + cells, SUMS.index("conversions")].sum()),
                )
                for metric in METRICS
            }
    return result


def _divergences(
    log: Log, planned_TCP: Array, spans: dict[str, slice], fusion: Path | None
) -> dict[str, dict[str, Divergence]]:
    campaign, platform = log.column("c"), log.column("p")
    within = {name: log.within(name) for name in PERIODS}
    whole = observed(log, np.ones(len(platform), bool), planned_TCP, log.shape[0])
    steps = {name: whole.part(span).steps() for name, span in spans.items()}
    train = whole.part(spans["train"])
    usual_CP = train.spend.sum(0) / np.maximum(train.impressions.sum(0), 1)
    values: dict[str, Of] = {}
    if not log.meta.aggregate:
        paid, usual_CP = log.column("price_paid"), np.maximum(usual_CP, 1e-12)
        values["price"] = lambda rows: np.asarray(paid[rows] / usual_CP[campaign[rows], platform[rows]])
    if fusion is not None:
        p_click = predictions(log, fusion, ("p_click",))["p_click"]
        values["click_probability"] = lambda rows: p_click[rows].astype(float)
    result: dict[str, dict[str, Divergence]] = {}
    for p, group in enumerate(("total", *log.meta.platforms), start=-1):
        train_rows, test_rows = (np.flatnonzero(within[name] & ((platform == p) | (p < 0))) for name in PERIODS)
        own = slice(None) if p < 0 else slice(p, p + 1)
        result[group] = {name: compare(of(test_rows), of(train_rows)) for name, of in values.items()} | {
            f"change.{metric}": compare(
                steps["test"][metric][..., own].ravel(), steps["train"][metric][..., own].ravel(), STEP_BINS
            )
            for metric in METRICS
        }
    return result


def _classified(log: Log, planned_TCP: Array, spans: dict[str, slice]) -> dict[str, two_sample.TwoSample]:
    whole = observed(log, np.ones(len(log.frame), bool), planned_TCP, log.shape[0])
    first, second = (whole.part(spans[name]).features() for name in PERIODS)
    return two_sample.unpaired(first, second, log.meta.platforms)

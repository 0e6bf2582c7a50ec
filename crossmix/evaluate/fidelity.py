"""Market fidelity: the fitted market against users it was not fitted on, over the same period (§2.2; DESIGN 6).

The market retraces the training period cycle by cycle under the plan that was in force, with the conditions it was
fitted to, and its rates are compared with those of the held-out users. Beside it stands the shift: the test period
against the training period, which is the world's doing and not the market's.

Shapes: T cycles, C campaigns, P platforms, U users, R resamples.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import torch

from crossmix.market.log import Log
from crossmix.market.model import Market
from crossmix.market.retrace import retrace

Array = npt.NDArray[np.float64]
METRICS = ("ctr", "cvr", "roi", "spend")
_SUMS = ("impressions", "clicks", "conversions", "revenue", "spend")
_COLUMNS = (None, "clicked", "converted", "revenue", "price_paid")
BINS = 20
RESAMPLES = 400
# Fewer conversions than this say nothing about a platform.
LEAST_CONVERSIONS = 20


@dataclass(frozen=True, slots=True)
class Deviation:
    """Market over held-out log, less 1."""

    value: float
    low: float
    high: float
    conversions: int
    """Held-out conversions behind it."""


def deviations(market: Market, log: Log, planned_TCP: Array) -> dict[str, dict[str, Deviation]]:
    """Deviation of CTR, CVR, ROI and spend with 95 % intervals: {"total" or platform: {metric: Deviation}}.

    The held-out users' rates are post-stratified: in every campaign and platform they stand for all impressions there,
    so that who happens to be held out does not shift the mix. The interval resamples held-out users (their
    impressions are not independent). Where the log came without a plan, ROI is over spend.
    """
    times, campaigns, platforms = market.path["requests"].shape
    outcome = retrace(market, planned_TCP, plan_is_spend=log.plan_from_spend)
    model_KQ = np.stack([getattr(outcome, name).double().reshape(times, -1).sum(0).numpy() for name in _SUMS], 1)
    train = (log.frame["split"] == "train").to_numpy()
    held = log.frame["holdout"].to_numpy(bool)
    sums_UKQ = user_sums(log, train & held)
    all_K = log.per_cycle(keep=train)[:times].sum(0).ravel()
    held_KQ = _stratify(sums_UKQ.sum(0), all_K)
    weights = np.random.default_rng(0).poisson(1.0, size=(RESAMPLES, len(sums_UKQ))).astype(np.float32)
    drawn = weights @ sums_UKQ.reshape(len(sums_UKQ), -1).astype(np.float32)
    held_RKQ = _stratify(drawn.astype(float).reshape(RESAMPLES, -1, len(_SUMS)), all_K)
    planned_K = planned_TCP[:times].sum(0).ravel()
    platform_K = np.tile(np.arange(platforms), campaigns)
    result: dict[str, dict[str, Deviation]] = {}
    for p, group in enumerate(("total", *market.platforms), start=-1):
        members = (platform_K == p) if p >= 0 else np.ones(len(platform_K), bool)
        planned = None if log.plan_from_spend else float(planned_K[members].sum())
        ours = _metrics(model_KQ[members].sum(0), planned)
        real = _metrics(held_KQ[members].sum(0), planned)
        real_R = _metrics(held_RKQ[:, members].sum(1).T, planned)
        events = int(sums_UKQ[:, members, _SUMS.index("conversions")].sum())
        result[group] = {}
        for metric in METRICS:
            with np.errstate(divide="ignore", invalid="ignore"):
                value = float(ours[metric] / real[metric] - 1)
                spread = np.asarray(ours[metric] / real_R[metric] - 1)
            spread = spread[np.isfinite(spread)]
            low, high = np.percentile(spread, [2.5, 97.5]) if len(spread) > RESAMPLES // 2 else (-np.inf, np.inf)
            result[group][metric] = Deviation(value, float(low), float(high), events)
    return result


def divergences(market: Market, log: Log, planned_TCP: Array, fusion: Path) -> dict[str, float]:
    """KL divergence, held-out log against market, on fixed quantile bins with smoothing; nats.

    click_probability: of the contexts that the market resamples; price: probability integral transform of every price
    paid under its platform's law (truncated at the bid, where there is one), against the uniform law; change.*:
    one-step log changes of CTR, CVR, ROI and spend per campaign and platform, market thinned to the held-out share.
    """
    frame = log.frame
    train = (frame["split"] == "train").to_numpy()
    held = train & frame["holdout"].to_numpy(bool)
    result = {
        "click_probability": _click_divergence(market, log, held, fusion),
        "price": _price_divergence(market, log, held),
    }
    real = _changes(log, held, planned_TCP, market)
    simulated: dict[str, list[Array]] = {metric: [] for metric in METRICS}
    share = held.sum() / max(train.sum(), 1)
    for seed in range(10):
        drawn = _simulated_changes(market, planned_TCP, float(share), seed, plan_is_spend=log.plan_from_spend)
        for metric in METRICS:
            simulated[metric].append(drawn[metric])
    for metric in METRICS:
        result[f"change.{metric}"] = divergence(real[metric], np.concatenate(simulated[metric]), bins=10)
    return result


def divergence(real: Array, model: Array, bins: int = BINS) -> float:
    """KL(real || model), nats, on quantile bins of the pooled sample, add-one-half smoothed; NaN without data."""
    real, model = real[np.isfinite(real)], model[np.isfinite(model)]
    if len(real) < 2 * bins or len(model) < 2 * bins:
        return float("nan")
    points = np.unique(real)
    at = np.searchsorted(points, np.quantile(real, np.linspace(0, 1, bins + 1)[1:-1]), side="right")
    at = np.unique(at[(at > 0) & (at < len(points))])
    # Edges lie between values that occur, so that no rounding moves a tie across one.
    edges = 0.5 * (points[at - 1] + points[at])
    p = np.bincount(np.searchsorted(edges, real), minlength=len(edges) + 1) + 0.5
    q = np.bincount(np.searchsorted(edges, model), minlength=len(edges) + 1) + 0.5
    p, q = p / p.sum(), q / q.sum()
    return float((p * np.log(p / q)).sum())


def shift(log: Log, planned_TCP: Array) -> dict[str, dict[str, float | None]]:
    """Test period over training period, less 1, per platform and in total: CTR, CVR, ROI, and spend per cycle."""
    platforms = log.shape[2]
    first = log.meta.first_cycle["test"]
    spans = {"train": slice(0, log.train_cycles), "test": slice(first, log.meta.cycles)}
    frame = log.frame
    cube_TCPQ = np.stack([log.per_cycle(frame[column] if column else None) for column in _COLUMNS], -1)
    result: dict[str, dict[str, float | None]] = {}
    for p, group in enumerate(("total", *log.meta.platforms), start=-1):
        members = np.arange(platforms) == p if p >= 0 else np.ones(platforms, bool)
        figures = {}
        for name, span in spans.items():
            planned = None if log.plan_from_spend else float(planned_TCP[span][..., members].sum())
            figures[name] = _metrics(cube_TCPQ[span][..., members, :].sum((0, 1, 2)), planned)
            figures[name]["spend"] = figures[name]["spend"] / max(len(cube_TCPQ[span]), 1)
        result[group] = {
            metric: float(figures["test"][metric] / figures["train"][metric] - 1) if figures["train"][metric] else None
            for metric in METRICS
        }
    return result


def user_sums(log: Log, keep: npt.NDArray[np.bool_]) -> Array:
    """Sums per user and cell (campaign x platform) of the five quantities, (U, C x P, 5)."""
    frame = log.frame[keep]
    cells = log.shape[1] * log.shape[2]
    user = frame["user_id"].astype("category").cat.codes.to_numpy().astype(np.int64)
    users = int(user.max()) + 1 if len(user) else 1
    index = user * cells + frame["c"].to_numpy() * log.shape[2] + frame["p"].to_numpy()
    table = [
        np.bincount(index, frame[column].to_numpy(float) if column else None, users * cells) for column in _COLUMNS
    ]
    return np.stack(table, 1).reshape(users, cells, len(_SUMS)).astype(float)


def _stratify(sums: Array, all_K: Array) -> Array:
    """Scale every cell's sums (..., K, 5) to all impressions of the cell; a cell without held-out ones stays 0."""
    impressions = sums[..., :1]
    return sums * np.divide(all_K[:, None], impressions, out=np.zeros_like(impressions), where=impressions > 0)


def _metrics(q: Array, planned: float | None) -> dict[str, Any]:
    """CTR, CVR, ROI (over spend where there is no plan) and spend of summed quantities, (5,) or (5, R)."""
    impressions, clicks, conversions, revenue, spend = q
    with np.errstate(divide="ignore", invalid="ignore"):
        return {
            "ctr": clicks / impressions,
            "cvr": conversions / clicks,
            "roi": revenue / (spend if planned is None else planned),
            "spend": spend,
        }


def _click_divergence(market: Market, log: Log, held: npt.NDArray[np.bool_], fusion: Path) -> float:
    """Calibrated p_click of held-out impressions against that of the contexts which the market resamples."""
    table = pd.read_parquet(fusion / "predictions.parquet", columns=["impression_id", "p_click"])
    predicted = table.set_index("impression_id")["p_click"].reindex(log.frame["impression_id"]).to_numpy(float)
    bank = (market.response[..., 0] * market.response_mean[..., None]).double().numpy()
    c, p, cycle = (log.frame[name].to_numpy() for name in ("c", "p", "cycle"))
    group = market.cycle_group.numpy()[c, np.minimum(cycle, market.cycle_group.shape[1] - 1)]
    cell = np.ravel_multi_index((c, group, p), bank.shape[:-1])
    bank = bank.reshape(-1, bank.shape[-1])
    rows = np.flatnonzero(held)
    if not len(rows):
        return float("nan")
    rng = np.random.default_rng(0)
    drawn = rng.choice(rows, min(len(rows), 50_000), replace=False)
    return divergence(predicted[drawn], bank[cell[drawn], rng.integers(bank.shape[1], size=len(drawn))])


def _price_divergence(market: Market, log: Log, held: npt.NDArray[np.bool_]) -> float:
    frame = log.frame[held & (log.frame["cycle"] < market.path["level"].shape[0]).to_numpy()]
    if len(frame) < 2 * BINS:
        return float("nan")
    level = market.path["level"].double().numpy()
    parts = []
    for (c, p), cell in frame.groupby(["c", "p"]):
        knots = market.price_law[c, p].double().numpy()
        levels = np.linspace(0, 1, len(knots))
        at = level[cell["cycle"].to_numpy(), c, p]
        rank = np.interp(cell["price_paid"].to_numpy(float) / at, knots, levels)
        bid = cell["bid_price"].to_numpy(float) / at
        top = np.where(np.isfinite(bid), np.interp(np.nan_to_num(bid), knots, levels), 1.0)
        parts.append(rank / np.maximum(top, 1e-6))
    transform = np.concatenate(parts)
    observed = np.histogram(transform, np.linspace(0, 1, BINS + 1))[0] + 0.5
    observed = observed / observed.sum()
    return float((observed * np.log(observed * BINS)).sum())


def _changes(log: Log, keep: npt.NDArray[np.bool_], planned_TCP: Array, market: Market) -> dict[str, Array]:
    times = market.path["requests"].shape[0]
    frame = log.frame
    cubes = [
        log.per_cycle(weight, keep=keep)[:times]
        for weight in (None, frame["clicked"], frame["converted"], frame["revenue"], frame["price_paid"])
    ]
    return _steps(cubes, planned_TCP[:times])


def _simulated_changes(
    market: Market, planned_TCP: Array, share: float, seed: int, *, plan_is_spend: bool
) -> dict[str, Array]:
    """One draw of the market, thinned to the held-out users' share."""
    shape = tuple(market.path["requests"].shape)
    outcome = retrace(market, planned_TCP, torch.Generator().manual_seed(seed), plan_is_spend=plan_is_spend)
    rng = np.random.default_rng(seed)

    def cube(name: str) -> Array:
        return np.asarray(getattr(outcome, name).double().numpy().reshape(shape))

    wins = rng.binomial(cube("impressions").astype(np.int64), share).astype(float)
    part = wins / np.maximum(cube("impressions"), 1)
    clicks = rng.binomial(cube("clicks").astype(np.int64), np.clip(part, 0, 1)).astype(float)
    conversions = rng.binomial(
        cube("conversions").astype(np.int64), np.clip(clicks / np.maximum(cube("clicks"), 1), 0, 1)
    ).astype(float)
    revenue = cube("revenue") * conversions / np.maximum(cube("conversions"), 1)
    return _steps([wins, clicks, conversions, revenue, cube("spend") * part], planned_TCP[: shape[0]])


def _steps(cubes: list[Array], planned: Array) -> dict[str, Array]:
    """ln of one-step ratios, where both cycles have something to compare."""
    impressions, clicks, conversions, revenue, spend = cubes
    with np.errstate(divide="ignore", invalid="ignore"):
        series = {
            "ctr": np.log(clicks / impressions),
            "cvr": np.log(conversions / clicks),
            "roi": np.log(revenue / np.where(planned > 0, planned, np.nan)),
            "spend": np.log(spend),
        }
    result = {}
    for metric, values in series.items():
        step = np.diff(np.where(np.isfinite(values), values, np.nan), axis=0).ravel()
        result[metric] = step[np.isfinite(step)]
    return result

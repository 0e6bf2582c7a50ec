"""Market fidelity: the fitted market against users it was not fitted on, over the same period (§2.2; DESIGN 6).

The market replays the training period cycle by cycle under the plan that was in force, with the conditions it was
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

from crossmix.history import Outcome
from crossmix.market.log import Log
from crossmix.market.mechanism import Conditions, counts, expected
from crossmix.market.model import Market

Array = npt.NDArray[np.float64]
METRICS = ("ctr", "cvr", "roi", "spend")
_SUMS = ("impressions", "clicks", "conversions", "revenue", "spend")
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


def replay(market: Market, planned_TCP: Array, generator: torch.Generator | None = None) -> Outcome:
    """The fitted cycles under the plan: expected outcome, or one draw where a generator is given; (T C, P)."""
    times, campaigns, platforms = market.path["requests"].shape
    index = torch.arange(campaigns).repeat(times)

    def rows(table: torch.Tensor) -> torch.Tensor:
        return table.reshape(times * campaigns, platforms)

    value = {name: table[index] for name, table in market.value.items()}
    conditions = Conditions(
        requests=rows(market.path["requests"]).clamp(min=1),
        price=market.prices(index),
        level=rows(market.path["level"]),
        ctr=(value["ctr"] * rows(market.path["ctr"])).clamp(max=0.95),
        cvr=(value["cvr"] * rows(market.path["cvr"])).clamp(max=0.95),
        value=value["value"],
        value_cv=value["value_cv"],
        saturation=value["saturation"],
    )
    budget = rows(torch.tensor(planned_TCP[:times], dtype=torch.float32))
    return expected(conditions, budget) if generator is None else counts(conditions, budget, generator)


def deviations(market: Market, log: Log, planned_TCP: Array) -> dict[str, dict[str, Deviation]]:
    """Deviation of CTR, CVR, ROI and spend with 95 % intervals: {"total" or platform: {metric: Deviation}}.

    The interval resamples held-out users and, for the market's own fitting error, the users it was fitted on. A user
    set's share of the planned budget is its share of the impressions.
    """
    times, campaigns, platforms = market.path["requests"].shape
    outcome = replay(market, planned_TCP)
    model = {
        name: getattr(outcome, name).double().reshape(times, campaigns, platforms).sum((0, 1)).numpy() for name in _SUMS
    }
    planned_P = planned_TCP[:times].sum((0, 1))
    frame = log.frame[log.frame["split"] == "train"]
    held = frame["holdout"].to_numpy(bool)
    sums_held = _user_sums(frame[held], platforms)
    sums_fit = _user_sums(frame[~held], platforms)
    rng = np.random.default_rng(0)
    held_RPQ, fit_RPQ = _resample(sums_held, rng), _resample(sums_fit, rng)
    fit_PQ = sums_fit.sum(0).reshape(platforms, len(_SUMS))
    held_PQ = sums_held.sum(0).reshape(platforms, len(_SUMS))
    model_PQ = np.stack([model[name] for name in _SUMS], 1)
    # The market follows its users' sums to first order, so resampling them moves it in proportion.
    model_RPQ = model_PQ * np.divide(fit_RPQ, fit_PQ, out=np.ones_like(fit_RPQ), where=fit_PQ > 0)

    result: dict[str, dict[str, Deviation]] = {}
    groups = {"total": np.arange(platforms), **{name: np.array([p]) for p, name in enumerate(market.platforms)}}
    for group, members in groups.items():
        real = _metrics(held_PQ[members].sum(0), planned_P[members].sum(), sums=held_PQ, fit=fit_PQ, members=members)
        ours = _metrics(model_PQ[members].sum(0), planned_P[members].sum())
        real_R = _metrics(
            held_RPQ[:, members].sum(1).T, planned_P[members].sum(), sums=held_PQ, fit=fit_PQ, members=members
        )
        ours_R = _metrics(model_RPQ[:, members].sum(1).T, planned_P[members].sum())
        events = int(held_PQ[members, _SUMS.index("conversions")].sum())
        result[group] = {}
        for metric in METRICS:
            with np.errstate(divide="ignore", invalid="ignore"):
                value = float(ours[metric] / real[metric] - 1)
                spread = np.asarray(ours_R[metric] / real_R[metric] - 1)
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
        drawn = _simulated_changes(market, planned_TCP, float(share), seed)
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
    edges = np.unique(np.quantile(real, np.linspace(0, 1, bins + 1)[1:-1]))
    p = np.bincount(np.searchsorted(edges, real), minlength=len(edges) + 1) + 0.5
    q = np.bincount(np.searchsorted(edges, model), minlength=len(edges) + 1) + 0.5
    p, q = p / p.sum(), q / q.sum()
    return float((p * np.log(p / q)).sum())


def shift(log: Log, planned_TCP: Array) -> dict[str, dict[str, float | None]]:
    """Test period over training period, less 1, per platform and in total: CTR, CVR, ROI, spend per cycle."""
    frame = log.frame
    platforms = log.shape[2]
    result: dict[str, dict[str, float | None]] = {}
    rows = {name: (frame["split"] == name).to_numpy() for name in ("train", "test")}
    cycles = {
        "train": np.arange(log.train_cycles),
        "test": np.arange(log.meta.first_cycle["test"], log.meta.cycles),
    }
    sums = {name: _user_sums(frame[rows[name]], platforms).sum(0).reshape(platforms, -1) for name in rows}
    groups = {"total": np.arange(platforms), **{name: np.array([p]) for p, name in enumerate(log.meta.platforms)}}
    for group, members in groups.items():
        figures = {}
        for name in rows:
            planned = planned_TCP[cycles[name]].sum((0, 1))[members].sum()
            figures[name] = _metrics(sums[name][members].sum(0), planned)
            figures[name]["spend"] = figures[name]["spend"] / max(len(cycles[name]), 1)
        result[group] = {
            metric: float(figures["test"][metric] / figures["train"][metric] - 1) if figures["train"][metric] else None
            for metric in METRICS
        }
    return result


def _user_sums(frame: pd.DataFrame, platforms: int) -> Array:
    """Sums per user and platform of impressions, clicks, conversions, revenue, spend: (U, P x 5)."""
    user = frame["user_id"].astype("category").cat.codes.to_numpy().astype(np.int64)
    if not len(user):
        return np.zeros((1, platforms * len(_SUMS)))
    cell = user * platforms + frame["p"].to_numpy()
    size = (int(user.max()) + 1) * platforms
    columns = [
        np.ones(len(frame)),
        frame["clicked"].to_numpy(float),
        frame["converted"].to_numpy(float),
        frame["revenue"].to_numpy(float),
        frame["price_paid"].to_numpy(float),
    ]
    table = np.stack([np.bincount(cell, column, size) for column in columns], 1)
    return np.asarray(table.reshape(-1, platforms * len(_SUMS)))


def _resample(sums_UQ: Array, rng: np.random.Generator) -> Array:
    """Bootstrap sums over users, (R, P, 5)."""
    users = len(sums_UQ)
    weights = rng.poisson(1.0, size=(RESAMPLES, users)).astype(np.float32)
    return np.asarray((weights @ sums_UQ.astype(np.float32)).astype(float).reshape(RESAMPLES, -1, len(_SUMS)))


def _metrics(
    q: Array, planned: float, *, sums: Array | None = None, fit: Array | None = None, members: Array | None = None
) -> dict[str, Any]:
    """CTR, CVR, ROI and spend of summed quantities; for a user set, scaled by its share of impressions."""
    impressions, clicks, conversions, revenue, spend = q
    share: Any = 1.0
    if sums is not None and fit is not None and members is not None:
        share = impressions / max(float((sums + fit)[members, 0].sum()), 1e-9)
    with np.errstate(divide="ignore", invalid="ignore"):
        return {
            "ctr": clicks / impressions,
            "cvr": conversions / clicks,
            "roi": revenue / (planned * share),
            "spend": spend / share,
        }


def _click_divergence(market: Market, log: Log, held: npt.NDArray[np.bool_], fusion: Path) -> float:
    table = pd.read_parquet(fusion / "predictions.parquet", columns=["impression_id", "p_click"])
    predicted = table.set_index("impression_id")["p_click"].reindex(log.frame["impression_id"]).to_numpy(float)
    train = (log.frame["split"] == "train").to_numpy()
    cell = np.ravel_multi_index((log.frame["c"].to_numpy(), log.frame["p"].to_numpy()), log.shape[1:])
    bank = market.response[..., 0].double().numpy().reshape(-1, market.response.shape[2])
    fitted = train & ~held
    total = np.bincount(cell[fitted], predicted[fitted], len(bank))
    mean = total / np.maximum(np.bincount(cell[fitted], minlength=len(bank)), 1)
    rng = np.random.default_rng(0)
    rows = np.flatnonzero(held)
    if not len(rows):
        return float("nan")
    drawn = rng.choice(rows, min(len(rows), 50_000))
    simulated = bank[cell[drawn], rng.integers(bank.shape[1], size=len(drawn))] * mean[cell[drawn]]
    return divergence(predicted[drawn], simulated)


def _price_divergence(market: Market, log: Log, held: npt.NDArray[np.bool_]) -> float:
    frame = log.frame[held & (log.frame["cycle"] < market.path["level"].shape[0]).to_numpy()]
    if len(frame) < 2 * BINS:
        return float("nan")
    level = market.path["level"].double().numpy()
    parts = []
    for (c, p), cell in frame.groupby(["c", "p"]):
        price = market.prices(torch.tensor([c]))
        grid = torch.linspace(0, 1, 2001)
        levels = grid.numpy()
        knots = torch.stack([price.quantile(torch.full((1, len(market.platforms)), float(u)))[0, p] for u in grid])
        at = level[cell["cycle"].to_numpy(), c, p]
        rank = np.interp(cell["price_paid"].to_numpy(float) / at, knots.numpy(), levels)
        bid = cell["bid_price"].to_numpy(float) / at
        top = np.where(np.isfinite(bid), np.interp(np.nan_to_num(bid), knots.numpy(), levels), 1.0)
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


def _simulated_changes(market: Market, planned_TCP: Array, share: float, seed: int) -> dict[str, Array]:
    """One draw of the market, thinned to the held-out users' share."""
    shape = tuple(market.path["requests"].shape)
    outcome = replay(market, planned_TCP, torch.Generator().manual_seed(seed))
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

"""What weeks that a market was not fitted on say of it: its level a block ahead, and its answer to more money.

Rolling origin: from block to block of the held-out cycles each cell's revenue is predicted at the spend that happened,
by the fitted response times the level of the cycles just before, and compared with what was booked, and with what a
prediction that takes no notice of spend would have said. The levels of a block's cells (booked over fitted revenue)
stay together when blocks are drawn again, since a week's market moves all of them at once.

The answer to more money is an elasticity, d ln revenue / d ln spend, by generalised least squares with AR(1) errors
and a linear trend (Cochrane and Orcutt 1949): once of all the history's revenue, which says how well the data alone
know it, whatever a prior adds; once of what the held-out cycles' revenue leaves over after the prediction, which is 0
where the fitted response is right.

Shapes: T cycles, C campaigns, P platforms, W blocks, n sums in a series.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import torch

from crossmix.market.conditions import nominal
from crossmix.market.fit.log import Log
from crossmix.market.mechanism import expected
from crossmix.market.model import Market

Array = npt.NDArray[np.float64]

WEEK_HOURS = 168
BEFORE = 2
"""Blocks before an origin that tell the level."""
FEWEST = 4
"""Blocks that a short held-out time is cut into, where that makes them shorter than a week."""
STEADY = 10.0
"""Conversions' worth of revenue that pulls a block's ratio to 1: one of nothing to nothing is none."""
ENOUGH = 8.0
"""Conversions that a sum of a series has on average; cycles are summed until it does."""
LEAST = 8
"""Sums below which a series tells no slope."""
UNKNOWN = 10.0
"""Standard error of an elasticity that nothing tells."""
ROUNDS = 3


class Slope(NamedTuple):
    """An elasticity with its standard error."""

    value: float
    error: float


@dataclass(frozen=True, slots=True, eq=False)
class Backtest:
    """The history against the market that was fitted on its first part."""

    block: int
    """Cycles of a block: a week's, or fewer."""
    level_WCP: Array
    """ln of booked over fitted revenue at the spend that happened, block by block of the held-out time: what came."""
    booked_W: Array
    """Revenue of all cells, currency."""
    predicted_W: Array
    as_before_W: Array
    """The same predicted as the blocks before went, whatever is spent."""
    off_CP: Array
    """Elasticity that the held-out cycles show over the fitted one's, and its standard error."""
    off_error_CP: Array
    known_CP: Array
    """Elasticity by the whole history's data alone, and its standard error."""
    known_error_CP: Array
    usual_most_CP: Array
    """Spend of a cycle that one in twenty exceeds, currency."""
    cycles: int
    """Of the history."""
    held_out: int
    """Cycles after those that the market was fitted on."""

    @property
    def miss(self) -> float:
        """Root mean square of ln booked over predicted revenue of all cells, a block ahead."""
        return _rms(self.booked_W, self.predicted_W)

    @property
    def miss_as_before(self) -> float:
        """The same of a prediction that takes no notice of spend."""
        return _rms(self.booked_W, self.as_before_W)


def _rms(booked_W: Array, predicted_W: Array) -> float:
    known = (booked_W > 0) & (predicted_W > 0)
    if not known.any():
        return float("nan")
    return float(np.sqrt((np.log(booked_W[known] / predicted_W[known]) ** 2).mean()))


def backtest(market: Market, log: Log) -> Backtest:
    """Compare a history with the market that was fitted on its training period."""
    totals = log.totals()
    spend, revenue, conversions = (totals[name] for name in ("spend", "revenue", "conversions"))
    train = min(market.path["requests"].shape[0] if market.path else log.train_cycles, len(spend))
    predicted = at_spend(market, log.weekdays(), spend)
    block = max(1, min(round(WEEK_HOURS / market.cycle_hours), (len(spend) - train) // FEWEST))
    starts = np.arange(train, len(spend) - block + 1, block)
    worth_CP = revenue.sum(0) / np.maximum(conversions.sum(0), 1)
    steady_CP = STEADY * np.where(worth_CP > 0, worth_CP, max(float(worth_CP.max()), 1e-9))
    came, summed = np.zeros((len(starts), *spend.shape[1:])), np.zeros((3, len(starts)))
    for w, start in enumerate(starts):
        now, before = slice(start, start + block), slice(max(int(start) - BEFORE * block, 0), int(start))
        level = (revenue[before].sum(0) + steady_CP) / (predicted[before].sum(0) + steady_CP)
        ahead = predicted[now].sum(0) * level
        booked = revenue[now].sum(0)
        came[w] = np.log((booked + steady_CP) / (predicted[now].sum(0) + steady_CP))
        usual = revenue[before].sum() * block / max(len(revenue[before]), 1)
        summed[:, w] = booked.sum(), ahead.sum(), usual
    known, off = np.zeros((2, *spend.shape[1:])), np.zeros((2, *spend.shape[1:]))
    for c, p in np.ndindex(*spend.shape[1:]):
        cell = (slice(None), c, p)
        known[:, c, p] = elasticity(revenue[cell], spend[cell], conversions[cell])
        late = (slice(train, None), c, p)
        off[:, c, p] = elasticity(revenue[late], spend[late], conversions[late], predicted[late])
    return Backtest(
        block=block,
        level_WCP=came,
        booked_W=summed[0],
        predicted_W=summed[1],
        as_before_W=summed[2],
        off_CP=off[0],
        off_error_CP=off[1],
        known_CP=known[0],
        known_error_CP=known[1],
        usual_most_CP=np.quantile(spend, 0.95, axis=0),
        cycles=len(spend),
        held_out=len(spend) - train,
    )


def at_spend(market: Market, weekday_T: npt.NDArray[np.int64], spend_TCP: Array) -> Array:
    """Revenue that the market expects without drift where so much is spent, currency, (T, C, P).

    Budgets are raised until the expected spend is the one that happened.
    """
    times, campaigns, platforms = spend_TCP.shape
    index = torch.arange(campaigns).repeat(times)
    weekday = torch.as_tensor(np.repeat(weekday_T[:times], campaigns))
    conditions = nominal(market, index, weekday)
    spent = torch.as_tensor(spend_TCP, dtype=torch.float32).reshape(-1, platforms)
    budget = spent
    for _ in range(8):
        budget = budget * (spent / expected(conditions, budget).spend.clamp(min=1e-12)).clamp(0.5, 2.0)
    revenue = expected(conditions, budget).revenue
    return np.asarray(torch.where(spent > 0, revenue, 0.0).double().numpy().reshape(times, campaigns, platforms))


def elasticity(revenue_T: Array, spend_T: Array, conversions_T: Array, predicted_T: Array | None = None) -> Slope:
    """d ln revenue / d ln spend of one cell, or of its revenue over what was predicted.

    Cycles are summed until a sum has some conversions; sums without spend or revenue tell nothing.

    Returns:
        (0, `UNKNOWN`) where the series is too short or spend never moved.
    """
    at_once = _at_once(conversions_T)
    parts = len(spend_T) // at_once
    if parts < LEAST:
        return Slope(0.0, UNKNOWN)
    spend, revenue, predicted = (
        series[len(series) - parts * at_once :].reshape(parts, at_once).sum(1)
        for series in (spend_T, revenue_T, revenue_T if predicted_T is None else predicted_T)
    )
    seen = (spend > 0) & (revenue > 0) & (predicted > 0)
    if seen.sum() < LEAST:
        return Slope(0.0, UNKNOWN)
    y = np.log(revenue[seen]) - (np.log(predicted[seen]) if predicted_T is not None else 0.0)
    return slope(y, np.log(spend[seen]))


def _at_once(conversions_T: Array) -> int:
    mean = float(conversions_T.mean()) if len(conversions_T) else 0.0
    return max(1, int(np.ceil(ENOUGH / max(mean, 1e-3))))


def slope(y_n: Array, x_n: Array) -> Slope:
    """Slope of y over x beside a linear trend, with AR(1) errors; the noise of either series may persist."""
    trend = np.linspace(-1, 1, len(y_n))
    design = np.column_stack([np.ones_like(trend), trend, x_n])
    rho: float = 0.0
    found: Array = np.zeros(3)
    for _ in range(ROUNDS):
        y, z = y_n[1:] - rho * y_n[:-1], design[1:] - rho * design[:-1]
        found = np.asarray(np.linalg.lstsq(z, y, rcond=None)[0])
        left = y_n - design @ found
        rho = float(np.clip((left[1:] @ left[:-1]) / max(float(left[:-1] @ left[:-1]), 1e-300), 0.0, 0.95))
    y, z = y_n[1:] - rho * y_n[:-1], design[1:] - rho * design[:-1]
    moves = z[:, 2] - z[:, :2] @ np.linalg.lstsq(z[:, :2], z[:, 2], rcond=None)[0]
    variance = float(((y - z @ found) ** 2).sum()) / max(len(y) - 4, 1)
    told = float(moves @ moves)
    if told <= 1e-12:
        return Slope(0.0, UNKNOWN)
    return Slope(float(found[2]), min(math.sqrt(variance / told), UNKNOWN))

"""Spend histories with a planted response: money to impressions to clicks to conversions, each a power law.

    impressions ~ spend^gamma     clicks ~ impressions^delta     conversions ~ clicks^eta

around a reference spend; budgets wander, rates drift (AR(1) of 10 %, persistence 0.8) and events are counted.

Shapes: P platforms, C campaigns.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.stats import nbinom

Array = NDArray[np.float64]
START = pd.Timestamp("2025-01-06")


@dataclass(frozen=True)
class Planted:
    """A world; each (P,)."""

    platforms: tuple[str, ...]
    reference: Array
    """Spend a day, currency; the next six hold there."""
    cpm: Array
    ctr: Array
    cvr: Array
    value: Array
    gamma: Array
    delta: Array
    eta: Array

    def outcome(self, spend: Array, shock: Array | None = None) -> tuple[Array, Array, Array]:
        """Mean impressions, clicks and conversions, (..., P); `shock`: log-drift of each, (3, ..., P)."""
        moved = np.ones((3, *np.shape(spend))) if shock is None else np.exp(shock)
        part = np.maximum(spend, 0) / self.reference
        shown_0 = 1000 * self.reference / self.cpm
        shown = shown_0 * part**self.gamma * moved[0]
        clicks = self.ctr * shown_0 * (shown / shown_0) ** self.delta * moved[1]
        clicks_0 = self.ctr * shown_0
        return shown, clicks, self.cvr * clicks_0 * (clicks / clicks_0) ** self.eta * moved[2]

    def revenue(self, spend: Array) -> Array:
        return np.asarray(self.outcome(spend)[2] * self.value)

    @property
    def elasticity(self) -> Array:
        return np.asarray(self.gamma * self.delta * self.eta)

    def marginal(self, spend: Array) -> Array:
        return np.asarray(self.revenue(spend) * self.elasticity / spend)

    def best(self, budget: float) -> Array:
        """The split of `budget` that earns most: marginals are equal, found by bisection of their logarithm."""
        level = self.marginal(self.reference)
        low, high = -15.0, 15.0
        for _ in range(80):
            middle = 0.5 * (low + high)
            spend = self.reference * (np.exp(middle) / level) ** (1 / (self.elasticity - 1))
            low, high = (middle, high) if spend.sum() > budget else (low, middle)
        return np.asarray(spend / spend.sum())


def planted(**changes: Array) -> Planted:
    """Four platforms like search, social, video and display."""
    return replace(
        Planted(
            platforms=("display", "google_search", "meta", "tiktok"),
            reference=np.array([100.0, 400.0, 350.0, 150.0]),
            cpm=np.array([2.5, 12.0, 9.0, 5.0]),
            ctr=np.array([0.004, 0.04, 0.015, 0.010]),
            cvr=np.array([0.015, 0.02, 0.022, 0.02]),
            value=np.array([60.0, 55.0, 70.0, 75.0]),
            gamma=np.array([0.85, 0.8, 0.75, 0.85]),
            delta=np.array([0.85, 0.85, 0.85, 0.8]),
            eta=np.ones(4),
        ),
        **changes,
    )


def fading() -> Planted:
    """Buyers fade with money: neither price nor click rate says so."""
    one = np.ones(4)
    return planted(gamma=one, delta=one, eta=np.array([0.72, 0.68, 0.64, 0.68]))


def history(
    world: Planted,
    days: int,
    seed: int,
    *,
    wandering: float = 0.3,
    noise: float = 0.1,
    campaign: str | None = None,
    spent: NDArray[np.bool_] | None = None,
    scale: float = 1.0,
) -> pd.DataFrame:
    """A row a day and platform.

    Args:
        wandering: deviation of ln of a day's spend, an AR(1) of persistence 0.8.
        noise: deviation of the rates' drift.
        spent: days and platforms with a budget, (days, P); `None`: all.
        scale: of all budgets.
    """
    rng = np.random.default_rng(seed)
    cells = len(world.platforms)

    def drift(deviation: float, rows: int) -> Array:
        path = np.empty((days, rows, cells))
        path[0] = deviation * rng.standard_normal((rows, cells))
        for t in range(1, days):
            path[t] = 0.8 * path[t - 1] + deviation * 0.6 * rng.standard_normal((rows, cells))
        return np.moveaxis(path, 1, 0)

    spend = scale * world.reference * np.exp(drift(wandering, 1)[0] if wandering > 0 else np.zeros((days, cells)))
    if spent is not None:
        spend = np.where(spent, spend, 0.0)
    shown, clicks, conversions = world.outcome(spend, drift(noise, 3))
    table = {
        "spend": spend.round(2),
        "impressions": rng.poisson(shown),
        "clicks": rng.poisson(clicks),
        "conversions": rng.poisson(conversions),
    }
    table["revenue"] = (table["conversions"] * world.value * np.exp(0.1 * rng.standard_normal(spend.shape))).round(2)
    frame = pd.DataFrame(
        {
            "date": np.repeat([f"{START + pd.Timedelta(days=day):%Y-%m-%d}" for day in range(days)], cells),
            "platform": np.tile(world.platforms, days),
            **{name: one.ravel() for name, one in table.items()},
        }
    )
    if campaign is not None:
        frame["campaign"] = campaign
    return frame[frame["spend"] > 0].reset_index(drop=True)


def late(totals: dict[str, Array], names: tuple[str, ...], mean_P: Array, shape: int, seed: int) -> None:
    """Whole events move to later days, those of as many days before the first among them; in place."""
    rng = np.random.default_rng(seed)
    counts = totals["conversions"]
    days, platforms = len(counts), counts.shape[2]
    for p in range(platforms):
        part = nbinom.pmf(np.arange(150), shape, shape / (shape + mean_P[p]))
        before = rng.poisson(counts[:28, 0, p].mean(), 150)
        value = totals["revenue"][:, 0, p].sum() / counts[:, 0, p].sum()
        spread = rng.multinomial(np.r_[before, counts[:, 0, p]].astype(int), part / part.sum())
        came = np.zeros(days + 300)
        for lag in range(150):
            came[lag : lag + days + 150] += spread[:, lag]
        for name in names:
            totals[name][:, 0, p] = came[150 : days + 150] * (value if name == "revenue" else 1)

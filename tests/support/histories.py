"""Spend histories for tests: played in a market with known parameters, or a small sound table to spoil."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import torch

from crossmix.config import load
from crossmix.ingest.step import ingest
from crossmix.market.conditions import nominal, scaled
from crossmix.market.mechanism import counts
from crossmix.market.model import Market
from crossmix.schema import Dataset

START = pd.Timestamp("2025-01-06")

Follow = Callable[[np.ndarray], np.ndarray]
"""Yesterday's click rate over its mean, (C, P) -> factor on today's budget."""


def history_of(
    market: Market, days: int, seed: int = 0, follow: Follow | None = None, wandering: float = 0.4
) -> pd.DataFrame:
    """A history of `days` in the true market: AR(1) drifts of price and response, budgets that wander around uniform.

    `wandering`: deviation of ln budget, an AR(1) of persistence 0.7. `follow`: budgets also react to the performance of
    the day before.
    """
    rng = np.random.default_rng(seed)
    generator = torch.Generator().manual_seed(seed)
    cells = tuple(market.value["ctr"].shape)
    campaigns = cells[0]
    keep = {name: market.value[f"{name}_persistence"].numpy() for name in ("ctr", "price")}
    size = {name: market.value[f"{name}_drift"].numpy() for name in ("ctr", "price")}
    drift = {name: size[name] * rng.standard_normal(cells) for name in ("ctr", "price")}
    wander = wandering * rng.standard_normal(cells)
    reaction, parts = np.ones(cells), []
    for day in range(days):
        usual = nominal(market, torch.arange(campaigns), torch.full((campaigns,), day % 7))
        price, response = (torch.tensor(np.exp(drift[name]), dtype=torch.float32) for name in ("price", "ctr"))
        usual = replace(usual, requests=torch.poisson(usual.requests, generator))
        conditions = scaled(usual, price_multiplier=price, ctr=response)
        share = np.exp(wander) * reaction
        share /= share.sum(1, keepdims=True)
        budget = market.budget[:, None] * torch.tensor(share, dtype=torch.float32)
        outcome = counts(conditions, budget, generator)
        if follow is not None:
            reaction = follow((outcome.clicks / outcome.impressions.clamp(min=1) / market.value["ctr"]).numpy())
        for c, campaign in enumerate(market.campaigns):
            for p, platform in enumerate(market.platforms):
                row = {"date": f"{START + pd.Timedelta(days=day):%Y-%m-%d}", "platform": platform, "campaign": campaign}
                for name in ("spend", "impressions", "clicks", "conversions", "revenue"):
                    row[name] = round(float(getattr(outcome, name)[c, p]), 4)
                parts.append(row | {"planned": round(float(budget[c, p]), 4)})
        wander = 0.7 * wander + wandering * (1 - 0.7**2) ** 0.5 * rng.standard_normal(cells)
        for name in drift:
            shock = size[name] * np.sqrt(1 - keep[name] ** 2)
            drift[name] = keep[name] * drift[name] + shock * rng.standard_normal(cells)
    return pd.DataFrame(parts)


def cubes(history: pd.DataFrame, market: Market) -> dict[str, np.ndarray]:
    """The played totals, (T, C, P) each."""
    shape = (-1, len(market.campaigns), len(market.platforms))
    names = ("spend", "impressions", "clicks", "conversions", "revenue")
    return {name: history[name].to_numpy(float).reshape(shape) for name in names}


def sound(days: int = 35, **changes: object) -> pd.DataFrame:
    """Two platforms with `days` rows each; `changes` overwrite columns of the first row."""
    rng = np.random.default_rng(0)
    rows = []
    for day in range(days):
        for platform, scale in (("search", 1.0), ("social", 1.7)):
            wave = scale * (1 + 0.3 * np.sin(day))
            noise = np.exp(0.1 * rng.standard_normal(2))
            rows.append(
                {
                    "date": f"{START + pd.Timedelta(days=day):%Y-%m-%d}",
                    "platform": platform,
                    "spend": round(100 * wave, 2),
                    "impressions": round(2_000 * wave**0.8 * noise[0]),
                    "clicks": round(150 * wave**0.7 * noise[1]),
                    "conversions": round(30 * wave**0.7),
                    "revenue": round(600 * wave**0.7, 2),
                }
            )
    table = pd.DataFrame(rows).astype(object)
    for name, value in changes.items():
        table.loc[0, name] = value
    return table


def ingested(folder: Path, history: pd.DataFrame | str, *settings: str) -> Dataset:
    """The `Dataset` of a history, from its CSV."""
    folder.mkdir(parents=True, exist_ok=True)
    file, out = folder / "history.csv", folder / "dataset"
    file.write_text(history if isinstance(history, str) else history.to_csv(index=False))
    out.mkdir()
    ingest(load("laptop", ["data.source=spend", f"data.path={file}", *settings]), out)
    return Dataset(out)

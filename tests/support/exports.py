"""Exports of ad platforms, a row a day and campaign, with the summary rows that they put above, below and between."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd

FIGURES = ["spend", "impressions", "clicks", "conversions", "revenue"]
HEADERS: Mapping[str, Sequence[str]] = {
    "google": ("Day", "Campaign", "Cost", "Impr.", "Clicks", "Conversions", "Conv. value"),
    "meta": (
        *("Reporting starts", "Campaign name", "Amount spent (EUR)", "Impressions", "Link clicks"),
        *("Purchases", "Purchases conversion value"),
    ),
    "tiktok": (
        *("By Day", "Campaign name", "Cost", "Impressions", "Clicks (destination)", "Conversions"),
        "Total complete payment value",
    ),
    "linkedin": (
        *("Start Date (in UTC)", "Campaign Group Name", "Total Spent", "Impressions", "Clicks", "Conversions"),
        "Total Conversion Value",
    ),
    "microsoft": ("Time period", "Campaign", "Spend", "Impressions", "Clicks", "Conversions", "Revenue"),
    "ga4": ("Date", "Session campaign", "Ads cost", "Ads impressions", "Ads clicks", "Key events", "Total revenue"),
}
"""Date, campaign and FIGURES, as each platform calls them."""


def daily(days: int = 40, campaigns: Sequence[str] = ("spring", "brand", "autumn"), seed: int = 0) -> pd.DataFrame:
    """date, campaign and FIGURES of one platform."""
    rng = np.random.default_rng(seed)
    index = pd.MultiIndex.from_product([pd.date_range("2025-01-06", periods=days).strftime("%Y-%m-%d"), campaigns])
    table = pd.DataFrame(index=index.set_names(["date", "campaign"])).reset_index()
    table["spend"] = rng.lognormal(4, 0.5, len(table)).round(2)
    table["impressions"] = rng.poisson(table["spend"] * 90)
    table["clicks"] = rng.binomial(table["impressions"], 0.02)
    table["conversions"] = rng.binomial(table["clicks"], 0.1)
    table["revenue"] = (table["conversions"] * 37.5).round(2)
    return table


def summed(rows: pd.DataFrame, **columns: object) -> pd.DataFrame:
    """One row that adds others up; `columns`: its date, campaign and what else it says."""
    return pd.DataFrame([rows[FIGURES].sum().round(2).to_dict() | columns])


def placed(rows: pd.DataFrame, summary: pd.DataFrame, where: str) -> pd.DataFrame:
    """Summary rows at the `top` or the `bottom`."""
    return pd.concat([summary, rows] if where == "top" else [rows, summary], ignore_index=True)


def folder(path: Path, platform: str, table: pd.DataFrame) -> Path:
    """A folder with the platform's export under its own names, and a plain one of another platform beside it."""
    path.mkdir(parents=True, exist_ok=True)
    names = dict(zip(["date", "campaign", *FIGURES], HEADERS[platform], strict=True))
    table.rename(columns=names).to_csv(path / f"{platform}.csv", index=False)
    other = daily(seed=1).groupby("date", as_index=False)[FIGURES].sum().assign(campaign="other")
    other.to_csv(path / "other.csv", index=False)
    return path

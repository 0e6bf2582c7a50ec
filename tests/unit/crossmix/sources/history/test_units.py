"""A row that leads its platform is a doubt where the other rows tell of none as far."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from crossmix.schema import DataError
from crossmix.sources.history import units
from tests.support.bent_histories import WORLD as PLATFORMS
from tests.support.bent_histories import planted
from tests.support.histories import sound
from tests.unit.crossmix.sources.history.test_load import assert_same, taken, written


def orders(seed: int, deviation: float, days: int = 180) -> pd.DataFrame:
    """Two platforms of about 12 orders a day of 70 on average, lognormal.

    Args:
        deviation: of an order's value, as a part of its mean.
    """
    rng = np.random.default_rng(seed)
    sigma = math.sqrt(math.log1p(deviation**2))
    count = rng.poisson(12, (2, days))
    middle = math.log(70) - sigma**2 / 2
    revenue = [[round(float(rng.lognormal(middle, sigma, k).sum()), 2) for k in row] for row in count]
    date = pd.date_range("2025-01-06", periods=days).strftime("%Y-%m-%d")
    parts = [
        pd.DataFrame({"date": date, "platform": name, "conversions": count[at], "revenue": revenue[at]})
        for at, name in enumerate(("search", "social"))
    ]
    return pd.concat(parts, ignore_index=True).assign(spend=200.0, impressions=20_000, clicks=600)


def test_one_large_order_among_orders_whose_values_vary_as_much_is_no_doubt() -> None:
    """Its day has 43,103.54, 83 times what is usual and 23 % of its platform's revenue."""
    frame = orders(15, deviation=4.0)
    social = frame[frame["platform"] == "social"]
    assert social["revenue"].max() == pytest.approx(43_103.54)
    assert social["revenue"].max() / social["revenue"].sum() == pytest.approx(0.23, abs=0.005)
    assert units.few_rows(frame) is None


@pytest.mark.parametrize("deviation", [0.5, 2.0])
def test_a_row_a_hundred_times_too_large_is_asked_however_much_values_vary(deviation: float) -> None:
    frame = orders(3, deviation)
    frame.loc[50, "revenue"] *= 100
    doubt = units.few_rows(frame)
    assert doubt is not None
    assert doubt.startswith(f"revenue: 'search' has {frame.loc[50, 'revenue']:,.6g} on {frame.loc[50, 'date']}, ")


def test_the_tail_of_a_normal_law_ends_at_six_deviations() -> None:
    """Of 180 rows 18 are above 1.28 deviations, by 0.475 on average: 1.28 + 0.475 ln(18 / 0.001) = 5.94."""
    from scipy.stats import norm

    rows = pd.Series(norm.ppf((np.arange(180) + 0.5) / 180))
    assert units._tail(rows) == pytest.approx(5.94, abs=0.15)
    assert units._tail(rows[:40]) == 0.0


WORLD = planted(60, seed=40024)


def bent(figure: str, factor: float, *platforms: str) -> pd.DataFrame:
    """A figure of some platforms, or of all, in another unit."""
    chosen = WORLD["platform"].isin(platforms) if platforms else WORLD["platform"].notna()
    return WORLD.assign(**{figure: WORLD[figure].where(~chosen, WORLD[figure] * factor)})


UNITS = {
    **{f"cents of {name}": ("price", bent("spend", 100, name), f"spend: {name} pays ") for name in PLATFORMS},
    "cents of one of two": (
        "price",
        bent("spend", 100, "social")[lambda t: t["platform"].isin(["search", "social"])],
        "spend: social pays .* in cents",
    ),
    "micros of all": ("price", bent("spend", 1e6), "spend: all platforms together earn .* may be in micros"),
    "revenue in cents": ("value", bent("revenue", 100, "social"), "revenue: a conversion of 'social' is worth 7,"),
    "revenue in micros": ("value", bent("revenue", 1e6, "social"), "revenue: a conversion of 'social' is worth 7e"),
    "revenue of all for each": (
        "revenue",
        WORLD.assign(revenue=WORLD.groupby("date")["revenue"].transform("sum").round(2)),
        "revenue: all rows of a day have the same .*total, once for each",
    ),
}


@pytest.mark.parametrize("case", UNITS)
def test_a_platform_in_another_unit_is_asked(case: str, tmp_path: Path) -> None:
    kind, table, message = UNITS[case]
    with pytest.raises(DataError, match=f"{message}.*say --accept {kind}"):
        taken(written(tmp_path, table.to_csv(index=False)))


@pytest.mark.parametrize(
    ("figure", "factor", "platform"),
    [("spend", 8, "search"), ("spend", 1 / 20, "display"), ("revenue", 12, "social"), ("revenue", 1 / 12, "video")],
)
def test_a_dear_or_a_poor_platform_is_none(figure: str, factor: float, platform: str, tmp_path: Path) -> None:
    table = bent(figure, factor, platform).round(2)
    assert_same(taken(written(tmp_path, table.to_csv(index=False))), table)


def test_revenue_of_another_unit_on_all_platforms_is_asked(tmp_path: Path) -> None:
    table = sound(40)
    cents = table.assign(revenue=table["revenue"].astype(float) * 10_000)
    with pytest.raises(DataError, match=r"revenue: all platforms together earn .*more than 100 times as much.*cents"):
        taken(written(tmp_path, cents.to_csv(index=False)))

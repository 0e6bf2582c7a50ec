"""Rates of one platform that stepped some weeks ago and stayed: told with day, size and what to do; nothing is dropped.

What counts as one says `crossmix.market.fit.rate_steps`; the fit follows the same steps. No history can tell why: the
same fall is an attribution window that was shortened, tracking that broke, an audience or a product that ended.

Shapes: T cycles, C campaigns, P platforms.
"""

from __future__ import annotations

from datetime import date, timedelta

import numpy as np
import pandas as pd

from crossmix.market.fit import rate_steps

WORDS = {
    "impressions": ("Impressions per money", "the price, a bid or the placements were"),
    "clicks": ("Clicks per impression", "the ads, the placements or the audience were"),
    "conversions": ("Conversions per click", "an attribution window, tracking or the audience was"),
    "value": ("Revenue per conversion", "the prices, the goods or how revenue is booked were"),
}
"""Of each of `rate_steps.RATES` its name, and what may have changed."""
FORTNIGHT = 14


def told(frame: pd.DataFrame, days: int) -> list[str]:
    """A sentence for every step.

    Args:
        frame: date, platform, campaign_id, spend, impressions, clicks, conversions, revenue.
        days: of a row.
    """
    first, last = frame["date"].min(), frame["date"].max()
    dates = [first + timedelta(days=at) for at in range(0, (last - first).days + 1, days)]
    cells = [sorted(frame[name].unique()) for name in ("campaign_id", "platform")]
    columns = pd.MultiIndex.from_product(cells)
    names = ("spend", "impressions", "clicks", "conversions", "revenue")
    by = frame.groupby(["date", "campaign_id", "platform"], observed=True)[list(names)].sum().unstack([1, 2])
    tables = {
        name: by[name].reindex(index=dates, columns=columns).fillna(0.0).clip(lower=0.0).to_numpy(float)
        for name in names
    }
    shaped = {name: table.reshape(len(dates), *map(len, cells)) for name, table in tables.items()}
    sentences = []
    for rate, (count, exposure, events) in rate_steps.RATES.items():
        window = max(FORTNIGHT // days, 1)
        found = rate_steps.found(shaped[count], shaped[exposure], shaped["spend"], shaped[events], window)
        sentences += [
            _sentence(rate, cells[1][one.platform], dates[one.at], one.size, len(cells[1]) > 1) for one in found
        ]
    return sentences


def _sentence(rate: str, platform: str, day: date, size: float, others: bool) -> str:
    name, why = WORDS[rate]
    beside = " and not with the other platforms" if others else ""
    part = float(np.expm1(size))
    return (
        f"{name} on {platform} {'fell' if part < 0 else 'rose'} by {abs(part):.0%} around {day} and stayed, as at no "
        f"time before{beside}. Today is told at the level since. If {why} changed, "
        f"bring the rows before {day} to the same measure; if it is a fault, mend it and export again."
    )

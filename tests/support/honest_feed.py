"""Reports of cycles that come out as a market holds for usual, without noise."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from typing import Any

import torch

from crossmix.market.conditions import scaled_market
from crossmix.market.usual_file import Named
from tests.support.markets import make_market


def usual_of(campaigns: tuple[str, ...], platforms: tuple[str, ...]) -> Named:
    """Of a market in which 1,000 of currency buy some hundred conversions."""
    made = make_market(seed=3, campaigns=len(campaigns), platforms=len(platforms))
    made = scaled_market(made, requests=100.0, price_multiplier=0.01, value=0.01)
    return Named.of(replace(made, campaigns=campaigns, platforms=platforms))


def report(
    named: Named, campaign: str, starts: datetime, part: float, told: dict[str, float]
) -> list[dict[str, float]]:
    """What each platform, in slot order, makes of the money it was told in a cycle.

    Args:
        starts: of the cycle, which lasts a day.
        part: of the users.
    """
    usual, weekday_C = named.of_campaigns([campaign]), torch.tensor([starts.weekday()])
    money = torch.tensor([[told.get(name, 0.0) for name in named.platforms]], dtype=torch.float64)
    requests = (usual.on(usual.requests_7CP, weekday_C) * part).round()
    impressions = (requests * usual.price.win((money / (requests * usual.price.mean())).clamp(1e-6, 0.99))).round()
    win = (impressions / requests).clamp(min=1e-6)
    spend = impressions * usual.price.spend(win) / win
    faded = usual.saturation * win
    rate = usual.on(usual.ctr_7CP, weekday_C) * -torch.expm1(-faded) / faded
    clicks = (impressions * rate.nan_to_num(0.0)).round()
    conversions = (clicks * usual.cvr).round()
    amounts: dict[str, Any] = {
        "requests": requests,
        "impressions": impressions,
        "clicks": clicks,
        "conversions": conversions,
        "revenue": conversions * usual.value,
        "spend": torch.minimum(spend, money),
    }
    return [
        {"platform": name, **{key: float(table[0, p]) for key, table in amounts.items()}}
        for p, name in enumerate(named.platforms)
    ]

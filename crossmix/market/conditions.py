"""The conditions of a cycle as the market expects them: no drift, full supply."""

from __future__ import annotations

import torch
from torch import Tensor

from crossmix.market.mechanism import Conditions
from crossmix.market.model import Market


def nominal(market: Market, campaign_B: Tensor, weekday_B: Tensor) -> Conditions:
    """The fitted market without drift, noise or context, on a weekday."""
    value = {name: table[campaign_B] for name, table in market.value.items()}
    index = weekday_B[:, None, None].expand(-1, len(market.platforms), 1)
    return Conditions(
        requests=(value["requests"] * market.volume_week[campaign_B].gather(2, index).squeeze(2)).clamp(min=1),
        price=market.prices(campaign_B),
        level=torch.ones_like(value["requests"]),
        ctr=(value["ctr"] * market.response_week[campaign_B].gather(2, index).squeeze(2)).clamp(max=0.95),
        cvr=value["cvr"],
        **market.fixed(campaign_B),
    )

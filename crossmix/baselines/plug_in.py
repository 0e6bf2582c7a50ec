"""The plug-in: the best split of the average cycle.

Shapes: B batch, C campaigns, P platforms.
"""

from __future__ import annotations

import torch
from torch import Tensor

from crossmix.baselines.fields import weekday
from crossmix.baselines.registry import BASELINES, Baseline, Split
from crossmix.market.conditions import nominal
from crossmix.market.model import Market
from crossmix.market.oracle import solve


def plug_in(market: Market) -> Split:
    """The best split for the fitted average market and the coming weekday: concave, solved exactly; drift unseen."""
    campaigns = torch.arange(len(market.campaigns))
    # Without a step limit the answer depends on campaign and weekday alone: solve those once.
    table_C7P = torch.stack(
        [
            solve(
                nominal(market, campaigns, torch.full_like(campaigns, day)),
                market.budget,
                market.minimum,
                market.maximum,
            ).share_BP
            for day in range(7)
        ],
        1,
    )

    def act(state_BS: Tensor, low_BP: Tensor, high_BP: Tensor, campaign_B: Tensor) -> Tensor:
        day_B = weekday(state_BS)
        if torch.equal(low_BP, market.minimum[campaign_B]) and torch.equal(high_BP, market.maximum[campaign_B]):
            return table_C7P[campaign_B, day_B]
        return solve(nominal(market, campaign_B, day_B), market.budget[campaign_B], low_BP, high_BP).share_BP

    return act


BASELINES.register(Baseline(name="plug_in", label="concave plug-in", split=plug_in))

"""What a split should earn in a fitted market: the closed form with its fitting error.

What it answers is tabulated into the bundle (`crossmix.response`).

Shapes: N draws of the parameters, P platforms, F errors in common.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from crossmix.market.conditions import nominal
from crossmix.market.curves import marginal
from crossmix.market.draws import doubled, moved
from crossmix.market.model import Market
from crossmix.market.reach import reaching
from crossmix.market.uncertain import drawn
from crossmix.response import MOST, Response

DRAWS = 512


class MarketResponder:
    """The expected response of one campaign on an average weekday, without drift; a `crossmix.response.Responder`.

    Its errors are those of draws around the fitted parameters by the law of every other interval
    (`crossmix.market.uncertain`), and of what platforms' draws have in common.
    """

    def __init__(self, market: Market, campaign: str, seed: int = 0) -> None:
        slot = market.campaigns.index(campaign)
        # Up to the last amount of a `crossmix.response.ResponseTable`, all of it on a single platform.
        most_C = torch.zeros(len(market.campaigns))
        most_C[slot] = MOST * market.budget[slot]
        exact = doubled(reaching(market, most_C))
        found = drawn(exact, slot, DRAWS, torch.Generator().manual_seed(seed))
        self.conditions = nominal(exact, torch.tensor([slot]))
        self.drawn = moved(self.conditions, found)
        self.common_NF = found.common_NF

    def __call__(self, share_P: NDArray[Any], budget: float) -> Response:
        """Revenue, currency, and marginal ROI of each platform at `share_P` (P,) of `budget`."""
        budget_P = torch.as_tensor(np.asarray(share_P, float) * budget)
        revenue_1P, slope_1P = marginal(self.conditions, budget_P[None])
        revenue_NP, slope_NP = marginal(self.drawn, budget_P.expand(DRAWS, -1))
        off_NP = revenue_NP - revenue_NP.mean(0)
        return Response(
            revenue_P=revenue_1P[0].numpy(),
            revenue_se_P=revenue_NP.std(0).numpy(),
            marginal_P=slope_1P[0].numpy(),
            marginal_se_P=slope_NP.std(0).numpy(),
            common_PF=(off_NP.T @ self.common_NF / DRAWS).numpy(),
        )

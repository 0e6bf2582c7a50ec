"""What a split should earn in a fitted market: the closed form with its fitting error.

What it answers is tabulated into the bundle (`crossmix.response`).

Shapes: N draws of the parameters, P platforms, K + 1 price knots.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from crossmix.market.conditions import assembled
from crossmix.market.curves import marginal
from crossmix.market.model import Market
from crossmix.market.uncertain import HELD
from crossmix.response import Response

DRAWS = 512
UNCERTAIN = ("requests", "ctr", "cvr", "value", "saturation", "price_level", "elasticity", "bend")
"""Parameters whose standard errors make the interval."""
DRAWN = (*UNCERTAIN, "value_cv", "pacing", "usual_share")


class MarketResponder:
    """The expected response of one campaign on an average weekday, without drift; a `crossmix.response.Responder`.

    The first row of the batch has the fitted parameters, the others draws around them with their standard errors.
    """

    def __init__(self, market: Market, campaign: str, seed: int = 0) -> None:
        slot = market.campaigns.index(campaign)
        generator = torch.Generator().manual_seed(seed)

        def draws(name: str) -> Tensor:
            value_P, error_P = market.value[name][slot], market.error[name][slot].nan_to_num(0.0)
            if name not in UNCERTAIN:
                return value_P.expand(1 + DRAWS, -1)
            noise_NP = torch.randn(DRAWS, len(value_P), generator=generator) * error_P
            if name in HELD:
                noise_NP = torch.where(market.value["elasticity"][slot] > 0, 0.0, noise_NP)
            least_P = 0.1 * value_P if name == "elasticity" else torch.zeros_like(value_P)
            return torch.cat([value_P[None], torch.maximum(value_P + noise_NP, least_P)])

        every = torch.full((1 + DRAWS,), slot)
        self.conditions = assembled({name: draws(name) for name in DRAWN}, market.prices(every))

    def __call__(self, share_P: NDArray[Any], budget: float) -> Response:
        """Revenue, currency, and marginal ROI of each platform at `share_P` (P,) of `budget`."""
        budget_NP = torch.tensor(np.asarray(share_P) * budget, dtype=torch.float32).expand(1 + DRAWS, -1)
        revenue_NP, slope_NP = marginal(self.conditions, budget_NP)
        return Response(
            revenue_P=revenue_NP[0].double().numpy(),
            revenue_se_P=revenue_NP[1:].std(0).double().numpy(),
            marginal_P=slope_NP[0].double().numpy(),
            marginal_se_P=slope_NP[1:].std(0).double().numpy(),
        )

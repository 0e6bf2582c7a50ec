"""What a split should earn, from a fitted market's own document: the closed form with its fitting error.

Reads `market.json` as the market step writes it; what it answers is tabulated into the bundle (`crossmix.response`).

Shapes: N draws of the parameters, P platforms, K + 1 price knots.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from crossmix.market.mechanism import Conditions
from crossmix.market.oracle import marginal
from crossmix.market.price import EmpiricalPrice, LogNormalPrice
from crossmix.response import Response

DRAWS = 512
UNCERTAIN = ("requests", "ctr", "cvr", "value", "saturation")
"""Parameters whose standard errors make the interval."""


class MarketResponder:
    """The expected response of one campaign on an average weekday, without drift; a `crossmix.response.Responder`.

    The first row of the batch has the fitted parameters, the others draws around them with their standard errors.
    """

    def __init__(self, document: Mapping[str, Any], campaign: str, seed: int = 0) -> None:
        slot = document["campaigns"].index(campaign)
        cells = [cell for cell in document["parameters"] if cell["campaign"] == campaign]

        def row(name: str, part: str) -> Tensor:
            return torch.tensor([np.nan if cell[name][part] is None else cell[name][part] for cell in cells])

        generator = torch.Generator().manual_seed(seed)

        def draws(name: str) -> Tensor:
            value_P = row(name, "value")
            if name not in UNCERTAIN:
                return value_P.expand(1 + DRAWS, -1)
            noise_NP = torch.randn(DRAWS, len(cells), generator=generator) * row(name, "se").nan_to_num(0.0)
            return torch.cat([value_P[None], (value_P + noise_NP).clamp(min=0)])

        table = torch.tensor(document["tables"]["price"])[slot].expand(1 + DRAWS, -1, -1).contiguous()
        lognormal = document["price_kind"] == "lognormal"
        self.conditions = Conditions(
            requests=draws("requests"),
            price=LogNormalPrice(table[..., 0], table[..., 1]) if lognormal else EmpiricalPrice.of(table),
            level=torch.ones(1 + DRAWS, len(cells)),
            ctr=draws("ctr").clamp(max=1),
            cvr=draws("cvr").clamp(max=1),
            value=draws("value"),
            value_cv=draws("value_cv"),
            saturation=draws("saturation"),
            pacing=draws("pacing"),
        )

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

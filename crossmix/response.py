"""What a split should earn and what the next unit of money would: the types, and a bundle's table of the closed form.

The closed form needs torch and some hundred draws of the fitted parameters (`crossmix.market.responder`); a bundle
carries its values on a grid of amounts, so that a server answers from numpy in microseconds.

Shapes: B batch, P platforms, K amounts of the grid.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]

KNOTS = 193
LEAST, MOST = 1e-4, 8.0
"""Ends of the grid, over the plan's cycle budget."""
QUANTITIES = ("revenue", "revenue_se", "marginal", "marginal_se")


@dataclass(frozen=True, slots=True)
class Response:
    """What a split should earn, with standard errors that come from the market's fitted parameters."""

    revenue_P: Array
    """Expected revenue per platform, currency."""
    revenue_se_P: Array
    marginal_P: Array
    """Marginal ROI: revenue of the next unit of money, currency per currency."""
    marginal_se_P: Array
    total_se: float | None = None
    """Standard error of the summed revenue; `None`: platforms were fitted apart, so their errors are independent."""


class Responder(Protocol):
    """The fitted market of one campaign and moment."""

    def __call__(self, share_P: Array, budget: float) -> Response:
        """Expected response to `share_P` (P,) of a cycle's `budget`, currency."""
        ...


@dataclass(frozen=True, slots=True)
class ResponseTable:
    """A campaign's responses on a grid of amounts that grows by one factor; a `Responder`."""

    amount_K: Array
    """Money of a platform's cycle, currency."""
    value_QPK: Array
    """`QUANTITIES` of each platform at each amount."""

    @classmethod
    def of(cls, responder: Responder, platforms: int, cycle_budget: float) -> ResponseTable:
        """The table of a responder whose platforms answer for themselves.

        Args:
            cycle_budget: the plan's, currency: the grid spans `LEAST` to `MOST` times it.
        """
        amount_K = cycle_budget * np.geomspace(LEAST, MOST, KNOTS)
        every_P = np.ones(platforms)
        responses = [responder(every_P, float(amount)) for amount in amount_K]
        rows = [[getattr(response, f"{name}_P") for response in responses] for name in QUANTITIES]
        return cls(amount_K, np.asarray(rows, np.float64).transpose(0, 2, 1))

    def at(self, amount_BP: Array) -> Response:
        """Responses to amounts (B, P), each of (B, P): linear between knots, over the logarithm of the amount.

        Under the first knot revenue goes to 0 in proportion; above the last it stays.
        """
        amount_BP = np.maximum(np.asarray(amount_BP, np.float64), 0.0)
        first, last, most = self.amount_K[0], self.amount_K[-1], len(self.amount_K) - 2
        knot = np.log(np.maximum(amount_BP / first, 1.0)) * ((most + 1) / math.log(last / first))
        left = np.minimum(knot.astype(np.int64), most)
        weight = np.minimum(knot - left, 1.0)
        platform = np.arange(self.value_QPK.shape[1])
        low, high = self.value_QPK[:, platform, left], self.value_QPK[:, platform, left + 1]
        revenue, revenue_se, marginal, marginal_se = low + (high - low) * weight
        part = np.minimum(amount_BP / first, 1.0)
        return Response(revenue * part, revenue_se * part, marginal, marginal_se)

    def __call__(self, share_P: Array, budget: float) -> Response:
        """The response to `share_P` (P,) of `budget`, currency."""
        response = self.at(np.asarray(share_P, np.float64)[None] * budget)
        return Response(
            response.revenue_P[0], response.revenue_se_P[0], response.marginal_P[0], response.marginal_se_P[0]
        )

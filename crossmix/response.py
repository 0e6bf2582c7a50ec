"""What a split should earn and what the next unit of money would: the types, and a bundle's table of the closed form.

The closed form needs torch and some hundred draws of the fitted parameters (`crossmix.market.responder`); a bundle
carries its values on a grid of amounts, so that a server answers from numpy in microseconds.

Platforms were fitted in part from each other, so that their errors are not independent. What they share is told as
loadings: by how much a platform's revenue moves with each common standard normal number Z_f. With l_pf the covariance
of revenue R_p and Z_f, the sum of all platforms has the variance (a factor model; Anderson 2003, section 14.2)

    Var(sum_p R_p) = sum_p se_p^2 + sum_f ((sum_p l_pf)^2 - sum_p l_pf^2)

Shapes: B batch, P platforms, K amounts of the grid, F errors in common.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]

EDGE = 1e-4
"""A share of the budget below it is nothing: it buys no revenue worth the name, and no ratio to it means anything."""
FIRST = 1e-3
"""Share of the budget that counts as the first money of a platform that has none: what it earns on average is told for
the marginal ROI there. The closed form's slope at nothing is that of a single impression, which nobody buys alone."""
KNOTS = 193
LEAST, MOST = 1e-4, 8.0
"""Ends of the grid, over the plan's cycle budget."""
FACTORS = ("click_rate", "conversion_rate", "value", "price", "volume", "weekday_click_rate", "weekday_volume")
"""What a policy believes of a platform's coming cycle, over what is usual: clicks per impression, conversions per
click, value per conversion, price, requests; last what the weekday as a rule does to clicks per impression and to
requests."""
BELIEF = (*FACTORS, "supply")
"""The factors, and what all requests would cost, currency."""
QUANTITIES = ("revenue", "revenue_se", "marginal", "marginal_se")
"""What a table holds of each platform and amount, before the loadings of the errors in common."""
OWN = len(QUANTITIES)


NOTHING = np.zeros((0, 0))
"""Loadings where platforms share no errors."""


def idle(share_P: Array) -> NDArray[np.bool_]:
    """Where a split has nothing: shares below `EDGE`, whatever they were rounded to."""
    return np.asarray(share_P < EDGE)


def shared_variance(common_PF: Array) -> float:
    """What errors in common add to the variance of the sum, currency^2; below 0 where platforms answer to them in
    opposite directions."""
    return float((common_PF.sum(0) ** 2).sum() - (common_PF**2).sum())


@dataclass(frozen=True, slots=True)
class Response:
    """What a split should earn, with standard errors that come from the market's fitted parameters."""

    revenue_P: Array
    """Expected revenue per platform, currency."""
    revenue_se_P: Array
    marginal_P: Array
    """Marginal ROI: revenue of the next unit of money, currency per currency."""
    marginal_se_P: Array
    common_PF: Array = field(default_factory=lambda: NOTHING)
    """Loadings of revenue on the errors in common, currency, (..., P, F); F = 0: platforms' errors are independent."""

    @property
    def total_se(self) -> float:
        """Standard error of the revenue of all platforms, currency, of a single split."""
        return math.sqrt(max(float((self.revenue_se_P**2).sum()) + shared_variance(self.common_PF), 0.0))


@dataclass(frozen=True, slots=True)
class Belief:
    """What a policy believes of a campaign's coming cycle, and the split that follows from it alone."""

    value_QP: Array
    """`BELIEF` of each platform."""
    base_P: Array
    """The split that equalises marginal ROI under it: before the trained network, exploration and steps moved it."""
    usual: str
    """The campaign whose usual cycle the factors are on: the one whose context is nearest to the state's."""

    def response(self, responder: Responder, share_P: Array, budget: float) -> Response:
        """What `share_P` (P,) of `budget` should earn under it.

        Of V times the requests at M times the price, with W times the revenue per impression, the amount m earns
        V W R(m / (V M)) where R is the usual revenue.

        Args:
            responder: the usual cycle's of `usual`, whose platforms answer for themselves.
        """
        click_rate, conversion_rate, value, price, volume, day_rate, day_volume, _ = self.value_QP
        worth, volume = click_rate * conversion_rate * value * day_rate, np.maximum(volume * day_volume, 1e-9)
        usual = responder(share_P / (volume * price), budget)
        gain, slope = volume * worth, worth / price
        return Response(
            gain * usual.revenue_P,
            gain * usual.revenue_se_P,
            slope * usual.marginal_P,
            slope * usual.marginal_se_P,
            gain[:, None] * usual.common_PF if usual.common_PF.size else NOTHING,
        )

    @property
    def supply_P(self) -> Array:
        """What all requests would cost, currency."""
        supply_P: Array = self.value_QP[-1]
        return supply_P


FARTHEST = 10.0
"""Budgets up to so many times the most that was ever spent are answered."""
SEEN = 1.1
"""Amounts up to so many times the most that was ever spent count as seen."""


@dataclass(frozen=True, slots=True)
class Ever:
    """The most that a campaign of a spend history ever spent, in a week: mean of its cycles, currency."""

    total: float
    """On all platforms together."""
    platforms: tuple[float, ...]
    """On each in its own largest week."""
    part: float = 1.0
    """Of the users, whose part of that money it is."""

    def of_part(self, part: float) -> Ever:
        """The same of a part of the users: as much money per user."""
        return Ever(part * self.total, tuple(part * each for each in self.platforms), part * self.part)

    @property
    def farthest(self) -> float:
        """The largest budget that is answered."""
        return FARTHEST * self.total

    def beyond(self, names: Sequence[str], amounts: Sequence[float], what: str, currency: str) -> list[str]:
        """That a split asks for more than was ever spent, a sentence; none where it does not.

        Args:
            amounts: of each platform, currency per cycle. Of one that never spent nothing is said here.
            what: is asked for, the sentence's subject.
        """
        asked = sum(amounts)
        found = []
        if asked > SEEN * self.total:
            found.append(f"{asked:,.2f} where the most in a week was {self.total:,.2f} {currency} a cycle")
        found += [
            f"{name} {amount:,.2f} where the most in a week was {most:,.2f}"
            for name, amount, most in zip(names, amounts, self.platforms, strict=True)
            if most > 0 and amount > SEEN * most
        ]
        if not found:
            return []
        return [
            f"{what} is beyond what was ever spent{self._whose} ({'; '.join(found)}): what it earns there is the "
            "fitted law continued, which nobody saw; go there in steps."
        ]

    def too_far(self, amount: float, most: float, currency: str) -> str:
        """Why a budget above `most` is not answered."""
        return f"budget: {self.unknown(amount, currency)}; give at most {most:,.0f}"

    def unknown(self, amount: float, currency: str) -> str:
        """That nobody can tell what a budget earns."""
        return (
            f"{amount:,.0f} {currency} is {amount / max(self.total, 1e-300):,.1f} times the most that was spent in a "
            f"week{self._whose} ({self.total:,.0f} per cycle), and no history tells what so much would earn"
        )

    @property
    def _whose(self) -> str:
        """Whose money it is, in words; nothing where it is all users'."""
        return "" if self.part == 1 else f" on {self.part:.0%} of the users"


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
    """`QUANTITIES` of each platform at each amount, then its loadings on the errors in common (files of before have
    none)."""
    _row: Array = field(init=False, repr=False, compare=False)
    """A row per platform and knot: the quantities there, and their steps to the next knot."""
    _first: Array = field(init=False, repr=False, compare=False)
    """Index of each platform's first row, (P,)."""

    def __post_init__(self) -> None:
        value_PKQ = np.moveaxis(self.value_QPK, 0, 2)
        step_PKQ = np.diff(value_PKQ, axis=1, append=value_PKQ[:, -1:])
        platforms, knots, quantities = value_PKQ.shape
        row = np.concatenate([value_PKQ, step_PKQ], 2).reshape(platforms * knots, 2 * quantities)
        object.__setattr__(self, "_row", np.ascontiguousarray(row))
        object.__setattr__(self, "_first", np.arange(0, platforms * knots, knots))

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
        rows += [list(column) for column in zip(*(response.common_PF.T for response in responses), strict=True)]
        return cls(amount_K, np.asarray(rows, np.float64).transpose(0, 2, 1))

    def at(self, amount_BP: Array) -> Response:
        """Responses to amounts (B, P) or (P,), in that shape: linear between knots, over the logarithm of the amount.

        Under the first knot revenue goes to 0 in proportion; above the last it stays.
        """
        first, last, most = self.amount_K[0], self.amount_K[-1], len(self.amount_K) - 2
        ratio = np.maximum(np.asarray(amount_BP, np.float64) / first, 0.0)
        knot = np.log(np.maximum(ratio, 1.0)) * ((most + 1) / math.log(last / first))
        left = np.minimum(knot.astype(np.int64), most)
        row = self._row.take(left + self._first, 0)
        quantities = len(self.value_QPK)
        value = row[..., :quantities] + row[..., quantities:] * np.minimum(knot - left, 1.0)[..., None]
        part = np.minimum(ratio, 1.0)[..., None]
        value[..., :2] *= part
        if quantities == OWN:
            return Response(value[..., 0], value[..., 1], value[..., 2], value[..., 3])
        return Response(value[..., 0], value[..., 1], value[..., 2], value[..., 3], value[..., OWN:] * part)

    def __call__(self, share_P: Array, budget: float) -> Response:
        """The response to `share_P` (P,) of `budget`, currency."""
        return self.at(np.asarray(share_P, np.float64) * budget)

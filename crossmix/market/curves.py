"""Revenue of every platform as a function of its share, for many shares at once, in double precision.

Shapes: B batch, P platforms, G points.
"""

from __future__ import annotations

from dataclasses import dataclass, fields

import torch
from torch import Tensor

from crossmix.constraints import project
from crossmix.market.conditions import Conditions
from crossmix.market.mechanism import expected
from crossmix.market.price import EDGE, EmpiricalPrice, LogNormalPrice, Price
from crossmix.response import EDGE as NOTHING
from crossmix.response import FIRST

EVEN = 1e-10
"""Weight of the tie-break, of the revenue in reach: where more money earns nothing, the split stays near even."""


def marginal(conditions: Conditions, budget_BP: Tensor) -> tuple[Tensor, Tensor]:
    """Expected revenue and marginal ROI d revenue / d budget of every platform, each (B, P)."""
    with torch.enable_grad():
        budget = budget_BP.detach().clone().requires_grad_(True)
        revenue = expected(conditions, budget).revenue
        (slope,) = torch.autograd.grad(revenue.sum(), budget)
    return revenue.detach(), slope


def begun(conditions: Conditions, amount_BP: Tensor, slope_BP: Tensor, money: float) -> Tensor:
    """Marginal ROI (B, P) where some amounts are nothing: of those what their first money earns on average.

    Args:
        slope_BP: the closed form's, of the same amounts.
        money: whose shares the amounts are (`crossmix.response.idle`, `FIRST`), currency.
    """
    none_BP, first = amount_BP < NOTHING * money, FIRST * money
    if not bool(none_BP.any()):
        return slope_BP
    revenue_BP = expected(conditions, amount_BP.clamp(min=first)).revenue
    return torch.where(none_BP, revenue_BP / first, slope_BP)


class _Columns(EmpiricalPrice):
    """An empirical price of (B, P) cells at G points each: arguments are (B, P, G), the tables are not repeated."""

    __slots__ = ()

    def mean(self) -> Tensor:
        return self.area[..., -1:]

    def win(self, s: Tensor) -> Tensor:
        target = s.clamp(EDGE, 1 - EDGE) * self.mean()
        pieces = self.knots.shape[-1] - 1
        with torch.no_grad():
            index = torch.searchsorted(self.area, target.detach().contiguous(), right=True) - 1
            index = index.clamp(0, pieces - 1)
        left, right = self.knots.gather(-1, index), self.knots.gather(-1, index + 1)
        rest = (target - self.area.gather(-1, index)).clamp(min=0)
        root = torch.sqrt((left**2 + 2 * rest * (right - left) * pieces).clamp(min=1e-24))
        return (index / pieces + 2 * rest / (left + root).clamp(min=1e-12)).clamp(0, 1)

    def square(self, w: Tensor) -> Tensor:
        pieces = self.knots.shape[-1] - 1
        position = w.clamp(0, 1) * pieces
        index = position.detach().long().clamp(0, pieces - 1)
        part = position - index
        left = self.knots.gather(-1, index)
        middle = left + (self.knots.gather(-1, index + 1) - left) * part
        return self.area2.gather(-1, index) + part / pieces * (left**2 + left * middle + middle**2) / 3


@dataclass(frozen=True, slots=True)
class Curves:
    """Revenue of every platform as a function of its share, in double precision."""

    conditions: Conditions
    """Each field (B, P, 1)."""
    budget_B: Tensor
    low_BP: Tensor
    high_BP: Tensor
    even_BP: Tensor
    """The feasible split nearest to the even one."""
    scale_B: Tensor
    """Revenue if every platform had its highest share, currency; 1 where that is nothing."""

    @classmethod
    def of(cls, conditions: Conditions, budget_B: Tensor, low_BP: Tensor, high_BP: Tensor) -> Curves:
        shape, price = low_BP.shape, conditions.price
        wide_price: Price
        if isinstance(price, LogNormalPrice):
            wide_price = LogNormalPrice(price.mu.double()[..., None], price.sigma.double()[..., None])
        else:
            exact = EmpiricalPrice.of(price.knots.double().expand(*shape, -1).contiguous())
            wide_price = _Columns(exact.knots, exact.area, exact.area2)
        wide = conditions.each(lambda table: table.double().expand(shape)[..., None], wide_price)
        even = project(torch.full_like(low_BP, 1 / shape[1]), low_BP, high_BP)
        scale = expected(wide, (budget_B[:, None] * high_BP)[..., None]).revenue.sum((1, 2))
        return cls(wide, budget_B, low_BP, high_BP, even, torch.where(scale > 0, scale, 1.0))

    def rows(self, index: Tensor) -> Curves:
        conditions = self.conditions
        price = conditions.price
        some: Price = type(price)(*(getattr(price, item.name)[index] for item in fields(price)))
        mine = (getattr(self, item.name)[index] for item in fields(self) if item.name != "conditions")
        return Curves(conditions.each(lambda table: table[index], some), *mine)

    def value(self, share_BPG: Tensor) -> Tensor:
        """Revenue over the scale, with the tie-break, (B, P, G)."""
        revenue = expected(self.conditions, self.budget_B[:, None, None] * share_BPG).revenue
        return revenue / self.scale_B[:, None, None] - EVEN * (share_BPG - self.even_BP[..., None]) ** 2

    def slope(self, share_BPG: Tensor) -> tuple[Tensor, Tensor]:
        """Revenue and marginal ROI, currency and 1, each (B, P, G)."""
        return marginal(self.conditions, self.budget_B[:, None, None] * share_BPG)

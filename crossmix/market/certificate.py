"""How good a split is: its optimality residual, and an upper bound on what any split could earn.

Shapes: B batch, P platforms, G points, V vertices.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any

import torch
from torch import Tensor

from crossmix.market.curves import Curves
from crossmix.market.price import EDGE

CERTIFIED = 2e-7
"""Relative gap below which a row is done."""
ROUNDING = 1e-9
"""Slack of the bound for rounding, relative."""


@dataclass(frozen=True, slots=True)
class Certified:
    """A split of one box, in double precision, and where to cut the box if it leaves a gap."""

    share_BP: Tensor
    revenue_B: Tensor
    shadow_price_B: Tensor
    kkt_B: Tensor
    bound_B: Tensor
    cut_B: Tensor
    """Platform that the gap is mostly of."""
    at_B: Tensor
    """Share of it at which to cut."""

    def rows(self, index: Tensor) -> Certified:
        return Certified(*(getattr(self, item.name)[index] for item in fields(self)))

    def open(self, best_B: Tensor) -> Tensor:
        return self.bound_B > best_B * (1 + CERTIFIED)


def certify(curves: Curves, share_BP: Tensor, tight: bool) -> Certified:
    """Revenue, shadow price, optimality residual and bound of a split."""
    low, high = curves.low_BP, curves.high_BP
    # One-sided marginals: at a kink any value between them is a marginal.
    near = (1e-6 * share_BP + 1e-9)[..., None] * torch.tensor([-1.0, 0.0, 1.0], dtype=low.dtype, device=low.device)
    at = torch.minimum(torch.maximum(share_BP[..., None] + near, low[..., None]), high[..., None])
    revenue, slope = curves.slope(at)
    revenue_B, smallest, largest = revenue[..., 1].sum(1), slope.amin(2), slope.amax(2)
    at_low, at_high = share_BP <= low + 1e-8, share_BP >= high - 1e-8
    # The shadow price is at least the marginal of what could take more, at most that of what could give some away.
    floor = torch.where(at_high, -torch.inf, smallest).amax(1)
    ceiling = torch.where(at_low, torch.inf, largest).amin(1)
    held = (share_BP * slope[..., 1]).sum(1)
    floor, ceiling = torch.where(floor.isfinite(), floor, ceiling), torch.where(ceiling.isfinite(), ceiling, floor)
    shadow = torch.where(floor.isfinite(), 0.5 * (floor + ceiling), held)
    violation = torch.where(floor.isfinite(), 0.5 * (floor - ceiling), 0.0).clamp(min=0)
    roi = revenue_B / curves.budget_B.clamp(min=1e-300)
    unit = torch.maximum(slope.abs().amax((1, 2)), roi).clamp(min=1e-300)
    bound, gap, wanted = _bound(curves, share_BP, shadow, revenue[..., 1], tight)
    cut = gap.argmax(1, keepdim=True)
    at, wish = share_BP.gather(1, cut), wanted.gather(1, cut)
    left, right = low.gather(1, cut), high.gather(1, cut)
    inside = (at - left > 1e-3 * (right - left)) & (right - at > 1e-3 * (right - left))
    at = torch.where(inside, at, 0.5 * (at + wish))
    return Certified(
        share_BP, revenue_B, shadow, violation / unit, torch.maximum(bound, revenue_B), cut.squeeze(1), at.squeeze(1)
    )


def _bound(
    curves: Curves, share_BP: Tensor, shadow_B: Tensor, revenue_BP: Tensor, tight: bool
) -> tuple[Tensor, Tensor, Tensor]:
    """Upper bound on the revenue of any feasible split, currency, (B,): the Lagrangian dual.

    For every lambda, sum_i R_i(B a_i) <= lambda B + sum_i max_a (R_i(B a) - lambda B a). The inner maxima are taken
    over a polygon above each curve, drawn from its values and marginals at points that crowd where the curve bends
    (near one impression, near the supply) and around `share_BP`. Between two neighbours the polygon is the chord where
    the curve is convex, the two tangents where it is concave, and the tangent at the concave end where it turns once;
    it lies above the curve if no two turns fall between neighbours. If `tight`, the best lambda is found by bisection
    where `shadow_B` does not already certify the row.

    Returns also how much each platform adds to the gap, currency, and the share it would rather have, both (B, P).
    """
    share = _points(curves, share_BP)
    revenue, slope = curves.slope(share)
    x_BPV, y_BPV = _above(share * curves.budget_B[:, None, None], revenue, slope)
    money_BP = share_BP * curves.budget_B[:, None]

    worth, best = (y_BPV - shadow_B[:, None, None] * x_BPV).max(2)
    wanted = x_BPV.gather(2, best[..., None]).squeeze(2)
    gap = worth - revenue_BP + shadow_B[:, None] * money_BP
    rows = torch.argwhere(gap.sum(1) > revenue_BP.sum(1) * CERTIFIED).squeeze(1)
    if tight and len(rows):
        bottom, top = slope[rows].amin((1, 2)), slope[rows].amax((1, 2))
        least = gap[rows].sum(1)
        x, y = x_BPV[rows], y_BPV[rows]
        for _ in range(50):
            middle = 0.5 * (bottom + top)
            worth, best = (y - middle[:, None, None] * x).max(2)
            spent = x.gather(2, best[..., None]).squeeze(2)
            mine = worth - revenue_BP[rows] + middle[:, None] * money_BP[rows]
            lower = mine.sum(1) < least
            least = torch.where(lower, mine.sum(1), least)
            gap[rows] = torch.where(lower[:, None], mine, gap[rows])
            wanted[rows] = torch.where(lower[:, None], spent, wanted[rows])
            scarce = spent.sum(1) > curves.budget_B[rows]
            bottom, top = torch.where(scarce, middle, bottom), torch.where(scarce, top, middle)
    bound = (revenue_BP.sum(1) + gap.sum(1).clamp(min=0)) * (1 + ROUNDING)
    return bound, gap, wanted / curves.budget_B[:, None].clamp(min=1e-300)


def _points(curves: Curves, share_BP: Tensor) -> Tensor:
    """Shares at which the polygon touches the curve, sorted, (B, P, G)."""
    low, high = curves.low_BP[..., None], curves.high_BP[..., None]
    conditions, budget = curves.conditions, curves.budget_B[:, None, None].clamp(min=1e-300)
    kind: dict[str, Any] = {"dtype": low.dtype, "device": low.device}
    whole = (high - low) * torch.linspace(0, 1, 65, **kind) ** 2 + low
    impression = conditions.price_multiplier * conditions.price.mean() / budget * torch.linspace(0, 3, 25, **kind) ** 2
    away = torch.linspace(0, 1, 17, **kind) ** 2
    away = torch.cat([-0.5 * away.flip(0), away[1:], torch.tensor([EDGE - 1, -EDGE], **kind)])
    supply = conditions.supply_cost() / budget * (1 + away)
    close = 4.0 ** -torch.arange(1, 14, **kind)
    around = share_BP[..., None] + torch.cat([-close, torch.zeros(1, **kind), close])
    every = torch.cat([part.expand(*low.shape[:2], -1) for part in (whole, impression, supply, around)], 2)
    return torch.minimum(torch.maximum(every, low), high).sort(2).values


def _above(x_BPG: Tensor, y_BPG: Tensor, slope_BPG: Tensor) -> tuple[Tensor, Tensor]:
    """Vertices (x, y), each (B, P, V), of a polygon above the curves through (x, y) with these slopes."""
    left, right, bottom, top = x_BPG[..., :-1], x_BPG[..., 1:], y_BPG[..., :-1], y_BPG[..., 1:]
    first, last = slope_BPG[..., :-1], slope_BPG[..., 1:]
    width = right - left
    rise = top - bottom
    starts, ends = first * width >= rise, last * width <= rise
    bend = first - last
    meet = left + ((rise - last * width) / torch.where(bend > 0, bend, 1.0)).clamp(min=0).minimum(width)
    meet = torch.where(starts & ends, meet, torch.where(starts, right, left))
    before, after = bottom + first * (meet - left), top - last * (right - meet)
    height = torch.where(starts & ends, torch.maximum(before, after), torch.where(starts, before, after))
    height = torch.where(starts | ends, height, bottom)
    return torch.cat([x_BPG, meet], 2), torch.cat([y_BPG, height], 2)

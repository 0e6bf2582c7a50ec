"""The clairvoyant myopic optimum: the split that equalises marginal ROI under the limits (DESIGN 4).

It sees the cycle's true conditions (drift included) and maximises the *expected* revenue of that one cycle. It is
our unit of quality, never a competitor.

Shapes: B batch, P platforms, G grid.
"""

from __future__ import annotations

from dataclasses import dataclass, fields, replace

import torch
from torch import Tensor

from crossmix.constraints import project
from crossmix.market.mechanism import Conditions, expected


@dataclass(frozen=True, slots=True)
class Solution:
    """An optimum with its certificate."""

    share_BP: Tensor
    revenue_B: Tensor
    """Objective: expected revenue of the cycle, currency."""
    shadow_price_B: Tensor
    """lambda: revenue per unit of budget at the optimum."""
    kkt_B: Tensor
    """Largest violation of the optimality conditions, relative to the largest marginal ROI."""


def marginal(conditions: Conditions, budget_BP: Tensor) -> tuple[Tensor, Tensor]:
    """Expected revenue and marginal ROI d revenue / d budget of every platform, each (B, P)."""
    with torch.enable_grad():
        budget = budget_BP.detach().clone().requires_grad_(True)
        revenue = expected(conditions, budget).revenue
        (slope,) = torch.autograd.grad(revenue.sum(), budget)
    return revenue.detach(), slope


def solve(
    conditions: Conditions,
    budget_B: Tensor,
    low_BP: Tensor,
    high_BP: Tensor,
    *,
    grid: int = 48,
    zooms: int = 4,
    thorough: bool = True,
) -> Solution:
    """Maximise sum_i R_i(budget a_i) over low <= a <= high, sum(a) = 1.

    The marginal of every platform is tabulated on a grid of its box; the shadow price at which the inverse marginals
    sum to 1 is found by bisection; the grid then closes in around the solution, `zooms` times.

    Revenue is concave but for two places: a budget of about one impression, and a budget of about the whole supply,
    where more money makes the stop less likely. There the marginal rises for a stretch. Each row is solved with the
    stretch counted at its highest and (if `thorough`) at its lowest, and the better split is kept.
    """
    optimist = _search(conditions, budget_B, low_BP, high_BP, grid, zooms, rising=True)
    if not thorough:
        return optimist
    pessimist = _search(conditions, budget_B, low_BP, high_BP, grid, zooms, rising=False)
    better = pessimist.revenue_B > optimist.revenue_B
    return Solution(
        torch.where(better[:, None], pessimist.share_BP, optimist.share_BP),
        torch.where(better, pessimist.revenue_B, optimist.revenue_B),
        torch.where(better, pessimist.shadow_price_B, optimist.shadow_price_B),
        torch.where(better, pessimist.kkt_B, optimist.kkt_B),
    )


def _search(
    conditions: Conditions, budget_B: Tensor, low_BP: Tensor, high_BP: Tensor, grid: int, zooms: int, *, rising: bool
) -> Solution:
    low = low_BP.expand(len(budget_B), low_BP.shape[-1]).to(budget_B).contiguous()
    high = high_BP.expand_as(low).to(budget_B).contiguous()
    left, right = low, high
    points = torch.linspace(0, 1, grid, dtype=low.dtype, device=low.device)
    share = low
    for zoom in range(zooms + 1):
        # Shares matter by their ratio near zero: the first grid is denser there.
        place = points**2 if zoom == 0 else points
        share_BPG = left[..., None] + (right - left)[..., None] * place
        slope_BPG = _tabulate(conditions, budget_B, share_BPG)
        slope_BPG = slope_BPG.flip(-1).cummax(-1).values.flip(-1) if rising else slope_BPG.cummin(-1).values
        share = _meet(share_BPG, slope_BPG)
        width = (right - left) * (4.0 / grid if zoom else 8.0 / grid)
        left, right = torch.maximum(low, share - width), torch.minimum(high, share + width)
    share = project(share, low, high)
    revenue, slope = marginal(conditions, budget_B[:, None] * share)
    at_low, at_high = share <= low + 1e-6, share >= high - 1e-6
    free = ~(at_low | at_high)
    count = free.sum(1)
    largest_low = torch.where(at_low, slope, -torch.inf).amax(1)
    shadow = torch.where(
        count > 0, (slope * free).sum(1) / count.clamp(min=1), torch.where(largest_low.isfinite(), largest_low, 0.0)
    )
    gap = torch.where(free, (slope - shadow[:, None]).abs(), torch.zeros_like(slope))
    gap = torch.where(at_low & ~at_high, (slope - shadow[:, None]).clamp(min=0), gap)
    gap = torch.where(at_high & ~at_low, (shadow[:, None] - slope).clamp(min=0), gap)
    return Solution(share, revenue.sum(1), shadow, gap.amax(1) / slope.amax(1).clamp(min=1e-12))


def _tabulate(conditions: Conditions, budget_B: Tensor, share_BPG: Tensor) -> Tensor:
    """Marginal ROI at every grid share, (B, P, G)."""
    batch, platforms, grid = share_BPG.shape
    index = torch.arange(batch, device=share_BPG.device).repeat_interleave(grid)
    many = replace(
        conditions,
        price=conditions.price.rows(index),
        bank=None,
        **{
            item.name: getattr(conditions, item.name)[index]
            for item in fields(conditions)
            if item.name not in {"price", "bank"}
        },
    )
    budget = (budget_B[:, None, None] * share_BPG).transpose(1, 2).reshape(-1, platforms)
    _, slope = marginal(many, budget)
    return slope.reshape(batch, grid, platforms).transpose(1, 2).contiguous()


def _meet(share_BPG: Tensor, slope_BPG: Tensor, steps: int = 50) -> Tensor:
    """Shares whose interpolated marginals equal one shadow price per row, summing to 1 as far as the box allows."""
    rising = (-slope_BPG).contiguous()
    bottom, top = slope_BPG.amin((1, 2)), slope_BPG.amax((1, 2))
    bottom, top = bottom - 1e-9 - 1e-6 * bottom.abs(), top + 1e-9 + 1e-6 * top.abs()
    share = share_BPG[..., 0]
    for _ in range(steps):
        middle = 0.5 * (bottom + top)
        share = _inverse(share_BPG, rising, middle)
        enough = share.sum(1) >= 1
        bottom, top = torch.where(enough, middle, bottom), torch.where(enough, top, middle)
    # Marginals that are flat (a tie, or zero beyond the supply) leave a jump at the shadow price: split it evenly.
    least, most = _inverse(share_BPG, rising, top), _inverse(share_BPG, rising, bottom)
    room = (most - least).sum(1, keepdim=True)
    part = ((1 - least.sum(1, keepdim=True)) / room.clamp(min=1e-12)).clamp(0, 1)
    return least + part * (most - least)


def _inverse(share_BPG: Tensor, rising_BPG: Tensor, price_B: Tensor) -> Tensor:
    """Largest share whose marginal is at least the shadow price, interpolated, (B, P)."""
    batch, platforms, grid = share_BPG.shape
    target = -price_B[:, None, None].expand(batch, platforms, 1).contiguous()
    index = torch.searchsorted(rising_BPG, target, right=True)
    lower = (index - 1).clamp(0, grid - 1)
    upper = index.clamp(0, grid - 1)
    a, b = rising_BPG.gather(2, lower), rising_BPG.gather(2, upper)
    part = torch.where(b > a, (target - a) / (b - a).clamp(min=1e-20), torch.zeros_like(a)).clamp(0, 1)
    x, y = share_BPG.gather(2, lower), share_BPG.gather(2, upper)
    return (x + (y - x) * part).squeeze(2)

"""Response curves: what each platform earns, and what its next unit of money earns, over its budget.

Shapes: B batch, N draws, P platforms, G grid.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from scipy.signal import savgol_filter
from torch import Tensor

from crossmix.market.conditions import Conditions
from crossmix.market.curves import begun
from crossmix.market.draws import spread
from crossmix.market.mechanism import counts, expected
from crossmix.whatif.scene import Floats, Scene, part

POINTS = 60
LEVELS = (0.025, 0.975)
"""A 95 % interval."""
BLOCK = 2048
"""Rows evaluated at once: prices are laid out per row, and a block of them stays below about 50 MB."""


@dataclass(frozen=True, slots=True)
class Band:
    """A curve with a 95 % interval at each point, (G,) each."""

    value: Floats
    low: Floats
    high: Floats


@dataclass(frozen=True, slots=True)
class Curve:
    """One platform's response over its own budget, whatever the others get."""

    platform: str
    budget_G: Floats
    """Currency per cycle."""
    share_G: Floats
    """The same over today's cycle budget."""
    revenue: Band
    """Expected revenue per cycle, currency; interval: the fitted parameters."""
    marginal_roi: Band
    """Revenue of the next unit of money; interval: the fitted parameters."""
    cycle_revenue: Band
    """Interval: what a single cycle may bring at the fitted parameters, its drift, volume and luck together."""
    cycle_marginal_roi: Band
    """Interval: the next unit's expected revenue under a single cycle's drift and volume."""


@dataclass(frozen=True, slots=True)
class Responses:
    """Expected outcome of budgets, and the slope of revenue in each, (B, P)."""

    revenue: Tensor
    conversions: Tensor
    spend: Tensor
    slope: Tensor
    """Marginal ROI: d revenue / d budget."""


def respond(conditions: Conditions, budget_BP: Tensor, money: float = 0.0) -> Responses:
    """The closed form at `budget_BP`, currency, and its slope.

    Args:
        money: amounts that are nothing of it have for a slope what their first money earns on average
            (`crossmix.market.curves.begun`).
    """
    blocks: list[tuple[Tensor, ...]] = []
    for start in range(0, len(budget_BP), BLOCK):
        budget = budget_BP[start : start + BLOCK].detach().clone().requires_grad_(True)
        with torch.enable_grad():
            outcome = expected(part(conditions, start, start + BLOCK), budget)
            (slope,) = torch.autograd.grad(outcome.revenue.sum(), budget)
        slope = begun(part(conditions, start, start + BLOCK), budget.detach(), slope, money)
        blocks.append((outcome.revenue.detach(), outcome.conversions.detach(), outcome.spend.detach(), slope))
    return Responses(*(torch.cat(column) for column in zip(*blocks, strict=True)))


def simulate(conditions: Conditions, budget_BP: Tensor, seed: int) -> tuple[Tensor, Tensor]:
    """Revenue and conversions of one simulated cycle per row, (B, P) each."""
    generator = torch.Generator().manual_seed(seed)
    drawn = [
        counts(part(conditions, start, start + BLOCK), budget_BP[start : start + BLOCK], generator)
        for start in range(0, len(budget_BP), BLOCK)
    ]
    return torch.cat([one.revenue for one in drawn]), torch.cat([one.conversions for one in drawn])


def response_curves(scene: Scene, *, points: int = POINTS, top: float | None = None) -> tuple[Curve, ...]:
    """One curve per platform.

    Args:
        points: places on each curve, denser near zero, where revenue bends most.
        top: largest budget of every platform, currency; `None`: `reach`.
    """
    end_P = reach(scene) if top is None else torch.full((len(scene.platforms),), top, dtype=torch.float64)
    budget_GP = torch.linspace(0, 1, points, dtype=torch.float64)[:, None] ** 1.5 * end_P

    def over(conditions: Conditions) -> tuple[Conditions, Tensor]:
        """Every draw at every budget, (N G, P)."""
        draws = len(conditions.requests)
        return spread(conditions, points), budget_GP.repeat(draws, 1)

    fitted, drawn, cycle = (respond(*over(each)) for each in (scene.conditions, scene.fitted, scene.cycles))
    luck, _ = simulate(*over(scene.cycles), seed=scene.seed)

    def band(value_GP: Tensor, draws_BP: Tensor, slot: int, *, smooth: bool = False) -> Band:
        low, high = np.quantile(draws_BP[:, slot].reshape(-1, points).numpy(), LEVELS, axis=0)
        if smooth and points >= 9:
            # Luck differs from point to point; the quantiles of its law do not jump.
            low, high = (np.maximum(savgol_filter(edge, 9, 2), 0.0) for edge in (low, high))
        return Band(value_GP[:, slot].numpy(), low, high)

    return tuple(
        Curve(
            platform=platform,
            budget_G=budget_GP[:, slot].numpy(),
            share_G=budget_GP[:, slot].numpy() / scene.budget,
            revenue=band(fitted.revenue, drawn.revenue, slot),
            marginal_roi=band(fitted.slope, drawn.slope, slot),
            cycle_revenue=band(fitted.revenue, luck, slot, smooth=True),
            cycle_marginal_roi=band(fitted.slope, cycle.slope, slot),
        )
        for slot, platform in enumerate(scene.platforms)
    )


def reach(scene: Scene) -> Tensor:
    """Largest budget worth drawing of every platform, currency, (P,): twice today's cycle budget, or 1.1 times what
    all its requests would cost, whichever is less.
    """
    return (1.1 * scene.conditions.supply_cost()[0]).clamp(max=2 * scene.budget)

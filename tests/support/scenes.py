"""Scenes of what-if and what they earn, computed apart from the code under test."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch

from crossmix.allocate import LimitChange
from crossmix.market.mechanism import expected
from crossmix.market.model import Market
from crossmix.whatif.scene import Scene
from crossmix.whatif.split import best_shares

P = 5
LIMITED = {
    "max": LimitChange(maximum={"p0": 0.12, "p3": 0.1}),
    "min": LimitChange(minimum={"p1": 0.35, "p2": 0.3}),
    "frozen": LimitChange(freeze=frozenset({"p0", "p1"})),
    "step": LimitChange(step={f"p{slot}": 0.03 for slot in range(P)}),
}


def exact_market(market: Market, **errors: float) -> Market:
    """No parameter has an error but those named, relative ones."""
    none = {name: torch.zeros_like(table) for name, table in market.value.items()}
    return replace(market, error=none | {name: part * market.value[name] for name, part in errors.items()})


def first_platform(market: Market) -> Market:
    one = {name: table[:, :1] for name, table in market.value.items()}
    cut = ("price", "price_law", "volume_week", "response_week", "minimum", "maximum", "step", "freeze", "untried")
    return replace(
        market,
        platforms=market.platforms[:1],
        value=one,
        error={name: 0.02 * table for name, table in one.items()},
        static=torch.ones_like(market.static[:, :1]),
        context_rate=market.context_rate[..., :1],
        **{name: getattr(market, name)[:, :1] for name in cut},
    )


def revenue(scene: Scene, share_P: torch.Tensor | np.ndarray, budget: float) -> float:
    amount = budget * torch.as_tensor(share_P, dtype=torch.float64)[None]
    return float(expected(scene.conditions, amount).revenue.sum())


def best_revenue(scene: Scene, budget: float) -> float:
    return best_totals(scene, budget)[0]


def best_totals(scene: Scene, budget: float) -> tuple[float, float, float]:
    """Revenue, conversions and spend of the best split."""
    share_P = best_shares(scene, torch.tensor([budget]))[0][0]
    outcome = expected(scene.conditions, budget * share_P[None])
    return float(outcome.revenue.sum()), float(outcome.conversions.sum()), float(outcome.spend.sum())

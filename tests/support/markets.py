"""Synthetic markets for tests: known parameters, no fitting."""

from dataclasses import replace

import torch

from crossmix.market.fit.contexts import marks
from crossmix.market.model import NEUTRAL, PARAMETERS, Market


def make_market(
    seed: int = 0, platforms: int = 10, campaigns: int = 2, *, drift: float = 0.3, maximum: float = 1.0
) -> Market:
    """A market whose uniform split earns about 0.8 of the optimum."""
    g = torch.Generator().manual_seed(seed)

    def uniform(low: float, high: float, *shape: int) -> torch.Tensor:
        return low + (high - low) * torch.rand(*(shape or (campaigns, platforms)), generator=g)

    cells = (campaigns, platforms)
    value = {
        "requests": uniform(300, 900),
        "requests_sd": torch.full(cells, 0.05),
        "ctr": uniform(0.06, 0.18),
        "cvr": uniform(0.12, 0.38),
        "value": 60 * torch.exp(0.7 * torch.randn(*cells, generator=g)),
        "value_cv": torch.full(cells, 0.4),
        "saturation": uniform(0.5, 1.5),
        "pacing": torch.full(cells, 0.05),
        "bid_dispersion": torch.zeros(cells),
        "ctr_drift": torch.full(cells, drift),
        "cvr_drift": torch.full(cells, 0.1),
        "price_drift": torch.full(cells, 0.2),
        "ctr_persistence": torch.full(cells, 0.93),
        "cvr_persistence": torch.full(cells, 0.9),
        "price_persistence": torch.full(cells, 0.93),
    }
    assert value.keys() == PARAMETERS.keys() - NEUTRAL.keys()
    levels = torch.linspace(0, 1, 65).clamp(0.003, 0.997)
    mu, sigma = uniform(0.9, 1.5), uniform(0.35, 0.65)
    knots = torch.exp(mu[..., None] + sigma[..., None] * torch.special.ndtri(levels))
    supply = value["requests"] * torch.exp(mu + sigma**2 / 2)
    delay = torch.tensor([0.6, 0.3, 0.1]).expand(*cells, 3).clone()
    static = torch.full(cells, 0.3 / max(platforms - 2, 1))
    static[:, 0], static[:, 1] = 0.4, 0.3
    static /= static.sum(1, keepdim=True)
    context = torch.randn(campaigns, 32, 512, generator=g)
    return Market(
        campaigns=tuple(f"c{i}" for i in range(campaigns)),
        platforms=tuple(f"p{i}" for i in range(platforms)),
        currency="USD",
        generated=True,
        cycle_hours=24,
        digest="synthetic",
        value=value,
        error={name: 0.02 * table.abs() for name, table in value.items()},
        provenance=dict.fromkeys(value, "generated"),
        price_kind="empirical",
        price=knots,
        price_law=knots,
        volume_week=(1 + 0.2 * torch.sin(torch.arange(7) * 2 * torch.pi / 7)).expand(*cells, 7).clone(),
        response_week=torch.ones(*cells, 7),
        delay=delay,
        minimum=torch.zeros(cells),
        maximum=torch.full(cells, maximum),
        step=torch.ones(cells),
        freeze=torch.zeros(cells, dtype=torch.bool),
        budget=0.2 * supply.sum(1),
        static=static,
        control=static.clone(),
        horizon=100,
        context=context,
        context_rate=torch.ones(campaigns, 32, platforms),
        context_group=torch.zeros(campaigns, 32, dtype=torch.long),
        cycle_group=torch.zeros(campaigns, 32, dtype=torch.long),
        cold_context=context.mean(1),
        present_context=context[:, -1],
        response=torch.ones(campaigns, 1, platforms, 16, 2),
        response_mean=value["ctr"][:, None],
    )


def of_totals(market: Market, elasticity: float = 0.6) -> Market:
    """The same with conversions that fade with wins, and contexts that only tell campaigns apart, as of a history."""
    cells = torch.ones_like(market.value["ctr"])
    fading = {"elasticity": elasticity * cells, "usual_share": 0.1 * cells}
    mark = torch.zeros_like(market.present_context)
    if len(market.campaigns) > 1:
        mark = torch.tensor(marks(market.campaigns), dtype=market.context.dtype)
    shown = mark[:, None].expand_as(market.context).clone()
    return replace(
        market, value=market.value | fading, context=shown, cold_context=mark.clone(), present_context=mark.clone()
    )

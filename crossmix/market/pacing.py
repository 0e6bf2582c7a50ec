"""Pacing tables of a fitted market for the base policy (`agents.mpc`): what a state says of the next cycle.

Shapes: C campaigns, P platforms, W + D cycles of age, K + 1 knots.
"""

from __future__ import annotations

import torch
from torch import Tensor

from crossmix.config import Config
from crossmix.drift import factor_covariance
from crossmix.market.model import Market

KNOTS = 33


def tables(market: Market, config: Config) -> dict[str, Tensor] | None:
    """`agents.mpc.TABLES` of a market; `None` where a state does not tell its campaign.

    A state tells its campaign by its context; a market of several campaigns that have none gives no base policy.
    """
    campaigns, platforms = market.static.shape
    if campaigns > 1 and not market.context.any():
        return None
    value = market.value
    weight_W = config.decay ** torch.arange(config.window, dtype=torch.float64)
    weight_W = weight_W / weight_W.sum()
    immediate = weight_W.expand(campaigns, platforms, -1)
    contexts = market.context.shape[1]
    win = torch.linspace(0, 1, KNOTS)
    if market.of_totals:
        # A history's requests are those of many times its money: what is bought lies near 0, and so do the knots.
        win = win**2
    price = market.prices(torch.arange(campaigns))
    grid = win[:, None, None].expand(-1, campaigns, platforms)
    spend = torch.stack([price.spend(level) for level in grid], 2)
    # The price between two knots is what the stretch costs, so that spend is its exact integral.
    width = win.diff()
    step = spend.diff(dim=2) / width
    nearer = width[:-1] / (width[1:] + width[:-1])
    edge = torch.cat([step[..., :1], torch.lerp(step[..., :-1], step[..., 1:], nearer), step[..., -1:]], 2)
    # Contexts that say nothing are all alike: the mean rate stands for them.
    rate = market.context_rate
    if not market.context.any():
        rate = rate.mean(1, keepdim=True).expand_as(rate)
    log_rate = market.context_rate.clamp(min=1e-3).log()
    mixed = log_rate.var(1) if contexts > 1 else torch.zeros(campaigns, platforms)
    ctr_week = value["ctr"][..., None] * market.response_week
    return {
        "context": market.context.flatten(0, 1),
        "campaign": torch.arange(campaigns).repeat_interleave(contexts),
        "rate": rate.flatten(0, 1),
        "budget": market.budget,
        "requests": value["requests"][..., None] * market.volume_week,
        "ctr": ctr_week,
        "ctr_seen": _over_window(ctr_week, weight_W),
        "cvr": value["cvr"],
        "value": value["value"],
        **{name: value[name] for name in ("saturation", "usual_share", "elasticity", "bend")},
        "win": win,
        "price": edge.clamp(min=1e-12),
        "spend": spend,
        "ctr_drift": _law(value["ctr_drift"], value["ctr_persistence"], immediate, weight_W, mixed),
        "cvr_drift": _law(
            value["cvr_drift"], value["cvr_persistence"], _delayed(immediate, market.delay), weight_W, 0 * mixed
        ),
        "price_drift": torch.stack(
            [value["price_persistence"], value["price_drift"] ** 2, value["requests_sd"] ** 2], 2
        ),
        "requests_error": _error(market),
    }


def _error(market: Market) -> Tensor:
    """Variance of ln requests as fitted, (C, P); what a log without bids does not tell may be off by any factor."""
    if market.provenance["requests"] == "approximated":
        return torch.ones_like(market.value["requests"])
    relative: Tensor = market.error["requests"] / market.value["requests"].clamp(min=1e-9)
    return (relative**2).clamp(max=1)


def _over_window(table_CP7: Tensor, weight_W: Tensor) -> Tensor:
    """Mean over the window's cycles, by weekday of the coming one: the cycle of age a lies a + 1 days before it."""
    total = sum(float(weight) * torch.roll(table_CP7, age + 1, 2) for age, weight in enumerate(weight_W))
    assert isinstance(total, Tensor)
    return total


def _delayed(weight_CPW: Tensor, delay_CPD: Tensor) -> Tensor:
    """Weights by age of the click, where a conversion that arrives at age a was clicked d cycles before."""
    cycles, delays = weight_CPW.shape[2], delay_CPD.shape[2]
    by_age = weight_CPW.new_zeros(*weight_CPW.shape[:2], cycles + delays - 1)
    for d in range(delays):
        by_age[..., d : d + cycles] += weight_CPW * delay_CPD[..., d, None]
    return by_age


def _law(sigma_CP: Tensor, rho_CP: Tensor, weight_CPA: Tensor, weight_W: Tensor, mixed_CP: Tensor) -> Tensor:
    """Second moments of a drift's factor and of its mean over the window: its best linear filter.

    Returns (C, P, 4): covariance of the window's mean with the coming factor; the mean's variance; the factor on
    1 / (events per cycle); the variance that the contexts add.
    """
    sigma2, rho = sigma_CP.double()[..., None] ** 2, rho_CP.double()[..., None].clamp(min=1e-9)
    age = torch.arange(weight_CPA.shape[2], dtype=torch.float64)
    ahead = (weight_CPA * factor_covariance(rho, sigma2, age + 1)).sum(2)
    between = factor_covariance(rho[..., None], sigma2[..., None], (age[:, None] - age).abs())
    variance = (weight_CPA[..., :, None] * weight_CPA[..., None, :] * between).sum((2, 3))
    square = float(weight_W.square().sum())
    noise = torch.full_like(ahead, square)
    return torch.stack([ahead, variance, noise, square * mixed_CP.double()], 2).float()

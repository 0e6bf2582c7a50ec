"""Worlds in which a market is not what was fitted: from the first day, or from a day on."""

from __future__ import annotations

from dataclasses import asdict, replace

import torch

from crossmix.market.conditions import scaled_market
from crossmix.market.model import Market
from crossmix.market.shift import Shift

FACTOR, SPREAD = 2.0, 0.5
"""Of a lasting error on every other platform, over it on the rest; deviation of the logarithms where all is off."""


def alternating(market: Market) -> torch.Tensor:
    """`FACTOR` on every other platform, 1 / `FACTOR` on the rest, (P,)."""
    return torch.where(torch.arange(len(market.platforms)) % 2 == 1, FACTOR, 1 / FACTOR)


def lasting(market: Market, name: str, seed: int) -> Market:
    """A world in which a quantity, or all, is not what was fitted, from the warm-up on.

    Args:
        seed: of how far all are off.
    """
    if name != "all":
        return scaled_market(market, **{name: alternating(market)})
    luck = torch.Generator().manual_seed(seed)
    factors = {
        quantity: torch.exp(SPREAD * torch.randn(market.static.shape, generator=luck) - SPREAD**2 / 2)
        for quantity in ("requests", "price_multiplier", "ctr", "cvr", "value")
    }
    return scaled_market(market, **factors)


def moved(market: Market, name: str, since: int) -> Market:
    """The same of any market, from a day on, with no word of it."""
    factor_P, moves = alternating(market), []
    for size in (FACTOR, 1 / FACTOR):
        platforms = [name for name, one in zip(market.platforms, factor_P.tolist(), strict=True) if one == size]
        move = Shift(
            name=name,
            platforms=tuple(platforms),
            size=size,
            start=since,
            ramp=0,
            duration=None,
            during={name: size},
            otherwise={},
        )
        moves.append({**asdict(move), "platforms": platforms})
    return replace(market, scenario={"shifts": moves})

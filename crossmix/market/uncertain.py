"""The fitted parameters drawn around what was fitted: one law for every interval that a market gives.

Requests and value are lognormal with the fitted mean and error, click and conversion rates normal in the logit, the
rest normal and cut at 0. They are independent, but for what is pooled over a campaign's platforms, levels, elasticities
and bends, which share a part of their errors (`Market.shared`). Where the response was fitted as a whole
(`crossmix.fading`), requests and saturation are held: what is unknown of them is in the errors of elasticity and bend,
and the price's level is drawn too.

Shapes: N draws, P platforms.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

from crossmix.market.model import Market

DRIFTING = ("price", "ctr", "cvr")
FORGETS = 0.98
"""Largest persistence that is drawn."""
HELD = ("requests", "saturation")
"""Parameters that are not drawn where the response was fitted as a whole."""


class Drawn(NamedTuple):
    """Draws of a campaign's parameters."""

    factor: dict[str, Tensor]
    """Of each uncertain table of `crossmix.market.conditions.Conditions`, over the fitted one, (N, P)."""
    common_NF: Tensor
    """The standard normal numbers of the errors that platforms have in common, one per parameter of `Market.shared`."""


def drawn(market: Market, slot: int, draws: int, generator: torch.Generator) -> Drawn:
    """Draws of the parameters of a campaign around the fitted ones."""
    whole_P = market.value["elasticity"][slot] > 0
    found: dict[str, Tensor] = {}
    common = [torch.zeros(draws, 0, dtype=torch.float64)]
    for name, law in LAWS.items():
        value_P = market.value[name][slot]
        error_P = market.error[name][slot].nan_to_num(0.0, 0.0, 0.0)
        z_NP = torch.randn(draws, len(value_P), generator=generator, dtype=torch.float64)
        if name in market.shared:
            part = market.shared[name][slot].double()
            z_N1 = torch.randn(draws, 1, generator=generator, dtype=torch.float64)
            z_NP = part.sqrt() * z_N1 + (1 - part).sqrt() * z_NP
            common.append(z_N1)
        uncertain = (value_P > 0) & (error_P > 0)
        if name in HELD:
            uncertain &= ~whole_P
        factor_NP = law(value_P.double(), error_P.double(), z_NP) / value_P.double().clamp(min=1e-300)
        found[NAMED.get(name, name)] = torch.where(uncertain, factor_NP, torch.ones_like(factor_NP))
    return Drawn(found, torch.cat(common, 1))


def parameters(market: Market, flights: int, generator: torch.Generator) -> dict[str, Tensor]:
    """Parameters of so many flights of all campaigns, each flight in a market that the fit leaves possible: all that
    has a law here, and the drifts' deviation and persistence, (B, P), a flight's campaigns on end."""
    slots = range(len(market.campaigns))
    factors = [drawn(market, slot, flights, generator).factor for slot in slots]
    found = {
        name: torch.stack([one[NAMED.get(name, name)] for one in factors], 1).flatten(0, 1)
        * market.value[name].repeat(flights, 1)
        for name in LAWS
    }
    for name in DRIFTING:
        for part, law in (("drift", _lognormal), ("persistence", _remembered)):
            value_BP = market.value[f"{name}_{part}"].double().repeat(flights, 1)
            error_BP = market.error[f"{name}_{part}"].double().nan_to_num(0.0, 0.0, 0.0).repeat(flights, 1)
            z_BP = torch.randn(value_BP.shape, generator=generator, dtype=torch.float64)
            found[f"{name}_{part}"] = law(value_BP, error_BP, z_BP)
    return {name: table.to(market.value[name].dtype) for name, table in found.items()}


def _remembered(value: Tensor, error: Tensor, z: Tensor) -> Tensor:
    """Normal, a persistence."""
    return (value + error * z).clamp(0, FORGETS)


def _lognormal(value_P: Tensor, error_P: Tensor, z_NP: Tensor) -> Tensor:
    """Mean `value`, standard deviation `error`."""
    sigma2 = torch.log1p((error_P / value_P.clamp(min=1e-300)) ** 2)
    return value_P * torch.exp(sigma2.sqrt() * z_NP - 0.5 * sigma2)


def _logit_normal(value_P: Tensor, error_P: Tensor, z_NP: Tensor) -> Tensor:
    """Median `value`; the logit's deviation is error / (value (1 - value))."""
    inside = value_P.clamp(1e-9, 1 - 1e-9)
    # Beyond 2 the law piles up at 0 and 1, and says less than that nothing is known.
    deviation = (error_P / (inside * (1 - inside))).clamp(max=2)
    return torch.sigmoid(torch.logit(inside) + deviation * z_NP)


def _cut_normal(value_P: Tensor, error_P: Tensor, z_NP: Tensor) -> Tensor:
    """Normal, and 0 below 0: no saturation at all is a value it may have."""
    return (value_P + error_P * z_NP).clamp(min=0)


def _above(value_P: Tensor, error_P: Tensor, z_NP: Tensor) -> Tensor:
    """Normal, at least a tenth of the fitted: an elasticity of 0 would say that conversions follow clicks."""
    return torch.maximum(value_P + error_P * z_NP, 0.1 * value_P)


LAWS: dict[str, Callable[[Tensor, Tensor, Tensor], Tensor]] = {
    "requests": _lognormal,
    "ctr": _logit_normal,
    "cvr": _logit_normal,
    "value": _lognormal,
    "saturation": _cut_normal,
    "price_level": _lognormal,
    "elasticity": _above,
    "bend": _cut_normal,
}
"""How each uncertain parameter is drawn: its fitted value, standard error and a standard normal number."""
NAMED = {"price_level": "price_multiplier"}
"""What a parameter is called in a cycle's conditions, where it is not the same."""

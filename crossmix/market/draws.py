"""Conditions drawn around the fitted ones: what else a market may be like that its log also allows.

Each parameter that has a standard error (`Market.error`) is drawn by its law: requests and value lognormal with the
fitted mean and error, click and conversion rates normal in the logit, saturation normal and cut at 0; all independent.

Shapes: N draws, P platforms.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields, replace

import torch
from torch import Tensor

from crossmix.market.conditions import Conditions, scaled
from crossmix.market.model import Market


def doubled(market: Market) -> Market:
    """The market in double precision."""
    return replace(
        market,
        value={name: table.double() for name, table in market.value.items()},
        error={name: table.double() for name, table in market.error.items()},
        price=market.price.double(),
        volume_week=market.volume_week.double(),
        response_week=market.response_week.double(),
        minimum=market.minimum.double(),
        maximum=market.maximum.double(),
        step=market.step.double(),
        static=market.static.double(),
        context_rate=market.context_rate.double(),
        path={name: table.double() for name, table in market.path.items()},
    )


def spread(conditions: Conditions, each: int) -> Conditions:
    """Every row `each` times, (N * each, P); prices are the same in all rows and are not copied."""
    rows = conditions.requests.shape[0] * each
    price = conditions.price
    wide: dict[str, Tensor] = {
        item.name: getattr(price, item.name)[:1].expand(rows, *getattr(price, item.name).shape[1:])
        for item in fields(price)
    }
    return conditions.each(lambda table: table.repeat_interleave(each, 0), type(price)(**wide))


def drawn_around(
    market: Market, slot: int, conditions: Conditions, draws: int, generator: torch.Generator
) -> Conditions:
    """Draws of a campaign's parameters around the fitted ones, (N, P).

    Args:
        market: in double precision (`doubled`).
        slot: the campaign's number.
        conditions: at the fitted parameters, (1, P).
    """

    def drawn(name: str, law: Callable[[Tensor, Tensor, Tensor], Tensor]) -> Tensor:
        """What a draw of a parameter is of the fitted one, (N, P)."""
        value_P = market.value[name][slot]
        error_P = market.error[name][slot].nan_to_num(0.0, 0.0, 0.0)
        z_NP = torch.randn(draws, len(value_P), generator=generator, dtype=torch.float64)
        factor_NP = law(value_P, error_P, z_NP) / value_P.clamp(min=1e-300)
        return torch.where((value_P > 0) & (error_P > 0), factor_NP, torch.ones_like(factor_NP))

    moved = scaled(spread(conditions, draws), **{name: drawn(name, law) for name, law in LAWS.items()})
    return replace(moved, requests=moved.requests.clamp(min=1))


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


LAWS: dict[str, Callable[[Tensor, Tensor, Tensor], Tensor]] = {
    "requests": _lognormal,
    "ctr": _logit_normal,
    "cvr": _logit_normal,
    "value": _lognormal,
    "saturation": _cut_normal,
}
"""How each uncertain parameter is drawn: its fitted value, standard error and a standard normal number."""

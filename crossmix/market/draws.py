"""Conditions drawn around the fitted ones: what else a market may be like that its log also allows.

Each parameter that has a standard error (`Market.error`) is drawn by its law (`crossmix.market.uncertain`).

Shapes: N draws, P platforms.
"""

from __future__ import annotations

from dataclasses import fields, replace

import torch
from torch import Tensor

from crossmix.market.conditions import Conditions, scaled
from crossmix.market.model import Market
from crossmix.market.uncertain import Drawn, drawn


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
    return moved(conditions, drawn(market, slot, draws, generator))


def moved(conditions: Conditions, found: Drawn) -> Conditions:
    """Conditions (1, P) at drawn parameters, (N, P)."""
    rows = scaled(spread(conditions, len(found.common_NF)), **found.factor)
    return replace(rows, requests=rows.requests.clamp(min=1))

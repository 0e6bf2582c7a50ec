"""How far a history's market reaches: its price curve continued by its own law.

A spend history tells no supply. The curve that is fitted to it (`crossmix.market.fit.history_supply`) is the power law
W ~ S^g up to some amount, and its end is no wall: more money goes on along the same law. `reaching` draws the curve on
until it costs what an answer asks for. Of a log of impressions supply is known, and nothing is continued.

With k = f^g, where f is by how much more money the curve is to reach: k times the requests at k times the saturation,
around the usual share over k, at the price P(w) ~ w^(1/g - 1) of the same wins, are the same market.

Shapes: C campaigns, P platforms, K + 1 price knots.
"""

from __future__ import annotations

import math
from dataclasses import replace

import torch
from torch import Tensor

from crossmix.market.model import Market
from crossmix.response import Ever

ROOM = 2.0
"""A curve is continued to so many times what is asked for: weekdays and drawn prices move its end, and close to the end
the closed form is no power law."""
FINER = 4
"""The continued curve has at most so many times the knots."""


def reaching(market: Market, money_C: Tensor) -> Market:
    """The market whose every platform can take all of a campaign's `money_C`, currency per cycle, (C,).

    What it answers within its old reach stays as it is, up to the spacing of its knots.
    """
    if not market.of_totals or market.price_kind != "empirical":
        return market
    value, curve = market.value, market.price.double()
    pieces = curve.shape[-1] - 1
    last = curve[..., -1].clamp(min=1e-300)
    rise = (last / curve[..., pieces // 2].clamp(min=1e-300)).log() / math.log(pieces / (pieces // 2))
    supply = (
        value["requests"].double() * value["price_level"].double() * 0.5 * (curve[..., 1:] + curve[..., :-1]).mean(-1)
    )
    further = (ROOM * money_C.double()[:, None] / supply.clamp(min=1e-300)).clamp(min=1.0)
    times = torch.where(value["elasticity"] > 0, further ** (1 / (1 + rise)), 1.0)
    if not bool((times > 1 + 1e-9).any()):
        return market
    finer = min(math.ceil(float(times.max())), FINER)
    longer = torch.where((times > 1)[..., None], _continued(last, rise, times, finer * pieces), _between(curve, finer))
    like = market.price.dtype
    changed = {"requests": times, "saturation": times, "usual_share": 1 / times}

    def scaled(table: dict[str, Tensor]) -> dict[str, Tensor]:
        return table | {name: (table[name] * factor).to(table[name].dtype) for name, factor in changed.items()}

    return replace(market, value=scaled(value), error=scaled(market.error), price=longer.to(like))


def _continued(last_CP: Tensor, rise_CP: Tensor, times_CP: Tensor, pieces: int) -> Tensor:
    """The curve over `times` the requests. As in `history_supply.cost_curve` its integral up to the first knot is
    exact, so that the first requests are not free."""
    level = torch.linspace(0, 1, pieces + 1, dtype=torch.float64)
    rise = rise_CP[..., None]
    curve = last_CP[..., None] * (times_CP[..., None] * level) ** rise
    curve[..., 0] = curve[..., 1] * (1 - rise_CP).clamp(min=0.0) / (1 + rise_CP)
    return curve


def _between(curve_CPK: Tensor, finer: int) -> Tensor:
    """The same curve on `finer` times the pieces."""
    part = torch.arange(finer, dtype=torch.float64) / finer
    inner = curve_CPK[..., :-1, None] + curve_CPK.diff(dim=-1)[..., None] * part
    return torch.cat([inner.flatten(-2), curve_CPK[..., -1:]], -1)


def ever(market: Market, slot: int) -> Ever | None:
    """The most that a campaign ever spent; `None`: supply is known, or the market was fitted before it told."""
    if not market.most.numel():
        return None
    *each, total = market.most[slot].double().tolist()
    return Ever(total, tuple(each))

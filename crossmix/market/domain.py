"""Where the market's parameters and a policy's actions may lie; what lies outside is an error, not a NaN later on.

Shapes: C campaigns, P platforms, K + 1 price knots, D + 1 delays.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from crossmix.constraints import InfeasibleError
from crossmix.constraints import check as check_limits
from crossmix.market.model import Market

DOMAIN: dict[str, tuple[float, float]] = {
    "requests": (0, math.inf),
    "requests_sd": (0, 5),
    "ctr": (0, 1),
    "cvr": (0, 1),
    "value": (0, math.inf),
    "value_cv": (0, math.inf),
    "saturation": (0, math.inf),
    "pacing": (0, 1),
    "bid_dispersion": (0, math.inf),
    "ctr_drift": (0, 5),
    "cvr_drift": (0, 5),
    "price_drift": (0, 5),
    "ctr_persistence": (0, 1),
    "cvr_persistence": (0, 1),
    "price_persistence": (0, 1),
}
"""Closed range of every scalar parameter (`model.PARAMETERS`); deviations of logarithms beyond 5 are factors of 150."""

LARGEST = 1e12
"""Amounts beyond this leave single precision no room."""


class DomainError(ValueError):
    """A number that no market can have; the message names field, place, value and remedy."""


def check(market: Market) -> None:
    """Raise `DomainError` for the first parameter outside its domain."""
    for name, (low, high) in DOMAIN.items():
        _inside(market, f"value.{name}", market.value[name], low, min(high, LARGEST))
    if market.price_kind == "lognormal":
        _inside(market, "price (mu)", market.price[..., 0], -25, 25)
        _inside(market, "price (sigma)", market.price[..., 1], 1e-3, 5)
    else:
        _inside(market, "price", market.price, 0, LARGEST)
        _require(market, "price", market.price[..., -1], market.price[..., -1] > 0, "one quantile must be above 0")
        steps = market.price.diff(dim=-1)
        _require(market, "price", steps, steps >= 0, "quantiles must not fall; sort them")
    for name in ("volume_week", "response_week"):
        _inside(market, name, getattr(market, name), 0, LARGEST)
    _inside(market, "delay", market.delay, 0, 1)
    total = market.delay.sum(-1)
    _require(market, "delay", total, (total - 1).abs() < 1e-3, "probabilities must sum to 1")
    _inside(market, "budget", market.budget, 0, LARGEST)
    for name in ("context", "context_rate", "response"):
        if not bool(torch.isfinite(getattr(market, name)).all()):
            raise DomainError(f"market.{name}: it holds a number that is not finite; fit the market again")
    try:
        check_limits(market.minimum, market.maximum, market.platforms)
    except InfeasibleError as error:
        raise DomainError(f"market.{error}") from None


def check_action(action_BP: Tensor, shape: tuple[int, int]) -> None:
    """Raise `DomainError` for an action of another shape or with a number that is not finite."""
    if tuple(action_BP.shape) != shape:
        raise DomainError(f"action: got shape {tuple(action_BP.shape)}, want {shape} (rows, platforms)")
    wrong = ~torch.isfinite(action_BP)
    if bool(wrong.any()):
        row, column = wrong.nonzero()[0].tolist()
        raise DomainError(
            f"action: row {row}, platform {column} is {float(action_BP[row, column])}; "
            "give finite shares (has the learner diverged?)"
        )


def _inside(market: Market, name: str, table: Tensor, low: float, high: float) -> None:
    # Written so that NaN, which compares false, is outside.
    _require(market, name, table, (table >= low) & (table <= high), f"give a number in [{low:g}, {high:g}]")


def _require(market: Market, name: str, table: Tensor, fine: Tensor, remedy: str) -> None:
    if bool(fine.all()):
        return
    place = (~fine).nonzero()[0].tolist()
    where = market.campaigns[place[0]] + (f", {market.platforms[place[1]]}" if len(place) > 1 else "")
    raise DomainError(f"market.{name}: {float(table[tuple(place)]):g} of {where} is outside its domain; {remedy}")

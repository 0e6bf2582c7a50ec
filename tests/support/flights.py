"""Flights of the market as the feedback that they would have given."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, replace

import numpy as np
import torch
from torch import Tensor

from crossmix.config import load
from crossmix.feedback import Feedback
from crossmix.market.environment import MarketEnvironment
from crossmix.market.model import Market
from crossmix.market.shift import Shift
from tests.support.markets import make_market

_BY_CAMPAIGN = (
    *("price", "price_law", "volume_week", "response_week", "delay", "minimum", "maximum", "step", "freeze", "budget"),
    *("static", "control", "context", "context_rate", "context_group", "cycle_group", "cold_context"),
    *("present_context", "response", "response_mean"),
)


def even_market(flights: int, seed: int = 0) -> Market:
    """`make_market` with the money spread evenly, and as many campaigns as flights are wanted, two kinds by turns."""
    market = make_market(seed=seed)
    row_B = torch.arange(flights) % 2
    return replace(
        market,
        campaigns=tuple(f"c{i}" for i in range(flights)),
        value={name: table[row_B] for name, table in market.value.items()},
        error={name: table[row_B] for name, table in market.error.items()},
        **{name: getattr(market, name)[row_B] for name in _BY_CAMPAIGN} | {"static": torch.full((flights, 10), 0.1)},
    )


def moved_from(market: Market, start: int, platforms: tuple[str, ...], during: Mapping[str, float]) -> Market:
    """The market in which these parameters (`crossmix.market.shift.PARAMETERS`) move for good in a cycle."""
    one = Shift("test", platforms, 1.0, start, 0, None, dict(during), {})
    return replace(market, scenario={"shifts": [asdict(one) | {"platforms": list(platforms)}]})


def flown(
    market: Market,
    cycles: int,
    seed: int,
    *,
    whole: bool = True,
    act: Callable[[MarketEnvironment], Tensor] | None = None,
) -> Feedback:
    """A flight of every campaign under the plan's own split, or under what `act` says; its first cycle is number 20, as
    the warm-up comes before.

    Conversions arrive whole unless told otherwise.
    """
    environment = MarketEnvironment(
        market,
        load("laptop"),
        campaign_B=torch.arange(len(market.campaigns)),
        cycles=cycles,
        mechanism="counts",
        seed=seed,
        whole=whole,
    )
    weekday, rows = [], []
    for _ in range(cycles):
        weekday.append(environment.weekday_B)
        outcome = environment.step(environment.static_BP if act is None else act(environment)).outcome
        _, _, conversions, revenue, _, _ = environment.history.past(0).clone()
        told = (outcome.planned, outcome.spend, outcome.requests, outcome.impressions, outcome.clicks)
        rows.append(torch.stack([*told, conversions, revenue]).double())
    told_TCP, *amounts = torch.stack(rows, 1).numpy()
    names = ("spend", "requests", "impressions", "clicks", "conversions", "revenue")
    return Feedback(
        campaigns=market.campaigns,
        platforms=market.platforms,
        cycle_TC=np.tile(environment.config.window + np.arange(cycles)[:, None], len(market.campaigns)),
        weekday_TC=torch.stack(weekday).numpy(),
        part_TC=np.ones((cycles, len(market.campaigns))),
        told_TCP=told_TCP,
        **{f"{name}_TCP": amount for name, amount in zip(names, amounts, strict=True)},
    )

"""What a cycle's market is like, what it is on average, and what moves it: the one way from parameters to a cycle.

Shapes: B batch, P platforms, C campaigns.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any

import torch
from torch import Tensor

from crossmix.fading import Fading
from crossmix.market.model import NEUTRAL, Market
from crossmix.market.price import Price


@dataclass(frozen=True, slots=True)
class Bank:
    """Click and conversion multipliers of logged impressions, each of mean 1, to resample contexts from."""

    click_CPR: Tensor
    convert_CPR: Tensor
    row_B: Tensor
    """Which of the C tables each row of the batch draws from."""

    @classmethod
    def of(cls, response_CPR2: Tensor, row_B: Tensor) -> Bank:
        return cls(response_CPR2[..., 0].contiguous(), response_CPR2[..., 1].contiguous(), row_B)


_ABSENT = torch.zeros(0)
"""A table that has no effect."""


@dataclass(frozen=True, slots=True)
class Conditions:
    """What a cycle's market is like, each (B, P); prices in currency per impression."""

    requests: Tensor
    """Auction requests, whole numbers."""
    price: Price
    """Highest competing price before drift, (B, P)."""
    price_multiplier: Tensor
    """Price drift: the competing price is `price_multiplier` x `price`."""
    ctr: Tensor
    """Click probability of the first impression."""
    cvr: Tensor
    """Conversion probability of a click."""
    value: Tensor
    """Mean revenue of a conversion, currency."""
    value_cv: Tensor
    """Coefficient of variation of a conversion's revenue."""
    saturation: Tensor
    """kappa >= 0."""
    pacing: Tensor
    """Relative error with which the platform paces a cycle's unstopped spend, standard deviation."""
    bank: Bank | None = None
    """Contexts resampled from the log; `exact` only."""
    usual_share: Tensor = _ABSENT
    """Share of requests won around which the next two hold; by default conversions follow clicks."""
    elasticity: Tensor = _ABSENT
    """Of conversions in wins; 0: conversions follow clicks (`crossmix.fading`)."""
    bend: Tensor = _ABSENT
    """By how much the elasticity falls per ln of wins."""

    def __post_init__(self) -> None:
        for name in ("usual_share", "elasticity", "bend"):
            if not getattr(self, name).numel():
                object.__setattr__(self, name, torch.full_like(self.saturation, NEUTRAL[name]))

    def each(self, change: Callable[[Tensor], Tensor], price: Price, bank: Bank | None = None) -> Conditions:
        """Other conditions: `change` of every table, with this price and bank."""
        return Conditions(price=price, bank=bank, **{name: change(getattr(self, name)) for name in TABLES})

    @property
    def fading(self) -> Fading:
        return Fading(self.saturation, self.usual_share, self.elasticity, self.bend)

    def supply_cost(self) -> Tensor:
        """What all requests would cost, (B, P)."""
        return self.requests * self.price_multiplier * self.price.mean()


TABLES = tuple(item.name for item in fields(Conditions) if item.name not in {"price", "bank"})
"""The fields of `Conditions` that are (B, P) tables."""


Factors = Tensor | Sequence[Tensor]
"""A factor, or several that are multiplied one after the other in this order."""


STORED = {"level": "price_multiplier"}
"""Names in files (market.json, align.json) of what is called otherwise here."""


def probability(rate: Tensor) -> Tensor:
    """A click or conversion rate as the probability that it is: within [0, 1], which is its domain (`model.DOMAIN`).

    Factors on a rate (weekday, drift, context, exposure, a shift) have no bound of their own. What exceeds 1 says only
    that everybody reacts, so 1 is the bound; any other would move markets whose rates are high, as conversions per
    click are in some logs, and would move them alone.
    """
    return rate.clamp(0, 1)


def assembled(parameter: Mapping[str, Tensor], price: Price) -> Conditions:
    """The conditions of a cycle at these parameters (`model.PARAMETERS`, each (B, P)), without drift: at least one
    request, rates that are probabilities. What a table of `model.NEUTRAL` is missing has no effect."""
    like = parameter["requests"]
    later = {name: parameter.get(name, torch.full_like(like, level)) for name, level in NEUTRAL.items()}
    return Conditions(
        requests=parameter["requests"].clamp(min=1),
        price=price,
        price_multiplier=later["price_level"],
        ctr=probability(parameter["ctr"]),
        cvr=probability(parameter["cvr"]),
        value=parameter["value"],
        value_cv=parameter["value_cv"],
        saturation=parameter["saturation"],
        pacing=parameter["pacing"],
        usual_share=later["usual_share"],
        elasticity=later["elasticity"],
        bend=later["bend"],
    )


@dataclass(frozen=True, slots=True)
class Average:
    """A batch of campaigns in the fitted market without drift, noise or context."""

    parameter: dict[str, Tensor]
    """`model.PARAMETERS` name -> (B, P)."""
    price: Price
    volume_week_BP7: Tensor
    response_week_BP7: Tensor

    @classmethod
    def of(cls, market: Market, campaign_B: Tensor, device: str | torch.device = "cpu") -> Average:
        price = market.prices(campaign_B)
        if torch.device(device).type != "cpu":
            price = type(price)(*(getattr(price, name).to(device) for name in price.__dataclass_fields__))
        return cls(
            parameter={name: table[campaign_B].to(device) for name, table in market.value.items()},
            price=price,
            volume_week_BP7=market.volume_week[campaign_B].to(device),
            response_week_BP7=market.response_week[campaign_B].to(device),
        )

    def requests(self, weekday_B: Tensor | None = None) -> Tensor:
        """Mean requests of a cycle on a weekday, (B, P); `None`: of an average weekday."""
        return self._on("requests", self.volume_week_BP7, weekday_B)

    def conditions(self, weekday_B: Tensor | None = None) -> Conditions:
        """The average cycle on a weekday; `None`: on an average weekday."""
        moved = {
            "requests": self.requests(weekday_B),
            "ctr": self._on("ctr", self.response_week_BP7, weekday_B),
        }
        return assembled(self.parameter | moved, self.price)

    def _on(self, name: str, week_BP7: Tensor, weekday_B: Tensor | None) -> Tensor:
        table = self.parameter[name]
        if weekday_B is None:
            return table
        return table * week_BP7.gather(2, weekday_B[:, None, None].expand(-1, table.shape[1], 1)).squeeze(2)


def nominal(market: Market, campaign_B: Tensor, weekday_B: Tensor | None = None) -> Conditions:
    """The fitted market without drift, noise or context, on a weekday; `None`: on an average one."""
    return Average.of(market, campaign_B).conditions(weekday_B)


def scaled(conditions: Conditions, **factors: Factors) -> Conditions:
    """The conditions with some of their tables multiplied: `scaled(conditions, ctr=(drift, context))`.

    Rates stay probabilities; requests may fall to 0, as in an outage.
    """
    changed: dict[str, Any] = {}
    for name, factor in factors.items():
        table: Tensor = getattr(conditions, name)
        for one in [factor] if isinstance(factor, Tensor) else factor:
            table = table * one
        changed[name] = probability(table) if name in {"ctr", "cvr"} else table
    return replace(conditions, **changed)


def scaled_market(market: Market, **factors: Tensor | float) -> Market:
    """The market with parameters times factors that broadcast to (C, P); `price_multiplier` moves both price tables.

    Rates stay probabilities. Standard errors are the market's: whoever knows better replaces them.
    """
    price, price_law = market.price, market.price_law
    if "price_multiplier" in factors:
        multiplier = torch.as_tensor(factors["price_multiplier"], dtype=price.dtype)[..., None]
        lognormal = market.price_kind == "lognormal"
        price = torch.cat([price[..., :1] + multiplier.log(), price[..., 1:]], -1) if lognormal else price * multiplier
        price_law = price_law * multiplier
    value = dict(market.value)
    for name in factors.keys() - {"price_multiplier"}:
        value[name] = value[name] * factors[name]
        if name in {"ctr", "cvr"}:
            value[name] = probability(value[name])
    return replace(market, value=value, price=price, price_law=price_law)

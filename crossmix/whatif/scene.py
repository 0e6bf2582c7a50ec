"""What a question is asked of: one campaign of a fitted market, its conditions, limits and today's split.

Two kinds of uncertainty are kept apart, each as draws of the market's conditions that every question shares, so that
differences between two splits are paired:

- `fitted`: the parameters' standard errors (`Market.error`), by the laws of `crossmix.market.uncertain`. Of a log of
  impressions the price curve has no standard error; of a spend history the response to money is drawn as a whole. That
  cycles are without carry-over is taken as given.
- `cycles`: what one cycle's market may be like at the fitted parameters: drift of click rate, conversion rate and
  price from their stationary law, volume beyond the weekday, and the context of a past cycle. Of a spend history the
  fitted level is the mean of what wanders already (`crossmix.market.fit.smearing`): its cycles' prices wander around
  it so that the mean revenue of cycles is the expected revenue, and none of the wander is counted twice.

Shapes: N draws, P platforms, K + 1 price knots.
"""

from __future__ import annotations

import math
import shlex
from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from crossmix import constraints, drift
from crossmix.allocate import LimitChange, changed
from crossmix.config import ConfigError
from crossmix.market.conditions import Conditions, nominal, scaled
from crossmix.market.curves import marginal
from crossmix.market.draws import doubled, drawn_around, spread
from crossmix.market.model import DUE, Market
from crossmix.market.reach import ever as ever_spent
from crossmix.market.reach import reaching
from crossmix.response import FARTHEST, FIRST, Ever

Floats = NDArray[np.float64]

DRAWS = 400
WEEK_HOURS = 168


@dataclass(frozen=True, slots=True)
class Scene:
    """One campaign and moment; all tensors are double."""

    campaign: str
    platforms: tuple[str, ...]
    currency: str
    generated: bool
    cycle_hours: int
    moment: str
    """Which conditions, in words."""
    budget: float
    """Today's budget per cycle, currency."""
    today_P: Tensor
    """Today's split, (P,)."""
    limits: constraints.Limits[NDArray[np.float64]]
    """Limits in force, as shares of the cycle budget."""
    low_P: Tensor
    """The box that limits and today's split leave, (P,) each."""
    high_P: Tensor
    conditions: Conditions
    """At the fitted parameters, (1, P)."""
    fitted: Conditions
    """Parameters drawn around the fitted ones, (N, P)."""
    cycles: Conditions
    """Conditions of single cycles, (N, P)."""
    seed: int
    untried: tuple[str, ...] = ()
    """Platforms where the campaign never delivered in what was fitted on."""
    ever: Ever | None = None
    """Of a spend history: the most that was ever spent; `None`: supply is known, or the market is from before it was
    told."""
    of_totals: bool = False
    """Of a spend history, whose curves have no end."""
    ended: str | None = None
    """ISO 8601 date of the last cycle with spend of a campaign that is over."""

    @property
    def supply(self) -> float:
        """What all requests of all platforms would cost in a cycle, currency; of a history, which tells none, what its
        curves were continued to."""
        return float(self.conditions.supply_cost().sum())

    @property
    def farthest(self) -> float:
        """The end of what is asked of the market, currency per cycle: all supply, or of a history so many times the
        most that was ever spent (`crossmix.response.FARTHEST`)."""
        if not self.of_totals:
            return self.supply
        return FARTHEST * self.budget if self.ever is None else max(self.ever.farthest, 2 * self.budget)


def make_scene(
    market: Market,
    campaign: str | None = None,
    *,
    weekday: int | None = None,
    present: bool = False,
    change: LimitChange | None = None,
    today: Mapping[str, float] | None = None,
    draws: int = DRAWS,
    seed: int = 0,
) -> Scene:
    """Set the scene for every question of this package.

    Args:
        market: the fitted market.
        campaign: may be absent where the market knows one only.
        weekday: Monday 0 to Sunday 6; `None`: an average weekday.
        present: start from the drift of the last week that the market was fitted on, instead of none. Single cycles
            then vary by what the drift may move in one cycle, instead of by its stationary law.
        change: limits that differ from the market's.
        today: today's split by platform, shares that sum to 1; `None`: the plan's. Freezes and steps start from it.
        draws: of the parameters, and of single cycles.

    Raises:
        ConfigError: an unknown campaign or platform, a weekday or split that cannot be.
        InfeasibleError: the limits leave no split.
    """
    slot = _campaign(market, campaign)
    if weekday is not None and not 0 <= weekday <= 6:
        raise ConfigError(f"weekday: {weekday}; give a number from 0 (Monday) to 6 (Sunday)")
    ever = ever_spent(market, slot)
    if market.of_totals:
        far_C = torch.zeros(len(market.campaigns))
        spent = float(market.budget[slot])
        far_C[slot] = FARTHEST * spent if ever is None else max(2 * spent, ever.farthest)
        market = reaching(market, far_C)
    exact = doubled(market)
    conditions = nominal(exact, torch.tensor([slot]), None if weekday is None else torch.tensor([weekday]))
    if present:
        recent = _recent(exact, slot)
        conditions = scaled(conditions, price_multiplier=recent["level"], ctr=recent["ctr"], cvr=recent["cvr"])
    today_P = _today(exact, slot, today)
    limits = changed(
        constraints.Limits(
            *(
                table[slot].numpy().astype(np.float64 if table.dtype != torch.bool else bool)
                for table in (exact.minimum, exact.maximum, exact.freeze, exact.step)
            )
        ),
        market.platforms,
        change or LimitChange(),
    )
    low_BP, high_BP = constraints.box(limits, today_P.numpy()[None])
    constraints.check(low_BP, high_BP, market.platforms)
    budget = float(market.budget[slot])
    if not (math.isfinite(budget) and budget > 0):
        raise ConfigError(f"campaign {market.campaigns[slot]!r}: its budget per cycle is {budget:g}; fit it on a plan")
    return Scene(
        campaign=market.campaigns[slot],
        platforms=market.platforms,
        currency=market.currency,
        generated=market.generated,
        cycle_hours=market.cycle_hours,
        moment=_moment(weekday, present),
        budget=budget,
        today_P=today_P,
        limits=limits,
        low_P=torch.as_tensor(low_BP[0], dtype=torch.float64),
        high_P=torch.as_tensor(high_BP[0], dtype=torch.float64),
        conditions=conditions,
        fitted=drawn_around(exact, slot, conditions, draws, torch.Generator().manual_seed(2 * seed)),
        cycles=_cycles(
            exact, slot, conditions, budget * today_P, draws, present, torch.Generator().manual_seed(2 * seed + 1)
        ),
        seed=seed,
        untried=tuple(
            name for name, never in zip(market.platforms, market.untried[slot].tolist(), strict=True) if never
        ),
        ever=ever,
        of_totals=market.of_totals,
        ended=market.ended[slot] if market.ended else None,
    )


def part(conditions: Conditions, start: int, stop: int) -> Conditions:
    """Rows `start` to `stop`, as a view."""
    return conditions.each(lambda table: table[start:stop], conditions.price.rows(slice(start, stop)))


_DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")


def _campaign(market: Market, name: str | None) -> int:
    """The slot of a campaign; without a name that of the only one, or the only one that has not ended."""
    known, running = ", ".join(market.campaigns), market.running
    if name is None and len(running) > 1:
        named = ", ".join(market.campaigns[slot] for slot in running)
        over = [one for slot, one in enumerate(market.campaigns) if slot not in running]
        ended = f" ({', '.join(over)} ended)" if over else ""
        raise ConfigError(
            f"campaign: the market knows {len(running)}: {named}{ended}; name one, as --campaign "
            f"{shlex.quote(market.campaigns[running[0]])}"
        )
    if name is not None and name not in market.campaigns:
        raise ConfigError(f"campaign: {name!r} is unknown; use one of {known}")
    return running[0] if name is None else market.campaigns.index(name)


def _moment(weekday: int | None, present: bool) -> str:
    day = "an average weekday" if weekday is None else f"a {_DAYS[weekday]}"
    return f"{day}, {'with the drift of the last fitted week' if present else 'without drift'}"


def _recent(market: Market, slot: int) -> dict[str, Tensor]:
    """Mean multipliers of the last week fitted on, (P,) each: over whole weeks the weekday's own factors cancel.

    Where conversions come late, their rate is that over the clicks that they are due of: clicks that rose last week
    have brought few of theirs yet.
    """
    if not market.path:
        raise ConfigError("present: this market carries no record of its cycles; fit it again, or leave `present` out")
    cycles = max(1, round(WEEK_HOURS / market.cycle_hours))
    told = {"level": "level", "ctr": "ctr", "cvr": DUE if DUE in market.path else "cvr"}
    return {name: market.path[stored][-cycles:, slot].mean(0) for name, stored in told.items()}


def _today(market: Market, slot: int, named: Mapping[str, float] | None) -> Tensor:
    if named is None:
        share_P = market.static[slot]
        return share_P / share_P.sum()
    for platform, share in named.items():
        if platform not in market.platforms:
            raise ConfigError(f"share: platform {platform!r} is unknown; use one of {', '.join(market.platforms)}")
        if not 0 <= share <= 1:
            raise ConfigError(f"share: {share!r} for {platform}; give a share of the budget from 0 to 1")
    total = sum(named.values())
    if abs(total - 1) > 1e-3:
        raise ConfigError(f"share: today's shares sum to {total:.4g}; name every platform so that they sum to 1")
    share_P = torch.tensor([named.get(platform, 0.0) for platform in market.platforms], dtype=torch.float64)
    return share_P / share_P.sum()


def _cycles(
    market: Market,
    slot: int,
    conditions: Conditions,
    amount_P: Tensor,
    draws: int,
    present: bool,
    generator: torch.Generator,
) -> Conditions:
    """Conditions of single cycles, by the law of `crossmix.market.environment`.

    Args:
        amount_P: what is spent today, currency.
    """

    def normal() -> Tensor:
        return torch.randn(draws, len(market.platforms), generator=generator, dtype=torch.float64)

    def deviation(name: str) -> Tensor:
        stationary = market.value[f"{name}_drift"][slot]
        return drift.shock(market.value[f"{name}_persistence"][slot], stationary) if present else stationary

    def drifted(name: str) -> Tensor:
        return drift.factor(deviation(name) * normal(), deviation(name) ** 2)

    mean = conditions.requests * torch.exp(market.value["requests_sd"][slot] * normal())
    pick = torch.randint(market.context_rate.shape[1], (draws,), generator=generator)
    requests = (mean + mean.sqrt() * normal()).round().clamp(min=1)
    return scaled(
        replace(spread(conditions, draws), requests=requests),
        price_multiplier=(drifted("price"), _counted_once(market, slot, conditions, amount_P, deviation("price"))),
        ctr=(drifted("ctr"), market.context_rate[slot, pick]),
        cvr=drifted("cvr"),
    )


def _counted_once(market: Market, slot: int, conditions: Conditions, amount_P: Tensor, deviation_P: Tensor) -> Tensor:
    """What a drifting price of mean 1 is to be raised by, so that revenue keeps its mean, (1, P).

    Revenue goes with price^-E, whose mean is exp(E (1 + E) sigma^2 / 2), where E is the elasticity of revenue in money:
    a price higher by exp((1 + E) sigma^2 / 2) undoes that. 1 of what was fitted to single impressions, whose prices
    were seen as they were.
    """
    whole_P = market.value["elasticity"][slot] > 0
    if not bool(whole_P.any()):
        return torch.ones_like(deviation_P)
    some_1P = amount_P.clamp(min=FIRST * float(amount_P.sum()))[None]
    revenue_1P, slope_1P = marginal(conditions, some_1P)
    power_1P = slope_1P * some_1P / revenue_1P.clamp(min=1e-300)
    return torch.where(whole_P, torch.exp(0.5 * (1 + power_1P) * deviation_P**2), 1.0)

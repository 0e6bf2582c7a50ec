"""Flights side by side, each with a plan of its own, and what may go wrong with what they are told: for `readapt`.

A row is a flight: S seeds by C campaigns, the seed first. The market is tiled, so that every row is a campaign of it
and may be refitted, moved and planned for alone; worlds of one seed see the same luck whoever plays.

Shapes: R = S x C rows, P platforms, T cycles.
"""

from __future__ import annotations

from dataclasses import dataclass, field, fields, replace
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from crossmix.agents.mpc import BasePolicy
from crossmix.agents.policy import Policy
from crossmix.config import Config
from crossmix.constraints import project
from crossmix.feedback import AMOUNTS, Feedback
from crossmix.market.environment import MarketEnvironment, Observation
from crossmix.market.model import Market
from crossmix.market.oracle import best_share
from crossmix.market.pacing import tables
from crossmix.state import ALLOCATION

Array = NDArray[np.float64]
IMPRESSIONS, CLICKS, CONVERSIONS, REVENUE, SPEND, PLANNED = range(6)
"""Rows of `History.past`."""
Day = dict[str, Tensor]
"""What is reported of a cycle: `AMOUNTS`, each (R, P); NaN: nothing."""


def tiled(market: Market, seeds: int) -> Market:
    """The market with every campaign once a seed. It has counts only: of logged impressions one a table is left."""
    campaigns = len(market.campaigns)
    rows = torch.arange(seeds * campaigns) % campaigns
    tables_of = {item.name: getattr(market, item.name) for item in fields(market) if item.name != "response"}
    # A table that a market has not is empty.
    several = {name: one[rows] for name, one in tables_of.items() if isinstance(one, Tensor) and len(one)}
    return replace(
        market,
        campaigns=tuple(f"{name}, {seed}" for seed in range(seeds) for name in market.campaigns),
        value={name: table[rows] for name, table in market.value.items()},
        error={name: table[rows] for name, table in market.error.items()},
        response=market.response[:, :, :, :1][rows],
        path={},
        **several,
    )


class Planner:
    """The policy that serves, with a plan of each row's own.

    The base policy tells a campaign by its context, which rows of one campaign share: here a mark of the row stands in
    its place, and the rate of the cycle's context is put into the plan.

    Args:
        market: tiled; the one that the policy's plan came from.

    Raises:
        ValueError: there are more rows than a context has numbers.
    """

    def __init__(self, config: Config, market: Market, policy: Policy) -> None:
        rows, size = len(market.campaigns), ALLOCATION.context_size
        if rows > size:
            raise ValueError(f"{rows} flights: at most {size} can be told apart; ask for fewer seeds")
        self.config, self.market, self.policy = config, market, policy
        self.mark_RD = torch.eye(rows, size)
        self.context_RND, self.rate_RNP = market.context, market.context_rate
        self.square_RN = market.context.square().sum(2)

    def plan(self, market: Market) -> BasePolicy:
        """The plan for a market of these rows."""
        rows = len(market.campaigns)
        table = tables(replace(market, context=torch.ones(*market.context.shape[:2], 1)), self.config)
        assert table is not None
        own = {"context": self.mark_RD, "campaign": torch.arange(rows), "rate": torch.ones_like(market.static)}
        return BasePolicy(table | own)

    def base(self, plan: BasePolicy, state_RS: Tensor) -> Tensor:
        """The plan's split, (R, P)."""
        near_RN = torch.einsum("rd,rnd->rn", ALLOCATION.context(state_RS), self.context_RND) - 0.5 * self.square_RN
        rate = self.rate_RNP[torch.arange(len(state_RS)), near_RN.argmax(1)]
        plan.get_buffer("rate").copy_(rate)
        share_RP: Tensor = plan(torch.cat([self.mark_RD, ALLOCATION.statistics(state_RS)], 1))
        return share_RP

    def share(self, plan: BasePolicy, seen: Observation, networks: bool = True) -> Tensor:
        """What is served with this plan, (R, P); without `networks` the plan alone."""
        raw = self.base(plan, seen.state_BS)
        if networks:
            raw = torch.softmax(self.policy.logits(seen.state_BS, raw), 1)
        return project(raw, seen.low_BP, seen.high_BP)


class Way(Protocol):
    """Who splits the money, and learns from what came back."""

    seconds: float
    """Processor time that adapting took."""
    updates: float
    """Plans made anew, or gradient steps, of one advertiser."""

    def share(self, world: MarketEnvironment, seen: Observation) -> Tensor: ...

    def told(self, feedback: Feedback, cycle: int) -> None: ...


class Oracle:
    """Sees the coming cycle's conditions."""

    seconds, updates = 0.0, 0.0

    def share(self, world: MarketEnvironment, seen: Observation) -> Tensor:
        return best_share(world.conditions, world.cycle_budget_B(), seen.low_BP, seen.high_BP)

    def told(self, feedback: Feedback, cycle: int) -> None: ...


class Fault:
    """What happens to reports: nothing."""

    def capped(self, cycle: int, seen: Observation) -> Observation:
        """What the server lets be split."""
        return seen

    def reported(self, cycle: int, world: MarketEnvironment, before: Observation, day: Day) -> Day:
        """What is reported of the cycle just played; the world's statistics become what the server would have."""
        return day


@dataclass(frozen=True)
class Inflated(Fault):
    """One platform's revenue is reported times a factor, from a cycle on."""

    platform: int
    factor: float
    since: int

    def reported(self, cycle: int, world: MarketEnvironment, before: Observation, day: Day) -> Day:
        if cycle < self.since:
            return day
        world.history.past(0)[REVENUE, :, self.platform] *= self.factor
        revenue = day["revenue_TCP"].clone()
        revenue[:, self.platform] *= self.factor
        return day | {"revenue_TCP": revenue}


@dataclass(frozen=True)
class Silent(Fault):
    """One platform reports nothing for some cycles, in which it delivers nothing.

    As the server has it: the platform's cells are left out of the windowed statistics, and money that was told counts
    as spent. After `silent` such cycles that money counts as unspent and returns, and the platform may have the share
    `probe` at most until it reports again; `None`: never.
    """

    platform: int
    since: int
    cycles: int
    silent: int | None
    probe: float
    held: list[Tensor] = field(default_factory=list)
    """Money that counts as spent; of one flight."""

    def capped(self, cycle: int, seen: Observation) -> Observation:
        if self.silent is None or not self.since + self.silent <= cycle <= self.since + self.cycles:
            return seen
        state, high = seen.state_BS.clone(), seen.high_BP.clone()
        high[:, self.platform] = high[:, self.platform].clamp(max=self.probe)
        # The policy plans within the limits that its state tells.
        statistics = ALLOCATION.statistics(state)
        for name in ("min", "max"):
            bound = ALLOCATION.of_platforms(statistics, name, high.shape[1])
            bound[:, self.platform] = bound[:, self.platform].clamp(max=self.probe)
        return Observation(state, torch.minimum(seen.low_BP, high), high)

    def reported(self, cycle: int, world: MarketEnvironment, before: Observation, day: Day) -> Day:
        mute, history, p = cycle - self.since, world.history, self.platform
        if not 0 <= mute < self.cycles:
            history.maximum_BP = world.limits.maximum_P
            return day
        if self.silent is not None and mute + 1 >= self.silent:
            # The state tells it, so that the plan can share out the rest.
            history.maximum_BP = history.maximum_BP.clone()
            history.maximum_BP[:, p] = history.maximum_BP[:, p].clamp(max=self.probe)
        told_R = history.past(0)[PLANNED, :, p].clone()
        if self.silent is None or mute + 1 < self.silent:
            history.spent_BP[:, p] += told_R
            self.held.append(told_R)
        elif mute + 1 == self.silent:
            history.spent_BP[:, p] -= sum(self.held)
        history.past(0)[:, :, p] = 0
        stood = ALLOCATION.by_platform(ALLOCATION.split(before.state_BS, world.platforms)[1])
        history.win_rate_BP[:, p] = stood["win_rate"][:, p]
        history.log_supply_BP[:, p] = stood["log_supply"][:, p]
        unknown = dict(day)
        for name in AMOUNTS:
            unknown[name] = day[name].clone()
            unknown[name][:, p] = torch.nan
        return unknown


class Probed(Fault):
    """Nothing is wrong with the reports; a platform that was told money and delivered nothing for `silent` cycles may
    have the share `probe` at most until it delivers."""

    def __init__(self, silent: int, probe: float) -> None:
        self.silent, self.probe = silent, probe
        self.idle_RP: Tensor | None = None

    def capped(self, cycle: int, seen: Observation) -> Observation:
        if self.idle_RP is None:
            return seen
        high = torch.where(self.idle_RP >= self.silent, seen.high_BP.clamp(max=self.probe), seen.high_BP)
        return replace(seen, low_BP=torch.minimum(seen.low_BP, high), high_BP=high)

    def reported(self, cycle: int, world: MarketEnvironment, before: Observation, day: Day) -> Day:
        idle = torch.zeros_like(day["told_TCP"]) if self.idle_RP is None else self.idle_RP
        waited = torch.where(day["told_TCP"] > 0, idle + 1, idle)
        self.idle_RP = torch.where(day["impressions_TCP"] > 0, 0.0, waited)
        most = world.limits.maximum_P
        # The state tells it, so that the plan can share out the rest.
        world.history.maximum_BP = torch.where(self.idle_RP >= self.silent, most.clamp(max=self.probe), most)
        return day


@dataclass(frozen=True, slots=True, eq=False)
class Flown:
    """What a way did in a world."""

    revenue_TR: Array
    """Expected revenue of each cycle's split under its true conditions, currency."""
    feedback: Feedback
    """As it was reported."""


@torch.no_grad()
def fly(config: Config, world: Market, cycles: int, seed: int, way: Way, fault: Fault | None = None) -> Flown:
    """A flight in every row of a tiled world."""
    fault = fault or Fault()
    rows = len(world.campaigns)
    environment = MarketEnvironment(
        world,
        config,
        campaign_B=torch.arange(rows),
        cycles=cycles,
        mechanism="counts",
        seed=seed,
        whole=True,
    )
    earned, days = [], []
    seen = environment.observe()
    for cycle in range(cycles):
        weekday, before = environment.weekday_B.clone(), seen
        share = way.share(environment, fault.capped(cycle, seen))
        earned.append(environment.expected(project(share, seen.low_BP, seen.high_BP)).revenue.sum(1).double().numpy())
        outcome = environment.step(share).outcome
        past = environment.history.past(0).clone()
        day = {
            "told_TCP": outcome.planned,
            "spend_TCP": outcome.spend,
            "requests_TCP": outcome.requests,
            "impressions_TCP": outcome.impressions,
            "clicks_TCP": outcome.clicks,
            "conversions_TCP": past[CONVERSIONS],
            "revenue_TCP": past[REVENUE],
        }
        reported = _feedback(world, config, cycle, weekday, fault.reported(cycle, environment, before, day))
        way.told(reported, cycle)
        days.append(reported)
        seen = environment.observe()
    return Flown(np.stack(earned), joined(days))


def _feedback(world: Market, config: Config, cycle: int, weekday: Tensor, day: Day) -> Feedback:
    rows = len(world.campaigns)
    columns: dict[str, Any] = {name: amount.double().numpy()[None].copy() for name, amount in day.items()}
    return Feedback(
        campaigns=world.campaigns,
        platforms=world.platforms,
        # The warm-up went before.
        cycle_TC=np.full((1, rows), config.window + cycle),
        weekday_TC=weekday.numpy()[None],
        part_TC=np.ones((1, rows)),
        **columns,
    )


def joined(days: list[Feedback]) -> Feedback:
    """One after the other."""
    columns: dict[str, Any] = {
        item.name: np.concatenate([getattr(day, item.name) for day in days])
        for item in fields(Feedback)
        if item.name not in {"campaigns", "platforms"}
    }
    return replace(days[0], **columns)

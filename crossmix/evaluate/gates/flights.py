"""Policies side by side in one market: whole flights of each, and the oracle's own.

Shapes: N market seeds, T cycles, B rows, P platforms.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import stats

from crossmix.agents.policy import Policy
from crossmix.config import Config
from crossmix.constraints import project
from crossmix.market.environment import MarketEnvironment
from crossmix.market.model import Market
from crossmix.market.oracle import best_share

Array = NDArray[np.float64]
FIRST_SEED = 8_000_000
"""Of the markets, beside `evaluate.market_seed`: none that training, a choice or the judge has seen."""
ROUNDING = 1e-4


@dataclass(frozen=True, slots=True, eq=False)
class Flights:
    """What policies earn, over what the oracle earns in flights of its own."""

    ratio_N: Mapping[str, Array]
    """Expected revenue of whole flights of every campaign, by policy."""
    breaks: Mapping[str, int]
    """Cycles in which a policy's split lay outside the limits by more than rounding."""

    def lead(self, name: str, other: str) -> tuple[float, float, float]:
        """Mean of what one earns more, in parts of the oracle's revenue, and its 95 % interval over seeds."""
        gap_N = self.ratio_N[name] - self.ratio_N[other]
        return mean_and_interval(gap_N)


def mean_and_interval(value_N: Array) -> tuple[float, float, float]:
    """Student's t, 95 %; without spread, or with one value, the mean alone."""
    mean, reach = float(value_N.mean()), 0.0
    if len(value_N) > 1:
        reach = float(stats.t.ppf(0.975, len(value_N) - 1) * value_N.std(ddof=1) / np.sqrt(len(value_N)))
    return mean, mean - reach, mean + reach


def fly(config: Config, market: Market, policies: Mapping[str, Policy]) -> Flights:
    """`evaluate.market_seeds` markets, a flight of `evaluate.cycles` of every campaign in each; drawn counts."""
    best_N, _ = _flown(config, market, None)
    ratio_N: dict[str, Array] = {}
    breaks: dict[str, int] = {}
    for name, policy in policies.items():
        earned_N, breaks[name] = _flown(config, market, policy)
        ratio_N[name] = earned_N / np.maximum(best_N, 1e-12)
    return Flights(ratio_N, breaks)


@torch.no_grad()
def _flown(config: Config, market: Market, policy: Policy | None) -> tuple[Array, int]:
    """Expected revenue of each market seed, (N,), and broken cycles; without a policy the oracle's."""
    seeds, campaigns = config.evaluate.market_seeds, len(market.campaigns)
    world = MarketEnvironment(
        market,
        config,
        campaign_B=torch.arange(seeds * campaigns) % campaigns,
        cycles=config.evaluate.cycles,
        mechanism="counts",
        seed=config.evaluate.market_seed + FIRST_SEED,
    )
    earned_B, broken = torch.zeros(seeds * campaigns, dtype=torch.float64), 0
    observation = world.observe()
    for _ in range(config.evaluate.cycles):
        low, high = observation.low_BP, observation.high_BP
        if policy is None:
            share = best_share(world.conditions, world.cycle_budget_B(), low, high, grid=32, zooms=2)
        else:
            share = policy(observation.state_BS, low, high)
            outside = ((share < low - ROUNDING) | (share > high + ROUNDING)).any(1)
            broken += int((outside | ((share.sum(1) - 1).abs() > ROUNDING)).sum())
        earned_B += world.expected(project(share, low, high)).revenue.sum(1).double()
        observation = world.step(share).observation
    return earned_B.reshape(seeds, campaigns).sum(1).numpy(), broken

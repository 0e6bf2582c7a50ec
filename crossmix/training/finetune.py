"""A trained policy, taken on from where it is: planned anew for another market, and trained there for a while."""

from __future__ import annotations

import copy
import math

import torch

from crossmix.agents import pathwise
from crossmix.agents.mpc import BasePolicy
from crossmix.agents.policy import Policy
from crossmix.config import Config
from crossmix.market.environment import MarketEnvironment
from crossmix.market.model import Market
from crossmix.market.pacing import tables
from crossmix.training.run import TrainingError

FIRST_SEED = 6_000_000
"""Of the worlds, beside `train.market_seed`."""


def replanned(config: Config, market: Market, policy: Policy) -> Policy:
    """A copy whose plan is of this market; what the networks add to it stays. Without a plan, a plain copy."""
    new = copy.deepcopy(policy)
    plan = tables(market, config)
    if new.planner is not None and plan is not None:
        new.planner = BasePolicy(plan)
    return new.eval()


def retrained(config: Config, market: Market, policy: Policy, updates: int) -> Policy:
    """`replanned`, then so many pathwise updates in the market, at 0.3 of the rate that training began with.

    Raises:
        TrainingError: a loss is not finite.
    """
    settings, new = config.train, replanned(config, market, policy).train()
    optimiser = torch.optim.Adam(new.parameters(), 0.3 * settings.pathwise.learning_rate)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, max(updates, 1))
    done = 0
    while done < updates:
        world = MarketEnvironment(
            market,
            config,
            campaign_B=torch.arange(settings.pathwise.batch) % len(market.campaigns),
            cycles=settings.cycles,
            mechanism="counts",
            seed=settings.market_seed + FIRST_SEED + done,
        )
        observation = world.observe()
        for _ in range(min(settings.cycles, updates - done)):
            result = pathwise.update(new, optimiser, world, observation)
            if not math.isfinite(result.loss):
                raise TrainingError(f"fine-tuning: pathwise loss is {result.loss}: stopped, the policy stays as it was")
            schedule.step()
            observation = world.step(result.share_BP).observation
            done += 1
    return new.eval()

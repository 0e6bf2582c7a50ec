"""A bundle of an actor that starts from a market's plan, as the gate step publishes it."""

from __future__ import annotations

from pathlib import Path

import torch

from crossmix.agents.policy import Policy
from crossmix.bundle import Bundle
from crossmix.config import Config, laptop
from crossmix.evaluate.gates.publish import publish_bundle
from crossmix.market.environment import MarketEnvironment, episode_campaigns
from crossmix.market.model import Market
from crossmix.market.pacing import tables
from tests.support.markets import make_market


def planned(market: Market, config: Config, *, moved: float = 0.0, seed: int = 0) -> Policy:
    """An actor on the market's plan, whose network adds noise of deviation `moved` or so to the logits."""
    torch.manual_seed(seed)
    policy = Policy(len(market.platforms), (16,), 8, tables(market, config)).eval()
    torch.nn.init.normal_(policy.head.bias, std=moved)
    return policy


def publish(folder: Path, *, moved: float = 0.0, market: Market | None = None) -> Bundle:
    """The bundle of `planned` in a drifting market of two campaigns."""
    market = make_market(seed=3, campaigns=2, platforms=6) if market is None else market
    return publish_bundle(laptop(), market, planned(market, laptop(), moved=moved), folder)


def states(market: Market, rows: int, seed: int = 5) -> torch.Tensor:
    """Encoded states (rows, S) of flights under way, the market's campaigns by turns."""
    world = MarketEnvironment(
        market, laptop(), campaign_B=episode_campaigns(market, rows), cycles=4, mechanism="counts", seed=seed
    )
    state_BS: torch.Tensor = world.observe().state_BS
    return state_BS

"""Cold start (paper section 4): a new creative, user, campaign or platform gets sane shares inside its limits."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch import Tensor

from benchmarks.cold_start import flights, only
from crossmix.agents.policy import Policy
from crossmix.config import Config, load
from crossmix.constraints import project
from crossmix.market.environment import MarketEnvironment
from crossmix.market.model import Market, save
from crossmix.state import ALLOCATION
from crossmix.training.loop import train
from crossmix.training.policy_file import load_policy
from tests.support.markets import make_market

NEW = 3
"""The platform without a history."""


@pytest.fixture(scope="module")
def config() -> Config:
    return load("laptop", ["train.agent=pathwise", "train.pathwise.updates=60", "train.pathwise.batch=64"])


@pytest.fixture(scope="module")
def market() -> Market:
    """Three campaigns of one kind: like responses, contexts of their own."""
    made = make_market(seed=8, platforms=6, campaigns=3, drift=0.2)
    like = {name: table[:1].expand_as(table).clone() for name, table in made.value.items()}
    g = torch.Generator().manual_seed(1)
    like["ctr"] = like["ctr"] * torch.exp(0.05 * torch.randn(like["ctr"].shape, generator=g))
    price = made.price[:1].expand_as(made.price).clone()
    return replace(made, value=like, price=price, budget=made.budget[:1].expand(3).clone())


@pytest.fixture(scope="module")
def policy(config: Config, market: Market, tmp_path_factory: pytest.TempPathFactory) -> Policy:
    """Trained without the last campaign."""
    folder, out = tmp_path_factory.mktemp("market"), tmp_path_factory.mktemp("policy")
    save(only(market, [0, 1]), folder)
    train(config, folder, out)
    return load_policy(out)


def _world(config: Config, market: Market, campaign: int, *, cold: bool) -> MarketEnvironment:
    return flights(config, only(market, [campaign]), 40, cold)


def _sane(share: Tensor, low: Tensor, high: Tensor) -> None:
    assert bool(torch.isfinite(share).all())
    assert torch.allclose(share.sum(1), torch.ones(len(share)), atol=1e-4)
    assert bool(((share >= low - 1e-5) & (share <= high + 1e-5)).all())


@torch.no_grad()
def _ratios(world: MarketEnvironment, *splits: Tensor) -> list[float]:
    return [float(world.expected(split).revenue.sum()) for split in splits]


@torch.no_grad()
def test_a_new_campaign_is_split_like_its_kind_and_better_than_evenly(
    config: Config, market: Market, policy: Policy
) -> None:
    world = _world(config, market, 2, cold=True)
    seen = world.observe()
    share = policy(seen.state_BS, seen.low_BP, seen.high_BP)
    _sane(share, seen.low_BP, seen.high_BP)
    sibling = _world(config, market, 0, cold=True).observe()
    like = policy(sibling.state_BS, sibling.low_BP, sibling.high_BP)
    assert (share.mean(0) - like.mean(0)).abs().sum() < 0.25
    ours, even = _ratios(world, share, torch.full_like(share, 1 / 6))
    assert ours > 1.05 * even


@torch.no_grad()
def test_a_new_platform_gets_what_the_fitted_market_says_of_it(config: Config, market: Market, policy: Policy) -> None:
    """Its fields are those of nothing yet: neither starved nor flooded against a platform with an average history."""
    world = _world(config, market, 0, cold=False)
    seen = world.observe()
    known = policy(seen.state_BS, seen.low_BP, seen.high_BP)
    state = seen.state_BS.clone()
    for field in ALLOCATION.platform_fields:
        if field.name not in ("max", "min"):
            ALLOCATION.of_platforms(ALLOCATION.statistics(state), field.name)[:, NEW] = 0.0
    share = policy(state, seen.low_BP, seen.high_BP)
    _sane(share, seen.low_BP, seen.high_BP)
    assert 0.2 * known[:, NEW].mean() < share[:, NEW].mean() < 5 * known[:, NEW].mean()
    earned, even = _ratios(world, share, torch.full_like(share, 1 / 6))
    assert earned > even


@torch.no_grad()
@pytest.mark.parametrize("kind", ["new creative", "new user"])
def test_an_unknown_context_moves_the_split_little(kind: str, config: Config, market: Market, policy: Policy) -> None:
    """A creative never seen gives a context from elsewhere; a user without history masks a modality."""
    world = _world(config, market, 0, cold=False)
    seen = world.observe()
    before = policy(seen.state_BS, seen.low_BP, seen.high_BP)
    state = seen.state_BS.clone()
    g = torch.Generator().manual_seed(3)
    if kind == "new creative":
        state[:, :512] = torch.randn(len(state), 512, generator=g)
    else:
        state[:, 512 // 3 : 2 * 512 // 3] = 0.0
    after = policy(state, seen.low_BP, seen.high_BP)
    _sane(after, seen.low_BP, seen.high_BP)
    kept, had, even = _ratios(world, after, before, torch.full_like(before, 1 / 6))
    assert kept > 0.97 * had
    assert kept > even


@torch.no_grad()
def test_limits_hold_from_the_first_cycle(config: Config, market: Market, policy: Policy) -> None:
    world = _world(config, market, 2, cold=True)
    seen = world.observe()
    low, high = torch.full_like(seen.low_BP, 0.1), torch.full_like(seen.high_BP, 0.25)
    _sane(policy(seen.state_BS, low, high), low, high)
    uniform = torch.full_like(low, 1 / 6)
    assert torch.allclose(project(uniform, low, high), uniform, atol=1e-6)

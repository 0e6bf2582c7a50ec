"""Agent mpc: the fitted market's plan is the policy, and nothing is trained."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from crossmix.agents.mpc import BasePolicy
from crossmix.config import load
from crossmix.market.environment import MarketEnvironment
from crossmix.market.model import save
from crossmix.market.pacing import tables
from crossmix.training.loop import train
from crossmix.training.policy_file import TrainedPolicy, load_policy
from crossmix.training.run import TrainingError
from tests.support.markets import make_market


def test_agent_mpc_trains_nothing_and_needs_a_market_that_tells_its_campaigns_apart(tmp_path: Path) -> None:
    market = make_market(seed=6, campaigns=2)
    (tmp_path / "market").mkdir()
    save(market, tmp_path / "market")
    config = load("laptop", ["train.agent=mpc"])
    curve = train(config, tmp_path / "market", tmp_path / "out")
    assert [point["phase"] for point in curve["points"]] == ["mpc"]
    assert curve["best"]["validation_ratio"] > curve["uniform_ratio"] + 0.5 * (1 - curve["uniform_ratio"])
    policy = load_policy(tmp_path / "out")
    plan = tables(market, config)
    assert plan is not None
    world = MarketEnvironment(market, config, campaign_B=torch.arange(2), cycles=5, mechanism="counts", seed=0)
    state = world.observe().state_BS
    assert torch.allclose(policy.raw(state), BasePolicy(plan)(state), atol=2e-3)
    blind = replace(market, context=torch.zeros_like(market.context))
    assert tables(blind, config) is None
    save(blind, tmp_path / "market")
    with pytest.raises(TrainingError, match=r"train\.agent: 'mpc' needs .*use agent pathwise"):
        train(config, tmp_path / "market", tmp_path / "again")


def test_a_policy_without_a_table_of_the_plan_is_to_be_trained_again(tmp_path: Path) -> None:
    market = make_market(seed=6, campaigns=2)
    (tmp_path / "market").mkdir()
    save(market, tmp_path / "market")
    train(load("laptop", ["train.agent=mpc"]), tmp_path / "market", tmp_path / "out")
    whole = TrainedPolicy.load(tmp_path / "out")
    weights = {name: value for name, value in whole.weights.items() if name != "planner.requests_error"}
    replace(whole, weights=weights).save(tmp_path / "out")
    with pytest.raises(TrainingError, match="before the plan had requests_error; train again"):
        load_policy(tmp_path / "out")

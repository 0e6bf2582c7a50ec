"""A training run: how its actor starts, and what trains it."""

from __future__ import annotations

from dataclasses import replace

import torch

from crossmix.config import load
from crossmix.market.environment import MarketEnvironment, episode_campaigns
from crossmix.state import ALLOCATION
from crossmix.training.run import TrainingRun
from tests.support.markets import make_market, of_totals


def test_training_without_contexts_starts_deaf_to_them() -> None:
    config = load("laptop", ["train.pathwise.hidden=[16,16]"])
    market = make_market(platforms=3)
    silent = replace(market, context=torch.zeros_like(market.context))
    for known, deaf in ((market, False), (silent, True)):
        weight = TrainingRun(config, known, "x").policy.trunk[0].weight
        assert bool((weight[:, : ALLOCATION.context_size] == 0).all()) == deaf
        assert (weight[:, ALLOCATION.context_size :] != 0).any()


def test_a_history_with_a_plan_serves_it_and_nothing_else_does() -> None:
    """Of campaigns that no context tells apart there is no plan, and the agent trains; so it does on impressions."""
    config = load("laptop", ["train.pathwise.hidden=[16,16]", "train.agent=pathwise"])
    one, two = make_market(platforms=3, campaigns=1), make_market(platforms=3, campaigns=2)
    found = {
        name: TrainingRun(config, market, "x").agent.name
        for name, market in (
            ("impressions", one),
            ("history", of_totals(one)),
            ("two campaigns", of_totals(two)),
            ("nothing tells them", replace(of_totals(two), context=torch.zeros_like(two.context))),
        )
    }
    assert found == {
        "impressions": "pathwise", "history": "mpc", "two campaigns": "mpc", "nothing tells them": "pathwise",
    }  # fmt: skip
    asked = load("laptop", ["train.pathwise.hidden=[16,16]", "train.agent_of_history=pathwise"])
    assert TrainingRun(asked, of_totals(one), "x").agent.name == "pathwise"
    strict = load("laptop-strict", ["train.pathwise.hidden=[16,16]"])
    assert TrainingRun(strict, of_totals(one), "x").agent.name == "hybrid"


def test_campaigns_of_a_history_have_plans_of_their_own() -> None:
    """What sells on one platform for one campaign and on another for the other: each has most money where it sells."""
    config = load("laptop", ["train.pathwise.hidden=[16,16]"])
    market = of_totals(make_market(platforms=3, campaigns=2))
    best_C = torch.tensor([0, 2])
    cvr = market.value["cvr"] * 0.3
    cvr[torch.arange(2), best_C] *= 10
    market = replace(market, value=market.value | {"cvr": cvr})
    policy = TrainingRun(config, market, "x").policy
    env = MarketEnvironment(
        market, config, campaign_B=episode_campaigns(market, 8), cycles=5, mechanism="counts", seed=1
    )
    observed = env.observe()
    share_BP = policy(observed.state_BS, observed.low_BP, observed.high_BP)
    assert (share_BP.argmax(1) == best_C[env.campaign_B]).all()

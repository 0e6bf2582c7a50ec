"""Fine-tuning: the plan is the new market's, and the policy it began from stays as it was."""

from __future__ import annotations

import pytest
import torch

from crossmix.agents.policy import Policy
from crossmix.config import load
from crossmix.market.conditions import scaled_market
from crossmix.market.pacing import tables
from crossmix.training.finetune import replanned, retrained
from tests.support.markets import make_market


def test_a_policy_that_is_trained_on_takes_the_plan_of_its_new_market() -> None:
    config = load("laptop", ["train.pathwise.batch=8", "train.cycles=2"])
    market = make_market(platforms=4, campaigns=2)
    policy = Policy(4, (8,), 4, tables(market, config))
    before = {name: value.clone() for name, value in policy.state_dict().items()}
    mended = scaled_market(market, ctr=torch.tensor([1.0, 1.0, 2.0, 1.0]))
    fresh = tables(mended, config)
    assert fresh is not None
    for again, moved in ((replanned(config, mended, policy), False), (retrained(config, mended, policy, 3), True)):
        assert again.planner is not None
        assert torch.equal(again.planner.ctr, fresh["ctr"])
        assert again.planner.ctr[0, 2, 0] == pytest.approx(float(market.value["ctr"][0, 2]) * 2, rel=1e-3)
        assert torch.equal(again.head.bias, before["head.bias"]) != moved
    assert all(torch.equal(value, before[name]) for name, value in policy.state_dict().items())

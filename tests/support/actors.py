"""Small actors with a plan, as training writes them."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from crossmix.agents.policy import Policy
from crossmix.artifacts import ActorSizes
from crossmix.config import load
from crossmix.market.pacing import tables
from crossmix.training.policy_file import AdaptationStart, TrainedPolicy
from tests.support.markets import make_market

SIZES = ActorSizes(platforms=4, hidden=(16, 8), platform_net=6)


def actor(seed: int = 0, sizes: ActorSizes = SIZES, *, plan: bool = True) -> Policy:
    """An actor of random weights."""
    torch.manual_seed(seed)
    fitted = tables(make_market(platforms=sizes.platforms, campaigns=2), load("laptop")) if plan else None
    assert (fitted is not None) == plan
    policy = Policy(sizes.platforms, sizes.hidden, sizes.platform_net, fitted)
    torch.nn.init.normal_(policy.head.weight)
    return policy


def trained(policy: Policy) -> TrainedPolicy:
    """As the train step would save an actor of `SIZES`."""
    return TrainedPolicy(policy.state_dict(), torch.linspace(-2, -1, 4), SIZES, parent="f" * 64)


def start(policy: Policy) -> AdaptationStart:
    """As the meta step would save an actor of `SIZES`, with random inner rates."""
    names = tuple(name for name, _ in policy.named_parameters())
    return AdaptationStart(policy.state_dict(), torch.randn(len(names)), names, 5, SIZES)


def same(one: Mapping[str, Tensor], other: Mapping[str, Tensor]) -> bool:
    """Bit for bit, in type, shape and name."""
    return one.keys() == other.keys() and all(
        value.dtype == other[name].dtype and torch.equal(value, other[name]) for name, value in one.items()
    )

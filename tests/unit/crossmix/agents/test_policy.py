"""The actor: what it does without contexts."""

from __future__ import annotations

import torch

from crossmix.agents.policy import Policy
from crossmix.state import ALLOCATION


def test_a_policy_without_contexts_does_not_hear_them() -> None:
    torch.manual_seed(0)
    policy = Policy(3, (16, 16))
    state = torch.randn(4, 640)
    other = state.clone()
    other[:, : ALLOCATION.context_size] = torch.randn(4, ALLOCATION.context_size)
    assert not torch.equal(policy.logits(state), policy.logits(other))
    policy.ignore_context()
    torch.testing.assert_close(policy.logits(state), policy.logits(other), rtol=0, atol=0)
    other[:, ALLOCATION.context_size :] += 1
    assert not torch.equal(policy.logits(state), policy.logits(other))

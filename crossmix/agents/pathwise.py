"""Pathwise policy gradient: the market's closed form tells the gradient of the cycle's return in the split.

The states come from sampled cycles, with all the noise that a served policy will see; the return of the coming cycle
is the environment's expectation, differentiated through the projection onto the limits. Where actions do not move the
market's state (discount 0), this is an unbiased gradient with far less variance than a score-function estimate.

Shapes: B batch, P platforms.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from crossmix import ranks
from crossmix.agents.environment import DifferentiableEnvironment, Observation
from crossmix.agents.learner import AGENTS, Agent
from crossmix.agents.policy import Policy


@dataclass(frozen=True, slots=True)
class PathwiseResult:
    """What one update did."""

    loss: float
    objective: float
    """Mean expected objective of the split, in units of ROI."""
    share_BP: Tensor
    """The split that was differentiated; play it next."""


def update(
    policy: Policy,
    optimiser: torch.optim.Optimizer,
    environment: DifferentiableEnvironment,
    observation: Observation,
) -> PathwiseResult:
    """One gradient step on the coming cycle: maximise E[objective(project(pi(s)))].

    Objectives are divided by their batch mean (of all ranks), so that the step's size does not depend on the currency.
    """
    raw, share = policy.act(observation.state_BS, observation.low_BP, observation.high_BP)
    objective_B = environment.objective(environment.expected(share), raw, observation.high_BP)
    loss = -objective_B.mean()
    ranks.optimiser_step(optimiser, loss, 1.0, unit=loss)
    return PathwiseResult(float(loss.detach()), float(-loss.detach()), share.detach())


AGENTS.register(Agent(name="pathwise", label="the pathwise phase alone", start="pathwise"))

"""The paper's hybrid (§2.2): DDPG and PPO by turns over one shared actor.

A round is one alternation: DDPG plays an episode of every row with noisy logits and learns from its replay after
every cycle; then PPO plays one with its Gaussian logits and learns from that episode. The actor is one object, so the
hand-over is exact; PPO's cycles go into the replay too.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from crossmix.agents import ddpg, ppo
from crossmix.agents.ddpg import DDPG, DDPGResult, ReplayBuffer
from crossmix.agents.environment import Environment
from crossmix.agents.learner import AGENTS, Agent, Setup
from crossmix.agents.ppo import PPO, PPOResult


@dataclass(frozen=True, slots=True)
class HybridResult:
    """What one round did."""

    ddpg: DDPGResult
    ppo: PPOResult

    def figures(self) -> dict[str, float]:
        """For the learning curve: of both."""
        return self.ddpg.figures() | self.ppo.figures()


class Hybrid:
    """Both algorithms around one policy."""

    environments = 2

    def __init__(self, ddpg: DDPG, ppo: PPO) -> None:
        if ddpg.policy is not ppo.policy:
            raise ValueError("hybrid: DDPG and PPO must share one policy object")
        self.ddpg, self.ppo = ddpg, ppo

    @property
    def replay(self) -> ReplayBuffer:
        """DDPG's, which holds PPO's cycles too."""
        return self.ddpg.replay

    @property
    def log_sigma_P(self) -> Tensor:
        """PPO's."""
        return self.ppo.log_sigma_P

    def begin(self) -> None:
        self.ddpg.begin()
        self.ppo.begin()

    def play(self, environments: Sequence[Environment], cycles: int, generator: torch.Generator) -> HybridResult:
        """One round: DDPG in the first environment, PPO in the second."""
        first, second = environments
        deterministic = self.ddpg.play([first], cycles, generator)
        rollout = self.ppo.collect(second, cycles, generator)
        for cycle in range(cycles):
            self.ddpg.remember(
                rollout.state_TBS[cycle],
                torch.softmax(rollout.logits_TBP[cycle], 1),
                rollout.reward_TB[cycle],
                cycle == cycles - 1,
            )
        return HybridResult(deterministic, self.ppo.learn(rollout, generator))

    def state_dict(self) -> dict[str, Any]:
        return {"ddpg": self.ddpg.state_dict(), "ppo": self.ppo.state_dict()}

    def load_state_dict(self, kept: dict[str, Any]) -> None:
        self.ddpg.load_state_dict(kept["ddpg"])
        self.ppo.load_state_dict(kept["ppo"])


def build(setup: Setup) -> Hybrid:
    """Both around a run's policy."""
    # PPO first: initial weights come from one generator, in this order.
    second = ppo.build(setup)
    return Hybrid(ddpg.build(setup), second)


AGENTS.register(Agent(name="hybrid", label="DDPG and PPO by turns", build=build, start="configured"))

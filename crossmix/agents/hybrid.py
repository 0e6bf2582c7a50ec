"""The paper's hybrid (§2.2): DDPG and PPO by turns over one shared actor.

A round is one alternation: DDPG plays an episode of every row with noisy logits and learns from its replay after
every cycle; then PPO plays one with its Gaussian logits and learns from that episode. The actor is one object, so the
hand-over is exact; PPO's cycles go into the replay too.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch

from crossmix.agents.ddpg import DDPG, DDPGResult
from crossmix.agents.environment import Environment
from crossmix.agents.ppo import PPO, PPOResult


@dataclass(frozen=True, slots=True)
class HybridResult:
    """What one round did."""

    ddpg: DDPGResult
    ppo: PPOResult


class Hybrid:
    """Both algorithms around one policy."""

    def __init__(self, ddpg: DDPG, ppo: PPO) -> None:
        if ddpg.policy is not ppo.policy:
            raise ValueError("hybrid: DDPG and PPO must share one policy object")
        self.ddpg, self.ppo = ddpg, ppo

    def begin(self) -> None:
        self.ddpg.begin()
        self.ppo.begin()

    def play(self, first: Environment, second: Environment, cycles: int, generator: torch.Generator) -> HybridResult:
        """One round: DDPG in the first environment, PPO in the second."""
        deterministic = self.ddpg.play(first, cycles, generator)
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

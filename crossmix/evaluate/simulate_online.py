"""The policy arm of simulated experiments that learns as it serves: eq. 12, daily, from its own logged feedback alone.

Every experiment has a policy of its own, fine-tuned on that experiment's cycles only; all start from the same one. What
is served explores by the server's law (`crossmix.exploration`), and what is learned from is what a server logs: the
state, the sampled logits, their density, and the reward of eq. 11.

Shapes: R experiments, C campaigns, B = R C rows, P platforms.
"""

from __future__ import annotations

import torch
from torch import Tensor

from crossmix import reward
from crossmix.agents.online import Feedback, explore, update
from crossmix.agents.policy import Policy
from crossmix.config import Config
from crossmix.exploration import Exploration
from crossmix.market.environment import MarketEnvironment, Observation, Step


class OnlineArm:
    """Serves R experiments at once.

    Args:
        policy: what each begins with; it stays as it is.
        learns: off: it explores as much, by the same draws, and never updates.
    """

    def __init__(self, policy: Policy, config: Config, runs: int, seed: int, *, learns: bool = True) -> None:
        self.policies = [policy] * runs
        self.config, self.learns, self.seed, self.day = config, learns, seed, 0
        self.exploration = Exploration.of(config)
        self.generator = torch.Generator().manual_seed(seed)
        self.window: list[list[Feedback]] = [[] for _ in range(runs)]
        self._logits_BP = self._density_B = torch.empty(0)

    def __call__(self, world: MarketEnvironment, observation: Observation) -> Tensor:
        """Sampled splits, (B, P), before the limits."""
        parts = observation.state_BS.chunk(len(self.policies))
        sampled = [
            explore(policy, self.exploration, state_CS, self.generator)
            for policy, state_CS in zip(self.policies, parts, strict=True)
        ]
        self._logits_BP = torch.cat([logits for logits, _ in sampled])
        self._density_B = torch.cat([density for _, density in sampled])
        return torch.softmax(self._logits_BP, 1)

    def learn(self, world: MarketEnvironment, observation: Observation, step: Step) -> None:
        """The day's update of every experiment's policy, from its newest `online.window` cycles."""
        self.day += 1
        if not self.learns:
            return
        outcome, settings, runs = step.outcome, self.config.online, len(self.policies)
        earned_B = reward.online(self.config.reward, outcome.roi_B(), outcome.ctr_B(), outcome.cvr_B())
        rows = (observation.state_BS, self._logits_BP, self._density_B, earned_B, world.campaign_B)
        for run, parts in enumerate(zip(*(row.chunk(runs) for row in rows), strict=True)):
            self.window[run] = [*self.window[run], Feedback(*parts)][-settings.window :]
            served, log = self.policies[run], Feedback.joined(self.window[run])
            self.policies[run] = update(served, self.exploration, log, self.day, settings, self.seed + run).policy

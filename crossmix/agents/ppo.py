"""Proximal policy optimisation over Gaussian logits (§2.2, eq. 4).

The action is a vector of logits z ~ N(actor(s), sigma^2); the split is project(softmax(z)), so the density is that of
the logits and the limits cost nothing.

Shapes: T cycles, B batch, P platforms, S state.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from crossmix import ranks
from crossmix.agents.environment import Environment
from crossmix.agents.learner import AGENTS, Agent, Setup, figures_of
from crossmix.agents.policy import ObservationNormaliser, Policy
from crossmix.config import PPOConfig


class Critic(nn.Module):
    """Value of a state: three tanh layers of 256 (§2.2), on normalised states, in units of the running reward scale."""

    def __init__(self, size: int, hidden: tuple[int, ...]) -> None:
        super().__init__()
        self.normaliser = ObservationNormaliser(size)
        layers: list[nn.Module] = []
        for width in hidden:
            layers += [nn.Linear(size, width), nn.Tanh()]
            size = width
        self.net = nn.Sequential(*layers, nn.Linear(size, 1))

    def forward(self, state_BS: Tensor) -> Tensor:
        value: Tensor = self.net(self.normaliser(state_BS)).squeeze(-1)
        return value


@dataclass(frozen=True, slots=True)
class Rollout:
    """One round: an episode of every row."""

    state_TBS: Tensor
    logits_TBP: Tensor
    """Sampled logits."""
    log_density_TB: Tensor
    reward_TB: Tensor
    value_TB: Tensor


@dataclass(frozen=True, slots=True)
class PPOResult:
    """What one round of updates did."""

    actor_loss: float
    critic_loss: float
    entropy: float
    kl: float
    """Mean of (r - 1) - ln r: how far the policy moved."""
    epochs: int

    def figures(self) -> dict[str, float]:
        """For the learning curve."""
        return figures_of("ppo", self)


def log_density(mean_BP: Tensor, log_sigma_P: Tensor, logits_BP: Tensor) -> Tensor:
    """ln N(logits; mean, sigma^2), summed over platforms."""
    z = (logits_BP - mean_BP) * torch.exp(-log_sigma_P)
    return (-0.5 * z**2 - log_sigma_P - 0.5 * math.log(2 * math.pi)).sum(-1)


def entropy(log_sigma_P: Tensor) -> Tensor:
    """Differential entropy of the logits, nats."""
    return (log_sigma_P + 0.5 * math.log(2 * math.pi * math.e)).sum()


def advantages(reward_TB: Tensor, value_TB: Tensor, discount: float, trace: float) -> Tensor:
    """Generalised advantage estimates; an episode ends with its last cycle, so nothing is bootstrapped there."""
    result = torch.zeros_like(reward_TB)
    running = torch.zeros_like(reward_TB[0])
    following = torch.zeros_like(reward_TB[0])
    for t in reversed(range(len(reward_TB))):
        running = reward_TB[t] + discount * following - value_TB[t] + discount * trace * running
        result[t], following = running, value_TB[t]
    return result


@torch.no_grad()
def collect(
    policy: Policy,
    critic: Critic,
    log_sigma_P: Tensor,
    environment: Environment,
    cycles: int,
    generator: torch.Generator,
) -> Rollout:
    """Play one episode of every row with exploring logits."""
    observation = environment.observe()
    rows: list[tuple[Tensor, ...]] = []
    for _ in range(cycles):
        state = observation.state_BS
        mean = policy.logits(state)
        noise = torch.randn(mean.shape, generator=generator, device=mean.device)
        logits = mean + log_sigma_P.exp() * noise
        step = environment.step(torch.softmax(logits, 1))
        rows.append((state, logits, log_density(mean, log_sigma_P, logits), step.reward_B, critic(state)))
        observation = step.observation
    return Rollout(*(torch.stack(column) for column in zip(*rows, strict=True)))


def update(
    policy: Policy,
    critic: Critic,
    log_sigma_P: Tensor,
    optimiser: torch.optim.Optimizer,
    rollout: Rollout,
    config: PPOConfig,
    discount: float,
    generator: torch.Generator,
) -> PPOResult:
    """Eq. 4 with entropy bonus and a squared critic loss, over minibatches; a pass ends early at `target_kl`."""
    advantage_TB = advantages(rollout.reward_TB, rollout.value_TB, discount, config.gae_lambda)
    target_N = (advantage_TB + rollout.value_TB).flatten()
    advantage_N = advantage_TB.flatten()
    centre = ranks.mean(advantage_N.mean())
    advantage_N = (advantage_N - centre) / ranks.mean((advantage_N - centre).square().mean()).sqrt().clamp(min=1e-8)
    state_NS, logits_NP = rollout.state_TBS.flatten(0, 1), rollout.logits_TBP.flatten(0, 1)
    before_N = rollout.log_density_TB.flatten()
    actor_losses, critic_losses, moved, passes = [], [], 0.0, 0
    for _ in range(config.epochs):
        passes += 1
        order = torch.randperm(len(advantage_N), generator=generator, device=advantage_N.device)
        for part in order.chunk(config.minibatches):
            log_ratio = log_density(policy.logits(state_NS[part]), log_sigma_P, logits_NP[part]) - before_N[part]
            ratio = log_ratio.exp()
            clipped = ratio.clamp(1 - config.clip, 1 + config.clip)
            actor_loss = -torch.minimum(ratio * advantage_N[part], clipped * advantage_N[part]).mean()
            critic_loss = 0.5 * (critic(state_NS[part]) - target_N[part]).pow(2).mean()
            loss = actor_loss + critic_loss - config.entropy * entropy(log_sigma_P)
            ranks.optimiser_step(optimiser, loss, 0.5)
            actor_losses.append(float(actor_loss.detach()))
            critic_losses.append(float(critic_loss.detach()))
            moved = float(ranks.mean(((ratio - 1) - log_ratio).mean().detach()))
        if moved > config.target_kl:
            break
    count = max(len(actor_losses), 1)
    return PPOResult(
        sum(actor_losses) / count, sum(critic_losses) / count, float(entropy(log_sigma_P).detach()), moved, passes
    )


class PPO:
    """The algorithm with its critic, deviation and optimiser, around a policy that others may train too."""

    environments = 1
    replay = None

    def __init__(
        self, policy: Policy, config: PPOConfig, discount: float, size: int, actor_factor: float = 1.0
    ) -> None:
        device = next(policy.parameters()).device
        self.policy, self.config, self.discount = policy, config, discount
        self.critic = Critic(size, config.critic_hidden).to(device)
        start = torch.full((policy.platforms,), config.sigma, device=device).log()
        self.log_sigma_P = start.requires_grad_(True)
        self.optimiser = torch.optim.Adam(
            [
                {"params": [*policy.parameters(), self.log_sigma_P], "lr": config.learning_rate * actor_factor},
                {"params": [*self.critic.parameters()], "lr": config.learning_rate},
            ]
        )

    def begin(self) -> None:
        """Take over the actor as it is: states as it sees them."""
        self.critic.normaliser.load_state_dict(self.policy.normaliser.state_dict())

    def play(self, environments: Sequence[Environment], cycles: int, generator: torch.Generator) -> PPOResult:
        """One episode of every row, then the updates on it."""
        (environment,) = environments
        return self.learn(self.collect(environment, cycles, generator), generator)

    def collect(self, environment: Environment, cycles: int, generator: torch.Generator) -> Rollout:
        return collect(self.policy, self.critic, self.log_sigma_P, environment, cycles, generator)

    def learn(self, rollout: Rollout, generator: torch.Generator) -> PPOResult:
        return update(
            *(self.policy, self.critic, self.log_sigma_P, self.optimiser),
            *(rollout, self.config, self.discount, generator),
        )

    def state_dict(self) -> dict[str, Any]:
        return {
            "critic": self.critic.state_dict(),
            "log_sigma": self.log_sigma_P.detach(),
            "optimiser": self.optimiser.state_dict(),
        }

    def load_state_dict(self, kept: dict[str, Any]) -> None:
        self.critic.load_state_dict(kept["critic"])
        self.optimiser.load_state_dict(kept["optimiser"])
        with torch.no_grad():
            self.log_sigma_P.copy_(kept["log_sigma"])


def build(setup: Setup) -> PPO:
    """PPO around a run's policy."""
    train = setup.train
    return PPO(setup.policy, train.ppo, train.discount, setup.state_size, setup.rate_factor)


AGENTS.register(
    Agent(
        name="ppo",
        label="PPO alone",
        build=build,
        curves={
            "ppo_actor_loss": "PPO actor loss",
            "ppo_critic_loss": "PPO critic loss",
            "ppo_entropy": "PPO entropy, nats",
            "ppo_kl": "PPO step, KL",
        },
    )
)

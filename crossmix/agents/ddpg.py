"""Deep deterministic policy gradient for splits (§2.2), with what keeps it out of the corners of the simplex.

    y = r + gamma (1 - last) min_k Q'_k(s', mu'(s'))        critic: (Q_k(s, a) - y)^2, k = 1, 2
    actor: max Q_1(s, mu(s)) - lambda mean((z - z_0)^2)     z the centred logits, mu = softmax(z); z_0: see below
    theta' <- tau theta + (1 - tau) theta'

An action is the split before the limits; the environment projects it. Exploration is Gaussian on the logits. Plain
DDPG on a softmax saturates: once the critic errs towards a corner the softmax has no gradient to come back. Layer
norm, two critics, the centred action, the logit penalty, the critic's warm-up and the running reward scale are what
`config.DDPGConfig` adds to the paper; each can be switched off (`docs/deviations.md`).
z_0 are the logits of the actor that was taken over: near 0 for a fresh one, so that the penalty keeps it off the
corners; those of the pathwise actor in the hybrid, which a critic of few transitions would otherwise only spoil.

Shapes: T cycles, B batch, P platforms, S state, N rows of the replay.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from crossmix import ranks
from crossmix.agents.environment import Environment
from crossmix.agents.learner import AGENTS, Agent, Setup, figures_of
from crossmix.agents.policy import ObservationNormaliser, Policy
from crossmix.config import DDPGConfig


class Critic(nn.Module):
    """Q(s, a): twin networks on normalised states and centred actions a M - 1, in units of the reward scale."""

    def __init__(self, size: int, platforms: int, config: DDPGConfig) -> None:
        super().__init__()
        self.normaliser = ObservationNormaliser(size)
        self.platforms, self.centred = platforms, config.centred_action
        self.nets = nn.ModuleList(self._net(size + platforms, config) for _ in range(2 if config.twin else 1))

    @staticmethod
    def _net(size: int, config: DDPGConfig) -> nn.Sequential:
        layers: list[nn.Module] = []
        for width in config.critic_hidden:
            layers += [nn.Linear(size, width), *([nn.LayerNorm(width)] if config.layer_norm else []), nn.ReLU()]
            size = width
        return nn.Sequential(*layers, nn.Linear(size, 1))

    def forward(self, state_BS: Tensor, share_BP: Tensor) -> Tensor:
        """(K, B): one row per twin."""
        action = share_BP * self.platforms - 1 if self.centred else share_BP
        x = torch.cat([self.normaliser(state_BS), action], 1)
        return torch.stack([net(x).squeeze(1) for net in self.nets])


class RunningMeanDeviation(nn.Module):
    """Running mean and deviation of rewards."""

    count: Tensor
    mean: Tensor
    square: Tensor

    def __init__(self) -> None:
        super().__init__()
        for name in ("count", "mean", "square"):
            self.register_buffer(name, torch.zeros((), dtype=torch.float64))

    def add(self, reward_N: Tensor) -> None:
        """Welford's update by a batch."""
        new, count = reward_N.double(), float(reward_N.numel())
        total = self.count + count
        gap = new.mean() - self.mean
        self.square += new.var(correction=0) * count + gap**2 * self.count * count / total
        self.mean += gap * count / total
        self.count.copy_(total)

    def forward(self, reward_N: Tensor) -> Tensor:
        deviation = (self.square / self.count.clamp(min=1)).sqrt().clamp(min=1e-8)
        return ((reward_N - self.mean) / deviation).float()


@dataclass(frozen=True, slots=True)
class Batch:
    """Transitions drawn from the replay."""

    state_NS: Tensor
    share_NP: Tensor
    reward_N: Tensor
    next_NS: Tensor
    last_N: Tensor
    """True where the episode ended; `next_NS` means nothing there."""


class ReplayBuffer:
    """A ring of cycles; each state is stored once, in half precision: s' is the same row of the next cycle.

    Args:
        capacity: transitions; rounded down to whole cycles of `rows`.
    """

    def __init__(self, capacity: int, rows: int, size: int, platforms: int, device: torch.device) -> None:
        self.rows, self.cycles = rows, max(capacity // rows, 2)
        self.state_CBS = torch.empty(0, rows, size, dtype=torch.half, device=device)
        self.share_CBP = torch.empty(0, rows, platforms, device=device)
        self.reward_CB = torch.empty(0, rows, device=device)
        self.last_C = torch.empty(0, dtype=torch.bool, device=device)
        self.added = 0

    def add(self, state_BS: Tensor, share_BP: Tensor, reward_B: Tensor, last: bool) -> None:
        """One cycle of every row."""
        if self.added >= len(self.last_C) and len(self.last_C) < self.cycles:
            self._grow()
        slot = self.added % self.cycles
        self.state_CBS[slot] = state_BS.half()
        self.share_CBP[slot], self.reward_CB[slot], self.last_C[slot] = share_BP, reward_B, last
        self.added += 1

    def __len__(self) -> int:
        """Transitions that can be drawn."""
        return self.rows * self._drawable()

    def sample(self, count: int, generator: torch.Generator) -> Batch:
        """Draw with replacement; the newest cycle only if its episode ended, for else its s' is not known yet."""
        device = self.reward_CB.device
        age = torch.randint(self._drawable(), (count,), generator=generator, device=device)
        newest = self.added - 1 - (0 if self._closed() else 1)
        cycle = (newest - age) % self.cycles
        row = torch.randint(self.rows, (count,), generator=generator, device=device)
        following = (cycle + 1) % self.cycles % len(self.last_C)
        return Batch(
            self.state_CBS[cycle, row].float(),
            self.share_CBP[cycle, row],
            self.reward_CB[cycle, row],
            self.state_CBS[following, row].float(),
            self.last_C[cycle],
        )

    def newest(self, cycles: int) -> dict[str, Tensor]:
        """The last cycles, oldest first: what a checkpoint keeps of a round."""
        slots = torch.arange(self.added - cycles, self.added, device=self.last_C.device) % self.cycles
        return {
            "state": self.state_CBS[slots].clone(),
            "share": self.share_CBP[slots].clone(),
            "reward": self.reward_CB[slots].clone(),
            "last": self.last_C[slots].clone(),
        }

    def extend(self, cycles: dict[str, Tensor]) -> None:
        """Add cycles that `newest` gave."""
        for state, share, reward, last in zip(
            *(cycles[name] for name in ("state", "share", "reward", "last")), strict=True
        ):
            self.add(state.to(self.reward_CB.device), share, reward, bool(last))

    def _closed(self) -> bool:
        return self.added > 0 and bool(self.last_C[(self.added - 1) % self.cycles])

    def _drawable(self) -> int:
        return max(min(self.added, self.cycles) - (0 if self._closed() else 1), 0)

    def _grow(self) -> None:
        """Double the memory, up to the capacity: most runs never fill a million transitions."""
        more = min(max(len(self.last_C), 128), self.cycles - len(self.last_C))
        for name in ("state_CBS", "share_CBP", "reward_CB", "last_C"):
            old = getattr(self, name)
            setattr(self, name, torch.cat([old, old.new_zeros(more, *old.shape[1:])]))


@dataclass(frozen=True, slots=True)
class DDPGResult:
    """What the updates of one round did, as means."""

    actor_loss: float
    critic_loss: float
    spread: float
    """Mean deviation of the logits over platforms: large means near a corner."""
    updates: int

    def figures(self) -> dict[str, float]:
        """For the learning curve."""
        return figures_of("ddpg", self)


class DDPG:
    """The algorithm with its networks, optimisers and replay, around a policy that others may train too.

    Args:
        policy: the actor.
        config: its settings.
        discount: gamma.
        rows: episodes that this rank plays side by side.
        size: of the state.
        actor_factor: on the actor's rate; the penalty is divided by it.
    """

    environments = 1
    log_sigma_P = None
    PARTS = ("critic", "target_critic", "target_actor", "anchor", "reward_scale", "actor_optimiser", "critic_optimiser")

    def __init__(
        self, policy: Policy, config: DDPGConfig, discount: float, rows: int, size: int, actor_factor: float = 1.0
    ) -> None:
        device = next(policy.parameters()).device
        self.policy, self.config, self.discount = policy, config, discount
        self.critic = Critic(size, policy.platforms, config).to(device)
        self.target_critic = copy.deepcopy(self.critic).requires_grad_(False)
        self.target_actor = copy.deepcopy(policy).requires_grad_(False)
        self.anchor = copy.deepcopy(policy).requires_grad_(False)
        self.reward_scale = RunningMeanDeviation().to(device)
        self.actor_optimiser = torch.optim.Adam(policy.parameters(), config.actor_rate * actor_factor)
        self.critic_optimiser = torch.optim.Adam(self.critic.parameters(), config.critic_rate)
        self.replay = ReplayBuffer(config.replay // ranks.size(), rows, size, policy.platforms, device)
        self.penalty = config.logit_penalty / actor_factor
        self.updates = 0

    def begin(self) -> None:
        """Take over the actor as it is: states as it sees them, a target that agrees with it, and its logits as z_0."""
        self.target_actor.load_state_dict(self.policy.state_dict())
        self.anchor.load_state_dict(self.policy.state_dict())
        for critic in (self.critic, self.target_critic):
            critic.normaliser.load_state_dict(self.policy.normaliser.state_dict())

    def play(self, environments: Sequence[Environment], cycles: int, generator: torch.Generator) -> DDPGResult:
        """One episode of every row with noisy logits, learning after every cycle."""
        (environment,) = environments
        observation, results = environment.observe(), []
        for cycle in range(cycles):
            with torch.no_grad():
                logits = self.policy.logits(observation.state_BS)
                noise = torch.randn(logits.shape, generator=generator, device=logits.device)
                share = torch.softmax(logits + self.config.noise * noise, 1)
            step = environment.step(share)
            self.remember(observation.state_BS, share, step.reward_B, cycle == cycles - 1)
            observation = step.observation
            if len(self.replay) >= ranks.share(self.config.batch):
                results += [self.update(generator) for _ in range(self.config.updates)]
        if not results:
            return DDPGResult(0.0, 0.0, 0.0, 0)
        critic, actor, spread = (sum(column) / len(results) for column in zip(*results, strict=True))
        return DDPGResult(actor, critic, spread, len(results))

    def remember(self, state_BS: Tensor, share_BP: Tensor, reward_B: Tensor, last: bool) -> None:
        """Keep a cycle that any algorithm played."""
        self.replay.add(state_BS, share_BP, reward_B, last)
        if self.config.reward_scale:
            self.reward_scale.add(ranks.gather(reward_B))

    def update(self, generator: torch.Generator) -> tuple[float, float, float]:
        """One step of the critic and, after its warm-up, one of the actor; (critic loss, actor loss, spread)."""
        batch = self.replay.sample(ranks.share(self.config.batch), generator)
        with torch.no_grad():
            reward_N = self.reward_scale(batch.reward_N) if self.config.reward_scale else batch.reward_N
            target_N = reward_N
            if self.discount:
                following = self.target_critic(batch.next_NS, self.target_actor.raw(batch.next_NS)).amin(0)
                target_N = reward_N + self.discount * following * ~batch.last_N
        critic_loss = (self.critic(batch.state_NS, batch.share_NP) - target_N).square().mean()
        ranks.optimiser_step(self.critic_optimiser, critic_loss, 1.0)
        self.updates += 1
        actor_loss, spread = torch.zeros(()), torch.zeros(())
        if self.updates > self.config.warm_up:
            logits_NP = self.policy.logits(batch.state_NS)
            centred_NP = _centred(logits_NP)
            value_N = self.critic(batch.state_NS, torch.softmax(logits_NP, 1))[0]
            with torch.no_grad():
                anchor_NP = _centred(self.anchor.logits(batch.state_NS))
            actor_loss = self.penalty * (centred_NP - anchor_NP).square().mean() - value_N.mean()
            ranks.optimiser_step(self.actor_optimiser, actor_loss, 1.0)
            spread = centred_NP.detach().square().mean().sqrt()
        self._follow(self.target_critic, self.critic)
        self._follow(self.target_actor, self.policy)
        return float(critic_loss.detach()), float(actor_loss.detach()), float(spread)

    def state_dict(self) -> dict[str, Any]:
        """Everything but the replay, whose rounds are kept one by one."""
        return {name: getattr(self, name).state_dict() for name in self.PARTS} | {"updates": self.updates}

    def load_state_dict(self, kept: dict[str, Any]) -> None:
        for name in self.PARTS:
            getattr(self, name).load_state_dict(kept[name])
        self.updates = kept["updates"]

    @torch.no_grad()
    def _follow(self, target: nn.Module, online: nn.Module) -> None:
        """Soft update, tau (§2.2: 0.005)."""
        torch._foreach_lerp_(list(target.parameters()), list(online.parameters()), self.config.tau)


def _centred(logits_NP: Tensor) -> Tensor:
    return logits_NP - logits_NP.mean(1, keepdim=True)


def build(setup: Setup) -> DDPG:
    """DDPG around a run's policy."""
    train = setup.train
    return DDPG(setup.policy, train.ddpg, train.discount, setup.rows, setup.state_size, setup.rate_factor)


AGENTS.register(
    Agent(
        name="ddpg",
        label="DDPG alone",
        build=build,
        curves={"ddpg_actor_loss": "DDPG actor loss", "ddpg_critic_loss": "DDPG critic loss"},
    )
)

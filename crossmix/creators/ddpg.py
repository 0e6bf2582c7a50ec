"""Deep deterministic policy gradient on the walk (the seed's choice): a deterministic action with exploring noise.

    y = r + gamma (1 - last) Q'(s', mu'(s'))        critic: (Q(s, a) - y)^2
    actor: max Q(s, mu(s))
    theta' <- tau theta + (1 - tau) theta'

The action is sigmoid(f(s) + logit(1 / cells left)): an actor that knows nothing spends evenly. Noise is Gaussian on the
logit.

Shapes: B batch, S state.
"""

from __future__ import annotations

import copy
import math
import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from crossmix.creators.catalogue import Floats
from crossmix.creators.settings import Walk as Settings
from crossmix.creators.walk import STATE, Walk

CELLS_LEFT = 2
"""Place of 1 / cells left in the state."""


def _net(size: int, hidden: tuple[int, ...]) -> nn.Sequential:
    layers: list[nn.Module] = []
    for width in hidden:
        layers += [nn.Linear(size, width), nn.LayerNorm(width), nn.ReLU()]
        size = width
    return nn.Sequential(*layers, nn.Linear(size, 1))


class Actor(nn.Module):
    """mu(s) as a logit, (B,)."""

    def __init__(self, hidden: tuple[int, ...]) -> None:
        super().__init__()
        self.net = _net(STATE, hidden)
        for parameter in self.net[-1].parameters():
            nn.init.zeros_(parameter)

    def forward(self, state_BS: Tensor) -> Tensor:
        even = torch.logit(state_BS[:, CELLS_LEFT].clamp(1e-3, 0.98))
        logit: Tensor = self.net(state_BS).squeeze(1) + even
        return logit


class Critic(nn.Module):
    """Q(s, a), (B,)."""

    def __init__(self, hidden: tuple[int, ...]) -> None:
        super().__init__()
        self.net = _net(STATE + 1, hidden)

    def forward(self, state_BS: Tensor, share_B: Tensor) -> Tensor:
        value: Tensor = self.net(torch.cat([state_BS, share_B[:, None]], 1)).squeeze(1)
        return value


@dataclass(frozen=True, slots=True)
class Trained:
    """What a training ends with."""

    actor: Actor
    episodes: int
    updates: int
    returns: tuple[float, ...]
    """Of each episode, with noise, in order."""


class Agent:
    """Networks, optimisers and replay."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.generator = torch.Generator().manual_seed(settings.seed)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(settings.seed)
            self.actor, self.critic = Actor(settings.hidden), Critic(settings.hidden)
        self.target_actor = copy.deepcopy(self.actor).requires_grad_(False)
        self.target_critic = copy.deepcopy(self.critic).requires_grad_(False)
        self.actor_optimiser = torch.optim.Adam(self.actor.parameters(), settings.actor_rate)
        self.critic_optimiser = torch.optim.Adam(self.critic.parameters(), settings.critic_rate)
        self.memory = torch.zeros(settings.replay, 2 * STATE + 3)
        self.added, self.updates = 0, 0

    def act(self, state_S: Floats, noise: float) -> float:
        """Share of what is left, with Gaussian noise of this deviation on its logit."""
        with torch.no_grad():
            logit = float(self.actor(torch.as_tensor(state_S, dtype=torch.float32)[None])[0])
        if noise > 0:
            logit += noise * float(torch.randn((), generator=self.generator))
        return 1 / (1 + math.exp(-min(max(logit, -30.0), 30.0)))

    def remember(self, state_S: Floats, share: float, reward: float, next_S: Floats, last: bool) -> None:
        """Keep a transition."""
        row = np.concatenate([state_S, [share, reward, float(last)], next_S])
        self.memory[self.added % len(self.memory)] = torch.as_tensor(row, dtype=torch.float32)
        self.added += 1

    def update(self) -> tuple[float, float]:
        """One batch for critic and actor; their losses."""
        settings, rows = self.settings, min(self.added, len(self.memory))
        batch = self.memory[torch.randint(rows, (settings.batch,), generator=self.generator)]
        state_BS, next_BS = batch[:, :STATE], batch[:, STATE + 3 :]
        share_B, reward_B, last_B = batch[:, STATE : STATE + 3].T
        with torch.no_grad():
            following_B = self.target_critic(next_BS, torch.sigmoid(self.target_actor(next_BS)))
            target_B = reward_B + settings.discount * (1 - last_B) * following_B
        critic_loss = ((self.critic(state_BS, share_B) - target_B) ** 2).mean()
        self.critic_optimiser.zero_grad()
        critic_loss.backward()
        self.critic_optimiser.step()
        self.updates += 1
        actor_loss = -self.critic(state_BS, torch.sigmoid(self.actor(state_BS))).mean()
        if self.updates > settings.actor_after:
            self.actor_optimiser.zero_grad()
            actor_loss.backward()
            self.actor_optimiser.step()
        with torch.no_grad():
            for target, net in ((self.target_actor, self.actor), (self.target_critic, self.critic)):
                for slow, fast in zip(target.parameters(), net.parameters(), strict=True):
                    slow.lerp_(fast, settings.tau)
        return float(critic_loss.detach()), float(actor_loss.detach())


def train(
    walk: Callable[[int], Walk],
    settings: Settings | None = None,
    *,
    episodes: int | None = None,
    cpu_seconds: float | None = None,
) -> Trained:
    """Train on walks, an update a step.

    Args:
        walk: the walk of an episode by its number.
        episodes: how many; or
        cpu_seconds: processor seconds of this process after which no further episode begins.
    """
    if (episodes is None) == (cpu_seconds is None):
        raise ValueError("train: give episodes or cpu_seconds, one of the two")
    settings = settings or Settings()
    agent, begin = Agent(settings), time.process_time()
    returns: list[float] = []
    while len(returns) < episodes if episodes is not None else time.process_time() - begin < (cpu_seconds or 0.0):
        played = walk(len(returns))
        state_S, total, last = played.reset(), 0.0, False
        while not last:
            share = agent.act(state_S, settings.noise)
            step = played.step(share)
            agent.remember(state_S, share, step.reward, step.state_S, step.last)
            state_S, total, last = step.state_S, total + step.reward, step.last
            if agent.added >= max(settings.warm_up, settings.batch):
                agent.update()
        returns.append(total)
    return Trained(agent.actor, len(returns), agent.updates, tuple(returns))


def play(actor: Actor, walk: Walk) -> Walk:
    """Walk to the end without noise; the walk then has plan and money per cell."""
    state_S, last = walk.reset(), False
    while not last:
        with torch.no_grad():
            share = float(torch.sigmoid(actor(torch.as_tensor(state_S, dtype=torch.float32)[None]))[0])
        step = walk.step(share)
        state_S, last = step.state_S, step.last
    return walk


def exported(actor: Actor) -> bytes:
    """The actor as ONNX, state (B, S) float32 -> share (B,), so that whoever plans needs no torch (`walked.py`)."""
    import tempfile
    import warnings
    from pathlib import Path

    from crossmix.creators.walked import INPUT, OUTPUT

    class Share(nn.Module):
        """mu(s)."""

        def __init__(self) -> None:
            super().__init__()
            self.actor = actor

        def forward(self, state_BS: Tensor) -> Tensor:
            return torch.sigmoid(self.actor(state_BS))

    with torch.no_grad(), warnings.catch_warnings(), tempfile.TemporaryDirectory() as scratch:
        file = Path(scratch, "actor.onnx")
        warnings.simplefilter("ignore")  # the exporter's deprecation; `crossmix.bundle.export` says why this one
        torch.onnx.export(
            Share().eval(),
            (torch.zeros(2, STATE),),
            str(file),
            dynamo=False,
            opset_version=17,
            input_names=[INPUT],
            output_names=[OUTPUT],
            dynamic_axes={INPUT: {0: "batch"}, OUTPUT: {0: "batch"}},
        )
        return file.read_bytes()

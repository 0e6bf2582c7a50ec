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
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from tqdm import tqdm

from crossmix import files
from crossmix.config import digest
from crossmix.creators.catalogue import Floats
from crossmix.creators.settings import Walk as Settings
from crossmix.creators.walk import STATE, Walk

CELLS_LEFT = 2
"""Place of 1 / cells left in the state."""
CHECKPOINT = "ddpg.pt"
EVERY = 50
"""Episodes from one checkpoint to the next."""


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

    def state_dict(self) -> dict[str, Any]:
        """All that the next step depends on."""
        return {
            **{name: part.state_dict() for name, part in self._parts().items()},
            "generator": self.generator.get_state(),
            "memory": self.memory[: min(self.added, len(self.memory))].clone(),
            "added": self.added,
            "updates": self.updates,
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from what `state_dict` gave."""
        for name, part in self._parts().items():
            part.load_state_dict(state[name])
        self.generator.set_state(state["generator"])
        self.memory[: len(state["memory"])] = state["memory"]
        self.added, self.updates = state["added"], state["updates"]

    def _parts(self) -> dict[str, Any]:
        names = ("actor", "critic", "target_actor", "target_critic", "actor_optimiser", "critic_optimiser")
        return {name: getattr(self, name) for name in names}


def train(
    walk: Callable[[int], Walk],
    settings: Settings | None = None,
    *,
    episodes: int | None = None,
    cpu_seconds: float | None = None,
    work: Path | None = None,
    key: str = "",
) -> Trained:
    """Train on walks, an update a step.

    Args:
        walk: the walk of an episode by its number.
        episodes: how many; or
        cpu_seconds: processor seconds of this process after which no further episode begins.
        work: folder for a checkpoint every `EVERY` episodes; a training that was killed goes on from it, and ends as if
            nothing had happened.
        key: what the walks depend on; a checkpoint of another key or other settings is not gone on from.
    """
    if (episodes is None) == (cpu_seconds is None):
        raise ValueError("train: give episodes or cpu_seconds, one of the two")
    settings = settings or Settings()
    agent, begin = Agent(settings), time.process_time()
    key = digest({"walks": key, "settings": asdict(settings)})
    returns = _resume(agent, key, work)
    bar = tqdm(total=episodes, initial=len(returns), desc="ddpg on the walk", unit="walk", mininterval=2.0)
    while len(returns) < episodes if episodes is not None else time.process_time() - begin < (cpu_seconds or 0.0):
        returns.append(_episode(agent, walk(len(returns))))
        bar.update()
        if len(returns) % EVERY == 0:
            bar.set_postfix_str(f"return {sum(returns[-EVERY:]) / EVERY:.4f}")
            _save(agent, key, returns, work)
    bar.close()
    return Trained(agent.actor, len(returns), agent.updates, tuple(returns))


def _episode(agent: Agent, walk: Walk) -> float:
    """One walk with noise, an update a step; its return."""
    settings = agent.settings
    state_S, total, last = walk.reset(), 0.0, False
    while not last:
        share = agent.act(state_S, settings.noise)
        step = walk.step(share)
        agent.remember(state_S, share, step.reward, step.state_S, step.last)
        state_S, total, last = step.state_S, total + step.reward, step.last
        if agent.added >= max(settings.warm_up, settings.batch):
            agent.update()
    return total


def _save(agent: Agent, key: str, returns: list[float], work: Path | None) -> None:
    if work is None:
        return
    work.mkdir(parents=True, exist_ok=True)
    with files.replacing(work / CHECKPOINT) as half:
        torch.save({"key": key, "agent": agent.state_dict(), "returns": returns}, half)


def _resume(agent: Agent, key: str, work: Path | None) -> list[float]:
    """The returns of the episodes that a checkpoint of this key has, the agent as it was after them."""
    if work is None or not (work / CHECKPOINT).is_file():
        return []
    kept = torch.load(work / CHECKPOINT, weights_only=True)
    if kept["key"] != key:
        return []
    agent.load_state_dict(kept["agent"])
    returns: list[float] = kept["returns"]
    return returns


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

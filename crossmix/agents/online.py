"""Online fine-tuning on logged feedback (§2.4, 2.5; eq. 11 and 12).

    grad J = 1/w sum_{i = t-w}^{t} grad ln pi(z_i | s_i) R_i + lambda grad H(pi)        eta_t = eta_0 / sqrt(t)   (12)

pi is the law of the logits that the server sampled (`crossmix.exploration`); R is eq. 11. Rows are a day's, or a
window of days', logged cycles; nothing but the log is used. What crossmix adds to eq. 12, each a field of
`config.Online`: rewards less their campaign's mean (`baseline`), which leaves the gradient's mean and takes most of
its variance; importance weights against the density that was logged, clipped as PPO does (`clip`), because older rows
were served by older policies; and a trust region (`max_kl`): an update ends before it moves the density further.
`config.strict` has none of them.

Shapes: N logged cycles, S state, P platforms.
"""

from __future__ import annotations

import copy
import math
from dataclasses import dataclass

import torch
from torch import Tensor

from crossmix.agents.policy import Policy
from crossmix.config import Online
from crossmix.exploration import Exploration, FeedbackError
from crossmix.state import ALLOCATION


@dataclass(frozen=True, slots=True)
class Feedback:
    """Logged cycles of an exploring policy."""

    state_NS: Tensor
    logits_NP: Tensor
    """As sampled."""
    log_density_N: Tensor
    """ln p(logits | state) under the policy that served."""
    reward_N: Tensor
    """Eq. 11."""
    group_N: Tensor
    """Campaign of each row, whole numbers: its mean reward is the baseline."""

    def __post_init__(self) -> None:
        rows = len(self.state_NS)
        platforms = self.logits_NP.shape[-1]
        wanted = {
            "state_NS": (rows, ALLOCATION.size),
            "logits_NP": (rows, platforms),
            "log_density_N": (rows,),
            "reward_N": (rows,),
            "group_N": (rows,),
        }
        if rows == 0:
            raise FeedbackError("feedback: no rows; wait for a day with delivery")
        for name, shape in wanted.items():
            value: Tensor = getattr(self, name)
            if tuple(value.shape) != shape:
                raise FeedbackError(f"{name}: shape {tuple(value.shape)}, want {shape}; one row per logged cycle")
            if not bool(torch.isfinite(value).all()):
                row = int((~torch.isfinite(value.reshape(rows, -1))).any(1).nonzero()[0])
                raise FeedbackError(f"{name}: row {row} is not finite; leave such rows out of the log")

    def __len__(self) -> int:
        return len(self.state_NS)

    @classmethod
    def joined(cls, parts: list[Feedback]) -> Feedback:
        """One batch of several, in order."""
        names = ("state_NS", "logits_NP", "log_density_N", "reward_N", "group_N")
        return cls(**{name: torch.cat([getattr(part, name) for part in parts]) for name in names})


@dataclass(frozen=True, slots=True)
class OnlineResult:
    """What a day's update did."""

    policy: Policy
    """A new policy; the old one is untouched."""
    exploration: Exploration
    """Of the policy that served and of the new one alike."""
    kl: float
    """Of the served Gaussian from the new one, before either is cut; mean over the logged states."""
    moved: float
    """Mean L1 distance of the splits."""
    steps: int
    """Optimiser steps kept."""
    effective: float
    """Effective sample size of the rows under the new policy."""


HALVINGS = 8
"""How often a step that moves the policy too far is halved before it is given up."""


def explore(
    policy: Policy, exploration: Exploration, state_BS: Tensor, generator: torch.Generator
) -> tuple[Tensor, Tensor]:
    """Sampled logits (B, P) and their ln density (B,): what a server logs beside the state."""
    with torch.no_grad():
        return exploration.sample(policy.logits(state_BS), generator)


def update(
    policy: Policy, exploration: Exploration, feedback: Feedback, day: int, settings: Online, seed: int = 0
) -> OnlineResult:
    """One day's update by eq. 12.

    Args:
        policy: the one that serves; it is copied.
        exploration: by which it serves; it stays as it is, for the server bounds it.
        feedback: the window's logged cycles, the newest last.
        day: t of the step size, from 1.

    Raises:
        FeedbackError: the feedback or the day does not fit; an update that is not finite.
    """
    if day < 1:
        raise FeedbackError(f"day: {day}; days count from 1")
    new = copy.deepcopy(policy).train()
    optimiser = torch.optim.Adam(new.parameters(), settings.learning_rate / math.sqrt(day))
    advantage_N = _advantage(feedback, settings)
    with torch.no_grad():
        before_NP = policy.logits(feedback.state_NS)
    generator = torch.Generator().manual_seed(seed)
    steps, kl = 0, 0.0
    last_good = _weights(new)
    for _ in range(settings.epochs):
        for rows in torch.split(torch.randperm(len(feedback), generator=generator), settings.batch):
            objective = _objective(new, exploration, feedback, rows, advantage_N, settings)
            loss = -objective - settings.entropy * exploration.entropy(policy.platforms)
            optimiser.zero_grad(set_to_none=True)
            loss.backward()  # type: ignore[no-untyped-call]
            torch.nn.utils.clip_grad_norm_(new.parameters(), 1.0)
            optimiser.step()
            moved_kl = _divergence(new, before_NP, exploration, feedback)
            if not math.isfinite(moved_kl):
                raise FeedbackError("online: the update is not finite; lower online.learning_rate")
            if settings.max_kl is not None and moved_kl > settings.max_kl:
                # The step that goes too far is shortened, so that feedback always tells something.
                shorter_kl = _shorten(new, last_good, settings.max_kl, before_NP, exploration, feedback)
                if shorter_kl is not None:
                    steps, kl = steps + 1, shorter_kl
                return _result(policy, new, exploration, feedback, kl, steps)
            last_good = _weights(new)
            steps, kl = steps + 1, moved_kl
    return _result(policy, new, exploration, feedback, kl, steps)


def _objective(
    policy: Policy, exploration: Exploration, feedback: Feedback, rows: Tensor, advantage_N: Tensor, settings: Online
) -> Tensor:
    """Eq. 12's mean over rows; with `clip`, of importance weights.

    Logits that the policy can no longer sample have density 0: they have no weight, and tell nothing.
    """
    density = exploration.log_density(policy.logits(feedback.state_NS[rows]), feedback.logits_NP[rows])
    if settings.clip is None:
        return (density.masked_fill(density.isinf(), 0.0) * advantage_N[rows]).mean()
    ratio = (density - feedback.log_density_N[rows]).exp()
    clipped = ratio.clamp(1 - settings.clip, 1 + settings.clip)
    return torch.minimum(ratio * advantage_N[rows], clipped * advantage_N[rows]).mean()


def _weights(policy: Policy) -> dict[str, Tensor]:
    return {name: value.clone() for name, value in policy.state_dict().items()}


def _shorten(
    policy: Policy,
    start: dict[str, Tensor],
    max_kl: float,
    before_NP: Tensor,
    exploration: Exploration,
    feedback: Feedback,
) -> float | None:
    """Halve the step from `start` until it stays within `max_kl`; its KL, or `None`: the policy is back at `start`."""
    end = _weights(policy)
    for halving in range(1, HALVINGS + 1):
        policy.load_state_dict(
            {
                name: torch.lerp(start[name], value, 0.5**halving) if value.is_floating_point() else value
                for name, value in end.items()
            }
        )
        kl = _divergence(policy, before_NP, exploration, feedback)
        if kl <= max_kl:
            return kl
    policy.load_state_dict(start)
    return None


def _advantage(feedback: Feedback, settings: Online) -> Tensor:
    """Rewards less their campaign's mean, in units of their deviation; eq. 12's plain rewards without `baseline`."""
    if not settings.baseline:
        return feedback.reward_N
    groups, index_N = torch.unique(feedback.group_N, return_inverse=True)
    count = torch.zeros(len(groups)).index_add_(0, index_N, torch.ones(len(index_N)))
    mean = torch.zeros(len(groups)).index_add_(0, index_N, feedback.reward_N) / count
    centred = feedback.reward_N - mean[index_N]
    return centred / centred.square().mean().sqrt().clamp(min=1e-8)


@torch.no_grad()
def _divergence(policy: Policy, before_NP: Tensor, exploration: Exploration, feedback: Feedback) -> float:
    """KL of the Gaussians, uncut, around logits before and now, mean over rows: cut ones with other edges have none."""
    gap_NP = (policy.logits(feedback.state_NS) - before_NP) / exploration.sigma
    return float(0.5 * gap_NP.square().sum(1).mean())


@torch.no_grad()
def _result(
    old: Policy, new: Policy, exploration: Exploration, feedback: Feedback, kl: float, steps: int
) -> OnlineResult:
    density = exploration.log_density(new.logits(feedback.state_NS), feedback.logits_NP)
    weight = (density - feedback.log_density_N).exp()
    moved = (new.raw(feedback.state_NS) - old.raw(feedback.state_NS)).abs().sum(1).mean()
    effective = float(weight.sum() ** 2 / weight.square().sum().clamp(min=1e-30))
    return OnlineResult(new.eval(), exploration, kl, float(moved), steps, effective)

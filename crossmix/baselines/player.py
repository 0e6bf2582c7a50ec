"""Competitors with a memory: what a campaign's delivery shows them after each cycle, and what they answer.

Shapes: B batch, P platforms.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from torch import Tensor


@dataclass(frozen=True, slots=True)
class Delivery:
    """What a finished cycle showed, each (B, P): no more than any advertiser's report."""

    impressions: Tensor
    clicks: Tensor
    conversions: Tensor
    """That became known in the cycle, whenever their impression was."""
    revenue: Tensor
    """Of those conversions, currency."""
    spend: Tensor
    planned: Tensor
    """Currency."""
    weekday_B: Tensor


@dataclass(frozen=True, slots=True)
class Task:
    """The coming cycle."""

    budget_B: Tensor
    """Currency."""
    low_BP: Tensor
    high_BP: Tensor
    share_BP: Tensor
    """The split in force so far."""
    weekday_B: Tensor
    context_BD: Tensor
    """Fused context, (B, 512), as the policy's state shows it."""
    elapsed_B: Tensor
    """Cycles gone over cycles planned."""


class Player(Protocol):
    """A competitor for a batch of flights. `learn` comes once per finished cycle, warm-up included, before `act`."""

    def learn(self, delivery: Delivery) -> None: ...

    def act(self, task: Task) -> Tensor:
        """Share of the coming cycle's budget, (B, P), within the limits."""
        ...

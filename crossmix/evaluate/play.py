"""One loop that plays: an act in an environment, cycle after cycle, with everything that came of it on record.

Shapes: T cycles, B rows, P platforms, Q quantities.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from tqdm import tqdm

from crossmix import reward
from crossmix.config import Reward
from crossmix.market.environment import MarketEnvironment, Observation, Step
from crossmix.metrics import AMOUNTS

Array = NDArray[np.float64]

Act = Callable[[MarketEnvironment, Observation], Tensor]
"""Share of every row, (B, P), before the limits: the environment (for its campaigns; only the oracle may read its
conditions) and what is seen."""

QUANTITIES = (*AMOUNTS, "expected_revenue")
"""What is recorded of an `Outcome`; the last is the revenue that the impressions won are expected to bring."""


@runtime_checkable
class Learning(Protocol):
    """An act that learns from every cycle that it played."""

    def __call__(self, environment: MarketEnvironment, observation: Observation, /) -> Tensor: ...

    def learn(self, environment: MarketEnvironment, observation: Observation, step: Step, /) -> None: ...


@dataclass(frozen=True, slots=True)
class Played:
    """What an act did in every cycle, and what it got."""

    amount_TBPQ: Array
    """`QUANTITIES`; `expected_revenue` is NaN where nothing was drawn (`expected`)."""
    asked_TBP: Array
    """Shares as the act gave them."""
    share_TBP: Array
    """Shares in force: those, projected onto the limits."""
    low_TBP: Array
    high_TBP: Array

    def of(self, quantity: str) -> Array:
        """One quantity, (T, B, P)."""
        return self.amount_TBPQ[..., QUANTITIES.index(quantity)]

    def dynamic_reward(self, weights: Reward) -> Array:
        """Eq. 10 of every cycle, of the splits as the act gave them, (T, B)."""
        amounts = {name: self.of(name).sum(2) for name in AMOUNTS}
        return reward.dynamic_of(weights, amounts, reward.excess(self.asked_TBP, self.high_TBP))


def play(environment: MarketEnvironment, act: Act, cycles: int, *, label: str = "", unit: str = "cycle") -> Played:
    """Play so many cycles from where the environment stands.

    Args:
        act: what splits the budget; one that is `Learning` is told every cycle's outcome.
        label: of the progress bar, which counts `unit`s; without one there is no bar.
    """
    observation = environment.observe()
    amounts, asked, shares, lows, highs = [], [], [], [], []
    for _ in tqdm(range(cycles), desc=label, unit=unit, mininterval=2.0, disable=not label):
        with torch.no_grad():
            action = act(environment, observation)
            step = environment.step(action)
        if isinstance(act, Learning):
            act.learn(environment, observation, step)
        amounts.append(_amounts(step))
        asked.append(action)
        shares.append(step.share_BP)
        lows.append(observation.low_BP)
        highs.append(observation.high_BP)
        observation = step.observation
    return Played(torch.stack(amounts).cpu().numpy(), *(_whole(part) for part in (asked, shares, lows, highs)))


def _amounts(step: Step) -> Tensor:
    """`QUANTITIES` of a cycle, (B, P, Q)."""
    outcome = step.outcome
    columns = [getattr(outcome, name) for name in QUANTITIES]
    return torch.stack([torch.full_like(outcome.spend, torch.nan) if x is None else x for x in columns], 2).double()


def _whole(cycles: list[Tensor]) -> Array:
    return torch.stack(cycles).double().cpu().numpy()


__all__ = ["QUANTITIES", "Act", "Learning", "Played", "play"]

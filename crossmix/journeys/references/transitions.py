"""What the learners of values share: (s, a, r, s') of judged steps, a network, a target network that follows.

s are the features of a step, a the channel of the next exposure, r whether it was clicked, s' that exposure's features;
a user's last exposure ends the episode.

Shapes: B batch, F features, C channels.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor, nn

from crossmix.journeys.settings import Learning, laptop
from crossmix.journeys.table import Table
from crossmix.journeys.windows import Windows

WIDTH, DROPOUT = 64, 0.2
DISCOUNT = 0.9
TAU = 0.01
"""Of the target network."""
BATCH, EPOCHS, RATE = 512, 6, 1e-3


def learning(seed: int) -> Learning:
    """The small sizes of `settings.laptop`, with a seed."""
    return replace(laptop().learning, width=WIDTH, dropout=DROPOUT, seed=seed)


def net(size: int, out: int) -> nn.Sequential:
    """Two hidden layers."""
    return nn.Sequential(nn.Linear(size, WIDTH), nn.ReLU(), nn.Linear(WIDTH, WIDTH), nn.ReLU(), nn.Linear(WIDTH, out))


@dataclass(frozen=True, slots=True)
class Transitions:
    """Some transitions."""

    state_BF: Tensor
    action_B: Tensor
    reward_B: Tensor
    next_BF: Tensor
    goes_on_B: Tensor
    """0 where the next exposure is the user's last."""

    def of_action(self, value_BC: Tensor) -> Tensor:
        """The value of the action that was taken, (B,)."""
        return value_BC.gather(1, self.action_B[:, None])[:, 0]


def train(
    module: nn.Module, table: Table, windows: Windows, seed: int, loss: Callable[[Transitions, nn.Module], Tensor]
) -> nn.Module:
    """`EPOCHS` passes over the judged steps; `loss` is given the transitions and a target that follows the module."""
    row_S = np.unique(windows.row_S)
    rng = np.random.default_rng([seed, 23])
    target = copy.deepcopy(module).requires_grad_(False)
    optimiser = torch.optim.Adam(module.parameters(), RATE)
    has_next = torch.from_numpy(table.events.has_next_R)
    for _ in range(EPOCHS):
        order = row_S[rng.permutation(len(row_S))]
        for begin in range(0, len(order), BATCH):
            row_B = torch.from_numpy(order[begin : begin + BATCH])
            batch = Transitions(
                table.feature_RF[row_B],
                table.next_channel_R[row_B],
                table.next_gain_RG[row_B, 0],
                table.feature_RF[row_B + 1],
                has_next[row_B + 1].float(),
            )
            optimiser.zero_grad()
            loss(batch, target).backward()  # type: ignore[no-untyped-call]
            optimiser.step()
            with torch.no_grad():
                for slow, fast in zip(target.parameters(), module.parameters(), strict=True):
                    slow.lerp_(fast, TAU)
    return module.eval()


def build(maker: Callable[[], nn.Module], seed: int) -> nn.Module:
    """A module whose weights follow from the seed."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return maker()


def states(table: Table, windows: Windows) -> Tensor:
    """Features of the judged steps, (S, F)."""
    return table.feature_RF[torch.from_numpy(windows.row_S)]

"""Small bundles with an untrained actor, saved as the gate step saves them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch

from crossmix import bundle, constraints
from crossmix.config import Config, laptop
from crossmix.constraints import Limits
from crossmix.state import ALLOCATION

PLATFORMS = ("search", "social", "video", "shop")


CAMPAIGNS = ("allow_pickle", "b / ü")  # names that an archive of keyword arguments would trip over


class Actor(torch.nn.Module):
    """Two layers, softmax, projection: the shape of the trained policy."""

    def __init__(self, platforms: int, seed: int = 0) -> None:
        super().__init__()
        torch.manual_seed(seed)
        self.net = torch.nn.Sequential(
            torch.nn.Linear(ALLOCATION.size, 64), torch.nn.ReLU(), torch.nn.Linear(64, platforms)
        )

    def logits(self, states: torch.Tensor) -> torch.Tensor:
        logits: torch.Tensor = self.net(states)
        return logits

    def forward(self, states: torch.Tensor, low: torch.Tensor, high: torch.Tensor) -> torch.Tensor:
        return constraints.project(torch.softmax(self.logits(states), 1), low, high)


def make(
    folder: Path, *, platforms: tuple[str, ...] = PLATFORMS, seed: int = 0, config: Config | None = None
) -> bundle.Bundle:
    share = tuple([1 / len(platforms)] * len(platforms))
    limits = Limits.free(len(platforms))
    limits.step_P.fill_(0.1)
    return bundle.save(
        folder,
        Actor(len(platforms), seed),
        config=config or laptop(),
        platforms=platforms,
        limits=dict.fromkeys(CAMPAIGNS, limits),
        plans={name: bundle.Plan(1000.0, "EUR", share) for name in CAMPAIGNS},
        contexts={name: np.full(ALLOCATION.context_size, 0.1 * index) for index, name in enumerate(CAMPAIGNS)},
        responses=None,
        data_digest="d" * 64,
    )

"""A training run: how its actor starts."""

from __future__ import annotations

from dataclasses import replace

import torch

from crossmix.config import load
from crossmix.state import ALLOCATION
from crossmix.training.run import TrainingRun
from tests.support.markets import make_market


def test_training_without_contexts_starts_deaf_to_them() -> None:
    config = load("laptop", ["train.pathwise.hidden=[16,16]"])
    market = make_market(platforms=3)
    silent = replace(market, context=torch.zeros_like(market.context))
    for known, deaf in ((market, False), (silent, True)):
        weight = TrainingRun(config, known, "x").policy.trunk[0].weight
        assert bool((weight[:, : ALLOCATION.context_size] == 0).all()) == deaf
        assert (weight[:, ALLOCATION.context_size :] != 0).any()

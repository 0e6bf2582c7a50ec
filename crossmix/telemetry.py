"""The train step: training with its learning curve live in the registry's run."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from crossmix.config import Config
from crossmix.learner import training_key
from crossmix.registry import Registry
from crossmix.train import market_digest, train


def followed(config: Config, market: Path, out: Path, work: Path, home: Path) -> dict[str, Any]:
    """`crossmix.train.train`, every point of its curve logged as it comes; `register` goes on with the same run.

    Args:
        home: the run's folder, where a registry without an address of its own lives.
    """
    follower = Registry.of(config, home).follow(
        training_key(config, market_digest(market)), f"seed {config.train.seed}"
    )
    with follower as listener:
        return train(config, market, out, work, listener)

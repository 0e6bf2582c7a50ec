"""The train step: training with its learning curve live in the registry's run."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from crossmix.config import Config
from crossmix.registry.store import Registry
from crossmix.training.loop import market_digest, train
from crossmix.training.run import training_key


def followed(config: Config, market: Path, out: Path, work: Path, home: Path) -> dict[str, Any]:
    """`crossmix.training.loop.train`, its curve logged as it comes; `register` goes on with the same run.

    Args:
        home: the run's folder, where a registry without an address of its own lives.
    """
    follower = Registry.of(config, home).follow(
        training_key(config, market_digest(market)), f"seed {config.train.seed}"
    )
    with follower as listener:
        return train(config, market, out, work, listener)

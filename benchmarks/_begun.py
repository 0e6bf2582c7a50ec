"""What a benchmark of flights begins with."""

from __future__ import annotations

from pathlib import Path

import torch

from benchmarks._resumed import Resumed
from benchmarks.allocation import finished
from crossmix import bundle as bundles
from crossmix.config import Config
from crossmix.market.model import Market, load


def begun(
    run: Path | None, source: str, data: str | None, file: Path | None, seed: int, at_once: int
) -> tuple[Config, Market, bundles.Bundle, Resumed]:
    """What a benchmark of flights begins with: a run's config, fitted market and bundle, and what was measured before.

    Args:
        run, source, data: as `benchmarks.allocation.finished` takes them.
        file: where every finished part is kept, and taken from; `None`: nowhere.
        seed: of the flights.
        at_once: flights of a part.
    """
    config, folder, _ = finished(run, source, data)
    fitted, bundle = load(folder), bundles.load(folder.parents[2] / "bundle")
    torch.set_num_threads(1)
    of = {"seed": seed, "at once": at_once, "market": fitted.digest, "bundle": bundle.digest}
    return config, fitted, bundle, Resumed(file, of)

"""Readapt, as declared (`components.declared`)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from components.declared import Step
from crossmix.artifacts import Readaptation


def figures(folder: Path) -> dict[str, Any]:
    """What was kept, the oracle ratio of everything tried, how many levels moved."""
    told = Readaptation.load(folder)
    ratios = {f"{one.name}_oracle_ratio": one.oracle_ratio for one in told.tried if one.oracle_ratio is not None}
    return {"kept": told.kept, "moved": len(told.moved), **ratios}


STEP = Step(
    name="readapt",
    order=120,
    core="crossmix.training.readapt_step:readapt",
    settings=(
        "readapt.updates",
        "readapt.steps",
        "readapt.seeds",
        "levels",
        "online",
        "meta",
        "train",
        "reward",
        "market",
        "window",
        "decay",
        "serving.explore_bound",
    ),
    pipelines=("readapt",),
    figures=figures,
    shown=("kept", "moved"),
)

"""Meta, as declared (`components.declared`)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from components.declared import Step
from crossmix.artifacts import MetaTraining


def figures(folder: Path) -> dict[str, Any]:
    """Iterations, and the last validation before and after adaptation."""
    report = MetaTraining.load(folder)
    last = report.points[-1]
    return {"iterations": report.iterations, "unadapted": last.unadapted, "adapted": last.adapted}


STEP = Step(
    name="meta",
    order=80,
    core="crossmix.training.meta:meta",
    settings=("meta", "train.cycles", "train.market_seed", "reward", "market", "window", "decay"),
    resumes=True,
    figures=figures,
    shown=("adapted",),
)

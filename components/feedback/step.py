"""Feedback, as declared (`components.declared`)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from components.declared import Step
from crossmix.artifacts import FeedbackReport


def figures(folder: Path) -> dict[str, Any]:
    """Cycles that tell something, reports that are held, cycles that eq. 12 can learn from."""
    told = FeedbackReport.load(folder)
    return {"cycles": told.cycles, "held": len(told.suspects), "served": told.served}


STEP = Step(
    name="feedback",
    order=110,
    core="crossmix.ledger.step_feedback:feedback",
    settings=(
        "readapt.run",  # another run reads the ledger anew
        "readapt.at",
        "readapt.campaigns",
        "readapt.cycles",
        "online.window",
        "reward",
        "serving.guard",
        "serving.database",
        "serving.clock",
    ),
    pipelines=("readapt", "online"),
    anew=True,
    figures=figures,
    shown=("cycles", "held"),
)

"""Align, as declared (`components.declared`)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from components.declared import Step
from crossmix.artifacts import Alignment


def figures(folder: Path) -> dict[str, Any]:
    """Validation before and after, where alignment ran."""
    report = Alignment.load(folder)
    return {
        "validation_trained": report.validation_trained,
        "validation_aligned": report.validation_aligned,
        "kept": report.kept,
    }


STEP = Step(
    name="align",
    order=60,
    core="crossmix.training.align:align",
    settings=("align", "train", "reward", "limits", "market", "window", "decay"),
    figures=figures,
    shown=("kept",),
)

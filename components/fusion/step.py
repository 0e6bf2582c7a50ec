"""Fusion, as declared (`components.declared`)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from components.declared import Step
from crossmix.artifacts import FusionReport


def figures(folder: Path) -> dict[str, Any]:
    """Quality of both heads on held-out users; none for a spend history, which has no impression to judge."""
    report = FusionReport.load(folder)
    return {
        f"{head}_{name}": getattr(quality, name)
        for head, quality in (("click", report.click), ("conversion", report.conversion))
        if quality is not None
        for name in ("auc", "log_loss", "ece")
    }


STEP = Step(
    name="fusion",
    order=30,
    core="crossmix.fusion.fit:fit",
    settings=("fusion", "data.sequence_length"),
    figures=figures,
    shown=("click_auc", "conversion_auc"),
)

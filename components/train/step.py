"""Train, as declared (`components.declared`)."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any

from components.declared import Step
from crossmix.artifacts import Curve


def figures(folder: Path) -> dict[str, Any]:
    """The uniform split's quality, and the best policy's."""
    curve = Curve.load(folder)
    return {"uniform_ratio": curve.uniform_ratio, **asdict(curve.best)}


STEP = Step(
    name="train",
    order=50,
    core="crossmix.registry.step_train:followed",
    settings=("train", "reward", "market", "window", "decay"),
    aside=("registry",),  # where the learning curve is followed live
    resumes=True,
    figures=figures,
    shown=("validation_ratio",),
)

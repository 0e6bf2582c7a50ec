"""Train, as declared (`components.declared`)."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any

from components.declared import Step, Task
from crossmix.artifacts import CreatorsTrained, Curve


def figures(folder: Path) -> dict[str, Any]:
    """The uniform split's quality, and the best policy's."""
    curve = Curve.load(folder)
    return {"uniform_ratio": curve.uniform_ratio, **asdict(curve.best)}


def predictor(folder: Path) -> dict[str, Any]:
    """What the predictor was fitted on, and the spreads that it found."""
    trained = CreatorsTrained.load(folder)
    return {"results": trained.results, "tau": trained.tau, "sigma": trained.sigma}


STEP = Step(
    name="train",
    order=50,
    core="crossmix.registry.step_train:followed",
    settings=("train", "reward", "market", "window", "decay"),
    aside=("registry",),  # where the learning curve is followed live
    resumes=True,
    figures=figures,
    shown=("validation_ratio",),
    tasks=(
        Task(
            name="creators",
            core="crossmix.creators.step_train:train",
            settings=(
                "creators.agent",
                "creators.effects",
                "creators.walk",
                "creators.briefs",
                "creators.solver.rounds",
            ),
            figures=predictor,
            shown=("results", "tau", "sigma"),
        ),
    ),
)

"""Train, as declared (`components.declared`)."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any

from components.declared import Step, Task
from crossmix.artifacts import CreatorsTrained, Curve, JourneysTrained


def figures(folder: Path) -> dict[str, Any]:
    """The uniform split's quality, and the best policy's."""
    curve = Curve.load(folder)
    return {"uniform_ratio": curve.uniform_ratio, **asdict(curve.best)}


def predictor(folder: Path) -> dict[str, Any]:
    """What the predictor was fitted on, and the spreads that it found."""
    trained = CreatorsTrained.load(folder)
    return {"results": trained.results, "tau": trained.tau, "sigma": trained.sigma}


def learned(folder: Path) -> dict[str, Any]:
    """Whom the response model was learned from."""
    trained = JourneysTrained.load(folder)
    return {"users": trained.users, "steps": trained.steps, "clicks": trained.clicks}


def journeys_told(folder: Path) -> tuple[str, ...]:
    """Whether journeys tell anything of the next channel."""
    trained = JourneysTrained.found(folder)
    return () if trained is None else (trained.told,)


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
            resumes=True,
            figures=predictor,
            shown=("results", "tau", "sigma"),
        ),
        Task(
            name="journeys",
            core="crossmix.journeys.step_train:train",
            settings=(
                "data.holdout_users",
                "data.sequence_length",
                "data.platform_groups",
                "data.keep_platforms",
                "journeys.window",
                "journeys.stride",
                "journeys.lately",
                "journeys.summaries",
                "journeys.encoder",
                "journeys.validation",
                "journeys.learning",
                "journeys.mtorl",
                "journeys.most_users",
            ),
            resumes=True,
            figures=learned,
            shown=("users", "clicks"),
            told=journeys_told,
        ),
    ),
)

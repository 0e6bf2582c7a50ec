"""What the gate step of a task other than the split tells: its figures, whatever they are of."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

from crossmix.artifacts.file import Artifact, Part


@dataclass(frozen=True, kw_only=True, slots=True)
class TaskFigure(Part):
    """One figure, with what a reader needs to know of it."""

    label: str
    mean: float
    ci95: tuple[float, float] | None
    """95 % interval; null where there is none."""
    meaning: str
    """What it is of, in a few words."""
    form: Literal["share", "number"] = "number"
    """How it is written: as a percentage, or as a number."""


@dataclass(frozen=True, kw_only=True, slots=True)
class TaskJudged(Artifact):
    """The figures of a judged bundle; summary.json, the terminal, the report and the registry show them."""

    FILE: ClassVar[str] = "figures.json"

    task: Literal["journeys", "creators"]
    headline: str
    """One sentence: how good it is."""
    judged: str
    """Key of the figure by which the registry compares versions."""
    figures: dict[str, TaskFigure]
    """By key, in the order in which they are shown; finite all of them."""
    generated: bool
    """Whether what it learned from comes from our own generator."""
    rows: int
    """Of what it learned from: users, creators."""

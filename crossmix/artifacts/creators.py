"""What the steps of task `creators` tell: who can be bought, what was fitted, how every brief was answered."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from crossmix.artifacts.file import Artifact, Part

PLAN, LEFTOVERS, TEMPLATE = "plan", "template, leftovers spent", "template"
"""Planners of a brief."""


@dataclass(frozen=True, kw_only=True, slots=True)
class ChannelCreators(Part):
    """Creators of one channel."""

    creators: int
    median_followers: float
    median_price: float
    """Currency per collaboration."""
    median_rate: float
    """Interactions per impression."""
    results: int
    """Past results of all of them."""


@dataclass(frozen=True, kw_only=True, slots=True)
class CatalogueReport(Artifact):
    """The catalogue that was read or generated."""

    FILE: ClassVar[str] = "catalogue.json"

    source: str
    digest: str
    """SHA-256 of its content."""
    generated: bool
    currency: str | None
    """Null where the file names none."""
    creators: int
    with_results: int
    """Creators with a past result."""
    results: int
    """Past results of all."""
    categories: dict[str, int]
    """Category to its creators."""
    contents: dict[str, int]
    """Content type to its creators."""
    channels: dict[str, ChannelCreators]


@dataclass(frozen=True, kw_only=True, slots=True)
class WalkTraining(Part):
    """DDPG on the walk."""

    episodes: int
    updates: int
    briefs: int
    """Different briefs that the episodes walk."""
    returns: tuple[float, ...]
    """Mean return of twenty equal parts of the training, in order."""


@dataclass(frozen=True, kw_only=True, slots=True)
class CreatorsTrained(Artifact):
    """The fitted predictor, and the walk's training where there was one."""

    FILE: ClassVar[str] = "trained.json"

    agent: str
    results: int
    """Past results behind the predictor."""
    tau: float
    """Deviation of a creator's own log effect from what its features tell."""
    sigma: float
    """Deviation of the log of one result from the creator's own."""
    walk: WalkTraining | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class PlayedBrief(Part):
    """One brief, answered and judged; planners are `PLAN`, and the template with and without its leftovers spent."""

    name: str
    budget: float
    currency: str
    channels: tuple[str, ...]
    phases: tuple[str, ...]
    tiers: tuple[str, ...]
    bound: float
    """No plan's expected effect lies above."""
    expected: dict[str, float]
    """Planner to the expected effect of its plan."""
    judged: dict[str, float]
    """Planner to the effect of its plan by effects and audiences that it has not seen; empty where there are none."""
    cost: dict[str, float]
    """Planner to currency."""
    creators: int
    """That the plan buys."""
    broken: tuple[str, ...]
    """Rules that the plan breaks."""
    seconds: float
    """Processor time of the plan."""
    spend: tuple[float, ...]
    """Of the plan by cell, currency: channel, then phase, then tier."""

    @property
    def share(self) -> float:
        """Expected effect of the plan over the bound."""
        return self.expected[PLAN] / self.bound


@dataclass(frozen=True, kw_only=True, slots=True)
class CalibrationBin(Part):
    """Held-out past results of like prediction."""

    predicted: float
    """Mean predicted log effect."""
    observed: float
    """Mean log of the results."""
    low: float
    """Of its 95 % interval."""
    high: float
    results: int


@dataclass(frozen=True, kw_only=True, slots=True)
class PredictorCalibration(Part):
    """How the predictor does on past results that it was not fitted on."""

    results: int
    slope: float
    """Of log results on their predictions."""
    slope_error: float
    coverage: float
    """Share of results within the predicted 80 % interval."""
    promised_over_gave: float
    """Sum of predicted effects over the sum of results."""
    picked: float
    """The same of the tenth that promises most."""
    picked_raw: float
    """The same, picked and predicted by each creator's own mean: the winner's curse."""
    bins: tuple[CalibrationBin, ...]
    """By rising prediction."""


@dataclass(frozen=True, kw_only=True, slots=True)
class CreatorsJudged(Artifact):
    """The judge's figures of a planner of creators."""

    FILE: ClassVar[str] = "briefs.json"

    agent: str
    judged_by: str
    """What the effects are that plans are judged by, in words."""
    seed: int
    """Of the briefs (`creators.briefs.seed`)."""
    passed_over: int
    """Drawn briefs that no plan can meet."""
    briefs: tuple[PlayedBrief, ...]
    calibration: PredictorCalibration | None = None
    """Absent where there are too few past results to hold some out."""

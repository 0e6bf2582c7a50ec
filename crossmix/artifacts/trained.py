"""What the train, align and meta steps tell of learning."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

from crossmix.artifacts.file import Artifact, Part


@dataclass(frozen=True, kw_only=True, slots=True)
class Best(Part):
    """The best point of a learning curve."""

    phase: str
    update: int
    validation_ratio: float
    """Expected revenue over the oracle's in the same states."""
    validation_roi: float
    """Expected revenue over planned budget."""


@dataclass(frozen=True, kw_only=True, slots=True)
class CurvePoint(Best):
    """One validation."""

    OPEN: ClassVar[str] = "figures"

    env_steps: int
    """Campaign cycles played so far."""
    seconds: float
    """Since the training began."""
    validation_seconds: float
    """Processor seconds of all validations so far."""
    share: tuple[float, ...]
    """Mean split over the validation markets, per platform."""
    figures: dict[str, float]
    """What the round's algorithms tell, by the names they give: `ppo_entropy`, ..."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Curve(Artifact):
    """The learning curve."""

    FILE: ClassVar[str] = "curve.json"

    points: tuple[CurvePoint, ...]
    stopped: str
    """Why training ended."""
    best: Best
    """The point whose actor was kept."""
    uniform_ratio: float
    """The uniform split's revenue over the oracle's."""
    env_steps: int
    """Campaign cycles played in all."""
    seed: int
    """Training seed."""
    market_seed: int
    agent: str
    """`config.train.agent`."""
    key: str
    """Digest of the training: names its run in the registry."""
    ranks: int
    """Processes that trained together."""
    platforms: tuple[str, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class Alignment(Artifact):
    """What adversarial alignment found; where it did not run, `too_few` and `enough` may say why."""

    FILE: ClassVar[str] = "align.json"

    target: Literal["market", "policy", "off"]
    """What the discriminator was to move."""
    kept: Literal["trained", "aligned"]
    """Which policy goes on."""
    too_few: int | None = None
    """Logged transitions, where they were fewer than `enough`."""
    enough: int | None = None
    discriminator_loss: tuple[float, ...] | None = None
    """Nats, mean over `every` updates; as the next."""
    generator_loss: tuple[float, ...] | None = None
    accuracy_held_out: tuple[float, ...] | None = None
    """Of the discriminator, on transitions that it never saw."""
    every: int | None = None
    """Updates per point of the three above."""
    logged_transitions: int | None = None
    """Transitions learned from."""
    held_out_transitions: int | None = None
    multipliers_found: tuple[tuple[float, ...], ...] | None = None
    """By quantity and platform, before those near 1 are taken as 1."""
    multipliers: dict[str, dict[str, float]] | None = None
    """Platform to quantity to the factor on the market's parameter; 1: not moved."""
    validation_trained: float | None = None
    """Revenue over the oracle's of the trained policy, in the market that the new one is for."""
    validation_aligned: float | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class MetaPoint(Part):
    """One validation of meta-training, on held-out tasks."""

    iteration: int
    seconds: float
    """Since meta-training began."""
    revenue: float
    """Of the trained policy, not adapted: what the next two are shares of; currency."""
    unadapted: float
    """Revenue of the start itself, over `revenue`."""
    adapted: float
    """Revenue after the inner steps, over `revenue`."""


@dataclass(frozen=True, kw_only=True, slots=True)
class MetaTraining(Artifact):
    """The curve of meta-training."""

    FILE: ClassVar[str] = "meta.json"

    points: tuple[MetaPoint, ...]
    iterations: int
    best: int
    """Iteration whose start was kept."""
    rates: dict[str, float]
    """Inner rate of every parameter tensor."""

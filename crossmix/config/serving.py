"""Settings of what comes after: registry, server, experiment, monitors (§2.4)."""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import pairwise
from typing import Annotated, Any

from pydantic import AfterValidator, Field

from crossmix.config.values import STRICT, Fraction, Name, NonNegative, Positive, PositiveInt


@dataclass(frozen=True, kw_only=True, slots=True)
class Registry:
    """Where models are registered (MLflow)."""

    __pydantic_config__ = STRICT
    tracking_uri: str | None = None
    """MLflow tracking URI; `None`: sqlite in the run's own folder."""
    experiment: str = "crossmix"
    """Name of the MLflow experiment that runs are tracked in; no experiment of served arms."""
    model: str = "crossmix-policy"
    """Name of the registered model of splits."""
    journey_model: str = "crossmix-journey"
    """Name of the registered model of journeys."""
    creators_model: str = "crossmix-creators"
    """Name of the registered model of creators."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Guardrails:
    """What ends a running experiment before its time, and rolls the policy back."""

    __pydantic_config__ = STRICT
    roi_drop: NonNegative = 0.0
    """Ends it when an interval of the lift of ROI lies wholly below minus this: of all cycles, or of the newest."""
    utilisation_drop: Positive = 0.2
    """Ends it when the policy's utilisation lies this far, relative, below the control's, so too."""
    cpa_rise: Positive = 0.3
    """Ends it when an interval of the rise of CPA lies wholly above this."""
    window: Annotated[int, Field(ge=3)] = 5
    """Newest cycles that are looked at alone; half as many and one, and twice as many, are looked at too."""
    false_stops: Annotated[float, Field(gt=0, le=0.5)] = 0.01
    """Chance that they ever end an experiment in which the policy does no harm, however long it runs and in however
    many currencies."""


def _rising(steps: tuple[float, ...]) -> tuple[float, ...]:
    if any(later <= before for before, later in pairwise(steps)) or steps[-1] > 1 or steps[0] <= 0 or steps[0] == 1:
        raise ValueError("rising parts above 0, the last at most 1, as 0.1, 0.2, 0.5, 1")
    return steps


@dataclass(frozen=True, kw_only=True, slots=True)
class Canary:
    """A version on trial beside the champion, with a part of the policy's users."""

    __pydantic_config__ = STRICT
    steps: Annotated[tuple[float, ...], Field(min_length=1), AfterValidator(_rising)] = (0.1, 0.2, 0.5, 1.0)
    """Its part of the policy's users and budget, step by step, rising; at 1 nothing is left to compare with: it is
    promoted."""
    cycles: Annotated[int, Field(ge=3)] = 7
    """Cycles with feedback that each step lasts."""
    roi_drop: Annotated[float, Field(ge=0, lt=1)] = 0.0
    """Stops it when the interval of the lift of its ROI over the policy's lies wholly below minus this."""
    false_stops: Annotated[float, Field(gt=0, le=0.5)] = 0.05
    """Chance that a canary that does no harm is stopped, over all its steps."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Guard:
    """What the server takes missing reports for, and which reports it does not believe."""

    __pydantic_config__ = STRICT
    silent: PositiveInt = 10
    """Cycles in which a platform reports nothing, while others do, after which its money counts as unspent and its
    share is at most `limits.probe` until it delivers."""
    hold: PositiveInt = 10
    """Cycles on end of which a platform's reports may be held while its statistics are those of the good ones before;
    then they are those of the log, which the policy began with."""
    factor: Annotated[float, Field(gt=1)] = 4.0
    """A quantity so many times what was fitted, or as small a part of it, is taken for a broken feed, not a market."""
    z: Positive = 5.5
    """Standard deviations from what may be at which a cell is held."""
    alike: NonNegative = 0.1
    """Standard deviation of the log by which two arms of one market may differ beside chance."""
    overspend: NonNegative = 0.1
    """Part of what was told that a platform may spend beyond it."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Serving:
    """The server and its experiment (§2.4: 7:3)."""

    __pydantic_config__ = STRICT
    experiment: Annotated[str, Field(min_length=1)] = "first"
    """Id of the first experiment, which begins with an empty database; crossmix experiment begin begins others."""
    salt: Annotated[str, Field(min_length=1)] | None = None
    """Shuffles its users into arms; null: random, kept in the database and shown nowhere."""
    weight: Fraction = 0.7
    """The policy arm's part of its users and of the budget (§2.4: 0.7), whole ten-thousandths."""
    days: PositiveInt = 14
    """Its planned cycles (§3: 14 days); crossmix experiment extend gives it more."""
    level: Annotated[float, Field(gt=0, le=0.5)] = 0.05
    """Chance of a false positive of its tests."""
    guardrails: Guardrails = field(default_factory=Guardrails)
    """What ends it early."""
    canary: Canary = field(default_factory=Canary)
    """How a new version is tried before everybody gets it."""
    guard: Guard = field(default_factory=Guard)
    """What missing reports are taken for, and which are not believed."""
    clock: str | None = None
    """File with the time, as 2026-01-05T09:00:00Z, that a driver moves; null: the machine's clock."""
    explore: bool = True
    """The policy arm explores around the policy's logits with deviation `online.sigma`."""
    explore_bound: Positive = 2.0
    """Largest exploration of a logit, in deviations."""
    state_seconds: Positive = 2.0
    """How often a campaign's state is read anew from the feature store."""
    watch_seconds: Positive = 2.0
    """How often the registry is asked which version is champion."""
    database: str | None = None
    """SQLAlchemy URL of campaigns, feedback and audit; null: sqlite `serving.db` in the server's folder."""
    largest_body: PositiveInt = 1_048_576
    """Largest request body, bytes, once decoded."""
    largest_batch: PositiveInt = 16_777_216
    """Largest body of feedback or of an import of campaigns, bytes, once decoded: room for 10,000 of the longest."""
    waiting: PositiveInt = 64
    """Requests of feedback that may wait for the database, and as many that change campaigns; one more is 503."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Monitor:
    """What watches served campaigns; every file of `monitoring` that registers a monitor adds its name."""

    __pydantic_config__ = STRICT
    watch: tuple[Name, ...] = ("late_feed", "undelivered", "feed", "residuals", "roi", "regret")
    """Monitors that look, in this order."""
    settings: dict[Name, dict[Name, Any]] = field(default_factory=dict)
    """Monitor to its own settings, where they are not its defaults."""

"""What the steps of task `journeys` tell: what was learned from whom, and what it earns."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from crossmix.artifacts.file import Artifact, Part

ESTIMATED = "none: estimated from the log's propensities, doubly robust"
"""`JourneysJudged.world` where players are judged by a log that says with which chance it took its channels."""


@dataclass(frozen=True, kw_only=True, slots=True)
class JourneysTrained(Artifact):
    """A trained response model, and MTORL beside it."""

    FILE: ClassVar[str] = "journeys_trained.json"

    encoder: str
    users: int
    """Learned from."""
    steps: int
    """Learned from: exposures with one before them."""
    clicks: int
    """Of them."""
    response_loss: tuple[float, ...]
    """Of validation users by epoch: cross-entropy of click plus that of conversion, nats a step."""
    mtorl_loss: tuple[float, ...]
    """Of validation users by epoch: eq. 16."""
    told: str
    """Whether journeys tell anything of the next channel, a sentence."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Earned(Part):
    """One player of Algorithm 1."""

    revenue_per_cost: float
    low: float
    high: float
    """95 % interval."""
    spent: float
    """Share of the budget."""


@dataclass(frozen=True, kw_only=True, slots=True)
class JourneysJudged(Artifact):
    """What was measured on test users."""

    FILE: ClassVar[str] = "journeys.json"

    users: int
    steps: int
    auc: float | None
    """Of the click, at the channel that the log took; null where no test user clicked, or all did."""
    own_auc: float | None
    """Of own click share, which does not know that channel."""
    reference_auc: float | None
    """Of own click share with an intercept for that channel: what the model has to beat."""
    slope: float
    """Calibration slope of clicks."""
    conversion_slope: float
    """Calibration slope of conversions; no gate asks for it."""
    conversion_slope_error: float
    """Its standard error."""
    conversions: int
    """Of test users, after another exposure."""
    click_ratio: float | None
    """Clicks predicted over observed."""
    conversion_ratio: float | None
    """The same of conversions; null without one."""
    value_ratio: float | None
    """The same of value, by each campaign's worth of a conversion."""
    imitation: float
    """MTORL's negative log-likelihood of the next channel less the cache mixture's, nats a step."""
    told: str
    world: str
    """Of the world that was played in; `ESTIMATED` where propensities told; empty where neither is known."""
    players: dict[str, Earned]
    """By name; empty where neither a world nor propensities are known."""
    best_users: float
    """Click rate of the 30 % of users with the highest predicted response over that of all, on test steps."""
    agreement: dict[str, float]
    """The seed's reward, clicks where the told channel is the log's over exposures: of MTORL, the log, repeat-last. It
    pays for agreeing with the log."""
    shadow: dict[str, float]
    """Campaign to lambda."""

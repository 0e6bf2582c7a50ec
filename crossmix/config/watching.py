"""Settings of watching a served campaign: how far the market is taken to have moved."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from pydantic import Field

from crossmix.config.values import STRICT, NonNegative, NonNegativeInt, Positive


@dataclass(frozen=True, kw_only=True, slots=True)
class Levels:
    """The law of lasting moves (`crossmix.market.levels`): how often, how far, how fast; for every quantity."""

    __pydantic_config__ = STRICT
    moved: Annotated[float, Field(gt=0, lt=1)] = 0.03
    """Prior probability that a quantity of a campaign's platform is not where it was fitted."""
    size: Positive = 1.0
    """Standard deviation of the logarithm of a move; ln 2 is 0.69."""
    walk: NonNegative = 0.003
    """Variance that the logarithm of a level that has moved gains per day: a walk of 5 % a day."""
    fade: Annotated[float, Field(ge=0, lt=1)] = 0.07
    """Part of the evidence for or against a move that is forgotten per day in which the quantity was seen."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Thresholds:
    """From when on residuals alarm: found on quiet flights of the fitted market (`crossmix.evaluate.watch.quiet`)."""

    __pydantic_config__ = STRICT
    budget: Positive = 0.5
    """False alerts per 30 quiet days of an advertiser, of all platforms and quantities together."""
    reference: NonNegative = 0.5
    """What CUSUM takes off each day's residual, standard deviations: it finds moves of twice as much soonest."""
    cooldown: NonNegative = 7.0
    """Days in which a platform's quantity that alarmed does not alarm again; a cycle at least."""
    flights: NonNegativeInt = 40
    """Quiet flights of all campaigns; 0: none, and the bundle carries no thresholds."""
    days: Positive = 90.0
    """Days of each."""
    weight: Annotated[float, Field(gt=0, le=1)] = 0.7
    """The policy's part of users and budget in them, as `serving.weight`; the static split has the rest."""
    seed: int = 7_900_000
    """Of their market; that of no other flights."""

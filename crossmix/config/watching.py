"""Settings of watching a served campaign: how far the market is taken to have moved."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from pydantic import Field

from crossmix.config.values import STRICT, NonNegative, Positive


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

"""Groups of test users that play in a planted world: each with a budget of its own, so that there is an interval.

Shapes: K blocks.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.stats import t

from crossmix.journeys.log import Floats
from crossmix.journeys.score import LEVEL, Figure
from crossmix.journeys.simulate import Played

RESPONSE, LOG, EQ17, ORACLE = "response", "log", "eq. 17", "oracle"
OWN_CLICKS = "best, own clicks"
"""One best channel, users ranked by their own clicks: the simplest that says whom to show an ad."""


@dataclass(frozen=True, slots=True)
class Block:
    """What every player earned with one group of users."""

    played: tuple[Played, ...]

    def of(self, name: str) -> Played:
        """One player's."""
        return next(one for one in self.played if one.name == name)


def lead(blocks: Sequence[Block], other: str) -> Figure:
    """Revenue per cost of the response model less another's, mean over blocks; Student's interval, paired by block."""
    return student([block.of(RESPONSE).per_cost - block.of(other).per_cost for block in blocks])


def per_cost(blocks: Sequence[Block], name: str) -> Figure:
    """Revenue per cost of a player."""
    return student([block.of(name).per_cost for block in blocks])


def spent(blocks: Sequence[Block], name: str) -> tuple[float, float]:
    """What a player spent of all budgets together, and of the one of which it spent least."""
    played = [block.of(name) for block in blocks]
    whole = sum(one.cost for one in played) / sum(one.budget for one in played)
    return whole, min(one.cost / one.budget for one in played)


def student(values: Sequence[float] | Floats) -> Figure:
    """Mean with its interval."""
    value_K = np.asarray(values, float)
    half = float(t.ppf((1 + LEVEL) / 2, len(value_K) - 1) * value_K.std(ddof=1) / np.sqrt(len(value_K)))
    mean = float(value_K.mean())
    return Figure(mean, mean - half, mean + half)

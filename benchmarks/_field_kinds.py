"""The kinds of planted worlds (`benchmarks._field_worlds`): how each differs from the plain one, and its goal.

`KINDS` of family `power` have responses that are power laws from money to impressions to clicks to conversions, each
kind bent in its own way. The other families (`_field_responses`) are responses that no fit contains.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Kind:
    """How a world differs from the plain one."""

    goal: float
    """Mean regret of the recommended split that is wanted, of the optimum's revenue."""
    family: str = "power"
    days: int = 182
    wander: float = 0.35
    """Stationary deviation of ln spend."""
    weekly: bool = False
    conversions: float | None = None
    """A day in all at the reference spend; `None`: as drawn, about 50."""
    demand: float = 0.0
    """Deviation of ln demand, which moves spend and volumes together."""
    delayed: bool = False
    lagged: bool = False
    """Conversions, and their revenue with them, come days after their click (`_field_worlds.LAG`)."""
    fading: bool = False
    """Impressions and clicks in proportion to money, conversions ~ clicks^eta, eta 0.64 to 0.72."""
    spread: bool = False
    """Elasticities from 0.36 to 0.93."""
    campaigns: str = "one"
    """one, holes (two by two, a campaign on one platform only), apart (each on a platform of its own), many (60)."""
    late: bool = False
    moves: str = ""
    """What today is no longer like the history's mean: grows, shrinks (all platforms, along the whole history), steps
    (one platform, from some day on)."""
    together_of: str = ""
    """The kind whose worlds these are, with all campaigns read as one account (`data.campaigns=together`)."""
    budgets: tuple[int, float] | None = None
    """From which day on all spend is how many times as large; `None`: it only wanders."""


def _outside(family: str) -> dict[str, Kind]:
    return {
        family: Kind(0.015, family),
        f"{family}-56-days": Kind(0.015, family, days=56),
        f"{family}-28-a-day": Kind(0.015, family, conversions=28),
    }


INSIDE: dict[str, Kind] = {
    "plain": Kind(0.01),
    "56-days": Kind(0.01, days=56),
    "weekly": Kind(0.01, days=364, weekly=True),
    "28-a-day": Kind(0.01, conversions=28),
    "steady": Kind(0.01, wander=0.06),
    "demand": Kind(0.01, demand=0.2),
    "delayed": Kind(0.01, delayed=True),
    "lagged": Kind(0.015, lagged=True),
    "fading": Kind(0.015, fading=True),
    "spread": Kind(0.015, spread=True),
    "holes": Kind(0.02, days=120, campaigns="holes"),
    "apart": Kind(0.02, days=120, campaigns="apart"),
    "apart-together": Kind(0.02, days=120, campaigns="apart", together_of="apart"),
    "late": Kind(0.02, days=120, late=True),
    "growing": Kind(0.015, moves="grows"),
    "shrinking": Kind(0.015, moves="shrinks"),
    "moved": Kind(0.015, moves="steps"),
}
"""What a fit may contain, by name."""
OUTSIDE: dict[str, Kind] = _outside("hill") | _outside("logarithm") | _outside("auction") | _outside("carry-over")
"""What no fit contains."""
KINDS = INSIDE | OUTSIDE
SIXTY = "sixty"
"""Sixty campaigns on four platforms, for what they cost; no goal of regret."""

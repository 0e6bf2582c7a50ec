"""What the gate step tells of the change that a spend history's market recommends, and how sure it is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from crossmix.artifacts.file import Artifact, Part


@dataclass(frozen=True, kw_only=True, slots=True)
class PlatformChange(Part):
    """One platform of a campaign; money in currency per cycle."""

    platform: str
    today: float
    """Share of the budget."""
    best: float
    """Share that the change leads to."""
    revenue_today: float
    revenue_best: float
    marginal_roi: float | None
    """At today's share; null where the campaign was never tried there."""
    elasticity_error: float | None
    """Standard error of d ln revenue / d ln spend by the history's data alone; null: they do not tell it."""
    tried: bool
    """Whether the campaign spent there within the cycles that are fitted on, the last 400."""
    counted: bool = True
    """Whether a proof counts on its revenue: not where it was never tried and gets a probe at most, whose revenue is
    borrowed from others."""
    together: bool = False
    """Whether the change moves its budget, which only ever moved together with all others', so that nothing tells what
    money does from what demand does."""
    follows: float = 0.0
    """Probability that its spend follows its own demand, so that money moves its sales less than they rise with it."""
    demand_led: bool = False
    """Whether that is what most keeps the change from being sure."""
    began: str | None = None
    """ISO 8601 date of its first cycle with spend, where that lies within the held-out weeks: what the fit of the time
    before them says of it is borrowed from like platforms; null: it began before, or was never tried."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Contradiction(Part):
    """Money that moved in the held-out weeks and answered otherwise than the fit of the time before them says, so that
    the change surely loses by it; currency per cycle."""

    since: str
    until: str
    """ISO 8601 dates of the first and the last held-out cycle; "": not known."""
    platform: str
    """On which the change loses most by it."""
    expected: float
    """What the change brings there by that fit."""
    came: float
    """By the answer to money that those weeks show."""
    gain: float
    """Of the whole change, by that answer."""
    at_most: float
    """Its upper end, of 97.5 %."""


@dataclass(frozen=True, kw_only=True, slots=True)
class FirstTest(Part):
    """Money moved on purpose that would settle the decision; currency per cycle."""

    platform: str
    low: float
    high: float
    """The same as `low` where the platform was never tried."""
    block: int
    """Cycles at one amount before the other."""
    cycles: int
    """In all."""
    elasticity_error: float | None
    """Standard error of the platform's elasticity afterwards; null where it was never tried."""
    settles: bool
    """Whether that is enough to tell the platform's marginal ROI from the others'."""
    usual_cycles: int | None = None
    """What a step of 30 % would take, where that is too long to be of use and the step is larger."""
    needed_cycles: int | None = None
    """What this one would take to be enough, where that is too long to be of use; null: it is enough as it is."""


@dataclass(frozen=True, kw_only=True, slots=True)
class CampaignDecision(Part):
    """One campaign's recommended change; money in currency per cycle."""

    campaign: str
    budget: float
    proved: bool
    """Whether draws and held-out weeks say that the change earns more, as surely as `sure`."""
    part: float
    """Of the way from today's split to the best one (within `new`): the longest that is proved; where none is, all."""
    revenue: float
    """Expected as today, by the fit on all of the history, which answers."""
    gain: float
    """Mean of what the change is expected to earn more."""
    gain_interval: tuple[float, float]
    """Its interval of probability 2 `sure` - 1, whose lower end is above 0 where the probability reaches `sure`."""
    probability: float
    """That it earns more."""
    weeks: tuple[float, float, float] | None
    """What the change would have gained on average in the held-out blocks at the levels that came, by the fit of the
    time before them, with its interval of the same probability; null without blocks."""
    blocks: int
    """Held-out blocks."""
    more_cycles: int | None
    """Cycles more after which the gain would be sure, were all else the same; null: no length would do."""
    platforms: tuple[PlatformChange, ...]
    first_test: FirstTest
    new: float | None = None
    """Largest share that the best split was let give a platform where the campaign never spent, since more of it could
    not be proved; null: whatever the limits leave."""
    withheld: str | None = None
    """Why nothing is said to be proved, whatever the draws say; null: nothing stands against it."""
    ended: str | None = None
    """ISO 8601 date of the last cycle with spend of a campaign that is over: its budget here is what it spent then."""
    contradicted: Contradiction | None = None
    """What of the held-out weeks speaks against the change whatever all of the history says; null: nothing does."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Decision(Artifact):
    """The decisions of all campaigns, and how well held-out weeks were predicted."""

    FILE: ClassVar[str] = "decision.json"

    currency: str
    cycle_hours: int
    cycles: int
    """Of the history."""
    held_out: int
    """Of them, after those of the market that they are held against."""
    miss: float | None
    """Root mean square of ln booked over predicted revenue, a block ahead at the spend that happened."""
    miss_as_before: float | None
    """The same of a prediction that takes no notice of spend."""
    margin: float
    """Relative error of every platform's revenue at which the gain is gone at worst."""
    sure: float
    """Probability from which a change counts as proved (`gates.decision`)."""
    plausible: float
    """From which as plausible (`gates.plausible`)."""
    campaigns: tuple[CampaignDecision, ...]


LEAST_PROOF = 28
"""Cycles of a history below which nothing is proved: the 30 % that judge are too few to tell a gain from luck."""


def too_short(cycles: int, cycle_hours: int) -> str | None:
    """Why nothing of a short history is proved; `None`: it is long enough."""
    if cycles >= LEAST_PROOF:
        return None
    more = LEAST_PROOF - cycles
    one, many = {24: ("day", "days"), 168: ("week", "weeks")}.get(
        cycle_hours, (f"cycle of {cycle_hours} h", f"cycles of {cycle_hours} h")
    )
    return (
        f"the history has {cycles} {many}, and a proof needs {LEAST_PROOF}, {more} {one if more == 1 else many} more; "
        "until then answers are the fit's, with intervals as wide as so few leave them, and a first experiment"
    )

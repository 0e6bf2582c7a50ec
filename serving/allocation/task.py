"""A question with all that its answer needs, and what its cycle says of it: when it begins, whether it stands still.

Shapes: P platforms, S state; before_TDP as `crossmix.reasons.Decided`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any

from numpy.typing import NDArray

from crossmix import constraints
from crossmix.clock import LATEST
from serving.allocation.question import Question, QuestionError
from serving.allocation.unseen import Unseen

if TYPE_CHECKING:
    from crossmix.ledger.campaigns import Campaign
    from serving.live.snapshot import Planned

Array = NDArray[Any]


@dataclass(slots=True)
class Task:
    """A question with all that its answer needs."""

    question: Question
    epoch: tuple[Any, ...]
    """What the answer follows from, as it was before anything of it was read."""
    arm: str
    planned: Planned
    cycle: int
    now: float
    limits: constraints.Limits[Array]
    previous_P: Array | None
    low_P: Array
    high_P: Array
    state_S: Array
    budget: float
    weight: float
    """The arm's part of the campaign's supply."""
    source: str
    as_of: float
    notes: list[str]
    unseen: Unseen
    target_P: Array | None = None
    """A split to serve instead of the policy's."""
    noise_P: Array | None = None
    before_TDP: Array | None = None
    """As `crossmix.reasons.Decided`."""
    asks_before: bool = False
    """It would know of the cycles before, and does not yet."""
    reasons: list[str] = field(default_factory=list)
    """What holds for the answer as a whole, a sentence each; beside what `crossmix.reasons.overall` says."""


def begins_of(campaign: Campaign, cycle: int, question: Question) -> datetime:
    """When a cycle begins, UTC; raises `QuestionError` for one beyond all calendars."""
    try:
        begins = campaign.begins(cycle)
    except OverflowError:
        begins = None
    if begins is None or begins > LATEST:
        last = f"it has the cycles 0 to {campaign.cycles - 1}"
        raise QuestionError(
            f"{question.where}.cycle: {cycle} of {campaign.campaign_id!r} begins after {LATEST.year}; {last}, give one"
        )
    return begins


def stopped_by(campaign: Campaign, cycle: int) -> str | None:
    """Why the campaign spends nothing in a cycle; `None`: it does not stand still."""
    if campaign.paused:
        return "the campaign is paused: it spends nothing until it is resumed"
    if cycle < 0:
        return f"the campaign starts {campaign.starts.isoformat()}: it spends nothing before"
    if cycle >= campaign.cycles:
        return f"the campaign's {campaign.cycles} cycles are over: it spends nothing more"
    return None

"""Which experiment's arms hold when: experiments follow each other, each from the first cycle that begins in it.

A cycle belongs to the experiment that ran as it began, from its begin to its end, both moments included; of two that
did to the later, before the first one to the first. So an end at that very moment changes nothing that was told of the
cycle: an end, and a ship, hold for the cycles that begin after it. When an experiment ends, everybody gets one arm: the
policy where it was shipped, else the control; where the next one replaced it as it began,
the cycles under way are finished as they were.

A version on trial, the canary, has a part of the policy's users in the cycles that begin while it runs; each of its
steps has the cycles that begin in it. Whoever a cycle began with ends it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Protocol, TypeVar

POLICY, CANARY = "policy", "canary"
SHIPPED, REPLACED = "shipped", "replaced"
"""Outcomes of an experiment."""


class Term(Protocol):
    """An experiment's time."""

    @property
    def weights(self) -> Mapping[str, float]:
        """Arm to its share."""

    @property
    def started(self) -> datetime | None:
        """UTC."""

    @property
    def ended(self) -> datetime | None:
        """UTC; `None` while it runs."""

    @property
    def outcome(self) -> str | None:
        """`SHIPPED`, `REPLACED`, or `None`."""

    @property
    def shipped(self) -> datetime | None:
        """Since when the policy serves everybody."""


class Trial(Protocol):
    """A canary's time."""

    @property
    def steps(self) -> Sequence[tuple[datetime, float]]:
        """When each step began, UTC, and its part of the policy's users; the first one with the canary."""

    @property
    def ended(self) -> datetime | None:
        """UTC; `None` while it runs."""


AnyTerm = TypeVar("AnyTerm", bound=Term)
AnyTrial = TypeVar("AnyTrial", bound=Trial)


def in_force(terms: Sequence[AnyTerm], begins: datetime) -> AnyTerm:
    """The one to which a cycle that begins then belongs.

    Args:
        terms: in the order in which they began; at least one.
    """
    return next((one for one in reversed(terms) if one.started is None or one.started <= begins), terms[0])


def everybody(term: Term) -> str | None:
    """The arm that everybody gets once it has ended; `None`: it runs, or the next one replaced it."""
    if term.ended is None or term.outcome == REPLACED:
        return None
    return "policy" if term.outcome == SHIPPED else "control"


def over(moment: datetime | None, begins: datetime) -> bool:
    """Whether an end or a ship of that moment holds for a cycle that begins then; `None`: there is none."""
    return moment is not None and moment < begins


def alone(term: Term, begins: datetime) -> str | None:
    """The arm that has the whole of a cycle of this term that begins then; `None`: the arms share it."""
    if everybody(term) is None or not over(term.ended, begins):
        return None
    # One that ended first and shipped later had the static split in between.
    return "policy" if over(term.shipped, begins) else "control"


def on_trial(trials: Sequence[AnyTrial], begins: datetime) -> tuple[AnyTrial | None, float]:
    """The canary that has a cycle that begins then, and its part of the policy's users; `None` and 0: none has.

    Args:
        trials: in the order in which they began.
    """
    for one in reversed(trials):
        if one.steps[0][0] <= begins:
            if one.ended is not None and begins >= one.ended:
                return None, 0.0
            return one, [part for since, part in one.steps if since <= begins][-1]
    return None, 0.0


def part(terms: Sequence[Term], arm: str, begins: datetime, trials: Sequence[Trial] = ()) -> float:
    """The arm's part of users and budget in a cycle that begins then: the canary's is taken from the policy's."""
    if arm in (POLICY, CANARY):
        tried = on_trial(trials, begins)[1]
        return _of_experiment(terms, POLICY, begins) * (tried if arm == CANARY else 1 - tried)
    return _of_experiment(terms, arm, begins)


def _of_experiment(terms: Sequence[Term], arm: str, begins: datetime) -> float:
    term = in_force(terms, begins)
    whole = alone(term, begins)
    if whole is not None:
        return 1.0 if arm == whole else 0.0
    return float(term.weights.get(arm, 0.0))

"""What was changed while an experiment ran: promotions, rollbacks, overrides, edits, pauses, from the audit trail.

Each change is a mark in a cycle of the experiment. Cycles between changes are a phase: a cycle in which something was
changed ends the phase before it and belongs to neither, unless the change was made as it began.
"""

from __future__ import annotations

import math
from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa

from crossmix.ledger import tables
from crossmix.ledger.experiments import Experiment
from crossmix.ledger.store import Store
from crossmix.ledger.tables import utc

EVERYBODY = "bundle.serve"
"""The action that concerns every campaign."""
WHAT = {
    EVERYBODY: "another version serves",
    "override.set": "override",
    "override.lift": "override lifted",
    "campaign.edit": "campaign edited",
    "campaign.pause": "campaign paused",
    "campaign.resume": "campaign resumed",
}
"""Actions of the audit trail that change what is served, in words."""
PROMPT = 0.02
"""Part of a cycle after its beginning until which a change counts as made at the beginning."""


@dataclass(frozen=True, slots=True)
class Mark:
    """One change."""

    at: datetime
    """UTC."""
    cycle: int
    """Of the experiment, from 0."""
    begins: int
    """First cycle that is wholly after it."""
    action: str
    who: str
    subject: str
    """The campaign or version."""
    campaign: str | None
    """`None`: every campaign is concerned."""
    version: int | None
    """That serves from now on, where that is the change."""
    reason: str

    def as_dict(self) -> dict[str, Any]:
        """Plain data; cycles from 1."""
        return {
            "at": self.at.isoformat(),
            "cycle": self.cycle + 1,
            "begins": self.begins + 1,
            "what": WHAT[self.action],
            "action": self.action,
            "who": self.who,
            "subject": self.subject,
            "version": self.version,
            "reason": self.reason,
        }


def marks(
    store: Store, experiment: Experiment, length: timedelta, now: datetime, campaigns: Collection[str], most: int = 500
) -> list[Mark]:
    """Changes within the experiment's time, the oldest first: of what serves, and the newest `most` of campaigns.

    Args:
        length: of its cycles.
        campaigns: of the experiment; changes of others are left out.

    Raises:
        StoreAwayError: the database is away.
    """
    audit, until = tables.audit.c, min(now, experiment.ended or now)
    names = ("id", "at", "actor", "action", "subject", "before", "after", "reason")
    query = (
        sa.select(*(audit[name] for name in names))
        .where((audit.at > experiment.started) & (audit.at <= until))
        .order_by(audit.id.desc())
    )
    mine, single = set(campaigns), [action for action in WHAT if action != EVERYBODY]
    with store.read() as connection:
        # Apart: an override of thousands of campaigns hides no promotion.
        rows = [*connection.execute(query.where(audit.action == EVERYBODY).limit(most)).all()]
        rows += connection.execute(query.where(audit.action.in_(single)).limit(most * 4)).all()
    rows.sort(key=lambda row: -int(row.id))
    changes: list[Mark] = []
    for _, at, who, action, subject, before, after, reason in rows:
        everybody = action == EVERYBODY
        # What serves as the experiment begins is no change of it.
        if (everybody and before is None) or not (everybody or subject in mine):
            continue
        since = (utc(at) - experiment.started) / length
        cycle = max(math.floor(since), 0)
        begins = cycle if since - cycle <= PROMPT else cycle + 1
        version = after if everybody and isinstance(after, int) else None
        changes.append(
            Mark(utc(at), cycle, begins, action, who, subject, None if everybody else subject, version, reason)
        )
    kept = {id(one) for one in [one for one in changes if one.campaign][:most]}
    return [one for one in changes[::-1] if one.campaign is None or id(one) in kept]


def bounds(changes: list[Mark], stop: int) -> list[tuple[int, int]]:
    """First cycle and one past the last of each phase before `stop`, from the changes; without one there is one phase.

    The first phase may be empty; a later one is only there from its first cycle on.
    """
    starts = sorted({0, *(one.begins for one in changes)})
    ends = dict.fromkeys(starts, stop)
    for one in changes:
        for start in starts:
            if start < one.begins:
                ends[start] = min(ends[start], one.cycle if one.begins > one.cycle else one.begins)
    return [(start, max(ends[start], start)) for start in starts if start < stop or start == 0]

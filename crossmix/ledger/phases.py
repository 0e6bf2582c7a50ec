"""What was changed while an experiment ran: promotions, rollbacks, overrides, edits, pauses, from the audit trail.

Each change is a mark in a cycle of the experiment: that in which the campaign's cycle counts that ran then, whatever
hour of the day the experiment began at. Cycles between changes are a phase: a cycle in which something was changed ends
the phase before it and belongs to neither, unless the change was made as the campaign's cycle began.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import numpy as np
import sqlalchemy as sa

from crossmix.cycles import Cycles
from crossmix.ledger import canaries, tables
from crossmix.ledger.experiments import Experiment
from crossmix.ledger.members import Ends, Member
from crossmix.ledger.store import Store
from crossmix.ledger.tables import utc

EVERYBODY = ("bundle.serve", canaries.BEGIN, canaries.STEP, canaries.END)
"""Actions that concern every campaign."""
WHAT = {
    "bundle.serve": "another version serves",
    canaries.BEGIN: "a canary takes a part of the policy's users",
    canaries.STEP: "the canary takes a larger part",
    canaries.END: "the canary's users are the policy's again",
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
    store: Store, experiment: Experiment, length: timedelta, now: datetime, members: Sequence[Member], most: int = 500
) -> list[Mark]:
    """Changes within the experiment's time, the oldest first: of what serves, and the newest `most` of campaigns.

    Args:
        length: of its cycles.
        members: campaigns of the experiment; changes of others are left out.

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
    mine = {member.campaign_id: member.calendar for member in members}
    every, ends = _calendars(members, length), Ends(experiment.started, length)
    single = [action for action in WHAT if action not in EVERYBODY]
    with store.read() as connection:
        # Apart: an override of thousands of campaigns hides no promotion.
        rows = [*connection.execute(query.where(audit.action.in_(EVERYBODY)).limit(most)).all()]
        rows += connection.execute(query.where(audit.action.in_(single)).limit(most * 4)).all()
    rows.sort(key=lambda row: -int(row.id))
    changes: list[Mark] = []
    for _, at, who, action, subject, before, after, reason in rows:
        everybody = action in EVERYBODY
        # What serves as the experiment begins is no change of it.
        if (everybody and before is None) or not (everybody or subject in mine):
            continue
        cycle, begins = _cycles(utc(at), every if everybody else [mine[subject]], ends)
        version = after if everybody and isinstance(after, int) else None
        changes.append(
            Mark(utc(at), cycle, begins, action, who, subject, None if everybody else subject, version, reason)
        )
    kept = {id(one) for one in [one for one in changes if one.campaign][:most]}
    return [one for one in changes[::-1] if one.campaign is None or id(one) in kept]


def _calendars(members: Sequence[Member], length: timedelta) -> list[Cycles]:
    """Calendars of the campaigns whose cycles are no longer than the experiment's, each kind once; else of all."""
    short = [member for member in members if member.calendar.nominal <= length * 1.01]
    kinds: dict[object, Cycles] = {}
    for member in short or members:
        one = member.calendar
        kinds.setdefault((one.timezone, one.days) if one.days == 1 else one, one)
    return list(kinds.values())


def _cycles(at: datetime, calendars: Sequence[Cycles], ends: Ends) -> tuple[int, int]:
    """The experiment's first cycle in which a change of that moment fell, and the first that is wholly after it."""
    cycles, begins = [], []
    for one in calendars:
        running = max(one.cycle(at), 0)
        end = (one.ends(running) - ends.started) / ends.length
        slot = int(ends.slots(np.array([end]), one)[0])
        cycles.append(slot)
        begins.append(slot if (at - one.begins(running)) / ends.length <= PROMPT else slot + 1)
    return (min(cycles), max(begins)) if cycles else (0, 1)


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

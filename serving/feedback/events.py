"""Delivery outcomes as they come back: each event counted once, on the disk before it is acknowledged.

An event adds to what a campaign's arm had on a platform in a cycle. It may come late, out of order, or many times: one
that was received with the same content is a duplicate and changes nothing. An id that is known with other content is a
conflict: the event does not count, and the receipt says so. What was wrong is corrected by an event of a new id that
`replaces` the old one, or, with a reason, by an increment below 0. A request is one transaction: all of its events are
kept that are neither conflicts nor refused corrections, or, where the database fails, none.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from pydantic import TypeAdapter, ValidationError

from crossmix.ledger.campaigns import Campaign
from crossmix.ledger.feedback import Event, insert
from crossmix.ledger.store import Store
from crossmix.metrics import QUANTITIES
from serving.assignment.arms import Experiment
from serving.assignment.users import hashed
from serving.feedback.cloud_events import FeedbackError, MalformedError, parse
from serving.feedback.schema import MOST_EVENTS, QUANTITY_REMEDY, NewEvent
from serving.fields import CampaignError, refusal, shown

__all__ = ["Event", "Fault", "FeedbackError", "MalformedError", "Receipt", "check", "ingest", "parse"]

AHEAD = 1
"""Cycles that an event may lie ahead of the server's clock."""
_NEW_EVENT = TypeAdapter(NewEvent).validator.validate_python


@dataclass(frozen=True, slots=True)
class Fault:
    """An event that does not count, while the rest of its request does."""

    event_id: str
    index: int
    """In the request."""
    error: str
    """One sentence: what is wrong, and the remedy."""

    def as_dict(self) -> dict[str, Any]:
        return {"event_id": self.event_id, "index": self.index, "error": self.error}


@dataclass(frozen=True, slots=True)
class Receipt:
    """What became of a request's events."""

    accepted: int
    """Counted now."""
    duplicates: int
    """Counted before, or earlier in the request, with the same content."""
    late: int
    """Of those accepted: for a cycle that is over."""
    conflicts: tuple[Fault, ...] = ()
    """Their id is known with other content."""
    refused: tuple[Fault, ...] = ()
    """Corrections that cannot be."""

    @property
    def error(self) -> str | None:
        """What the request is answered where not all of its events count; `None`: they do."""
        faults = [*self.conflicts, *self.refused]
        if not faults:
            return None
        first = min(faults, key=lambda fault: fault.index)
        kept = f"the others are kept: {self.accepted:,} accepted, {self.duplicates:,} duplicates"
        return f"events[{first.index}].{first.error} ({len(faults):,} of the request's events do not count; {kept})"

    def as_dict(self) -> dict[str, Any]:
        counts = {"accepted": self.accepted, "duplicates": self.duplicates, "late": self.late}
        faults = {"conflicts": self.conflicts, "refused": self.refused}
        return counts | {name: [fault.as_dict() for fault in some] for name, some in faults.items()}


def check(
    raws: Sequence[Any],
    campaigns: Mapping[str, Campaign],
    platforms: Sequence[str],
    experiment: Experiment,
    now: datetime,
) -> list[Event]:
    """Events from what a request holds, in order.

    An arm that is told stands, also beside a user id: late events of an earlier shuffle keep the arm that served them.

    Args:
        experiment: the newest, with those before: a user has the arm of the one that ran as the cycle began.

    Raises:
        FeedbackError: the first that cannot be used; index, field, value, remedy.
    """
    if not raws:
        raise FeedbackError("events: none; send at least one")
    if len(raws) > MOST_EVENTS:
        raise FeedbackError(f"events: {len(raws):,} in a request; send at most {MOST_EVENTS:,}")
    events = []
    context = _Context(campaigns, platforms, experiment, now)
    for index, raw in enumerate(raws):
        try:
            events.append(_event(raw, context))
        except CampaignError as error:
            raise FeedbackError(f"events[{index}].{error}") from None
    return events


def ingest(store: Store, events: Sequence[Event], now: datetime) -> Receipt:
    """Keep the events, in one transaction; raises `StoreAwayError`, and then nothing was kept."""
    inserted = insert(store, events, now)
    late = sum(event.known > event.cycle for event in inserted.new)
    conflicting = set(map(id, inserted.conflicting))
    conflicts = [
        Fault(event.event_id, index, _conflict(event.event_id))
        for index, event in enumerate(events if conflicting else ())
        if id(event) in conflicting
    ]
    refused = [
        Fault(event.event_id, index, inserted.refused[event.event_id])
        for index, event in enumerate(events if inserted.refused else ())
        if event.event_id in inserted.refused
    ]
    return Receipt(len(inserted.new), len(inserted.same), late, tuple(conflicts), tuple(refused))


def _conflict(event_id: str) -> str:
    name = shown(event_id)
    return f"event_id: {name} is known with other content; send a new event_id that replaces {name} to correct it"


@dataclass(frozen=True, slots=True)
class _Context:
    """What a request's events are checked against."""

    campaigns: Mapping[str, Campaign]
    platforms: Sequence[str]
    experiment: Experiment
    now: datetime
    running: dict[str, int] = field(default_factory=dict)
    """By campaign, the cycle that runs: computed once a request."""
    begins: dict[tuple[str, int], datetime] = field(default_factory=dict)
    """When a campaign's cycle begins: computed once a request, too."""


def _event(raw: Any, context: _Context) -> Event:
    """One event; raises `CampaignError` that begins with the field."""
    try:
        new = _NEW_EVENT(raw)
    except ValidationError as error:
        raise CampaignError(refusal(error, NewEvent)) from None
    campaign = context.campaigns.get(new.campaign_id)
    if campaign is None:
        known = ", ".join(sorted(context.campaigns)[:20]) or "none"
        raise CampaignError(f"campaign_id: {shown(new.campaign_id)} is unknown; known: {known}")
    if new.platform not in context.platforms:
        raise CampaignError(f"platform: {shown(new.platform)} is unknown; use {', '.join(context.platforms)}")
    if new.reason is None:
        _no_refund(new, raw)
    if new.replaces == new.event_id:
        raise CampaignError(f"replaces: {shown(new.replaces)} is the event itself; give the correction its own id")
    running = context.running.get(new.campaign_id)
    if running is None:
        running = context.running[new.campaign_id] = campaign.cycle(context.now)
    cycle = _cycle(new, raw, campaign, running)
    begins = _begins(campaign, cycle, context)
    return Event(
        new.event_id,
        new.campaign_id,
        _arm(new, context.experiment, begins),
        new.platform,
        cycle,
        max(cycle, running),
        None if new.user_id is None else hashed(new.user_id, context.experiment.at(begins).salt),
        new.requests,
        new.impressions,
        new.clicks,
        new.conversions,
        new.revenue,
        new.spend,
        new.complete,
        new.replaces,
        new.reason,
    )


def _no_refund(new: NewEvent, raw: Mapping[str, Any]) -> None:
    """Raise `CampaignError` for a quantity below 0, which needs a reason."""
    least = min(new.impressions, new.clicks, new.conversions, new.revenue, new.spend, new.requests or 0.0)
    if least < 0:
        name = next(name for name in ("requests", *QUANTITIES) if (getattr(new, name) or 0.0) < 0)
        raise CampaignError(f"{name}: {shown(raw[name])}; {QUANTITY_REMEDY}")


def _begins(campaign: Campaign, cycle: int, context: _Context) -> datetime:
    begins = context.begins.get((campaign.campaign_id, cycle))
    if begins is None:
        begins = context.begins[campaign.campaign_id, cycle] = campaign.begins(cycle)
    return begins


def _arm(new: NewEvent, experiment: Experiment, begins: datetime) -> str:
    if new.arm is not None:
        return new.arm
    if new.user_id is None:
        raise CampaignError(f"arm: missing; give one of {', '.join(experiment.weights)}, or a user_id")
    return experiment.arm_served(new.user_id, begins)


def _cycle(new: NewEvent, raw: Mapping[str, Any], campaign: Campaign, running: int) -> int:
    if new.timestamp is None:
        if new.cycle is None:
            raise CampaignError("cycle: missing; give the impressions' cycle, a whole number, or their timestamp")
        name, cycle = "cycle", new.cycle
    elif new.cycle is None:
        name, cycle = "timestamp", campaign.cycle(new.timestamp)
    else:
        raise CampaignError(f"timestamp: {shown(raw['timestamp'])} beside cycle {new.cycle}; give one of them")
    if cycle < 0:
        raise CampaignError(f"{name}: {shown(raw[name])} is before the start, {campaign.starts.isoformat()}; mend it")
    if cycle > running + AHEAD:
        raise CampaignError(
            f"{name}: {shown(raw[name])} is ahead, cycle {running} of {campaign.campaign_id!r} runs; mend it"
        )
    return cycle

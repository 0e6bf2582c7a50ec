"""Delivery outcomes as they come back: each event counted once, on the disk before it is acknowledged.

An event adds to what a campaign's arm had on a platform in a cycle. It may come late, out of order, or many times: an
event id that was seen is counted as a duplicate and changes nothing, whatever the event says. A request is one
transaction: all of its events are kept, or none.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from pydantic import TypeAdapter, ValidationError

from crossmix.ledger.campaigns import Campaign
from crossmix.ledger.feedback import Event, insert
from crossmix.ledger.store import Store
from serving.assignment.arms import Experiment
from serving.assignment.users import hashed
from serving.feedback.cloud_events import FeedbackError, MalformedError, parse
from serving.feedback.schema import MOST_EVENTS, NewEvent
from serving.fields import CampaignError, refusal, shown

__all__ = ["Event", "FeedbackError", "MalformedError", "Receipt", "check", "ingest", "parse"]

AHEAD = 1
"""Cycles that an event may lie ahead of the server's clock."""
_NEW_EVENT = TypeAdapter(NewEvent).validator.validate_python


@dataclass(frozen=True, slots=True)
class Receipt:
    """What became of a request's events."""

    accepted: int
    """Counted now."""
    duplicates: int
    """Counted before, or earlier in the request."""
    late: int
    """Of those accepted: for a cycle that is over."""

    def as_dict(self) -> dict[str, int]:
        return asdict(self)


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
    for index, raw in enumerate(raws):
        try:
            events.append(_event(raw, campaigns, platforms, experiment, now))
        except CampaignError as error:
            raise FeedbackError(f"events[{index}].{error}") from None
    return events


def ingest(store: Store, events: Sequence[Event], now: datetime) -> Receipt:
    """Keep the events, in one transaction; raises `StoreAwayError`, and then nothing was kept."""
    new = insert(store, events, now).new
    return Receipt(len(new), len(events) - len(new), sum(event.known > event.cycle for event in new))


def _event(
    raw: Any,
    campaigns: Mapping[str, Campaign],
    platforms: Sequence[str],
    experiment: Experiment,
    now: datetime,
) -> Event:
    """One event; raises `CampaignError` that begins with the field."""
    try:
        new = _NEW_EVENT(raw)
    except ValidationError as error:
        raise CampaignError(refusal(error, NewEvent)) from None
    campaign = campaigns.get(new.campaign_id)
    if campaign is None:
        known = ", ".join(sorted(campaigns)[:20]) or "none"
        raise CampaignError(f"campaign_id: {shown(new.campaign_id)} is unknown; known: {known}")
    if new.platform not in platforms:
        raise CampaignError(f"platform: {shown(new.platform)} is unknown; use {', '.join(platforms)}")
    running = campaign.cycle(now)
    cycle = _cycle(new, raw, campaign, running)
    begins = campaign.begins(cycle)
    return Event(
        new.event_id,
        new.campaign_id,
        _arm(new, experiment, begins),
        new.platform,
        cycle,
        max(cycle, running),
        None if new.user_id is None else hashed(new.user_id, experiment.at(begins).salt),
        new.requests,
        new.impressions,
        new.clicks,
        new.conversions,
        new.revenue,
        new.spend,
    )


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

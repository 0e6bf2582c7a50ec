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

from crossmix.ledger.campaigns import Campaign
from crossmix.ledger.feedback import Event, insert
from crossmix.ledger.store import Store
from crossmix.metrics import QUANTITIES
from serving import fields
from serving.assignment.arms import Experiment
from serving.assignment.users import check as check_user
from serving.assignment.users import hashed
from serving.feedback.cloud_events import FeedbackError, MalformedError, parse
from serving.fields import CampaignError, shown

__all__ = ["Event", "FeedbackError", "MalformedError", "Receipt", "check", "ingest", "parse"]

FIELDS = (
    *("event_id", "campaign_id", "arm", "user_id", "platform", "cycle", "timestamp", "requests"),
    *QUANTITIES,
)
MOST_EVENTS = 10_000
"""A request."""
LARGEST = 1e15
"""Of a quantity."""
AHEAD = 1
"""Cycles that an event may lie ahead of the server's clock."""


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
    ended: datetime | None = None,
) -> list[Event]:
    """Events from what a request holds, in order.

    An arm that is told stands, also beside a user id: late events of an earlier shuffle keep the arm that served them.

    Args:
        ended: when the experiment ended: in cycles that begin later every user is in the control.

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
            events.append(_event(raw, campaigns, platforms, experiment, now, ended))
        except CampaignError as error:
            raise FeedbackError(f"events[{index}].{error}") from None
    return events


def ingest(store: Store, events: Sequence[Event], now: datetime) -> Receipt:
    """Keep the events, in one transaction; raises `StoreAwayError`, and then nothing was kept."""
    new = insert(store, events, now)
    return Receipt(len(new), len(events) - len(new), sum(event.known > event.cycle for event in new))


def _event(
    raw: Any,
    campaigns: Mapping[str, Campaign],
    platforms: Sequence[str],
    experiment: Experiment,
    now: datetime,
    ended: datetime | None,
) -> Event:
    """One event; raises `CampaignError` that begins with the field."""
    if not isinstance(raw, Mapping):
        raise CampaignError(f"event: {shown(raw)}; send an object with {', '.join(FIELDS)}")
    for name in raw:
        if name not in FIELDS:
            raise CampaignError(f"{shown(name)[1:-1]}: unknown field; use {', '.join(FIELDS)}")
    event_id = fields.text(raw.get("event_id"), "event_id")
    campaign = campaigns.get(fields.text(raw.get("campaign_id"), "campaign_id"))
    if campaign is None:
        known = ", ".join(sorted(campaigns)[:20]) or "none"
        raise CampaignError(f"campaign_id: {shown(raw['campaign_id'])} is unknown; known: {known}")
    platform = fields.text(raw.get("platform"), "platform")
    if platform not in platforms:
        raise CampaignError(f"platform: {shown(platform)} is unknown; use {', '.join(platforms)}")
    running = campaign.cycle(now)
    cycle = _cycle(raw, campaign, running)
    over = ended is not None and campaign.starts + cycle * campaign.width >= ended
    arm, user = _arm(raw, experiment, over)
    amounts = {name: _amount(raw, name) for name in QUANTITIES}
    requests = None if raw.get("requests") is None else _amount(raw, "requests")
    return Event(event_id, campaign.campaign_id, arm, platform, cycle, max(cycle, running), user, requests, **amounts)


def _arm(raw: Mapping[str, Any], experiment: Experiment, over: bool) -> tuple[str, str | None]:
    arm, user_id = raw.get("arm"), raw.get("user_id")
    if user_id is not None:
        try:
            check_user(user_id)
        except ValueError as error:
            raise CampaignError(str(error)) from None
    if arm is None:
        if user_id is None:
            raise CampaignError(f"arm: missing; give one of {', '.join(experiment.weights)}, or a user_id")
        arm = "control" if over else experiment.arm(user_id)
    elif arm not in tuple(experiment.weights):
        raise CampaignError(f"arm: {shown(arm)}; use {', '.join(experiment.weights)}")
    return arm, None if user_id is None else hashed(user_id, experiment.salt)


def _cycle(raw: Mapping[str, Any], campaign: Campaign, running: int) -> int:
    cycle, timestamp = raw.get("cycle"), raw.get("timestamp")
    if cycle is not None and timestamp is not None:
        raise CampaignError(f"timestamp: {shown(timestamp)} beside cycle {shown(cycle)}; give one of them")
    if timestamp is not None:
        name, given = "timestamp", shown(timestamp)
        cycle = campaign.cycle(fields.moment(timestamp, "timestamp"))
    else:
        name, given = "cycle", shown(cycle)
        if isinstance(cycle, bool) or not isinstance(cycle, int):
            raise CampaignError(f"cycle: {given}; give the impressions' cycle, a whole number, or their timestamp")
    if cycle < 0:
        raise CampaignError(f"{name}: {given} is before the start, {campaign.starts.isoformat()}; mend it")
    if cycle > running + AHEAD:
        raise CampaignError(f"{name}: {given} is ahead, cycle {running} of {campaign.campaign_id!r} runs; mend it")
    return cycle


def _amount(raw: Mapping[str, Any], name: str) -> float:
    value = raw.get(name, 0.0)
    return fields.number(value, name, 0.0, LARGEST, f"a number from 0 to {LARGEST:g}")

"""A question about a user's journey: parsed from the V1 protocol's JSON and checked; pure.

V1 instance: {"campaign_id", "user_id" and/or "journey": [{"channel", "clicked", "cost", "seconds_ago"}, ...], "costs":
{channel: cost of one exposure}}. Steps are in the order of time, so that `seconds_ago` never rises; one whose
conversion became known says when (`converted_seconds_ago`). An empty journey is asked for the prior; without `journey`
it is whoever answers who knows the user's exposures, or refuses. What it may say of its campaign's money in this batch
is `journey_terms`'.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from crossmix.journeys import later
from serving.allocation.question import QuestionError, amount, instances, known_fields
from serving.fields import shown
from serving.protocol import journey_terms
from serving.protocol.journey_terms import Terms

FIELDS = ("campaign_id", "user_id", "journey", "costs", *journey_terms.FIELDS)
STEP = ("channel", "clicked", "cost", "seconds_ago")
CONVERTED = "converted_seconds_ago"
"""When an exposure's conversion became known; absent where none did."""
MOST_STEPS = 1_000
"""Of a journey; more than any model reads."""
MOST_NAME = 500
MOST = 1e15
"""Of a cost, and of seconds."""

JOURNEY: dict[str, Any] = {
    "type": "object",
    "additionalProperties": False,
    "required": ["campaign_id"],
    "anyOf": [{"required": ["user_id"]}, {"required": ["journey"]}],
    "properties": {
        "campaign_id": {"type": "string", "minLength": 1, "maxLength": MOST_NAME},
        "user_id": {"type": "string", "minLength": 1, "maxLength": MOST_NAME},
        "journey": {
            "type": "array",
            "maxItems": MOST_STEPS,
            "description": "exposures so far, the earliest first; empty: a user without any",
            "items": {
                "type": "object",
                "additionalProperties": False,
                "required": list(STEP),
                "properties": {
                    "channel": {"type": "string", "minLength": 1},
                    "clicked": {"type": "boolean"},
                    "cost": {
                        "type": "number",
                        "minimum": 0,
                        "maximum": MOST,
                        "description": "of the exposure, currency",
                    },
                    "seconds_ago": {"type": "number", "minimum": 0, "maximum": MOST},
                    CONVERTED: {
                        "type": "number",
                        "minimum": 0,
                        "maximum": MOST,
                        "description": "when its conversion became known, at most its seconds_ago; absent: none did",
                    },
                },
            },
        },
        "costs": {
            "type": "object",
            "description": "of the next exposure by channel, currency; absent, or a channel left out: the log's mean",
            "additionalProperties": {"type": "number", "minimum": 0, "maximum": MOST},
        },
        **journey_terms.PROPERTIES,
    },
}
"""Schema of an instance, for OpenAPI."""


NOTHING = Terms()


@dataclass(frozen=True, slots=True)
class Step:
    """One exposure."""

    channel: int
    """In the order of the bundle's channels."""
    clicked: bool
    cost: float
    """Currency."""
    seconds_ago: float
    converted_ago: float | None = None
    """When its conversion became known, seconds ago; `None`: none did."""


@dataclass(frozen=True, slots=True)
class JourneyQuestion:
    """What is asked about one user's next exposure."""

    campaign_id: str
    where: str
    """How messages name it, as instances[0]."""
    user_id: str | None
    journey: tuple[Step, ...] | None
    """The earliest first; `None`: not sent."""
    costs: Mapping[str, float]
    """Of the next exposure, by channel; of those that are given."""
    terms: Terms = NOTHING
    """What it says of its campaign's money; the batch has the whole (`journey_terms.by_campaign`)."""


def of_instances(payload: Any, channels: Sequence[str]) -> list[JourneyQuestion]:
    """Questions of a V1 request's body.

    Args:
        channels: names of the bundle that answers, in its order.

    Raises:
        QuestionError: naming instance, field, value and remedy.
    """
    asked = instances(payload, '{"campaign_id": ..., "user_id": ...}')
    place = {name: at for at, name in enumerate(channels)}
    return [_of_instance(one, place, f"instances[{row}]") for row, one in enumerate(asked)]


def _of_instance(raw: Mapping[str, Any], place: Mapping[str, int], where: str) -> JourneyQuestion:
    known_fields(raw, FIELDS, where, later.told)
    campaign = _name(raw.get("campaign_id"), f"{where}.campaign_id", "name a campaign")
    user, journey = raw.get("user_id"), raw.get("journey")
    if user is not None:
        user = _name(user, f"{where}.user_id", "send the user's id as text")
    if user is None and journey is None:
        raise QuestionError(
            f"{where}.user_id: missing, and so is journey; send one of them, an empty journey for nobody"
        )
    return JourneyQuestion(
        campaign,
        where,
        user,
        None if journey is None else _journey(journey, place, f"{where}.journey"),
        _costs(raw.get("costs"), place, f"{where}.costs"),
        journey_terms.of_instance(raw, where),
    )


def _journey(raw: Any, place: Mapping[str, int], where: str) -> tuple[Step, ...]:
    if not isinstance(raw, list):
        raise QuestionError(f"{where}: {shown(raw)}; send an array of exposures, the earliest first")
    if len(raw) > MOST_STEPS:
        raise QuestionError(f"{where}: {len(raw):,} exposures; send the latest {MOST_STEPS:,} at most")
    steps: list[Step] = []
    for at, one in enumerate(raw):
        step = _step(one, place, f"{where}[{at}]")
        if steps and step.seconds_ago > steps[-1].seconds_ago:
            raise QuestionError(
                f"{where}[{at}].seconds_ago: {step.seconds_ago:g} after {steps[-1].seconds_ago:g}; order the exposures "
                "by time, the earliest first"
            )
        steps.append(step)
    return tuple(steps)


def _step(raw: Any, place: Mapping[str, int], where: str) -> Step:
    if not isinstance(raw, Mapping):
        raise QuestionError(f"{where}: {shown(raw)}; send an object of {', '.join(STEP)}")
    known_fields(raw, (*STEP, CONVERTED), where, later.told)
    clicked = raw.get("clicked")
    if not isinstance(clicked, bool):
        raise QuestionError(f"{where}.clicked: {shown(clicked)}; use true or false")
    step = Step(
        _channel(raw.get("channel"), place, f"{where}.channel"),
        clicked,
        amount(raw.get("cost"), f"{where}.cost", "give what the exposure cost, 0 or above", MOST),
        amount(raw.get("seconds_ago"), f"{where}.seconds_ago", "give how long ago it was, seconds, 0 or above", MOST),
    )
    if raw.get(CONVERTED) is None:
        return step
    ago = amount(raw[CONVERTED], f"{where}.{CONVERTED}", "give when the conversion became known, seconds ago", MOST)
    if ago > step.seconds_ago:
        raise QuestionError(
            f"{where}.{CONVERTED}: {ago:g} before an exposure {step.seconds_ago:g} s ago; a conversion follows it"
        )
    return replace(step, converted_ago=ago)


def _costs(raw: Any, place: Mapping[str, int], where: str) -> dict[str, float]:
    if raw is None:
        return {}
    if not isinstance(raw, Mapping):
        raise QuestionError(f'{where}: {shown(raw)}; send an object by channel, as {{"search": 0.4}}')
    for name in raw:
        _channel(name, place, where)
    return {name: amount(value, f"{where}.{name}", "give a cost of 0 or above", MOST) for name, value in raw.items()}


def _channel(raw: Any, place: Mapping[str, int], where: str) -> int:
    if not isinstance(raw, str) or raw not in place:
        raise QuestionError(f"{where}: {shown(raw)} is no channel of this model; use {', '.join(place)}")
    return place[raw]


def _name(raw: Any, where: str, remedy: str) -> str:
    if not isinstance(raw, str) or not raw:
        raise QuestionError(f"{where}: {shown(raw)}; {remedy}")
    if len(raw) > MOST_NAME:
        raise QuestionError(f"{where}: {len(raw):,} characters; send at most {MOST_NAME}")
    return raw

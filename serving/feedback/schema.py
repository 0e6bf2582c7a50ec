"""What a bidder may send of its deliveries: an event, plain or within a CloudEvent; each field checked by itself."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    PlainValidator,
    WithJsonSchema,
    model_validator,
)

from crossmix.metrics import QUANTITIES, ServedArm
from serving.assignment.users import LONGEST as LONGEST_USER
from serving.assignment.users import check as check_user
from serving.fields import LARGEST_AMOUNT, LONGEST_REASON, Body, Hint, Moment, Name, Remedy, faulty, refused

MOST_EVENTS = 10_000
"""A request."""


def _user(value: Any) -> str:
    try:
        return check_user(value)
    except ValueError as error:
        # Its sentence begins with the field, as this type stands under that name only.
        raise faulty(str(error).partition(": ")[2]) from None


QUANTITY_REMEDY = f"give a number from 0 to {LARGEST_AMOUNT:g}, or below 0 with a reason"
Quantity = Annotated[
    float,
    Field(ge=-LARGEST_AMOUNT, le=LARGEST_AMOUNT, allow_inf_nan=False, description="below 0, with a reason: a refund"),
    Remedy(QUANTITY_REMEDY),
]
Why = Annotated[
    str,
    Field(min_length=1, max_length=LONGEST_REASON, pattern=r"^[^\x00]*$"),
    Remedy(f"give text of 1 to {LONGEST_REASON:,} characters, or leave it out"),
]
UserId = Annotated[
    str,
    PlainValidator(_user),
    WithJsonSchema({"type": "string", "minLength": 1, "maxLength": LONGEST_USER}),
]
Cycle = Annotated[
    int,
    WithJsonSchema({"type": "integer", "minimum": 0}),
    Remedy("give the impressions' cycle, a whole number, or their timestamp"),
]


def _refunds_have_reasons(schema: dict[str, Any]) -> None:
    reason = {"required": ["reason"], "properties": {"reason": {"type": "string"}}}
    schema["anyOf"] = [reason, {"properties": {name: {"minimum": 0} for name in ("requests", *QUANTITIES)}}]


class EventData(Body):
    """What an event adds to what a campaign's arm had on a platform in a cycle."""

    model_config = ConfigDict(json_schema_extra=_refunds_have_reasons)
    called = "event"
    campaign_id: Name
    arm: Annotated[ServedArm, Remedy("use policy, control, canary")] | None = Field(
        None, description="or a user_id, whose arm it then is"
    )
    user_id: UserId | None = Field(None, description="kept only as a keyed hash")
    platform: Name
    cycle: Cycle | None = Field(None, description="of the impressions; or their timestamp")
    timestamp: Moment | None = None
    requests: Quantity | None = Field(None, description="auction requests; absent: not told")
    impressions: Quantity = 0.0
    clicks: Quantity = 0.0
    conversions: Quantity = 0.0
    revenue: Quantity = Field(0.0, description="currency")
    spend: Quantity = Field(0.0, description="currency")
    complete: Annotated[bool, Remedy("give true or false")] = Field(
        False, description="nothing more comes of this campaign, arm, platform and cycle"
    )
    replaces: Name | None = Field(None, description="event id that this one stands in for: a correction")
    reason: Why | None = Field(None, description="of a correction; needed for what is below 0")


class _Identified(Body):
    event_id: Name = Field(description="one that is known counts once")


class NewEvent(EventData, _Identified):
    """One increment of outcomes."""


_DATA = "send the event's fields as a JSON object in data"
_ATTRIBUTE = Remedy("a CloudEvent needs one, as text")


def _without_id(value: Any) -> dict[Any, Any]:
    if not isinstance(value, Mapping):
        raise refused(_DATA)
    if "event_id" in value:
        raise faulty("event_id is there beside the CloudEvent's id, which is the event's; leave event_id out")
    return dict(value)


def _no_blank(source: str) -> str:
    # Then no two pairs of source and id give the same event id.
    if any(map(str.isspace, source)):
        raise ValueError
    return source


def _or_base64(schema: dict[str, Any]) -> None:
    schema["properties"]["data_base64"] = {"type": "string", "description": "data as JSON in base64, in place of data"}
    schema["required"] = [name for name in schema["required"] if name != "data"]
    schema["oneOf"] = [{"required": ["data"]}, {"required": ["data_base64"]}]


class CloudEvent(BaseModel):
    """An event within the envelope of CloudEvents 1.0; attributes that are not named here are let pass."""

    model_config = ConfigDict(strict=True, frozen=True, json_schema_extra=_or_base64)
    specversion: Annotated[Literal["1.0"], Remedy("send CloudEvents 1.0")]
    id: Annotated[str, Field(min_length=1), _ATTRIBUTE]
    source: Annotated[str, Field(min_length=1), AfterValidator(_no_blank), _ATTRIBUTE]
    type: Annotated[str, Field(min_length=1), _ATTRIBUTE]
    time: Annotated[Any, WithJsonSchema({"type": "string", "format": "date-time"})] = None
    data: Annotated[dict[str, Any], PlainValidator(_without_id, json_schema_input_type=EventData), Hint(_DATA)]

    @model_validator(mode="before")
    @classmethod
    def _object(cls, raw: Any) -> Any:
        if not isinstance(raw, Mapping):
            raise refused("send a CloudEvent, an object")
        return raw

    def event(self) -> dict[str, Any]:
        """The event in it, its data unchecked: the id qualified by its source, and its time where data tell none."""
        event = {**self.data, "event_id": f"{self.source} {self.id}"}
        if "cycle" not in event and "timestamp" not in event and "time" in self.model_fields_set:
            event["timestamp"] = self.time
        return event

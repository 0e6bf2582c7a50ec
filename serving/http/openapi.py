"""What the routes of `serving.http.resources` take and give, in OpenAPI's words."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import Path, Query

from crossmix.metrics import QUANTITIES
from serving.campaigns.model import LONGEST_CYCLE, MOST_CYCLES
from serving.feedback.cloud_events import BATCH, STRUCTURED
from serving.feedback.events import MOST_EVENTS
from serving.fields import LARGEST_AMOUNT, LONGEST_ID

_TEXT = {"type": "string", "minLength": 1, "maxLength": LONGEST_ID}
_SHARE = {"type": "number", "minimum": 0, "maximum": 1}
_SPLIT = {"type": "object", "additionalProperties": _SHARE, "description": "share by platform; sums to 1"}
_MOMENT = {"type": "string", "format": "date-time", "description": "with its zone"}
_BOUNDS = {**dict.fromkeys(("min", "max", "step"), _SHARE), "freeze": {"type": "boolean"}}
_LIMITS = {
    "type": "object",
    "additionalProperties": {"type": "object", "properties": _BOUNDS, "additionalProperties": False},
    "description": "by platform",
}
_FIELDS: dict[str, Any] = {
    "currency": {"type": "string", "pattern": "^[A-Z]{3}$"},
    "cycle_budget": {"type": "number", "exclusiveMinimum": 0, "maximum": LARGEST_AMOUNT},
    "share": _SPLIT,
    "limits": _LIMITS,
    "starts": _MOMENT,
    "cycles": {"type": "integer", "minimum": 1, "maximum": MOST_CYCLES},
    "cycle_hours": {"type": "number", "exclusiveMinimum": 0, "maximum": LONGEST_CYCLE},
}


def _object(properties: dict[str, Any], required: tuple[str, ...] = ()) -> dict[str, Any]:
    return {
        "type": "object",
        "properties": properties,
        "additionalProperties": False,
        **({"required": list(required)} if required else {}),
    }


NEW_CAMPAIGN = _object(
    {"campaign_id": _TEXT, **_FIELDS}, ("campaign_id", *(name for name in _FIELDS if name != "limits"))
)
NEW_CAMPAIGNS = {"anyOf": [NEW_CAMPAIGN, {"type": "array", "items": NEW_CAMPAIGN}]}
EDIT = {**_object(_FIELDS), "minProperties": 1}
OVERRIDE = _object(
    {"kind": {"type": "string", "enum": ["static", "given"]}, "share": _SPLIT, "why": {"type": "string"}}, ("kind",)
)
_OVERRIDE_TOLD = {
    "type": ["object", "null"],
    "properties": {"kind": {"type": "string"}, "share": {"type": ["object", "null"]}, "actor": {"type": "string"}},
}
CAMPAIGN = {
    "type": "object",
    "properties": {
        "campaign_id": _TEXT,
        **_FIELDS,
        "paused": {"type": "boolean"},
        "override": _OVERRIDE_TOLD,
        "cycle": {"type": "integer", "description": "that runs; below 0 before the start"},
    },
    "required": ["campaign_id", *_FIELDS, "paused", "override", "cycle"],
}
CAMPAIGNS = {
    "type": "object",
    "properties": {"campaigns": {"type": "array", "items": CAMPAIGN}},
    "required": ["campaigns"],
}
_EVENT_FIELDS: dict[str, Any] = {
    "campaign_id": _TEXT,
    "arm": {"type": "string", "enum": ["policy", "control"], "description": "or a user_id, whose arm it then is"},
    "user_id": {**_TEXT, "description": "kept only as a keyed hash"},
    "platform": _TEXT,
    "cycle": {"type": "integer", "minimum": 0, "description": "of the impressions; or their timestamp"},
    "timestamp": _MOMENT,
    **{name: {"type": "number", "minimum": 0} for name in ("requests", *QUANTITIES)},
}
EVENT = _object({"event_id": _TEXT, **_EVENT_FIELDS}, ("event_id", "campaign_id", "platform"))
CLOUD_EVENT = {
    "type": "object",
    "properties": {
        "specversion": {"type": "string", "enum": ["1.0"]},
        **{name: {"type": "string", "minLength": 1} for name in ("id", "source", "type")},
        "time": _MOMENT,
        "data": _object(_EVENT_FIELDS, ("campaign_id", "platform")),
    },
    "required": ["specversion", "id", "source", "type", "data"],
}
RECEIPT = {
    "type": "object",
    "properties": {name: {"type": "integer", "minimum": 0} for name in ("accepted", "duplicates", "late")},
    "required": ["accepted", "duplicates", "late"],
}
AUDIT = {"type": "object", "properties": {"entries": {"type": "array", "items": {"type": "object"}}}}
ERROR = {"type": "object", "required": ["error"], "properties": {"error": {"type": "string"}}}

Id = Annotated[str, Path(description="the campaign's name")]
Why = Annotated[str, Query(max_length=1_000, pattern=r"^[^\x00]*$", description="for the audit trail")]


def body(schema: dict[str, Any]) -> dict[str, Any]:
    """A JSON request body."""
    return {"requestBody": {"required": True, "content": {"application/json": {"schema": schema}}}}


def feedback_body() -> dict[str, Any]:
    """Feedback's three content types."""
    events = {"anyOf": [EVENT, {"type": "array", "items": EVENT, "minItems": 1, "maxItems": MOST_EVENTS}]}
    kinds = {
        "application/json": events,
        STRUCTURED: CLOUD_EVENT,
        BATCH: {"type": "array", "items": CLOUD_EVENT, "minItems": 1, "maxItems": MOST_EVENTS},
    }
    content = {kind: {"schema": schema} for kind, schema in kinds.items()}
    return {"requestBody": {"required": True, "content": content}}


def answer(schema: dict[str, Any], status: int = 200) -> dict[int | str, dict[str, Any]]:
    """A JSON answer, and our errors."""
    good = {"description": "done", "content": {"application/json": {"schema": schema}}}
    return {status: good, **{code: _error(told) for code, told in _ERRORS.items()}}


_ERRORS = {
    400: "the body is no JSON",
    404: "there is no such campaign",
    409: "it is there already, or what it has collected forbids the change",
    422: "a field cannot be used",
    503: "the database is away; nothing was kept",
}


def _error(told: str) -> dict[str, Any]:
    return {"description": told, "content": {"application/json": {"schema": ERROR}}}


ONE = answer(CAMPAIGN)

"""A request's body as raw events: plain JSON, or CloudEvents 1.0 in each of its three modes.

A CloudEvent's `data` holds the event's fields; its id, qualified by its source, is the event's id, and its `time` the
timestamp where the data tell neither cycle nor timestamp.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any
from urllib.parse import unquote

from pydantic import ValidationError

from serving.feedback.schema import CloudEvent
from serving.fields import refusal, shown

STRUCTURED = "application/cloudevents+json"
BATCH = "application/cloudevents-batch+json"


class FeedbackError(ValueError):
    """Feedback that cannot be used; the message names index, field, value and remedy."""

    status = 422
    """What the server answers."""


class MalformedError(FeedbackError):
    """A body that is no JSON."""

    status = 400


def parse(body: bytes, headers: Mapping[str, str]) -> list[Any]:
    """Raw events of a request, unchecked but for what makes a CloudEvent.

    Args:
        body: as received.
        headers: names in lower case.

    Raises:
        MalformedError: no JSON.
        FeedbackError: a CloudEvent without what it must have.
    """
    kind = headers.get("content-type", "").partition(";")[0].strip().lower()
    content = _json(body)
    if kind == BATCH:
        if not isinstance(content, list):
            raise FeedbackError(f"body: {shown(content)}; send an array of CloudEvents, or content type {STRUCTURED}")
        return [_event(envelope, f"events[{index}]") for index, envelope in enumerate(content)]
    if kind == STRUCTURED:
        return [_event(content, "events[0]")]
    if "ce-specversion" in headers:
        envelope = {name[3:]: unquote(value) for name, value in headers.items() if name.startswith("ce-")}
        return [_event({**envelope, "data": content}, "events[0]")]
    return content if isinstance(content, list) else [content]


def _json(body: bytes) -> Any:
    try:
        return json.loads(body)
    except RecursionError:
        raise MalformedError("body: nested too deep; send an event or an array of events") from None
    except ValueError as error:
        raise MalformedError(f"body: not JSON ({str(error)[:120]}); send an event or an array of events") from None


def _event(envelope: Any, where: str) -> dict[str, Any]:
    try:
        return CloudEvent.model_validate(envelope).event()
    except ValidationError as error:
        raise FeedbackError(refusal(error, CloudEvent, where)) from None

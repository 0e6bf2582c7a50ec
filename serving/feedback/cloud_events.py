"""A request's body as raw events: plain JSON, or CloudEvents 1.0 in each of its three modes.

A CloudEvent's `data` holds the event's fields; its id, qualified by its source, is the event's id, and its `time` the
timestamp where the data tell neither cycle nor timestamp.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import ValidationError

from serving.feedback.schema import CloudEvent
from serving.fields import refusal, shown
from serving.http.bodies import BATCH, STRUCTURED, UnreadableError, binary_attributes, json_of, kind, with_data


class FeedbackError(ValueError):
    """Feedback that cannot be used; the message names index, field, value and remedy."""

    status = 422
    """What the server answers."""


class MalformedError(FeedbackError):
    """A body that is no JSON, or text that is no UTF-8."""

    status = 400


def parse(body: bytes, headers: Mapping[str, str]) -> list[Any]:
    """Raw events of a request, unchecked but for what makes a CloudEvent.

    Args:
        body: as received.
        headers: names in lower case.

    Raises:
        MalformedError: no JSON, or no UTF-8.
        FeedbackError: a CloudEvent without what it must have.
    """
    try:
        content = json_of(body)
        if kind(headers) == BATCH:
            if not isinstance(content, list):
                raise FeedbackError(
                    f"body: {shown(content)}; send an array of CloudEvents, or content type {STRUCTURED}"
                )
            return [_event(envelope, f"events[{index}]") for index, envelope in enumerate(content)]
        if kind(headers) == STRUCTURED:
            return [_event(content, "events[0]")]
        if "ce-specversion" in headers:
            return [_event({**binary_attributes(headers), "data": content}, "events[0]")]
    except UnreadableError as error:
        raise MalformedError(f"{error}; send an event or an array of events, in UTF-8") from None
    return content if isinstance(content, list) else [content]


def _event(envelope: Any, where: str) -> dict[str, Any]:
    try:
        return CloudEvent.model_validate(with_data(envelope, where) if isinstance(envelope, dict) else envelope).event()
    except ValidationError as error:
        raise FeedbackError(refusal(error, CloudEvent, where)) from None

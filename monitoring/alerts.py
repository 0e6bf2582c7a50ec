"""An alert: what a monitor found, as a CloudEvent 1.0 in structured JSON mode.

Its id is a digest of campaign, cause, platform and first cycle: an episode that is found again, after a restart too, is
the same alert. `dedupkey` leaves the cycle out: it is one trouble's, however often it comes back. A number that is not
finite is told as null.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, AwareDatetime, BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from crossmix.ledger.alerts import Notice

TYPE = "crossmix.alert"
MEDIA = "application/cloudevents+json"
EVERY = "*"
"""The subject of an alert, and the campaign of a run, that is about every campaign."""
SEVERITIES = ("info", "warning", "critical")


class AlertError(ValueError):
    """What cannot be an alert; the message names field, value and remedy."""


def text_like(value: str) -> str:
    """Raises `ValueError` for what a database or another program would not take as text."""
    if "\x00" in value:
        raise ValueError("holds a NUL character")
    try:
        value.encode()
    except UnicodeEncodeError:
        raise ValueError("holds half of a surrogate pair") from None
    return value


Text = Annotated[str, Field(min_length=1, max_length=200), AfterValidator(text_like)]
Long = Annotated[str, Field(max_length=2_000), AfterValidator(text_like)]
Number = Annotated[float, Field(allow_inf_nan=False)] | None
Cycle = Annotated[int, Field(ge=0, lt=2**31)]
Severity = Literal["info", "warning", "critical"]


class _Data(BaseModel):
    """A CloudEvent's `data`."""

    model_config = ConfigDict(extra="ignore", strict=True)
    platform: Text | None = None
    observed: Number = None
    expected: Number = None
    z: Number = None
    threshold: Number = None
    unit: Long = ""
    detail: Long = ""
    evidence: Long | None = None


class _Event(BaseModel):
    """A CloudEvent that this project's monitors send; attributes that others add are left alone."""

    model_config = ConfigDict(extra="ignore", strict=True)
    specversion: Literal["1.0"]
    id: Text
    source: Text
    type: Literal["crossmix.alert"]
    subject: Text
    time: Annotated[AwareDatetime, Field(strict=False)]
    datacontenttype: Literal["application/json"] = "application/json"
    severity: Severity
    cause: Text
    cycle: Cycle
    dedupkey: Text
    data: _Data


@dataclass(frozen=True, slots=True, kw_only=True)
class Alert:
    """What a monitor found.

    Raises:
        AlertError: a field that does not fit.
    """

    campaign_id: str
    """`EVERY`: all of the advertiser's."""
    cause: str
    """What is wrong, as cvr or silent; a name that stays."""
    platform: str | None = None
    """`None`: none in particular."""
    cycle: int
    """First of the episode, from 0."""
    at: datetime
    """Market time, UTC."""
    severity: Severity = "warning"
    observed: float | None = None
    """In `unit`, as the other figures but for `z`."""
    expected: float | None = None
    z: float | None = None
    """(observed - expected) / standard deviation."""
    threshold: float | None = None
    """Beyond which it alarms, in whatever the monitor compares: `z`, or a sum of them."""
    unit: str = ""
    detail: str = ""
    """One sentence for a person."""
    evidence: str | None = None
    """URI of a picture or report that shows it."""

    def __post_init__(self) -> None:
        _checked(self.event("/crossmix"))

    @property
    def alert_id(self) -> str:
        """32 hex digits, of campaign, cause, platform and first cycle."""
        return _digest(self.campaign_id, self.cause, self.platform, self.cycle)

    @property
    def dedupkey(self) -> str:
        """32 hex digits, of campaign, cause and platform."""
        return _digest(self.campaign_id, self.cause, self.platform)

    def event(self, source: str) -> dict[str, Any]:
        """The CloudEvent, plain data without NaN. `source`: URI reference of who raises it."""
        return {
            "specversion": "1.0",
            "id": self.alert_id,
            "source": source,
            "type": TYPE,
            "subject": self.campaign_id,
            "time": self.at.isoformat(),
            "datacontenttype": "application/json",
            "severity": self.severity,
            "cause": self.cause,
            "cycle": self.cycle,
            "dedupkey": self.dedupkey,
            "data": {
                "platform": self.platform,
                "observed": _finite(self.observed),
                "expected": _finite(self.expected),
                "z": _finite(self.z),
                "threshold": _finite(self.threshold),
                "unit": self.unit,
                "detail": self.detail,
                "evidence": self.evidence,
            },
        }

    def notice(self, source: str) -> Notice:
        """As the ledger keeps it."""
        return notice_of(self.event(source))


def body_of(event: Mapping[str, Any]) -> bytes:
    """JSON in UTF-8, keys in order, so that a second try sends the same bytes; raises `ValueError` for NaN."""
    return json.dumps(event, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False).encode()


def notice_of(event: Any) -> Notice:
    """A CloudEvent, sent or received, as the ledger keeps it: the fields that are known, and no others.

    Raises:
        AlertError: an attribute or a field of `data` that is missing or does not fit.
    """
    valid = _checked(event)
    return Notice(
        alert_id=valid.id,
        campaign_id=valid.subject,
        cause=valid.cause,
        platform=valid.data.platform,
        cycle=valid.cycle,
        severity=valid.severity,
        dedupkey=valid.dedupkey,
        sender="crossmix",
        event=valid.model_dump(mode="json"),
    )


def json_of(body: bytes) -> Any:
    """JSON that is UTF-8 and has no NaN; raises `AlertError`."""
    try:
        return json.loads(str(body, "utf-8-sig"), parse_constant=_no_constant)
    except RecursionError:
        raise AlertError("body: nested too deep; send one alert as JSON") from None
    except UnicodeDecodeError as error:
        raise AlertError(f"body: byte {error.start} is not UTF-8; send JSON in UTF-8") from None
    except ValueError as error:
        raise AlertError(f"body: not JSON ({str(error)[:120]}); send an alert as JSON in UTF-8") from None


def refusal(error: ValidationError) -> AlertError:
    """The first thing that does not fit, in one sentence without what was sent."""
    first = error.errors(include_url=False, include_input=False)[0]
    where = ".".join(str(part)[:60] for part in first["loc"]) or "body"
    return AlertError(f"{where}: {first['msg']}; docs/monitoring.md has the format")


def _no_constant(name: str) -> None:
    raise ValueError(f"{name} is no number of JSON")


@cache
def _adapter() -> TypeAdapter[_Event]:
    return TypeAdapter(_Event)


def _checked(event: Any) -> _Event:
    try:
        return _adapter().validate_python(event)
    except ValidationError as error:
        raise refusal(error) from None


def _finite(value: float | None) -> float | None:
    return None if value is None or not math.isfinite(value) else float(value)


def _digest(*parts: str | int | None) -> str:
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:32]

"""Alertmanager's webhook format, version 4: its firing alerts as the ledger keeps alerts.

An alert of Alertmanager is one by fingerprint and startsAt: it is sent again and again while it fires. The labels
`campaign`, `cause` (or `alertname`), `platform`, `severity` and `cycle` say what it is about.
"""

from __future__ import annotations

import hashlib
import json
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, AwareDatetime, BaseModel, ConfigDict, Field, ValidationError

from crossmix.ledger.alerts import Notice
from monitoring.alerts import EVERY, SEVERITIES, refusal, text_like

VERSION = "4"
_SAME = {"error": "critical", "page": "critical", "none": "info", "notice": "info"}
"""Words that others use for a severity; what is not known is a warning."""
Value = Annotated[str, Field(max_length=10_000), AfterValidator(text_like)]
Labels = dict[Value, Value]


class _Alert(BaseModel):
    model_config = ConfigDict(extra="ignore")
    status: Literal["firing", "resolved"]
    labels: Labels = Field(default_factory=dict)
    annotations: Labels = Field(default_factory=dict)
    startsAt: AwareDatetime
    endsAt: Value = ""
    generatorURL: Value = ""
    fingerprint: Value = ""


class _Group(BaseModel):
    model_config = ConfigDict(extra="ignore")
    version: Literal["4"]
    alerts: list[_Alert]


def notices_of(content: Any) -> tuple[list[Notice], int]:
    """The firing alerts of a request's body, and how many were resolved.

    Args:
        content: JSON.

    Raises:
        AlertError: not of version 4, or a field that does not fit.
    """
    try:
        group = _Group.model_validate(content)
    except ValidationError as error:
        raise refusal(error) from None
    firing = [alert for alert in group.alerts if alert.status == "firing"]
    return [_notice(alert) for alert in firing], len(group.alerts) - len(firing)


def _notice(alert: _Alert) -> Notice:
    labels = alert.labels
    # A sender that tells no fingerprint is told apart by its labels, which is what Alertmanager's is a hash of.
    mark = alert.fingerprint or json.dumps(sorted(labels.items()))
    severity = labels.get("severity", "").lower()
    severity = _SAME.get(severity, severity)
    cycle = labels.get("cycle", "")
    return Notice(
        alert_id=_digest(mark, alert.startsAt.isoformat()),
        campaign_id=labels.get("campaign", "")[:200] or EVERY,
        cause=(labels.get("cause") or labels.get("alertname") or "alertmanager")[:200],
        platform=labels.get("platform", "")[:200] or None,
        cycle=int(cycle) if cycle.isascii() and cycle.isdigit() and len(cycle) < 10 else None,
        severity=severity if severity in SEVERITIES else "warning",
        dedupkey=_digest(mark),
        sender="alertmanager",
        event=alert.model_dump(mode="json"),
    )


def _digest(*parts: str) -> str:
    return hashlib.sha256(json.dumps(["alertmanager", *parts]).encode()).hexdigest()[:32]

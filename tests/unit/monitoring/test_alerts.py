"""Alerts as CloudEvents: an id that is the episode's, the fields that were agreed on, and never NaN."""

from __future__ import annotations

import hashlib
import json
import math
from datetime import UTC, datetime
from typing import Any

import pytest

from monitoring.alerts import AlertError, body_of, json_of, notice_of
from tests.support.webhooks import alert, event


def test_the_event_is_a_structured_cloud_event() -> None:
    made = alert(observed=0.01, expected=0.02, z=-6.5, threshold=5.1, unit="per click", evidence="file:///a.html")
    assert made.event("/crossmix/monitor") == {
        "specversion": "1.0",
        "id": hashlib.sha256(b'["spring", "cvr", "search", 7]').hexdigest()[:32],
        "source": "/crossmix/monitor",
        "type": "crossmix.alert",
        "subject": "spring",
        "time": "2026-01-05T00:00:00+00:00",
        "datacontenttype": "application/json",
        "severity": "warning",
        "cause": "cvr",
        "cycle": 7,
        "dedupkey": hashlib.sha256(b'["spring", "cvr", "search"]').hexdigest()[:32],
        "data": {
            "platform": "search",
            "observed": 0.01,
            "expected": 0.02,
            "z": -6.5,
            "threshold": 5.1,
            "unit": "per click",
            "detail": "",
            "evidence": "file:///a.html",
        },
    }


def test_names_of_attributes_are_those_that_cloud_events_allow() -> None:
    assert all(name.isalnum() and name == name.lower() and len(name) <= 20 for name in event())


def test_an_episode_found_again_is_the_same_alert_and_another_is_not() -> None:
    first = alert()
    later = alert(at=datetime(2026, 2, 1, tzinfo=UTC), z=9.0, severity="critical", detail="still there")
    assert later.alert_id == first.alert_id
    others = [alert(**{name: value}) for name, value in (("campaign_id", "x"), ("cause", "x"), ("platform", None))]
    ids = {one.alert_id for one in [first, alert(cycle=8), *others]}
    assert len(ids) == 5
    assert alert(cycle=8).dedupkey == first.dedupkey


def test_a_number_that_is_not_finite_is_null() -> None:
    data = alert(observed=math.nan, expected=math.inf, z=-math.inf, threshold=3.0).event("/x")["data"]
    assert (data["observed"], data["expected"], data["z"], data["threshold"]) == (None, None, None, 3.0)
    with pytest.raises(ValueError, match="JSON"):
        body_of(event() | {"data": {"z": math.nan}})


def test_the_same_event_is_the_same_bytes() -> None:
    turned = dict(reversed(event(detail="für").items()))
    assert body_of(turned) == body_of(event(detail="für"))
    assert "für".encode() in body_of(turned)


def test_what_was_sent_is_read_back() -> None:
    notice = notice_of(json_of(body_of(event(observed=0.5))))
    assert notice == alert(observed=0.5).notice("/crossmix/monitor")
    assert (notice.campaign_id, notice.cause, notice.platform, notice.cycle) == ("spring", "cvr", "search", 7)
    assert notice.event["data"]["observed"] == 0.5


def test_what_others_add_is_left_alone() -> None:
    more = event() | {"traceparent": "00-1", "data": event()["data"] | {"region": "north"}}
    assert notice_of(more).alert_id == alert().alert_id


@pytest.mark.parametrize(
    ("field", "value", "said"),
    [
        ("campaign_id", "", "subject: String should have at least 1 character"),
        ("campaign_id", "a" * 201, "subject: String should have at most 200 characters"),
        ("cause", "a\x00b", "cause: .*NUL"),
        ("cycle", -1, "cycle: Input should be greater than or equal to 0"),
        ("severity", "loud", "severity: Input should be 'info', 'warning' or 'critical'"),
        ("at", datetime(2026, 1, 5), "time: Input should have timezone info"),
        ("detail", "\ud800", "data.detail"),
    ],
)
def test_an_alert_that_nobody_could_keep_is_not_made(field: str, value: Any, said: str) -> None:
    with pytest.raises(AlertError, match=said):
        alert(**{field: value})


@pytest.mark.parametrize("body", [b"NaN", b"[Infinity]", b"\xff", b"", b"{", b"[" * 100_000, b"1" * 5_000])
def test_what_is_no_json(body: bytes) -> None:
    with pytest.raises(AlertError, match="body"):
        json_of(body)


def test_a_refusal_shows_nothing_of_what_was_sent() -> None:
    with pytest.raises(AlertError) as refused:
        notice_of(event() | {"severity": "secret-value"})
    assert "secret-value" not in str(refused.value)
    assert json.loads(body_of(event()))["id"] == alert().alert_id

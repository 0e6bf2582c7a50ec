"""How many events a request may hold, and how many bytes: one does not contradict the other."""

from __future__ import annotations

import json
from pathlib import Path

from fastapi import FastAPI
from fastapi.testclient import TestClient

from crossmix.config.serving import Serving
from crossmix.ledger.store import Store
from serving.assignment.users import LONGEST as LONGEST_USER
from serving.campaigns import service as campaigns
from serving.feedback.schema import MOST_EVENTS
from serving.fields import LONGEST_ID
from serving.http import resources as routes
from serving.http.observe import Observe
from tests.support.serving_live import PLATFORMS, START, FakeLive, event, raw


def test_as_many_events_as_a_request_may_hold_fit_its_bound(tmp_path: Path) -> None:
    """Ordinary ones through the server's own bound; and of the longest, all of whose text is ASCII, as many fit too."""
    limits = Serving()
    ordinary = [
        event(
            f"0d6f2f5e-6f0c-4c3e-9a53-{number:012d}",
            user_id=f"user-{number:012d}",
            requests=1_234.0,
            clicks=12.0,
            conversions=1.0,
            revenue=123.456789,
        )
        for number in range(MOST_EVENTS)
    ]
    store = Store(f"sqlite:///{tmp_path}/serving.db")
    campaigns.create(store, raw(), PLATFORMS, "ann")
    live, app = FakeLive(store), FastAPI()
    app.include_router(routes.router(live, changed=live.reload, clock=live.clock))
    bounded = TestClient(Observe(app, limits.largest_body, limits.largest_batch))
    assert bounded.post("/feedback", json=ordinary).json()["accepted"] == MOST_EVENTS
    refused = bounded.post("/feedback", json=[*ordinary, event("one more")])
    assert (refused.status_code, refused.json()["error"]) == (
        422,
        "events: 10,001 in a request; send at most 10,000",
    )
    name, amount = "x" * LONGEST_ID, 1_234_567.890123456
    longest = {
        **event(name, campaign_id=name, platform=name, user_id="x" * LONGEST_USER, timestamp=START.isoformat()),
        **dict.fromkeys(("requests", "impressions", "clicks", "conversions", "revenue", "spend"), amount),
    }
    assert MOST_EVENTS * (len(json.dumps(longest)) + len(", ")) < limits.largest_batch
    assert bounded.post("/feedback", content=b" " * (limits.largest_batch + 1)).json() == {
        "error": "body: larger than 16777216 bytes; send less at a time, or raise serving.largest_batch"
    }
    store.close()

"""Held reports are decided from the page: about what the form showed, by whom and why; what came since stays held."""

from __future__ import annotations

import html
import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from urllib.parse import urlencode

import pytest
from fastapi import APIRouter, FastAPI
from fastapi.testclient import TestClient

from crossmix.ledger import quarantine
from crossmix.ledger.campaigns import Campaign
from crossmix.ledger.quarantine import CONFIRMED, DISCARDED, HELD, Entry
from crossmix.ledger.store import Store
from serving.http.quarantine import router
from serving.page import desk

NOW = datetime(2026, 3, 9, tzinfo=UTC)
LATER = NOW + timedelta(hours=1)
PLATFORMS = ("search", "social")


def entry(cycle: int, platform: str = "search", campaign: str = "spring") -> Entry:
    return Entry(
        campaign, "policy", platform, cycle, "impossible", "value", 500.0, 5.0, 9.0, "", NOW, HELD, quarantine.GUARD,
        "", NOW,
    )  # fmt: skip


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    made = Store(f"sqlite:///{tmp_path / 'serving.db'}", lambda: NOW)
    quarantine.update(made, [entry(4), entry(6, "social"), entry(9, campaign="other")], [], NOW)
    yield made
    made.close()


@pytest.fixture
def client(store: Store) -> TestClient:
    spring = Campaign("spring", "EUR", 100.0, {"search": 0.5, "social": 0.5}, {}, NOW, 30, 24)
    live: Any = SimpleNamespace(store=store, clock=lambda: LATER, platforms=PLATFORMS, campaigns={"spring": spring})
    routes, app = APIRouter(), FastAPI()

    async def never(*_: Any) -> bool:
        raise AssertionError("no switch")

    desk.add(routes, live, never)
    app.include_router(routes)
    app.include_router(router(live))
    return TestClient(app, follow_redirects=False)


def hidden(text: str) -> dict[str, str]:
    fields = re.findall(r'<input type="hidden" name="([^"]*)" value="([^"]*)"', text)
    return {name: html.unescape(value) for name, value in fields}


def send(client: TestClient, action: str, fields: dict[str, str], **more: str) -> Any:
    headers = {"content-type": "application/x-www-form-urlencoded", "origin": "http://testserver"}
    return client.post(f"/desk/{action}", content=urlencode({**fields, **more}), headers=headers)


@pytest.mark.parametrize(("action", "state"), [("confirm", CONFIRMED), ("discard", DISCARDED)])
def test_what_the_form_showed_is_decided_and_what_came_since_stays_held(
    client: TestClient, store: Store, action: str, state: str
) -> None:
    fields = hidden(client.get(f"/desk/{action}", params={"campaign": "spring"}).text)
    assert (fields["campaign"], fields["was"]) == ("spring", "6")
    quarantine.update(store, [entry(7)], [], NOW)
    shown = send(client, action, fields, reason="seen")
    assert shown.status_code == 200
    assert quarantine.read(store, ["spring"], [state]) == [], "it was shown, and is to be confirmed"
    done = send(client, action, hidden(shown.text), reason="seen", step="do")
    assert (done.status_code, done.headers["location"]) == (303, f"../?campaign=spring&done={action}")
    decided = quarantine.read(store, ["spring"], [state])
    assert [(one.cycle, one.platform, one.actor, one.reason, one.at) for one in decided] == [
        (4, "search", "local", "seen", LATER),
        (6, "social", "local", "seen", LATER),
    ]
    assert quarantine.read(store, None, [HELD]) == [entry(9, campaign="other"), entry(7)]
    # Sent once more from an old page there is nothing to decide but what came since, which it did not show.
    again = send(client, action, fields, reason="seen", step="do")
    assert again.status_code == 404
    assert "nothing of 'spring' is held" in html.unescape(again.text)


def test_a_form_that_was_opened_with_nothing_held_decides_nothing(client: TestClient, store: Store) -> None:
    quarantine.decide(store, "spring", CONFIRMED, "ann", "", NOW)
    fields = hidden(client.get("/desk/confirm", params={"campaign": "spring"}).text)
    quarantine.update(store, [entry(8)], [], NOW)
    refused = send(client, "confirm", fields, step="do")
    assert "form: nothing was held when it was opened; open it again" in refused.text
    assert quarantine.read(store, ["spring"], [HELD]) == [entry(8)]


def test_over_http_a_part_is_decided_and_an_unknown_platform_is_refused(client: TestClient, store: Store) -> None:
    body = {"campaign_id": "spring", "state": "discarded"}
    refused = client.post("/quarantine", json={**body, "platform": "video"})
    assert (refused.status_code, refused.json()) == (
        422, {"error": "platform: 'video' is unknown; use search, social"},
    )  # fmt: skip
    assert client.post("/quarantine", json={**body, "last": 3}).status_code == 404
    assert client.post("/quarantine", json={**body, "arm": "control"}).status_code == 404
    (cell,) = client.post("/quarantine", json={**body, "platform": "social", "first": 5}).json()["cells"]
    assert (cell["cycle"], cell["state"], cell["at"]) == (6, "discarded", LATER.isoformat())
    listed = client.get("/quarantine", params={"campaign": "spring", "state": "held"}).json()["cells"]
    assert [(one["cycle"], one["platform"]) for one in listed] == [(4, "search")]
    (decided,) = client.post("/quarantine", json={**body, "state": "confirmed", "again": True, "first": 6}).json()[
        "cells"
    ]
    assert (decided["cycle"], decided["state"]) == (6, "confirmed")
    assert quarantine.read(store, ["other"], [HELD]) == [entry(9, campaign="other")]

"""Routes of campaigns and overrides: what they change, whom they name, and how they refuse."""

from __future__ import annotations

from typing import Any

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

from serving.campaigns import lane
from serving.http import resources as routes
from tests.support.serving_live import START, FakeLive, raw


@pytest.fixture
def client(live: FakeLive, monkeypatch: pytest.MonkeyPatch) -> TestClient:
    """What it has acknowledged is in the database, however slow the machine is."""
    monkeypatch.setattr(lane, "ANSWER_SECONDS", 300.0)
    app = FastAPI()
    app.include_router(routes.router(live, changed=live.reload, clock=live.clock))
    return TestClient(app)


def test_routes_change_campaigns_and_read_them_anew(client: TestClient, live: FakeLive) -> None:
    assert client.get("/campaigns").json() == {"campaigns": []}
    made = client.post("/campaigns", json=raw("a/b"))
    assert made.status_code == 201
    planned = {**raw("a/b", starts=START.isoformat()), "timezone": "UTC"}
    assert made.json() == {**planned, "cycle": 0, "paused": False, "override": None}
    assert client.post("/campaigns", json=raw("a/b")).status_code == 409
    assert client.post("/campaigns", json=[raw("x"), raw("y")]).status_code == 201
    assert client.get("/campaigns/a/b").json() == made.json()
    assert client.patch("/campaigns/a/b", json={"cycles": 7}).json()["cycles"] == 7
    assert client.post("/campaigns/a/b/pause", params={"reason": "rain"}).json()["paused"]
    assert not client.post("/campaigns/a/b/resume").json()["paused"]
    put = client.put("/campaigns/a/b/override", json={"kind": "static", "reason": "odd"})
    assert put.json()["override"]["actor"] == "local"
    assert live.campaigns["a/b"].override is not None
    assert client.delete("/campaigns/a/b/override").json()["override"] is None
    assert live.campaigns["a/b"].override is None
    entries = client.get("/audit", params={"subject": "a/b", "limit": 3}).json()["entries"]
    assert [entry["action"] for entry in entries] == ["override.lift", "override.set", "campaign.resume"]
    assert sorted(row["campaign_id"] for row in client.get("/campaigns").json()["campaigns"]) == ["a/b", "x", "y"]


def test_why_is_read_as_reason_with_a_warning(client: TestClient, caplog: pytest.LogCaptureFixture) -> None:
    client.post("/campaigns", json=raw())
    caplog.clear()
    paused = client.post("/campaigns/spring/pause", params={"why": "rain"})
    put = client.put("/campaigns/spring/override", json={"kind": "static", "why": "odd"})
    warning = '299 crossmix "why is named reason now; send reason, why will be refused in a later version"'
    assert (paused.status_code, paused.headers["warning"]) == (200, warning)
    assert (put.status_code, put.headers["warning"], put.json()["override"]["reason"]) == (200, warning, "odd")
    assert [record.levelname for record in caplog.records if "why is named reason now" in record.message] == [
        "WARNING",
        "WARNING",
    ]
    named = client.post("/campaigns/spring/resume", params={"reason": "sun"})
    assert "warning" not in named.headers
    reasons = [entry["reason"] for entry in client.get("/audit").json()["entries"]]
    assert reasons == ["sun", "odd", "rain", ""]
    both = client.post("/campaigns/spring/pause", params={"reason": "a", "why": "b"})
    assert (both.status_code, both.json()["error"]) == (422, "why: reason is there too; send reason alone")
    assert not client.get("/campaigns/spring").json()["paused"]


@pytest.mark.parametrize(
    ("method", "path", "body", "status", "message"),
    [
        ("POST", "/campaigns", b"{", 400, "body: not JSON"),
        ("POST", "/campaigns", b"\xff\xfe", 400, "body: not JSON"),
        ("POST", "/campaigns", b"[" * 100_000, 400, "body: "),
        ("POST", "/campaigns", b"7", 422, "campaign: 7; send an object"),
        ("POST", "/campaigns", b'[{"campaign_id": "z"}, 3]', 422, "import: 2 of 2 rows cannot be used"),
        ("POST", "/campaigns", b'{"\\ud800": 1}', 400, "half of a surrogate pair"),
        ("PATCH", "/campaigns/spring", b"[]", 422, "edit: an array"),
        ("PATCH", "/campaigns/spring", b'{"limits": {"search": {"\\ud800": 1}}}', 400, "half of a surrogate pair"),
        ("PATCH", "/campaigns/autumn", b'{"cycles": 3}', 404, "'autumn' is unknown; known: spring"),
        ("GET", "/campaigns/autumn", b"", 404, "'autumn' is unknown; known: spring"),
        ("POST", "/campaigns/autumn/pause", b"", 404, "'autumn' is unknown"),
        ("DELETE", "/campaigns/autumn/override", b"", 404, "'autumn' is unknown"),
        ("PUT", "/campaigns/spring/override", b"{}", 422, "kind: missing"),
        (
            "PUT",
            "/campaigns/spring/override",
            b"[]",
            422,
            "override: an array; send an object with kind, share, reason",
        ),
        (
            "PUT",
            "/campaigns/spring/override",
            b'{"kind": "static", "x": 1}',
            422,
            "x: unknown field; use kind, share, reason",
        ),
        (
            "PUT",
            "/campaigns/spring/override",
            b'{"kind": "static", "reason": "\\ud800"}',
            400,
            "half of a surrogate pair is no UTF-8",
        ),
        ("PUT", "/campaigns/spring/override", b'{"kind": ["static"]}', 422, "kind: an array"),
    ],
)
def test_routes_refuse_in_one_sentence(
    client: TestClient, live: FakeLive, method: str, path: str, body: bytes, status: int, message: str
) -> None:
    client.post("/campaigns", json=raw())
    reloads = live.reloads
    answer = client.request(method, path, content=body)
    assert answer.status_code == status
    assert message in answer.json()["error"]
    assert list(answer.json()) == ["error"]
    assert live.reloads == reloads


def test_who_comes_from_the_token(live: FakeLive) -> None:
    app = FastAPI()
    app.include_router(routes.router(live, changed=live.reload, clock=live.clock))

    async def named(scope: Any, receive: Any, send: Any) -> None:
        scope.setdefault("state", {})["actor"] = "bidder-7"
        await app(scope, receive, send)

    client = TestClient(named)
    client.post("/campaigns", json=raw())
    assert client.get("/audit").json()["entries"][0]["actor"] == "bidder-7"

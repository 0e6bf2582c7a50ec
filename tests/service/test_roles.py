"""What each role of a cluster answers, and what it leaves to others."""

from __future__ import annotations

import pytest
from fastapi.testclient import TestClient

from serving.app import Settings, application
from serving.live.live import Live

PARTS = {
    "answers": ("POST", "/v1/models/policy:predict", {"instances": [{"campaign_id": "c0"}]}),
    "feedback": ("POST", "/feedback", []),
    "audit": ("GET", "/audit", None),
    "campaigns": ("GET", "/campaigns", None),
    "page": ("GET", "/page.json", None),
    "health": ("GET", "/healthz", None),
    "ready": ("GET", "/v2/health/ready", None),
    "serving": ("GET", "/serving", None),
}
OWN = {"health", "ready", "serving"}
ROLES = {
    "policy": OWN | {"answers"},
    "feedback": OWN | {"feedback", "audit"},
    "pusher": OWN,
    "all": set(PARTS),
}


@pytest.mark.parametrize("role", ROLES)
def test_a_role_answers_its_part_alone(role: str, live: Live, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CROSSMIX_RELEASE", "0123456789abcdef")
    client = TestClient(application(live, Settings(role=role)), base_url="http://127.0.0.1")
    status = {part: client.request(how, path, json=body).status_code for part, (how, path, body) in PARTS.items()}
    # An empty array of events is none: 422, by who takes feedback.
    assert {part for part, code in status.items() if code in (200, 422)} == ROLES[role]
    assert {code for part, code in status.items() if part not in ROLES[role]} <= {404}
    assert client.get("/serving").json()["release"] == "0123456789abcdef"

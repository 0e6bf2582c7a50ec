"""What the management routes answer is what `/openapi.json` tells of it, and so is what they take."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient
from jsonschema_rs import ValidationError, validator_for

from crossmix.ledger.store import Store
from crossmix.state import ALLOCATION
from serving.http import resources
from serving.protocol import metadata
from tests.support.serving_live import START, FakeLive, event, raw


@pytest.fixture
def client(tmp_path: Path) -> Iterator[TestClient]:
    live = FakeLive(Store(f"sqlite:///{tmp_path}/serving.db"), START + timedelta(hours=12))
    app = FastAPI()
    app.include_router(resources.router(live, changed=live.reload, clock=live.clock))
    metadata.install(app, ("policy",), ALLOCATION)
    yield TestClient(app)
    live.store.close()


@pytest.fixture
def document(client: TestClient) -> dict[str, Any]:
    told: dict[str, Any] = client.app.openapi()  # type: ignore[attr-defined]
    return told


def holds(document: dict[str, Any], schema: dict[str, Any], value: Any) -> None:
    """Raise `ValidationError` where a value is none of a schema of the document."""
    validator_for({**schema, "components": document["components"]}).validate(value)


ASKED: list[tuple[str, str, str, Any]] = [
    ("post", "/campaigns", "/campaigns", raw("first")),
    ("post", "/campaigns", "/campaigns", [raw("second", limits=None), raw("third", limits={})]),
    ("get", "/campaigns", "/campaigns", None),
    ("get", "/campaigns/{campaign_id}", "/campaigns/first", None),
    ("patch", "/campaigns/{campaign_id}", "/campaigns/first", {"limits": {"search": {"min": None}, "video": None}}),
    ("post", "/campaigns/{campaign_id}/pause", "/campaigns/first/pause", None),
    ("post", "/campaigns/{campaign_id}/resume", "/campaigns/first/resume", None),
    ("put", "/campaigns/{campaign_id}/override", "/campaigns/first/override", {"kind": "static", "reason": "odd"}),
    ("put", "/campaigns/{campaign_id}/override", "/campaigns/first/override", {"kind": "given", "share": {"video": 1}}),
    ("delete", "/campaigns/{campaign_id}/override", "/campaigns/first/override", None),
    ("post", "/feedback", "/feedback", event("1", campaign_id="first")),
    ("post", "/feedback", "/feedback", [event("2", campaign_id="first", arm=None, user_id="u", requests=7)]),
    ("get", "/audit", "/audit", None),
]


def test_bodies_and_answers_are_as_they_are_described(client: TestClient, document: dict[str, Any]) -> None:
    for method, path, url, body in ASKED:
        described = document["paths"][path][method]
        if body is not None:
            holds(document, described["requestBody"]["content"]["application/json"]["schema"], body)
        reply = client.request(method, url, json=body)
        status = str(reply.status_code)
        assert status in ("200", "201"), reply.text
        holds(document, described["responses"][status]["content"]["application/json"]["schema"], reply.json())
    assert len({(method, path) for method, path, *_ in ASKED}) == 10


@pytest.mark.parametrize(
    ("method", "path", "url", "body"),
    [
        ("post", "/campaigns", "/campaigns", {**raw("x"), "colour": "red"}),
        ("post", "/campaigns", "/campaigns", raw("x", cycles=0)),
        ("post", "/campaigns", "/campaigns", raw("x", currency="eur")),
        ("post", "/campaigns", "/campaigns", raw("x", cycle_budget=True)),
        ("post", "/campaigns", "/campaigns", raw("x" * 201)),
        ("post", "/campaigns", "/campaigns", raw("x", limits={"search": {"max": 2}})),
        ("patch", "/campaigns/{campaign_id}", "/campaigns/first", {}),
        ("patch", "/campaigns/{campaign_id}", "/campaigns/first", {"campaign_id": "y"}),
        ("patch", "/campaigns/{campaign_id}", "/campaigns/first", {"cycles": None}),
        ("put", "/campaigns/{campaign_id}/override", "/campaigns/first/override", {}),
        ("put", "/campaigns/{campaign_id}/override", "/campaigns/first/override", {"kind": "off"}),
        ("post", "/feedback", "/feedback", event("1", campaign_id="first", arm="both")),
        ("post", "/feedback", "/feedback", event("1", campaign_id="first", spend=-1)),
        ("post", "/feedback", "/feedback", []),
    ],
)
def test_what_the_description_excludes_is_refused(
    client: TestClient, document: dict[str, Any], method: str, path: str, url: str, body: Any
) -> None:
    client.post("/campaigns", json=raw("first"))
    schema = document["paths"][path][method]["requestBody"]["content"]["application/json"]["schema"]
    with pytest.raises(ValidationError):
        holds(document, schema, body)
    reply = client.request(method, url, json=body)
    assert (reply.status_code, list(reply.json())) == (422, ["error"])


def test_the_name_of_before_is_told_as_deprecated(document: dict[str, Any]) -> None:
    query = {one["name"]: one for one in document["paths"]["/campaigns/{campaign_id}/pause"]["post"]["parameters"]}
    assert (query["why"].get("deprecated"), query["reason"].get("deprecated")) == (True, None)
    assert query["reason"]["schema"]["maxLength"] == 1_000
    body = document["components"]["schemas"]["NewOverride"]["properties"]
    assert (body["why"].get("deprecated"), body["reason"].get("deprecated")) == (True, None)

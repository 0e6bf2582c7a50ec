"""The V1 route: plain JSON by ours, CloudEvents by KServe's, the same answers by both."""

from __future__ import annotations

import json
from typing import Any

import pytest
from fastapi.testclient import TestClient

from serving.app import Settings, application
from serving.live.live import Live
from tests.support.serving_run import instance

ATTRIBUTES = {"id": "1", "source": "//bidder", "type": "question", "specversion": "1.0", "time": "2026-01-05T00:00:00Z"}
URL = "/v1/models/policy:predict"


@pytest.fixture
def client(live: Live) -> TestClient:
    return TestClient(application(live, Settings()), base_url="http://127.0.0.1:8080")


def allocation(predictions: Any) -> Any:
    [one] = predictions
    return one["allocation"]


def test_content_types_make_no_difference_to_plain_json(client: TestClient) -> None:
    body = json.dumps(instance(budget=700.0))
    told = []
    for headers in ({"content-type": "application/json"}, {"content-type": "text/plain"}, {}):
        reply = client.post(URL, content=body, headers=headers)
        assert (reply.status_code, reply.headers["content-type"]) == (200, "application/json")
        told.append(allocation(reply.json()["predictions"]))
    assert told[0] == told[1] == told[2]


def test_cloud_events_are_answered_as_cloud_events(client: TestClient) -> None:
    asked = instance(budget=700.0)
    plain = allocation(client.post(URL, json=asked).json()["predictions"])
    binary = client.post(URL, json=asked, headers={f"ce-{name}": value for name, value in ATTRIBUTES.items()})
    assert binary.status_code == 200, binary.text
    assert binary.headers["ce-specversion"] == "1.0"
    assert allocation(binary.json()["predictions"]) == plain
    for kind in ("application/cloudevents+json", "application/json"):
        reply = client.post(URL, json={**ATTRIBUTES, "data": asked}, headers={"content-type": kind})
        assert reply.status_code == 200, reply.text
        found = reply.json()
        assert allocation(found.get("data", found)["predictions"]) == plain


@pytest.mark.parametrize(
    ("method", "url", "status", "sentence"),
    [
        ("POST", "/v1/models/nobody:predict", 404, "nobody"),
        ("GET", URL, 404, "Model with name policy:predict does not exist"),
        ("POST", "/v1/models/policy:explain", 405, "Method Not Allowed"),
    ],
)
def test_what_is_not_there_is_told(client: TestClient, method: str, url: str, status: int, sentence: str) -> None:
    reply = client.request(method, url, json=instance() if method == "POST" else None)
    assert (reply.status_code, sentence in reply.json()["error"]) == (status, True), reply.text
    assert reply.headers["x-request-id"]


def test_a_request_counts_under_its_route(client: TestClient) -> None:
    def counted() -> float:
        name = 'crossmix_request_seconds_count{route="/v1/models/{model_name}:predict",status="200"}'
        lines = client.get("/metrics").text.splitlines()
        return sum(float(line.rpartition(" ")[2]) for line in lines if line.startswith(name))

    before = counted()
    assert client.post(URL, json=instance()).status_code == 200
    assert counted() == before + 1

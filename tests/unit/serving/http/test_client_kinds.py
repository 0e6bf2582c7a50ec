"""The client's briefs and journeys, against the application of a server of kinds alone."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from fastapi.testclient import TestClient

from crossmix.config import load
from serving.app import Settings
from serving.http.client import AwayError, Client, RefusedError
from serving.kinds.alone import Alone, application
from serving.kinds.champion import KindChampion
from tests.support.kinds import EchoKind, FakeRegistry

DIGEST = "1" * 64


@pytest.fixture
def client(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Client]:
    """Its server answers with what it was asked, four questions at most; creators have version 3, journeys 7."""
    champions = []
    for kind, version in (("creators", 3), ("journey", 7)):
        known = EchoKind(kind=kind, registered="", load="", answering="", task=kind)
        registry = FakeRegistry(version, {version: DIGEST})
        champions.append(KindChampion(known, tmp_path, lambda registry=registry: registry))  # type: ignore[misc, return-value]
    alone = Alone(load("laptop"), champions)
    for one in champions:
        one.refresh()
    with TestClient(application(alone, Settings(grpc_port=None)), "http://localhost") as served:

        def request(method: str, url: str, *, timeout: float, **given: Any) -> httpx.Response:
            return served.request(method, url, **given)

        monkeypatch.setattr(httpx, "request", request)
        yield Client("http://localhost")
    for one in champions:
        one.stop()


def test_a_brief_is_one_question_of_the_model_creators(client: Client) -> None:
    brief = {"budget": 40_000, "phases": ["launch"]}
    assert client.plan(brief) == {"said": {"brief": brief}, "by": DIGEST, "bundle": DIGEST, "version": 3}


def test_journeys_are_answered_in_order(client: Client) -> None:
    asked = [{"campaign_id": "c0", "user_id": name, "journey": []} for name in ("ann", "bob")]
    told = client.journeys(asked)
    assert [(one["said"], one["version"]) for one in told] == [(asked[0], 7), (asked[1], 7)]


def test_money_is_said_by_every_question_of_its_campaign(client: Client) -> None:
    asked = [{"campaign_id": name, "journey": []} for name in ("c0", "c1", "c0")]
    told = client.journeys(asked, budget_left={"c0": 12.5}, lambdas={"c1": 0.4}, top={"c0": 1})
    spoken = {"budget_left": 12.5, "top": 1}
    assert [one["said"] for one in told] == [asked[0] | spoken, asked[1] | {"lambda": 0.4}, asked[2] | spoken]
    assert asked[0] == {"campaign_id": "c0", "journey": []}
    with pytest.raises(ValueError, match="budget_left: no question is of campaign 'c9'; leave it out"):
        client.journeys(asked, budget_left={"c9": 1.0})


def test_a_refusal_is_the_servers_sentence(client: Client) -> None:
    with pytest.raises(RefusedError) as told:
        client.journeys([{"campaign_id": "c0"}] * 5)
    assert (told.value.status, told.value.sentence) == (400, "instances: 5 questions; send 1 to 4 a request")


def test_what_is_no_prediction_per_question_is_no_answer(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client, "ask", lambda *_, **__: {"predictions": []})
    with pytest.raises(AwayError, match=r"model creators: \{'predictions': \[\]\}; not one prediction per instance"):
        client.plan({})

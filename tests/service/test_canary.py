"""A canary over HTTP, in one process: begun, told, answered by its own bundle, ended; and what is refused."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from starlette.testclient import TestClient

from crossmix.clock import MemoryClock
from crossmix.ledger import canaries, experiments
from serving import app as server
from serving.canary.answers import versions
from serving.live.live import Live
from tests.support.serving_run import BUDGET, CAMPAIGNS, Run, instance

BEGINS = datetime(2026, 1, 5, 9, tzinfo=UTC)
DAY = timedelta(days=1)


@pytest.fixture
def clock() -> MemoryClock:
    return MemoryClock(BEGINS)


@pytest.fixture
def client(live: Live, clock: MemoryClock) -> Iterator[TestClient]:
    live.store.clock = clock
    live.champion.clock = clock
    with TestClient(server.application(live, server.Settings()), base_url="http://localhost") as made:
        yield made


def page(client: TestClient) -> str:
    return client.get("/", headers={"accept": "text/html"}).text


def ask(client: TestClient, arm: str) -> dict[str, Any]:
    reply = client.post(f"/v1/models/{arm}:predict", json=instance())
    assert reply.status_code == 200, reply.text
    answer: dict[str, Any] = reply.json()["predictions"][0]
    return answer


def test_it_is_begun_answered_told_and_ended(client: TestClient, live: Live, clock: MemoryClock, run: Run) -> None:
    assert client.get("/canary").json() == {"canary": None, "standing": None, "earlier": []}
    assert "on trial" not in page(client)
    before = ask(client, "canary")
    assert (before["version"], before["budget"]) == (1, 0.0), "nobody is in it"
    reply = client.post("/canary?reason=better", json={"version": "challenger"})
    assert reply.status_code == 201, reply.text
    row = reply.json()
    assert (row["version"], row["bundle"], row["champion"], row["part"]) == (2, run.digests[1], 1, 0.1)
    assert ask(client, "canary")["version"] == 1, "its cycles are to come"
    clock.advance(DAY)
    mine, policy = ask(client, "canary"), ask(client, "policy")
    assert (mine["version"], mine["bundle"], policy["version"]) == (2, run.digests[1], 1)
    assert [mine["budget"], policy["budget"]] == pytest.approx([0.07 * BUDGET, 0.63 * BUDGET])
    assert mine["allocation"] != policy["allocation"]
    assert mine["state_as_of"] == policy["state_as_of"], "it begins with the policy's state"
    assert client.get("/serving").json()["canary"] == {"version": 2, "step": 1, "part": 0.1}
    assert 'crossmix_canary_part{version="2"} 0.1' in client.get("/metrics").text
    assert client.get("/v2/models/canary").json()["versions"] == ["2"]
    assert client.get("/v2/models/policy").json()["versions"] == ["1"]
    assert "Version 2 is on trial since 2026-01-05 with 10% of the policy" in page(client)
    told = client.get("/canary").json()
    assert told["standing"]["verdict"] == "insufficient data"
    assert versions(live, server.Settings()) == {"policy": 1, "canary": 2}
    again = client.post("/canary?reason=better", json={})
    assert (again.status_code, again.json()["error"]) == (
        409, "canary: version 2 is on trial; end that one first",
    )  # fmt: skip

    ended = client.post("/canary/end?reason=enough")
    assert (ended.status_code, ended.json()["state"]) == (200, "ended")
    assert ask(client, "canary")["version"] == 1, "at once"
    assert ask(client, "canary")["budget"] == pytest.approx(0.07 * BUDGET), "the cycle is finished as it was"
    clock.advance(DAY)
    assert [ask(client, arm)["budget"] for arm in ("canary", "policy")] == pytest.approx([0.0, 0.7 * BUDGET])
    assert client.post("/canary/end?reason=enough").json()["error"].startswith("canary: none runs")
    assert "was ended on 2026-01-06 in step 1 of 10%, 20%, 50%, 100%: enough." in page(client)
    actions = [entry["action"] for entry in client.get("/audit").json()["entries"]]
    assert actions[:2] == ["canary.end", "canary.begin"]


def test_what_cannot_be_tried_is_refused(client: TestClient, live: Live, clock: MemoryClock) -> None:
    for body, status, error in (
        ({"version": 9}, 422, "version: crossmix-policy: no version or alias '9'; registered versions: 1, 2"),
        ({"version": 1}, 409, "version: 1 is champion already; name another"),
        ({"version": []}, 422, "version: give the number of a registered version, or an alias"),
    ):
        reply = client.post("/canary?reason=better", json=body)
        assert reply.status_code == status, reply.text
        assert reply.json()["error"].startswith(error)
    experiments.end(live.store, live.experiment.id, "the policy lost", "ann")
    clock.advance(DAY)  # a cycle that begins as it ends is shared yet
    live.reload()
    reply = client.post("/canary?reason=better", json={"version": 2})
    assert (reply.status_code, reply.json()["error"]) == (
        409, "canary: no user is in the policy's arm (the policy lost); begin an experiment first",
    )  # fmt: skip
    assert canaries.load_all(live.store) == []


def test_a_bundle_that_is_gone_leaves_its_users_to_the_champion(
    client: TestClient, live: Live, clock: MemoryClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert client.post("/canary?reason=better", json={"version": 2}).status_code == 201
    clock.advance(DAY)
    live.trial._current = None

    def away(*_: Any) -> Any:
        raise ConnectionError("refused")

    with monkeypatch.context() as patch:
        patch.setattr(live.champion, "bundle_of", away)
        live.trial.follow()
    answer = ask(client, "canary")
    assert answer["version"] == 1
    (trouble,) = [one for one in answer["degraded"] if one["what"] == "canary"]
    assert trouble["why"] == "version 2 is not there, the champion serves its users: refused"
    live.trial.follow()
    assert (ask(client, "canary")["version"], live.trial.trouble) == (2, None)
    assert live.campaigns[CAMPAIGNS[0]].cycle(clock()) == 1

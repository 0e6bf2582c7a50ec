"""An experiment's life over HTTP and by the commands: steps, refusals, who and why; no salt in any answer."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import httpx
import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient
from typer.testing import CliRunner

from crossmix.clock import MemoryClock
from crossmix.config import load
from crossmix.ledger import audit, experiments
from crossmix.ledger.store import Store
from crossmix.state import ALLOCATION
from pipelines.cli.main import app
from serving.experiment.life import router
from serving.experiment.schema import NewExperiment
from serving.http.answers import ExperimentRow
from serving.protocol import metadata
from tests.support.experiments import DAY, START, deliver, make_store, paired_days

SALT = "sea-salt-4711"


@pytest.fixture
def store(tmp_path: Path) -> Store:
    made = make_store(tmp_path)
    made.clock = MemoryClock(START + 3 * DAY)
    return made


@pytest.fixture
def reloads() -> list[int]:
    return []


@pytest.fixture
def client(store: Store, reloads: list[int]) -> Iterator[TestClient]:
    served = FastAPI()
    live = SimpleNamespace(store=store, config=load("laptop"), clock=store.clock)
    served.include_router(router(live, changed=lambda: reloads.append(1)))
    yield TestClient(served)
    store.close()


def test_a_whole_life(client: TestClient, store: Store, reloads: list[int]) -> None:
    body = {"id": "bolder", "weight": 0.5, "days": 10, "excluded": ["brand"], "salt": SALT}
    reply = client.post("/experiments", params={"reason": "version 2"}, json=body)
    assert reply.status_code == 201, reply.text
    assert set(reply.json()) == set(ExperimentRow.model_fields)
    assert (reply.json()["state"], reply.json()["weights"]) == ("running", {"policy": 0.5, "control": 0.5})
    assert len(reloads) == 1, "the campaigns are read anew before it is acknowledged"
    extended = client.post("/experiments/bolder/extend", params={"reason": "a holiday"}, json={"days": 12})
    assert extended.json()["days"] == 12
    assert client.post("/experiments/bolder/ship").json()["state"] == "shipped"
    listed = client.get("/experiments").json()["experiments"]
    assert [(one["id"], one["state"]) for one in listed] == [("bolder", "shipped"), ("first", "replaced")]
    assert client.post("/experiments/first/archive").json()["state"] == "archived"
    assert [one["id"] for one in client.get("/experiments").json()["experiments"]] == ["bolder"]
    assert len(client.get("/experiments", params={"archived": True}).json()["experiments"]) == 2
    steps = [(entry.action, entry.actor, entry.reason) for entry in reversed(audit.trail(store, "bolder"))]
    assert steps == [
        ("experiment.begin", "local", "version 2"),
        ("experiment.extend", "local", "a holiday"),
        ("experiment.end", "local", "shipped"),
        ("experiment.ship", "local", ""),
    ]
    deliver(store, paired_days([1.2, 1.2], [1.0, 1.0]))
    told = client.get("/experiments/first")
    assert (told.status_code, told.json()["experiment"]["id"]) == (200, "first")
    answers = [reply.text, extended.text, told.text, client.get("/experiments?archived=true").text]
    assert all(SALT not in answer and '"salt"' not in answer for answer in answers)


def test_without_a_salt_each_one_has_another_and_none_is_a_known_one(client: TestClient, store: Store) -> None:
    for name in ("a", "b"):
        assert client.post("/experiments", json={"id": name}).status_code == 201
    salts = {one.salt for one in experiments.load_all(store)}
    assert len(salts) == 3
    assert {len(salt) for salt in salts - {"s"}} == {32}


def test_the_routes_are_described(client: TestClient) -> None:
    metadata.install(client.app, ("policy",), ALLOCATION)  # type: ignore[arg-type]
    document = client.app.openapi()  # type: ignore[attr-defined]
    body = document["paths"]["/experiments"]["post"]["requestBody"]["content"]["application/json"]["schema"]
    described = document["components"]["schemas"][body["$ref"].rpartition("/")[2]]
    assert set(described["properties"]) == set(NewExperiment.model_fields)
    assert described["properties"]["salt"]["writeOnly"] is True
    steps = [path.rpartition("/")[2] for path in document["paths"] if path.startswith("/experiments/{experiment_id}/")]
    assert sorted(steps) == ["archive", "end", "extend", "ship"]
    assert "409" in document["paths"]["/experiments/{experiment_id}/ship"]["post"]["responses"]


def test_nothing_of_the_next_one_flows_into_a_verdict(client: TestClient, store: Store) -> None:
    """It began on day 4 at noon: that day counts for neither, what is late of the days before still for the first."""
    clock = store.clock
    assert isinstance(clock, MemoryClock)
    days = [1.2, 1.25, 1.18, 1.22]
    deliver(store, paired_days(days, [1.0] * 4))
    clock.set(START + 4.5 * DAY)
    assert client.post("/experiments", json={"id": "bolder"}).status_code == 201
    before = client.get("/experiments/first").json()
    assert before["cycles"]["finished"] == 4
    assert before["experiment"]["state"] == "replaced"
    assert before["verdict"]["line"].endswith("It has ended: experiment bolder began.")
    worse = paired_days([1.0] * 4 + [0.1] * 7, [1.0] * 4 + [2.0] * 7)
    deliver(store, [row for row in worse if row["cycle"] >= 7])
    clock.set(START + 11.5 * DAY)
    after = client.get("/experiments/first").json()
    same = ("verdict", "cycles", "arms", "lifts", "guardrails", "by_cycle")
    assert {name: after[name] for name in same} == {name: before[name] for name in same}
    new = client.get("/experiments/bolder").json()
    assert (new["cycles"]["with_feedback"], new["lifts"]["roi"]["paired"]["lift"]) == (6, pytest.approx(-0.95))
    late = paired_days([0.1], [0.0])
    deliver(store, [row | {"received": clock()} for row in late])
    assert client.get("/experiments/first").json()["arms"]["policy"]["revenue"] > before["arms"]["policy"]["revenue"]


@pytest.mark.parametrize("step", ["end", "ship"])
def test_one_that_begins_days_after_an_end_counts_from_the_next_cycle(
    client: TestClient, store: Store, step: str
) -> None:
    """The day on which it begins is still one arm's alone."""
    clock = store.clock
    assert isinstance(clock, MemoryClock)
    assert client.post(f"/experiments/first/{step}", params={"reason": "enough"}).status_code == 200
    clock.set(START + 5.5 * DAY)
    assert client.post("/experiments", json={"id": "bolder"}).status_code == 201
    alone = paired_days([1.0] * 6, [1.0] * 6)
    arm = "control" if step == "end" else "policy"
    deliver(store, [row for row in alone if row["arm"] == arm and row["cycle"] >= 6])
    shared = paired_days([1.0] * 6 + [1.5, 1.45, 1.55], [1.0] * 9)
    deliver(store, [row for row in shared if row["cycle"] >= 9])
    clock.set(START + 9.5 * DAY)
    new = client.get("/experiments/bolder").json()
    assert new["cycles"]["with_feedback"] == 3
    assert new["lifts"]["roi"]["paired"]["lift"] == pytest.approx(0.5, abs=0.01)


def test_a_verdict_says_that_it_was_shipped(client: TestClient, store: Store) -> None:
    deliver(store, paired_days([1.2, 1.25, 1.18], [1.0] * 3))
    experiments.end(store, "first", "guardrail roi_drop", experiments.GUARDRAIL)
    assert client.post("/experiments/first/ship").status_code == 409
    assert client.post("/experiments/first/ship", params={"reason": "a broken feed"}).status_code == 200
    found = client.get("/experiments/first").json()
    assert found["verdict"]["line"].endswith("by guardrail roi_drop. It was shipped: the policy serves everybody.")


def test_the_day_it_was_shipped_is_not_the_day_it_ended(client: TestClient, store: Store) -> None:
    clock = store.clock
    assert isinstance(clock, MemoryClock)
    deliver(store, paired_days([1.2, 1.25, 1.18], [1.0] * 3))
    assert client.post("/experiments/first/end", params={"reason": "a holiday"}).status_code == 200
    ended = clock.now
    clock.advance(2 * DAY)
    assert client.post("/experiments/first/ship").status_code == 200
    one = client.get("/experiments/first").json()["experiment"]
    assert (one["ended"], one["shipped"]) == (ended.isoformat(), (ended + 2 * DAY).isoformat())


@pytest.mark.parametrize(
    ("method", "path", "body", "status", "sentence"),
    [
        ("POST", "", {"id": "first"}, 409, "experiment.id: 'first' runs already, since 2024-11-04 00:00 UTC; give"),
        ("POST", "", {}, 422, "id: missing"),
        ("POST", "", {"id": "x", "weight": 1.2}, 422, "weight: 1.2; give a share from 0 to 1, as 0.7"),
        ("POST", "", {"id": "x", "weight": 0.70001}, 422, "weight: 0.70001 is no whole number of 10,000 buckets"),
        ("POST", "", {"id": "x", "weights": {}}, 422, "weights: unknown field; send weight, the policy's; the control"),
        ("POST", "", {"id": "x", "level": 0}, 422, "level: 0; give a chance above 0"),
        ("POST", "", {"id": "x", "days": 0}, 422, "days: 0; give a whole number"),
        ("POST", "", {"id": "x", "included": "brand"}, 422, "included: 'brand'; give an array of campaigns' names"),
        ("POST", "", {"id": "x", "excluded": ["y"]}, 422, "excluded: campaign 'y' is unknown"),
        ("POST", "", {"id": "x", "salt": ["secret-part"]}, 422, "salt: it cannot be used; give 1 to 200 printable"),
        ("POST", "", None, 400, "body: not JSON"),
        ("POST", "/first/extend", {"days": 14}, 409, "days: 14 are not more than the 14 that are planned"),
        ("POST", "/first/extend", {}, 422, "days: missing"),
        ("POST", "/first/end", None, 422, "reason: it is empty; say why the experiment ends"),
        ("POST", "/first/archive", None, 409, "'first' runs; end or ship it first"),
        ("POST", "/nobody/ship", None, 404, "experiment: 'nobody' is not in the database, which has 'first'"),
        ("GET", "/nobody", None, 404, "experiment: 'nobody' is not in the database, which has 'first'"),
    ],
)
def test_what_cannot_be_is_one_sentence_and_changes_nothing(
    client: TestClient, store: Store, reloads: list[int], method: str, path: str, body: Any, status: int, sentence: str
) -> None:
    before, revision = experiments.load_all(store), store.revision()
    reply = client.request(method, f"/experiments{path}", json=body)
    assert (reply.status_code, list(reply.json())) == (status, ["error"])
    assert sentence in reply.json()["error"]
    assert "secret-part" not in reply.text
    assert (experiments.load_all(store), store.revision(), reloads) == (before, revision, [])


def command(*arguments: str) -> tuple[int, str]:
    result = CliRunner().invoke(app, ["experiment", *arguments])
    return result.exit_code, result.output


def test_the_commands_ask_the_server(client: TestClient, store: Store, monkeypatch: Any, tmp_path: Path) -> None:
    def request(method: str, url: str, *, headers: dict[str, str], timeout: float, **options: Any) -> Any:
        assert url.startswith("http://there:1/")
        assert headers == {"authorization": "Bearer t"}
        return client.request(method, url.removeprefix("http://there:1"), headers=headers, **options)

    monkeypatch.setattr(httpx, "request", request)
    there = ("--server", "http://there:1", "--token", "t")
    file = tmp_path / "salt"
    file.write_text(f"{SALT}\n")
    status, printed = command(
        "begin", "bolder", "--weight", "0.5", "--campaign", "brand", "--salt-file", str(file), "--reason", "v2", *there
    )
    assert status == 0, printed
    assert "bolder      running  2024-11-07 00:00  14 of 24 h  50%" in printed
    assert "the cycles that begin from now on are its own" in printed
    begun = experiments.get(store, "bolder")
    assert (begun.salt, begun.included) == (SALT, ["brand"])
    assert command("extend", "bolder", "--days", "21", *there)[0] == 0
    status, printed = command("end", "bolder", "--reason", "a holiday", *there)
    assert (status, "everybody gets the static split" in printed) == (0, True)
    status, printed = command("ship", "bolder", "--json", *there)
    assert (status, json.loads(printed)["state"]) == (0, "shipped")
    assert command("archive", "first", *there)[0] == 0
    assert [one["id"] for one in json.loads(command("list", "--json", *there)[1])] == ["bolder"]
    assert "archived" in command("list", "--archived", *there)[1]
    status, printed = command("extend", "bolder", "--days", "30", *there)
    assert status == 2
    assert printed.startswith("error: experiment: 'bolder' has ended, at 2024-11-07 00:00 UTC by local (a holiday), so")
    assert SALT not in printed


def test_the_commands_work_in_the_database_where_no_server_runs(store: Store, monkeypatch: Any) -> None:
    monkeypatch.setenv("CROSSMIX_SERVER", "http://elsewhere:1")  # gives way to a database that is named
    there = ("--database", store.url)
    status, printed = command("begin", "bolder", "--days", "7", "--reason", "v2", *there)
    assert status == 0, printed
    assert command("extend", "bolder", "--days", "9", *there)[0] == 0
    assert command("ship", "bolder", *there)[0] == 0
    assert command("archive", "bolder", *there)[0] == 0
    begun = experiments.get(store, "bolder")
    assert (begun.days, begun.state, begun.outcome) == (9, "archived", "shipped")
    assert "first" in command("list", *there)[1]
    for arguments, sentence in (
        (("end", "first", "--reason", "x", *there), "error: experiment: 'first' has ended, at"),
        (("end", "bolder", "--reason", "x", "--server", "http://x", *there), "--server, --database: name one of the"),
        (("begin", "x", "--salt-file", "nowhere", *there), "error: --salt-file nowhere: cannot be read"),
        (("begin", "x", "--weight", "7", *there), "error: weight: 7.0; give a share from 0 to 1"),
        (("list", "--database", "sqlite:///nowhere.db"), "error: --database sqlite:///nowhere.db: there is no such"),
        (("list", "--server", "http://127.0.0.1:9"), "error: --server http://127.0.0.1:9"),
    ):
        status, printed = command(*arguments)
        assert (status, printed.count("\n")) == (2, 1), printed
        assert sentence in printed

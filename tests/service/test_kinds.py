"""Other kinds in a split's server: champions of their own, 503 with a sentence until there is one, and nobody waits."""

from __future__ import annotations

import json
import threading
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

from crossmix import config
from crossmix.artifacts import RunRecord
from crossmix.config import ConfigError
from crossmix.creators import brief as briefs
from crossmix.creators import bundled, effect, generated
from crossmix.creators.matrix import check
from crossmix.registry.store import Registry
from pipelines.cli import champion as commands
from pipelines.cli.serve_registry import start_of
from serving.app import Settings, application
from serving.http.client import Client, RefusedError
from serving.kinds import following
from serving.kinds.alone import Alone
from serving.kinds.alone import application as alone_application
from serving.kinds.champion import KindChampion
from serving.live.live import Live
from tests.support import creators
from tests.support.kinds import ECHO, Echo, FakeRegistry, slow_kind, until
from tests.support.served_process import Server
from tests.support.services import free_port
from tests.support.serving_run import Run, instance

ONE, TWO = "1" * 64, "2" * 64
WORD = {"instances": [{"word": "a"}]}
BRIEF: dict[str, Any] = {
    "budget": 40_000,
    "currency": "EUR",
    "channels": ["instagram", "tiktok"],
    "phases": ["teaser", "launch"],
    "tiers": {"head": 500_000, "mid": 50_000, "tail": 0},
    "rules": [creators.ORDER],
}
JOURNEY = {"instances": [{"campaign_id": "c0", "user_id": "ann"}]}


@pytest.fixture
def registries(live: Live, tmp_path: Path) -> dict[str, FakeRegistry]:
    """Of both kinds: creators have a champion, journeys none."""
    made = {"creators": FakeRegistry(1, {1: ONE, 2: TWO}), "journey": FakeRegistry()}
    known = {"creators": ECHO, "journey": replace(ECHO, kind="journey", task="journeys")}
    champions = [
        KindChampion(known[kind], tmp_path / kind, lambda kind=kind: made[kind])  # type: ignore[misc, return-value]
        for kind in made
    ]
    live.follow_kinds(champions)
    for one in champions:
        one.refresh()
    return made


@pytest.fixture
def client(live: Live, registries: dict[str, FakeRegistry]) -> Iterator[TestClient]:
    app = application(live, Settings())
    with TestClient(app, base_url="http://localhost", raise_server_exceptions=False) as made:
        yield made


def test_each_kind_is_a_model_of_the_one_server(client: TestClient) -> None:
    models = client.get("/v1/models").json()["models"]
    assert set(models) == {"policy", "control", "canary", "router", "creators", "journey"}
    told = client.post("/v1/models/creators:predict", json=WORD).json()["predictions"]
    assert told == [{"said": {"word": "a"}, "by": ONE, "bundle": ONE, "version": 1}]
    assert client.post("/v1/models/policy:predict", json=instance()).status_code == 200
    assert f'crossmix_kind_info{{digest="{ONE}",kind="creators",version="1"}} 1.0' in client.get("/metrics").text
    kinds = client.get("/serving").json()["kinds"]
    assert [(one["kind"], one["version"], one["bundle"]) for one in kinds] == [
        ("creators", 1, ONE),
        ("journey", None, None),
    ]


def test_without_a_champion_it_is_503_with_a_sentence_and_the_others_are_well(client: TestClient) -> None:
    says = "model journey: no champion of kind journey is registered; `crossmix run --set task=journeys` makes one"
    tensors = {"inputs": [{"name": "x", "shape": [1], "datatype": "FP64", "data": [1.0]}]}
    for method, path, body in (
        ("POST", "/v1/models/journey:predict", JOURNEY),
        ("POST", "/v2/models/journey/infer", tensors),
        ("GET", "/v1/models/journey", None),
        ("GET", "/v2/models/journey/ready", None),
        ("GET", "/v2/models/journey", None),
    ):
        reply = client.request(method, path, json=body)
        assert (reply.status_code, reply.json()) == (503, {"error": says}), path
        assert reply.headers["retry-after"]
    assert client.get("/v2/health/ready").json() == {"ready": True}
    assert client.get("/serving").json()["degraded"] == []


def test_a_rollback_of_one_kind_leaves_the_others(client: TestClient, registries: dict[str, FakeRegistry]) -> None:
    before = client.get("/serving").json()["version"]
    registries["creators"].champion = 2
    told = client.post("/serving/refresh").json()
    assert ([one["version"] for one in told["kinds"]], told["version"]) == ([2, None], before)
    registries["creators"].champion = 1
    assert client.post("/serving/refresh").json()["kinds"][0]["version"] == 1
    assert client.post("/v1/models/creators:predict", json=WORD).json()["predictions"][0]["version"] == 1


def test_a_refused_bundle_is_told_beside_its_kind_and_not_in_every_split(
    client: TestClient, registries: dict[str, FakeRegistry]
) -> None:
    registries["creators"].broken.add(2)
    registries["creators"].champion = 2
    told = client.post("/serving/refresh").json()
    assert told["kinds"][0]["version"] == 1
    assert told["kinds"][0]["trouble"].startswith("bundle: version 2 is refused, the last good one serves")
    assert told["degraded"] == []
    [prediction] = client.post("/v1/models/policy:predict", json=instance()).json()["predictions"]
    assert prediction["degraded"] == []


def test_a_split_is_answered_while_a_plan_is_being_solved(client: TestClient, live: Live) -> None:
    """The split's answer frees the plan: did the plan hold the event loop, neither would come."""
    with live.kinds["creators"].using() as held:
        slow = held.answering
    assert isinstance(slow, Echo)
    slow.block()
    replies: list[Any] = []
    asking = threading.Thread(
        target=lambda: replies.append(client.post("/v1/models/creators:predict", json=WORD)), daemon=True
    )
    asking.start()
    assert slow.asked.wait(60)
    assert client.post("/v1/models/policy:predict", json=instance()).status_code == 200
    assert replies == []
    slow.free()
    asking.join(60)
    assert replies[0].status_code == 200


def test_the_split_answers_at_once_while_a_kind_starts_and_another_ones_registry_hangs(
    live: Live, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(following, "ASK_SECONDS", 0.05)
    slow, hanging = slow_kind(), FakeRegistry(5, {5: TWO}, hangs=True)
    first = KindChampion(slow, tmp_path / "a", lambda: FakeRegistry(3, {3: ONE}))  # type: ignore[arg-type, return-value]
    other = KindChampion(replace(ECHO, kind="journey"), tmp_path / "b", lambda: hanging)  # type: ignore[arg-type, return-value]
    live.follow_kinds([first, other])
    until(lambda: first.state == "starting" and hanging.asked == 1)
    with TestClient(application(live, Settings()), base_url="http://localhost") as client:
        assert client.post("/v1/models/policy:predict", json=instance()).status_code == 200
        assert client.get("/v2/health/ready").json() == {"ready": True}
        for path, says in (
            ("creators", "model creators: version 3 is starting; ask again in a while"),
            ("journey", "model journey: the registry was not asked yet; ask again"),
        ):
            for reply in (
                client.get(f"/v2/models/{path}/ready"),
                client.post(f"/v1/models/{path}:predict", json=WORD),
            ):
                assert (reply.status_code, reply.json()) == (503, {"error": says})
        told = client.post("/serving/refresh").json()
        assert told["degraded"] == []
        assert [(one["kind"], one["state"], one["coming"], one["version"]) for one in told["kinds"]] == [
            ("creators", "starting", 3, None),
            ("journey", "asking", None, None),
        ]
        slow.ready.set()
        until(lambda: first.ready)  # the other one's registry hangs still
        assert client.post("/v1/models/creators:predict", json=WORD).json()["predictions"][0]["version"] == 3
        assert client.get("/serving").json()["kinds"][1]["state"] == "asking"
        hanging.open.set()
        until(lambda: other.ready)
        assert [one["state"] for one in client.get("/serving").json()["kinds"]] == ["serving", "serving"]


def test_a_server_without_a_split_is_ready_once_a_kind_serves(tmp_path: Path) -> None:
    slow = slow_kind()
    champions = [
        KindChampion(slow, tmp_path / "a", lambda: FakeRegistry(3, {3: ONE})),  # type: ignore[arg-type, return-value]
        KindChampion(replace(ECHO, kind="journey", task="journeys"), tmp_path / "b", FakeRegistry),  # type: ignore[arg-type]
    ]
    alone = Alone(config.load("laptop", ["serving.watch_seconds=3600"]), champions)
    alone.start()
    try:
        until(lambda: champions[0].state == "starting" and champions[1].state == "none")
        with TestClient(alone_application(alone, Settings()), base_url="http://localhost") as client:
            reply = client.get("/v2/health/ready")
            assert (reply.status_code, reply.json()["error"]) == (
                503,
                "model creators: version 3 is starting; ask again in a while; model journey: no champion of kind "
                "journey is registered; `crossmix run --set task=journeys` makes one",
            )
            assert client.get("/healthz").json()["status"] == "alive"
            slow.ready.set()
            until(lambda: champions[0].ready)
            assert client.get("/v2/health/ready").json() == {"ready": True}
            assert client.get("/v2/models/journey/ready").status_code == 503
    finally:
        alone.stop()


def test_a_version_that_does_not_serve_is_refused(client: TestClient) -> None:
    assert client.get("/v2/models/creators/versions/1/ready").status_code == 200
    reply = client.get("/v2/models/creators/versions/2/ready")
    assert (reply.status_code, "version 1 serves" in reply.json()["error"]) == (404, True)


def test_openapi_tells_the_questions_of_every_kind(client: TestClient) -> None:
    document = client.get("/openapi.json").json()
    asked = document["paths"]["/v1/models/{model_name}:predict"]["post"]["requestBody"]["content"]["application/json"]
    names = [one["$ref"].rpartition("/")[2] for one in asked["schema"]["properties"]["instances"]["items"]["anyOf"]]
    assert names == ["Question", "Brief", "Journey"]
    assert set(names) <= set(document["components"]["schemas"])


# ---- a run of creators, served alone -------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def planned(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A finished run of task creators in small: two bundles in a registry, the second is champion."""
    out = tmp_path_factory.mktemp("planned") / "out"
    out.mkdir()
    own = config.load("laptop", ["task=creators", "data.source=demo-creators", "creators.solver.seconds=0.4"])
    catalogue = generated.demo(300, seed=9).catalogue
    fitted = effect.fit(catalogue)
    digests = []
    for at in range(2):
        solver = replace(own.creators.solver, seed=at)
        other = replace(own, creators=replace(own.creators, solver=solver))
        made = bundled.save(out / f"bundle{at}", config=other, catalogue=catalogue, predictor=fitted)
        Registry.of(own, out).register(made.path, tags={"share_of_bound": f"0.9{7 + at}"})
        digests.append(made.digest)
    RunRecord(run_id="r", config=asdict(own), steps={}).save(out)
    return Run(out, own, (digests[0], digests[1]))


def _ask(url: str, body: Any = None) -> tuple[int, Any]:
    content = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(url, content, {"content-type": "application/json"})
    try:
        with urllib.request.urlopen(request, timeout=240) as reply:
            return reply.status, json.load(reply)
    except urllib.error.HTTPError as error:
        return error.code, json.load(error)


def _until_ready(server: Server, model: str) -> None:
    until(lambda: _ask(f"{server.url}/v2/models/{model}/ready")[0] == 200)


@pytest.mark.slow
def test_a_run_of_creators_is_served_planned_and_rolled_back(planned: Run, serve: Callable[..., Server]) -> None:
    server, brief = serve(planned), BRIEF
    _until_ready(server, "creators")
    status, told = _ask(f"{server.url}/v1/models/creators:predict", {"instances": [{"brief": brief}]})
    assert status == 200, told
    [plan] = told["predictions"]
    chosen = [(one["creator_id"], one["phase"]) for one in plan["choices"]]
    assert check(generated.demo(300, seed=9).catalogue, briefs.of(brief), chosen) == []
    assert (plan["version"], plan["bundle"]) == (2, planned.digests[1])
    asked = Client(server.url, seconds=240)
    again = asked.plan(brief)
    chosen = [(one["creator_id"], one["phase"]) for one in again["choices"]]
    assert check(generated.demo(300, seed=9).catalogue, briefs.of(brief), chosen) == []
    with pytest.raises(RefusedError, match="model journey: no champion of kind journey is registered"):
        asked.journeys(JOURNEY["instances"])
    status, told = _ask(f"{server.url}/v1/models/creators:predict", {"instances": [{"brief": brief | {"budget": 3}}]})
    assert (status, told["error"].startswith("instances[0].brief.budget: 3 buys nobody")) == (400, True)
    assert _ask(f"{server.url}/v1/models/journey:predict", JOURNEY)[0] == 503
    assert _ask(f"{server.url}/v1/models/policy:predict", WORD)[0] == 404
    with urllib.request.urlopen(f"{server.url}/metrics", timeout=60) as reply:
        assert f'crossmix_kind_info{{digest="{planned.digests[1]}"' in reply.read().decode()
    said = commands.rollback(planned.out, "tried", server.url)
    assert f"answers with version 1, bundle {planned.digests[0][:12]}" in said
    kinds = _ask(f"{server.url}/serving")[1]["kinds"]
    assert [(one["kind"], one["version"]) for one in kinds] == [("creators", 1), ("journey", None)]
    said = commands.promote(planned.out, "2", "better", server.url)
    assert "answers with version 2" in said
    assert server.end() == 0


@pytest.mark.slow
def test_a_registry_of_creators_alone_is_served_also_while_it_is_away(
    planned: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No run's folder, no split, no database: the registry's folder is all there is; then nothing answers there."""
    there, nobody = Registry.of(planned.config, planned.out).uri, f"http://127.0.0.1:{free_port()}"
    settings, body = Settings(role="policy"), {"instances": [{"brief": BRIEF}]}
    monkeypatch.delenv("CROSSMIX_DATABASE", raising=False)
    monkeypatch.delenv("CROSSMIX_REDIS", raising=False)
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    with pytest.raises(ConfigError, match="CROSSMIX_REDIS: it names no Redis"):
        start_of(None, nobody, settings, tmp_path / "state", None, ())  # as of a split: nothing was kept
    for uri, away in ((there, False), (nobody, True)):
        alone = start_of(None, uri, settings, tmp_path / "state", None, ("serving.watch_seconds=3600",))
        assert isinstance(alone, Alone)
        assert alone.config.serving.watch_seconds == 3600
        alone.start()
        try:
            assert alone.following.ask(240)
            with TestClient(alone_application(alone, settings), base_url="http://localhost") as client:
                assert set(client.get("/v1/models").json()["models"]) == {"creators", "journey"}
                [plan] = client.post("/v1/models/creators:predict", json=body).json()["predictions"]
                assert (plan["version"], plan["bundle"]) == (2, planned.digests[1])
                assert client.post("/v1/models/policy:predict", json=WORD).status_code == 404
                trouble = client.get("/serving").json()["kinds"][0]["trouble"]
                assert (trouble is not None) == away
        finally:
            alone.stop()
    with pytest.raises(ConfigError, match="--role router: it has no predictors"):
        start_of(None, there, Settings(role="router"), tmp_path / "state", None, ())


@pytest.mark.slow
def test_one_server_answers_for_a_split_and_for_creators(run: Run, planned: Run, serve: Callable[..., Server]) -> None:
    """Both have their champion in one registry; the second comes while the server runs."""
    server = serve(run)
    status, told = _ask(f"{server.url}/v1/models/creators:predict", {"instances": [{"brief": {}}]})
    assert (status, "no champion of kind creators is registered" in told["error"]) == (503, True)
    Registry.of(run.config, run.out, "creators").register(planned.out / "bundle0", tags={"share_of_bound": "0.97"})
    status, told = _ask(f"{server.url}/serving/refresh", {})
    assert [(one["kind"], one["version"] or one["coming"]) for one in told["kinds"]] == [
        ("creators", 1),
        ("journey", None),
    ]
    assert (told["version"], told["degraded"]) == (1, [])
    _until_ready(server, "creators")
    brief = {
        "budget": 20_000,
        "currency": "EUR",
        "channels": ["tiktok"],
        "phases": ["launch"],
        "tiers": {"head": 500_000, "tail": 0},
    }
    status, told = _ask(f"{server.url}/v1/models/creators:predict", {"instances": [{"brief": brief}]})
    assert (status, told["predictions"][0]["bundle"]) == (200, planned.digests[0])
    assert _ask(f"{server.url}/v1/models/policy:predict", instance())[0] == 200
    assert server.end() == 0

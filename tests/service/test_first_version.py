"""Until a server knows which version serves, and which campaigns there are, it is not ready, and says why: 503."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import httpx
import pytest
from kserve import InferInput, InferRequest
from kserve.protocol.grpc import grpc_predict_v2_pb2 as pb

from crossmix.clock import MemoryClock, wall
from crossmix.config import documented, load
from crossmix.registry.mlflow_door import RegistryError
from serving.app import Settings, application
from serving.kinds.champion import NoChampionError
from serving.live import live as lives
from serving.live.champion import Champion
from serving.live.live import Live
from serving.protocol.plane import Servicer
from tests.support.serving_run import CAMPAIGNS, Run, instance

SECONDS = 300.0
V2 = {"inputs": [{"name": "campaign_id", "shape": [1], "datatype": "BYTES", "data": [CAMPAIGNS[0]]}]}
QUESTIONS: list[tuple[str, str, Any]] = [
    ("GET", "/v2/health/ready", None),
    *(("POST", f"/v1/models/{model}:predict", instance()) for model in ("policy", "control", "canary")),
    ("POST", "/v1/models/router:predict", instance(user_id="ann")),
    *(("GET", f"/v2/models/{model}/ready", None) for model in ("policy", "control", "router")),
    ("POST", "/v2/models/policy/infer", V2),
    ("POST", "/v2/models/policy/versions/1/infer", V2),
    ("GET", "/v2/models/policy/versions/1/ready", None),
]


class Gate:
    """A registry that answers when it is `open`, hangs until then, or is `away`."""

    def __init__(self, run: Run, away: bool = False) -> None:
        self.registry, self.open, self.away = run.registry, threading.Event(), away
        self.asked = threading.Event()

    def get(self, version: str | int) -> Any:
        self.asked.set()
        if self.away:
            raise RegistryError("connection refused")
        assert self.open.wait(SECONDS)
        return self.registry.get(version)


def made(run: Run, gate: Gate, database: Path | None = None) -> Live:
    own = run.out / "serving"
    champion = Champion(own, lambda: gate, run.out / "bundle")  # type: ignore[arg-type,return-value]
    url = f"sqlite:///{database or own / 'serving.db'}"
    config = load("laptop", ["serving.watch_seconds=0.05"], dict(documented(run.config)))
    return Live(config, own, url, champion, run.features, MemoryClock(wall()))


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lives, "FIRST_SECONDS", 0.01)


@pytest.fixture
def gate(run: Run) -> Iterator[Gate]:
    made = Gate(run)
    yield made
    made.open.set()


def asked(live: Live, questions: list[tuple[str, str, Any]]) -> list[httpx.Response]:
    async def ask() -> list[httpx.Response]:
        transport = httpx.ASGITransport(app=application(live, Settings()))
        async with httpx.AsyncClient(transport=transport, base_url="http://localhost", timeout=SECONDS) as client:
            return [await client.request(method, path, json=body) for method, path, body in questions]

    return asyncio.run(ask())


def until_ready(live: Live) -> None:
    deadline = time.monotonic() + SECONDS
    while not live.ready:
        assert time.monotonic() < deadline, live.awaited()
        time.sleep(0.01)


def test_a_slow_registry_is_503_with_its_reason_until_its_version_serves(run: Run, gate: Gate, quick: None) -> None:
    """Such a server was ready at once, and answered by the run's own bundle, of no version."""
    live = made(run, gate)
    live.start()
    try:
        assert gate.asked.wait(SECONDS)
        for (_, path, _), reply in zip(QUESTIONS, asked(live, QUESTIONS), strict=True):
            assert (reply.status_code, reply.headers["retry-after"]) == (503, "1"), (path, reply.text)
            assert "no version serves yet: registry: it is asked for its champion, for " in reply.json()["error"], path
        alive = asked(live, [("GET", "/healthz", None), ("GET", "/campaigns", None), ("GET", "/serving", None)])
        assert [reply.status_code for reply in alive] == [200] * 3, "all else goes on"
        assert alive[2].json()["version"] is None
        gate.open.set()
        until_ready(live)
        replies = asked(live, QUESTIONS)
        assert [reply.status_code for reply in replies] == [200] * len(QUESTIONS)
        assert replies[1].json()["predictions"][0]["version"] == 1
    finally:
        live.stop()


def test_grpc_says_that_it_is_not_ready(run: Run, gate: Gate) -> None:
    live = made(run, gate)
    app = application(live, Settings())
    servicer = Servicer(app.state.data_plane, app.state.repository)
    question = InferRequest("policy", [InferInput("campaign_id", [1], "BYTES", [CAMPAIGNS[0]])]).to_grpc()

    async def ask() -> tuple[bool, bool, bool]:
        server = await servicer.ServerReady(pb.ServerReadyRequest(), None)
        model = await servicer.ModelReady(pb.ModelReadyRequest(name="policy"), None)
        version = await servicer.ModelReady(pb.ModelReadyRequest(name="policy", version="1"), None)
        return server.ready, model.ready, version.ready

    assert asyncio.run(ask()) == (False, False, False)
    with pytest.raises(NoChampionError, match="model policy: no version serves yet: registry: not asked yet"):
        asyncio.run(servicer.ModelInfer(question, SimpleNamespace(invocation_metadata=list)))
    gate.open.set()
    live.follow_champion()
    live.reload()
    assert asyncio.run(ask()) == (True, True, True)
    live.stop()


def test_a_registry_that_comes_back_is_found_also_while_a_driven_clock_stands(run: Run, quick: None) -> None:
    gate = Gate(run, away=True)
    gate.open.set()
    live = made(run, gate)
    live.start()
    try:
        assert gate.asked.wait(SECONDS)
        told = "registry: connection refused; nothing is answered until it says which version serves"
        deadline = time.monotonic() + SECONDS
        while live.awaited() != f"no version serves yet: {told}":  # but while it is asked again
            assert time.monotonic() < deadline, live.awaited()
            time.sleep(0.01)
        gate.away = False
        until_ready(live)
        assert live.version == 1
        # Once it has a version, a registry that goes away takes nothing from it.
        gate.away = True
        live.follow_champion()
        assert live.ready
    finally:
        live.stop()


def test_a_stop_waits_for_no_registry(run: Run, gate: Gate, quick: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("serving.live.ticks.END_SECONDS", 0.05)
    live = made(run, gate)
    live.start()
    assert gate.asked.wait(SECONDS)
    stopping = threading.Thread(target=live.stop)
    stopping.start()
    stopping.join(SECONDS / 2)
    assert not stopping.is_alive()
    assert not gate.open.is_set()


def test_a_database_that_was_never_read_is_503_and_no_unknown_campaign(run: Run, tmp_path: Path) -> None:
    """A new pod beside a PostgreSQL that is slow to start was ready, and told callers that campaigns are unknown."""
    gate, database = Gate(run), tmp_path / "away.db"
    gate.open.set()
    database.mkdir()  # no database can be opened there
    live = made(run, gate, database)
    live.follow_champion()
    live.reload()
    for (_, path, _), reply in zip(QUESTIONS[:5], asked(live, QUESTIONS[:5]), strict=True):
        assert (reply.status_code, reply.headers["retry-after"]) == (503, "1"), (path, reply.text)
        assert "no campaign has been read yet: database: " in reply.json()["error"], path
    database.rmdir()
    live._look()
    assert [reply.status_code for reply in asked(live, QUESTIONS[:5])] == [200] * 5
    live.stop()

"""Servers that start from an MLflow server, PostgreSQL and Redis alone, as pods do: no run's folder is named."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from crossmix.config import ConfigError
from crossmix.ledger.locks import PUSHER, REGISTRY, Lead, alone
from crossmix.ledger.store import Store, StoreAwayError
from crossmix.registry.mlflow_door import RegistryError
from crossmix.registry.shared import shared
from crossmix.registry.store import Registry
from pipelines.cli.serve import Start
from pipelines.cli.serve_registry import of_registry
from serving.app import Settings
from serving.feedback.materialise import Pusher
from serving.http.client import Client
from serving.live.beside import Seeding
from serving.live.live import Live
from tests.support.mlflow_server import mlflow_server
from tests.support.served_process import Server, tick
from tests.support.services import Cluster, Redis, free_port
from tests.support.serving_run import NAMES, Run

pytest.importorskip("psycopg", reason="psycopg is not installed; pip install 'crossmix[dev]'")

START_SECONDS = 300
ARMS = ("policy", "control")
MODEL = "pods-policy"


@pytest.fixture(scope="module")
def uri(template: Run, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A registry with a model MODEL, whose champion is version 1, with features beside the bundle."""
    folder = tmp_path_factory.mktemp("mlflow")
    with mlflow_server(folder / "server", template.out / "mlflow.db") as address:
        registry = Registry(folder / "client", address, experiment="pods", model=MODEL)
        served = template.features / "served"
        beside = {f"features/{file.relative_to(served)}": file for file in served.rglob("*") if file.is_file()}
        assert registry.register(template.out / "bundle", artifacts=beside).number == 1
        yield address


@pytest.fixture(scope="module")
def redis(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Redis]:
    """A started Redis that knows nothing."""
    program = shutil.which("redis-server")
    if program is None:
        pytest.skip("Redis is not installed; apt-get install redis-server")
    made = Redis(tmp_path_factory.mktemp("redis"), program)
    made.start()
    yield made
    made.stop()


@pytest.fixture(scope="module")
def database(cluster: Cluster) -> str:
    """URL of an empty PostgreSQL database, as PostgreSQL's own clients write it."""
    engine = sa.create_engine(cluster.url, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.exec_driver_sql("CREATE DATABASE pods")
    engine.dispose()
    return cluster.database("pods").replace("+psycopg", "")


@pytest.fixture
def pod(redis: Redis, database: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A pod's environment."""
    monkeypatch.setenv("CROSSMIX_REDIS", f"redis://127.0.0.1:{redis.port}/0")
    monkeypatch.setenv("CROSSMIX_DATABASE", database)


@pytest.fixture
def settings(tmp_path: Path) -> Path:
    """What a ConfigMap tells servers."""
    file = tmp_path / "config.json"
    file.write_text(json.dumps({"registry": {"model": MODEL}, "serving": {"days": 9}}))
    return file


Serve = Callable[..., Server]


@pytest.fixture
def serve(uri: str, pod: None, settings: Path, tmp_path: Path) -> Iterator[Serve]:
    """Starts roles as processes, in a folder that must stay empty; what still runs at the end is killed."""
    started: list[Server] = []
    (tmp_path / "root").mkdir()

    def start(role: str, **environment: str) -> Server:
        port, log = free_port(), tmp_path / f"{role}{len(started)}.log"
        command = [sys.executable, "-m", "pipelines.cli.main", "serve", "--port", str(port), "--grpc-port", "0"]
        home = {"HOME": str(tmp_path / "root"), "PYTHONPATH": os.pathsep.join(sys.path), "OMP_NUM_THREADS": "1"}
        named = {"CROSSMIX_REGISTRY": uri, "CROSSMIX_ROLE": role, "CROSSMIX_STATE": str(tmp_path / f"{role}-state")}
        named["CROSSMIX_SETTINGS"] = str(settings)
        with log.open("wb") as stream:
            process = subprocess.Popen(
                command,
                stdout=stream,
                stderr=subprocess.STDOUT,
                cwd=tmp_path / "root",
                env=os.environ | home | named | environment,
            )
        started.append(Server(process, port, 0, log))
        return started[-1]

    yield start
    for server in started:
        if server.process.poll() is None:
            server.process.kill()
            server.process.wait()


def ready(server: Server) -> Client:
    """Asks it, once it answers."""
    deadline = time.monotonic() + START_SECONDS
    while True:
        assert server.process.poll() is None, server.log.read_text()
        try:
            with urllib.request.urlopen(f"{server.url}/v2/health/ready", timeout=60):
                return Client(server.url, None, START_SECONDS)
        except OSError:  # refused, or cut off, or no answer yet
            assert time.monotonic() < deadline, server.log.read_text()
            time.sleep(0.2)


def start_of(uri: str, role: str, state: Path, settings: Path | None = None) -> Start:
    return of_registry(uri, Settings(role=role), state, settings)


def live_of(start: Start) -> Live:
    """What its server holds, read once, without its threads."""
    live = Live(start.config, start.own, start.database, start.champion, start.features, start.clock)
    live.reload()
    return live


def pusher(live: Live, start: Start) -> Pusher:
    return Pusher(
        live, start.features, window=start.config.window, decay=start.config.decay, lead=Lead(PUSHER), offline=False
    )


def campaign() -> dict[str, Any]:
    return {
        "campaign_id": "spring",
        "currency": "EUR",
        "cycle_budget": 1_000.0,
        "share": dict.fromkeys(NAMES, 1 / len(NAMES)),
        "starts": (datetime.now(UTC) - timedelta(days=2, hours=1)).isoformat(),
        "cycles": 14,
        "cycle_hours": 24,
        "timezone": None,
    }


def outcomes(arm: str) -> list[dict[str, Any]]:
    """What two finished cycles brought."""
    numbers = {"impressions": 2_000, "clicks": 40, "conversions": 4, "revenue": 100.0, "spend": 7.0}
    return [
        {"event_id": f"{arm}-{cycle}-{name}", "campaign_id": "spring", "arm": arm, "cycle": cycle, "platform": name}
        | numbers
        for cycle in range(2)
        for name in NAMES
    ]


def told(client: Client, model: str, **instance: Any) -> dict[str, Any]:
    """The answer to a V1 question."""
    body = {"instances": [{"campaign_id": "c0", **instance}]}
    found: dict[str, Any] = client.ask("POST", ["v1", "models", f"{model}:predict"], body=body)["predictions"][0]
    return found


def told_v2(client: Client, model: str, **inputs: str) -> dict[str, Any]:
    """Output tensors of a V2 question."""
    tensors = [
        {"name": name, "shape": [1], "datatype": "BYTES", "data": [value]}
        for name, value in {"campaign_id": "c0", **inputs}.items()
    ]
    answer = client.ask("POST", ["v2", "models", model, "infer"], body={"inputs": tensors})
    return {row["name"]: row["data"] for row in answer["outputs"]}


def at_once(pushers: list[Pusher]) -> None:
    """A round of each, begun at the same moment."""
    together = threading.Barrier(len(pushers))

    def push(one: Pusher) -> None:
        together.wait()
        one.once()

    with ThreadPoolExecutor(len(pushers)) as pool:
        list(pool.map(push, pushers))


def each_pushed_once(pushers: list[Pusher], database: str) -> None:
    """Two rounds at once push two finished cycles of two arms, by the one that leads."""
    for _ in range(2):
        at_once(pushers)
    assert [one.trouble for one in pushers] == [None, None]
    assert [one.pushed for one in pushers] == [4, 0]
    engine = sa.create_engine(database.replace("postgresql:", "postgresql+psycopg:"))
    with engine.connect() as connection:
        rows = connection.exec_driver_sql("SELECT arm, cycle, pushes FROM pushed ORDER BY arm").all()
    engine.dispose()
    assert [tuple(row) for row in rows] == [("control", 1, 1), ("policy", 1, 1)]


def test_a_predictor_and_a_router_start_from_these_alone_and_two_pushers_push_each_cycle_once(
    uri: str, serve: Serve, settings: Path, database: str, tmp_path: Path
) -> None:
    predictor = serve("policy")
    # The control's predictor is the same program: one of the two starts here, and the router's users are the policy's.
    router = serve("router", CROSSMIX_POLICY_URL=predictor.url, CROSSMIX_CONTROL_URL=f"http://127.0.0.1:{free_port()}")
    starts = [start_of(uri, "pusher", tmp_path / f"pusher{number}", settings) for number in range(2)]
    assert {start.config.serving.days for start in starts} == {9}
    lives = [live_of(start) for start in starts]
    pushers = [pusher(live, start) for live, start in zip(lives, starts, strict=True)]
    policy, routed = ready(predictor), ready(router)

    # Before anybody seeded Redis a campaign starts cold; then the log's statistics serve.
    assert told(policy, "policy")["state_source"] == "cold"
    assert starts[0].beside is not None
    assert pushers[0].lead is not None
    seeding = Seeding(starts[0].beside, lambda: 1, lambda: lives[0].store, pushers[0].lead)
    seeding.once()
    assert (seeding.trouble, seeding.seeded) == (None, 2)
    tick(predictor.http)
    answer = told(policy, "policy")
    assert (answer["state_source"], answer["version"], answer["degraded"]) == ("log", 1, [])

    # V1 and V2, of the predictor and through the router, say the same.
    share = pytest.approx([row["share"] for row in answer["allocation"]], abs=1e-6)
    assert told_v2(policy, "policy")["share"] == share
    user = next(f"u{number}" for number in range(200) if lives[0].arm(f"u{number}") == "policy")
    assert told(routed, "router", user_id=user)["allocation"] == answer["allocation"]
    outputs = told_v2(routed, "router", user_id=user)
    assert (outputs["arm"], outputs["share"]) == (["policy"], share)
    assert routed.ask("GET", ["serving"])["experiment"]["weights"] == {"policy": 0.7, "control": 0.3}

    # Each finished cycle is pushed once, by one of two pushers that look at the same moment.
    routed.ask("POST", ["campaigns"], body=campaign())
    for arm in ARMS:
        assert routed.ask("POST", ["feedback"], body=outcomes(arm))["accepted"] == 2 * len(NAMES)
    for live in lives:
        live.reload()
    each_pushed_once(pushers, database)
    tick(predictor.http)
    assert told(policy, "policy", campaign_id="spring")["state_source"] == "own"

    # The one that pushes ends: the other goes on with what is new, and with nothing of before.
    lives[0].stop()
    pushers[0].lead.free()
    pushers[1].once()
    assert (pushers[1].trouble, pushers[1].pushed) == (None, 0)
    late = {**outcomes("policy")[-1], "event_id": "late", "spend": 3.0}
    assert routed.ask("POST", ["feedback"], body=[late])["late"] == 1
    pushers[1].once()
    assert (pushers[1].trouble, pushers[1].pushed) == (None, 1)
    lives[1].stop()

    # A predictor loads no torch, and nobody writes elsewhere than in its own folder.
    loaded = Path(f"/proc/{predictor.process.pid}/maps").read_text()
    assert "onnxruntime" in loaded
    assert "libtorch" not in loaded
    for server in (predictor, router):
        assert server.end() == 0, server.log.read_text()
    assert list((tmp_path / "root").iterdir()) == []


def test_promotions_of_two_machines_wait_for_one_another(run: Run, database: str, tmp_path: Path) -> None:
    url = database.replace("postgresql:", "postgresql+psycopg:")
    store = Store(url)
    code = (
        "import sys; from crossmix.ledger.locks import REGISTRY, alone; from crossmix.ledger.store import Store\n"
        f"with alone(Store({url!r}), REGISTRY, 60): print('held', flush=True); sys.stdin.readline()"
    )
    machines = [shared(Registry(tmp_path / f"machine{number}", run.registry.uri), url) for number in range(2)]
    other = subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert other.stdin is not None
    assert other.stdout is not None
    try:
        assert other.stdout.readline() == "held\n"
        with pytest.raises(StoreAwayError, match=r"was not free within 0\.2 s"), alone(store, REGISTRY, 0.2):
            pass
        with ThreadPoolExecutor(1) as pool:
            promoted = pool.submit(machines[0].promote, 2, actor="ann", reason="better", over=1)
            deadline = time.monotonic() + START_SECONDS
            waiting = sa.text("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted")
            while True:
                with store.read() as connection:
                    if connection.execute(waiting).scalar_one() == 1:
                        break
                assert time.monotonic() < deadline
                assert not promoted.done()
                time.sleep(0.05)
            assert machines[1].get("champion").number == 1, "nothing has moved while another holds the lock"
            other.communicate("go on\n", timeout=START_SECONDS)
            assert promoted.result(timeout=START_SECONDS).number == 2
        # Who decided on what has moved meanwhile is refused.
        with pytest.raises(RegistryError, match="version 2 is champion by now, not 3"):
            machines[1].promote(1, actor="bob", reason="worse", over=3)
        assert machines[1].rollback(actor="bob", reason="no").number == 1
    finally:
        if other.poll() is None:
            other.kill()
        other.wait()
        store.close()


def test_what_cannot_start_says_why(uri: str, pod: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    nobody = f"http://127.0.0.1:{free_port()}"
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    with pytest.raises(ConfigError, match=f"--registry {nobody}: it cannot be read"):
        start_of(nobody, "policy", tmp_path / "state")
    blocked = tmp_path / "file"
    blocked.write_text("")
    with pytest.raises(ConfigError, match=f"--state {blocked / 'state'}: cannot be written"):
        start_of(uri, "policy", blocked / "state")
    monkeypatch.delenv("CROSSMIX_DATABASE")
    with pytest.raises(ConfigError, match="--role policy: parts of a cluster share one database"):
        start_of(uri, "policy", tmp_path / "state")
    monkeypatch.setenv("CROSSMIX_DATABASE", "postgresql://nobody")
    monkeypatch.delenv("CROSSMIX_REDIS")
    with pytest.raises(ConfigError, match="CROSSMIX_REDIS: it names no Redis"):
        start_of(uri, "policy", tmp_path / "state")

"""What a cluster runs, in small: campaigns and feedback in PostgreSQL, states in Redis, each away and back."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fastapi.testclient import TestClient

from crossmix.ledger import experiments
from crossmix.ledger.store import Store
from crossmix.registry.store import Registry
from crossmix.state import ALLOCATION
from feature_repo import features
from serving.app import Settings, application
from serving.experiment import verdict, watch
from serving.feedback.materialise import Pusher
from serving.live.champion import Champion
from serving.live.live import Live
from tests.support.feature_logs import fake_encode, fake_statistics, write_log
from tests.support.services import Cluster, Redis
from tests.support.serving_run import NAMES, Run, instance

pytest.importorskip("psycopg", reason="psycopg is not installed; pip install 'crossmix[dev]'")

Replica = Callable[[str], Live]


@pytest.fixture
def replica(run: Run, cluster: Cluster, redis: Redis, tmp_path: Path) -> Iterator[Replica]:
    """Makes replicas: each with a folder of its own, on one database and one online store, both empty at first."""
    store = Store(cluster.url)
    with store.write() as connection:
        kept = ("events", "totals", "feedback_state", "pushed", "served")
        for table in ("campaigns", "overrides", "audit", "assignments", "experiments", *kept):
            connection.exec_driver_sql(f"DELETE FROM {table}")
    store.close()
    log = write_log(tmp_path / "log")
    folder = tmp_path / "features"
    folder.mkdir()
    online = {"type": "redis", "connection_string": f"127.0.0.1:{redis.port}"}
    features.build(run.config, log.path, folder, online=online, encode=fake_encode, statistics=fake_statistics)
    made: list[Live] = []

    def make(name: str) -> Live:
        own = tmp_path / name
        champion = Champion(own, lambda: Registry.of(run.config, run.out), run.out / "bundle")
        live = Live(run.config, own, cluster.url, champion, folder)
        live.follow_champion()
        live.reload()
        live.refresh_states()
        made.append(live)
        return live

    yield make
    for live in made:
        live.stop()


def pusher(live: Live) -> Pusher:
    return Pusher(live, live.states.features, window=live.config.window, decay=live.config.decay)


def ask(client: TestClient, model: str = "policy", **more: Any) -> dict[str, Any]:
    reply = client.post(f"/v1/models/{model}:predict", json=instance(**more))
    assert reply.status_code == 200, reply.text
    found: dict[str, Any] = reply.json()["predictions"][0]
    return found


def campaign(name: str) -> dict[str, Any]:
    starts = datetime.now(UTC) - timedelta(days=2, hours=1)
    share = np.full(len(NAMES), 1 / len(NAMES))
    return {
        "campaign_id": name,
        "currency": "EUR",
        "cycle_budget": 1_000.0,
        "share": dict(zip(NAMES, share.tolist(), strict=True)),
        "starts": starts.isoformat(),
        "cycles": 14,
        "cycle_hours": 24,
        "timezone": None,
    }


def outcomes(name: str, arm: str, scale: float = 1.0) -> list[dict[str, Any]]:
    """What two finished cycles brought."""
    return [
        {
            "event_id": f"{name}-{arm}-{cycle}-{platform}",
            "campaign_id": name,
            "arm": arm,
            "cycle": cycle,
            "platform": platform,
            "impressions": 2_000,
            "clicks": 40,
            "conversions": 4,
            "revenue": 100.0 * scale,
            "spend": 70.0,
        }
        for cycle in range(2)
        for platform in NAMES
    ]


def test_feedback_becomes_the_state_of_every_replica(replica: Replica) -> None:
    first, second = replica("first"), replica("second")
    client, other = (TestClient(application(live, Settings()), base_url="http://127.0.0.1") for live in (first, second))
    assert ask(client)["state_source"] == "log"
    assert client.post("/campaigns", json=campaign("spring")).status_code == 201
    second.reload()
    assert ask(other, campaign="spring")["state_source"] == "cold"
    receipt = client.post("/feedback", json=outcomes("spring", "policy")).json()
    assert receipt["accepted"] == 2 * len(NAMES)
    # The other replica pushes; both read what it pushed.
    one = pusher(second)
    one.once()
    assert (one.trouble, one.pushed) == (None, 2)
    for live, asked in ((first, client), (second, other)):
        live.refresh_states()
        told = ask(asked, campaign="spring")
        assert (told["state_source"], told["degraded"]) == ("own", [])
    again = pusher(first)
    again.once()
    assert (again.trouble, again.pushed) == (None, 0)
    # A late event changes the row of a cycle that was pushed: Redis takes the row of the same time, whoever pushes.
    before = [live.states.get("spring", "policy") for live in (first, second)]
    late = {**outcomes("spring", "policy")[-1], "event_id": "late", "spend": 30.0}
    assert client.post("/feedback", json=[late]).json()["late"] == 1
    again.once()
    assert (again.trouble, again.pushed) == (None, 1)
    for live, old in zip((first, second), before, strict=True):
        live.refresh_states()
        state = live.states.get("spring", "policy")
        assert old is not None
        assert state is not None
        assert state.seconds == old.seconds
        spent = ALLOCATION.of_campaign(state.statistics_S, "consumed") / ALLOCATION.of_campaign(
            old.statistics_S, "consumed"
        )
        assert spent == pytest.approx((140.0 * len(NAMES) + 30) / (140.0 * len(NAMES)), rel=1e-5)


def test_redis_away_and_back(replica: Replica, redis: Redis) -> None:
    live = replica("first")
    client = TestClient(application(live, Settings()), base_url="http://127.0.0.1")
    before = ask(client)
    redis.stop()
    live.refresh_states()
    told = ask(client)
    assert [one["what"] for one in told["degraded"]] == ["feature store"]
    assert told["allocation"] == before["allocation"]
    assert client.post("/campaigns", json=campaign("spring")).status_code == 201
    assert client.post("/feedback", json=outcomes("spring", "policy")).status_code == 200
    one = pusher(live)
    one.once()
    assert one.trouble is not None
    redis.start()
    one.once()
    live.refresh_states()
    assert (one.trouble, one.pushed) == (None, 2)
    told = ask(client, campaign="spring")
    assert (told["state_source"], told["degraded"]) == ("own", [])


def test_postgres_away_and_back(replica: Replica, cluster: Cluster) -> None:
    live = replica("first")
    client = TestClient(application(live, Settings()), base_url="http://127.0.0.1")
    arms = [ask(client, "router", user_id=f"user {n}")["arm"] for n in range(50)]
    assert live.recorder.flush()
    cluster.stop()
    try:
        live._look()
        told = [ask(client, "router", user_id=f"user {n}") for n in range(80)]
        assert [one["arm"] for one in told[:50]] == arms
        assert {one["what"] for answer in told for one in answer["degraded"]} == {"database"}
        refused = client.post("/feedback", json=outcomes("c0", "policy"))
        assert (refused.status_code, refused.headers["retry-after"]) == (503, "1")
        assert live.recorder.flush() is False
        restarted = replica("first")
        assert sorted(restarted.campaigns) == sorted(live.campaigns)
    finally:
        cluster.start()
    live._look()
    # It can be read again; that it can be written is known by the next write.
    assert {one["what"] for one in ask(client)["degraded"]} == {"database"}
    assert live.recorder.flush()
    assert ask(client)["degraded"] == []
    assert client.post("/feedback", json=outcomes("c0", "policy")).json()["accepted"] == 2 * len(NAMES)
    assert live.recorder.flush()
    found = client.get("/experiment.json").json()
    assert sum(found["sample_ratio"]["users"].values()) == 80


def test_the_verdict_and_a_guardrails_end_on_postgres(replica: Replica) -> None:
    first, second = replica("first"), replica("second")
    client = TestClient(application(first, Settings()), base_url="http://127.0.0.1")
    assert client.post("/campaigns", json=campaign("spring")).status_code == 201
    for arm, scale in (("policy", 1.1), ("control", 1.0)):
        assert client.post("/feedback", json=outcomes("spring", arm, scale)).status_code == 200
    for n in range(60):
        ask(client, "router", campaign="spring", user_id=f"user {n}")
    assert first.recorder.flush()
    now, name, settings = datetime.now(UTC), first.experiment.id, first.config.serving.guardrails
    told = verdict.status(first.store, name, now, settings)
    assert told == verdict.status(second.store, name, now, settings)
    assert sum(told["sample_ratio"]["users"].values()) == 60
    assert watch.check(first.store, name, first.config, now) is None
    assert experiments.end(first.store, name, "cost per conversion rose", "guardrail") is True
    assert experiments.end(second.store, name, "cost per conversion rose", "guardrail") is False
    for live in (first, second):
        live.reload()
        assert live.arm("user 1") == "control"
    assert ask(client, "router", campaign="spring", user_id="user 1")["arm"] == "control"

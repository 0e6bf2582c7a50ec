"""The store on a PostgreSQL of our own: the round trip, away, and back."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
import sqlalchemy as sa
from fastapi import FastAPI
from fastapi.testclient import TestClient

from crossmix.ledger import audit
from crossmix.ledger import feedback as ledger
from crossmix.ledger.campaigns import load_all
from crossmix.ledger.store import Store, StoreAwayError
from crossmix.ledger.tables import assignments, events
from serving.campaigns import service as campaigns
from serving.feedback import events as feedback
from serving.http import resources as routes
from serving.http import writers
from tests.support.services import Cluster
from tests.support.serving_live import PLATFORMS, START, FakeLive, event, raw

pytest.importorskip("psycopg", reason="psycopg is not installed; pip install 'crossmix[dev]'")


@pytest.fixture
def store(cluster: Cluster) -> Iterator[Store]:
    store = Store(cluster.url)
    with store.write() as connection:
        for table in ("campaigns", "overrides", "audit", "events", "totals", "feedback_state", "assignments", "pushed"):
            connection.exec_driver_sql(f"DELETE FROM {table}")
    yield store
    store.close()


@pytest.fixture
def live(store: Store) -> FakeLive:
    return FakeLive(store, START + timedelta(days=3.5))


@pytest.fixture
def client(live: FakeLive) -> TestClient:
    app = FastAPI()
    app.include_router(routes.router(live, changed=live.reload, clock=live.clock))
    return TestClient(app)


def receipt(accepted: int, duplicates: int, late: int) -> dict[str, Any]:
    counts = {"accepted": accepted, "duplicates": duplicates, "late": late}
    return {**counts, "conflicts": [], "refused": []}


def test_campaigns_and_overrides_come_back(store: Store) -> None:
    made = campaigns.create(store, raw(), PLATFORMS, "ann", "spring sale")
    assert load_all(store) == {"spring": made}
    assert made.starts == START
    revision = store.revision()
    campaigns.edit(store, "spring", {"cycle_budget": 2_000}, PLATFORMS, "bob")
    campaigns.set_override(store, "spring", "given", {"video": 1}, PLATFORMS, "bob", "odd")
    campaigns.pause(store, "spring", "bob")
    assert store.revision() == revision + 3
    found = campaigns.get(store, "spring")
    assert (found.cycle_budget, found.paused) == (2_000, True)
    assert found.override is not None
    assert found.override.share == {"search": 0, "social": 0, "video": 1}
    assert found.override.at.utcoffset() == timedelta(0)
    trail = audit.trail(store, "spring")
    actions = ["campaign.pause", "override.set", "campaign.edit", "campaign.create"]
    assert [entry.action for entry in trail] == actions
    assert trail[2].before == {"cycle_budget": 1_000}
    assert trail[0].at.utcoffset() == timedelta(0)


def test_a_url_says_how_long_a_connection_may_take(store: Store, cluster: Cluster) -> None:
    patient, usual = store.engine, Store(cluster.url.partition("?")[0]).engine
    asked: list[dict[str, Any]] = []
    for engine in (patient, usual):
        engine.dispose()
        sa.event.listen(engine, "do_connect", lambda _, __, ___, given: asked.append(dict(given)))
        engine.connect().close()
        engine.dispose()
    assert [int(given["connect_timeout"]) for given in asked] == [120, 3]
    assert {given["options"] for given in asked} == {"-c statement_timeout=10000"}


def test_feedback_is_counted_once(client: TestClient, live: FakeLive, store: Store) -> None:
    client.post("/campaigns", json=raw())
    made = [event(f"{n}", cycle=n % 4, platform=PLATFORMS[n % 3], spend=n / 8, requests=None) for n in range(2_500)]
    assert client.post("/feedback", json=made[:1_500]).json() == receipt(1_500, 0, 1_125)
    again = [*made[1_000:], made[0], made[2_499]]
    assert client.post("/feedback", json=again).json() == receipt(1_000, 502, 750)
    found = ledger.totals(store, "spring", PLATFORMS).values
    assert found["impressions"].sum() == 25_000
    assert found["spend"].sum() == sum(range(2_500)) / 8
    user = event("user", cycle=3, user_id="u1", clicks=2)
    assert client.post("/feedback", json=user).json()["accepted"] == 1
    assert ledger.by_user(store, "spring").values["clicks"].tolist() == [2]


def test_the_same_events_at_once_are_counted_once(live: FakeLive, store: Store) -> None:
    campaigns.create(store, raw(), PLATFORMS, "ann")
    live.reload()
    receipts: list[feedback.Receipt] = []
    raws = [event(f"{n}") for n in range(1_500)]
    checked = feedback.check(raws, live.campaigns, PLATFORMS, live.experiment, live.now)
    together = threading.Barrier(6)
    # A statement that waits for five others may take long on a busy machine.
    patient = Store(f"{store.url}&options=-c%20statement_timeout%3D300000")

    def send(order: int) -> None:
        together.wait()
        receipts.append(feedback.ingest(patient, checked[::order], live.now))

    # Half of them backwards: transactions that wait for each other in a circle would be refused.
    threads = [threading.Thread(target=send, args=(1 if number % 2 else -1,)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    patient.close()
    assert len(receipts) == 6
    assert sum(receipt.accepted for receipt in receipts) == 1_500
    assert sum(receipt.duplicates for receipt in receipts) == 7_500


def test_edits_at_the_same_time_are_all_kept(store: Store) -> None:
    campaigns.create(store, raw(limits={}), PLATFORMS, "ann")

    def change(platform: str) -> None:
        campaigns.edit(store, "spring", {"limits": {platform: {"max": 0.9}}}, PLATFORMS, platform)

    threads = [threading.Thread(target=change, args=(name,)) for name in PLATFORMS]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert campaigns.get(store, "spring").limits == {name: {"max": 0.9} for name in PLATFORMS}


def test_ids_that_a_database_could_not_hold_are_refused(client: TestClient) -> None:
    client.post("/campaigns", json=raw())
    for bad, status in ((event("a\x00"), 422), (event("a", user_id="\ud800"), 400), (event("x" * 201), 422)):
        answer = client.post("/feedback", content=json.dumps(bad))
        assert answer.status_code == status, answer.text
    assert client.get("/audit", params={"subject": "a\x00"}).status_code == 422
    assert client.get("/campaigns/a%00b").status_code == 404
    assert client.post("/campaigns/a%00b/pause").status_code == 404
    assert client.put("/campaigns/a%00b/override", json={"kind": "static"}).status_code == 404
    assert client.patch("/campaigns/a%00b", json={"cycles": 3}).status_code == 404
    assert client.post("/feedback", json=event("a", campaign_id="a\x00b")).status_code == 422
    assert client.post("/feedback", json=event("é" * 200)).json()["accepted"] == 1


def test_a_request_waits_for_a_lock_as_long_as_all_its_waits_may_take(
    client: TestClient, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another process has the tables: 503 in the request's own time, told to PostgreSQL, and nothing half-written."""
    client.post("/campaigns", json=raw())
    app = FastAPI()
    monkeypatch.setattr(writers, "WAIT_SECONDS", 0.4)
    live = FakeLive(store, START + timedelta(days=3.5))
    app.include_router(routes.router(live, changed=live.reload, clock=live.clock))
    asked: list[int] = []

    def noted(_: Any, __: Any, statement: str, *rest: Any) -> None:
        if statement.startswith("SET LOCAL lock_timeout"):
            asked.append(int(statement.rpartition("=")[2]))

    sa.event.listen(store.engine, "before_cursor_execute", noted)
    with TestClient(app) as hurried, store.engine.connect() as other:
        other.exec_driver_sql("LOCK TABLE events, campaigns, revision, audit IN EXCLUSIVE MODE")
        for method, path, body in (
            ("POST", "/feedback", event("held", cycle=3)),
            ("POST", "/campaigns", raw(campaign_id="other")),
            ("PATCH", "/campaigns/spring", {"cycles": 3}),
        ):
            asked.clear()
            for _ in range(50):  # on a busy machine a request's time may be over before its thread has begun
                answer = hurried.request(method, path, json=body)
                assert (answer.status_code, answer.headers["retry-after"]) == (503, "1"), answer.text
                if asked:
                    break
            assert 0 < max(asked) <= 400, (path, asked)
        other.rollback()
    sa.event.remove(store.engine, "before_cursor_execute", noted)
    assert client.post("/feedback", json=event("held", cycle=3)).json() == receipt(1, 0, 0)
    assert set(load_all(store)) == {"spring"}
    assert campaigns.get(store, "spring").cycles == 14


def test_away_is_503_nothing_half_written_and_back_by_itself(
    cluster: Cluster, client: TestClient, live: FakeLive, store: Store
) -> None:
    client.post("/campaigns", json=raw())
    assert client.post("/feedback", json=event("before", cycle=3)).status_code == 200
    cluster.stop()
    try:
        for _ in range(2):
            answer = client.post("/feedback", json=[event("during", cycle=3), event("during2", cycle=3)])
            assert (answer.status_code, answer.headers["retry-after"]) == (503, "1")
            assert answer.json()["error"].startswith("database postgresql+psycopg://")
        assert client.patch("/campaigns/spring", json={"cycles": 3}).status_code == 503
        assert client.get("/audit").status_code == 503
        assert client.get("/campaigns/spring").json()["cycles"] == 14  # the snapshot answers
        put = client.put("/campaigns/spring/override", json={"kind": "static", "reason": "odd"})
        assert (put.status_code, put.json()["pending"]) == (200, True)
        assert client.get("/campaigns/spring").json()["override"]["reason"] == "odd"
        with pytest.raises(StoreAwayError, match="database postgresql"):
            load_all(store)
        with pytest.raises(StoreAwayError, match="database postgresql"):
            Store(cluster.url)
    finally:
        cluster.start()
    assert campaigns.get(store, "spring").cycles == 14
    both = client.post("/feedback", json=[event("during", cycle=3), event("before", cycle=3)])
    assert both.json() == receipt(1, 1, 0)
    assert client.patch("/campaigns/spring", json={"cycles": 20}).status_code == 200
    with store.read() as connection:
        assert sorted(connection.execute(sa.select(events.c.event_id)).scalars()) == ["before", "during"]
    deadline = time.monotonic() + 300
    while live.lane._next() is not None and time.monotonic() < deadline:
        time.sleep(0.05)
    override = campaigns.get(store, "spring").override
    assert override is not None
    assert (override.kind, override.reason, override.at) == ("static", "odd", live.now)
    actions = sorted(entry["action"] for entry in client.get("/audit").json()["entries"])
    assert actions == ["campaign.create", "campaign.edit", "override.set"]
    live.lane.stop()


def test_a_stop_in_the_middle_loses_nothing_that_was_acknowledged(
    cluster: Cluster, client: TestClient, live: FakeLive, store: Store
) -> None:
    client.post("/campaigns", json=raw())
    acknowledged: list[str] = []
    pending: set[str] = set()
    halt = threading.Event()

    def send(number: int) -> None:
        turn = 0
        while not halt.is_set():
            names = [f"{number}-{turn}-{n}" for n in range(20)]
            pending.update(names)
            while client.post("/feedback", json=[event(name, cycle=3) for name in names]).status_code != 200:
                time.sleep(0.05)
            acknowledged.extend(names)
            turn += 1

    threads = [threading.Thread(target=send, args=(number,)) for number in range(3)]
    for thread in threads:
        thread.start()
    deadline = time.monotonic() + 300
    while len(acknowledged) <= 100 and time.monotonic() < deadline:
        time.sleep(0.05)
    cluster.stop()
    cluster.start()
    time.sleep(0.5)
    halt.set()
    for thread in threads:
        thread.join()
    assert len(acknowledged) > 100
    with store.read() as connection:
        kept = list(connection.execute(sa.select(events.c.event_id)).scalars())
    assert sorted(kept) == sorted(acknowledged)
    assert ledger.totals(store, "spring", PLATFORMS).values["impressions"].sum() == 10 * len(acknowledged)


def test_rows_that_are_there_stay(store: Store) -> None:
    row = {"experiment": "first", "user": "u", "arm": "policy", "bucket": 1, "first_seen": START}
    with store.write() as connection:
        for arm in ("policy", "control"):
            connection.execute(store.insert_new(assignments), {**row, "arm": arm})
        assert connection.execute(sa.select(assignments.c.arm)).scalars().all() == ["policy"]

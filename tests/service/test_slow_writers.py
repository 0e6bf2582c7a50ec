"""A database that is locked or full, under a server's real application: only writers wait, the kill switch holds."""

from __future__ import annotations

import asyncio
import re
import signal
import sqlite3
import threading
import time
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from crossmix.ledger import audit
from crossmix.ledger import store as stores
from crossmix.ledger.campaigns import load_all
from serving import app as server
from serving.http import ticking, writers
from serving.live.live import Live
from tests.support.served_process import Server
from tests.support.serving_run import NAMES, Run, instance

POSTS = 60
HANGS = 240.0
"""Seconds after which what a test waits for will not come any more; who waits for the database does for longer."""


def fed(number: int, **changes: Any) -> dict[str, Any]:
    one = {"campaign_id": "c0", "arm": "policy", "platform": NAMES[0], "cycle": 0, "impressions": 10, "spend": 2.5}
    return {"event_id": f"e{number}", **one, **changes}


@pytest.fixture
def patient(live: Live, monkeypatch: pytest.MonkeyPatch) -> None:
    """Writers wait for as long as the test takes, however slow the machine is."""
    monkeypatch.setattr(stores, "SQLITE_SECONDS", 300.0)
    monkeypatch.setattr(writers, "WAIT_SECONDS", 300.0)
    wait_for_the_lock(live, 300_000)


def wait_for_the_lock(live: Live, milliseconds: int) -> None:
    """How long each connection waits from now on."""
    live.store.engine.dispose()
    stores.event.listen(
        live.store.engine, "connect", lambda one, _: one.execute(f"PRAGMA busy_timeout={milliseconds}").close()
    )


@pytest.fixture
def locked(live: Live, run: Run) -> Iterator[sqlite3.Connection]:
    """Another process's connection, which keeps every writer out."""
    connection = sqlite3.connect(run.out / "serving" / "serving.db", isolation_level=None, check_same_thread=False)
    connection.execute("BEGIN EXCLUSIVE")
    yield connection
    connection.close()


def asking(live: Live, questions: Callable[[httpx.AsyncClient], Awaitable[None]]) -> None:
    """Ask the application on one event loop, as uvicorn does."""

    async def ask() -> None:
        transport = httpx.ASGITransport(app=server.application(live, server.Settings()))
        async with httpx.AsyncClient(transport=transport, base_url="http://localhost", timeout=60) as client:
            await questions(client)

    asyncio.run(ask())


async def reached(true: Callable[[], Awaitable[bool]]) -> None:
    last = time.monotonic() + HANGS
    while not await true():
        assert time.monotonic() < last
        await asyncio.sleep(0.01)


async def waiting(client: httpx.AsyncClient, posts: list[asyncio.Task[httpx.Response]]) -> None:
    """Until each of them is in the writers' queue, or a thread of theirs."""

    async def all_wait() -> bool:
        assert not any(post.done() for post in posts)
        told = (await client.get("/metrics")).text
        return f'crossmix_waiting_requests{{what="feedback"}} {len(posts)}.0' in told

    await reached(all_wait)


async def away(client: httpx.AsyncClient) -> set[str]:
    """What is away: as health, a scrape and an answer say alike."""
    degraded = (await client.get("/healthz")).json()["degraded"]
    scraped = (await client.get("/metrics")).text
    answer = (await client.post("/v1/models/policy:predict", json=instance())).json()["predictions"][0]
    found = {one["what"] for one in degraded}
    assert {one["what"] for one in answer["degraded"]} == found
    assert set(re.findall(r'^crossmix_away\{what="([^"]+)"\} 1\.0$', scraped, re.MULTILINE)) == found
    return found


@pytest.mark.usefixtures("patient")
def test_sixty_posts_against_a_locked_database_take_nothing_from_anybody_else(
    live: Live, locked: sqlite3.Connection
) -> None:
    async def questions(client: httpx.AsyncClient) -> None:
        posts = [asyncio.create_task(client.post("/feedback", json=fed(number))) for number in range(POSTS)]
        await waiting(client, posts)
        began = time.monotonic()
        for path in ("/healthz", "/metrics", "/serving", "/campaigns", "/campaigns/c0", "/audit"):
            assert (await client.get(path)).status_code == 200, path
        assert f'crossmix_waiting_requests{{what="feedback"}} {POSTS}.0' in (await client.get("/metrics")).text
        before = await client.post("/v1/models/policy:predict", json=instance())
        assert before.json()["predictions"][0]["override"] is None
        put = await client.put("/campaigns/c0/override", json={"kind": "static", "reason": "odd"})
        assert (put.status_code, put.json()["pending"]) == (200, True)
        assert "other servers learn of it" in put.json()["note"]
        after = await client.post("/v1/models/policy:predict", json=instance())
        assert after.json()["predictions"][0]["override"]["kind"] == "static"
        paused = await client.post("/campaigns/c1/pause")
        assert (paused.json()["paused"], paused.json()["pending"]) == (True, True)
        assert time.monotonic() - began < HANGS
        assert not any(post.done() for post in posts), "all that was answered while they waited"
        assert load_all(live.store)["c0"].override is None
        locked.execute("ROLLBACK")
        answers = await asyncio.gather(*posts)
        assert {answer.status_code for answer in answers} == {200}
        assert sum(answer.json()["accepted"] for answer in answers) == POSTS
        assert 'crossmix_waiting_requests{what="feedback"} 0.0' in (await client.get("/metrics")).text

    asking(live, questions)
    until(lambda: load_all(live.store)["c1"].paused)
    override = load_all(live.store)["c0"].override
    assert override is not None
    assert (override.kind, override.reason) == ("static", "odd")
    made = [entry for entry in audit.trail(live.store) if entry.action in ("override.set", "campaign.pause")]
    assert [(entry.subject, entry.reason) for entry in made] == [("c1", ""), ("c0", "odd")]
    assert made[1].at == override.at, "the moment of the request"


def until(true: Callable[[], Any]) -> None:
    last = time.monotonic() + HANGS
    while not true():
        assert time.monotonic() < last
        time.sleep(0.01)


@pytest.mark.usefixtures("patient")
def test_the_kill_switch_passes_the_posts_that_wait(live: Live) -> None:
    """The writers' threads are all in the queue of a writer that holds its turn: the switch is next."""
    order: list[str] = []

    async def questions(client: httpx.AsyncClient) -> None:
        def noted(*_: Any) -> None:
            order.append(threading.current_thread().name.partition("_")[0])

        holds, let_go = threading.Event(), threading.Event()

        def hold() -> None:
            with live.store.write():
                holds.set()
                let_go.wait()

        async def switch_waits() -> bool:
            return bool(live.store._turns._urgent)

        holder = threading.Thread(target=hold)
        holder.start()
        try:
            assert await asyncio.to_thread(holds.wait, HANGS)
            posts = [asyncio.create_task(client.post("/feedback", json=fed(number))) for number in range(POSTS)]
            await waiting(client, posts)
            put = asyncio.create_task(client.put("/campaigns/c0/override", json={"kind": "static"}))
            await reached(switch_waits)
            stores.event.listen(live.store.engine, "commit", noted)
        finally:
            let_go.set()
        assert (await put).json()["override"]["kind"] == "static"
        assert {answer.status_code for answer in await asyncio.gather(*posts)} == {200}
        await asyncio.to_thread(holder.join)

    asking(live, questions)
    assert order.index("kill switch writer") <= 1, "right after the one that held the turn"
    assert order.count("feedback") == POSTS


@pytest.mark.usefixtures("patient")
def test_more_than_may_wait_is_503_at_once(live: Live, locked: sqlite3.Connection) -> None:
    async def questions(client: httpx.AsyncClient) -> None:
        most = live.config.serving.waiting
        posts = [asyncio.create_task(client.post("/feedback", json=fed(number))) for number in range(most)]
        await waiting(client, posts)
        answer = await client.post("/feedback", json=fed(most))
        assert (answer.status_code, answer.headers["retry-after"]) == (503, "1")
        assert answer.json() == {"error": f"feedback: {most} requests wait already; send it again in a second"}
        assert not any(post.done() for post in posts)
        locked.execute("ROLLBACK")
        await asyncio.gather(*posts)
        again = await client.post("/feedback", json=fed(most))
        assert again.json()["accepted"] == 1

    asking(live, questions)


def test_a_database_that_refuses_writers_is_told_everywhere(
    live: Live, locked: sqlite3.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def questions(client: httpx.AsyncClient) -> None:
        assert (await client.get("/healthz")).json() == {"status": "alive", "degraded": []}
        monkeypatch.setattr(stores, "SQLITE_SECONDS", 0.05)
        wait_for_the_lock(live, 50)
        live.store.probe(0)
        health = await client.get("/healthz")
        assert health.status_code == 200
        assert (health.json()["status"], [one["what"] for one in health.json()["degraded"]]) == ("alive", ["database"])
        assert "cannot be written" in health.json()["degraded"][0]["why"]
        assert "locked" in health.json()["degraded"][0]["why"]
        scraped = (await client.get("/metrics")).text
        assert 'crossmix_away{what="database"} 1.0' in scraped
        assert 'crossmix_away{what="kill switch"}' not in scraped
        assert await away(client) == {"database"}
        locked.execute("ROLLBACK")
        live.store.probe(3_600)
        assert (await client.get("/healthz")).json() == {"status": "alive", "degraded": []}

    asking(live, questions)


def test_a_kill_switch_that_waits_for_the_database_is_told_everywhere(
    live: Live, locked: sqlite3.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def questions(client: httpx.AsyncClient) -> None:
        monkeypatch.setattr(stores, "SQLITE_SECONDS", 0.05)
        wait_for_the_lock(live, 50)
        assert await away(client) == set()
        put = await client.put("/campaigns/c0/override", json={"kind": "static"})
        assert (put.status_code, put.json()["pending"]) == (200, True)

        async def refused() -> bool:
            return "locked" in str(live.lane.trouble)  # and not that it has not answered yet

        async def written() -> bool:
            return live.lane.trouble is None

        await reached(refused)
        assert await away(client) == {"database", "kill switch"}
        assert 'crossmix_away{what="kill switch"} 1.0' in (await client.get("/metrics")).text
        why = {one["what"]: one["why"] for one in (await client.get("/healthz")).json()["degraded"]}["kill switch"]
        assert why.startswith("changes are served here alone: ")
        assert "locked" in why
        locked.execute("ROLLBACK")
        await reached(written)
        assert await away(client) == set()
        assert 'crossmix_away{what="kill switch"}' not in (await client.get("/metrics")).text

    asking(live, questions)


def test_a_full_disk_is_told_and_refuses_the_request_as_a_whole(live: Live) -> None:
    engine = live.store.engine

    def few_pages(connection: Any, *_: Any) -> None:
        # Of each connection: not a page more than there are.
        pages = connection.execute("PRAGMA page_count").fetchone()[0]
        connection.execute(f"PRAGMA max_page_count={pages}")

    async def questions(client: httpx.AsyncClient) -> None:
        engine.dispose()
        stores.event.listen(engine, "connect", few_pages)
        events = [fed(number, reason="r" * 900) for number in range(200)]
        answer = await client.post("/feedback", json=events)
        assert (answer.status_code, answer.headers["retry-after"]) == (503, "1")
        assert "full" in answer.json()["error"]
        assert "full" in (await client.get("/healthz")).json()["degraded"][0]["why"]
        assert 'crossmix_away{what="database"} 1.0' in (await client.get("/metrics")).text
        assert await away(client) == {"database"}
        put = await client.put("/campaigns/c0/override", json={"kind": "static"})
        assert put.json()["override"]["kind"] == "static"
        stores.event.remove(engine, "connect", few_pages)
        engine.dispose()

        async def written() -> bool:
            return live.lane._next() is None and live.lane.trouble is None

        await reached(written)  # by the lane's own thread, on a connection of before until then
        assert (await client.post("/feedback", json=events)).json()["accepted"] == 200
        assert (await client.get("/healthz")).json()["degraded"] == []

    asking(live, questions)
    assert (Path(live.folder) / "switches.journal").is_file()


def test_who_has_waited_too_long_is_sent_away(live: Live, monkeypatch: pytest.MonkeyPatch) -> None:
    async def questions(client: httpx.AsyncClient) -> None:
        answers = await asyncio.gather(*(client.post("/feedback", json=fed(number)) for number in range(8)))
        assert {answer.status_code for answer in answers} == {503}
        assert "it waited -1 s; send it again" in answers[0].json()["error"]
        assert answers[0].headers["retry-after"] == "1"

    monkeypatch.setattr(writers, "WAIT_SECONDS", -1.0)
    asking(live, questions)


@pytest.mark.slow
def test_a_server_under_a_locked_database_answers_and_remembers_the_kill_switch(
    run: Run, serve: Callable[..., Server]
) -> None:
    """A process of its own, killed while the switch waits for the database, and started again under the lock."""
    running = serve(run)
    holder = sqlite3.connect(run.out / "serving" / "serving.db", HANGS, isolation_level=None)
    holder.execute("BEGIN EXCLUSIVE")
    threads = [threading.Thread(target=post, args=(running.url, number)) for number in range(POSTS)]
    for thread in threads:
        thread.start()
    with httpx.Client(base_url=running.url, timeout=HANGS) as client:
        for path in ("/healthz", "/metrics", "/campaigns"):
            assert client.get(path).status_code == 200
        put = client.put("/campaigns/c0/override", json={"kind": "static", "reason": "odd"})
        assert (put.status_code, put.json()["pending"]) == (200, True)
        assert split(client)["override"]["reason"] == "odd"
    assert running.end(signal.SIGKILL) == -signal.SIGKILL
    for thread in threads:
        thread.join(HANGS)
    again = serve(run)
    with httpx.Client(base_url=again.url, timeout=HANGS) as client:
        assert split(client)["override"]["reason"] == "odd", "before the lock is released"
        holder.execute("ROLLBACK")
        holder.close()
        until(lambda: any(entry["action"] == "override.set" for entry in client.get("/audit").json()["entries"]))
        until(lambda: client.get("/healthz").json()["degraded"] == [])
        assert split(client)["override"]["reason"] == "odd"
        assert client.delete("/campaigns/c0/override").json()["override"] is None
        assert split(client)["override"] is None
        actions = [entry["action"] for entry in client.get("/audit", params={"subject": "c0"}).json()["entries"]]
    assert actions.count("override.set") == 1
    assert again.end() == 0


def post(url: str, number: int) -> None:
    """Whatever becomes of it."""
    try:
        httpx.post(f"{url}/feedback", json=fed(number), timeout=HANGS)
    except httpx.HTTPError:
        return


def split(client: httpx.Client) -> dict[str, Any]:
    answer: dict[str, Any] = client.post("/v1/models/policy:predict", json=instance()).json()["predictions"][0]
    return answer


@pytest.mark.usefixtures("locked")
def test_a_tick_says_that_the_database_is_locked_instead_of_waiting_for_it(
    live: Live, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Part by part it took 17 s."""
    monkeypatch.setattr(ticking, "LOOK_SECONDS", 0.1)
    monkeypatch.setattr(live, "tick", lambda: pytest.fail("a round was begun"))

    async def ask(client: httpx.AsyncClient) -> None:
        answer = await client.post("/serving/tick")
        assert (answer.status_code, answer.headers["retry-after"]) == (503, "1")
        assert answer.json()["error"].endswith("serving.db: database is locked")

    asking(live, ask)

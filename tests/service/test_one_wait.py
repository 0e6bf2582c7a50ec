"""A request waits for the database once, whatever it does there: for a thread, its turn and the lock together."""

from __future__ import annotations

import asyncio
import html
import re
import sqlite3
import threading
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from crossmix.ledger import patience, quarantine
from crossmix.ledger import store as stores
from crossmix.ledger.quarantine import HELD, Entry
from serving import app as server
from serving.http import writers
from serving.live.live import Live
from tests.support.serving_run import CAMPAIGNS, NAMES, Run

BOUND = 0.3
LONG = 300.0
"""Seconds that a connection and a turn are waited for where nothing bounds it: half of a test's time."""
NAME = CAMPAIGNS[0]
EVENT = {"event_id": "e", "campaign_id": NAME, "arm": "policy", "platform": NAMES[0], "cycle": 0, "spend": 2.5}
NEW = {"campaign_id": "new", "currency": "EUR", "cycle_budget": 1.0, "share": {NAMES[0]: 1.0}, "cycles": 5}
CHANGES: dict[str, tuple[str, str, Any]] = {
    "feedback": ("POST", "/feedback", EVENT),
    "new campaign": ("POST", "/campaigns", NEW | {"starts": "2026-01-05T00:00:00Z", "cycle_hours": 24}),
    "edit": ("PATCH", f"/campaigns/{NAME}", {"cycle_budget": 3.0}),
    "experiment": ("POST", "/experiments", {"id": "next", "weight": 0.4, "days": 20}),
    "its end": ("POST", "/experiments/{experiment}/end?reason=enough", None),
    "canary": ("POST", "/canary?reason=better", {"version": 2}),
    "quarantine": ("POST", "/quarantine", {"campaign_id": NAME, "state": "confirmed"}),
    "desk": ("POST", "/desk/confirm", {"reason": "seen", "step": "do"}),
}


@pytest.fixture
def locked(live: Live, run: Run, monkeypatch: pytest.MonkeyPatch) -> Iterator[sqlite3.Connection]:
    """Another process has the lock; who is not bound waits for `LONG`."""
    at = live.clock()
    held = Entry(NAME, "policy", NAMES[0], 4, "impossible", "value", 9.0, 1.0, 9.0, "", at, HELD, "guard", "", at)
    quarantine.update(live.store, [held], [], at)
    monkeypatch.setattr(stores, "SQLITE_SECONDS", LONG)
    monkeypatch.setattr(writers, "WAIT_SECONDS", BOUND)
    live.store.engine.dispose()
    stores.event.listen(
        live.store.engine, "connect", lambda one, _: one.execute(f"PRAGMA busy_timeout={round(LONG * 1_000)}").close()
    )
    connection = sqlite3.connect(run.out / "serving" / "serving.db", isolation_level=None, check_same_thread=False)
    yield connection
    connection.close()


async def sent(client: httpx.AsyncClient, name: str, experiment: str) -> httpx.Response:
    method, path, body = CHANGES[name]
    if name != "desk":
        return await client.request(method, path.replace("{experiment}", experiment), json=body)
    form = await client.get("/desk/confirm", params={"campaign": NAME})
    hidden = re.findall(r'<input type="hidden" name="([^"]*)" value="([^"]*)"', form.text)
    fields = {key: html.unescape(value) for key, value in hidden}
    return await client.post(path, data=fields | body, headers={"origin": "http://localhost"})


@pytest.mark.parametrize("turn", [False, True], ids=["locked", "locked, and a writer of its own waits for the lock"])
def test_every_change_has_one_bound(
    live: Live, locked: sqlite3.Connection, turn: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[float] = []
    left = patience.left

    def noted(most: float) -> float:
        seconds = left(most)
        if threading.current_thread().name.partition("_")[0] in ("feedback", "campaigns", "experiments", "canary",
                                                                 "quarantine", "desk"):  # fmt: skip
            asked.append(seconds)
        return seconds

    monkeypatch.setattr(patience, "left", noted)
    holder = threading.Thread(target=_takes_its_turn, args=(live,))

    async def ask() -> None:
        transport = httpx.ASGITransport(app=server.application(live, server.Settings()))
        async with httpx.AsyncClient(transport=transport, base_url="http://localhost", timeout=60) as client:
            await client.get("/desk/confirm", params={"campaign": NAME})  # its key is read once
            locked.execute("BEGIN IMMEDIATE")
            if turn:
                holder.start()
                while not live.store._turns._busy:
                    await asyncio.sleep(0.01)
            for name in CHANGES:
                asked.clear()
                for _ in range(50):  # on a busy machine a request's time may be over before its thread has begun
                    answer = await sent(client, name, live.experiment.id)
                    assert answer.status_code == 503, (name, answer.text)
                    assert answer.headers["retry-after"] == "1", name
                    assert "have waited" in answer.text or "locked" in answer.text, name
                    if asked:
                        break
                assert asked, name
                assert max(asked) <= BOUND, (name, asked)

    try:
        asyncio.run(ask())
    finally:
        locked.execute("ROLLBACK")
        if turn:
            holder.join()


def _takes_its_turn(live: Live) -> None:
    """A writer of this process that waits for the lock, as the probe or the recorder does."""
    with live.store.change():
        pass

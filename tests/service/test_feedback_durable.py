"""A feedback server killed at random moments under load: what it acknowledged is there, once."""

from __future__ import annotations

import random
import signal
import subprocess
import sys
import threading
import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
import sqlalchemy as sa

from crossmix.ledger import feedback as ledger
from crossmix.ledger.store import Store
from crossmix.ledger.tables import events
from serving.campaigns import service as campaigns
from tests.support.services import free_port
from tests.support.serving_live import PLATFORMS, raw

CLIENTS = 8
CYCLES = 40
"""Of a second each; all over, so that every event is late."""


class Server:
    """The process, which may be killed and started again."""

    def __init__(self, url: str, log: Path) -> None:
        self.url, self.log, self.port = url, log, free_port()
        self.process: subprocess.Popen[bytes] | None = None

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> None:
        with self.log.open("ab") as stream:
            command = [sys.executable, "-m", "tests.support.feedback_server", self.url, str(self.port)]
            self.process = subprocess.Popen(command, stdout=stream, stderr=stream)
        deadline = time.monotonic() + 300
        while time.monotonic() < deadline:
            assert self.process.poll() is None, self.log.read_text()
            try:
                httpx.get(f"{self.address}/campaigns", timeout=60)
            except httpx.HTTPError:
                time.sleep(0.05)
            else:
                return
        raise AssertionError("the server does not answer")

    def kill(self) -> None:
        if self.process is not None:
            self.process.send_signal(signal.SIGKILL)
            self.process.wait()


@contextmanager
def running(url: str, log: Path) -> Iterator[Server]:
    server = Server(url, log)
    server.start()
    try:
        yield server
    finally:
        server.kill()


class Client(threading.Thread):
    """Sends events until told to stop; each until it is acknowledged, some once more."""

    def __init__(self, number: int, server: Server, seed: int) -> None:
        super().__init__()
        self.number, self.server, self.random = number, server, random.Random(seed * 1_000 + number)
        self.acknowledged: dict[str, dict[str, Any]] = {}
        self.accepted = self.duplicates = self.late = self.conflicts = self.resent = self.changed = self.failures = 0
        self.refusals: list[str] = []
        self.halt = threading.Event()
        """Ends it once what it sends is acknowledged."""
        self.abandon = threading.Event()
        """Ends it at once: the test has failed."""

    def run(self) -> None:
        batch = 0
        with httpx.Client(timeout=300) as http:
            while not self.halt.is_set():
                made = [self._event(batch, index) for index in range(self.random.randint(1, 20))]
                if self.acknowledged and self.random.random() < 0.1:
                    again = self.random.choice(list(self.acknowledged.values()))
                    changed = self.random.random() < 0.5
                    made.insert(
                        self.random.randrange(len(made) + 1), {**again, "impressions": 999_999} if changed else again
                    )
                    self.changed += changed
                    self.resent += not changed
                batch += 1
                self._send(http, made)

    def _event(self, batch: int, index: int) -> dict[str, Any]:
        return {
            "event_id": f"{self.number}-{batch}-{index}",
            "campaign_id": "spring",
            "arm": self.random.choice(("policy", "control")),
            "platform": self.random.choice(PLATFORMS),
            "cycle": self.random.randrange(CYCLES),
            "impressions": self.random.randrange(1, 1_000),
            "spend": self.random.randrange(64) / 64,
        }

    def _send(self, http: httpx.Client, made: list[dict[str, Any]]) -> None:
        while not self.abandon.is_set():
            try:
                answer = http.post(f"{self.server.address}/feedback", json=made)
            except httpx.HTTPError:
                self.failures += 1
                time.sleep(0.02)
                continue
            if answer.status_code == 503:
                self.failures += 1
                continue
            if answer.status_code not in (200, 409):
                self.refusals.append(answer.text)
                return
            receipt = answer.json()
            self.accepted += receipt["accepted"]
            self.duplicates += receipt["duplicates"]
            self.late += receipt["late"]
            self.conflicts += len(receipt["conflicts"])
            for one in made:
                self.acknowledged.setdefault(one["event_id"], one)
            return


def kill_under_load(tmp_path: Path, kills: int, seed: int) -> None:
    url = f"sqlite:///{tmp_path}/serving.db"
    store = Store(url)
    starts = datetime.now(UTC) - timedelta(seconds=CYCLES + 5)
    planned = raw(starts=starts.isoformat(), cycles=CYCLES, cycle_hours=1 / 3600)
    campaigns.create(store, planned, PLATFORMS, "ann")
    moments = random.Random(seed)
    with running(url, tmp_path / "server.log") as server:
        clients = [Client(number, server, seed) for number in range(CLIENTS)]
        started, down = time.monotonic(), 0.0
        for client in clients:
            client.start()
        try:
            for _ in range(kills):
                time.sleep(moments.uniform(0.2, 1.2))
                server.kill()
                killed = time.monotonic()
                # Before anybody can send again: nothing that was acknowledged is missing.
                acknowledged = {name for client in clients for name in list(client.acknowledged)}
                with store.read() as connection:
                    kept = set(connection.execute(sa.select(events.c.event_id)).scalars())
                assert acknowledged <= kept
                server.start()
                down += time.monotonic() - killed
            # However few a busy machine takes: until some came twice, alike and changed, and each client goes on.
            enough, again = time.monotonic() + 300, [len(client.acknowledged) for client in clients]
            while not (
                all(len(client.acknowledged) > before for client, before in zip(clients, again, strict=True))
                and any(client.resent for client in clients)
                and any(client.changed for client in clients)
            ):
                assert time.monotonic() < enough, "the clients do not go on"
                time.sleep(0.02)
        except BaseException:
            for client in clients:
                client.abandon.set()
            raise
        finally:
            for client in clients:
                client.halt.set()
            for client in clients:
                client.join()
        rate = sum(len(client.acknowledged) for client in clients) / (time.monotonic() - started - down)
    assert [client.refusals for client in clients] == [[]] * CLIENTS

    sent = {name: one for client in clients for name, one in client.acknowledged.items()}
    with store.read() as connection:
        assert set(connection.execute(sa.select(events.c.event_id)).scalars()) == sent.keys()
    want: dict[tuple[str, int, str], list[float]] = defaultdict(lambda: [0.0, 0.0])
    for one in sent.values():
        cell = want[one["arm"], one["cycle"], one["platform"]]
        cell[0] += one["impressions"]
        cell[1] += one["spend"]
    found = ledger.totals(store, "spring", PLATFORMS)
    got = {
        (arm, cycle, platform): [found.values[name][a, cycle, p] for name in ("impressions", "spend")]
        for a, arm in enumerate(found.arms)
        for p, platform in enumerate(PLATFORMS)
        for cycle in range(found.values["spend"].shape[1])
    }
    assert {key: value for key, value in got.items() if any(value)} == dict(want)

    # Every event was late when it came; an acknowledgement that a kill swallowed is counted by no client.
    lost = len(sent) - sum(client.accepted for client in clients)
    resent = sum(client.resent for client in clients)
    changed = sum(client.changed for client in clients)
    assert resent > 0
    assert changed > 0
    assert sum(client.duplicates for client in clients) == resent + lost
    assert sum(client.conflicts for client in clients) == changed
    assert sum(client.late for client in clients) == sum(client.accepted for client in clients)
    with store.read() as connection:
        early = sa.select(sa.func.count()).select_from(events).where(events.c.known <= events.c.cycle)
        assert connection.execute(early).scalar_one() == 0
    assert sum(client.failures for client in clients) >= kills
    store.close()
    print(
        f"{len(sent):,} events of {CLIENTS} clients over {kills} kills, {lost} acknowledgements lost on the way, "
        f"{rate:,.0f} events per second acknowledged while up"
    )


@pytest.mark.slow
def test_no_acknowledged_event_is_lost_or_counted_twice(tmp_path: Path) -> None:
    kill_under_load(tmp_path, kills=3, seed=1)


@pytest.mark.soak
def test_no_acknowledged_event_is_lost_or_counted_twice_over_twenty_kills(tmp_path: Path) -> None:
    kill_under_load(tmp_path, kills=20, seed=2)

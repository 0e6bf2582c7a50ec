"""`crossmix serve` on a file's clock, in a process of its own: a fresh server's first answers, ticks, and a registry
that hangs."""

from __future__ import annotations

import socket
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.support.served_process import Server
from tests.support.serving_run import BUDGET, CAMPAIGNS, Run, instance

Serve = Callable[..., Server]
BEGINS = datetime(2026, 1, 5, 9, tzinfo=UTC)


class Driver:
    """Moves a server's clock, and asks it."""

    def __init__(self, server: Server, clock: Path) -> None:
        self.server, self.clock = server, clock
        self.http = httpx.Client(base_url=server.url, timeout=60)

    def at(self, moment: datetime) -> dict[str, Any]:
        """It is `moment`; what the tick says that follows."""
        self.clock.write_text(moment.isoformat())
        reply = self.http.post("/serving/tick")
        assert reply.status_code == 200, reply.text
        done: dict[str, Any] = reply.json()
        assert datetime.fromisoformat(done["now"]) == moment
        return done

    def ask(self, arm: str = "policy", campaign: str = CAMPAIGNS[0]) -> dict[str, Any]:
        reply = self.http.post(f"/v1/models/{arm}:predict", json=instance(campaign))
        assert reply.status_code == 200, reply.text
        answer: dict[str, Any] = reply.json()["predictions"][0]
        return answer


@pytest.mark.slow
def test_a_fresh_servers_first_answer_is_the_champions_and_a_tick_does_what_is_due(
    run: Run, serve: Serve, tmp_path: Path
) -> None:
    """67 answers came from the run's own bundle while another version was champion."""
    run.registry.promote(2, actor="ann", reason="better")
    clock = tmp_path / "clock"
    clock.write_text(BEGINS.isoformat())
    driver = Driver(serve(run, "--grpc-port", "0", "--set", f"serving.clock={clock}"), clock)
    first = driver.ask()
    assert (first["version"], first["bundle"], first["degraded"]) == (2, run.digests[1], [])
    assert (first["cycle"], first["budget"]) == (0, pytest.approx(0.7 * BUDGET))
    done = driver.at(BEGINS + timedelta(days=3))
    assert [part["name"] for part in done["parts"]] == [
        "recorder", "database reader", "registry reader", "pusher", "feature store reader", "guardrails",
    ]  # fmt: skip
    assert all(part["trouble"] is None for part in done["parts"])
    assert done["serving"]["version"] == 2
    assert driver.ask()["cycle"] == 3
    driver.at(BEGINS)
    assert driver.ask()["cycle"] == 0
    assert driver.server.end() == 0


@pytest.mark.slow
def test_a_registry_that_hangs_is_told_from_the_first_answer_on(run: Run, serve: Serve) -> None:
    with socket.create_server(("127.0.0.1", 0), backlog=64) as silent:
        server = serve(
            run, "--grpc-port", "0", "--set", f"registry.tracking_uri=http://127.0.0.1:{silent.getsockname()[1]}"
        )
        answer = httpx.post(f"{server.url}/v1/models/policy:predict", json=instance(), timeout=60).json()
        assert httpx.get(f"{server.url}/v2/health/ready", timeout=60).status_code == 200
    (one,) = answer["predictions"]
    assert (one["version"], one["bundle"]) == (None, run.digests[0])
    ((what, why),) = [(trouble["what"], trouble["why"]) for trouble in one["degraded"]]
    assert what == "registry"
    assert why.startswith("registry: ")
    assert why.endswith("; the run's own bundle serves, of an unknown version")

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

from tests.support.served_process import SECONDS, Server, tick
from tests.support.serving_run import BUDGET, CAMPAIGNS, Run, instance

Serve = Callable[..., Server]
BEGINS = datetime(2026, 1, 5, 9, tzinfo=UTC)


class Driver:
    """Moves a server's clock, and asks it."""

    def __init__(self, server: Server, clock: Path) -> None:
        self.server, self.clock = server, clock
        self.http = httpx.Client(base_url=server.url, timeout=SECONDS)

    def at(self, moment: datetime) -> dict[str, Any]:
        """It is `moment`; what the tick says that follows."""
        self.clock.write_text(moment.isoformat())
        done = tick(self.http)
        assert datetime.fromisoformat(done["now"]) == moment
        return done

    def ask(self, arm: str = "policy", campaign: str = CAMPAIGNS[0]) -> dict[str, Any]:
        reply = self.http.post(f"/v1/models/{arm}:predict", json=instance(campaign))
        assert reply.status_code == 200, reply.text
        answer: dict[str, Any] = reply.json()["predictions"][0]
        return answer

    def spend(self, cycle: int) -> None:
        """Report a cycle in which everything that each arm was told was spent."""
        events = [
            {"event_id": f"{arm}-{cycle}-{line['platform']}", "campaign_id": CAMPAIGNS[0], "arm": arm, "cycle": cycle}
            | {"platform": line["platform"], "impressions": 100, "spend": line["amount"]}
            for arm in ("policy", "control")
            for line in self.ask(arm)["allocation"]
        ]
        receipt = self.http.post("/feedback", json=events).json()
        assert receipt["accepted"] == len(events), receipt


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
        "recorder", "database reader", "registry reader", "pusher", "feature store reader", "guardrails", "canary",
    ]  # fmt: skip
    assert all(part["trouble"] is None for part in done["parts"])
    assert done["serving"]["version"] == 2
    assert driver.ask()["cycle"] == 3
    driver.at(BEGINS)
    assert driver.ask()["cycle"] == 0
    assert driver.server.end() == 0


@pytest.mark.slow
def test_a_clock_that_ran_a_year_ahead_leaves_nothing_behind(run: Run, serve: Serve, tmp_path: Path) -> None:
    """Twenty seconds a year ahead, then right again: the kept answer of cycle 368 went on being served, cycles 3 to 29
    were never pushed, and after a restart the budget was 3,500 instead of 700."""
    clock = tmp_path / "clock"
    clock.write_text(BEGINS.isoformat())
    settings = ("--grpc-port", "0", "--set", f"serving.clock={clock}")
    driver = Driver(serve(run, *settings), clock)
    budget = {"policy": 0.7 * BUDGET, "control": 0.3 * BUDGET}
    for day in range(3):
        driver.at(BEGINS + timedelta(days=day))
        driver.spend(day)
    driver.at(BEGINS + timedelta(days=3))
    before = driver.ask()
    assert (before["cycle"], before["state_source"]) == (3, "own")
    assert before["budget"] == pytest.approx(budget["policy"], rel=1e-3)

    driver.at(BEGINS + timedelta(days=368))
    ahead = driver.ask()
    assert (ahead["cycle"], ahead["budget"]) == (368, 0.0)

    driver.at(BEGINS + timedelta(days=3, minutes=1))
    for arm, money in budget.items():
        back = driver.ask(arm)
        assert (back["cycle"], back["budget"]) == (3, pytest.approx(money, rel=1e-3))
    assert driver.ask()["allocation"] == before["allocation"]

    # The cycles that follow are pushed, and read: the state is of the cycle before.
    for day in (3, 4):
        driver.at(BEGINS + timedelta(days=day, minutes=2))
        driver.spend(day)
    driver.at(BEGINS + timedelta(days=5))
    for arm, money in budget.items():
        later = driver.ask(arm)
        assert (later["cycle"], later["state_source"], later["degraded"]) == (5, "own", [])
        assert datetime.fromisoformat(later["state_as_of"]) == BEGINS.replace(hour=0) + timedelta(days=5)
        assert later["budget"] == pytest.approx(money, rel=1e-3)
    assert driver.server.end() == 0

    again = Driver(serve(run, *settings), clock)
    for arm, money in budget.items():
        restarted = again.ask(arm)
        assert (restarted["cycle"], restarted["state_source"]) == (5, "own")
        assert restarted["budget"] == pytest.approx(money, rel=1e-3)
    assert again.server.end() == 0


@pytest.mark.slow
def test_a_fresh_folder_on_the_same_run_takes_no_statistics_of_another_database(
    run: Run, serve: Serve, tmp_path: Path
) -> None:
    """Its answers had the state of 12 days before the campaign began, marked as its own."""
    clock = tmp_path / "clock"
    clock.write_text(BEGINS.isoformat())
    settings = ("--grpc-port", "0", "--set", f"serving.clock={clock}")
    first = Driver(serve(run, *settings), clock)
    for day in range(3):
        first.at(BEGINS + timedelta(days=day))
        first.spend(day)
    first.at(BEGINS + timedelta(days=3))
    assert first.ask()["state_source"] == "own"
    assert first.server.end() == 0
    # Twelve days later its flight begins anew, in a database of its own.
    clock.write_text((BEGINS + timedelta(days=12)).isoformat())
    fresh = Driver(serve(run, *settings, "--folder", str(tmp_path / "fresh")), clock)
    answer = fresh.ask()
    assert (answer["cycle"], answer["budget"]) == (0, pytest.approx(0.7 * BUDGET))
    assert (answer["state_source"], answer["version"]) == ("log", 1)
    (told,) = [one["why"] for one in answer["degraded"] if CAMPAIGNS[0] in one["why"]]
    assert "2026-01-08" in told
    assert "before the flight" in told
    assert fresh.server.end() == 0


@pytest.mark.slow
def test_a_registry_that_hangs_is_told_from_the_first_answer_on_and_ends_at_once(run: Run, serve: Serve) -> None:
    """It answered by a bundle of no version, and said that it was ready."""
    with socket.create_server(("127.0.0.1", 0), backlog=64) as silent:
        address = f"registry.tracking_uri=http://127.0.0.1:{silent.getsockname()[1]}"
        server = serve(run, "--grpc-port", "0", "--set", address, path="/healthz")
        asked = httpx.post(f"{server.url}/v1/models/policy:predict", json=instance(), timeout=SECONDS)
        ready = httpx.get(f"{server.url}/v2/health/ready", timeout=SECONDS)
        told = httpx.get(f"{server.url}/serving", timeout=SECONDS).json()
        assert server.end() == 0
    for reply in (asked, ready):
        assert (reply.status_code, reply.headers["retry-after"]) == (503, "1"), reply.text
        assert "no version serves yet: registry: " in reply.json()["error"]
    assert told["version"] is None
    (why,) = [trouble["why"] for trouble in told["degraded"] if trouble["what"] == "registry"]
    assert why.endswith("; nothing is answered until it says which version serves")
    assert " is open and answers 503: no version serves yet: registry: " in server.log.read_text()
    assert f"serving {run.digests[0][:12]}" not in server.log.read_text()

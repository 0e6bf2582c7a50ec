"""A challenger and the server that is asked for it, over HTTP."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from crossmix.artifacts import Deployment, Lead, ReadaptationJudged, Registration
from crossmix.config import load
from serving.deploy import DeployError, deploy
from tests.support.json_api import Asked, answering

ROW = {"version": 2, "part": 0.1, "ended": None}


class Server:
    """Answers what it was given, by method and path, and keeps what it was asked."""

    def __init__(self) -> None:
        self.answers: dict[str, tuple[int, Any]] = {}
        self.asked: list[tuple[str, Any]] = []
        self.url = ""

    def answer(self, asked: Asked) -> tuple[int, Any]:
        key = f"{asked.method} {asked.path}"
        self.asked.append((key, asked.json))
        return self.answers.get(key, (404, {"error": "no such route"}))


@pytest.fixture
def server() -> Iterator[Server]:
    made = Server()
    with answering(made.answer) as made.url:
        yield made


def run(tmp_path: Path, *changes: str, aliases: tuple[str, ...] = ("challenger",)) -> Deployment:
    Registration(name="m", version=2, aliases=aliases, run_id="r", bundle_digest="d", note="told").save(tmp_path)
    ReadaptationJudged(
        version=1,
        bundle_digest="c",
        oracle_ratio=0.98,
        champion_ratio=0.96,
        lead=Lead(mean=0.02, ci95=(0.01, 0.03)),
        market_seeds=20,
        cycles=30,
        outcome="adapted",
        reason="",
        generated=True,
    ).save(tmp_path)
    return deploy(load("laptop", changes), tmp_path, tmp_path, tmp_path)


def test_a_canary_is_asked_for_and_its_part_is_told(server: Server, tmp_path: Path) -> None:
    server.answers["POST /canary"] = (201, ROW)
    found = run(tmp_path, f"readapt.server={server.url}")
    assert (found.state, found.version) == ("canary", 2)
    assert found.detail == f"{server.url} tries version 2 on 10% of the policy's users"
    assert server.asked == [("POST /canary", {"version": 2})]
    assert Deployment.load(tmp_path) == found


def test_asked_again_the_canary_that_runs_is_its_own_and_another_one_makes_it_wait(
    server: Server, tmp_path: Path
) -> None:
    server.answers["POST /canary"] = (409, {"error": "canary: version 2 is on trial"})
    server.answers["GET /canary"] = (200, {"canary": ROW})
    assert run(tmp_path, f"readapt.server={server.url}").state == "canary"
    for other in ({**ROW, "version": 7}, {**ROW, "ended": "2026-01-01"}, None):
        server.answers["GET /canary"] = (200, {"canary": other})
        found = run(tmp_path, f"readapt.server={server.url}")
        assert (found.state, found.detail) == ("waits", "canary: version 2 is on trial")


def test_without_a_server_or_its_canaries_it_waits(server: Server, tmp_path: Path) -> None:
    assert run(tmp_path).detail == "no server was asked for a canary: readapt.server names none"
    found = run(tmp_path, f"readapt.server={server.url}")
    assert (found.state, found.detail) == (
        "waits",
        f"{server.url} knows no canaries; `crossmix promote` makes version 2 champion",
    )


def test_a_champion_is_verified_by_asking_the_server(server: Server, tmp_path: Path) -> None:
    server.answers["POST /serving/refresh"] = (200, {"version": 2, "bundle": "d" * 64, "degraded": []})
    direct = ("readapt.promote=directly", f"readapt.server={server.url}")
    found = run(tmp_path, *direct, aliases=("champion",))
    assert (found.state, found.detail) == ("champion", f"{server.url} answers with version 2, bundle {'d' * 12}")
    # What did not win is not asked for.
    server.asked.clear()
    assert run(tmp_path, *direct).state == "waits"
    assert server.asked == []


def test_a_server_that_is_away_or_refuses_is_an_error_with_what_has_changed(server: Server, tmp_path: Path) -> None:
    server.answers["POST /canary"] = (401, {"error": "a token is needed"})
    with pytest.raises(DeployError, match="a token is needed; set CROSSMIX_TOKEN; version 2 is registered and waits"):
        run(tmp_path, f"readapt.server={server.url}")
    with pytest.raises(DeployError, match="version 2 is registered and waits: start the server"):
        run(tmp_path, "readapt.server=http://127.0.0.1:9")

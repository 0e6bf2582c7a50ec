"""`crossmix campaign` and `crossmix override`, against the routes themselves."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient
from typer.testing import CliRunner

from crossmix.config.serving import Serving
from crossmix.ledger import audit
from crossmix.ledger.store import Store
from pipelines.cli.main import app
from serving.campaigns import lane
from serving.http import resources as routes
from serving.http.observe import Observe
from tests.support.serving_live import START, FakeLive, raw

NEW = (
    *("campaign", "create", "spring", "--currency", "EUR", "--budget", "1000", "--starts", START.isoformat()),
    *("--cycles", "14", "--share", "search:0.75", "--share", "social:0.25", "--limit", "search:0.1:0.8"),
    *("--step", "social:0.05", "--freeze", "video"),
)


@pytest.fixture
def live(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeLive]:
    """A server behind `httpx.request`; what it has acknowledged is in the database, however slow the machine is."""
    monkeypatch.setattr(lane, "ANSWER_SECONDS", 300.0)
    live = FakeLive(Store(f"sqlite:///{tmp_path}/serving.db"))
    served = FastAPI()
    served.include_router(routes.router(live, changed=live.reload, clock=live.clock))
    limits = Serving()
    client = TestClient(Observe(served, limits.largest_body, limits.largest_batch))

    def request(method: str, url: str, *, timeout: float, **options: Any) -> Any:
        return client.request(method, url, **options)

    monkeypatch.setattr(httpx, "request", request)
    monkeypatch.delenv("CROSSMIX_TOKEN", raising=False)
    yield live
    live.store.close()


def invoke(*arguments: str) -> tuple[int, str]:
    result = CliRunner().invoke(app, list(arguments))
    return result.exit_code, result.output


def test_a_campaign_is_made_changed_and_listed(live: FakeLive) -> None:
    assert invoke("campaign", "list") == (
        0,
        "no campaign yet; create one with crossmix campaign create, or import a file\n",
    )
    status, told = invoke(*NEW)
    assert status == 0, told
    made = live.campaigns["spring"]
    assert made.share == {"search": 0.75, "social": 0.25, "video": 0}
    assert made.limits == {"search": {"min": 0.1, "max": 0.8}, "social": {"step": 0.05}, "video": {"freeze": True}}
    assert (made.cycle_budget, made.cycles, made.cycle_hours, made.starts) == (1000, 14, 24, START)
    options = ("--unlimit", "video", "--limit", "search:0:0.5", "--budget", "1200", "--reason", "less search")
    assert invoke("campaign", "edit", "spring", *options)[0] == 0
    assert live.campaigns["spring"].limits == {"search": {"max": 0.5}, "social": {"step": 0.05}}
    assert live.campaigns["spring"].cycle_budget == 1200
    assert audit.trail(live.store)[0].reason == "less search"
    status, told = invoke("campaign", "list")
    assert "spring" in told
    assert "1,200.00 EUR" in told
    assert "0 of 14" in told
    (listed,) = json.loads(invoke("campaign", "list", "--json")[1])
    assert listed["limits"] == live.campaigns["spring"].limits
    assert "2026-01-05 00:00 UTC" in told


def test_a_campaigns_start_is_shown_in_its_own_zone(live: FakeLive) -> None:
    status, told = invoke(*NEW, "--timezone", "Asia/Tokyo")
    assert status == 0, told
    assert "2026-01-05 09:00 Asia/Tokyo" in invoke("campaign", "list")[1]


def test_pause_resume_kill_switch_and_given_split(live: FakeLive) -> None:
    invoke(*NEW)
    assert "paused" in invoke("campaign", "pause", "spring", "--reason", "rain")[1]
    assert live.campaigns["spring"].paused
    assert "running" in invoke("campaign", "resume", "spring")[1]
    assert "override static by local" in invoke("override", "set", "spring", "--reason", "odd")[1]
    found = live.campaigns["spring"].override
    assert found is not None
    assert (found.kind, found.reason) == ("static", "odd")
    assert "override given" in invoke("override", "set", "spring", "--share", "search:1")[1]
    assert invoke("override", "lift", "spring")[0] == 0
    assert live.campaigns["spring"].override is None


def test_why_is_read_as_reason_with_a_warning(live: FakeLive) -> None:
    invoke(*NEW)
    warned = CliRunner().invoke(app, ["campaign", "pause", "spring", "--why", "rain"])
    assert warned.exit_code == 0
    assert warned.stderr == "warning: --why is named --reason now; --why will be refused in a later version\n"
    assert "paused" in warned.stdout
    assert audit.trail(live.store)[0].reason == "rain"
    assert CliRunner().invoke(app, ["override", "set", "spring", "--why", "odd"]).exit_code == 0
    assert live.campaigns["spring"].override is not None
    assert live.campaigns["spring"].override.reason == "odd"
    both = CliRunner().invoke(app, ["campaign", "resume", "spring", "--why", "a", "--reason", "b"])
    assert (both.exit_code, both.stderr) == (2, "error: --why: --reason is there too; give --reason alone\n")
    assert live.campaigns["spring"].paused
    assert "--why" not in CliRunner().invoke(app, ["campaign", "pause", "--help"]).stdout


def test_import_of_json_and_csv(live: FakeLive, tmp_path: Path) -> None:
    told = tmp_path / "campaigns.json"
    told.write_text(json.dumps([raw("a"), raw("b/c?d")]))
    assert invoke("campaign", "import", str(told))[0] == 0
    rows = tmp_path / "campaigns.csv"
    rows.write_text(
        "campaign_id,currency,cycle_budget,starts,cycles,cycle_hours,share.search,share.social,max.search,freeze.social\n"
        "d,EUR,500.5,2026-01-05T00:00:00Z,7,24,0.6,0.4,0.8,true\n"
        "7,EUR,500,2026-01-05T00:00:00Z,7,12.5,1,,,\n"
    )
    status, told_back = invoke("campaign", "import", str(rows))
    assert status == 0, told_back
    assert sorted(live.campaigns) == ["7", "a", "b/c?d", "d"]
    assert live.campaigns["d"].limits == {"search": {"max": 0.8}, "social": {"freeze": True}}
    assert live.campaigns["7"].cycle_hours == 12.5
    assert invoke("campaign", "pause", "b/c?d")[0] == 0
    assert live.campaigns["b/c?d"].paused


ONE_FAULT = "1 of 1 rows cannot be used: mend those and run it again; crossmix campaign list shows them\n"


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("x.json", "{}", "no array of campaigns; put them into [ ]"),
        ("x.json", "[", "not JSON"),
        ("x.csv", "campaign_id,colour\na,red\n", "unknown column 'colour'; use campaign_id"),
        ("x.csv", "campaign_id,currency\na\n", "line 2: it has not as many cells as the header"),
        ("x.csv", "campaign_id,cycle_budget\na,lots\n", "line 2: currency: missing"),
        (
            "x.csv",
            "campaign_id,currency,starts,cycles,cycle_hours,cycle_budget\na,EUR,2026-01-05T00:00:00Z,x,24,5\n",
            "line 2: share: the shares sum to 0; make them sum to 1",
        ),
        ("x.csv", "\xff\xfe", "cannot be read"),
        ("none.csv", None, "cannot be read"),
    ],
)
def test_files_that_cannot_be_used(
    live: FakeLive, tmp_path: Path, name: str, content: str | None, message: str
) -> None:
    if content is not None:
        (tmp_path / name).write_text(content, encoding="latin-1")
    done = CliRunner().invoke(app, ["campaign", "import", str(tmp_path / name)])
    assert done.exit_code == 2
    (fault,) = done.stderr.splitlines()
    assert fault.startswith("error: ")
    assert message in fault
    assert done.stdout in ("", f"0 campaigns added, {ONE_FAULT}")
    assert live.campaigns == {}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["campaign", "create", "x"], "currency: missing; give three capital letters, as EUR"),
        (["campaign", "create", "x", "--share", "search"], "--share search: give PLATFORM:SHARE"),
        (["campaign", "create", "x", "--limit", "search:0.5"], "--limit search:0.5: give PLATFORM:MIN:MAX"),
        (["campaign", "create", "x", "--step", "search:nan"], "--step search:nan: give PLATFORM:STEP"),
        (["campaign", "edit", "x"], "edit: an object; send an object of the fields to change"),
        (["campaign", "pause", "x"], "campaign_id: 'x' is unknown; known: none yet"),
        (["override", "set", "x", "--share", "search:0.5"], "share: the shares sum to 0.5; make them sum to 1"),
        (["override", "lift", "x"], "campaign_id: 'x' is unknown"),
    ],
)
def test_refusals_are_one_line(live: FakeLive, arguments: list[str], message: str) -> None:
    status, told = invoke(*arguments)
    assert status == 2
    assert told.startswith("error: ")
    assert message in told
    assert len(told.splitlines()) == 1


@pytest.mark.parametrize("server", ["http://127.0.0.1:1", "nowhere", "http://[", "http://\ud800"])
def test_a_server_that_is_away_is_one_line(server: str) -> None:
    status, told = invoke("campaign", "list", "--server", server)
    assert status == 2
    assert told.startswith(f"error: --server {server}".encode("utf-8", "replace").decode()[:20])
    assert "start one with crossmix serve" in told


def test_the_token_is_sent(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[Any] = []

    def request(method: str, url: str, *, headers: dict[str, str], **_: Any) -> httpx.Response:
        seen.append(headers)
        return httpx.Response(401, json={"error": "token: missing; send one"})

    monkeypatch.setattr(httpx, "request", request)
    monkeypatch.delenv("CROSSMIX_TOKEN", raising=False)
    assert invoke("campaign", "list")[1] == "error: token: missing; send one; pass --token or set CROSSMIX_TOKEN\n"
    invoke("campaign", "list", "--token", "abc")
    monkeypatch.setenv("CROSSMIX_TOKEN", "def")
    invoke("campaign", "list")
    assert seen == [{}, {"authorization": "Bearer abc"}, {"authorization": "Bearer def"}]


def test_a_switch_that_waits_for_the_database_says_so(
    live: FakeLive, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert invoke(*NEW)[0] == 0
    monkeypatch.setattr(lane, "ANSWER_SECONDS", 0.05)
    other = sqlite3.connect(tmp_path / "serving.db", isolation_level=None)
    other.execute("BEGIN EXCLUSIVE")
    status, told = invoke("override", "set", "spring", "--reason", "odd")
    assert status == 0
    assert "override static by local" in told
    assert f"pending: {lane.PENDING}" in told
    other.execute("ROLLBACK")
    other.close()
    live.lane.stop()

"""`crossmix experiment status`, from a server's routes and straight from the database."""

from __future__ import annotations

import json
import sqlite3
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import httpx
import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient
from typer.testing import CliRunner

from crossmix.clock import wall
from crossmix.config import load
from crossmix.ledger.store import Store
from pipelines.cli.main import app
from serving.experiment.routes import router
from tests.support import old_ledgers
from tests.support.experiments import DAY, START, assign, deliver, event, make_store, paired_days

POLICY = [1.22, 1.17, 1.21, 1.19, 1.23, 1.18, 1.2, 1.21]


@pytest.fixture
def store(tmp_path: Path) -> Store:
    made = make_store(tmp_path)
    deliver(made, paired_days(POLICY, [1.0] * 8))
    users = [(arm, day, n) for arm in ("policy", "control") for day in (-1, 0) for n in range(3)]
    deliver(made, [event(arm, day, user=f"{arm}{n}", clicks=10.0 * n, spend=1.0, revenue=n) for arm, day, n in users])
    assign(made, policy=70, control=30)
    return made


def invoke(*arguments: str) -> tuple[int, str]:
    result = CliRunner().invoke(app, ["experiment", "status", *arguments])
    return result.exit_code, result.output


def test_from_the_database(store: Store, tmp_path: Path) -> None:
    page = tmp_path / "verdict.html"
    status, told = invoke("--database", store.url, "--html", str(page))
    assert status == 0, told
    assert told.startswith("The policy is better: ROI +20.0% [+17.1%, +23.0%] after")
    assert "sample ratio  balanced: 100 users are split 70.0% : 30.0%" in told
    assert "guardrail roi_drop: the policy's ROI is +20.0% [" in told
    assert "per user ctr" in told
    assert "CUPED" in told
    assert page.read_text().startswith("<!doctype html>")
    found = json.loads(invoke("--database", store.url, "--json", "--experiment", "first")[1])
    assert found["verdict"]["word"] == "policy better"


def test_a_command_on_a_database_has_the_time_of_the_servers_clock(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = tmp_path / "clock"
    clock.write_text((START + 2 * DAY).isoformat())
    monkeypatch.setenv("CROSSMIX_CLOCK", str(clock))
    found = json.loads(invoke("--database", store.url, "--json")[1])
    assert (found["now"], found["cycles"]["finished"]) == ((START + 2 * DAY).isoformat(), 2)
    clock.write_text("soon")
    status, printed = invoke("--database", store.url)
    assert status == 2
    assert f"CROSSMIX_CLOCK: clock {clock}: no time in it" in printed


def test_from_a_server(store: Store, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    served, asked = FastAPI(), []
    served.include_router(
        router(
            SimpleNamespace(
                store=store, experiment=SimpleNamespace(id="first"), config=load("laptop"), clock=wall, campaigns={}
            )
        )
    )

    def request(method: str, url: str, *, headers: dict[str, str], timeout: float, **options: Any) -> Any:
        asked.append((url, headers))
        return TestClient(served).request(method, url, headers=headers, **options)

    monkeypatch.setattr(httpx, "request", request)
    page = tmp_path / "verdict.html"
    status, told = invoke("--server", "http://there:1", "--token", "t", "--html", str(page))
    assert status == 0, told
    assert "The policy is better" in told
    assert asked == [("http://there:1/experiment.json", {"authorization": "Bearer t"})]
    assert "The policy is better" in page.read_text()
    assert json.loads(invoke("--json")[1])["cycles"]["planned"] == 14
    assert asked[-1][0] == "http://127.0.0.1:8080/experiment.json"
    monkeypatch.setenv("CROSSMIX_SERVER", "http://there:2")
    assert invoke()[0] == 0
    assert asked[-1][0] == "http://there:2/experiment.json"
    # Named by the variable alone it gives way to a database that is named.
    asked.clear()
    assert invoke("--database", store.url)[0] == 0
    assert not asked


def test_little_data_has_a_table_too(tmp_path: Path) -> None:
    status, told = invoke("--database", make_store(tmp_path).url)
    assert status == 0, told
    assert "Insufficient data after 0 of 14 cycles" in told
    assert "per user      not applicable: no event names its user" in told


def test_a_database_of_before_is_migrated_and_one_of_later_refused(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'serving.db'}"
    old_ledgers.fill(url)
    status, told = invoke("--database", url, "--experiment", "second")
    assert status == 0, told
    assert told.startswith("The policy is better: ROI +12.7% [+9.2%, +16.2%] after 14 of 14 cycles;")
    with sqlite3.connect(tmp_path / "serving.db") as connection:
        connection.execute("UPDATE alembic_version SET version_num = '0009'")
    connection.close()
    status, told = invoke("--database", url)
    assert status == 2
    assert told == (
        f"error: database {url}: its revision '0009' is unknown to this crossmix; update crossmix, or name another "
        "database\n"
    )


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (("--server", "http://x", "--database", "sqlite:///x"), "--server, --database: name one of the two"),
        (("--database", "sqlite:///nowhere/serving.db"), "there is no such file"),
        (("--database", "nonsense"), "give a URL, as sqlite:///folder/serving.db"),
        (("--database", "{url}", "--experiment", "other"), "experiment: 'other' is not in the database"),
        (("--database", "{url}", "--html", "nowhere/x.html"), "--html nowhere/x.html: its folder does not exist"),
        (("--server", "http://127.0.0.1:9"), "--server http://127.0.0.1:9"),
    ],
)
def test_what_cannot_be_asked_is_one_line(store: Store, arguments: tuple[str, ...], named: str) -> None:
    status, told = invoke(*(part.replace("{url}", store.url) for part in arguments))
    assert status == 2
    assert told.startswith("error: ")
    assert named in told
    assert told.count("\n") == 1
    assert not Path("nowhere").exists()

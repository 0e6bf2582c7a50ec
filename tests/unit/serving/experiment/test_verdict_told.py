"""How a verdict is told: notes, routes, an experiment that is missing or shipped."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

from crossmix.clock import wall
from crossmix.config import load
from crossmix.ledger import tables
from crossmix.ledger.experiments import VerdictError
from serving.experiment.routes import router
from serving.experiment.standing import keeper_of
from serving.experiment.verdict import status
from serving.http.answers import ExperimentAnswer, GuardrailAnswer
from tests.support.experiments import (
    DAY,
    START,
    deliver,
    event,
    hour_after,
    lifted,
    make_store,
    paired_days,
)


def test_notes_tell_what_would_mislead(tmp_path: Path) -> None:
    store = make_store(tmp_path, campaigns={"brand": {}, "sale": {"currency": "USD"}})
    deliver(store, paired_days(*lifted(0.0, 5)))
    deliver(store, [event(arm, 0, campaign_id="sale") for arm in ("policy", "control")])
    with store.change() as connection:
        row = {"campaign_id": "brand", "kind": "static", "share": None, "actor": "me", "reason": "kill", "at": START}
        connection.execute(tables.overrides.insert(), row)
    notes = " | ".join(status(store, "first", hour_after(5))["notes"])
    assert "overridden now, so that both arms serve the same split there: brand" in notes
    assert "campaigns in EUR, USD" in notes
    assert "4 campaign cycles had no feedback" not in notes  # the last is still waited for
    assert "3 campaign cycles had no feedback" in notes
    assert "arms of different size differ a little" in notes


def test_an_experiment_that_is_not_there_is_named(tmp_path: Path) -> None:
    store = make_store(tmp_path)
    with pytest.raises(VerdictError, match=r"experiment: 'second' is not in the database, which has 'first'"):
        status(store, "second", hour_after(1))
    with pytest.raises(VerdictError, match=r"now: .* has no zone; give UTC"):
        status(store, "first", hour_after(1).replace(tzinfo=None))


def test_routes(tmp_path: Path) -> None:
    store = make_store(tmp_path)
    deliver(store, paired_days(*lifted(0.1, 9)))
    live = SimpleNamespace(
        store=store, experiment=SimpleNamespace(id="first"), config=load("laptop"), clock=wall, campaigns={}
    )
    app = FastAPI()
    # A verdict takes no time by this clock: each is waited for, however slow the machine (`standing.SLOW_SECONDS`).
    app.include_router(router(live, keeper_of(live, lambda: 0.0)))
    client = TestClient(app)
    told = client.get("/experiment.json").json()
    assert told["verdict"]["word"] == "policy better"
    described = ExperimentAnswer.model_validate(told)
    assert set(told) == set(ExperimentAnswer.model_fields), "what is told is described, and the other way round"
    assert all(set(row) == set(GuardrailAnswer.model_fields) for row in told["guardrails"])
    assert (described.verdict.decided_by, described.sample_ratio.verdict) == ("always-valid", "not applicable")
    assert "policy better" in client.get("/experiment").text
    live.experiment.id = "second"
    gone = client.get("/experiment.json")
    assert (gone.status_code, list(gone.json())) == (404, ["error"])
    store.close()
    live.experiment.id = "first"
    (tmp_path / "serving.db").unlink()
    for left in tmp_path.glob("serving.db-*"):
        left.unlink()
    (tmp_path / "serving.db").mkdir()
    away = client.get("/experiment")
    assert (away.status_code, away.headers["retry-after"]) == (503, "1")
    assert away.json()["error"].startswith("database ")


def test_a_shipped_experiment_says_so(tmp_path: Path) -> None:
    store = make_store(tmp_path, ended=START + 9 * DAY, reason="it earns more", ended_by="anna", outcome="shipped")
    deliver(store, paired_days(*lifted(0.1, 9)))
    verdict = status(store, "first", hour_after(9))["verdict"]
    assert verdict["word"] == "policy better"
    assert verdict["line"].endswith("It has ended: it earns more. It was shipped: the policy serves everybody.")
    (tmp_path / "bare").mkdir()
    bare = make_store(tmp_path / "bare", ended=START + 9 * DAY, reason="shipped", ended_by="anna", outcome="shipped")
    line = status(bare, "first", START + 10 * DAY)["verdict"]["line"]
    assert line.endswith(" were needed. It was shipped: the policy serves everybody."), line

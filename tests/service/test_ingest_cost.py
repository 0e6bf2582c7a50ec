"""What an event of feedback costs: statements of a request of 10,000, and CPU over the same rows written bare."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

from benchmarks import _ingest
from benchmarks import feedback as benchmark
from crossmix.ledger import feedback
from crossmix.ledger.store import Store
from serving.feedback.schema import MOST_EVENTS
from serving.http import resources
from tests.support.counted import counted

SLACK = 1.5
"""Times the recorded ratio: of a machine that is busy with other work too, and of CPU seconds told in hundredths."""
BESIDE = 2
"""Statements of a request beside those that insert its events: its sums, and how far each arm's feedback came."""


def _statements(folder: Path, events: int) -> list[str]:
    """Of one request with so many new events."""
    folder.mkdir()
    url = f"sqlite:///{folder / 'serving.db'}"
    benchmark._plan(url)
    live = _ingest.Live(Store(url), folder)
    app = FastAPI()
    app.include_router(resources.router(live, changed=lambda: None))
    with TestClient(app) as client, counted(live.store) as count:
        answer = client.post("/feedback", content=benchmark._body(0, events))
    live.store.close()
    assert answer.json()["accepted"] == events
    # How long its lock is waited for is set on the connection, which reads and writes no page.
    return [one for one in count.statements if not one.startswith("PRAGMA busy_timeout")]


@pytest.mark.slow
def test_a_request_of_ten_thousand_events_is_a_statement_for_each_five_hundred(tmp_path: Path) -> None:
    most = _statements(tmp_path / "most", MOST_EVENTS)
    inserts = [one for one in most if one.startswith("INSERT INTO events")]
    assert MOST_EVENTS == 10_000
    assert len(inserts) == math.ceil(MOST_EVENTS / feedback.BLOCK) == 20
    assert len(most) - len(inserts) == BESIDE
    few = _statements(tmp_path / "few", 100)
    assert len(few) == 1 + BESIDE


@pytest.mark.soak
@pytest.mark.timeout(3_600)
def test_cpu_of_a_served_event_over_a_bare_insert_is_as_recorded() -> None:
    """Both in one run, so that a slow machine is slow for both."""
    recorded = json.loads((Path(benchmark.__file__).parent / "feedback.json").read_text())
    found = benchmark.measure(5)
    print(benchmark.table(found))
    assert found["CPU over bare"] < SLACK * recorded["CPU over bare"]

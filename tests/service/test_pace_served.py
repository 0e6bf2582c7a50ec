"""The money that `crossmix serve` tells to spend, in a process of its own on a clock that is moved."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.support.served_process import Server
from tests.support.serving_run import NAMES, Run

START = datetime(2026, 3, 2, tzinfo=UTC)
DAYS, PLAN = 14, 700.0
SHARE = {name: 1 / len(NAMES) for name in NAMES}


def plan(name: str) -> dict[str, Any]:
    return {
        "campaign_id": name,
        "currency": "EUR",
        "cycle_budget": 1_000.0,
        "share": SHARE,
        "starts": START.isoformat(),
        "cycles": DAYS,
        "cycle_hours": 24,
    }


@pytest.mark.slow
def test_missing_and_late_reports_tell_no_money_twice(run: Run, serve: Callable[..., Server], tmp_path: Path) -> None:
    """Four campaigns: no event at all, an outage after three days, reports of the next morning, reports on time."""
    clock = tmp_path / "clock"
    clock.write_text(START.isoformat())
    server = serve(run, "--grpc-port", "0", "--set", f"serving.clock={clock}")
    http = httpx.Client(base_url=server.url, timeout=300)
    names = ("nothing", "outage", "morning", "prompt")
    for name in names:
        assert http.post("/campaigns", json=plan(name)).status_code == 201

    def at(days: float) -> None:
        clock.write_text((START + timedelta(days=days)).isoformat())
        done = http.post("/serving/tick").json()
        assert [part["trouble"] for part in done["parts"]] == [None] * 6

    def ask() -> dict[str, dict[str, Any]]:
        body = {"instances": [{"campaign_id": name} for name in names]}
        answers = http.post("/v1/models/policy:predict", json=body).json()["predictions"]
        return {one["campaign_id"]: one for one in answers}

    def report(answer: dict[str, Any]) -> None:
        """All of it was spent."""
        name, cycle = answer["campaign_id"], answer["cycle"]
        told = {"campaign_id": name, "arm": "policy", "cycle": cycle, "impressions": 100}
        lines = answer["allocation"]
        events = [
            {**told, "event_id": f"{name}-{cycle}-{line['platform']}", "platform": line["platform"]}
            | {"spend": line["amount"]}
            for line in lines
        ]
        assert http.post("/feedback", json=events).json()["accepted"] == len(events)

    night: list[dict[str, dict[str, Any]]] = []
    told: list[dict[str, dict[str, Any]]] = []
    for cycle in range(DAYS):
        at(cycle)
        night.append(ask())
        at(cycle + 0.375)
        if cycle:
            report(told[-1]["morning"])
            at(cycle + 0.4)
        told.append(ask())
        report(told[-1]["prompt"])
        if cycle < 3:
            report(told[-1]["outage"])
    for name in names:
        budgets = [answers[name]["budget"] for answers in told]
        assert budgets == pytest.approx([PLAN] * DAYS, rel=1e-5), name
        assert sum(budgets) == pytest.approx(9_800, abs=0.1), name
        assert [answers[name]["budget"] for answers in night] == pytest.approx([PLAN] * DAYS, rel=1e-5), name
    lacking = {name: [one["why"] for one in told[-1][name]["degraded"]] for name in names}
    since = "no feedback of campaign {}, arm policy since {} (cycle {}): the pace holds the plan"
    assert lacking == {
        "nothing": [since.format("nothing", "2026-03-02T00:00:00+00:00", 0)],
        "outage": [since.format("outage", "2026-03-05T00:00:00+00:00", 3)],
        "morning": [],
        "prompt": [],
    }
    page = http.get("/page.json").json()
    assert sorted(one["why"] for one in page["degraded"]) == sorted(lacking["nothing"] + lacking["outage"])
    # A year ahead and back: the same budgets, at once.
    at(368)
    at(DAYS - 0.6)
    assert {name: one["budget"] for name, one in ask().items()} == pytest.approx(dict.fromkeys(names, PLAN), rel=1e-5)
    assert server.end() == 0

"""The money that `crossmix serve` tells to spend, in a process of its own on a clock that is moved."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.support.served_process import Server, tick
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
        done = tick(http)
        assert [part["trouble"] for part in done["parts"]] == [None] * 7

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
    for name, why in (("nothing", [lacking["nothing"][0]]), ("outage", [lacking["outage"][0]]), ("prompt", [])):
        assert [one for one in told[-1][name]["reasons"] if "pace" in one] == [f"N{one[1:]}." for one in why]
    page = http.get("/page.json").json()
    assert sorted(one["why"] for one in page["degraded"]) == sorted(lacking["nothing"] + lacking["outage"])
    # A year ahead and back: the same budgets, at once.
    at(368)
    at(DAYS - 0.6)
    assert {name: one["budget"] for name, one in ask().items()} == pytest.approx(dict.fromkeys(names, PLAN), rel=1e-5)
    assert server.end() == 0


@pytest.mark.slow
def test_a_pause_an_early_question_and_a_refund_tell_no_money_twice(
    run: Run, serve: Callable[..., Server], tmp_path: Path
) -> None:
    """Three campaigns: paused at noon of day 3 until day 5, asked before its start and first used on day 5, and one
    whose day 3 is refunded in full on day 6."""
    clock = tmp_path / "clock"
    clock.write_text((START - timedelta(days=2)).isoformat())
    server = serve(run, "--grpc-port", "0", "--set", f"serving.clock={clock}")
    http = httpx.Client(base_url=server.url, timeout=300)
    names = ("paused", "early", "refunded")
    for name in names:
        assert http.post("/campaigns", json=plan(name)).status_code == 201

    def at(days: float) -> None:
        clock.write_text((START + timedelta(days=days)).isoformat())
        tick(http)

    def ask(name: str) -> dict[str, Any]:
        reply = http.post("/v1/models/policy:predict", json={"instances": [{"campaign_id": name}]})
        answer: dict[str, Any] = reply.json()["predictions"][0]
        return answer

    def report(answer: dict[str, Any], kind: str = "spent", **more: Any) -> None:
        told = {"campaign_id": answer["campaign_id"], "arm": "policy", "cycle": answer["cycle"]} | more
        sign = -1 if kind == "refund" else 1
        events = [
            {**told, "event_id": f"{kind}-{told['campaign_id']}-{told['cycle']}-{line['platform']}"}
            | {"platform": line["platform"], "spend": sign * line["amount"]}
            for line in answer["allocation"]
        ]
        assert http.post("/feedback", json=events).json()["accepted"] == len(events)

    assert ask("early")["budget"] == 0
    budgets: dict[str, list[float]] = {name: [] for name in names}
    third: dict[str, Any] = {}
    for cycle in range(DAYS):
        at(cycle)
        if cycle == 5:
            assert http.post("/campaigns/paused/resume", params={"reason": "stock is back"}).status_code == 200
        answers = {name: ask(name) for name in names if name != "early" or cycle >= 5}
        for name, answer in answers.items():
            budgets[name].append(answer["budget"])
        at(cycle + 0.5)
        if cycle == 3:
            third = answers["refunded"]
            assert http.post("/campaigns/paused/pause", params={"reason": "out of stock"}).status_code == 200
            assert ask("paused")["budget"] == 0
        if cycle == 6:
            report(third, "refund", reason="invalid traffic")
        for name, answer in answers.items():
            if name != "paused" or cycle not in (3, 4):
                report(answer)
    # Day 3 was told 700 and reported nothing: unknown, not unspent. Day 4 was told nothing: its 700 return.
    assert budgets["paused"] == pytest.approx([700.0] * 4 + [0.0] + [7_000 / 9] * 9, rel=1e-5)
    # Days 0 to 4 were told nothing: as soon as day 5 has reported, their 3,500 return.
    assert budgets["early"] == pytest.approx([700.0] + [9_100 / 8] * 8, rel=1e-5)
    assert budgets["refunded"] == pytest.approx([700.0] * 7 + [800.0] * 7, rel=1e-5)
    assert server.end() == 0

"""The money that a server tells to spend, day by day, when reports are missing or late, and clocks run wild."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient

from crossmix.clock import MemoryClock
from crossmix.registry.store import Registry
from serving.app import Settings, application
from serving.feedback.materialise import Pusher
from serving.live.champion import Champion
from serving.live.live import Live
from tests.support.serving_run import NAMES, Run, instance

START = datetime(2026, 3, 2, tzinfo=UTC)
DAY = timedelta(days=1)
DAYS, PLAN = 14, 700.0
SHARE = {name: 1 / len(NAMES) for name in NAMES}
CAMPAIGN = {"campaign_id": "spring", "currency": "EUR", "cycle_budget": 1_000.0, "share": SHARE, "cycles": DAYS}


@dataclass
class Field:
    """A server whose clock a test moves, and the bidder of one campaign that asks it."""

    run: Run
    own: Path
    clock: MemoryClock = field(default_factory=lambda: MemoryClock(START))
    told: list[float] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.begin()
        starts = {"starts": START.isoformat(), "cycle_hours": 24}
        assert self.client.post("/campaigns", json={**CAMPAIGN, **starts}).status_code == 201

    def begin(self) -> None:
        """Start, or start again."""
        champion = Champion(self.own, lambda: Registry.of(self.run.config, self.run.out), self.run.out / "bundle")
        database = f"sqlite:///{self.own / 'serving.db'}"
        self.live = Live(self.run.config, self.own, database, champion, self.run.features, self.clock)
        self.live.follow_champion()
        self.live.reload()
        self.live.refresh_states()
        self.pusher = Pusher(
            self.live, self.run.features, window=self.run.config.window, decay=self.run.config.decay, clock=self.clock
        )
        self.client = TestClient(application(self.live, Settings()), base_url="http://127.0.0.1")

    def at(self, days: float) -> None:
        """It is so many days after the start, and the server has looked around."""
        self.clock.set(START + days * DAY)
        self.pusher.once()
        assert self.pusher.trouble is None
        self.live.refresh_states()

    def ask(self, arm: str = "policy") -> dict[str, Any]:
        reply = self.client.post(f"/v1/models/{arm}:predict", json=instance("spring", explore=False))
        assert reply.status_code == 200, reply.text
        plain = self.client.post(f"/v1/models/{arm}:predict", json=instance("spring"))
        self.live.recorder.flush()
        assert plain.json()["predictions"][0]["budget"] == reply.json()["predictions"][0]["budget"]
        answer: dict[str, Any] = reply.json()["predictions"][0]
        return answer

    def report(self, cycle: int, budget: float, names: tuple[str, ...] = NAMES) -> None:
        """The policy's cycle, all spent."""
        events = [
            {
                "event_id": f"{cycle}-{name}",
                "campaign_id": "spring",
                "arm": "policy",
                "platform": name,
                "cycle": cycle,
                "impressions": 100,
                "clicks": 5,
                "spend": budget * self.shares[name],
            }
            for name in names
        ]
        reply = self.client.post("/feedback", json=events)
        assert reply.json()["accepted"] == len(names), reply.text

    def noon(self, cycle: int) -> dict[str, Any]:
        """The answer at noon, by which the day is spent."""
        self.at(cycle + 0.5)
        answer = self.ask()
        self.told.append(answer["budget"])
        self.plain = self.client.post("/v1/models/policy:predict", json=instance("spring")).json()["predictions"][0]
        self.shares = {line["platform"]: line["share"] for line in self.plain["allocation"]}
        return answer


@pytest.fixture
def bidder(run: Run) -> Iterator[Field]:
    made = Field(run, run.out / "serving")
    yield made
    made.live.stop()


def test_no_event_at_all_holds_the_plan_and_every_answer_says_so(bidder: Field) -> None:
    first = bidder.noon(0)
    assert first["degraded"] == []
    for cycle in range(1, DAYS):
        bidder.at(cycle)
        answer = bidder.noon(cycle)
        assert [one["what"] for one in answer["degraded"]] == ["feedback"]
    assert bidder.told == pytest.approx([PLAN] * DAYS, rel=1e-5)
    assert sum(bidder.told) == pytest.approx(9_800, abs=0.01)
    why = f"no feedback of campaign spring, arm policy since {START.isoformat()} (cycle 0): the pace holds the plan"
    assert answer["degraded"] == [{"what": "feedback", "why": why, "since": START.isoformat()}]
    assert why in answer["notes"]
    assert bidder.client.get("/serving").json()["degraded"] == answer["degraded"]
    assert bidder.client.get("/page.json").json()["degraded"] == answer["degraded"]
    assert bidder.live.troubles() == []
    other = bidder.client.post("/v1/models/policy:predict", json=instance()).json()["predictions"][0]
    assert "spring" not in str(other["degraded"])


def test_an_outage_after_three_days_holds_the_plan(bidder: Field) -> None:
    for cycle in range(DAYS):
        bidder.at(cycle)
        answer = bidder.noon(cycle)
        if cycle < 3:
            assert answer["degraded"] == []
            bidder.report(cycle, answer["budget"])
    assert bidder.told == pytest.approx([PLAN] * DAYS, rel=1e-5)
    assert sum(bidder.told) == pytest.approx(9_800, abs=0.05)
    assert answer["degraded"][0]["why"] == (
        "no feedback of campaign spring, arm policy since 2026-03-05T00:00:00+00:00 (cycle 3): the pace holds the plan"
    )
    assert answer["reasons"][0] == (
        "No feedback of campaign spring, arm policy since 2026-03-05T00:00:00+00:00 (cycle 3): the pace holds the plan."
    )
    assert answer["state_source"] == "own"
    metrics = bidder.client.get("/metrics").text
    line = next(line for line in metrics.splitlines() if line.startswith('crossmix_feedback_lag_seconds{arm="policy"'))
    assert float(line.split()[-1]) == 11 * 86_400
    assert 'crossmix_feedback_unknown_cycles{arm="policy",campaign="spring"} 10.0' in metrics


def test_reports_of_the_next_morning_change_nothing_where_all_was_spent(bidder: Field) -> None:
    night = []
    for cycle in range(DAYS):
        bidder.at(cycle)
        night.append(bidder.ask()["budget"])
        if cycle:
            bidder.at(cycle + 0.375)
            bidder.report(cycle - 1, bidder.told[-1])
        answer = bidder.noon(cycle)
        assert answer["degraded"] == []
    assert night == pytest.approx([PLAN] * DAYS, rel=1e-5)
    assert sum(bidder.told) == pytest.approx(9_800, abs=0.05)


def test_a_clock_that_ran_a_year_ahead_heals(bidder: Field) -> None:
    for cycle in range(3):
        bidder.at(cycle)
        bidder.report(cycle, bidder.noon(cycle)["budget"])
    bidder.at(3.1)
    right = bidder.ask()
    assert right["cycle"] == 3
    assert right["budget"] == pytest.approx(PLAN, rel=1e-5)
    bidder.at(368.1)
    assert bidder.ask()["budget"] == 0  # its cycles are over
    bidder.at(3.1)
    assert (bidder.ask()["cycle"], bidder.ask()["budget"]) == (3, pytest.approx(PLAN, rel=1e-5))
    bidder.live.stop()
    bidder.begin()
    assert (bidder.ask()["cycle"], bidder.ask()["budget"]) == (3, pytest.approx(PLAN, rel=1e-5))
    for cycle in range(3, 6):
        bidder.at(cycle)
        answer = bidder.noon(cycle)
        assert (answer["state_as_of"], answer["state_source"]) == ((START + cycle * DAY).isoformat(), "own")
        bidder.report(cycle, answer["budget"])
    assert bidder.told == pytest.approx([PLAN] * 6, rel=1e-5)


def test_a_fresh_server_on_the_same_run_does_not_take_anothers_statistics(bidder: Field, run: Run) -> None:
    for cycle in range(3):
        bidder.at(cycle)
        bidder.report(cycle, bidder.noon(cycle)["budget"] / 2)
    bidder.at(3.5)
    assert bidder.ask()["state_source"] == "own"
    fresh = Field(run, run.out / "fresh", MemoryClock(START + 3.5 * DAY))
    fresh.live.reload()
    for _ in range(2):
        fresh.live.refresh_states()
        answer = fresh.ask()
        assert (answer["state_source"], answer["budget"]) == ("cold", pytest.approx(PLAN))
    assert "and this database has pushed no cycle; they are another database's" in answer["degraded"][0]["why"]
    fresh.live.stop()

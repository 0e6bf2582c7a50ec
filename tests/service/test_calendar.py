"""Calendar days over HTTP: a campaign of Berlin over both nights in which the clocks change, and one that begins at
23:33; questions, feedback and statistics count in its own days."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import numpy as np
import pytest
from fastapi.testclient import TestClient

from crossmix import state
from crossmix.clock import MemoryClock
from crossmix.ledger.feedback import increments
from crossmix.registry.store import Registry
from serving.app import Settings, application
from serving.feedback.materialise import Pusher
from serving.live.champion import Champion
from serving.live.live import Live
from tests.support.serving_run import NAMES, Run

BUDGET = 1_000.0
SHARE = dict(zip(NAMES, np.full(len(NAMES), 1 / len(NAMES)).tolist(), strict=True))


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).astimezone(UTC)


class Asker:
    """A server in this process on a clock of its own, asked over HTTP."""

    def __init__(self, live: Live, clock: MemoryClock) -> None:
        self.live, self.clock = live, clock
        self.http = TestClient(application(live, Settings(grpc_port=None)), base_url="http://localhost")

    def ok(self, method: str, path: str, body: Any = None) -> Any:
        reply = self.http.request(method, path, json=body)
        assert reply.is_success, reply.text
        return reply.json()

    def create(self, name: str, starts: str, timezone: str, cycles: int = 14) -> None:
        plan = {"campaign_id": name, "currency": "EUR", "cycle_budget": BUDGET, "share": SHARE, "limits": {}}
        flight = {"starts": starts, "cycles": cycles, "cycle_hours": 24, "timezone": timezone}
        self.ok("POST", "/campaigns", plan | flight)

    def ask(self, name: str, moment: str) -> tuple[int, float]:
        """Cycle and budget of the policy's answer."""
        self.clock.set(at(moment))
        reply = self.ok("POST", "/v1/models/policy:predict", {"instances": [{"campaign_id": name}]})
        answer = reply["predictions"][0]
        assert self.ok("GET", f"/campaigns/{name}")["cycle"] == answer["cycle"]
        return answer["cycle"], answer["budget"]

    def tell(self, number: int, name: str, timestamp: str, spend: float = 1.0) -> None:
        event = {"event_id": f"e{number}", "campaign_id": name, "arm": "policy", "platform": NAMES[0]}
        receipt = self.ok("POST", "/feedback", event | {"timestamp": timestamp, "spend": spend, "impressions": 1})
        assert receipt["accepted"] == 1


@pytest.fixture
def asker(run: Run) -> Iterator[Asker]:
    own, clock = run.out / "serving", MemoryClock(at("2026-03-01T00:00Z"))
    champion = Champion(own, lambda: Registry.of(run.config, run.out), run.out / "bundle", clock)
    live = Live(run.config, own, f"sqlite:///{own / 'serving.db'}", champion, run.features, clock)
    live.follow_champion()
    live.reload()
    live.refresh_states()
    yield Asker(live, clock)
    live.stop()


SPRING = ("2026-03-28T00:00+01:00", "2026-03-28T23:59+01:00", "2026-03-29T00:00+01:00", "2026-03-29T23:59+02:00")
AUTUMN = ("2026-10-24T00:00+02:00", "2026-10-24T23:59+02:00", "2026-10-25T00:00+02:00", "2026-10-25T23:59+01:00")


@pytest.mark.parametrize(("moments", "after"), [(SPRING, "2026-03-30T00:00+02:00"), (AUTUMN, "2026-10-26T00:00+01:00")])
def test_days_of_berlin_over_the_night_in_which_the_clocks_change(
    asker: Asker, moments: tuple[str, ...], after: str
) -> None:
    """A day of 23 hours and one of 25 have the whole day's budget each."""
    asker.create("berlin", moments[0], "Europe/Berlin")
    told = [asker.ask("berlin", moment) for moment in (*moments, after)]
    assert told == [(cycle, pytest.approx(0.7 * BUDGET)) for cycle in (0, 0, 1, 1, 2)]
    for number, moment in enumerate((*moments, after)):
        asker.tell(number, "berlin", moment)
    counted = increments(asker.live.store, "berlin", "policy", NAMES)
    by_cycle = {cycle: sum(one.delivered[-1] for one in counted if one.cycle == cycle) for cycle in range(3)}
    assert by_cycle == {0: 2.0, 1: 2.0, 2: 1.0}


def test_a_campaign_that_begins_late_in_its_day_gets_its_part(asker: Asker) -> None:
    """27 minutes of a day: the budget of a whole one was told for them."""
    asker.create("late", "2026-01-05T23:33+01:00", "Europe/Berlin")
    assert asker.ask("late", "2026-01-05T23:40+01:00") == (0, pytest.approx(0.7 * BUDGET * 27 / 1_440))
    assert asker.ask("late", "2026-01-06T00:00+01:00") == (1, pytest.approx(0.7 * BUDGET))
    shown = asker.ok("GET", "/campaigns/late")
    assert (shown["timezone"], shown["starts"]) == ("Europe/Berlin", "2026-01-05T22:33:00+00:00")


def test_a_day_that_was_wholly_spent_leaves_the_next_ones_budget_alone(asker: Asker) -> None:
    """The part of the first day is its plan too: measured against a whole day's it would look unspent, and return."""
    asker.create("late", "2026-01-05T23:33+01:00", "Europe/Berlin")
    _, money = asker.ask("late", "2026-01-05T23:40+01:00")
    asker.clock.set(at("2026-01-05T23:59+01:00"))
    for slot, name in enumerate(NAMES):
        event = {"event_id": f"s{slot}", "campaign_id": "late", "arm": "policy", "platform": name, "cycle": 0}
        asker.ok("POST", "/feedback", event | {"impressions": 10, "spend": SHARE[name] * money})
    asker.clock.set(at("2026-01-06T00:10+01:00"))
    live = asker.live
    live.recorder.flush()
    pusher = Pusher(live, live.states.features, window=live.config.window, decay=live.config.decay, clock=asker.clock)
    pusher.once()
    assert (pusher.trouble, pusher.pushed) == (None, 1)
    live.refresh_states()
    assert asker.ask("late", "2026-01-06T00:20+01:00") == (1, pytest.approx(0.7 * BUDGET, rel=1e-3))
    known = live.states.get("late", "policy")
    assert known is not None
    assert known.seconds == at("2026-01-06T00:00+01:00").timestamp()
    names = ("weekday_sin", "weekday_cos")
    weekday = [float(state.ALLOCATION.of_campaign(known.statistics_S, name)) for name in names]
    tuesday = 2 * np.pi / 7
    assert weekday == pytest.approx([np.sin(tuesday), np.cos(tuesday)], abs=1e-5)

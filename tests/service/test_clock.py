"""A server on a clock that a driver moves: what it decides and notes has that clock's time, and nothing of a time that
the clock ran ahead to is left once it is right again."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from crossmix.background import Loop
from crossmix.clock import FileClock, MemoryClock
from crossmix.ledger import audit, experiments
from crossmix.ledger.tables import assignments, served
from crossmix.registry.store import Registry
from serving.allocation import question
from serving.allocation.answer import Answerer
from serving.assignment.users import hashed
from serving.campaigns import service as campaigns
from serving.live.champion import Champion
from serving.live.live import Live
from tests.support.serving_run import BUDGET, CAMPAIGNS, Run, instance

BEGINS = datetime(2026, 1, 5, 9, tzinfo=UTC)
YEAR = timedelta(days=365)
FIRST = CAMPAIGNS[0]


@pytest.fixture
def clock() -> MemoryClock:
    return MemoryClock(BEGINS)


def made(run: Run, clock: MemoryClock) -> Live:
    """A server's state on this clock, without its threads."""
    own = run.out / "serving"
    champion = Champion(own, lambda: Registry.of(run.config, run.out), run.out / "bundle", clock)
    return Live(run.config, own, f"sqlite:///{own / 'serving.db'}", champion, run.features, clock)


@pytest.fixture
def live(run: Run, clock: MemoryClock) -> Iterator[Live]:
    one = made(run, clock)
    one.follow_champion()
    one.reload()
    one.refresh_states()
    yield one
    one.stop()


def ask(answerer: Answerer, arm: str = "policy", **more: Any) -> dict[str, Any]:
    return answerer.answer(question.of_instances(instance(FIRST, **more), answerer.live.bundle.layout), arm)[0]


def test_cycles_changes_and_rows_have_the_clocks_time(live: Live, clock: MemoryClock) -> None:
    answerer = Answerer(live)
    assert live.campaigns[FIRST].starts == datetime(2026, 1, 5, tzinfo=UTC)
    assert [ask(answerer)["cycle"]] == [0]
    clock.advance(timedelta(days=2))
    assert [ask(answerer)["cycle"], ask(answerer, "control")["cycle"]] == [2, 2]
    campaigns.pause(live.store, FIRST, "somebody", "a test")
    assert audit.trail(live.store, FIRST)[0].at == clock.now
    live.recorder.assigned(
        "first",
        "u",
        {"experiment": "first", "user": hashed("u", "salt"), "arm": "policy"}
        | {"bucket": 1, "first_seen": live.clock()},
    )
    assert live.recorder.flush()
    with live.store.read() as connection:
        at = [moment.replace(tzinfo=UTC) for moment in connection.execute(sa.select(served.c.at)).scalars()]
        seen = [
            moment.replace(tzinfo=UTC) for moment in connection.execute(sa.select(assignments.c.first_seen)).scalars()
        ]
    assert sorted(set(at)) == [BEGINS, clock.now]
    assert seen == [clock.now]


def test_an_answer_that_is_kept_holds_within_its_cycle_alone(live: Live, clock: MemoryClock) -> None:
    """It was checked against its cycle's end only: after a year ahead cycle 368 went on being served."""
    answerer = Answerer(live)
    before = ask(answerer)
    clock.advance(YEAR)
    ahead = ask(answerer)
    assert (ahead["cycle"], ahead["budget"]) == (365, 0.0)
    clock.set(BEGINS + timedelta(minutes=1))
    back = ask(answerer)
    assert (back["cycle"], back["budget"]) == (0, pytest.approx(0.7 * BUDGET))
    assert back == before


def test_an_experiment_that_ended_ahead_has_ended(live: Live, run: Run, clock: MemoryClock) -> None:
    """Its users are the control's at once, and so is the money of the cycles that begin from then on: until the moment
    that was noted, a year ahead, the policy would have kept 70 % of the money without a user."""
    clock.advance(YEAR)
    assert experiments.end(live.store, "first", "enough", "somebody")
    clock.set(BEGINS)
    live.reload()
    assert live.arm("anybody") == "control"
    # A cycle that begins as it ends is shared yet; the next one is not.
    assert [live.weight("policy", BEGINS + timedelta(hours=hours)) for hours in (-9, 0, 1)] == [0.7, 0.7, 0.0]
    assert live.weight("control", BEGINS + timedelta(days=1)) == 1.0
    live.stop()
    clock.advance(timedelta(days=3))
    restarted = made(run, clock)
    restarted.reload()
    assert restarted.weight("control", BEGINS + timedelta(days=1)) == 1.0, "first heard of before the restart"
    restarted.stop()


def test_the_bundle_does_not_serve_since_tomorrow(live: Live, clock: MemoryClock) -> None:
    clock.advance(YEAR)
    live.follow_champion()
    live.champion.current = type(live.champion.current)(live.bundle, live.version, clock.now.timestamp())
    clock.set(BEGINS)
    live.follow_champion()
    assert live.champion.current.since == BEGINS.timestamp()


class Part(Loop):
    """A loop whose rounds are noted, with what the clock said."""

    def __init__(self, name: str, clock: MemoryClock, noted: list[tuple[str, datetime]]) -> None:
        super().__init__(name, 0.01, lambda: noted.append((name, clock.now)))
        self.pushed = 0


def test_a_tick_goes_through_every_loop_in_its_order_and_keeps_going(live: Live, clock: MemoryClock) -> None:
    noted: list[tuple[str, datetime]] = []

    def fail() -> None:
        raise RuntimeError("gone for the test")

    for loop in (Part("guardrails", clock, noted), Part("pusher", clock, noted), Loop("registry reader", 1, fail)):
        live.watch(loop)
    done = live.tick()
    assert [name for name, _ in noted] == ["pusher", "guardrails"], "though they were added the other way round"
    assert (done["now"], done["pushed"]) == (BEGINS.isoformat(), 0)
    assert done["parts"] == [
        {"name": "registry reader", "trouble": "RuntimeError: gone for the test"},
        {"name": "pusher", "trouble": None},
        {"name": "guardrails", "trouble": None},
    ]
    assert [trouble["what"] for trouble in live.troubles()] == ["registry reader"]


def test_on_a_driven_clock_a_round_comes_when_the_clock_has_moved(run: Run, clock: MemoryClock) -> None:
    """And none when it has not, however much of the machine's time passes."""
    one = made(run, clock)
    noted: list[tuple[str, datetime]] = []
    one.start()
    one.watch(Part("pusher", clock, noted))

    def until(rounds: int) -> None:
        deadline = time.monotonic() + 300
        while len(noted) < rounds:
            assert time.monotonic() < deadline
            time.sleep(0.01)

    until(1)
    clock.advance(timedelta(days=1))
    until(2)
    campaigns.pause(one.store, FIRST, "somebody", "another replica's change")
    deadline = time.monotonic() + 300
    while not one.campaigns[FIRST].paused:  # the database is looked at all the same
        assert time.monotonic() < deadline
        time.sleep(0.01)
    assert noted == [("pusher", BEGINS), ("pusher", BEGINS + timedelta(days=1))]
    one.stop()


def test_a_clock_whose_file_is_gone_is_told_until_it_is_back(live: Live, tmp_path: Path) -> None:
    file = tmp_path / "clock"
    file.write_text(BEGINS.isoformat())
    live.clock = FileClock(file)
    answerer = Answerer(live)
    assert ask(answerer)["degraded"] == []
    file.unlink()
    (trouble,) = ask(answerer)["degraded"]
    assert trouble["what"] == "clock"
    assert trouble["why"].endswith(f"{BEGINS.isoformat()} stands")
    file.write_text((BEGINS + timedelta(hours=1)).isoformat())
    assert ask(answerer)["degraded"] == []

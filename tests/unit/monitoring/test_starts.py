"""Runs are started once, taken over after a kill, and closed when they are over."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta

import pytest

from crossmix.background import Loop
from crossmix.clock import MemoryClock
from crossmix.config import Webhook
from crossmix.ledger import again, runs, tables
from crossmix.ledger import alerts as ledger
from crossmix.ledger.runs import Run
from crossmix.ledger.store import Store, StoreAwayError
from monitoring import metrics
from monitoring.starts import Nudge, Starter
from tests.support.launchers import MemoryLauncher
from tests.support.webhooks import MARKET, WALL, alert


class Bench:
    def __init__(self, url: str) -> None:
        self.market, self.wall = MemoryClock(MARKET), MemoryClock(WALL)
        self.store, self.launcher = Store(url, self.market), MemoryLauncher()

    def claim(self) -> str:
        notice = alert().notice("/x")
        (receipt,) = ledger.accept(
            self.store, [notice], starts=("warning",), cooldown=timedelta(hours=24), now=self.wall()
        )
        assert receipt.run_id is not None
        return receipt.run_id

    def starter(self, holder: str = "one") -> Starter:
        return Starter(lambda: self.store, self.launcher, Webhook(lease=60, every=2), holder, self.wall)

    def run(self) -> Run:
        (run,) = runs.newest(self.store)
        return run


@pytest.fixture
def bench(database: str) -> Iterator[Bench]:
    made = Bench(database)
    yield made
    made.store.close()


def test_a_claimed_run_is_started_and_then_watched(bench: Bench) -> None:
    run_id = bench.claim()
    starter = bench.starter()
    for _ in range(3):
        starter.round()
        bench.wall.advance(timedelta(seconds=2))
    assert bench.launcher.calls == [run_id]
    run = bench.run()
    assert (run.state, run.attempts, run.started_id, run.holder) == ("started", 1, f"job-{run_id}", "one")
    assert (run.started, run.heartbeat) == (WALL, WALL)
    bench.wall.advance(timedelta(seconds=16))
    starter.round()
    assert bench.run().heartbeat == WALL + timedelta(seconds=22)


@pytest.mark.parametrize(("state", "detail"), [("succeeded", None), ("failed", None)])
def test_a_run_that_is_over_is_closed_in_market_time(bench: Bench, state: str, detail: str | None) -> None:
    run_id, starter = bench.claim(), bench.starter()
    starter.round()
    bench.launcher.states[run_id] = state  # type: ignore[assignment]
    bench.market.advance(timedelta(days=2))
    starter.round()
    run = bench.run()
    assert (run.state, run.closed, run.detail, run.holder) == (state, MARKET + timedelta(days=2), detail, None)
    starter.round()
    assert bench.launcher.calls == [run_id]


def test_a_run_that_its_launcher_forgot_has_failed(bench: Bench) -> None:
    run_id, starter = bench.claim(), bench.starter()
    starter.round()
    del bench.launcher.states[run_id]
    starter.round()
    assert (bench.run().state, bench.run().detail) == ("failed", "its launcher knows it no more")


def test_a_launcher_that_is_away_is_asked_again_with_pauses(bench: Bench) -> None:
    bench.claim()
    starter, bench.launcher.away = bench.starter(), True
    tried = []
    for second in range(130):
        starter.round()
        tried += [second] * (len(bench.launcher.calls) - len(tried))
        bench.wall.advance(timedelta(seconds=1))
    assert tried == [0, 2, 6, 14, 30, 62, 122]
    assert bench.run().state == "claimed"
    assert bench.run().detail == "the launcher does not answer"
    bench.launcher.away = False
    bench.wall.advance(timedelta(seconds=60))
    starter.round()
    assert (bench.run().state, bench.run().detail, bench.launcher.begun) == ("started", None, 1)


def test_a_started_run_whose_launcher_is_back_has_no_trouble(bench: Bench) -> None:
    bench.claim()
    starter = bench.starter()
    starter.round()
    bench.launcher.away = True
    starter.round()
    assert (bench.run().state, bench.run().detail) == ("started", "the launcher does not answer")
    bench.launcher.away = False
    bench.wall.advance(timedelta(seconds=4))
    starter.round()
    assert (bench.run().state, bench.run().detail, bench.launcher.begun) == ("started", None, 1)


def test_an_answer_that_was_cut_off_starts_nothing_twice(bench: Bench) -> None:
    run_id, starter = bench.claim(), bench.starter()
    bench.launcher.cut = 1
    starter.round()
    assert (bench.run().state, bench.launcher.begun) == ("claimed", 1)
    bench.wall.advance(timedelta(seconds=10))
    starter.round()
    assert bench.launcher.calls == [run_id, run_id]
    assert (bench.run().state, bench.launcher.begun) == ("started", 1)


def test_a_run_that_is_refused_is_over(bench: Bench) -> None:
    bench.claim()
    bench.launcher.refuses = True
    bench.starter().round()
    assert (bench.run().state, bench.run().detail) == ("failed", "no such campaign")


def test_one_runs_fault_holds_up_no_other(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    first, second = bench.claim(), "run-of-before"
    row = {"run_id": second, "campaign_id": "summer", "alert_id": "b", "spec": {}, "state": "claimed"}
    with bench.store.write() as connection:
        connection.execute(tables.runs.insert(), row | {"claimed": MARKET, "opened": WALL})
    start = bench.launcher.start

    def broken(run_id: str, spec: object) -> str:
        if run_id == first:
            raise KeyError("spec")
        return start(run_id, {})

    monkeypatch.setattr(bench.launcher, "start", broken)
    bench.starter().round()
    found = {run.run_id: (run.state, run.detail) for run in runs.newest(bench.store)}
    assert found == {first: ("claimed", "KeyError: 'spec'"), second: ("started", None)}


def test_who_holds_the_lease_is_alone_until_it_lapses(bench: Bench) -> None:
    run_id = bench.claim()
    assert [run.run_id for run in runs.take(bench.store, "one", bench.wall(), timedelta(seconds=60))] == [run_id]
    other = bench.starter("two")
    bench.wall.advance(timedelta(seconds=59))
    other.round()
    assert bench.launcher.calls == []
    bench.wall.advance(timedelta(seconds=1))  # the first was killed before it could start anything
    other.round()
    assert bench.launcher.calls == [run_id]
    assert bench.run().holder == "two"


def test_the_same_process_started_again_takes_up_at_once(bench: Bench) -> None:
    run_id = bench.claim()
    runs.take(bench.store, "one", bench.wall(), timedelta(seconds=60))
    bench.starter("one").round()
    assert bench.launcher.calls == [run_id]


def test_a_run_that_never_ends_holds_up_no_other(bench: Bench) -> None:
    bench.claim()
    starter = bench.starter()
    bench.launcher.away = True
    starter.round()
    bench.wall.advance(timedelta(hours=30))  # it has not begun: it may wait
    bench.launcher.away = False
    starter.round()
    bench.wall.advance(timedelta(hours=24))
    starter.round()
    assert bench.run().state == "started"
    bench.wall.advance(timedelta(seconds=1))
    starter.round()
    assert (bench.run().state, bench.run().detail) == ("failed", "not over after 24 h (alerts.webhook.longest)")


def test_without_a_launcher_runs_wait_for_one_and_are_counted(bench: Bench) -> None:
    run_id = bench.claim()
    Starter(lambda: bench.store, None, Webhook(), "one", bench.wall).round()
    assert (bench.run().state, bench.run().holder) == ("claimed", None)
    assert metrics.OPEN.labels("claimed")._value.get() == 1
    bench.starter().round()
    assert bench.launcher.calls == [run_id]
    assert metrics.OPEN.labels("claimed")._value.get() == 0
    assert metrics.OPEN.labels("started")._value.get() == 1


def test_a_database_that_is_away_ends_the_round(bench: Bench) -> None:
    def away() -> Store:
        raise StoreAwayError("database: away")

    starter = Starter(away, bench.launcher, replace(Webhook(), lease=1.0), "one", bench.wall)
    with pytest.raises(StoreAwayError):
        starter.round()


def test_a_database_that_goes_away_in_a_run_ends_the_round(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    def away(*_: object) -> None:
        raise StoreAwayError("database: away")

    bench.claim()
    monkeypatch.setattr(runs, "starting", away)
    with pytest.raises(StoreAwayError):
        bench.starter().round()
    assert (bench.run().holder, bench.run().detail) == ("one", None)


def test_while_a_launcher_hangs_one_thread_waits_for_it_however_many_ask() -> None:
    began, free, rounds = threading.Event(), threading.Event(), []

    def work() -> None:
        rounds.append(threading.current_thread().name)
        began.set()
        assert free.wait(60)

    nudge = Nudge(Loop("runs", 60, work))
    first = threading.Thread(target=nudge, name="first")
    first.start()
    assert began.wait(60)
    for _ in range(100):
        nudge()  # none of them waits
    assert rounds == ["first"]
    free.set()
    first.join()
    assert rounds == ["first", "first"]
    nudge()
    assert len(rounds) == 3


def again_bench(bench: Bench) -> tuple[str, dict[int, str]]:
    """An alert's run that is over, and the ids of those that follow."""
    first = bench.claim()
    over(bench, bench.starter())
    return first, {days: again.run_of(first, days) for days in Webhook().again}


def over(bench: Bench, starter: Starter) -> None:
    """A round, the end of what it started, and a round that sees it."""
    starter.round()
    for run_id in bench.launcher.states:
        bench.launcher.states[run_id] = "succeeded"
    starter.round()


def test_an_alerts_run_is_asked_for_again_after_days_of_the_market(bench: Bench) -> None:
    first, later = again_bench(bench)
    begun: dict[int, list[str]] = {}
    for hour in range(0, 60 * 24, 12):
        bench.market.set(MARKET + timedelta(hours=hour))
        before = set(bench.launcher.states)
        over(bench, bench.starter())  # each round is a restarted process's
        if new := sorted(set(bench.launcher.states) - before):
            begun[hour] = new
    assert begun == {3 * 24: [later[3]], 7 * 24: [later[7]], 14 * 24: [later[14]]}
    assert bench.launcher.calls == [first, later[3], later[7], later[14]]
    spec = bench.launcher.specs[later[7]]
    assert spec == {**bench.launcher.specs[first], "at": (MARKET + timedelta(days=7)).isoformat(), "again": 7}


def test_it_is_the_markets_time_that_passes(bench: Bench) -> None:
    first, later = again_bench(bench)
    bench.wall.advance(timedelta(days=400))
    bench.market.set(MARKET + timedelta(days=3) - timedelta(seconds=1))
    bench.starter().round()
    assert bench.launcher.calls == [first]
    bench.market.advance(timedelta(seconds=1))
    bench.starter().round()
    assert bench.launcher.calls == [first, later[3]]


def test_without_a_launcher_or_days_nothing_is_asked_for_again(bench: Bench) -> None:
    first, _ = again_bench(bench)
    bench.market.advance(timedelta(days=3))
    Starter(lambda: bench.store, None, Webhook(), "one", bench.wall).round()
    Starter(lambda: bench.store, bench.launcher, Webhook(again=()), "one", bench.wall).round()
    assert [run.run_id for run in runs.newest(bench.store)] == [first]

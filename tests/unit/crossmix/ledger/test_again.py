"""An alert's run is opened again when its days have passed, once each, and never beside another."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

import pytest

from crossmix.clock import MemoryClock
from crossmix.ledger import again, runs
from crossmix.ledger import alerts as ledger
from crossmix.ledger.alerts import Receipt
from crossmix.ledger.runs import Run
from crossmix.ledger.store import Store
from tests.support.webhooks import MARKET, WALL, alert

DAYS = (3, 7, 14)


class Bench:
    def __init__(self, url: str) -> None:
        self.market = MemoryClock(MARKET)
        self.store = Store(url, self.market)

    def accept(self, cycle: int = 7, campaign_id: str = "spring") -> Receipt:
        notice = alert(campaign_id=campaign_id, cycle=cycle).notice("/x")
        hours = timedelta(hours=24)
        (receipt,) = ledger.accept(self.store, [notice], starts=("warning",), cooldown=hours, now=WALL)
        return receipt

    def first(self, cycle: int = 7, campaign_id: str = "spring") -> str:
        """Id of an alert's run that is over."""
        receipt = self.accept(cycle, campaign_id)
        assert receipt.outcome == ledger.RUN
        assert receipt.run_id is not None
        self.close()
        return receipt.run_id

    def close(self, state: str = runs.SUCCEEDED) -> None:
        for run in self.open():
            runs.close(self.store, run, state)

    def open(self) -> list[Run]:
        return [run for run in runs.newest(self.store) if run.closed is None]

    def at(self, day: float) -> list[str]:
        """What is opened on a day of the market."""
        self.market.set(MARKET + timedelta(days=day))
        return again.open_due(self.store, DAYS, WALL)


@pytest.fixture
def bench(empty: str) -> Iterator[Bench]:
    made = Bench(empty)
    yield made
    made.store.close()


def test_it_opens_on_its_days_not_before_and_not_twice(bench: Bench) -> None:
    first = bench.first()
    for day in DAYS:
        assert bench.at(day - 0.001) == []
        assert bench.at(day) == [again.run_of(first, day)]
        assert bench.at(day) == []
        (run,) = bench.open()
        assert (run.state, run.claimed, run.opened, run.spec["again"]) == (runs.CLAIMED, bench.market(), WALL, day)
        bench.close()
        assert bench.at(day + 0.001) == []
    assert bench.at(27.9) == bench.at(60) == []
    assert len({again.run_of(first, day) for day in DAYS} | {first}) == 4


def test_one_that_failed_is_asked_for_again_as_well(bench: Bench) -> None:
    receipt = bench.accept()
    bench.close(runs.FAILED)
    assert bench.at(3) == [again.run_of(str(receipt.run_id), 3)]


def test_it_waits_while_a_run_is_open(bench: Bench) -> None:
    receipt = bench.accept()
    assert bench.at(3) == []
    bench.close()
    assert bench.at(3.5) == [again.run_of(str(receipt.run_id), 3)]
    assert bench.at(7) == []  # the third day's is open
    bench.close()
    assert bench.at(7) == [again.run_of(str(receipt.run_id), 7)]


def test_alerts_of_several_campaigns_are_asked_for_again_together(bench: Bench) -> None:
    first = bench.first()
    assert bench.accept(campaign_id="summer") == Receipt(ledger.COOLDOWN, first)
    assert bench.at(3) == [again.run_of(first, 3)]
    bench.close()
    newer = bench.first(campaign_id="summer", cycle=9)
    assert bench.at(5.9) == []
    assert bench.at(6) == [again.run_of(newer, 3)]


def test_of_days_that_were_missed_the_last_counts_and_none_after_twice_the_most(bench: Bench) -> None:
    first = bench.first()
    assert bench.at(10) == [again.run_of(first, 7)]
    bench.close()
    assert bench.at(13) == []
    late = bench.first(campaign_id="summer")
    assert bench.at(13 + 28) == []
    assert bench.at(13 + 27.9) == [again.run_of(late, 14)]


def test_a_newer_alerts_own_days_count(bench: Bench) -> None:
    bench.first()
    bench.market.set(MARKET + timedelta(days=2))
    newer = bench.first(cycle=9)
    assert bench.at(3) == bench.at(4.9) == []
    assert bench.at(5) == [again.run_of(newer, 3)]
    bench.close()
    assert bench.at(7) == bench.at(8.9) == []
    assert bench.at(9) == [again.run_of(newer, 7)]


def test_a_clock_that_was_set_back_opens_nothing_twice(bench: Bench) -> None:
    first = bench.first()
    assert bench.at(7) == [again.run_of(first, 7)]
    bench.close()
    assert [bench.at(day) for day in (-1, 0, 3, 5, 7, 8)] == [[]] * 6
    assert bench.at(14) == [again.run_of(first, 14)]


def test_one_that_another_process_opened_is_not_opened_again(bench: Bench, empty: str) -> None:
    first = bench.first()
    other = Store(empty, bench.market)
    try:
        opened = bench.at(3) + again.open_due(other, DAYS, WALL)
    finally:
        other.close()
    assert opened == [again.run_of(first, 3)]


def test_it_holds_no_new_alert_up_once_it_is_over(bench: Bench) -> None:
    """The cooldown is after an alert's own run."""
    bench.first()
    bench.at(3)
    assert bench.accept(cycle=9) == Receipt(ledger.OPEN, bench.open()[0].run_id)
    bench.close()
    bench.market.advance(timedelta(hours=1))
    assert bench.accept(cycle=10).outcome == ledger.RUN


def test_without_days_nothing_is_due(bench: Bench) -> None:
    bench.first()
    bench.market.advance(timedelta(days=3))
    assert again.open_due(bench.store, (), WALL) == []

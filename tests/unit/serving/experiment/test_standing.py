"""The verdict that is kept: how often it is made, when it is made anew, who waits for it, what errors leave behind."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from crossmix.config import Config
from crossmix.ledger import campaigns, feedback
from crossmix.ledger.campaigns import Campaign
from crossmix.ledger.store import Store
from serving.experiment import standing, verdict
from serving.experiment.standing import PAUSE, VARIANTS, Keeper, keeper_of, loop_of
from serving.feedback import events
from tests.support.serving_live import START, FakeLive, event, raw

WAIT = 300.0


class Verdicts:
    """Counts what is computed; `hold` keeps computations from ending, `seconds` is what each takes."""

    def __init__(self, *, waits: bool) -> None:
        self.mark, self.now, self.seconds, self.computed = 0, 0.0, 0.0, 0
        self.error: Exception | None = None
        self.free, self.entered = threading.Event(), threading.Semaphore(0)
        self.free.set()
        self.waits = waits
        self.keeper = Keeper(self.compute, lambda: self.mark, lambda: self.waits, lambda: self.now)

    def compute(self, *variant: Any) -> dict[str, Any]:
        self.computed += 1
        mark = self.mark
        self.entered.release()
        assert self.free.wait(WAIT)
        self.now += self.seconds
        if self.error is not None:
            raise self.error
        return {"now": f"mark {mark}", "variant": variant, "number": self.computed}

    def settled(self) -> None:
        """Wait until nothing is being computed beside the requests."""
        for thread in threading.enumerate():
            if thread.name == "verdict":
                thread.join(WAIT)


@pytest.fixture(params=[True, False], ids=["waits", "stands"])
def either(request: pytest.FixtureRequest) -> Verdicts:
    return Verdicts(waits=request.param)


def test_an_unmoved_verdict_is_made_once(either: Verdicts) -> None:
    plain = [either.keeper.get().plain() for _ in range(100)]
    assert either.computed == 1
    assert plain[0] == {"now": "mark 0", "variant": (), "number": 1, "as_of": "mark 0", "behind": False}
    assert plain[1:] == plain[:1] * 99


def test_few_campaigns_give_the_newest_and_many_the_one_that_stands(either: Verdicts) -> None:
    either.keeper.get()
    either.mark = 1
    found = either.keeper.get()
    if either.waits:
        assert (found.content["number"], found.behind) == (2, False)
        return
    assert (found.content["number"], found.behind) == (1, True)
    assert found.plain()["as_of"] == "mark 0"
    either.settled()
    found = either.keeper.get()
    assert (found.content["now"], found.behind, either.computed) == ("mark 1", False, 2)


def test_the_next_is_made_a_tenth_of_the_time_at_most() -> None:
    many = Verdicts(waits=False)
    many.seconds = 3.0
    many.keeper.get()
    for mark in range(1, 50):
        many.mark = mark
        assert many.keeper.get().behind
        many.keeper.refresh()
    assert many.computed == 1
    many.now += PAUSE * 3.0
    many.keeper.refresh()
    assert many.computed == 2
    assert not many.keeper.get().behind


def test_a_verdict_that_takes_long_is_not_waited_for_however_few_the_campaigns() -> None:
    few = Verdicts(waits=True)
    few.seconds = 3.0
    few.keeper.get()
    few.mark = 1
    assert few.keeper.get().behind
    assert few.computed == 1


def test_what_asks_at_once_shares_one_computation(either: Verdicts) -> None:
    either.free.clear()
    with ThreadPoolExecutor(8) as pool:
        asked = [pool.submit(either.keeper.get) for _ in range(8)]
        assert either.entered.acquire(timeout=WAIT)
        either.free.set()
        assert {one.result(WAIT).content["number"] for one in asked} == {1}
    assert either.computed == 1


def test_a_request_that_joins_an_older_computation_gets_what_it_came_for() -> None:
    few = Verdicts(waits=True)
    few.free.clear()
    with ThreadPoolExecutor(8) as pool:
        first = pool.submit(few.keeper.get)
        assert few.entered.acquire(timeout=WAIT)
        few.mark = 1
        later = [pool.submit(few.keeper.get) for _ in range(6)]
        few.free.set()
        assert first.result(WAIT).content["now"] == "mark 0"
        assert {(one.result(WAIT).content["now"], one.result(WAIT).behind) for one in later} == {("mark 1", False)}
    assert few.computed == 2


def test_errors_go_to_who_waits_and_are_kept_by_nobody(either: Verdicts) -> None:
    either.error = ValueError("no such experiment")
    for _ in range(2):
        with pytest.raises(ValueError, match="no such experiment"):
            either.keeper.get()
    assert either.computed == 2
    either.error = None
    assert either.keeper.get().content["number"] == 3
    # Beside the answers too: the one that stood is gone with it.
    either.mark, either.error = 1, ValueError("archived")
    if not either.waits:
        assert either.keeper.get().behind
        either.settled()
    with pytest.raises(ValueError, match="archived"):
        either.keeper.get()


def test_variants_are_kept_apart_and_the_longest_unasked_goes(either: Verdicts) -> None:
    for number in range(VARIANTS + 1):
        assert either.keeper.get("one", number).content["variant"] == ("one", number)
        either.keeper.get("one", 0)
    assert either.computed == VARIANTS + 1
    either.keeper.get("one", VARIANTS)
    either.keeper.get("one", 0)
    assert either.computed == VARIANTS + 1
    either.keeper.get("one", 1)
    assert either.computed == VARIANTS + 2


@pytest.fixture
def live(tmp_path: Path) -> Iterator[FakeLive]:
    store = Store(f"sqlite:///{tmp_path / 'serving.db'}")
    with campaigns.changing(store, "test", "") as table:
        table.add(Campaign.from_dict({**raw(), "timezone": "UTC"}))
    yield FakeLive(store)
    store.close()


def _keeper(live: FakeLive, monkeypatch: pytest.MonkeyPatch, few: int) -> tuple[Keeper, list[datetime]]:
    asked: list[datetime] = []

    def status(store: Store, experiment_id: str, now: datetime, *_: Any, **__: Any) -> dict[str, Any]:
        asked.append(now)
        return {"now": now.isoformat()}

    monkeypatch.setattr(verdict, "status", status)
    monkeypatch.setattr(standing, "FEW", few)
    monkeypatch.setattr(standing, "PAUSE", 0)
    live.config = Config()  # type: ignore[attr-defined]
    return keeper_of(live), asked  # type: ignore[arg-type]


@pytest.mark.parametrize("few", [500, 0])
def test_feedback_changes_and_ends_of_cycles_make_another(
    live: FakeLive, monkeypatch: pytest.MonkeyPatch, few: int
) -> None:
    keeper, asked = _keeper(live, monkeypatch, few)

    def made() -> int:
        keeper.refresh() if few == 0 else keeper.get()
        return len(asked)

    assert [made(), made()] == [1, 1]
    rows = events.check([event("one")], live.campaigns, live.platforms, live.experiment, live.clock())
    feedback.insert(live.store, rows, live.clock())
    assert [made(), made()] == [2, 2]
    with campaigns.changing(live.store, "test", "") as table:
        table.set_override(live.campaigns["spring"], "static", None)
    assert [made(), made()] == [3, 3]
    live.now += timedelta(minutes=1)
    assert made() == (4 if few else 3)
    live.now = START + timedelta(days=1, seconds=1)
    assert made() == (5 if few else 4)


def test_the_loop_leaves_few_campaigns_to_their_requests(live: FakeLive, monkeypatch: pytest.MonkeyPatch) -> None:
    keeper, asked = _keeper(live, monkeypatch, 500)
    assert loop_of(keeper).once() is False
    assert asked == []

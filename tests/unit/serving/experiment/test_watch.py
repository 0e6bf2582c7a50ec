"""The watch: ends an experiment once, with its audit; survives a database that is away; rolls back until it works."""

from __future__ import annotations

import math
import re
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest
import sqlalchemy as sa

from crossmix.config import Guardrails, load
from crossmix.ledger import experiments
from crossmix.ledger.audit import trail
from crossmix.ledger.experiments import VerdictError
from crossmix.ledger.outcomes_read import read
from crossmix.ledger.store import Store, StoreAwayError
from serving.experiment import watch
from serving.experiment.compare import Series, of_outcomes
from serving.experiment.guardrails import looks, rails, stopped_by_day
from serving.experiment.verdict import status
from tests.support.experiments import DAY, START, deliver, make_store, paired_days

CONFIG = load("laptop")
NOW = START + 8 * DAY + timedelta(hours=1)
BAD = [0.80, 0.83, 0.79, 0.82, 0.81, 0.78, 0.80, 0.82]
GOOD = [1.02, 0.97, 1.01, 0.99, 1.03, 0.98, 1.0, 1.01]


def _store(folder: Path, policy: list[float]) -> Store:
    store = make_store(folder)
    deliver(store, paired_days(policy, [1.0] * len(policy)))
    return store


def _until(done: Callable[[], bool]) -> None:
    limit = time.monotonic() + 300
    while not done():
        assert time.monotonic() < limit, "it did not come to pass in 300 seconds"
        time.sleep(0.01)


def test_a_broken_guardrail_is_told_and_one_that_holds_is_not(tmp_path: Path) -> None:
    store = _store(tmp_path, BAD)
    said = watch.check(store, "first", CONFIG, NOW)
    assert said is not None
    assert said.startswith("guardrail roi_drop: the policy's ROI is -19.4% [")
    assert said.endswith("after 8 cycles, wholly below 0%")
    # Two cycles in, nothing can be said yet.
    assert watch.check(store, "first", CONFIG, START + 2 * DAY) is None
    (tmp_path / "good").mkdir()
    assert watch.check(_store(tmp_path / "good", GOOD), "first", CONFIG, NOW) is None
    with pytest.raises(VerdictError, match="experiment: 'second' is not in the database"):
        watch.check(store, "second", CONFIG, NOW)


def test_an_end_is_kept_with_its_audit_once(tmp_path: Path) -> None:
    store = _store(tmp_path, BAD)
    before = store.revision()
    assert experiments.end(store, "first", "guardrail roi_drop: low", "guardrail")
    assert not experiments.end(store, "first", "again", "somebody")
    one = experiments.get(store, "first")
    assert (one.reason, one.ended is not None) == ("guardrail roi_drop: low", True)
    assert store.revision() > before
    entries = trail(store, "first")
    assert [(entry.actor, entry.action, entry.reason) for entry in entries] == [
        ("guardrail", "experiment.end", "guardrail roi_drop: low")
    ]
    assert watch.check(store, "first", CONFIG, NOW) is None
    with pytest.raises(VerdictError, match="reason: it is empty"):
        experiments.end(store, "first", "", "somebody")
    with pytest.raises(VerdictError, match="experiment: 'second'"):
        experiments.end(store, "second", "x", "somebody")


def test_an_end_without_its_audit_is_no_end(tmp_path: Path) -> None:
    store = _store(tmp_path, BAD)
    with store.write() as connection:
        connection.execute(sa.text("ALTER TABLE audit RENAME TO hidden"))
    with pytest.raises(StoreAwayError, match="audit"):
        experiments.end(store, "first", "why", "me")
    assert experiments.get(store, "first").ended is None


def test_of_several_replicas_one_ends_it_and_rolls_back(tmp_path: Path) -> None:
    store = _store(tmp_path, BAD)
    store.clock = lambda: NOW
    called: list[str] = []
    replicas = [
        watch.Watch(store, "first", CONFIG, lambda reason, version: called.append(reason), 0.01, lambda: NOW)
        for _ in range(4)
    ]
    for one in replicas:
        one.start()
    for one in replicas:
        one.join(300)
        assert not one.is_alive()
    assert len(called) == 1
    assert called[0] == experiments.get(store, "first").reason
    assert [entry.action for entry in trail(store, "first")] == ["experiment.rollback", "experiment.end"]


def test_it_waits_while_guardrails_hold_and_stops_when_told(tmp_path: Path) -> None:
    store = _store(tmp_path, GOOD)
    called: list[str] = []
    looks: list[datetime] = []

    def clock() -> datetime:
        looks.append(NOW)
        return NOW

    one = watch.Watch(store, "first", CONFIG, lambda reason, version: called.append(reason), 0.01, clock)
    one.start()
    _until(lambda: len(looks) > 5)
    assert one.is_alive()
    assert called == []
    # Somebody else ends it: nothing is left to watch, and nothing of ours to roll back.
    experiments.end(store, "first", "a person's reason", "me")
    one.join(300)
    assert not one.is_alive()
    assert called == []
    (tmp_path / "other").mkdir()
    told = watch.Watch(
        _store(tmp_path / "other", GOOD),
        "first",
        CONFIG,
        lambda reason, version: called.append(reason),
        60,
        lambda: NOW,
    )
    told.start()
    told.stop()
    told.join(300)
    assert not told.is_alive()


def test_the_next_one_is_watched_too(tmp_path: Path) -> None:
    """It watched the one that ran as the server started, and stopped with it."""
    store = _store(tmp_path, GOOD)
    called: list[tuple[str, int | None]] = []
    newest = [experiments.newest(store)]
    one = watch.Watch(store, lambda: newest[0], CONFIG, lambda *end: called.append(end), 60, lambda: NOW)
    assert one._round() is None
    experiments.end(store, "first", "a person's reason", "me")
    assert one._round() is None, "there may be a next one"
    weights = {"policy": 0.7, "control": 0.3}
    newest[0] = experiments.begin(store, experiments.Plan("second", "s", weights, 14, 0.05), "me").id
    experiments.end(store, "second", "guardrail roi_drop: low", experiments.GUARDRAIL, version=7)
    later = watch.Watch(
        store,
        lambda: newest[0],
        CONFIG,
        lambda *end: called.append(end),
        60,
        lambda: datetime.now(UTC) + timedelta(seconds=120),
    )
    assert later._round() is None
    assert called == [("guardrail roi_drop: low", 7)]


def test_a_database_that_is_away_is_told_and_waited_for(tmp_path: Path) -> None:
    store = _store(tmp_path, BAD)
    away = True

    def opened() -> Store:
        if away:
            raise StoreAwayError("database there: refused")
        return store

    called: list[str] = []
    one = watch.Watch(opened, "first", CONFIG, lambda reason, version: called.append(reason), 0.01, lambda: NOW)
    one.start()
    _until(lambda: one.trouble is not None)
    assert one.trouble == "database there: refused"
    assert called == []
    away = False
    one.join(300)
    assert len(called) == 1


def test_a_rollback_that_fails_is_tried_until_it_works(tmp_path: Path) -> None:
    store = _store(tmp_path, BAD)
    tries: list[str] = []

    def rollback(reason: str, version: int | None) -> None:
        tries.append(reason)
        if len(tries) < 3:
            raise RuntimeError("the registry is away")

    one = watch.Watch(store, "first", CONFIG, rollback, 0.05, lambda: NOW)
    one.start()
    _until(lambda: bool(tries))
    # The experiment has ended before anything else, whatever becomes of the rollback.
    assert experiments.get(store, "first").ended is not None
    _until(lambda: one.trouble == "RuntimeError: the registry is away" or len(tries) >= 3)
    one.join(300)
    assert len(tries) == 3
    assert len(set(tries)) == 1
    assert [entry.action for entry in trail(store, "first")] == ["experiment.rollback", "experiment.end"]


def test_a_rollback_whose_process_died_is_made_up_for_once(tmp_path: Path) -> None:
    store = _store(tmp_path, BAD)
    experiments.end(store, "first", "guardrail roi_drop: low", experiments.GUARDRAIL, version=7)
    called: list[tuple[str, int | None]] = []
    later = timedelta(seconds=0)

    def restarted() -> watch.Watch:
        return watch.Watch(
            store, "first", CONFIG, lambda *told: called.append(told), 60, lambda: datetime.now(UTC) + later
        )

    assert restarted().look() is False, "the replica that ended it still has time"
    assert called == []
    later = timedelta(seconds=61)
    assert restarted().look() is True
    assert called == [("guardrail roi_drop: low", 7)]
    assert restarted().look() is True
    assert len(called) == 1


def test_an_end_that_lies_ahead_of_the_clock_is_not_waited_for(tmp_path: Path) -> None:
    """A clock that ran a year ahead noted it: its rollback waited for that year."""
    store = _store(tmp_path, BAD)
    experiments.end(store, "first", "guardrail roi_drop: low", experiments.GUARDRAIL, version=7)
    called: list[tuple[str, int | None]] = []
    year = timedelta(days=365)
    one = watch.Watch(store, "first", CONFIG, lambda *told: called.append(told), 60, lambda: datetime.now(UTC) - year)
    assert one.look() is True
    assert called == [("guardrail roi_drop: low", 7)]


def test_the_end_names_the_version_that_served(tmp_path: Path) -> None:
    store = _store(tmp_path, BAD)
    called: list[int | None] = []
    one = watch.Watch(
        store, "first", CONFIG, lambda _, version: called.append(version), 60, lambda: NOW, version=lambda: 3
    )
    assert one.look() is True
    assert called == [3]
    assert trail(store, "first")[0].after == {"version": 3}


def test_a_policy_that_went_bad_is_stopped_though_all_its_days_look_well(tmp_path: Path) -> None:
    """Better by 20 % for six days, then worse by 40 %: all days together hold 0, the newest three do not."""
    noise = [0.02, -0.03, 0.01, 0.04, -0.02, 0.0, -0.01, 0.03, -0.04, 0.02]
    policy = [(1.2 if day < 6 else 0.6) * math.exp(noise[day]) for day in range(9)]
    store = _store(tmp_path, policy)
    assert watch.check(store, "first", CONFIG, START + 8 * DAY + timedelta(hours=1)) is None
    said = watch.check(store, "first", CONFIG, START + 9 * DAY + timedelta(hours=1))
    assert said is not None
    assert re.fullmatch(
        r"guardrail roi_drop: the policy's ROI is -\d\d\.\d% \[-.*%, -.*%\] against control's "
        r"in the newest 3 cycles, wholly below 0%",
        said,
    )
    rail = rails(read(store, experiments.get(store, "first"), START + 9 * DAY), Guardrails())[0]
    assert (rail.verdict, rail.cycles) == ("broken", 3)
    assert rail.high is not None
    assert rail.high < 0
    whole = looks("roi_drop", *_pairs(store, 9), Guardrails())[0][1]
    assert whole.low < 0 < whole.high


def _pairs(store: Store, days: int) -> tuple[Series, int]:
    pairs = of_outcomes(read(store, experiments.get(store, "first"), START + days * DAY), "roi")
    assert not isinstance(pairs, str)
    return pairs, days


def test_many_experiments_at_once_are_stopped_as_each_by_itself() -> None:
    """What `benchmarks/guardrails.py` measures is what the server does."""
    rng = np.random.default_rng(4)
    ratio_RT = 0.1 * rng.standard_normal((12, 14)) - 0.9 * (np.arange(14) >= 7)
    settings = Guardrails(roi_drop=0.05)
    for name, threshold in (("roi_drop", -0.05), ("utilisation_drop", -0.2), ("cpa_rise", 0.3)):
        sign = -1 if threshold > 0 else 1
        policy_RT, control_RT = np.exp(sign * ratio_RT), np.ones_like(ratio_RT)
        together = stopped_by_day(name, policy_RT, control_RT, threshold, settings)
        assert together[:, -1].sum() > 0
        for run in range(12):
            stopped = False
            for day in range(2, 15):
                pairs = Series(1, policy_RT[run, :day], control_RT[run, :day])
                ends = [one for _, one in looks(name, pairs, day, settings)]
                stopped |= any(one.low > threshold if threshold > 0 else one.high < threshold for one in ends)
                assert together[run, day - 1] == stopped


def test_an_experiment_whose_guardrail_is_broken_is_not_called_anything_else(tmp_path: Path) -> None:
    verdict = status(_store(tmp_path, BAD), "first", NOW)["verdict"]
    assert verdict["word"] == "guardrail broken"
    assert verdict["line"].startswith(
        "A guardrail is broken after 8 of 14 cycles, which ends the experiment: guardrail "
    )
    assert (verdict["decided_by"], verdict["interval"]) == ("guardrail", None)


def test_guardrails_that_held_are_judged_again_once_something_came(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store, judged, check = _store(tmp_path, GOOD), [], watch.check
    monkeypatch.setattr(watch, "check", lambda *given: judged.append(given) or check(*given))
    marks = iter([1, 1, 1, 2, 2])
    one = watch.Watch(store, "first", CONFIG, lambda *told: None, 60, lambda: NOW, mark=lambda: next(marks))
    looks_judged = []
    for _ in range(5):
        assert one.look() is False
        looks_judged.append(len(judged))
    assert looks_judged == [1, 1, 1, 2, 2]

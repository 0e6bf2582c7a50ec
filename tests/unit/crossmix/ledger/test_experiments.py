"""An experiment's life: begun, extended, ended, shipped, archived; each step once, audited, none against its state."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from crossmix.clock import MemoryClock
from crossmix.ledger import audit, experiments
from crossmix.ledger.experiments import GUARDRAIL, Experiment, Plan, StepError, UnknownExperimentError, VerdictError
from crossmix.ledger.store import Store
from tests.support.experiments import DAY, START, make_store

WEIGHTS = {"policy": 0.5, "control": 0.5}


def plan(name: str = "second", **changes: Any) -> Plan:
    return replace(Plan(name, "pepper", WEIGHTS, 10, 0.1), **changes)


@pytest.fixture
def clock() -> MemoryClock:
    return MemoryClock(START + 2.5 * DAY)


@pytest.fixture
def store(tmp_path: Path, clock: MemoryClock) -> Store:
    """One experiment, `first`, that runs."""
    made = make_store(tmp_path, campaigns={"brand": {}, "spring": {}, "weekly": {"cycle_hours": 168.0}})
    made.clock = clock
    return made


def trail(store: Store, subject: str) -> list[tuple[str, str, str]]:
    return [(entry.action, entry.actor, entry.reason) for entry in reversed(audit.trail(store, subject))]


def test_beginning_one_ends_the_one_before_in_one_transaction(store: Store, clock: MemoryClock) -> None:
    revision = store.revision()
    new = experiments.begin(store, plan(), "anna", "a bolder policy")
    old = experiments.get(store, "first")
    assert (old.ended, old.reason, old.ended_by, old.state) == (
        clock(), "experiment second began", "anna", "replaced",
    )  # fmt: skip
    assert new.started == old.ended
    assert (new.state, new.cycle_hours) == ("running", 24.0)
    assert store.revision() == revision + 1
    assert trail(store, "first") == [("experiment.end", "anna", "experiment second began")]
    assert trail(store, "second") == [("experiment.begin", "anna", "a bolder policy")]
    assert [one.id for one in experiments.load_all(store) if one.ended is None] == ["second"]
    with pytest.raises(StepError, match=r"^experiment.id: 'second' runs already, since 2024-11-06 12:00 UTC; give"):
        experiments.begin(store, plan(), "anna")
    with pytest.raises(StepError, match=r"'first' has been, since 2024-11-04 00:00 UTC; give the new one another id"):
        experiments.begin(store, plan("first"), "anna")
    assert store.revision() == revision + 1, "a refusal changes nothing"


def test_one_that_begins_at_the_same_moment_is_the_later_one(store: Store) -> None:
    for name in ("zeta", "alpha"):
        experiments.begin(store, plan(name), "anna")
    assert [one.id for one in experiments.load_all(store)] == ["first", "zeta", "alpha"]
    assert experiments.newest(store) == "alpha"


def test_its_cycle_is_fixed_as_it_begins(store: Store) -> None:
    assert experiments.begin(store, plan("a"), "anna").cycle_hours == 24.0, "two of three campaigns have days"
    assert experiments.begin(store, plan("b", included=["weekly"]), "anna").cycle_hours == 168.0
    assert experiments.begin(store, plan("c", excluded=["spring"]), "anna").cycle_hours == 168.0, "of two the longer"
    assert experiments.begin(store, plan("d", cycle_hours=12.0), "anna").cycle_hours == 12.0
    assert experiments.get(store, "b").included == ["weekly"]
    assert experiments.get(store, "a").included is None
    revision = store.revision()
    for change, sentence in (
        ({"included": ["nobody"]}, "included: campaign 'nobody' is unknown; `crossmix campaign list`"),
        ({"included": []}, "included: it is empty; name a campaign"),
        ({"included": ["brand"], "excluded": ["spring"]}, "excluded: included is there too"),
    ):
        with pytest.raises(VerdictError, match=sentence):
            experiments.begin(store, plan("e", **change), "anna")
    assert store.revision() == revision
    assert experiments.get(store, "d").ended is None, "one that cannot begin ends none"


def test_extending_only_lengthens_and_not_after_the_planned_end(store: Store, clock: MemoryClock) -> None:
    assert experiments.extend(store, "first", 21, "anna", "a holiday").days == 21
    assert trail(store, "first") == [("experiment.extend", "anna", "a holiday")]
    with pytest.raises(StepError, match=r"^days: 21 are not more than the 21 that are planned; give more, or end it$"):
        experiments.extend(store, "first", 21, "anna")
    clock.set(START + 21 * DAY - timedelta(seconds=1))
    assert experiments.extend(store, "first", 22, "anna").days == 22
    clock.set(START + 22 * DAY)
    with pytest.raises(StepError, match=r"planned end at 2024-11-26 00:00 UTC and its closing test has been told"):
        experiments.extend(store, "first", 30, "anna")
    experiments.finish(store, "first", "done", "anna")
    with pytest.raises(
        StepError, match=r"^experiment: 'first' has ended, at .* by anna \(done\), so that it cannot be"
    ):
        experiments.extend(store, "first", 30, "anna")
    with pytest.raises(UnknownExperimentError, match=r"'nobody' is not in the database, which has 'first'"):
        experiments.extend(store, "nobody", 30, "anna")


def test_ending_is_once_and_told(store: Store) -> None:
    assert experiments.finish(store, "first", "a holiday", "anna").state == "ended"
    with pytest.raises(StepError, match=r"'first' has ended, at 2024-11-06 12:00 UTC by anna \(a holiday\) already"):
        experiments.finish(store, "first", "again", "bob")
    assert trail(store, "first") == [("experiment.end", "anna", "a holiday")]


def test_shipping_ends_it_and_says_since_when(store: Store, clock: MemoryClock) -> None:
    shipped = experiments.ship(store, "first", "anna")
    assert (shipped.ended, shipped.shipped, shipped.outcome, shipped.reason) == (clock(), clock(), "shipped", "shipped")
    assert [action for action, _, _ in trail(store, "first")] == ["experiment.end", "experiment.ship"]
    with pytest.raises(StepError, match="'first' was shipped already, at 2024-11-06 12:00 UTC"):
        experiments.ship(store, "first", "anna")


def test_one_that_a_guardrail_ended_ships_only_with_a_reason(store: Store, clock: MemoryClock) -> None:
    experiments.end(store, "first", "guardrail roi_drop", GUARDRAIL, 3)
    ended = clock()
    clock.advance(DAY)
    with pytest.raises(StepError, match=r"^reason: missing; a guardrail ended 'first' \(guardrail roi_drop\): say why"):
        experiments.ship(store, "first", "anna")
    shipped = experiments.ship(store, "first", "anna", "the drop was a broken feed")
    assert (shipped.ended, shipped.shipped, shipped.reason) == (ended, clock(), "guardrail roi_drop")
    assert experiments.awaiting_rollback(store, "first") is None, "what ships is not rolled back"


def test_only_the_newest_ships(store: Store) -> None:
    experiments.begin(store, plan(), "anna")
    with pytest.raises(StepError, match="'second' has begun since 'first'; ship that one, or begin another"):
        experiments.ship(store, "first", "anna", "it was good")


def test_one_that_runs_is_not_archived(store: Store, clock: MemoryClock) -> None:
    with pytest.raises(StepError, match="'first' runs; end or ship it first"):
        experiments.archive(store, "first", "anna")
    experiments.ship(store, "first", "anna")
    assert experiments.archive(store, "first", "anna").archived == clock()
    clock.advance(DAY)
    assert experiments.archive(store, "first", "bob").archived == clock() - DAY, "once"
    assert experiments.latest(store) == experiments.get(store, "first"), "everybody goes on with what was shipped"


def test_a_salt_is_shown_nowhere(store: Store) -> None:
    new = experiments.begin(store, plan(), "anna")
    experiments.ship(store, "second", "anna")
    assert new.salt == "pepper"
    shown = [repr(new), str(new.as_dict()), repr(plan())]
    shown += [str(entry.as_dict()) for entry in audit.trail(store)]
    assert all("pepper" not in text for text in shown)
    assert "salt" not in new.as_dict()
    assert isinstance(new, Experiment)


def test_a_life_on_both_engines(empty: str) -> None:
    store = Store(empty, MemoryClock(START))
    assert [one.id for one in experiments.first(store, plan("first", cycle_hours=None), "crossmix serve")] == ["first"]
    assert experiments.first(store, plan("other"), "crossmix serve")[-1].id == "first", "the database rules"
    new = experiments.begin(store, plan(), "anna")
    assert (new.included, new.excluded, new.cycle_hours) == (None, None, 24.0)
    assert experiments.ship(store, "second", "anna").state == "shipped"
    assert [(one.id, one.state) for one in experiments.load_all(store)] == [
        ("first", "replaced"),
        ("second", "shipped"),
    ]
    assert experiments.archive(store, "first", "anna").state == "archived"
    store.close()

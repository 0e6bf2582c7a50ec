"""A canary's life in the ledger: one at a time, each step once and audited, settled once the servers were asked."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from crossmix.clock import MemoryClock
from crossmix.ledger import audit, canaries
from crossmix.ledger.canaries import ACTOR, ENDED, PROMOTED, ROLLED_BACK, CanaryError, Plan
from crossmix.ledger.store import Store

BEGINS = datetime(2026, 1, 5, 9, tzinfo=UTC)
PLAN = Plan(2, "b" * 64, 1, (0.1, 0.5, 1.0), 7, 0.0, 0.05)


@pytest.fixture
def clock() -> MemoryClock:
    return MemoryClock(BEGINS)


@pytest.fixture
def store(tmp_path: Path, clock: MemoryClock) -> Store:
    return Store(f"sqlite:///{tmp_path / 'serving.db'}", clock)


def test_it_begins_steps_and_ends_once_each(store: Store, clock: MemoryClock) -> None:
    row, revision = canaries.begin(store, PLAN, "ann", "better"), store.revision()
    assert (row.version, row.champion, row.began, row.part, row.ended) == (2, 1, BEGINS, 0.1, None)
    assert row.as_dict()["state"] == "running"
    clock.advance(timedelta(days=7))
    assert canaries.advance(store, row, reason="7 cycles")
    assert not canaries.advance(store, row), "a replica that saw the same"
    now = canaries.load_all(store)[-1]
    assert now.steps == ((BEGINS, 0.1), (BEGINS + timedelta(days=7), 0.5))
    assert (now.step, now.part, now.step_began) == (1, 0.5, BEGINS + timedelta(days=7))
    assert canaries.end(store, now, PROMOTED, "passed", ACTOR)
    assert not canaries.end(store, now, ROLLED_BACK, "lost", "guardrail")
    over = canaries.load_all(store)[-1]
    assert (over.outcome, over.reason, over.ended_by, over.part, over.settled) == (
        PROMOTED, "passed", ACTOR, 0.0, None,
    )  # fmt: skip
    canaries.settle(store, over, {"policy": 2, "canary": 2}, "passed")
    canaries.settle(store, over, {"policy": 2, "canary": 2}, "passed")
    assert canaries.load_all(store)[-1].settled == clock()
    assert store.revision() > revision
    entries = audit.trail(store, "version 2")[::-1]
    assert [(entry.action, entry.actor) for entry in entries] == [
        ("canary.begin", "ann"), ("canary.step", ACTOR), ("canary.end", ACTOR), ("canary.settle", ACTOR),
    ]  # fmt: skip
    assert entries[1].after == {"step": 2, "part": 0.5}
    assert entries[3].after == {"outcome": PROMOTED, "answers": {"policy": 2, "canary": 2}}


def test_one_at_a_time_and_the_next_after_the_last_is_settled(store: Store) -> None:
    first = canaries.begin(store, PLAN, "ann")
    with pytest.raises(CanaryError, match="version 2 is on trial; end that one first"):
        canaries.begin(store, PLAN, "ann")
    with pytest.raises(CanaryError, match="reason: it is empty; say why the canary ends"):
        canaries.end(store, first, ENDED, "", "ann")
    assert canaries.end(store, first, ENDED, "the campaign is over", "ann")
    with pytest.raises(CanaryError, match="the end of version 2's is not settled yet"):
        canaries.begin(store, PLAN, "ann")
    canaries.settle(store, first, {}, "")
    second = canaries.begin(store, PLAN, "ann")
    assert second.began > first.began, "also by a clock that stands still"
    assert [one.id for one in canaries.load_all(store)] == [first.id, second.id]


def test_the_champion_is_no_canary(store: Store) -> None:
    with pytest.raises(CanaryError, match="version: 1 is champion already; name another"):
        canaries.begin(store, Plan(1, "a" * 64, 1, (0.1,), 7, 0.0, 0.05), "ann")
    assert canaries.load_all(store) == []

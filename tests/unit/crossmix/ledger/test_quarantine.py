"""`crossmix.ledger.quarantine`: held, let go, decided; each with its audit, and what reads it reads anew."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from crossmix.ledger import audit, feedback, quarantine
from crossmix.ledger.quarantine import CONFIRMED, DISCARDED, HELD, Cell, Entry
from crossmix.ledger.store import Store

NOW = datetime(2026, 3, 9, 12, tzinfo=UTC)
LATER = NOW + timedelta(days=1)


def entry(cycle: int, platform: str = "search", **more: object) -> Entry:
    plain = Entry(
        "spring", "policy", platform, cycle, "impossible", "value", 500.0, 5.0, 9.0, f"value of {cycle}", NOW, HELD,
        "guard", "", NOW,
    )  # fmt: skip
    return replace(plain, **more)  # type: ignore[arg-type]


@pytest.fixture
def store(empty: str) -> Iterator[Store]:
    one = Store(empty, lambda: NOW)
    event = feedback.Event(
        event_id="e", campaign_id="spring", arm="policy", platform="search", cycle=4, known=4, user=None, requests=None,
        impressions=1.0, clicks=0.0, conversions=0.0, revenue=0.0, spend=1.0,
    )  # fmt: skip
    feedback.insert(one, [event], NOW)
    yield one
    one.close()


def late(store: Store) -> int:
    return feedback.states(store)["spring", "policy"].late


def test_what_is_held_is_read_back_once(store: Store) -> None:
    assert quarantine.update(store, [entry(5), entry(4)], [], NOW) == [entry(4).cell, entry(5).cell]
    assert quarantine.update(store, [entry(4, observed=1.0)], [], LATER) == []
    assert quarantine.read(store) == [entry(4), entry(5)]
    assert quarantine.read(store, ["spring"], [HELD]) == [entry(4), entry(5)]
    assert quarantine.read(store, ["other"]) == quarantine.read(store, [], [HELD]) == []
    assert late(store) == 1
    (line,) = audit.trail(store, "spring")
    assert (line.action, line.actor, line.at, line.before) == ("feedback.hold", "guard", NOW, None)
    about = {"arm": "policy", "platform": "search", "cycles": [4, 5], "cause": "impossible", "quantity": "value"}
    assert line.after == {**about, "state": "held", "sentence": "value of 5"}


def test_of_more_campaigns_than_a_query_names_those_alone_are_read(store: Store) -> None:
    held = [entry(4, campaign_id=f"c{number:03}") for number in (0, 599, 600)]
    quarantine.update(store, held, [], NOW)
    names = [f"c{number:03}" for number in range(600)]
    assert quarantine.read(store, names, [HELD]) == held[:2]


def test_what_was_corrected_is_let_go_and_may_be_held_again(store: Store) -> None:
    quarantine.update(store, [entry(4)], [], NOW)
    assert quarantine.update(store, [], [entry(4)], LATER) == [Cell("spring", "policy", "search", 4)]
    (now,) = quarantine.read(store)
    assert (now.state, now.actor, now.at, now.since) == (CONFIRMED, "guard", LATER, NOW)
    assert quarantine.update(store, [], [entry(4)], LATER) == []
    assert quarantine.update(store, [entry(4, since=LATER, at=LATER)], [], LATER) == [entry(4).cell]
    (again,) = quarantine.read(store)
    assert (again.state, again.since, again.at) == (HELD, NOW, LATER)
    assert [line.action for line in audit.trail(store)] == ["feedback.hold", "feedback.release", "feedback.hold"]
    assert late(store) == 3


@pytest.mark.parametrize(("state", "action"), [(CONFIRMED, "feedback.confirm"), (DISCARDED, "feedback.discard")])
def test_a_person_decides_and_that_stands(store: Store, state: str, action: str) -> None:
    quarantine.update(store, [entry(4), entry(5), entry(5, "social")], [], NOW)
    decided = quarantine.decide(store, "spring", state, "ann", "seen", LATER, platform="search", cycles=(5, 9))
    assert decided == [entry(5, state=state, actor="ann", reason="seen", at=LATER)]
    assert quarantine.read(store, states=[HELD]) == [entry(4), entry(5, "social")]
    assert quarantine.read(store, states=[state]) == decided
    line = audit.trail(store)[0]
    assert (line.action, line.actor, line.reason, line.at) == (action, "ann", "seen", LATER)
    assert (line.before["state"], line.after["state"], line.after["cycles"]) == (HELD, state, [5])
    assert late(store) == 2
    assert quarantine.update(store, [entry(5)], [entry(5)], LATER) == []
    assert quarantine.read(store, states=[state]) == decided


def test_only_what_is_held_is_decided_unless_it_is_said_again(store: Store) -> None:
    quarantine.update(store, [entry(4)], [], NOW)
    assert quarantine.decide(store, "spring", CONFIRMED, "ann", "", NOW, arm="control") == []
    assert len(quarantine.decide(store, "spring", CONFIRMED, "ann", "", NOW)) == 1
    assert quarantine.decide(store, "spring", DISCARDED, "ann", "", NOW) == []
    (decided,) = quarantine.decide(store, "spring", DISCARDED, "bob", "after all", LATER, again=True)
    assert (decided.state, decided.actor) == (DISCARDED, "bob")


def test_a_confirmed_finding_covers_later_ones_of_its_kind_and_size() -> None:
    confirmed = entry(4, state=CONFIRMED, actor="ann")
    assert confirmed.covers(entry(6))
    assert confirmed.covers(entry(6, observed=300.0))
    assert not confirmed.covers(entry(6, observed=2_000.0))
    assert not confirmed.covers(entry(3))
    assert not confirmed.covers(entry(6, "social"))
    assert not confirmed.covers(entry(6, arm="control"))
    assert not confirmed.covers(entry(6, quantity="cvr"))
    assert not entry(4).covers(entry(6))
    assert not entry(4, state=CONFIRMED).covers(entry(6))


def test_how_much_is_not_believed_is_told_by_what_is_wrong() -> None:
    assert [entry(4, quantity=name).doubt for name in ("value", "cvr", "ctr", "price", "requests")] == [1, 1, 2, 3, 3]
    assert (
        entry(4, cause="overspent", quantity="spend").doubt == entry(4, cause="identity", quantity="clicks").doubt == 3
    )

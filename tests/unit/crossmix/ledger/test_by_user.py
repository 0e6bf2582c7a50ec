"""Figures by user are read anew once something came; where that takes long, from a while ago."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from pathlib import Path

import pytest

from crossmix.ledger import outcomes_by_user
from crossmix.ledger.experiments import get
from crossmix.ledger.outcomes_read import read
from tests.support.experiments import DAY, START, deliver, event, make_store


@pytest.fixture
def users(tmp_path: Path) -> Callable[[], int]:
    """Users of the policy arm as told now, after an event of one more."""
    store, number = make_store(tmp_path), itertools.count()

    def told_after_one_more() -> int:
        more = next(number)
        deliver(store, [event(arm, 0, user=f"{arm}{more}") for arm in ("policy", "control")])
        outcomes = read(store, get(store, "first"), START + 3 * DAY)
        return len(outcomes_by_user.users_lately(store, outcomes).during["policy"])

    return told_after_one_more


def test_what_is_read_in_no_time_is_always_the_newest(
    users: Callable[[], int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(outcomes_by_user, "QUICK", float("inf"))
    assert [users() for _ in range(3)] == [1, 2, 3]


def test_what_takes_long_is_read_again_after_a_while(users: Callable[[], int], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outcomes_by_user, "QUICK", -1.0)
    monkeypatch.setattr(outcomes_by_user, "PATIENCE", float("inf"))
    assert [users() for _ in range(2)] == [1, 1]
    monkeypatch.setattr(outcomes_by_user, "PATIENCE", 0.0)
    assert users() == 3


def test_where_nothing_came_nothing_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store, asked = make_store(tmp_path), []
    deliver(store, [event(arm, 0, user=arm) for arm in ("policy", "control")])
    outcomes, reading = read(store, get(store, "first"), START + 3 * DAY), outcomes_by_user.users
    monkeypatch.setattr(outcomes_by_user, "users", lambda *given: asked.append(given) or reading(*given))
    assert outcomes_by_user.users_lately(store, outcomes) is outcomes_by_user.users_lately(store, outcomes)
    assert len(asked) == 1


def test_users_of_several_statements_are_added(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = make_store(tmp_path, campaigns={"spring": {}, "summer": {}})
    told = [("policy", "ann"), ("policy", "ben"), ("control", "cat")]
    deliver(store, [event(arm, 0, user=user, campaign_id=name) for name in ("spring", "summer") for arm, user in told])
    outcomes = read(store, get(store, "first"), START + 3 * DAY)
    together = outcomes_by_user.users(store, outcomes)
    monkeypatch.setattr(outcomes_by_user, "NAMES", 1)
    apart = outcomes_by_user.users(store, outcomes)
    for one in (together, apart):
        assert [len(one.during[arm]) for arm in ("policy", "control")] == [2, 1]
        assert one.impressions == outcomes.of("impressions").sum()
    assert {arm: rows.tolist() for arm, rows in apart.during.items()} == {
        arm: rows.tolist() for arm, rows in together.during.items()
    }

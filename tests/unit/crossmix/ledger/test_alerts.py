"""Alerts on SQLite and PostgreSQL: each kept once per side, and one open run however many come at once."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import sqlalchemy as sa

from crossmix.clock import MemoryClock
from crossmix.ledger import alerts, outbox, runs, tables
from crossmix.ledger.alerts import Notice, Receipt
from crossmix.ledger.store import Store

MARKET = datetime(2026, 1, 5, tzinfo=UTC)
WALL = datetime(2027, 6, 1, 12, tzinfo=UTC)


@pytest.fixture
def clock() -> MemoryClock:
    return MemoryClock(MARKET)


@pytest.fixture
def store(empty: str, clock: MemoryClock) -> Iterator[Store]:
    opened = Store(empty, clock)
    yield opened
    opened.close()


def notice(alert_id: str, campaign_id: str = "spring", **more: Any) -> Notice:
    values: dict[str, Any] = {
        "cause": "cvr",
        "platform": None,
        "cycle": 7,
        "severity": "warning",
        "dedupkey": "k",
        "sender": "crossmix",
        "event": {"id": alert_id, "data": {"z": None, "detail": "für"}},
    }
    return Notice(alert_id=alert_id, campaign_id=campaign_id, **values | more)


def accept(store: Store, *notices: Notice, hours: float = 24.0) -> list[Receipt]:
    return alerts.accept(store, notices, starts=("warning",), cooldown=timedelta(hours=hours), now=WALL)


def outcomes(receipts: Sequence[Receipt]) -> list[str]:
    return [one.outcome for one in receipts]


def test_what_becomes_of_an_alert(store: Store, clock: MemoryClock) -> None:
    assert outcomes(accept(store, notice("a"), notice("b"), notice("a"), notice("c", severity="info"))) == [
        "run",
        "open",
        "duplicate",
        "noted",
    ]
    (run,) = runs.newest(store)
    assert (run.run_id, run.campaign_id, run.alert_id, run.state) == (alerts.run_of("a"), "*", "a", "claimed")
    assert (run.claimed, run.opened, run.closed, run.attempts) == (MARKET, WALL, None, 0)
    assert run.spec == {"campaign_id": "*", "at": MARKET.isoformat(), "alert": dict(notice("a").event)}
    runs.close(store, run, runs.SUCCEEDED)
    clock.advance(timedelta(hours=23))
    assert accept(store, notice("d")) == [Receipt("cooldown", run.run_id)]
    clock.advance(timedelta(hours=1))
    assert accept(store, notice("e"), notice("d"), notice("b")) == [
        Receipt("run", alerts.run_of("e")),
        Receipt("duplicate", run.run_id),
        Receipt("duplicate", run.run_id),
    ]
    kept = {one.notice.alert_id: (one.side, one.outcome, one.run_id) for one in alerts.newest(store)}
    assert kept["b"] == ("accepted", "open", run.run_id)
    assert kept["c"] == ("accepted", "noted", None)
    assert kept["d"] == ("accepted", "cooldown", run.run_id)


def test_without_a_cooldown_the_next_may_follow_at_once(store: Store) -> None:
    (first,) = accept(store, notice("a"), hours=0)
    runs.close(store, runs.newest(store)[0], runs.FAILED, "x" * 2_000)
    assert outcomes(accept(store, notice("b"), hours=0)) == ["run"]
    failed = next(run for run in runs.newest(store) if run.run_id == first.run_id)
    assert failed.detail == "x" * 1_000


def test_raised_and_accepted_are_two_things(store: Store) -> None:
    assert alerts.raise_alert(store, notice("a"), ["ops", "chat", "ops"], WALL)
    assert not alerts.raise_alert(store, notice("a"), ["ops", "more"], WALL)
    assert outcomes(accept(store, notice("a"))) == ["run"]
    assert {(one.side, one.at) for one in alerts.newest(store)} == {("raised", MARKET), ("accepted", MARKET)}
    assert [one.notice for one in alerts.newest(store, alerts.RAISED)] == [notice("a")]
    assert outbox.counts(store, ["ops"]) == {
        ("ops", "waiting"): 1,
        ("ops", "parked"): 0,
        ("chat", "waiting"): 1,
    }
    assert [letter.target for letter in outbox.undelivered(store)] == ["chat", "ops"]
    letter = outbox.take(store, "ops", WALL, timedelta(seconds=90))
    assert letter is not None
    outbox.delivered(store, letter, WALL, 202)
    assert [(left.target, left.attempts) for left in outbox.undelivered(store)] == [("chat", 0)]


def _at_once(works: Sequence[Any]) -> list[Any]:
    together, found = threading.Barrier(len(works)), []

    def one(work: Any) -> None:
        together.wait()
        found.append(work())

    threads = [threading.Thread(target=one, args=(work,)) for work in works]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return found


def test_a_flood_at_once_opens_one_run_of_all_campaigns(store: Store) -> None:
    """Each request has an alert of both campaigns, and one that all of them have."""

    def request(number: int) -> list[str]:
        pair = [notice(f"s{number}"), notice(f"t{number}", "summer"), notice("same")]
        return outcomes(accept(store, *(pair if number % 2 else reversed(pair))))

    found = _at_once([lambda number=number: request(number) for number in range(12)])
    told = [outcome for one in found for outcome in one]
    assert len(found) == 12
    assert told.count("run") == 1
    assert told.count("duplicate") == 11
    assert told.count("open") == 24
    (run,) = runs.newest(store)
    assert run.campaign_id == "*"
    assert {one.run_id for one in alerts.newest(store)} == {run.run_id}


def test_the_database_itself_lets_one_run_in(store: Store) -> None:
    accept(store, notice("a"))
    row = {"run_id": "run-2", "campaign_id": "*", "alert_id": "b", "spec": {}, "state": "claimed"}
    with pytest.raises(sa.exc.IntegrityError), store.write() as connection:
        connection.execute(tables.runs.insert(), row | {"claimed": MARKET, "opened": WALL})


def test_a_run_is_taken_by_one_process(store: Store) -> None:
    accept(store, notice("a"))
    # One of before, when each campaign had its own.
    row = {"run_id": "run-2", "campaign_id": "summer", "alert_id": "b", "spec": {}, "state": "claimed"}
    with store.write() as connection:
        connection.execute(tables.runs.insert(), row | {"claimed": MARKET, "opened": WALL})
    lease = timedelta(seconds=60)
    found = _at_once([lambda name=name: runs.take(store, name, WALL, lease) for name in ("one", "two", "three")])
    assert sorted(len(one) for one in found) == [0, 0, 2]
    (holder,) = {run.holder for run in runs.newest(store)}
    assert runs.take(store, "four", WALL + lease - timedelta(seconds=1), lease) == []
    assert len(runs.take(store, str(holder), WALL, lease)) == 2
    assert len(runs.take(store, "four", WALL + lease, lease)) == 2
    assert runs.open_counts(store) == {"claimed": 2, "started": 0}


def test_a_letter_is_taken_by_one_process(store: Store) -> None:
    alerts.raise_alert(store, notice("a"), ["ops"], WALL)
    found = _at_once([lambda: outbox.take(store, "ops", WALL, timedelta(seconds=90)) for _ in range(4)])
    (letter,) = [one for one in found if one is not None]
    assert (letter.alert_id, letter.event, letter.attempts) == ("a", notice("a").event, 0)
    assert letter.due == WALL + timedelta(seconds=90)


def test_letters_go_by_when_they_are_due_until_they_are_delivered(store: Store) -> None:
    for minute, name in enumerate(("b", "a")):
        alerts.raise_alert(store, notice(name), ["ops"], WALL + timedelta(minutes=minute))
    now, lease = WALL + timedelta(minutes=5), timedelta(seconds=90)
    first = outbox.take(store, "ops", now, lease)
    assert first is not None
    assert first.alert_id == "b"
    outbox.again(store, first, WALL, 503, "HTTP 503")
    again = outbox.take(store, "ops", now, lease)
    assert again is not None
    assert (again.alert_id, again.attempts, again.status, again.trouble) == ("b", 1, 503, "HTTP 503")
    outbox.delivered(store, again, now, 202)
    outbox.park(store, again, now, 400, "too late: it was delivered")
    assert [(one.alert_id, one.parked) for one in outbox.undelivered(store)] == [("a", None)]
    assert outbox.take(store, "chat", now, lease) is None

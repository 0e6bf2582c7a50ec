"""What of the past is another since it was taken in, on both engines: the first row that differs and no other cause."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from crossmix.clock import MemoryClock
from crossmix.ledger import experiments, feedback, quarantine, served
from crossmix.ledger.campaigns import Campaign, changing
from crossmix.ledger.experiments import Plan
from crossmix.ledger.feedback import Event
from crossmix.ledger.past import Past, compare, view
from crossmix.ledger.returned import read
from crossmix.ledger.store import Store

START = datetime(2026, 1, 5, tzinfo=UTC)
DAY, HOUR = timedelta(days=1), timedelta(hours=1)
NAMES = ("a", "b")
TAKEN = 5
"""Days that were taken in, an hour after the last has ended."""


class Ledger:
    """Two campaigns, of which each day is reported as it ends."""

    def __init__(self, url: str) -> None:
        self.clock = MemoryClock(START)
        self.store = Store(url, clock=self.clock)
        experiments.begin(self.store, Plan("first", "salt", {"policy": 0.75, "control": 0.25}, 14, 0.05), "tester")
        with changing(self.store, "tester", "") as table:
            table.add_all([campaign(name) for name in NAMES])
        self.number = 0
        for cycle in range(TAKEN):
            self.tell(cycle, cycle, after=(cycle + 1) * DAY - HOUR)
        self.past = self.compared(TAKEN * DAY + HOUR)[1]
        self.origin = self.past.row - TAKEN + 1

    def tell(self, cycle: int, known: int, after: timedelta, name: str = "a", **changes: object) -> str:
        self.number += 1
        amounts = {"impressions": 10.0, "clicks": 2.0, "conversions": 1.0, "revenue": 5.0, "spend": 4.0}
        where = {"campaign_id": name, "arm": "policy", "platform": "search", "user": None, "requests": None}
        told = {"event_id": f"e{self.number}", "cycle": cycle, "known": known, **where, **amounts, **changes}
        feedback.insert(self.store, [Event(**told)], START + after)  # type: ignore[arg-type]
        return f"e{self.number}"

    def compared(self, after: timedelta, past: Past | None = None) -> tuple[int | None, Past]:
        seen = view(self.store, NAMES, 24.0, START + after)
        assert seen is not None
        return compare(self.store, past, seen)

    def changed(self, after: timedelta) -> int | None:
        """Cycle of campaign a from which on the past is another."""
        row, _ = self.compared(after, Past.from_dict(json.loads(json.dumps(self.past.as_dict()))))
        return None if row is None else row - self.origin


def campaign(name: str, starts: datetime = START) -> Campaign:
    return Campaign(name, "EUR", 100.0, {"search": 0.25, "social": 0.75}, {}, starts, 30, 24.0)


@pytest.fixture
def ledger(empty: str) -> Iterator[Ledger]:
    made = Ledger(empty)
    yield made
    made.store.close()


def conversions(number: float) -> dict[str, float]:
    return {"impressions": 0.0, "clicks": 0.0, "conversions": number, "revenue": 5.0 * number, "spend": 0.0}


def edit(ledger: Ledger, **changes: object) -> None:
    ledger.clock.advance(5.5 * DAY)
    with changing(ledger.store, "tester", "") as table:
        table.edit(campaign("b"), replace(campaign("b"), **changes))  # type: ignore[arg-type]


def hold(ledger: Ledger, cycle: int) -> None:
    entry = quarantine.Entry(
        *("a", "policy", "search", cycle, "impossible", "value", 1.0, 100.0, -9.0, "", START),
        *(quarantine.HELD, quarantine.GUARD, "", START),
    )
    quarantine.update(ledger.store, [entry], [], START + 5 * DAY)


def split(ledger: Ledger, cycle: int) -> None:
    nothing = dict.fromkeys(("state", "logits", "log_density", "override"))
    row = {"allocation_id": "x", "at": START, "campaign_id": "a", "arm": "policy", "cycle": cycle, "bundle": "b"}
    served.record(ledger.store, [], [{**row, "budget": 80.0, "share": {"search": 1.0}, **nothing}])


NEXT = 5 * DAY + 2 * HOUR
LAST = 5 * DAY - HOUR
"""When the newest report of what was taken in came."""


@pytest.mark.parametrize(
    ("change", "cycle"),
    [
        pytest.param(lambda ledger: None, None, id="nothing"),
        pytest.param(lambda ledger: ledger.tell(5, 5, NEXT), None, id="the day that runs"),
        pytest.param(lambda ledger: ledger.tell(2, 5, NEXT, **conversions(3)), None, id="late conversions"),
        pytest.param(lambda ledger: ledger.tell(3, 5, NEXT, "b"), 3, id="a late report"),
        pytest.param(lambda ledger: ledger.tell(4, 4, LAST, "b"), 4, id="a transaction that ended late"),
        pytest.param(lambda ledger: ledger.tell(4, 4, LAST), 4, id="the same, into the row of an earlier one"),
        pytest.param(lambda ledger: ledger.tell(1, 5, NEXT, replaces="e2", clicks=1.0), 1, id="a correction"),
        pytest.param(lambda ledger: hold(ledger, 2), 2, id="a cell that is held"),
        pytest.param(lambda ledger: hold(ledger, 5), None, id="a cell that is held of the day that runs"),
        pytest.param(lambda ledger: split(ledger, 5), None, id="a split of the day that runs"),
        pytest.param(lambda ledger: edit(ledger, cycle_budget=40.0), None, id="another budget from now on"),
        pytest.param(lambda ledger: edit(ledger, cycles=40), None, id="a longer campaign"),
        pytest.param(lambda ledger: edit(ledger, cycles=3), 3, id="a campaign that had ended"),
    ],
)
def test_the_first_row_that_is_another_is_named(
    ledger: Ledger, change: Callable[[Ledger], object], cycle: int | None
) -> None:
    change(ledger)
    assert ledger.changed(5 * DAY + 3 * HOUR) == cycle
    assert ledger.changed(6 * DAY + HOUR) == cycle


def test_what_may_be_anywhere_changes_all(ledger: Ledger) -> None:
    split(ledger, 2)
    assert ledger.changed(6 * DAY) == -ledger.origin
    ledger.past = ledger.compared(6 * DAY)[1]
    ledger.origin = ledger.past.row - 5
    assert ledger.changed(6 * DAY) is None
    edit(ledger, share={"search": 1.0})
    assert ledger.changed(6 * DAY) == -ledger.origin


def test_a_cell_that_is_believed_again_is_another(ledger: Ledger) -> None:
    hold(ledger, 3)
    ledger.past = ledger.compared(5 * DAY + HOUR)[1]
    assert ledger.changed(5 * DAY + HOUR) is None
    quarantine.update(ledger.store, [], quarantine.read(ledger.store), START + 5 * DAY)
    assert ledger.changed(5 * DAY + HOUR) == 3


def test_a_report_is_another_once(ledger: Ledger) -> None:
    """What came within a day that runs of one before it counts when it is taken in, and is no news at the next look."""
    ledger.tell(4, 5, 5 * DAY + HOUR / 2, "b")
    ledger.past = ledger.compared(5 * DAY + HOUR)[1]
    ledger.tell(5, 5, 6 * DAY - HOUR)
    assert ledger.changed(6 * DAY) is None
    # Conversions that come into the row of a first report count with it.
    ledger.tell(4, 5, 5 * DAY + 2 * HOUR, "b", **conversions(1))
    assert ledger.changed(6 * DAY) == 4


def test_a_database_of_before_is_another(ledger: Ledger) -> None:
    future = replace(ledger.past, row=ledger.past.row + 1)
    assert ledger.compared(5 * DAY + HOUR, future)[0] == 0
    newer = replace(ledger.past, cut=(START + 9 * DAY).isoformat())
    assert ledger.compared(5 * DAY + HOUR, newer)[0] == 0


def test_rows_are_those_of_the_feedback(ledger: Ledger) -> None:
    (found,) = read(ledger.store, ("search",), START + 5 * DAY + HOUR, newest=2)
    assert (found.first, len(found.ends_TC)) == (ledger.past.row - 1, 2)
    assert view(ledger.store, NAMES, 1.0, START + 9 * DAY) is None
    assert view(ledger.store, NAMES, 24.0, START) is None

"""To which experiment a cycle belongs, and who has it once that is over."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import pytest

from crossmix import terms

START = datetime(2026, 1, 5, tzinfo=UTC)
DAY = timedelta(days=1)
MOMENT = timedelta(microseconds=1)


def term(began: float | None, ended: float | None = None, outcome: str | None = None, **more: Any) -> Any:
    def at(days: float | None) -> datetime | None:
        return None if days is None else START + days * DAY

    weights = more.get("weights", {"policy": 0.7, "control": 0.3})
    shipped = at(more.get("shipped"))
    return SimpleNamespace(started=at(began), ended=at(ended), outcome=outcome, shipped=shipped, weights=weights)


def test_a_cycle_belongs_to_the_one_that_ran_as_it_began() -> None:
    first, second = term(0.4, 3, terms.REPLACED), term(3)
    both = (first, second)
    assert terms.in_force(both, START + 3 * DAY) is second  # begun as the cycle began
    assert terms.in_force(both, START + 3 * DAY - MOMENT) is first
    assert terms.in_force(both, START) is first  # nothing ran before the very first
    assert terms.in_force((term(None), second), START).started is None


@pytest.mark.parametrize(
    ("one", "begins", "parts"),
    [
        (term(0), 9, (0.7, 0.3)),
        (term(0, 3), 3, (0.7, 0.3)),  # it ran as the cycle began
        (term(0, 3), 3.1, (0.0, 1.0)),
        (term(0, 3), 2.9, (0.7, 0.3)),
        (term(0, 3, terms.REPLACED), 2, (0.7, 0.3)),
        (term(0, 3, terms.SHIPPED, shipped=3), 3, (0.7, 0.3)),
        (term(0, 3, terms.SHIPPED, shipped=3), 3.1, (1.0, 0.0)),
        (term(0, 3, terms.SHIPPED, shipped=5), 4, (0.0, 1.0)),
        (term(0, 3, terms.SHIPPED, shipped=5), 5, (0.0, 1.0)),
        (term(0, 3, terms.SHIPPED, shipped=5), 5.1, (1.0, 0.0)),
    ],
)
def test_the_parts_of_a_cycle(one: Any, begins: float, parts: tuple[float, float]) -> None:
    at = START + begins * DAY
    assert (terms.part([one], "policy", at), terms.part([one], "control", at)) == parts


def test_an_end_at_a_cycles_begin_changes_nothing_of_that_cycle() -> None:
    """As a clock that stands still gives it: answered, then ended, at one moment."""
    at = START + 3 * DAY
    for ended in (term(0, 3), term(0, 3, terms.SHIPPED, shipped=3), term(0, 3, terms.REPLACED)):
        parts = [terms.part([one], arm, at) for one in (term(0), ended) for arm in ("policy", "control")]
        assert parts == [0.7, 0.3, 0.7, 0.3]
    assert terms.part([term(0, 3)], "control", at + MOMENT) == 1.0
    # The next one ran too as that cycle began.
    assert terms.part([term(0, 3, terms.REPLACED), term(3, weights={"policy": 0.5})], "policy", at) == 0.5

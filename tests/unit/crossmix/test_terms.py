"""To which experiment a cycle belongs, and who has it once that is over."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
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


@dataclass(frozen=True)
class Ran:
    steps: tuple[tuple[datetime, float], ...]
    ended: datetime | None = None


@dataclass(frozen=True)
class Held:
    weights: Mapping[str, float] = field(default_factory=lambda: {"policy": 0.7, "control": 0.3})
    started: datetime | None = START
    ended: datetime | None = None
    outcome: str | None = None
    shipped: datetime | None = None


FIRST = Ran(((START + DAY, 0.1), (START + 3 * DAY, 0.5)), START + 5 * DAY)
SECOND = Ran(((START + 7 * DAY, 0.2),))


def test_a_step_has_the_cycles_that_begin_in_it() -> None:
    parts = [terms.on_trial((FIRST, SECOND), START + n * DAY)[1] for n in range(9)]
    assert parts == [0.0, 0.1, 0.1, 0.5, 0.5, 0.0, 0.0, 0.2, 0.2]
    whose = [terms.on_trial((FIRST, SECOND), START + n * DAY)[0] for n in (0, 4, 5, 8)]
    assert whose == [None, FIRST, None, SECOND]
    assert terms.on_trial((), START) == (None, 0.0)


@pytest.mark.parametrize("n", range(9))
def test_parts_add_up_and_the_canarys_is_the_policys(n: int) -> None:
    begins = START + n * DAY
    canary, policy, control = (
        terms.part((Held(),), arm, begins, (FIRST, SECOND)) for arm in ("canary", "policy", "control")
    )
    assert canary + policy == pytest.approx(0.7)
    assert control == pytest.approx(0.3)
    assert canary == pytest.approx(0.7 * terms.on_trial((FIRST, SECOND), begins)[1])


def test_of_a_static_split_for_everybody_it_has_nobody() -> None:
    over = Held(ended=START + 2 * DAY)
    assert [terms.part((over,), "canary", START + n * DAY, (FIRST,)) for n in (1, 2, 3)] == pytest.approx(
        [0.07, 0.07, 0]
    )

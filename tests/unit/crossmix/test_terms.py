"""Which canary has a cycle, and the arms' parts of users and budget in it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import pytest

from crossmix import terms

DAY = timedelta(days=1)
START = datetime(2026, 1, 5, tzinfo=UTC)


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
    assert [terms.part((over,), "canary", START + n * DAY, (FIRST,)) for n in (1, 2, 3)] == pytest.approx([0.07, 0, 0])

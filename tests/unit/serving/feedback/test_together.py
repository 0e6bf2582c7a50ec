"""Statistics of many arms at once are those of each alone, and cells in arrays those of a loop."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import numpy as np
import pytest

from crossmix.ledger.campaigns import Campaign
from crossmix.ledger.feedback import Increment
from crossmix.ledger.served import Split
from serving.feedback.cells import SPEND, Flight, cells
from serving.feedback.statistics import SEEDED, Known, row_of, rows_of
from tests.support.serving_live import START, raw

PLATFORMS = ("search", "social", "video")
WINDOW, DECAY, SILENT = 5, 0.7, 3
DAYS = 9


def campaign(number: int) -> Campaign:
    """Budgets, starts and zones differ."""
    zone = ("UTC", "Europe/Berlin", None)[number % 3]
    starts = START + timedelta(hours=number % 5)
    return replace(
        Campaign.from_dict({**raw(f"c{number}", cycle_budget=500.0 + 7.3 * number, cycles=DAYS), "timezone": zone}),
        starts=starts,
    )


def flight(number: int) -> Flight:
    """Reports that are late, partial, corrected, ahead of the clock, silent, marked complete or not believed."""
    rng = np.random.default_rng(number)
    increments = []
    for _ in range(int(rng.integers(0, 60))):
        cycle, slot = int(rng.integers(0, DAYS)), int(rng.integers(0, 3))
        known = cycle + int(rng.choice([0, 0, 0, 1, 2, 40]))
        delivered = rng.random(5) * 100 * (rng.random(5) < 0.8) * rng.choice([1.0, 1.0, 1.0, -1.0])
        increments.append(Increment(known, cycle, slot, tuple(delivered.tolist()), tuple(rng.random(2).tolist())))
    splits = {
        cycle: Split(rng.dirichlet(np.ones(3)), 100 * float(rng.random()))
        for cycle in range(DAYS)
        if rng.random() < 0.5
    }
    marked = {(int(rng.integers(0, DAYS)), int(rng.integers(0, 3))) for _ in range(3)}
    held = {(int(rng.integers(0, DAYS)), int(rng.integers(0, 3))): int(rng.integers(1, 4)) for _ in range(number % 4)}
    plan = 1 + rng.random(DAYS + 2) * 300
    static_P = rng.dirichlet(np.ones(3))
    return Flight(increments, marked, splits, static_P, lambda cycle: float(plan[cycle]), DAYS, held=held, hold=3)


def seeds(number: int) -> dict[str, np.ndarray]:
    """Of two in three the log knows something."""
    rng = np.random.default_rng(1_000 + number)
    return {} if number % 3 == 0 else {name: rng.normal(size=3) for name in SEEDED}


def test_rows_made_together_are_those_made_alone() -> None:
    known = []
    for number in range(120):
        newest, then = number % DAYS, number % 7 == 0
        seen = cells(flight(number), newest, SILENT, as_known_then=then)
        known.append(Known(campaign(number), seen, seeds(number)))
    together = rows_of(known, PLATFORMS, WINDOW, DECAY)
    alone = [row_of(one.campaign, PLATFORMS, one.cells, one.seeds, WINDOW, DECAY) for one in known]
    assert [row.end for row in together] == [row.end for row in alone]
    for one, other in zip(together, alone, strict=True):
        # Some processors add a window of many flights in another order: the last bits of float32.
        np.testing.assert_allclose(one.values_X, other.values_X, rtol=1e-5, atol=1e-6)
    assert len({row.values_X.tobytes() for row in together}) == len(known)
    assert rows_of([], PLATFORMS, WINDOW, DECAY) == []


@pytest.mark.parametrize("then", [False, True])
def test_cells_are_those_of_a_loop_over_increments(then: bool) -> None:
    """Bit by bit: the order in which floats are added stays."""
    for number in range(40):
        one = replace(flight(number), held={}, hold=0)
        for newest in (0, 3, DAYS - 2, DAYS - 1):
            made = cells(one, newest, SILENT, as_known_then=then)
            delivered_CPQ, arrived_CPQ, spent_CP = _looped(one, newest, then)
            assert made.delivered_CPQ.tobytes() == delivered_CPQ.tobytes()
            assert made.arrived_CPQ.tobytes() == arrived_CPQ.tobytes()
            reported = spent_CP & (made.told_CP > 0)
            assert (made.spent_CP[reported] == delivered_CPQ[..., SPEND][reported]).all()


def _looped(one: Flight, newest: int, then: bool) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Delivery, arrivals, and which cells have reported spend."""
    delivered_CPQ, arrived_CPQ = np.zeros((newest + 1, 3, 5)), np.zeros((newest + 1, 3, 2))
    counted = [event for event in one.increments if event.cycle <= newest and (event.known <= newest or not then)]
    first: dict[tuple[int, int], int] = {}
    for event in counted:
        if any(event.delivered):
            cell = event.cycle, event.slot
            first[cell] = min(first.get(cell, event.known), event.known)
    spent_CP = np.zeros((newest + 1, 3), bool)
    for event in counted:
        delivered_CPQ[event.cycle, event.slot] += event.delivered
        spent_CP[event.cycle, event.slot] |= event.delivered[SPEND] != 0
        known = event.cycle if first.get((event.cycle, event.slot)) == event.known else event.known
        if newest >= one.cycles - 1:
            known = min(known, newest)
        elif known > newest + 1 and not then:
            known = event.cycle
        if known <= newest:
            arrived_CPQ[known, event.slot] += event.arrived
    return delivered_CPQ, arrived_CPQ, spent_CP

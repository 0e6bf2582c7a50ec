"""Which cycles of an experiment count: those of which a report is not believed do not, in either arm."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from crossmix.ledger import quarantine
from crossmix.ledger.experiments import get
from crossmix.ledger.outcomes import Outcomes
from crossmix.ledger.outcomes_read import read
from crossmix.ledger.quarantine import CONFIRMED, DISCARDED, HELD, Entry
from crossmix.ledger.store import Store
from tests.support.experiments import DAY, START, deliver, event, make_store


def entry(cycle: int, arm: str = "policy", platform: str = "search", campaign: str = "brand") -> Entry:
    """A cell that is held; `cycle` of the campaign, whose first of the experiment is 3."""
    return Entry(
        campaign, arm, platform, cycle, "impossible", "value", 500.0, 5.0, 9.0, "", START, HELD, quarantine.GUARD, "",
        START,
    )  # fmt: skip


@pytest.fixture
def store(tmp_path: Path) -> Store:
    """Four days of two campaigns, 500 of revenue of each arm and day; on the third came what the second had sold."""
    store = make_store(tmp_path, campaigns={"brand": {}, "other": {}})
    days = [event(arm, day, campaign_id=name)
            for day in range(4) for name in ("brand", "other") for arm in ("policy", "control")]  # fmt: skip
    nothing = {"impressions": 0.0, "clicks": 0.0, "conversions": 1.0, "spend": 0.0}
    late = [event(arm, 1, known=5, received=START + 3 * DAY, revenue=70.0, **nothing) for arm in ("policy", "control")]
    social = event("policy", 0, platform="social", revenue=0.0)
    deliver(store, [*days, *late, social])
    return store


def outcomes(store: Store, days: int = 4) -> Outcomes:
    return read(store, get(store, "first"), START + days * DAY)


def test_a_cycle_of_which_a_cell_is_held_counts_for_neither_arm(store: Store) -> None:
    before = outcomes(store)
    assert before.of("revenue").tolist() == [[1000.0, 1070.0, 1000.0, 1000.0]] * 2
    assert before.held == 0
    quarantine.update(store, [entry(6), entry(6, platform="social")], [], START)
    found = outcomes(store)
    assert (found.slot_T, found.held, found.silent, found.finished) == ((0, 1, 2, 3), 1, 0, 4)
    assert found.of("revenue").tolist() == [[1000.0, 1070.0, 1000.0, 500.0]] * 2
    assert found.of("planned")[0].tolist() == [1400.0, 1400.0, 1400.0, 700.0]
    assert found.campaigns_CT.tolist() == [[2, 2, 2, 1]]
    # The other campaign is what it was.
    assert found.only(campaign="other").of("revenue").tolist() == [[500.0] * 4] * 2
    assert found.only(campaign="brand").slot_T == (0, 1, 2)


def test_what_arrived_in_a_held_cell_for_a_cycle_before_counts_for_neither_arm(store: Store) -> None:
    quarantine.update(store, [entry(5, "control")], [], START)
    found = outcomes(store)
    assert found.of("revenue").tolist() == [[1000.0, 1000.0, 500.0, 1000.0]] * 2
    # Of another platform of the same cycle it is believed; the cycle itself is left out.
    quarantine.decide(store, "brand", CONFIRMED, "ann", "", START)
    quarantine.update(store, [entry(5, "control", "social")], [], START)
    assert outcomes(store).of("revenue").tolist() == [[1000.0, 1070.0, 500.0, 1000.0]] * 2


@pytest.mark.parametrize(("state", "revenue", "held"), [(CONFIRMED, 1000.0, 0), (DISCARDED, 500.0, 1)])
def test_what_is_confirmed_counts_again_and_what_is_discarded_never(
    store: Store, state: str, revenue: float, held: int
) -> None:
    quarantine.update(store, [entry(6)], [], START)
    assert outcomes(store).held == 1
    quarantine.decide(store, "brand", state, "ann", "", START)
    found = outcomes(store)
    assert (found.of("revenue")[:, 3].tolist(), found.held) == ([revenue] * 2, held)


def test_what_is_held_outside_the_experiment_is_no_cycle_of_its(store: Store) -> None:
    plain = entry(2)
    quarantine.update(store, [plain, replace(plain, campaign_id="unknown"), entry(7)], [], START)
    found = outcomes(store)
    assert found.held == 0
    assert found.of("revenue").tolist() == [[1000.0, 1070.0, 1000.0, 1000.0]] * 2


def test_a_cycle_that_is_held_in_every_campaign_is_no_cycle(store: Store) -> None:
    quarantine.update(store, [entry(4), entry(4, campaign="other")], [], START)
    found = outcomes(store)
    assert (found.slot_T, found.held, found.silent, found.finished) == ((0, 2, 3), 2, 0, 4)
    assert found.of("revenue").tolist() == [[1000.0, 1000.0, 1000.0]] * 2

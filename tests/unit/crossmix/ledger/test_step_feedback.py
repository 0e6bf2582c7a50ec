"""The feedback step and what persons decided: held stops, confirmed is believed, discarded is unknown."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from crossmix.agents.policy import Policy
from crossmix.artifacts import FeedbackReport, ServingVersion
from crossmix.config import load
from crossmix.feedback import Feedback
from crossmix.ledger import quarantine
from crossmix.ledger.step_feedback import feedback
from crossmix.ledger.store import Store
from crossmix.market.model import save
from crossmix.market.pacing import tables
from crossmix.training.feedback_file import load_feedback, load_served
from tests.support.markets import make_market
from tests.support.served_market import START, fill

CYCLES, CYCLE, PLATFORM = 8, 5, 2


@dataclass
class Ledger:
    """A served flight in which one report cannot be: money below 0."""

    folder: Path
    store: Store
    at: datetime
    number: int = 0

    def read(self) -> tuple[FeedbackReport, Feedback, int]:
        """What the step tells, the feedback that it writes, and how many served cycles."""
        self.number += 1
        out = self.folder / f"read {self.number}"
        out.mkdir()
        url = f"serving.database=sqlite:///{self.folder / 'serving.db'}"
        config = load("laptop", [url, f"readapt.at={self.at.isoformat()}"])
        told, served = feedback(config, self.folder / "champion", self.folder, out), load_served(out)
        return told, load_feedback(out), 0 if served is None else len(served)

    def decide(self, state: str) -> None:
        quarantine.decide(self.store, "c0", state, "ann", "looked at it", self.at, again=True)


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    config, market = load("laptop"), make_market(seed=3, platforms=4, campaigns=2, drift=0.1)
    torch.manual_seed(1)
    policy = Policy(4, (8,), 4, tables(market, config)).eval()
    champion = tmp_path / "champion"
    (champion / "market").mkdir(parents=True)
    save(market, champion / "market")
    ServingVersion(name="p", version=1, bundle_digest="b" * 64, start=False, until=None).save(champion)

    def spoil(arm: str, report: dict[str, Any]) -> None:
        if arm == "policy":
            report["spend"][CYCLE, 0, PLATFORM] = -0.01

    store = Store(f"sqlite:///{tmp_path / 'serving.db'}", lambda: START)
    at = fill(store, config, market, policy, "b" * 64, cycles=CYCLES, seed=32_000_007, poison=spoil)
    yield Ledger(tmp_path, store, at)
    store.close()


def entry(at: datetime) -> quarantine.Entry:
    """As the guard holds it."""
    return quarantine.Entry(
        campaign_id="c0",
        arm="policy",
        platform="p2",
        cycle=CYCLE,
        cause="identity",
        quantity="spend",
        observed=-0.01,
        expected=0.0,
        z=None,
        sentence="spend -0.01 against 0, which cannot be",
        since=at,
        state=quarantine.HELD,
        actor=quarantine.GUARD,
        reason="",
        at=at,
    )


def unknown(found: Feedback) -> list[tuple[int, int, int]]:
    """Cycle, campaign and platform of what is unknown while the campaign runs."""
    cells = np.argwhere(np.isnan(found.impressions_TCP) & (found.cycle_TC >= 0)[..., None]).tolist()
    return [(int(found.cycle_TC[t, c]), c, p) for t, c, p in cells]


def test_a_held_cell_stops_a_confirmed_one_is_believed_and_a_discarded_one_is_unknown(ledger: Ledger) -> None:
    quarantine.update(ledger.store, [entry(ledger.at)], [], ledger.at)
    told, found, served = ledger.read()
    assert [(one.cause, one.arm, one.campaign, one.platform, one.first, one.cycle) for one in told.suspects] == [
        ("identity", "policy", "c0", "p2", CYCLE, CYCLE)
    ]
    assert unknown(found) == [(CYCLE, 0, PLATFORM)]
    assert served == told.served == 2 * CYCLES - 1, "eq. 12 does not learn from it either"

    ledger.decide(quarantine.CONFIRMED)
    told, found, served = ledger.read()
    assert told.suspects == ()
    assert unknown(found) == []
    assert served == 2 * CYCLES

    ledger.decide(quarantine.DISCARDED)
    told, found, served = ledger.read()
    assert told.suspects == (), "it stops nothing"
    assert unknown(found) == [(CYCLE, 0, PLATFORM)]
    assert served == 2 * CYCLES - 1


def test_a_decision_on_one_arm_is_none_on_the_other(ledger: Ledger) -> None:
    other = replace(entry(ledger.at), arm="control")
    quarantine.update(ledger.store, [other], [], ledger.at)
    ledger.decide(quarantine.CONFIRMED)
    told, found, _ = ledger.read()
    assert [one.arm for one in told.suspects] == ["policy"]
    assert unknown(found) == [(CYCLE, 0, PLATFORM)]

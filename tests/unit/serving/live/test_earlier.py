"""Since when something differs from usual: from the states that the ledger keeps, by the bundle that serves now."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from crossmix.bundle import Bundle
from crossmix.ledger import served
from crossmix.ledger.campaigns import Campaign
from crossmix.ledger.store import Store
from crossmix.response import BELIEF
from crossmix.state import ALLOCATION
from crossmix.unusual import DRIFTING
from serving.live.earlier import MOST, Earlier
from tests.support.bundles import make
from tests.support.markets import make_market
from tests.support.planned_bundles import publish, states

MARKET = make_market(seed=3, campaigns=2, platforms=6)
DAY = timedelta(days=1)
START = datetime(2026, 3, 2, tzinfo=UTC)
RATE, SLOT = DRIFTING.index("click_rate"), 2
PLAN = Campaign("c0", "USD", 1_000.0, {"p0": 1.0}, {}, START, 60, 24.0)


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    return publish(tmp_path_factory.mktemp("saved") / "bundle", market=MARKET)


@pytest.fixture(scope="module")
def seen(saved: Bundle) -> dict[float, np.ndarray]:
    """States (S,) under which the click rate of `SLOT` is believed to be so many times the usual one."""
    state_S = states(MARKET, 1).numpy()[0]
    return {factor: _believing(saved, state_S, factor) for factor in (0.62, 1.0, 1.3)}


def _believing(bundle: Bundle, state_S: np.ndarray, factor: float) -> np.ndarray:
    """By bisection of the window's click rate."""
    low, high = 0.0, 1.0
    for _ in range(40):
        made, middle = state_S.copy(), 0.5 * (low + high)
        ALLOCATION.of_platforms(ALLOCATION.statistics(made), "windowed_ctr")[SLOT] = middle
        beliefs = bundle.decision(made[None], np.zeros((1, 6)), np.ones((1, 6))).beliefs
        assert beliefs is not None
        low, high = (middle, high) if beliefs[0].value_QP[BELIEF.index("click_rate"), SLOT] < factor else (low, middle)
    return made


class Server:
    """What reads: a ledger, and a bundle, a time and campaigns that a test changes."""

    def __init__(self, folder: Path, bundle: Bundle) -> None:
        self.store = Store(f"sqlite:///{folder / 'serving.db'}")
        self.bundle, self.now, self.campaigns = bundle, START, {"c0": PLAN}
        self.earlier = Earlier(
            lambda: self.bundle, lambda: self.campaigns, lambda bundle, name: bundle.contexts[name], lambda: self.now
        )

    def serve(self, cycle: int, state_S: np.ndarray | None, **more: Any) -> None:
        row = {
            "allocation_id": f"{cycle}", "at": START + (cycle + 0.3) * DAY, "campaign_id": "c0", "arm": "policy",
            "cycle": cycle, "bundle": "an earlier one", "budget": 700.0,
            "share": dict.fromkeys(MARKET.platforms, 1 / 6),
            "state": None if state_S is None else state_S.astype("<f4").tobytes(), "logits": None, "log_density": None,
            "override": None,
        }  # fmt: skip
        served.record(self.store, [], [row | more])

    def told(self, cycle: int) -> list[int]:
        """Of the click rate of `SLOT` in the cycles before this one, the newest first."""
        self.now = START + (cycle + 0.5) * DAY
        self.earlier.want("c0", "policy")
        self.earlier.read(self.store)
        assert not self.earlier
        before = self.earlier.last("c0", "policy")
        assert before is not None
        assert (before.cycle, before.bundle) == (cycle, self.bundle.digest)
        assert before.told_TDP.shape == (len(before.told_TDP), len(DRIFTING), 6)
        ways: list[int] = before.told_TDP[:, RATE, SLOT].tolist()
        return ways


@pytest.fixture
def server(tmp_path: Path, saved: Bundle) -> Iterator[Server]:
    made = Server(tmp_path, saved)
    yield made
    made.store.close()


def test_each_cycle_before_is_told_back_to_the_first_that_is_not_known(
    server: Server, seen: dict[float, np.ndarray]
) -> None:
    for cycle, factor in enumerate((1.0, 1.0, 0.62, 1.3, 0.62, 0.62, 0.62, 0.62)):
        server.serve(cycle, seen[factor])
    assert server.told(8) == [-1, -1, -1, -1, 1, -1, 0, 0]
    # Cycle 8 was served as somebody's split: what lies before it says nothing of "on end".
    server.serve(8, None)
    server.serve(9, seen[0.62])
    assert server.told(10) == [-1]
    assert server.told(9) == []
    # As many as the window at most.
    for cycle in range(10, 32):
        server.serve(cycle, seen[1.3])
    assert server.told(32) == [1] * MOST


def test_states_of_another_flight_or_other_platforms_are_not_known(
    server: Server, seen: dict[float, np.ndarray]
) -> None:
    server.serve(0, seen[0.62])
    server.serve(1, seen[0.62], at=START - 3 * DAY)
    server.serve(2, seen[0.62])
    assert server.told(3) == [-1]
    server.serve(3, seen[0.62], share={f"q{slot}": 1 / 6 for slot in range(6)})
    assert server.told(4) == []
    server.serve(4, seen[0.62][:-1])
    assert server.told(5) == []


def test_another_bundle_sees_the_same_statistics_anew(
    server: Server, saved: Bundle, seen: dict[float, np.ndarray], tmp_path: Path
) -> None:
    """Of a market whose click rate there is as low as the states', they are as usual."""
    rates = [
        float(ALLOCATION.of_platforms(ALLOCATION.statistics(seen[factor]), "windowed_ctr")[SLOT])
        for factor in (0.62, 1.0)
    ]
    lower = MARKET.value["ctr"].clone()
    lower[:, SLOT] *= rates[0] / rates[1]
    context = ALLOCATION.context(seen[0.62])
    assert context.any()
    strange = seen[0.62].copy()
    strange[: len(context)] = 9.0  # a context of the bundle that served then
    for cycle in range(3):
        server.serve(cycle, strange)
    assert server.told(3) == [-1, -1, -1]
    first = server.earlier.last("c0", "policy")
    assert server.earlier.last("c0", "policy") is first, "kept until there is more"
    server.bundle = publish(tmp_path / "lower", market=replace(MARKET, value={**MARKET.value, "ctr": lower}))
    assert server.told(3) == [0, 0, 0]
    assert server.earlier.last("c0", "policy") is not first


def test_nothing_is_read_that_nobody_can_tell(server: Server, tmp_path: Path, seen: dict[float, np.ndarray]) -> None:
    server.serve(0, seen[0.62])
    assert server.told(1) == [-1]
    server.campaigns = {}
    server.earlier.want("c0", "policy")
    server.earlier.want("gone", "policy")
    server.earlier.read(server.store)
    assert not server.earlier
    server.campaigns = {"c0": PLAN}
    server.now, server.bundle = START + 2 * DAY, make(tmp_path / "old")
    assert not server.bundle.tells_belief
    before = server.earlier.last("c0", "policy")
    server.earlier.want("c0", "policy")
    server.earlier.read(server.store)
    assert not server.earlier
    assert server.earlier.last("c0", "policy") is before

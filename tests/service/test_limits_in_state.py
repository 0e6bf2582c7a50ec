"""A policy plans within an answer's limits: they stand in the state that it reads, whoever set them."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from crossmix.bundle import Bundle
from crossmix.clock import Clock, MemoryClock
from crossmix.state import ALLOCATION
from serving.campaigns import service as campaigns
from serving.feedback.gaps import Missing
from serving.live.live import Live
from tests.support.asking import ask, shares
from tests.support.markets import make_market
from tests.support.planned_bundles import publish
from tests.support.serving_run import CAMPAIGNS, NAMES

PROBE = 0.02
Array = np.ndarray


@pytest.fixture
def clock() -> Clock:
    return MemoryClock(datetime(2026, 3, 2, 9, tzinfo=UTC))


@pytest.fixture
def planning(live: Live, tmp_path: Path) -> Live:
    """It serves the base policy of a synthetic market, whose money the campaign has."""
    market = replace(make_market(seed=3, campaigns=2), campaigns=CAMPAIGNS, platforms=NAMES)
    saved = publish(tmp_path / "planning", market=market)
    live.champion.current = replace(live.champion.current, bundle=saved)
    plan = saved.plans[CAMPAIGNS[0]]
    money = {"cycle_budget": plan.cycle_budget, "currency": plan.currency}
    campaigns.edit(live.store, CAMPAIGNS[0], money, NAMES, "ann")
    live.reload()
    return live


@pytest.fixture
def edges(planning: Live, monkeypatch: pytest.MonkeyPatch) -> list[tuple[Array, Array]]:
    """Minima and maxima, (P,) each, of every state that the policy is asked about once it serves."""
    seen: list[tuple[Array, Array]] = []
    decision = Bundle.decision

    def watched(bundle: Bundle, state_BS: Array, *rest: Any) -> Any:
        statistics_X = ALLOCATION.statistics(state_BS[0])
        low_P, high_P = (ALLOCATION.of_platforms(statistics_X, name, len(NAMES)).copy() for name in ("min", "max"))
        seen.append((low_P, high_P))
        return decision(bundle, state_BS, *rest)

    monkeypatch.setattr(Bundle, "decision", watched)
    # A bundle's first question is preceded by those that find out what it tells.
    ask(planning, explore=False)
    seen.clear()
    return seen


@pytest.mark.parametrize("probe", [PROBE, 0.05])
def test_what_a_silent_platform_leaves_goes_where_it_earns_alike(
    planning: Live, edges: list[tuple[Array, Array]], monkeypatch: pytest.MonkeyPatch, probe: float
) -> None:
    """The free platforms' believed marginal ROI is one, within 3 %; a split that is cut after the plan has 42 %."""
    assert planning.config.limits.probe == PROBE
    planning.config = replace(planning.config, limits=replace(planning.config.limits, probe=probe))
    before = ask(planning, explore=False)
    slot = int(shares(before).argmax())
    assert shares(before)[slot] > 5 * PROBE
    monkeypatch.setattr(Live, "missing", lambda *_: Missing(silent=((slot, 10),)))
    answer = ask(planning, explore=False)
    assert shares(answer)[slot] == pytest.approx(probe, abs=1e-6)
    assert any("has reported no spend for 10 cycles" in line for line in answer["reasons"])
    assert not any("solved for" in line for line in answer["reasons"])
    free = [line["marginal_roi"] for line in answer["allocation"] if line["binding"] is None and line["share"] > 1e-3]
    assert len(free) > 2
    assert np.ptp(free) < 0.05 * np.median(free), free
    assert edges[0][1][slot] > 5 * PROBE
    assert edges[1][1][slot] == pytest.approx(probe)
    assert np.delete(edges[1][1], slot) == pytest.approx(np.delete(edges[0][1], slot))


def test_limits_of_a_question_and_of_an_edit_stand_in_the_state(
    planning: Live, edges: list[tuple[Array, Array]]
) -> None:
    ask(planning, explore=False, limits={NAMES[3]: {"min": 0.4}, NAMES[0]: {"max": 0.05}})
    low_P, high_P = edges[0]
    assert (low_P[3], high_P[0]) == (pytest.approx(0.4), pytest.approx(0.05))
    ask(planning, explore=False)
    assert (edges[1][0][3], edges[1][1][0]) != (pytest.approx(0.4), pytest.approx(0.05))
    changes = {"limits": {NAMES[2]: {"min": 0.3}, NAMES[1]: {"max": 0.1}}}
    campaigns.edit(planning.store, CAMPAIGNS[0], changes, NAMES, "ann")
    planning.reload()
    answer = ask(planning, explore=False)
    low_P, high_P = edges[2]
    assert (low_P[2], high_P[1]) == (pytest.approx(0.3), pytest.approx(0.1))
    assert shares(answer)[2] >= 0.3 - 1e-6
    assert shares(answer)[1] <= 0.1 + 1e-6

"""How a canary stands: paired by cycle with the policy, with noise known from before; and the experiment's verdict, in
which its users are in neither arm."""

from __future__ import annotations

import math
from collections.abc import Iterable
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from crossmix.evaluate.stats import unequal
from crossmix.ledger import canaries, experiments
from crossmix.ledger.canaries import Plan
from crossmix.ledger.outcomes_read import read
from crossmix.ledger.store import Store
from serving.canary import rail
from serving.experiment.guardrails import BROKEN, HOLDS, UNKNOWN
from tests.support.experiments import DAY, START, deliver, event, make_store

SIX = 6
"""Cycles before the canary."""
NOISE = [0.03, -0.02, 0.05, -0.04, 0.01, -0.03, 0.02, 0.04, -0.05, 0.0]
PART = {"policy": 0.7, "control": 0.3, "canary": 0.07}


def made(folder: Path, **given: Any) -> tuple[Store, canaries.Canary]:
    """An experiment of six cycles, then a canary of 10 % of the policy's users in the cycle after."""
    store = make_store(folder, **given)
    store.clock = lambda: START + SIX * DAY - timedelta(hours=1)
    row = canaries.begin(store, Plan(2, "b" * 64, 1, (0.1, 0.5, 1.0), 7, 0.0, 0.05), "ann")
    return store, row


def days(canary: Iterable[float], first: int = SIX) -> list[dict[str, Any]]:
    """Six cycles of both arms, then those of three; the canary's ROI is the one given, the others' 1."""
    rows = [day(arm, n, 1.0) for n in range(first) for arm in ("policy", "control")]
    for n, roi in enumerate(canary, first):
        rows += [day("policy", n, 1.0, 0.63), day("control", n, 1.0), day("canary", n, roi)]
    return rows


def day(arm: str, n: int, roi: float, part: float | None = None, **more: Any) -> dict[str, Any]:
    money = 1_000.0 * (PART[arm] if part is None else part)
    noisy = roi * math.exp(NOISE[n % len(NOISE)] * {"policy": 1.0, "control": -1.0, "canary": -2.0}[arm])
    return event(arm, n, revenue=noisy * money, spend=0.9 * money, conversions=0.1 * money, **more)


def test_a_canary_that_loses_is_broken_and_one_that_does_not_holds(tmp_path: Path) -> None:
    store, row = made(tmp_path)
    deliver(store, days([0.6, 0.62, 0.61, 0.59]))
    stands = rail.standing(store, row, START + 10 * DAY)
    assert (stands.verdict, stands.cycles, stands.of_step, stands.earlier) == (BROKEN, 4, 4, 4)
    assert stands.detail.startswith("the canary's ROI is -")
    assert stands.detail.endswith("after 4 cycles, wholly below 0%")
    assert stands.lift == pytest.approx(-0.4, abs=0.05)
    assert stands.high is not None
    assert stands.high < 0
    (tmp_path / "good").mkdir()
    good, row = made(tmp_path / "good")
    deliver(good, days([1.0, 1.02, 0.99, 1.01]))
    stands = rail.standing(good, row, START + 10 * DAY)
    assert (stands.verdict, stands.of_step) == (HOLDS, 4)
    assert stands.lift == pytest.approx(0.0, abs=0.05)


def test_its_interval_is_the_tests_at_three_fifths_of_the_false_stops_with_the_noise_from_before(
    tmp_path: Path,
) -> None:
    store, row = made(tmp_path)
    rois = [0.6, 0.62, 0.61, 0.59]
    deliver(store, days(rois))
    stands = rail.standing(store, row, START + 10 * DAY)
    # Five cycles of policy (+ noise) and control (- noise) had finished; the canary's noise is -2, the policy's +1.
    known = unequal.before([2 * noise for noise in NOISE[:5]], unequal.noise([[0.7, 0.3]] * 5))
    ratio = [math.log(roi) - 3 * NOISE[n] for n, roi in enumerate(rois, SIX)]
    one = unequal.unequal(ratio, [[0.07, 0.63]] * 4, 2 * 0.6 * 0.05, known)
    assert one.low > -1
    assert (stands.lift, stands.low, stands.high) == pytest.approx((one.lift, one.low, one.high))


def test_before_it_has_cycles_nothing_can_be_said(tmp_path: Path) -> None:
    store, row = made(tmp_path)
    deliver(store, days([]))
    stands = rail.standing(store, row, START + 7 * DAY)
    assert (stands.verdict, stands.cycles, stands.of_step) == (UNKNOWN, 0, 0)
    assert stands.detail == "0 finished cycles with feedback; 3 are needed: 3 more"


def test_a_canary_that_sells_nothing_is_broken_after_as_many_cycles_as_luck_needs(tmp_path: Path) -> None:
    store, row = made(tmp_path)
    deliver(store, days([0.0] * 5))
    found = [rail.standing(store, row, START + (SIX + n) * DAY) for n in range(1, 6)]
    # 63 conversions of the policy a cycle: 7 of the canary are due, and 4 ln(21 / 0.01) = 30.6 are needed.
    assert [one.verdict for one in found] == [UNKNOWN] * 4 + [BROKEN]
    assert found[-1].detail == (
        "the canary sold nothing in its newest 5 cycles, in which the policy's sales say 35 conversions"
    )


def test_cycles_in_which_the_policy_sold_nothing_either_are_no_silence_of_the_canary(tmp_path: Path) -> None:
    store, row = made(tmp_path)
    rows = days([0.0] * 6)
    for one in rows:
        if one["arm"] == "policy" and one["cycle"] == rows[0]["cycle"] + SIX + 1:
            one |= {"revenue": 0.0, "conversions": 0.0}
    deliver(store, rows)
    assert rail.standing(store, row, START + 12 * DAY).verdict == UNKNOWN, "4 cycles on end, 28 conversions due"


def test_a_silent_canary_without_an_impression_may_have_lost_its_feedback(tmp_path: Path) -> None:
    store, row = made(tmp_path)
    rows = days([0.0] * 5)
    deliver(store, [one | {"impressions": 0.0} if one["arm"] == "canary" else one for one in rows])
    stands = rail.standing(store, row, START + 11 * DAY)
    assert stands.verdict == BROKEN
    assert stands.detail.endswith("35 conversions; it had no impression either: its feedback may be missing")


def test_cycles_of_an_earlier_step_do_not_count_for_the_one_that_runs(tmp_path: Path) -> None:
    store, row = made(tmp_path)
    deliver(store, days([1.0, 1.02, 0.99]))
    store.clock = lambda: START + 9 * DAY - timedelta(hours=1)
    assert canaries.advance(store, row)
    row = canaries.load_all(store)[-1]
    deliver(store, [day("policy", 9, 1.0, 0.35), day("control", 9, 1.0), day("canary", 9, 5.0)])
    stands = rail.standing(store, row, START + 10 * DAY)
    assert (stands.cycles, stands.of_step) == (4, 1)
    parts = rail.delivered(store, row, START + 10 * DAY).part_AT
    assert np.allclose(parts, [[0.07, 0.07, 0.07, 0.35], [0.63, 0.63, 0.63, 0.35]])


def test_the_experiments_verdict_has_its_users_in_neither_arm(tmp_path: Path) -> None:
    store, _ = made(tmp_path)
    deliver(store, days([0.1, 0.1, 0.1, 0.1]))
    outcomes = read(store, experiments.get(store, "first"), START + 10 * DAY)
    assert outcomes.of("planned").ravel().tolist() == pytest.approx([*[700.0] * 6, *[630.0] * 4, *[300.0] * 10])
    roi_T = outcomes.of("revenue")[0] / outcomes.of("planned")[0]
    assert roi_T.tolist() == pytest.approx([math.exp(noise) for noise in NOISE]), "its loss is not the policy's"
    assert outcomes.between(6, 10).part_AT.ravel().tolist() == pytest.approx([0.63] * 4 + [0.3] * 4)


def test_currencies_are_pooled_and_never_added(tmp_path: Path) -> None:
    store, row = made(tmp_path, campaigns={"brand": {}, "yen": {"currency": "JPY"}})
    rows = days([0.6, 0.62, 0.61, 0.59])
    deliver(store, rows)
    other = [{**one, "event_id": f"y{one['event_id']}", "campaign_id": "yen"} for one in rows]
    deliver(store, [{**one, "revenue": 150 * one["revenue"], "spend": 150 * one["spend"]} for one in other])
    stands = rail.standing(store, row, START + 10 * DAY)
    assert (stands.verdict, stands.of_step) == (BROKEN, 4)
    assert stands.lift == pytest.approx(-0.4, abs=0.05)

"""Guardrails of a verdict, from rows written through the store: when they break, and when they hold."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from crossmix.config import Guardrails
from crossmix.evaluate.stats.sequential import sequential
from crossmix.ledger.store import Store
from serving.experiment.verdict import status
from tests.support.experiments import (
    NOISE,
    deliver,
    hour_after,
    lifted,
    make_store,
    paired_days,
)


def _rails(store: Store, days: int, **given: float) -> dict[str, dict[str, Any]]:
    return {rail["name"]: rail for rail in status(store, "first", hour_after(days), Guardrails(**given))["guardrails"]}


def test_guardrails_break_when_the_whole_interval_is_beyond(tmp_path: Path) -> None:
    store = make_store(tmp_path)
    one, other = lifted(-0.15, 8)
    rows = paired_days(one, other)
    for row in rows:
        row["spend"] *= 0.7 if row["arm"] == "policy" else 1.0
    deliver(store, rows)
    found = _rails(store, 8)
    roi = found["roi_drop"]
    assert roi["verdict"] == "broken"
    # Its part of the chance of a false stop, on the one side that stops.
    look = sequential(one, other, 2 * 0.08 * Guardrails().false_stops)
    assert (roi["lift"], roi["high"]) == (pytest.approx(look.lift), pytest.approx(look.high))
    assert roi["high"] < 0
    # Spend 30 % lower to the digit: no spread, so that the interval is a point.
    assert found["utilisation_drop"]["verdict"] == "broken"
    assert found["utilisation_drop"]["lift"] == pytest.approx(-0.3)
    assert found["cpa_rise"]["verdict"] == "holds"
    found = _rails(store, 8, roi_drop=0.14, utilisation_drop=0.31)
    assert found["roi_drop"]["verdict"] == "holds"
    assert found["utilisation_drop"]["verdict"] == "holds"


def test_dear_conversions_break_the_guardrail_of_cpa(tmp_path: Path) -> None:
    store = make_store(tmp_path)
    rows = paired_days(*lifted(0.0, 8))
    for row, noise in zip(rows, np.repeat(NOISE[:8], 2), strict=True):
        share = 0.7 if row["arm"] == "policy" else 0.3
        row["conversions"] = 100 * share * (math.exp(noise) / 1.6 if row["arm"] == "policy" else 1.0)
    deliver(store, rows)
    found = _rails(store, 8)
    assert found["cpa_rise"]["verdict"] == "broken"
    assert found["cpa_rise"]["low"] > 0.3
    assert "the policy's CPA is +59" in found["cpa_rise"]["sentence"]
    assert _rails(store, 8, cpa_rise=0.55)["cpa_rise"]["verdict"] == "holds"


def test_a_silent_policy_breaks_the_guardrail_once_luck_is_ruled_out(tmp_path: Path) -> None:
    """At weights of 70 : 30 a silent cycle has a chance of 13 % at most; 14 x 0.13^n <= 0.08 % from n = 5 on."""
    store = make_store(tmp_path)
    deliver(store, paired_days([1.0] * 2 + [0.0] * 9, [1.0] * 11))
    assert _rails(store, 6)["roi_drop"]["verdict"] == "insufficient data"
    broken = _rails(store, 7)["roi_drop"]
    assert broken["verdict"] == "broken"
    assert "no revenue in its last 5 cycles while control had in each" in broken["sentence"]

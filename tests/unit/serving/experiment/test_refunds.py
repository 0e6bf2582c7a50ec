"""Refunds and corrections in the verdict: it follows them, and does not break where a sum falls below 0."""

from __future__ import annotations

import json
from datetime import timedelta
from pathlib import Path

import pytest

from serving.experiment.verdict import status
from tests.support.experiments import DAY, START, deliver, event, make_store

NOW = START + 4 * DAY + timedelta(hours=1)
QUIET = {"impressions": 0.0, "clicks": 0.0, "conversions": 0.0, "spend": 0.0, "reason": "returned goods"}


def test_the_verdict_follows_a_refund_and_a_correction(tmp_path: Path) -> None:
    store = make_store(tmp_path)
    rows = [event(arm, day, event_id=f"{arm}{day}") for arm in ("policy", "control") for day in range(4)]
    deliver(store, rows)
    before = status(store, "first", NOW)["arms"]["policy"]
    deliver(
        store,
        [
            event("policy", 1, **QUIET, revenue=-200.0),
            event("policy", 2, replaces="policy2", reason="invoice 17", revenue=450.0, spend=150.0),
        ],
    )
    after = status(store, "first", NOW)["arms"]["policy"]
    assert after["revenue"] == before["revenue"] - 200 - 50
    assert after["spend"] == before["spend"] - 50
    assert after["clicks"] == before["clicks"]
    assert after["roi"]["value"] == pytest.approx(after["revenue"] / after["planned"])
    store.close()


def test_refunds_above_all_that_was_earned_are_insufficient_data(tmp_path: Path) -> None:
    store = make_store(tmp_path)
    deliver(store, [event(arm, day) for arm in ("policy", "control") for day in range(4)])
    deliver(store, [event("policy", day, **QUIET, revenue=-900.0) for day in range(4)])
    told = status(store, "first", NOW - DAY)
    assert told["arms"]["policy"]["revenue"] == -1_200
    assert told["verdict"]["word"] == "insufficient data"
    json.dumps(told, allow_nan=False)
    # A fourth cycle on end in which the policy earned nothing and control did is more than luck.
    told = status(store, "first", NOW)
    assert told["verdict"]["word"] == "guardrail broken"
    assert "the policy arm had no revenue in its last 4 cycles" in told["verdict"]["line"]
    json.dumps(told, allow_nan=False)
    store.close()

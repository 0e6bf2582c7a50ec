"""What a look is told as: alarms, and the residual that is furthest out as a part of its own threshold."""

from __future__ import annotations

import sys
from typing import Any

import pytest

from monitoring.monitors import Finding
from pipelines.loop.monitor import answer


def residual(score: float | None, limit: float, quantity: str, **more: Any) -> Finding:
    given = {"observed": score, "score": score, "unit": "", "alarming": False, "detail": quantity, "platform": "p1"}
    return Finding(monitor="residuals", campaign_id="*", arm="*", limit=limit, quantity=quantity, **{**given, **more})


def test_the_furthest_is_the_largest_part_of_its_own_threshold(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "evidently", raising=False)
    found = [
        residual(6.0, 12.0, "cvr"),
        residual(4.5, 3.0, "price", platform="p2", alarming=True, cause="cost"),
        residual(9.0, 0.0, "value"),
    ]
    assert answer(found) == {
        "alarms": [{"monitor": "residuals", "cause": "cost", "detail": "price"}],
        "beyond": 1.5,
        "at": "price on p2",
        "unknown": None,
        "evidently": False,
    }


def test_where_no_residual_can_be_judged_it_says_why(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "evidently", sys)
    told = answer([residual(None, 3.0, "no thresholds")])
    assert (told["beyond"], told["at"], told["unknown"]) == (None, None, "no thresholds")
    assert told["evidently"] is True

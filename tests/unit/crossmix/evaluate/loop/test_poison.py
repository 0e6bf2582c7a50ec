"""Feeds that break: which events change, and how."""

from __future__ import annotations

from typing import Any

import pytest

from crossmix.config import ConfigError
from crossmix.evaluate.loop.poison import POISONS, Poison


def event(platform: str, **amounts: float) -> dict[str, Any]:
    return {"event_id": f"e-{platform}-{len(amounts)}", "platform": platform} | amounts


TODAY = {"requests": 9.0, "impressions": 5.0, "clicks": 2.0, "spend": 4.0, "conversions": 1.0, "revenue": 30.0}
EVENTS = [event("a", **TODAY), event("b", **TODAY), event("a", conversions=2.0, revenue=50.0)]


def broken(kind: str, day: int = 3, arm: str = "control", arms: str = "both") -> list[dict[str, Any]]:
    return Poison(kind, 2, 5, arms).of(EVENTS, arm, day, "a", "b")


@pytest.mark.parametrize("kind", POISONS)
def test_nothing_breaks_before_after_or_in_an_arm_that_is_spared(kind: str) -> None:
    assert broken(kind, 1) == broken(kind, 5) == EVENTS
    assert broken(kind, arm="control", arms="policy") == EVENTS
    assert broken(kind, arm="policy", arms="policy") == broken(kind, arm="policy") != EVENTS


def test_no_conversion_is_told_and_delivery_stays() -> None:
    sold = [(one["platform"], one["spend"], one["conversions"], one["revenue"]) for one in broken("zero_all")]
    assert sold == [("a", 4.0, 0.0, 0.0), ("b", 4.0, 0.0, 0.0)]
    assert broken("zero_top") == [EVENTS[0] | {"conversions": 0.0, "revenue": 0.0}, EVENTS[1]]


def test_revenue_is_told_in_another_unit() -> None:
    assert [one["revenue"] for one in broken("revenue_x100")] == [3_000.0, 3_000.0, 5_000.0]
    assert [one["revenue"] for one in broken("revenue_x5")] == [150.0, 30.0, 250.0]
    assert [one["conversions"] for one in broken("revenue_x100")] == [1.0, 1.0, 2.0]


def test_two_platforms_change_places() -> None:
    assert [one["platform"] for one in broken("swap")] == ["b", "a", "b"]
    assert [one["event_id"] for one in broken("swap")] == [one["event_id"] for one in EVENTS]


def test_every_event_of_the_top_platform_counts_twice() -> None:
    told = broken("twice")
    assert len({one["event_id"] for one in told}) == len(told) == 5
    assert sum(one.get("spend", 0.0) for one in told if one["platform"] == "a") == 8.0
    assert sum(one["conversions"] for one in told if one["platform"] == "a") == 6.0
    assert sum(one["conversions"] for one in told if one["platform"] == "b") == 1.0


def test_a_kind_or_arms_that_there_are_not_are_told() -> None:
    with pytest.raises(ConfigError, match=r"--poison 'salt': is unknown; use one of zero_all"):
        Poison("salt", 0, 1)
    with pytest.raises(ConfigError, match=r"--arms 'control': is unknown; use both or policy"):
        Poison("swap", 0, 1, "control")

"""Broken feeds: silence beside others, reports that cannot be; a sound feed alarms nothing."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from crossmix.config import load
from crossmix.feedback import Feedback
from crossmix.ledger.store import Store
from monitoring.feed import Settings, look
from monitoring.monitors import Finding, Served
from tests.support import watching
from tests.support.watching import DAY, START


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return watching.make_bundle(tmp_path_factory.mktemp("fed") / "bundle").path


def alarms(store: Store, cycle: int, bundle: Path | None, **settings: int) -> list[Finding]:
    served = Served(config=load("laptop", ()), bundle=bundle)
    return [one for one in look(store, START + cycle * DAY, Settings(**settings), served) if one.alarming]


def test_a_sound_feed_is_quiet(database: str, bundle: Path) -> None:
    store = watching.begun(database)
    watching.report(store, watching.flight(15, 3), 0, 15)
    assert alarms(store, 15, bundle) == []
    assert alarms(store, 15, None) == []


def test_a_platform_that_nobody_reports_is_silent_from_its_second_cycle_on(database: str) -> None:
    arms = watching.flight(15, 3)
    store = watching.begun(database)
    watching.report(store, arms, 0, 10)
    watching.report(store, arms, 10, 12, silent=("p1",))
    assert alarms(store, 11, None) == []
    found = alarms(store, 12, None)
    assert [(one.campaign_id, one.cause, one.platform, one.cycle) for one in found] == [
        ("c0", "silent", "p1", 10),
        ("c1", "silent", "p1", 10),
    ]
    assert found[0].observed == 2
    watching.report(store, arms, 10, 13)
    assert alarms(store, 13, None) == []


def test_where_nobody_reports_anything_the_feed_is_late_and_not_silent(database: str) -> None:
    store = watching.begun(database)
    watching.report(store, watching.flight(15, 3), 0, 10)
    watching.report(store, watching.flight(15, 3), 10, 14, silent=("p0", "p1", "p2"))
    assert alarms(store, 14, None) == []


def test_silence_counts_what_was_told_and_is_nobodys_report(database: str) -> None:
    arms = watching.flight(15, 3)
    untold = {name: replace(one, told_TCP=one.told_TCP * np.array([1.0, 0.0, 1.0])) for name, one in arms.items()}
    store = watching.begun(database)
    watching.report(store, arms, 0, 8)
    watching.report(store, untold, 8, 10, silent=("p1",))
    assert alarms(store, 10, None) == []
    watching.report(store, {"policy": arms["policy"]}, 10, 12, silent=("p1",))
    watching.report(store, {"control": arms["control"]}, 10, 12)
    assert alarms(store, 12, None) == []
    watching.report(store, arms, 12, 14, silent=("p1",))
    # Cycles in which the whole feed is late are not known to end it.
    watching.report(store, arms, 14, 15, silent=("p0", "p1", "p2"))
    assert [(one.campaign_id, one.cycle, one.observed) for one in alarms(store, 15, None)] == [
        ("c0", 12, 2.0),
        ("c1", 12, 2.0),
    ]


def changed(arms: dict[str, Feedback], name: str, factor: float, first: int = 13) -> dict[str, Feedback]:
    """The policy's amounts of p2 times a factor from a cycle on."""
    table = getattr(arms["policy"], name).copy()
    table[first:, :, 2] = np.round(table[first:, :, 2] * factor)
    return arms | {"policy": replace(arms["policy"], **{name: table})}


def test_more_clicks_than_impressions_are_told_once_per_platform(database: str, bundle: Path) -> None:
    arms = changed(watching.flight(15, 3), "clicks_TCP", 50.0)
    store = watching.begun(database)
    watching.report(store, arms, 0, 15)
    found = [one for one in alarms(store, 15, bundle) if one.cause == "identity"]
    assert [(one.campaign_id, one.arm, one.platform, one.cycle) for one in found] == [
        ("c0", "policy", "p2", 13),
        ("c1", "policy", "p2", 13),
    ]


def test_more_conversions_than_clicks_are_found_without_a_bundle_too(database: str) -> None:
    arms = changed(watching.flight(15, 3), "conversions_TCP", 60.0)
    store = watching.begun(database)
    watching.report(store, arms, 0, 15)
    found = alarms(store, 15, None)
    assert {(one.cause, one.arm, one.platform) for one in found} == {("converted", "policy", "p2")}
    assert "which cannot be" in found[0].detail


def test_conversions_may_be_of_clicks_in_the_delay_before_the_window(database: str) -> None:
    """In the last two cycles as many as the clicks of the three before: not one more."""
    arms = watching.flight(15, 3)
    policy = arms["policy"]
    clicks_TCP, conversions_TCP = policy.clicks_TCP.copy(), policy.conversions_TCP.copy()
    clicks_TCP[13:, 0, 2] = conversions_TCP[13:, 0, 2] = 0.0
    most = conversions_TCP[13, 0, 2] = clicks_TCP[10:13, 0, 2].sum()
    store = watching.begun(database)
    arms = arms | {"policy": replace(policy, clicks_TCP=clicks_TCP, conversions_TCP=conversions_TCP)}
    watching.report(store, arms, 0, 15)
    assert alarms(store, 15, None, window=2, delay=3) == []
    (found,) = alarms(store, 15, None, window=2, delay=2)
    assert (found.cause, found.campaign_id, found.platform, found.cycle) == ("converted", "c0", "p2", 13)
    assert (found.observed, found.limit) == (most, clicks_TCP[11:13, 0, 2].sum())


def test_what_was_reported_before_the_window_is_told_no_more(database: str, bundle: Path) -> None:
    """A contradiction in cycle 4: of the newest eleven, and not of ten."""
    arms = watching.flight(15, 3)
    table = arms["policy"].clicks_TCP.copy()
    table[4, :, 2] = np.round(table[4, :, 2] * 50)
    store = watching.begun(database)
    watching.report(store, arms | {"policy": replace(arms["policy"], clicks_TCP=table)}, 0, 15)
    told = [one for one in alarms(store, 15, bundle, window=11) if one.cause == "identity"]
    assert [(one.campaign_id, one.platform, one.cycle) for one in told] == [("c0", "p2", 4), ("c1", "p2", 4)]
    assert [one for one in alarms(store, 15, bundle, window=10) if one.cause == "identity"] == []

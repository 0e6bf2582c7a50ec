"""What was changed while an experiment ran: marked, drawn, and tested phase by phase."""

from __future__ import annotations

import math
import re
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np
import pytest

from crossmix.cycles import Cycles
from crossmix.ledger.experiments import get
from crossmix.ledger.members import Member
from crossmix.ledger.phases import Mark, bounds, marks
from crossmix.ledger.store import Store
from serving.experiment.verdict import render, status
from tests.support.experiments import DAY, START, deliver, make_store, note, paired_days

NOISE = [0.01, -0.02, 0.015, 0.0, -0.01, 0.02, -0.015]


def _at(days: float) -> datetime:
    return START + days * DAY + timedelta(hours=1)


def _mark(cycle: int, begins: int) -> Mark:
    return Mark(START, cycle, begins, "bundle.serve", "anna", "version 2", None, 2, "")


def _deliver(folder: Path, days: int = 13) -> Store:
    """Version 1 is better by 20 % for six cycles; version 2 comes within the seventh, and is worse by 10 %."""
    store = make_store(folder, campaigns={"brand": {}, "elsewhere": {}}, excluded=["elsewhere"])
    lift = [0.2 if day < 6 else -0.1 for day in range(days)]
    policy = [math.exp(math.log1p(part) + NOISE[day % 7]) for day, part in enumerate(lift)]
    deliver(store, paired_days(policy, [1.0] * days))
    note(store, -1.0, "campaign.create", "brand", None, {})
    note(store, 0.0, "bundle.serve", "version 1", None, 1)
    note(store, 3.5, "campaign.edit", "elsewhere", {"cycles": 1}, {"cycles": 2})
    note(store, 6.3, "bundle.serve", "version 2", 1, 2)
    return store


def test_a_promotion_is_a_phase_with_a_lift_of_its_own(tmp_path: Path) -> None:
    found = status(_deliver(tmp_path), "first", _at(13))
    assert [(mark["action"], mark["cycle"], mark["begins"]) for mark in found["phases"]] == [("bundle.serve", 7, 8)]
    mark = found["phases"][0]
    assert (mark["what"], mark["who"], mark["subject"], mark["version"]) == (
        "another version serves",
        "anna",
        "version 2",
        2,
    )
    assert mark["at"] == (START + 6.3 * DAY).isoformat()
    before, after = found["by_phase"]
    assert [(phase["from_cycle"], phase["to_cycle"]) for phase in (before, after)] == [(1, 6), (8, 13)]
    assert before["roi"]["paired"]["lift"] == pytest.approx(math.expm1(math.log1p(0.2) + np.mean(NOISE[:6])))
    assert after["roi"]["paired"]["lift"] == pytest.approx(-0.1, abs=0.02)
    assert after["roi"]["always_valid"]["high"] < 0 < before["roi"]["always_valid"]["low"]
    assert after["roi_since"] == after["roi"]
    assert after["begun_by"] == [mark]
    assert any("not the same throughout" in sentence for sentence in found["notes"])


def test_marks_stand_upright_in_every_curve(tmp_path: Path) -> None:
    page = render(status(_deliver(tmp_path), "first", _at(13)))
    charts = [chart.split("</svg>")[0] for chart in page.split("<svg")[1:]]
    assert len(charts) == 2
    (tmp_path / "same").mkdir()
    store = make_store(tmp_path / "same")
    deliver(store, paired_days([1.1 + part for part in NOISE], [1.0] * 7))
    plain = [chart.split("</svg>")[0] for chart in render(status(store, "first", _at(7))).split("<svg")[1:]]
    assert all(_uprights(chart) == 1 for chart in charts)
    assert all(_uprights(chart) == 0 for chart in plain)


def _uprights(chart: str) -> int:
    """Lines of the marks: dotted, from top to bottom."""
    rows = re.findall(r'<line x1="([\d.]+)" y1="([\d.]+)" x2="([\d.]+)" y2="([\d.]+)"[^>]*stroke-dasharray', chart)
    return sum(x1 == x2 and y1 != y2 for x1, y1, x2, y2 in rows)


def test_overrides_edits_and_pauses_of_its_campaigns_are_marks(tmp_path: Path) -> None:
    store = _deliver(tmp_path)
    note(store, 8.0, "override.set", "brand", None, {"kind": "static"}, "bob")
    note(store, 9.5, "override.lift", "brand", {"kind": "static"}, None)
    note(store, 10.5, "campaign.pause", "brand", {"paused": False}, {"paused": True})
    note(store, 30.0, "campaign.resume", "brand", {"paused": True}, {"paused": False})
    found = status(store, "first", _at(13))
    rows = [(mark["what"], mark["cycle"], mark["begins"], mark["subject"]) for mark in found["phases"]]
    assert rows[1:] == [
        ("override", 9, 9, "brand"),
        ("override lifted", 10, 11, "brand"),
        ("campaign paused", 11, 12, "brand"),
    ]
    # Cycle 8 alone, cycle 9 alone; between the lift of the override and the pause no cycle is whole.
    spans = [(phase["from_cycle"], phase["to_cycle"]) for phase in found["by_phase"]]
    assert spans == [(1, 6), (8, 8), (9, 9), (11, 10), (12, 13)]
    assert found["by_phase"][3]["roi"]["reason"].startswith("0 finished cycles")


def test_changes_that_no_experiment_saw_are_none(tmp_path: Path) -> None:
    store = make_store(tmp_path, ended=START + 5 * DAY, reason="over", ended_by="anna")
    deliver(store, paired_days([1.0] * 5, [1.0] * 5))
    note(store, -0.5, "bundle.serve", "version 2", 1, 2)
    note(store, 5.5, "bundle.serve", "version 3", 2, 3)
    found = status(store, "first", _at(8))
    assert (found["phases"], found["by_phase"]) == ([], [])


def test_the_bounds_of_phases() -> None:
    assert bounds([], 9) == [(0, 9)]
    assert bounds([_mark(3, 4)], 9) == [(0, 3), (4, 9)]
    assert bounds([_mark(4, 4)], 9) == [(0, 4), (4, 9)]
    assert bounds([_mark(3, 4), _mark(3, 4), _mark(4, 5)], 9) == [(0, 3), (4, 4), (5, 9)]
    assert bounds([_mark(9, 10)], 9) == [(0, 9)]
    assert bounds([_mark(0, 0)], 9) == [(0, 9)]


def test_an_override_of_a_thousand_campaigns_hides_no_promotion(tmp_path: Path) -> None:
    names = {f"c{n}": {"cycles": 60} for n in range(40)}
    store = make_store(tmp_path, campaigns=names)
    deliver(store, paired_days([1.0] * 5, [1.0] * 5, campaign_id="c7"))
    note(store, 1.2, "bundle.serve", "version 2", 1, 2)
    for n in range(40):
        note(store, 3.5, "override.set", f"c{n}", None, {"kind": "static"})
    one = get(store, "first")
    calendar = Cycles(START - 3 * DAY, 24.0)
    members = [Member(name, "EUR", calendar, 3, 9, 60, 1_000.0) for name in names]
    found = marks(store, one, DAY, START + 6 * DAY, members, most=5)
    assert [mark.campaign for mark in found] == [None, "c35", "c36", "c37", "c38", "c39"]
    # Of the campaigns that have feedback, as the verdict shows them.
    assert [mark["subject"] for mark in status(store, "first", _at(5))["phases"]] == ["version 2", "c7"]


@pytest.mark.parametrize(("at", "cycle", "begins"), [(4.0, 4, 4), (4.375, 4, 5), (4.99, 4, 5), (5.0, 5, 5)])
def test_a_change_is_of_the_campaigns_day_whatever_hour_the_experiment_began_at(
    tmp_path: Path, at: float, cycle: int, begins: int
) -> None:
    """Begun at 09:00: midnight is no middle of a cycle, and 09:00 is."""
    store = make_store(tmp_path, campaigns={"brand": {}, "weekly": {"cycle_hours": 168.0}}, started=START + 0.375 * DAY)
    note(store, at, "bundle.serve", "version 2", 1, 2)
    note(store, at, "campaign.pause", "brand", {"paused": False}, {"paused": True})
    members = [
        Member("brand", "EUR", Cycles(START - 3 * DAY, 24.0, "UTC"), 3, 9, 60, 1_000.0),
        Member("weekly", "EUR", Cycles(START - 3 * DAY, 168.0, "UTC"), 0, 1, 9, 1_000.0),
    ]
    found = marks(store, get(store, "first"), DAY, START + 9 * DAY, members)
    assert [(mark.cycle, mark.begins) for mark in found] == [(cycle, begins)] * 2

"""What a simulation keeps: ROI by day and over days, versions, and its file; and the picture of it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from crossmix.config import ConfigError
from crossmix.evaluate.loop.diary import Diary, load
from crossmix.evaluate.loop.picture import _steps, asked, picture
from crossmix.pages.charts import Panel
from tests.support.drawn_axes import feet

QUESTION = {"days": 3, "campaigns": 2, "scenario": "outage", "poison": None, "arms": "both", "start": 1, "loop": True}


def day(number: int, version: int, revenue: float, **more: object) -> dict[str, object]:
    sums = {"planned": 100.0, "spend": 90.0, "revenue": revenue, "expected_revenue": None, "conversions": 2.0}
    arm = sums | {"version": version, "bundle": "b", "degraded": [], "part": 0.7}
    return {"day": number, "date": "2026-01-05", "arms": {"policy": arm, "control": arm | {"revenue": 50.0}}} | more


def flight() -> Diary:
    days = [day(0, 1, 100.0, beyond=0.2), day(1, 1, 200.0, beyond=None), day(2, 3, 0.0, beyond=1.2)]
    days[2] |= {"alerts": [{"cause": "cvr"}], "quarantined": 2, "runs": []}
    return Diary(QUESTION, days, {"wall": 3.0, "start": 1.0, "cpu_driver": 1.0})


def test_roi_is_of_sums_of_money() -> None:
    diary = flight()
    np.testing.assert_allclose(diary.roi("policy"), [1.0, 2.0, 0.0])
    np.testing.assert_allclose(diary.roi("policy", 2), [1.0, 1.5, 1.0])
    assert diary.total("policy")["roi"] == pytest.approx(1.0)
    assert diary.total("control")["roi"] == pytest.approx(0.5)
    assert diary.total("policy")["expected_revenue"] is None
    assert np.isnan(diary.roi("canary")).all()


def test_versions_are_told_where_they_change_and_figures_that_a_day_lacks_are_unknown() -> None:
    diary = flight()
    assert diary.versions() == [(0, 1), (2, 3)]
    np.testing.assert_array_equal(diary.each("beyond"), [0.2, np.nan, 1.2])


def test_its_file_is_read_back(tmp_path: Path) -> None:
    diary = flight()
    assert diary.save(tmp_path) == tmp_path / "loop.json"
    again = load(tmp_path)
    assert (again.days, again.question, again.cost) == (diary.days, diary.question, diary.cost)
    with pytest.raises(ConfigError, match="holds no finished simulation"):
        load(tmp_path / "nothing")


def test_panels_line_up() -> None:
    ends = feet(picture(Diary(QUESTION, [day(number, 1, 100.0, beyond=0.2) for number in range(1_001)], {})))
    assert len(ends) == 3
    assert len(set(ends)) == 1


def test_the_picture_has_a_panel_for_what_there_is() -> None:
    diary = flight()
    assert asked(diary) == "3 days, 2 campaigns, outage from day 1, with the loop"
    drawn = picture(diary, flight())
    assert drawn.startswith("<svg")
    for words in ("residual", "cells held", "version", "ROI, 7 days", "policy, with the loop"):
        assert words in drawn, words
    assert drawn == picture(diary, flight())
    bare = Diary(QUESTION, [day(0, 1, 100.0)])
    assert "residual" not in picture(bare)
    assert "cells held" not in picture(bare)


def test_alerts_without_held_cells_have_no_scale_and_the_upright_line_says_what_begins() -> None:
    diary = flight()
    diary.days[2]["quarantined"] = 0
    drawn = picture(diary)
    assert "alerts, runs" in drawn
    assert "cells held" not in drawn
    assert drawn.count("\u2002outage<") == 1


def test_the_picture_shows_trailing_roi_and_begins_the_trouble_before_its_first_day(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    lines: list[list[float]] = []
    uprights: list[float] = []
    monkeypatch.setattr(Panel, "line", lambda _, x, y, *rest, **more: lines.append(list(y)))
    monkeypatch.setattr(Panel, "upright", lambda _, at, *rest: uprights.append(at))
    diary = flight()
    drawn = picture(diary, Diary({**QUESTION, "loop": False}, diary.days, {}))
    assert "policy, without the loop" in drawn
    np.testing.assert_allclose(lines[:3], [[1.0, 1.5, 1.0], [0.5, 0.5, 0.5], [1.0, 1.5, 1.0]])
    assert uprights == [0.5] * 4, "in every panel"


def test_a_version_serves_through_its_day() -> None:
    days, versions = _steps([1, None, 3])
    assert days == [-0.5, 0.5, 0.5, 1.5, 1.5, 2.5]
    np.testing.assert_array_equal(versions, [1, 1, np.nan, np.nan, 3, 3])

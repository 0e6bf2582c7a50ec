"""The report of task `journeys`: what players earned, by a world or by propensities, told in plain sentences."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from crossmix.artifacts import JourneysJudged
from crossmix.artifacts.journeys import ESTIMATED, Earned, JourneysTrained
from crossmix.report.inputs import ReportInputs
from crossmix.report.page import render
from tests.support.html_pages import Page, words

JUDGED = JourneysJudged(
    users=300,
    steps=4_000,
    auc=0.68,
    own_auc=0.66,
    reference_auc=0.677,
    slope=1.04,
    conversion_slope=1.01,
    conversion_slope_error=0.03,
    conversions=210,
    click_ratio=1.01,
    conversion_ratio=None,
    value_ratio=1.02,
    imitation=0.0,
    told="The channel is independent of the journey",
    world="planted: the generated log's users",
    players={
        "response": Earned(revenue_per_cost=8.887, low=8.021, high=9.754, spent=0.996),
        "log": Earned(revenue_per_cost=1.047, low=1.018, high=1.076, spent=1.0),
    },
    best_users=1.73,
    agreement={"MTORL": 0.015, "log": 0.113, "repeat last": 0.012},
    shadow={"campaign_1": 7.5},
)
TRAINED = JourneysTrained(
    encoder="mtorl",
    users=700,
    steps=9_000,
    clicks=1_100,
    response_loss=(0.4, 0.3),
    mtorl_loss=(2.0, 1.9),
    told="The channel is independent of the journey",
)


def page(folder: Path, judged: JourneysJudged) -> str:
    """The report of a run of which the steps train and gate are there."""
    (folder / "train").mkdir()
    (folder / "gate").mkdir()
    TRAINED.save(folder / "train")
    judged.save(folder / "gate")
    return render(ReportInputs.collect({"train": folder / "train", "gate": folder / "gate"}))


@pytest.mark.parametrize(("world", "over"), [(JUDGED.world, "groups of users"), (ESTIMATED, "users")])
def test_every_player_has_a_row_and_its_interval_is_named(tmp_path: Path, world: str, over: str) -> None:
    found = page(tmp_path, replace(JUDGED, world=world))
    text = words(found)
    assert not Page(found).open
    assert f"Revenue per cost with its 95 % interval over {over}. Blue: the response model" in text
    assert f"World: {world}." in text
    assert "response 8.887 8.021 to 9.754 99.6\u202f%" in text
    assert text.index("8.887") < text.index("1.047")


def test_no_markup_of_a_template_is_shown(tmp_path: Path) -> None:
    text = words(page(tmp_path, JUDGED))
    assert [mark for mark in ("{%", "%}", "{{", "}}") if mark in text] == []


def test_where_nobody_can_tell_it_is_said(tmp_path: Path) -> None:
    text = words(page(tmp_path, replace(JUDGED, world="", players={})))
    assert "What another choice of channels would have earned cannot be told" in text
    assert "Revenue per cost" not in text

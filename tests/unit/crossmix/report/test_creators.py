"""The report of task `creators`: briefs, catalogue, calibration; none of the split's sections."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from crossmix.artifacts import CreatorsJudged, CreatorsTrained, Registration
from crossmix.artifacts.creators import WalkTraining
from crossmix.report.creators import matrix, table
from crossmix.report.inputs import ReportInputs
from crossmix.report.page import render
from tests.support.creators_run import Ran, chain
from tests.support.html_pages import Page, words


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> Ran:
    return chain(tmp_path_factory.mktemp("creators"))


@pytest.fixture(scope="module")
def page(ran: Ran) -> str:
    return render(ReportInputs.collect(ran.folders))


def test_it_shows_its_own_sections_and_none_of_the_splits(page: str) -> None:
    parsed, text = Page(page), words(page)
    assert not parsed.open
    sections = re.findall(r'<section id="(\w+)"', page)
    assert sections == ["briefs", "catalogue", "predictor", "matrices", "gates", "registry"]
    for phrase in ("GENERATED DATA", "creators for briefs", "600 creators", "creators.lead", "Share of the bound"):
        assert phrase in text, phrase
    for phrase in ("oracle", "The fit", "crossmix allocate", "media platforms"):
        assert phrase not in text, phrase
    assert page.count("<svg") == page.count("<figcaption>") == 2


def test_every_brief_has_a_row_and_its_money_adds_up(ran: Ran) -> None:
    judged = CreatorsJudged.load(ran.evaluation)
    assert [row[0].text for row in table(judged).rows] == [one.name for one in judged.briefs]
    first = judged.briefs[0]
    drawn = matrix(first)
    assert len(drawn.rows) == len(first.channels) * len(first.tiers)
    shares = [float(row[-1].text.replace("\u202f%", "")) for row in drawn.rows]
    assert sum(shares) == pytest.approx(100, abs=0.5)


def test_a_broken_rule_stands_in_its_row(ran: Ran) -> None:
    judged = CreatorsJudged.load(ran.evaluation).plain()
    judged["briefs"][0]["broken"] = ["head >= mid (short of 12.00)"]
    assert table(CreatorsJudged.of(judged)).rows[0][6].text == "head >= mid (short of 12.00)"


def test_the_walks_training_is_drawn_and_the_champion_can_be_asked(ran: Ran, tmp_path: Path) -> None:
    policy, registered = tmp_path / "train", tmp_path / "register"
    for folder in (policy, registered):
        folder.mkdir()
    walk = WalkTraining(episodes=40, updates=900, briefs=3, returns=(0.4, 0.5, 0.7))
    CreatorsTrained(agent="ddpg", results=900, tau=0.5, sigma=0.5, walk=walk).save(policy)
    Registration(
        name="crossmix-creators", version=3, aliases=("champion",), run_id="r", bundle_digest="d", note=""
    ).save(registered)
    text = words(render(ReportInputs.collect(ran.folders | {"train": policy, "register": registered})))
    assert "40 walks of 3 briefs that nobody is judged on, 900 updates" in text
    assert "crossmix plan OUT --brief brief.yaml" in text


def test_before_the_gates_the_page_says_what_is_not_there(ran: Ran) -> None:
    text = words(render(ReportInputs.collect({"ingest": ran.dataset})))
    assert "No brief was judged" in text
    assert "No predictor is there" in text

"""The report of a spend history begins with the decision; that of impressions does not have one."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from crossmix.artifacts import CampaignDecision, GateTable
from crossmix.report.decision import Answered, answers, headline, lines, splits
from crossmix.report.inputs import ReportInputs
from crossmix.report.page import render
from tests.support import browser
from tests.support.html_pages import Page, words
from tests.support.report_steps import demo
from tests.unit.crossmix.evaluate.decision.test_standing import LACKS, OWN, PASSED, decision

THIN = "\u202f"
DOUBTED = replace(OWN, proved=False, probability=0.34, gain=-90.0, gain_interval=(-700.0, 900.0))
LIKELY = replace(OWN, proved=False, probability=0.9, gain_interval=(-20.0, 220.0))
IDLE = replace(OWN, proved=False, probability=0.6, gain=1.0, gain_interval=(-8.0, 9.0))
OPEN = replace(LIKELY, probability=0.7)
OVER = replace(DOUBTED, campaign="old", ended="2025-03-06", withheld="campaign old ended on 2025-03-06")


def answered(*campaigns: CampaignDecision, passed: bool = False) -> list[Answered]:
    gates = GateTable(gates=(PASSED if passed else LACKS,), passed=passed)
    return answers(gates, decision(*campaigns))


@pytest.mark.parametrize(
    ("one", "told"),
    [
        (DOUBTED, "Keep today’s split: the fit’s best one is likelier to lose than to gain."),
        (replace(DOUBTED, gain_interval=(-90.0, 9.0)), "Keep today’s split: it can hardly be bettered."),
        (LIKELY, "A better split is plausible, and not proved."),
        (IDLE, "Today’s split can hardly be bettered."),
        (OPEN, "Not enough is known to change the split: test first."),
        (OVER, "Every campaign has ended: there is nothing to split."),
    ],
    ids=["keep", "keep, idle", "plausible", "idle", "open", "ended"],
)
def test_the_headline_says_what_to_do(one: CampaignDecision, told: str) -> None:
    assert headline(answered(one)) == told
    proved = "Change the split: the recommended one is proved to earn more than today’s."
    assert headline(answered(OWN, passed=True)) == proved


def test_of_several_campaigns_each_has_a_line_and_those_that_ended_come_last() -> None:
    campaigns = (OVER, DOUBTED, replace(LIKELY, campaign="y"))
    found = answered(*campaigns)
    assert headline(found) == "Of 2 campaigns: 1 plausible, 1 not enough. Keep today’s split of 1."
    told = lines(found, decision(*campaigns))
    assert [(one.campaign, one.word, one.kind) for one in told] == [
        ("x", "NOT ENOUGH", "fail"),
        ("y", "PLAUSIBLE", "insufficient-data"),
        ("old", "ENDED", "none"),
    ]
    assert told[0].text == (
        "Keep today’s split: the fit’s best one is likelier to lose than to gain. The fit’s best split earns −90.0 EUR "
        f"a day against as today (−4.5{THIN}%), 90{THIN}% interval −700 to +900, more with probability "
        "0.34."
    )
    assert told[2].text == "ended on 2025-03-06; 0 for the next cycle."


def test_todays_split_stands_beside_the_recommended_one_with_amounts() -> None:
    (one,) = answered(OWN, passed=True)
    table = splits(one, decision(OWN))
    assert table.groups == (("Today", 2), ("Recommended", 2), ("", 1))
    assert [[cell.text for cell in row] for row in table.rows] == [
        ["tv", f"90.0{THIN}%", "900", f"80.0{THIN}%", "800", "−100"],
        ["tiktok", f"10.0{THIN}%", "100", f"20.0{THIN}%", "200", "+100"],
        ["together", f"100.0{THIN}%", f"1{THIN}000", f"100.0{THIN}%", f"1{THIN}000", ""],
    ]


@pytest.mark.parametrize(
    ("own", "names", "caption"),
    [
        (DOUBTED, ("Today: keep it", "By the fit alone, not recommended"), "allocate OUT keeps today’s split."),
        (
            LIKELY,
            ("Today", "By the fit, not proved"),
            "with the drift that the policy sees in it, so that its shares may be others.",
        ),
    ],
    ids=["keep", "plausible"],
)
def test_what_is_not_proved_is_not_called_recommended(
    own: CampaignDecision, names: tuple[str, str], caption: str
) -> None:
    (one,) = answered(own)
    table = splits(one, decision(own))
    assert [name for name, _ in table.groups] == [*names, ""]
    assert table.caption.endswith(caption)


def test_beside_a_campaign_that_was_proved_others_stay_as_today_to_one_point() -> None:
    for own in (DOUBTED, LIKELY):
        beside = decision(own, replace(OWN, campaign="y"))
        one = next(one for one in answers(GateTable(gates=(PASSED,), passed=True), beside) if one.own.campaign == "x")
        told = "allocate OUT keeps today’s split to one point, as only of other campaigns a change was proved."
        assert splits(one, beside).caption.endswith(told)


def test_a_history_s_page_begins_with_it_and_then_says_how_the_policy_did(tmp_path: Path) -> None:
    steps = demo(tmp_path, ("tiktok", "tv"), passed=False)
    inputs = ReportInputs.collect(steps)
    before = render(inputs)
    assert 'id="decision"' not in before
    assert 'id="policy"' not in before
    decided = decision(DOUBTED, replace(OVER, campaign="launch", withheld="launch ended"))
    page = render(replace(inputs, decision=decided))
    parsed, text = Page(page), words(page)
    assert not parsed.open
    assert {link[1:] for link in parsed.links} <= set(parsed.ids)
    marks = ["<h1>Keep today’s split", "NOT ENOUGH", "ended on 2025-03-06", "<section id=\"decision\"", "First test:",
             "<section id=\"policy\"", "of what a clairvoyant oracle would", "<ul class=\"failures\">",
             "<section id=\"result\""]  # fmt: skip
    places = [page.index(mark) for mark in marks]
    assert places == sorted(places)
    assert page.count('<ul class="failures">') == 1
    assert "spend 130.00 and 70.00 EUR a day on tiktok in turn, 7 days each, for 56 days" in text
    told = (
        "All 3 campaigns were trained on and are in these figures, also launch, which ended and spends nothing today."
    )
    assert told in text
    assert "the decision is to keep today’s split of x" in text


def test_of_a_history_nothing_is_told_that_totals_do_not_have(tmp_path: Path) -> None:
    """No auction was played, no user held out; the market that is shown is the judged one; what ended says so."""
    inputs = ReportInputs.collect(demo(tmp_path, ("tiktok", "tv")))
    assert inputs.meta is not None
    assert inputs.market is not None
    of_impressions = words(render(inputs))
    first, last = inputs.market.platforms[0].campaign, inputs.market.platforms[-1].campaign
    decided = decision(replace(OWN, campaign=last), replace(OVER, campaign=first))
    page = render(replace(inputs, meta=replace(inputs.meta, aggregate=True), decision=decided))
    told = words(page)
    for phrase in (
        "auction by auction",
        "simulated auctions",
        "some users",
        "users whom it was not fitted on",
    ):
        assert phrase in of_impressions, phrase
        assert phrase not in told, phrase
    for phrase in ("simulated cycles", "of the training period some cycles", "cycles that it was not fitted on",
                   "Fitted on the training period, as the gates judge it."):  # fmt: skip
        assert phrase in told, phrase
    markets = page[page.index('<section id="market"') :]
    assert markets.index(f"Campaign {last}<") < markets.index(f"Campaign {first} <span>ended on 2025-03-06</span>")


@browser.needed
def test_no_table_of_the_page_is_cut_at_1200_px(tmp_path: Path) -> None:
    file = tmp_path / "report.html"
    render(ReportInputs.collect(demo(tmp_path / "steps", ("google_search", "tiktok", "meta", "youtube"))), file)
    with browser.chromium(tmp_path) as shown:
        shown.open(file.as_uri(), 1200)
        shown.value("document.querySelectorAll('details').forEach(one => one.open = true)")
        wider = "[...document.querySelectorAll('.scroll')].filter(one => one.scrollWidth > one.clientWidth + 1)"
        assert shown.value(f"{wider}.map(one => one.closest('section').id)") == []
        assert shown.value("document.querySelectorAll('.dense').length") > 0

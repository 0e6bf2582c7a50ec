"""What is said of held-out weeks: what began in them, and money in them that answered otherwise."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch

from crossmix.artifacts import Decision
from crossmix.evaluate.decision.backtest import date
from crossmix.evaluate.decision.held_out import began, contradiction
from crossmix.evaluate.decision.held_out_told import borrowed, contradicted
from crossmix.evaluate.decision.standing import standing
from tests.support.decisions import judge as judged_file
from tests.unit.crossmix.evaluate.decision.test_judged import TRIED, backtested, judge, judged, made
from tests.unit.crossmix.evaluate.decision.test_standing import LACKS, OWN, PASSED, decision
from tests.unit.crossmix.evaluate.gates.test_decision import gates

SPAN = ("2025-05-06", "2025-06-30")
OTHERWISE: dict[str, Any] = {"off": (-0.9, 0.9), "off_error": 0.02}
SENTENCE = (
    "money moved in the 8 held-out weeks (2025-05-06 to 2025-06-30) answered otherwise than in the time before them: "
    "on a +70.00 was expected of the change, and by what came it is +11.36; by it the change earns -66.72 in all, "
    "at most -64.52: run again with more weeks, or make the first test, as only money moved on purpose settles it"
)
SINCE = (
    "tiktok began on 2025-05-20, within the held-out weeks: its revenue before is borrowed from like platforms, so "
    "that for its part those weeks test what was borrowed"
)


def log(first: int, hours: int = 24) -> Any:
    """Of 20 cycles and two platforms, of which the second spends from `first` on."""
    spend_TCP = np.ones((20, 1, 2))
    spend_TCP[:first, :, 1] = 0
    meta = SimpleNamespace(start="2025-03-01T00:00:00+00:00", cycle_hours=hours)
    return SimpleNamespace(meta=meta, totals=lambda: {"spend": spend_TCP}, train_cycles=14)


def market(*untried: bool) -> Any:
    return SimpleNamespace(untried=torch.tensor([untried]), path={})


def test_what_began_within_the_held_out_weeks_is_found_with_its_date() -> None:
    assert began(market(False, True), market(False, False), log(16)) == ((None, "2025-03-17"),)
    assert began(market(False, True), market(False, False), log(16, hours=168)) == ((None, "2025-06-21"),)
    assert began(market(False, False), market(False, False), log(3)) == ((None, None),), "it began before"
    assert began(market(False, True), market(False, True), log(20)) == ((None, None),), "it was never tried"
    assert date(log(0), 0) == "2025-03-01"


def test_what_they_say_of_it_is_borrowed_and_of_nothing_else() -> None:
    assert borrowed([]) == ""
    assert borrowed([("tiktok", "2025-05-20")]) == SINCE
    both = borrowed([("tiktok", "2025-05-20"), ("radio", "2025-06-01")])
    assert both.startswith(
        "tiktok began on 2025-05-20 and radio began on 2025-06-01, within the held-out weeks: their "
    )


def test_the_gate_and_every_standing_say_so_where_the_change_moves_its_budget() -> None:
    late = judged(made(), backtested(), 0, TRIED, began_P=("2025-05-20", None))
    found = gates(late)["decision.weeks"]
    assert (found.verdict, found.value) == ("pass", 1), "it changes nothing of what is judged"
    assert found.detail.endswith(f"; {SINCE.replace('tiktok', 'a')}")
    still = judged(
        replace(made(), best_P=np.array([0.503, 0.497])), backtested(), 0, TRIED, began_P=("2025-05-20", None)
    )
    assert "began" not in gates(still)["decision.weeks"].detail
    tiktok, tv = OWN.platforms
    own = replace(OWN, platforms=(replace(tiktok, began="2025-05-20"), tv))
    for proved, row in ((True, PASSED), (False, LACKS)):
        told = standing([row], decision(replace(own, proved=proved)), "x")
        assert told.reason.endswith(f"; {SINCE}"), told.reason
    assert "began" not in standing([PASSED], decision(OWN), "x").reason
    resting = replace(own, platforms=(replace(own.platforms[0], best=tiktok.today), tv))
    assert "began" not in standing([PASSED], decision(resting), "x").reason
    # A gate that says it already says it for the standing too.
    gate = replace(LACKS, name="decision.weeks", detail=SINCE)
    assert standing([gate], decision(replace(own, proved=False)), "x").reason.count("began on") == 1


def test_money_that_answered_otherwise_names_weeks_platform_expectation_and_remedy() -> None:
    one = replace(judge(**OTHERWISE), span=SPAN)
    found = contradiction(one)
    assert found is not None
    assert (found.platform, found.expected) == ("a", pytest.approx(70))
    assert found.came == pytest.approx(170 * 1.6**-0.9 - 100)
    assert contradicted(found, 8) == SENTENCE
    assert " (" not in contradicted(replace(found, since="", until=""), 8), "dates that are not known are not told"
    gate = gates(one)["decision.weeks"]
    assert (gate.verdict, gate.detail.endswith(f"; {SENTENCE}")) == ("fail", True)
    assert contradiction(judge()) is None
    assert contradiction(judge(level_W=((0.0, 0.0),) * 3, **OTHERWISE)) is None, "three weeks tell nothing"


def test_it_fails_whatever_all_of_the_history_says_and_weeks_by_the_earlier_fit_alone_do_not() -> None:
    """What only the fit of less data reads as a loss leaves the question open; money that moved does not."""
    earlier = (np.array([100.0, 100.0]), np.array([130.0, 50.0]))
    alone = gates(judged(made(), backtested(), 0, TRIED, earlier=earlier))
    moved = gates(judge(**OTHERWISE))
    assert alone["decision.gain"].verdict == moved["decision.gain"].verdict == "pass"
    assert (alone["decision.weeks"].verdict, moved["decision.weeks"].verdict) == ("insufficient data", "fail")


def test_the_printed_line_says_it_of_one_campaign_and_of_several() -> None:
    found = contradiction(replace(judge(**OTHERWISE), span=SPAN))
    own = replace(OWN, proved=False, contradicted=found)
    failed = replace(LACKS, name="decision.weeks", verdict="fail", detail=f"d; {SENTENCE}")
    for rows, campaigns in (([failed], [own]), ([LACKS, failed], [own]), ([failed], [own, replace(own, campaign="y")])):
        told = standing(rows, decision(*campaigns), "x")
        assert told.word == "not enough"
        assert told.reason.count(SENTENCE) == 1, told.reason
        assert told.lines()[1].startswith("first test: spend 130.00 and 70.00 EUR a day on tiktok")


@pytest.mark.slow
def test_a_history_whose_third_platform_began_late_says_since_when(tmp_path: Path) -> None:
    rng, rows = np.random.default_rng(5), []
    for day in range(84):
        for p, platform in enumerate(("alpha", "bravo", "charlie")):
            if platform == "charlie" and day < 64:
                continue
            spend = 300 * np.exp(0.3 * rng.standard_normal())
            clicks = rng.poisson(60 * (spend / 300) ** 0.6)
            conversions = rng.binomial(clicks, 0.15 * (1 + 0.3 * p))
            rows.append((pd.Timestamp("2025-01-06") + pd.Timedelta(days=day), platform, round(spend, 2), 50 * clicks,
                         clicks, conversions, 12.0 * conversions))  # fmt: skip
    names = ("date", "platform", "spend", "impressions", "clicks", "conversions", "revenue")
    _, told, verdicts = judged_file(tmp_path, pd.DataFrame(rows, columns=names))
    (own,) = told.campaigns
    assert {one.platform: one.began for one in own.platforms} == {"alpha": None, "bravo": None, "charlie": "2025-03-11"}
    (moved,) = [one for one in own.platforms if one.platform == "charlie"]
    weeks = next(one for one in verdicts if one.name == "decision.weeks")
    assert ("charlie began on 2025-03-11" in weeks.detail) == (abs(moved.best - moved.today) > 0.005)
    told.save(tmp_path)
    assert Decision.load(tmp_path) == told

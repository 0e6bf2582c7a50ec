"""What all of the history says against a change that its training period and the weeks after it found."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from crossmix.artifacts import AllHistory, CampaignDecision
from crossmix.evaluate.decision.standing import AS_JUDGED, BY_ALL, contradicted, idle, standing
from tests.unit.crossmix.evaluate.decision.test_standing import LACKS, OWN, PASSED, decision

LARGE = replace(OWN, proved=False, gain=800.0, gain_interval=(500.0, 1_100.0), probability=0.99)
"""As judged +40 %."""


def told(own: CampaignDecision, **of: Any) -> CampaignDecision:
    lost = AllHistory(revenue=2_000.0, gain=-12.0, gain_interval=(-60.0, 30.0), probability=0.31)
    return replace(own, by_all=replace(lost, **of))


def test_what_is_believed_comes_first_and_today_s_split_is_kept() -> None:
    found = standing([LACKS], decision(told(LARGE)), "x")
    assert (found.word, found.keep, found.doubt) == ("not enough", True, BY_ALL)
    assert found.reason.startswith(
        "keep today's split of campaign x: by the fit on all of the history the best split of the judged fit earns "
        "-12.00 (-0.6%), more with probability 0.31 (as judged, by a part of it, +800.00, +40.0%); gate decision.gain"
    )
    unsettled = replace(told(LARGE), withheld="of campaign x the best split earns -12.00", unsettled=True)
    found = standing([LACKS], decision(unsettled), "x")
    # Its figures are told once.
    assert found.reason == "keep today's split: of campaign x the best split earns -12.00"
    assert (found.word, found.keep, found.doubt) == ("not enough", True, BY_ALL)
    both = standing([LACKS], decision(told(replace(LARGE, probability=0.3))), "x")
    assert both.doubt == BY_ALL
    judged = standing([LACKS], decision(told(replace(LARGE, probability=0.3), probability=0.9)), "x")
    assert judged.doubt == AS_JUDGED


@pytest.mark.parametrize(
    ("probability", "word", "keep"),
    [(0.97, "plausible", False), (0.7, "not enough", False), (0.49, "not enough", True)],
)
def test_a_word_is_earned_by_both(probability: float, word: str, keep: bool) -> None:
    own = told(replace(LARGE, probability=0.9), gain=700.0, probability=probability)
    found = standing([LACKS], decision(own), "x")
    assert (found.word, found.keep) == (word, keep)


def test_figures_of_all_of_the_history_lead_where_they_contradict_what_was_judged() -> None:
    own = told(replace(LARGE, probability=0.9), gain=300.0, gain_interval=(-20.0, 640.0), probability=0.88)
    found = standing([PASSED], decision(own), "x")
    assert found.reason.startswith(
        "of campaign x the split that the fit would choose of 1,000.00 EUR per cycle earns +300.00 against as today "
        "(+15.0%) by the fit on all of the history, 90 % interval [-20.00, +640.00], more with probability 0.88 (as "
        "judged, by a part of it, +800.00 (+40.0%), 90 % interval [+500.00, +1,100.00], more with probability 0.90)"
    )
    near = told(own, gain=650.0, probability=0.93)
    assert standing([PASSED], decision(near), "x").reason.startswith(
        "of campaign x the split that the fit would choose of 1,000.00 EUR per cycle earns +800.00, as judged, against "
        "as today (+40.0%), 90 % interval [+500.00, +1,100.00], more with probability 0.90 (by the fit on all of the "
        "history alone, which tables tell, +650.00)"
    )
    # A proof whose size the last weeks do not bear out is one all the same, and is told by what is believed.
    proved = told(replace(LARGE, proved=True), gain=60.0, gain_interval=(10.0, 110.0), probability=0.97)
    found = standing([PASSED], decision(proved), "x")
    assert found.word == "proved"
    assert found.reason.startswith(
        "the recommended split of 1,000.00 EUR per cycle earns +60.00 against as today (+3.0%)"
    )


@pytest.mark.parametrize(
    ("judged", "by_all", "gain", "is_so"),
    [
        (0.99, 0.96, 600.0, False),
        (0.99, 0.94, 600.0, True),
        (0.9, 0.79, 600.0, True),
        (0.7, 0.49, 600.0, True),
        (0.3, 0.1, 600.0, False),
        (0.99, 0.99, 499.0, True),
        (0.9, 0.99, 1_500.0, False),
    ],
)
def test_less_is_a_contradiction_and_more_is_none(judged: float, by_all: float, gain: float, is_so: bool) -> None:
    own = told(replace(LARGE, probability=judged), gain=gain, probability=by_all)
    assert contradicted(own, decision(own)) is is_so
    assert not contradicted(replace(own, by_all=None), decision(own))


def test_the_least_sure_campaign_is_so_by_either() -> None:
    other = told(replace(LARGE, campaign="y"), probability=0.2)
    assert standing([PASSED], decision(replace(OWN, probability=0.96), other)).reason.startswith(
        "keep today's split of campaign y: "
    )


def test_a_split_that_all_of_the_history_betters_is_not_called_beyond_bettering() -> None:
    still = replace(LARGE, gain=1.0, gain_interval=(-8.0, 9.0), probability=0.6)
    assert idle(told(still, gain=4.0, gain_interval=(-9.0, 15.0)))
    assert not idle(told(still, gain=90.0, gain_interval=(30.0, 150.0)))

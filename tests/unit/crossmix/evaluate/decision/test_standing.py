"""The words of a standing."""

from __future__ import annotations

from dataclasses import replace

import pytest

from crossmix.artifacts import CampaignDecision, Decision, FirstTest, GateRow, PlatformChange
from crossmix.evaluate.decision.standing import probability, sentence, standing
from crossmix.schema import ALL_CAMPAIGNS

TEST = FirstTest(platform="tiktok", low=70.0, high=130.0, block=7, cycles=56, elasticity_error=0.05, settles=True)
OWN = CampaignDecision(
    campaign="x",
    budget=1000.0,
    proved=True,
    part=1.0,
    revenue=2000.0,
    gain=120.0,
    gain_interval=(20.0, 220.0),
    probability=0.98,
    weeks=(110.0, 60.0, 160.0),
    blocks=8,
    more_cycles=0,
    platforms=(
        PlatformChange(
            platform="tiktok", today=0.1, best=0.2, revenue_today=200.0, revenue_best=390.0, marginal_roi=1.9,
            elasticity_error=0.1, tried=True,
        ),
        PlatformChange(
            platform="tv", today=0.9, best=0.8, revenue_today=1800.0, revenue_best=1730.0, marginal_roi=0.7,
            elasticity_error=0.1, tried=True,
        ),
    ),
    first_test=TEST,
)  # fmt: skip


def decision(*campaigns: CampaignDecision) -> Decision:
    return Decision(
        currency="EUR", cycle_hours=24, cycles=182, held_out=55, miss=0.1, miss_as_before=0.2, margin=0.1, sure=0.95,
        plausible=0.8, campaigns=campaigns,
    )  # fmt: skip


def gate(name: str, verdict: str, *, required: bool = True) -> GateRow:
    return GateRow(
        name=name, value=0.9, threshold="P(gain > 0) >= 0.95", verdict=verdict, required=required, detail="d"
    )


PASSED = gate("decision.gain", "pass")
LACKS = gate("decision.gain", "insufficient data")


def test_proved_says_what_it_gains() -> None:
    found = standing([PASSED], decision(OWN), "x")
    assert (found.word, found.first_test) == ("proved", None)
    assert found.lines() == [
        "PROVED: the recommended split of 1,000.00 EUR per cycle earns +120.00 against as today (+6.0%), 90 % interval "
        "[+20.00, +220.00], more with probability 0.98 (by the fit alone +120.00)"
    ]


def test_a_part_of_the_way_is_told() -> None:
    found = standing([PASSED], decision(replace(OWN, part=0.5)), "x")
    assert found.word == "proved"
    assert found.reason.startswith(
        "going 50% of the way to the best split (tiktok 20.0%, tv 80.0%) of 1,000.00 EUR per cycle"
    )


@pytest.mark.parametrize(
    ("part", "new", "words"),
    [
        (0.125, None, "going 12.5% of the way to the best split (tiktok 20.0%, tv 80.0%) of"),
        (1.0, 0.0, "the best split among the platforms that were tried (tiktok 20.0%, tv 80.0%) of"),
        (0.5, 0.05, "going 50% of the way to the best split with at most 5% for a platform never tried (tiktok 20.0%,"),
    ],
)
def test_a_proof_of_less_than_the_best_split_says_which(part: float, new: float | None, words: str) -> None:
    assert standing([PASSED], decision(replace(OWN, part=part, new=new)), "x").reason.startswith(words)


@pytest.mark.parametrize(("probability", "word"), [(0.9, "plausible"), (0.7, "not enough")])
def test_without_data_enough_it_depends_on_how_likely_a_gain_is(probability: float, word: str) -> None:
    found = standing([LACKS], decision(replace(OWN, probability=probability, proved=False)), "x")
    assert found.word == word
    assert found.reason == "gate decision.gain, insufficient data: d, wanted P(gain > 0) >= 0.95"
    head, test = found.lines()
    assert head.startswith("PLAUSIBLE: " if word == "plausible" else "NOT ENOUGH, explore like this: ")
    assert test == (
        "first test: spend 130.00 and 70.00 EUR a day on tiktok in turn, 7 days each, for 56 days; the other platforms "
        "take up the difference. That tells the elasticity of its revenue to ±0.10"
    )


@pytest.mark.parametrize("counted", [False, True])
@pytest.mark.parametrize(("seen", "word"), [(0.0, "not enough"), (50.0, "plausible")])
def test_a_gain_that_is_all_borrowed_is_not_plausible_however_likely_it_is(
    seen: float, word: str, counted: bool
) -> None:
    """`seen`: what the platforms that were tried gain by the change, beside what the one never tried may bring."""
    tiktok, tv = OWN.platforms
    platforms = (
        replace(tiktok, today=0.0, best=0.02, revenue_today=0.0, revenue_best=90.0, tried=False, counted=counted),
        replace(tv, today=1.0, best=0.98, revenue_today=1800.0, revenue_best=1800.0 + seen),
    )
    own = replace(OWN, proved=False, probability=0.99, platforms=platforms)
    found = standing([LACKS], decision(own), "x")
    assert found.word == word
    assert not found.keep
    assert found.first_test is not None


def test_a_split_that_is_likelier_to_lose_is_not_to_be_made() -> None:
    """Its tables tell what the fit alone expects: more."""
    doubted = replace(OWN, proved=False, probability=0.34, gain=-90.0, gain_interval=(-700.0, 900.0))
    found = standing([LACKS], decision(doubted), "x")
    assert found.word == "not enough"
    assert found.reason.startswith(
        "keep today's split of campaign x: by the fit alone the best one earns +120.00, but with what the data leave "
        "open it is likelier to lose than to gain (more with probability 0.34); gate decision.gain"
    )
    assert found.first_test is not None
    assert found.keep
    even = standing([LACKS], decision(replace(doubted, probability=0.5)), "x")
    assert even.reason.startswith("gate decision.gain")
    assert not even.keep
    # Also where it can hardly be bettered, where nothing is judged, and where gates passed for another campaign.
    hardly = standing([LACKS], decision(replace(doubted, gain_interval=(-90.0, 9.0))), "x")
    assert hardly.reason.startswith("keep today's split of campaign x, which can hardly be bettered: ")
    withheld = standing([LACKS], decision(replace(doubted, withheld="of campaign x tv rose")), "x")
    assert withheld.reason.startswith("keep today's split of campaign x: ")
    assert withheld.reason.endswith("; of campaign x tv rose")
    registered = standing([PASSED], decision(replace(OWN, campaign="y"), doubted), "x")
    assert registered.reason.startswith("keep today's split of campaign x: ")
    assert [hardly.keep, withheld.keep, registered.keep] == [True, True, True]
    assert not standing([PASSED], decision(OWN), "x").keep
    assert not standing([LACKS], decision(replace(doubted, ended="2025-03-06")), "x").keep


def test_a_gate_that_failed_makes_an_answer_not_enough_whatever_else() -> None:
    gates = [gate("policy.beats.rule", "insufficient data"), gate("decision.weeks", "fail")]
    found = standing(gates, decision(OWN), "x")
    assert found.word == "not enough"
    assert found.reason.startswith("gate decision.weeks, fail: d")
    assert found.reason.endswith("(and 1 more gate: policy.beats.rule)")
    assert standing([gate("decision.weeks", "fail", required=False)], decision(OWN), "x").word == "proved"


def test_what_says_most_comes_first_and_a_threshold_is_reached_by_itself() -> None:
    gates = [gate(name, "insufficient data") for name in ("agreement", "fidelity.campaign", "decision.gain")]
    found = standing(gates, decision(replace(OWN, probability=0.8, proved=False)), "x")
    assert found.word == "plausible"
    assert found.reason.startswith("gate decision.gain, ")
    assert found.reason.endswith("(and 2 more gates: fidelity.campaign, agreement)")


def test_todays_split_that_can_hardly_be_bettered_is_no_lack() -> None:
    idle = replace(OWN, gain=1.0, gain_interval=(-8.0, 9.0), probability=0.6, proved=False)
    found = standing([LACKS], decision(idle), "x")
    assert found.word == "plausible"
    assert found.reason.startswith(
        "today's split can hardly be bettered: the split that the fit would choose of 1,000.00 EUR per cycle earns +1."
    )


def test_a_history_that_names_no_campaign_is_told_of_all_campaigns() -> None:
    only = replace(OWN, campaign=ALL_CAMPAIGNS, proved=False)
    unsure = standing([PASSED], decision(replace(only, probability=0.7)))
    assert "of all campaigns the split that the fit would choose of 1,000.00 EUR" in unsure.reason
    kept = standing([LACKS], decision(replace(only, probability=0.2)))
    assert kept.reason.startswith("keep today's split of all campaigns: ")
    assert "campaign all campaigns" not in unsure.reason + kept.reason


def test_the_least_sure_campaign_speaks_for_a_run() -> None:
    other = replace(OWN, campaign="y", probability=0.7, proved=False)
    whole = standing([PASSED], decision(OWN, other))
    assert whole.word == "not enough"
    assert whole.reason.startswith(
        "of campaign y the split that the fit would choose of 1,000.00 EUR per cycle earns +120.00"
    )
    assert whole.reason.endswith("(by the fit alone +120.00), wanted 0.95 in draws and weeks alike")
    lost = replace(other, probability=0.97, weeks=(-12.0, -30.0, 6.0))
    assert standing([PASSED], decision(lost), "y").reason.endswith(
        "(by the fit alone +120.00), but at the levels of 8 held-out weeks, by the fit of the time before them, "
        "-12.00, 90 % interval [-30.00, +6.00]"
    )
    new = replace(other, platforms=(replace(OWN.platforms[0], tried=False), OWN.platforms[1]))
    reason = standing([PASSED], decision(new), "y").reason
    assert reason.endswith("(by the fit alone +120.00), tiktok was never tried there")
    assert standing([PASSED], decision(OWN, other), "x").word == "proved"


def test_of_several_campaigns_each_is_told_its_own_gain_though_the_gate_sums_them() -> None:
    other = replace(OWN, campaign="y", gain=600.0, proved=False, probability=0.9)
    own = replace(OWN, proved=False, probability=0.7, more_cycles=40)
    gates = [
        replace(LACKS, detail="+720.00 EUR of both; radio was never tried"),
        gate("agreement", "insufficient data"),
    ]
    found = standing(gates, decision(own, other), "x")
    assert found.word == "not enough"
    assert found.reason == (
        "of campaign x the split that the fit would choose of 1,000.00 EUR per cycle earns +120.00 against as today "
        "(+6.0%), 90 % interval [+20.00, +220.00], more with probability 0.70 (by the fit alone +120.00), wanted 0.95 "
        "in draws and weeks alike: about 40 more days; gate decision.gain of all campaigns together, insufficient data "
        "(and 1 more gate: agreement)"
    )
    assert "earns +600.00" in standing(gates, decision(own, other), "y").reason
    # What a gate says that is of no decision, or of one campaign alone, is told as it stands.
    assert standing([gate("agreement", "fail")], decision(own, other), "x").reason.startswith("gate agreement, fail: d")
    alone = standing(gates, decision(own, replace(other, withheld="of campaign y tv rose")), "x")
    assert alone.reason.startswith("gate decision.gain, insufficient data: +720.00 EUR of both")
    idle = standing(gates, decision(replace(own, gain_interval=(-8.0, 9.0)), other), "x")
    assert idle.reason.endswith("; gate decision.gain of all campaigns together, insufficient data (and 1 more gate: "
                                "agreement)")  # fmt: skip
    assert "+720.00" not in idle.reason


def test_a_log_of_impressions_has_its_gates_alone() -> None:
    assert standing([PASSED]).lines() == ["PROVED: all 1 required gates passed"]
    lacking = standing([PASSED, gate("fidelity.campaign.roi", "insufficient data")])
    assert lacking.word == "plausible"
    assert lacking.first_test is not None
    assert "7:3 experiment" in lacking.first_test
    assert standing([gate("fidelity.campaign.roi", "fail")]).word == "not enough"


def test_a_test_of_what_was_never_tried_and_one_that_may_not_settle() -> None:
    new = replace(TEST, low=50.0, high=50.0, elasticity_error=None, cycles=14)
    assert sentence(new, "EUR", 24) == (
        "give tiktok, which was never tried, 50.00 EUR a day for 14 days, taken from the others in proportion"
    )
    assert sentence(replace(new, cycles=56, settles=False, needed_cycles=84), "EUR", 24) == (
        "give tiktok, which was never tried, 50.00 EUR a day for 56 days, taken from the others in proportion. That "
        "brings too few conversions to tell: it would take 84 days, too long to be of use, or a probe 1.5 times as "
        "large (limits.probe)"
    )
    nearly = sentence(replace(new, cycles=56, settles=False, needed_cycles=70), "EUR", 24)
    assert "or a probe 1.3 times as large" in nearly, "1.2 times would take 58 days"
    never = sentence(replace(new, cycles=56, settles=False, needed_cycles=84_000), "EUR", 24)
    assert never.endswith("it would take more than ten years, too long to be of use")
    assert sentence(TEST, "EUR", 24) == (
        "spend 130.00 and 70.00 EUR a day on tiktok in turn, 7 days each, for 56 days; the other platforms take up the "
        "difference. That tells the elasticity of its revenue to ±0.10"
    )
    larger = sentence(replace(TEST, low=45.0, high=155.0, block=1, cycles=8, usual_cycles=26), "EUR", 168)
    assert larger.startswith(
        "spend 155.00 and 45.00 EUR per cycle of 168 h on tiktok in turn, 7 days each, for 56 days;"
    )
    assert larger.endswith("to ±0.10. The usual step would take 182 days, too long to be of use: hence 55% up and down")
    none = replace(TEST, low=30.0, high=170.0, usual_cycles=1_400, needed_cycles=182, settles=False)
    assert sentence(none, "EUR", 24) == (
        "no test of 56 days settles it: even 170.00 and 30.00 EUR a day on tiktok in turn (70% up and down), 7 days "
        "each, with the other platforms taking up the difference, tells the elasticity of its revenue to ±0.10 by "
        "then; 182 days would be enough and are too long to be of use. Only more conversions a day there "
        "make it shorter"
    )
    assert "tells nothing of its elasticity by then. Only" in sentence(
        replace(none, elasticity_error=float("inf"), needed_cycles=None), "EUR", 24
    )


@pytest.mark.parametrize(
    ("value", "shown"), [(0.9499, "0.94"), (0.95, "0.95"), (0.99, "0.99"), (0.996, "above 0.99"), (1.0, "above 0.99")]
)
def test_a_probability_never_reads_as_more_than_it_is(value: float, shown: str) -> None:
    assert probability(value) == shown


def test_the_interval_is_that_of_the_proof() -> None:
    strict = replace(decision(OWN), sure=0.975)
    assert "95 % interval [+20.00, +220.00]" in standing([PASSED], strict, "x").reason


def test_what_of_a_gain_is_borrowed_is_told() -> None:
    probe = PlatformChange(
        platform="radio", today=0.0, best=0.02, revenue_today=0.0, revenue_best=33.0, marginal_roi=None,
        elasticity_error=None, tried=False, counted=False,
    )  # fmt: skip
    found = standing([PASSED], decision(replace(OWN, platforms=(*OWN.platforms, probe))), "x")
    assert found.word == "proved"
    told = "; 33.00 EUR of it is borrowed, what a probe of radio, never tried, may bring (by the fit alone"
    assert found.reason.endswith(f"(by the fit alone +153.00){told} +120.00 without that)")


def test_platforms_never_tried_are_named_once() -> None:
    """In what is borrowed, where a probe of them counts for nothing; else in what is lacking."""
    probe = PlatformChange(
        platform="radio", today=0.0, best=0.02, revenue_today=0.0, revenue_best=33.0, marginal_roi=None,
        elasticity_error=None, tried=False, counted=False,
    )  # fmt: skip
    unsure = replace(OWN, proved=False)
    both = replace(unsure, platforms=(*OWN.platforms, probe, replace(probe, platform="tv")))
    reason = standing([PASSED], decision(both), "x").reason
    assert reason.endswith("may bring (by the fit alone +120.00 without that), which no history proves")
    assert reason.count("radio, tv, never tried") == 1
    assert "there" not in reason
    counted = [replace(probe, platform=name, counted=True) for name in ("radio", "tv")]
    reason = standing([PASSED], decision(replace(unsure, platforms=(*OWN.platforms, *counted))), "x").reason
    assert reason.endswith(", radio, tv were never tried there")


def test_a_campaign_whose_budgets_only_moved_together_says_so_where_another_was_proved() -> None:
    tiktok, tv = OWN.platforms
    own = replace(OWN, proved=False, platforms=(replace(tiktok, together=True), replace(tv, together=True)))
    found = standing([PASSED], decision(own), "x")
    assert found.word == "plausible"
    assert found.reason.endswith(", budgets (tiktok, tv) only ever moved together: whether money or demand moved "
                                 "revenue, only money moved on purpose can tell")  # fmt: skip
    assert found.first_test is not None
    assert found.first_test.startswith("spend 130.00 and 70.00 EUR a day on tiktok in turn")


def test_a_campaign_that_is_over_says_so_and_speaks_for_no_other() -> None:
    over = replace(
        OWN, campaign="old", proved=False, probability=0.1, ended="2025-03-06", withheld="campaign old ended"
    )
    both = decision(OWN, over)
    assert standing([PASSED], both).word == "proved"
    found = standing([PASSED], both, "old")
    assert (found.word, found.reason, found.first_test) == ("not enough", "campaign old ended", None)
    rose = replace(OWN, proved=False, withheld="of campaign x tiktok spends 9 EUR a cycle today")
    found = standing([PASSED], decision(rose), "x")
    assert (found.word, found.reason) == ("not enough", rose.withheld)
    assert found.first_test is not None

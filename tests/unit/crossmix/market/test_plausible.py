"""`crossmix.market.plausible`: what cannot be so is named, with what it was and should have been; the rest is not."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pytest
import torch

from crossmix.config import Guard
from crossmix.feedback import AMOUNTS, Feedback
from crossmix.market.level_evidence import Usual
from crossmix.market.plausible import Suspect, suspects
from tests.support.honest_feed import report, usual_of

NAMES = ("search", "social", "video", "shop")
NAMED = usual_of(("spring",), NAMES)
USUAL = NAMED.of_campaigns(["spring"])
MONDAY = datetime(2026, 1, 5, tzinfo=UTC)
PARTS = {"policy": 0.7, "control": 0.3}
CYCLES = 12
POISONED = 8


def honest(part: float) -> Feedback:
    """An arm that reports what is usual, without noise."""
    told = dict.fromkeys(NAMES, 250.0 * part)
    rows = [report(NAMED, "spring", MONDAY + timedelta(days=t), part, told) for t in range(CYCLES)]
    amounts: dict[str, Any] = {
        name: np.array([[[row[name.removesuffix("_TCP")] for row in cycle]] for cycle in rows]) for name in AMOUNTS
    }
    return Feedback(
        campaigns=("spring",),
        platforms=NAMES,
        cycle_TC=np.arange(CYCLES)[:, None],
        weekday_TC=(np.arange(CYCLES) % 7)[:, None],
        part_TC=np.full((CYCLES, 1), part),
        told_TCP=np.full((CYCLES, 1, len(NAMES)), 250.0 * part),
        **amounts,
    )


ARMS = {arm: honest(part) for arm, part in PARTS.items()}


def changed(arm: str, cycles: slice | int, platforms: slice | int | list[int], **times: float) -> dict[str, Feedback]:
    """Both arms, some amounts of one so many times what they were."""
    amounts = {f"{name}_TCP": getattr(ARMS[arm], f"{name}_TCP").copy() for name in times}
    for name, factor in times.items():
        amounts[f"{name}_TCP"][cycles, 0, platforms] *= factor
    return {**ARMS, arm: replace(ARMS[arm], **amounts)}


def found(arms: Mapping[str, Feedback]) -> list[Suspect]:
    return suspects(USUAL, arms, Guard())


def test_what_is_usual_is_not_suspect() -> None:
    assert found(ARMS) == []


def test_arms_of_an_account_that_ran_are_held_against_each_other_at_once() -> None:
    """Where a campaign may begin, clicks of before may be one arm's alone; an account's own are of both."""
    ran = replace(USUAL, elasticity=torch.ones_like(USUAL.elasticity), usual_share=torch.ones_like(USUAL.cvr) * 0.1)
    arms = changed("policy", slice(0, 2), 1, conversions=0.1, revenue=0.1)

    def named(usual: Usual, some: Mapping[str, Feedback]) -> list[tuple[str, str, str, int, str]]:
        return [(one.cause, one.arm, one.platform, one.cycle, one.quantity) for one in suspects(usual, some, Guard())]

    assert named(ran, ARMS) == []
    assert named(USUAL, arms) == []
    assert named(ran, arms) == [("disagree", arm, "social", 1, "cvr") for arm in ("control", "policy")]


def test_more_clicks_than_impressions_cannot_be() -> None:
    arms = changed("policy", POISONED, 1, clicks=100.0)
    named = [one for one in found(arms) if one.cause == "identity"]
    assert [(one.arm, one.platform, one.cycle, one.first, one.quantity, one.z) for one in named] == [
        ("policy", "social", POISONED, POISONED, "clicks", None)
    ]
    seen = arms["policy"]
    assert named[0].observed == seen.clicks_TCP[POISONED, 0, 1]
    assert named[0].expected == seen.impressions_TCP[POISONED, 0, 1]
    assert named[0].sentence.startswith("spring, arm policy, social, cycle 8: clicks ")
    assert named[0].sentence.endswith(", which cannot be")


def test_an_amount_below_nothing_cannot_be() -> None:
    named = [one for one in found(changed("control", POISONED, 2, spend=-1.0)) if one.cause == "identity"]
    assert [(one.arm, one.platform, one.quantity, one.expected) for one in named] == [
        ("control", "video", "spend", 0.0)
    ]


def test_more_spend_than_was_told_is_suspect_and_a_rounding_is_not() -> None:
    arms = changed("policy", POISONED, 3, spend=2.0)
    named = [one for one in found(arms) if one.cause == "overspent"]
    assert [(one.arm, one.platform, one.cycle, one.expected) for one in named] == [("policy", "shop", POISONED, 175.0)]
    assert named[0].observed == pytest.approx(2 * ARMS["policy"].spend_TCP[POISONED, 0, 3])
    spent, told = ARMS["policy"].spend_TCP[POISONED, 0, 3], 175.0
    within = changed("policy", POISONED, 3, spend=told * 1.09 / spent)
    assert [one for one in found(within) if one.cause == "overspent"] == []


def test_spend_of_what_an_earlier_answer_of_the_cycle_told_is_not_suspect() -> None:
    """A plan that was lowered within its cycle, after most of it was spent."""
    lowered = replace(ARMS["policy"], told_TCP=ARMS["policy"].told_TCP * 0.2, most_TCP=ARMS["policy"].told_TCP)
    assert found({**ARMS, "policy": lowered}) == []
    unknown = replace(lowered, most_TCP=lowered.told_TCP)
    assert {one.cause for one in found({**ARMS, "policy": unknown}) if one.quantity == "spend"} >= {"overspent"}


@pytest.mark.parametrize("times", [100.0, 0.01])
def test_a_value_that_no_market_has_is_impossible(times: float) -> None:
    """And the arm that is sound is not suspect for differing from one that is not."""
    named = found(changed("policy", POISONED, 0, revenue=times))
    assert {(one.arm, one.platform, one.quantity, one.cycle) for one in named} == {
        ("policy", "search", "value", POISONED)
    }
    (alone,) = (one for one in named if one.cause == "impossible")
    seen = ARMS["policy"]
    assert alone.observed == pytest.approx(times * seen.revenue_TCP[POISONED, 0, 0])
    assert alone.expected == pytest.approx(seen.revenue_TCP[POISONED, 0, 0])
    assert (alone.z or 0) * (times - 1) > 0


def test_twice_what_is_usual_in_both_arms_is_a_market_that_moved() -> None:
    both = {
        arm: replace(one, revenue_TCP=2 * one.revenue_TCP, conversions_TCP=2 * one.conversions_TCP)
        for arm, one in ARMS.items()
    }
    assert found(both) == []


def test_arms_of_one_market_that_differ_are_both_suspect() -> None:
    named = found(changed("policy", slice(POISONED, None), 0, requests=2.0))
    assert {(one.cause, one.platform, one.quantity) for one in named} == {("disagree", "search", "requests")}
    assert {one.arm for one in named} == {"policy", "control"}
    assert {one.cycle for one in named} == set(range(POISONED, CYCLES))
    first = next(one for one in named if one.arm == "policy" and one.cycle == POISONED)
    assert first.expected == pytest.approx(first.observed / 2, rel=1e-2)


def test_where_several_platforms_are_wrong_none_is_believed() -> None:
    named = found(changed("policy", POISONED, [0, 1], revenue=100.0))
    assert {(one.platform, one.cause) for one in named} == {
        ("search", "impossible"),
        ("social", "impossible"),
        ("search", "disagree"),
        ("social", "disagree"),
        ("video", "shared"),
        ("shop", "shared"),
    }
    assert {(one.arm, one.cycle, one.quantity) for one in named} == {("policy", POISONED, "value")}
    (shared,) = (one for one in named if one.platform == "shop")
    assert shared.sentence.endswith("value of 2 other platforms is suspect, so that none is believed")


def test_a_good_cycle_after_bad_ones_is_not_named() -> None:
    """Though the stretch that it ends is suspect still."""
    named = found(changed("policy", slice(5, 8), 0, revenue=100.0))
    assert {one.cycle for one in named} == {5, 6, 7}


def test_few_events_a_cycle_add_up_and_the_stretch_begins_where_they_do() -> None:
    """A hundredth of the feed, of which no conversion is told from cycle 6 on."""
    thin = {}
    for arm, one in ARMS.items():
        amounts = {name: np.round(getattr(one, name) * 0.1) for name in AMOUNTS if name not in ("spend_TCP",)}
        amounts["revenue_TCP"] = one.revenue_TCP * 0.1
        amounts["conversions_TCP"][6:] = 0
        amounts["revenue_TCP"][6:] = 0
        thin[arm] = replace(
            one, part_TC=one.part_TC * 0.1, spend_TCP=one.spend_TCP * 0.1, told_TCP=one.told_TCP * 0.1, **amounts
        )
    named = [one for one in found(thin) if one.cause == "impossible"]
    assert {one.quantity for one in named} == {"cvr"}
    assert min(one.first for one in named) == 6
    assert max(one.cycle for one in named) == CYCLES - 1
    assert any(one.first < one.cycle for one in named)


def begun_before(told: float) -> dict[str, Feedback]:
    """Both arms of a campaign that spent 250 a platform and cycle before it was served here, and `told` since."""
    arms = {}
    for arm, part in PARTS.items():
        old = report(NAMED, "spring", MONDAY - timedelta(days=1), part, dict.fromkeys(NAMES, 250.0 * part))
        clicks_P = np.array([row["clicks"] for row in old])
        rows = [
            report(NAMED, "spring", MONDAY + timedelta(days=t), part, dict.fromkeys(NAMES, told * part))
            for t in range(CYCLES)
        ]
        amounts: dict[str, Any] = {
            f"{name}_TCP": np.array([[[row[name] for row in cycle]] for cycle in rows])
            for name in rows[0][0]
            if name != "platform"
        }
        share_DP, value_P = USUAL.delay_DCP[:, 0].numpy(), USUAL.value[0].numpy()
        conversions_TCP = np.zeros_like(amounts["clicks_TCP"])
        for t in range(CYCLES):
            clicks_DP = np.stack(
                [amounts["clicks_TCP"][t - d, 0] if t >= d else clicks_P for d in range(len(share_DP))]
            )
            conversions_TCP[t, 0] = np.round((share_DP * clicks_DP).sum(0) * USUAL.cvr[0].numpy())
        amounts |= {"conversions_TCP": conversions_TCP, "revenue_TCP": conversions_TCP * value_P}
        arms[arm] = replace(ARMS[arm], told_TCP=np.full_like(ARMS[arm].told_TCP, told * part), **amounts)
    return arms


def test_conversions_of_clicks_before_the_flight_are_honest() -> None:
    """In its first cycle many times what the clicks that were told make."""
    arms = begun_before(told=2.0)
    first, last = (arms["policy"].conversions_TCP[t, 0] for t in (0, CYCLES - 1))
    assert (first > 6 * last).all()
    assert found(arms) == []


def test_clicks_before_the_flight_make_no_more_than_all_requests_would_have() -> None:
    named = found(changed("policy", 0, 0, conversions=30.0, revenue=30.0))
    assert {(one.cause, one.arm, one.platform, one.quantity, one.cycle) for one in named} == {
        ("impossible", "policy", "search", "cvr", 0)
    }


def test_clicks_that_were_told_make_conversions_from_the_first_cycle_on() -> None:
    named = found(changed("policy", 0, 0, conversions=0.01, revenue=0.01))
    assert {(one.cause, one.arm, one.platform, one.quantity, one.cycle) for one in named} == {
        ("impossible", "policy", "search", "cvr", 0)
    }


def test_arms_conversions_are_held_against_each_other_once_their_clicks_are_of_the_flight() -> None:
    """The delay is two cycles at most."""
    named = found(changed("policy", slice(None), 0, conversions=3.0, revenue=3.0))
    assert {(one.cause, one.quantity) for one in named} == {("disagree", "cvr")}
    assert {one.arm for one in named} == {"policy", "control"}
    assert {one.cycle for one in named} == set(range(2, CYCLES))
    assert min(one.first for one in named) == 2


def test_without_a_market_only_what_needs_none_is_tested() -> None:
    arms = changed("policy", POISONED, 0, revenue=100.0, spend=2.0)
    assert [(one.cause, one.platform) for one in suspects(None, arms, Guard())] == [("overspent", "search")]


def test_what_is_unknown_is_not_suspect() -> None:
    arms = changed("policy", POISONED, 0, revenue=100.0)
    cell_TCP = np.zeros(arms["policy"].spend_TCP.shape, bool)
    cell_TCP[POISONED, 0, 0] = True
    assert found({**arms, "policy": arms["policy"].without(cell_TCP)}) == []


def test_arms_of_other_cycles_are_refused() -> None:
    with pytest.raises(ValueError, match="other campaigns, platforms or cycles; read them with one call"):
        found({"policy": ARMS["policy"], "control": ARMS["control"].between(1, CYCLES)})
    assert suspects(USUAL, {}, Guard()) == []


def test_the_value_of_a_few_orders_is_not_judged() -> None:
    """One order may be worth next to nothing, or a hundred others; twenty are worth what orders are."""
    for orders, causes in ((2.0, set()), (20.0, {"impossible", "disagree"})):
        usual = float(USUAL.value[0, 1])
        policy, control = (
            replace(
                ARMS[arm], conversions_TCP=ARMS[arm].conversions_TCP.copy(), revenue_TCP=ARMS[arm].revenue_TCP.copy()
            )
            for arm in PARTS
        )
        for arm, worth in ((policy, 0.005), (control, 1.0)):
            arm.conversions_TCP[:, 0, 1], arm.revenue_TCP[:, 0, 1] = 0.0, 0.0
            arm.conversions_TCP[POISONED, 0, 1], arm.revenue_TCP[POISONED, 0, 1] = orders, orders * usual * worth
        named = [one for one in found({"policy": policy, "control": control}) if one.quantity == "value"]
        assert {one.cause for one in named} <= causes
        assert bool(named) == bool(causes)

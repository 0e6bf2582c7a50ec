"""The rows of rules in closed form, and that every planted breach is named."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from crossmix.creators.brief import BriefError
from crossmix.creators.matrix import BUDGET, ELIGIBLE, FORBIDDEN, MUST_HAVE, ONCE, check, matrix_of, rows_of, tier_N
from tests.support import creators

SHARE = {"kind": "share"}


def test_cells_are_channel_then_phase_then_tier() -> None:
    matrix = matrix_of(creators.brief())
    assert matrix.cells == 12
    assert matrix.label(0) == ("instagram", "teaser", "head")
    assert matrix.label(4) == ("instagram", "launch", "mid")
    assert matrix.label(11) == ("tiktok", "launch", "tail")
    for kind in range(matrix.classes):
        for phase in range(2):
            channel, of_phase, tier = matrix.label(int(matrix.cell_KP[kind, phase]))
            assert (channel, tier) == matrix.class_label(kind)
            assert of_phase == matrix.phases[phase]


def test_rows_in_closed_form() -> None:
    rules = [
        creators.ORDER,
        {**SHARE, "phase": "launch", "least": 0.4, "most": 0.7},
        {**SHARE, "channel": "tiktok", "tier": "head", "most": 0.3},
        {**SHARE, "of": "budget", "least": 0.9},
        {"kind": "order", "of": "phase", "names": ["launch", "teaser"], "channel": "tiktok"},
    ]
    rows = rows_of(creators.brief(rules=rules))
    assert rows.names == (
        "head >= mid",
        "mid >= tail",
        "launch >= 0.4 of spend",
        "launch <= 0.7 of spend",
        "tiktok head <= 0.3 of spend",
        "spend >= 0.9 of budget",
        "launch >= teaser in tiktok",
    )
    spend = np.arange(1.0, 13.0).reshape(2, 2, 3) * 100  # channel, phase, tier
    head, mid, tail = spend.sum((0, 1))
    launch, all_of_it = spend[:, 1].sum(), spend.sum()
    expected = [
        head - mid,
        mid - tail,
        launch - 0.4 * all_of_it,
        0.7 * all_of_it - launch,
        0.3 * all_of_it - spend[1, :, 0].sum(),
        all_of_it - 0.9 * 6_000,
        spend[1, 1].sum() - spend[1, 0].sum(),
    ]
    np.testing.assert_allclose(rows.slack_R(spend.reshape(-1)), expected)


def test_a_rule_that_is_there_twice_is_refused() -> None:
    rule = {**SHARE, "tier": "head", "least": 0.2}
    with pytest.raises(BriefError, match=r"'head >= 0.2 of spend' is there twice"):
        rows_of(creators.brief(rules=[rule, rule]))


def test_tiers_by_followers() -> None:
    brief = creators.brief(tiers={"head": 500_000, "mid": 50_000, "tail": 1_000})
    assert tier_N(brief, np.array([9e6, 5e5, 499_999, 5e4, 49_999, 1_000, 999])).tolist() == [0, 0, 1, 1, 2, 2, -1]


CATALOGUE = creators.catalogue(
    6,
    channel_N=np.array([0, 1, 0, 1, 0, 1]),
    price_N=np.array([900.0, 500, 200, 900, 500, 200]),
    member_G=np.arange(6),
    category_G=np.array([0, 0, 0, 0, 0, 1]),
)
"""head, mid, tail and again; the last is of food."""
GOOD = [("c0", "launch"), ("c1", "teaser"), ("c2", "launch")]
RULES = [creators.ORDER, {**SHARE, "phase": "launch", "least": 0.4, "most": 0.8}]
BRIEF = creators.brief(budget=2_000, rules=RULES, must_have=["c1"], forbidden=["c4"], category="beauty")


def test_a_plan_that_keeps_all_breaks_nothing() -> None:
    assert check(CATALOGUE, BRIEF, GOOD) == []


@pytest.mark.parametrize(
    ("change", "chosen", "rule"),
    [
        ({"budget": 1_500}, GOOD, BUDGET),
        ({}, [("c0", "launch"), ("c3", "teaser")], MUST_HAVE),
        ({"must_have": []}, [("c0", "launch"), ("c4", "teaser")], FORBIDDEN),
        ({}, [*GOOD, ("c0", "teaser")], ONCE),
        ({}, [*GOOD, ("c5", "launch")], ELIGIBLE),
        ({}, [*GOOD, ("nobody", "launch")], ELIGIBLE),
        ({}, [*GOOD, ("c3", "finale")], ELIGIBLE),
        ({"channels": ["tiktok"]}, GOOD, ELIGIBLE),
        ({}, [("c1", "launch"), ("c2", "teaser")], "head >= mid"),
        ({"must_have": []}, [("c0", "launch"), ("c3", "teaser"), ("c2", "launch")], "mid >= tail"),
        ({}, [("c0", "teaser"), ("c1", "teaser"), ("c2", "launch")], "launch >= 0.4 of spend"),
        ({}, [("c0", "launch"), ("c1", "launch"), ("c2", "launch")], "launch <= 0.8 of spend"),
    ],
)
def test_every_breach_is_named(change: dict[str, Any], chosen: list[tuple[str, str]], rule: str) -> None:
    plain = {
        "budget": 2_000,
        "rules": RULES,
        "must_have": ["c1"],
        "forbidden": ["c4"],
        "category": "beauty",
    }
    told = check(CATALOGUE, creators.brief(**{**plain, **change}), chosen)
    assert rule in [one.rule for one in told]
    if rule not in (ELIGIBLE, ONCE):
        assert [one.rule for one in told] == [rule]


def test_spend_of_earlier_phases_counts() -> None:
    spent = np.zeros(12)
    spent[2] = 1_000  # instagram teaser tail
    told = [one.rule for one in check(CATALOGUE, replace(BRIEF, budget=3_000.0), GOOD, spent)]
    assert told == ["mid >= tail"]


def test_a_cap_of_the_budget_in_closed_form() -> None:
    rows = rows_of(creators.brief(budget=6_000, rules=[{"kind": "share", "tier": "head", "of": "budget", "most": 0.5}]))
    head_C = matrix_of(creators.brief()).members(tier="head").astype(float)
    np.testing.assert_array_equal(rows.coefficient_RC, -head_C[None])
    assert rows.low_R.tolist() == [-3_000.0]


def test_a_shortfall_of_a_thousandth_is_a_breach() -> None:
    brief = creators.brief(budget=6_000, rules=[{"kind": "share", "of": "budget", "least": 0.5}])
    spent_C = np.full(8 + 4, 2_994.0 / 12)
    known = creators.catalogue(9)
    assert [one.rule for one in check(known, brief, [], spent_C)] == ["spend >= 0.5 of budget"]
    assert check(known, brief, [], spent_C + 0.6) == []

"""Brief, catalogue and effects become one problem; what does not fit together is named."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from crossmix.creators.brief import BriefError
from crossmix.creators.problem import Before, pose
from crossmix.creators.settings import Effects
from tests.support import creators

C = creators.catalogue(12)
EFFECT = creators.effects(C)


def test_candidates_are_eligible_and_can_be_paid() -> None:
    problem = pose(C, EFFECT, creators.brief(budget=1_500, forbidden=["c2"], category="beauty"))
    beauty = C.of_category("beauty")
    expected = [at for at in range(12) if C.price_N[at] <= 1_500 and beauty[at] and at != 2]
    assert problem.row_N.tolist() == expected
    for candidate, row in enumerate(problem.row_N):
        channel, tier = problem.matrix.class_label(int(problem.class_N[candidate]))
        assert channel == C.channels[C.channel_N[row]]
        assert tier == ("head", "mid", "tail")[row % 3]
    np.testing.assert_array_equal(problem.effect_N, EFFECT[problem.row_N])


def test_saturation_in_closed_form() -> None:
    problem = pose(C, EFFECT, creators.brief(audience={"tiktok": 500.0}), Effects(audience=0.2))
    tiktok = C.channel_N == 1
    assert problem.audience_C[6:].tolist() == [500.0] * 6
    np.testing.assert_allclose(problem.audience_C[:6], 0.2 * EFFECT[~tiktok].sum())
    cell_N = np.full(len(problem), -1)
    two = np.flatnonzero(tiktok[problem.row_N])[:2]
    cells = problem.cell_KP[problem.class_N[two], 0]
    cell_N[two] = cells
    sums = np.bincount(cells, problem.effect_N[two], minlength=12)
    assert problem.value(cell_N) == pytest.approx(sum(500 * (1 - np.exp(-x / 500)) for x in sums))
    assert problem.cost(cell_N) == pytest.approx(problem.price_N[two].sum())


def test_what_was_done_before_counts() -> None:
    spent = np.zeros(12)
    spent[0] = 1_000.0
    problem = pose(C, EFFECT, creators.brief(budget=5_000), before=Before(spent, np.zeros(12), ("c1",), ("teaser",)))
    assert problem.budget == 4_000
    assert 1 not in problem.row_N
    assert problem.open_P.tolist() == [False, True]
    cell_N = np.full(len(problem), -1)
    one = int(np.flatnonzero(problem.class_N < 3)[0])  # on instagram
    cell = int(problem.cell_KP[problem.class_N[one], 1])
    reached = np.where(np.arange(12) == cell, 400.0, 0.0)
    problem = replace(problem, reached_C=reached)
    cell_N[one] = cell
    audience, effect = problem.audience_C[cell], problem.effect_N[one]
    assert problem.value(cell_N) == pytest.approx(
        audience * (np.exp(-400 / audience) - np.exp(-(400 + effect) / audience))
    )
    assert problem.spend_C(cell_N)[[0, cell]].tolist() == [1_000.0, problem.price_N[one]]


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"channels": ["instagram", "radio"]}, "brief.channels: no creator is on 'radio'; use instagram, tiktok"),
        ({"must_have": ["c99"]}, "brief.must_have: 'c99' is not in the catalogue; did you mean c9"),
        ({"forbidden": ["zzz"]}, "brief.forbidden: 'zzz' is not in the catalogue; use ids"),
        ({"must_have": ["c0", "c3"], "budget": 100}, "brief.must_have: they cost"),
        ({"channels": ["tiktok"], "must_have": ["c0"]}, "brief.must_have: 'c0' is not of the brief's channels"),
    ],
)
def test_what_does_not_fit_together_is_named(change: dict[str, Any], says: str) -> None:
    c = replace(C, channel_N=np.arange(12) % 2)
    with pytest.raises(BriefError) as told:
        pose(c, EFFECT, creators.brief(**change))
    assert says in str(told.value)


def test_more_than_the_budget_is_spent_already() -> None:
    before = Before(np.full(12, 100.0), np.zeros(12))
    with pytest.raises(
        BriefError, match=r"brief\.budget: 1,000, of which 1,200 are spent already; raise it, or correct"
    ):
        pose(C, EFFECT, creators.brief(budget=1_000.0), before=before)


def test_currency_and_category() -> None:
    with pytest.raises(BriefError, match=r"brief.currency: 'EUR', but prices are in USD; convert one"):
        pose(replace(C, currency="USD"), EFFECT, creators.brief())
    with pytest.raises(BriefError, match=r"brief\.category: no creator has 'cars'; use beauty, food, or null for any"):
        pose(C, EFFECT, creators.brief(category="cars"))

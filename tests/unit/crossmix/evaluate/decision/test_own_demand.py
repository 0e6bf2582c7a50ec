"""Spend that follows a platform's own demand: how likely it is, what is left of money's effect, steps on purpose."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.integrate import quad
from scipy.stats import norm

from crossmix.evaluate.decision.elasticities import UNKNOWN
from crossmix.evaluate.decision.own_demand import (
    FOLLOWS,
    MEAN,
    NAMED,
    USUAL,
    VARIANCE,
    by_name,
    left_over,
    on_purpose,
    probability,
)


@pytest.mark.parametrize(("value", "error", "named"), [(0.6, 0.1, False), (1.0, 0.08, False), (0.9, 0.2, True)])
def test_the_odds_are_those_of_bayes(value: float, error: float, named: bool) -> None:
    """Against a quadrature over the elasticity under each explanation."""
    cut = norm.cdf(1, MEAN, VARIANCE**0.5)

    def moves(elasticity: float) -> float:
        return float(norm.pdf(elasticity, MEAN, VARIANCE**0.5) / cut * norm.pdf(value, elasticity, error))

    def follows(elasticity: float) -> float:
        return float(norm.pdf(elasticity, 1, FOLLOWS) * norm.pdf(value, elasticity, error))

    before = NAMED if named else USUAL
    of_both = before * quad(follows, -1, 3)[0], (1 - before) * quad(moves, -2, 1)[0]
    found = probability(np.array([value]), np.array([error]), [named])
    assert found[0] == pytest.approx(of_both[0] / sum(of_both), rel=1e-4)


def test_it_grows_with_the_elasticity_and_is_the_priors_where_data_tell_nothing() -> None:
    found_P = probability(np.array([0.4, 0.7, 1.0, 1.3]), np.full(4, 0.05), [False] * 4)
    assert (np.diff(found_P) > 0).all()
    assert found_P[0] < 0.005
    assert found_P[1] < USUAL
    assert found_P[3] > 0.95
    assert probability(np.zeros(2), np.full(2, UNKNOWN), [False, True]) == pytest.approx([USUAL, NAMED], rel=0.1)


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("google_brand_search", True), ("Brand", True), ("meta retargeting", True), ("RTG 2025", True),
        ("Marke", True), ("Google Ads - marca", True), ("ремаркетинг", True), ("リターゲティング", True),
        ("google", False), ("non-brand search", False), ("nonbrand", False), ("brand awareness", False),
        ("marketplace", False), ("meta_prospecting", False),
    ],
)  # fmt: skip
def test_names_that_say_so(name: str, says: bool) -> None:
    assert by_name(name, "google") is says
    assert by_name("all", name) is says


def test_a_brand_is_made_known_where_nobody_looks_for_it() -> None:
    assert by_name("brand", "google_search")
    assert by_name("brand", "west")
    assert not by_name("brand", "meta")
    assert not by_name("brand", "short_video")
    assert by_name("brand retargeting", "meta")


def test_what_demand_leaves_is_anything_from_none_to_all() -> None:
    left_NP = left_over(np.full((20_000, 1), 0.9), np.zeros(1), np.full(1, UNKNOWN), np.random.default_rng(0))
    assert left_NP.min() >= 0
    assert left_NP.max() <= 0.9
    assert left_NP.mean() == pytest.approx(0.45, abs=0.01)


def test_money_moved_on_purpose_tells_what_is_left() -> None:
    rng = np.random.default_rng(1)
    left_NP = left_over(np.full((20_000, 2), 0.9), np.full(2, 0.2), np.array([0.02, 0.26]), rng)
    # Of the second, the data and what is known before weigh alike: 0.9 / sqrt(12) = 0.26.
    assert left_NP.mean(0) == pytest.approx([0.2, 0.325], abs=0.01)
    assert left_NP.std(0) == pytest.approx([0.02, 0.26 / np.sqrt(2)], abs=0.005)


def test_steps_between_held_budgets_are_on_purpose_and_demand_is_not() -> None:
    rng = np.random.default_rng(2)
    demand_T = np.exp(0.3 * rng.standard_normal(84).cumsum() / 5)
    steps_T = np.repeat([100.0, 130.0, 70.0], 28) * np.exp(0.01 * rng.standard_normal(84))
    rise_T = np.repeat([100.0, 105.0, 110.0], 28)
    found_TP = on_purpose(np.stack([demand_T, steps_T, rise_T], 1)[:, None])[:, 0]
    assert not found_TP[:, 0].any()
    assert found_TP[:, 1].all()
    assert not found_TP[:, 2].any()


def test_only_what_was_held_around_a_step_counts() -> None:
    spend_T = np.concatenate([np.exp(np.sin(np.arange(30.0))), np.full(14, 3.0), np.full(14, 5.0)])
    assert on_purpose(spend_T[:, None, None])[:, 0, 0].tolist() == [False] * 30 + [True] * 28


def test_a_budget_that_creeps_is_not_held() -> None:
    creeps_T = 100 * np.exp(0.04 * np.arange(10))
    spend_T = np.concatenate([creeps_T, np.full(10, 200.0), np.full(10, 100.0)])
    assert on_purpose(spend_T[:, None, None])[:, 0, 0].tolist() == [False] * 10 + [True] * 20

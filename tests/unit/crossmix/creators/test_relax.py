"""The relaxation bounds every plan, its value is reached in parts, and its prices are derivatives."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import Bounds, LinearConstraint, milp

from crossmix.creators import effect, generated
from crossmix.creators.problem import pose
from crossmix.creators.relax import GRID, Model, RelaxationError, lagrangian, relax, worths
from tests.support import creators

RULES = [creators.ORDER, {"kind": "share", "phase": "launch", "least": 0.3, "most": 0.7}]


@given(st.integers(0, 10_000), st.floats(1_000, 20_000))
@settings(max_examples=12, deadline=None)
def test_no_plan_lies_above_the_bound(seed: int, budget: float) -> None:
    problem = creators.problem(7, seed, budget=budget, rules=RULES)
    if len(problem) == 0:
        return
    assert relax(problem).bound >= creators.best(problem) * (1 - 1e-9)


@given(st.integers(0, 10_000))
@settings(max_examples=10, deadline=None)
def test_it_bounds_at_any_duals(seed: int) -> None:
    """Weak duality, at prices that nobody solved for."""
    rng = np.random.default_rng(seed)
    problem = creators.problem(6, seed, rules=RULES)
    lambda_C, beta = rng.uniform(0, 2, 12), rng.uniform(0, 1)
    rho_R = rng.uniform(0, 0.5, len(problem.rows.names)) * (rng.random(len(problem.rows.names)) < 0.5)
    level = lagrangian(problem, lambda_C, beta, rho_R, worths(problem, lambda_C, beta, rho_R))
    assert level >= creators.best(problem) * (1 - 1e-9)


def _large(**changes):
    return creators.problem(400, 3, **{"budget": 60_000, "rules": RULES, **changes})


def test_bound_and_value_meet_and_columns_left_out_do_not_matter() -> None:
    problem = _large()
    relaxed = relax(problem)
    assert relaxed.value == pytest.approx(relaxed.bound, rel=1e-3)
    spend_C = np.bincount(
        problem.cell_KP[problem.class_N[relaxed.creator_J]].reshape(-1),
        (relaxed.part_JP * problem.price_N[relaxed.creator_J, None]).reshape(-1),
        minlength=12,
    )
    assert spend_C.sum() <= problem.budget * (1 + 1e-6)
    assert (problem.rows.slack_R(spend_C) >= -1e-6 * problem.budget).all()
    outside = np.setdiff1d(np.arange(len(problem)), relaxed.creator_J)
    assert len(outside)
    assert (relaxed.worth_NP[outside] <= 1e-6 * relaxed.bound).all()


def test_no_bound_on_a_cells_sum_takes_its_part_of_lambda() -> None:
    """With S bounded by all that the columns of its cell could give, L stayed 7 % above the value in this brief."""
    catalogue = generated.demo(2_000, 7).catalogue
    rules = [
        creators.ORDER,
        {"kind": "share", "phase": "launch", "least": 0.22, "most": 0.52},
        {"kind": "share", "channel": "youtube", "most": 0.39},
        {"kind": "share", "tier": "tail", "least": 0.09},
    ]
    phases = ["teaser", "launch", "sustain"]
    brief = creators.brief(budget=77_280, channels=list(catalogue.channels), phases=phases, rules=rules)
    relaxed = relax(pose(catalogue, effect.fit(catalogue).posterior(catalogue).mean_N, brief))
    assert relaxed.value == pytest.approx(relaxed.bound, rel=1e-3)


def _exactly(problem):
    return relax(problem, rounds=14, close=1e-6)


def test_the_budgets_price_is_the_bounds_derivative() -> None:
    base = _exactly(_large())
    for step in (60.0, -60.0):
        slope = (_exactly(_large(budget=60_000 + step)).bound - base.bound) / step
        assert base.budget_price == pytest.approx(slope, rel=0.02)


def test_each_rules_price_is_the_bounds_derivative() -> None:
    shares = [("phase", "launch", 0.7, 0.9), ("tier", "tail", 0.4, 1.0), ("channel", "tiktok", 0.0, 0.3)]
    tight = [{"kind": "share", axis: name, "least": least, "most": most} for axis, name, least, most in shares]
    problem = _large(rules=tight)
    base = _exactly(problem)
    assert (base.rule_price_R > 0.05 * base.budget_price).sum() >= 2
    for rule, price in enumerate(base.rule_price_R):
        low_R = problem.rows.low_R.copy()
        low_R[rule] -= 60.0
        eased = replace(problem, rows=replace(problem.rows, low_R=low_R))
        slope = (_exactly(eased).bound - base.bound) / 60.0
        assert price == pytest.approx(slope, rel=0.05, abs=0.005 * base.budget_price)


def test_the_programme_has_the_optimum_that_presolve_once_cut_off() -> None:
    """With infinite bounds on S and t HiGHS called 314.7 the optimum of this one; there is a plan of 367.3."""
    problem = creators.problem(7, 5, budget=6_500, rules=RULES)
    model = Model.of(problem, np.arange(7), [step * problem.audience_C for step in (*GRID, 5.0, 8.0)])
    integrality = np.concatenate([np.ones(14), np.zeros(24)])
    rows = [
        LinearConstraint(model.upper, -np.inf, model.upper_bound),
        LinearConstraint(model.equal, model.equal_bound, model.equal_bound),
    ]
    done = milp(model.objective, integrality=integrality, bounds=Bounds(model.low, model.high), constraints=rows)
    assert np.isfinite(model.high).all()
    assert -done.fun * model.effect_unit >= creators.best(problem) * (1 - 1e-6)


def test_must_have_creators_and_closed_phases() -> None:
    free = relax(_large())
    worst = int(np.argmin(free.worth_NP.max(1)))
    held = relax(_large(must_have=[f"c{_large().row_N[worst]}"]))
    at = held.creator_J.tolist().index(worst)
    assert held.part_JP[at].sum() == pytest.approx(1.0)
    assert held.bound < free.bound
    closed = replace(_large(rules=[]), open_P=np.array([True, False]))
    assert relax(closed).part_JP[:, 1].max() == 0


def test_rules_that_cannot_hold_have_no_relaxation() -> None:
    floor = {"kind": "share", "of": "budget", "tier": "head", "least": 0.9}
    with pytest.raises(RelaxationError):
        relax(creators.problem(6, 0, budget=500_000, rules=[floor]))


def test_it_begins_with_the_best_by_effect_per_cost_where_nobody_is_named() -> None:
    problem = _large()
    assert relax(problem, first_J=np.zeros(0, np.int64)).bound == relax(problem).bound


def test_what_was_reached_before_is_not_bounded_again() -> None:
    """One creator of one cell that is half full: the bound is what it adds."""
    problem = creators.problem(1, phases=["launch"], audience={"instagram": 500.0, "tiktok": 500.0}, budget=10**6)
    filled = replace(problem, reached_C=np.full(problem.matrix.cells, 300.0))
    added = 500 * np.exp(-0.6) * -np.expm1(-problem.effect_N[0] / 500)
    assert relax(filled).bound == pytest.approx(added, rel=2e-3)

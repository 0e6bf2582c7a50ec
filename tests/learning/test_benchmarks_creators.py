"""The creators benchmark runs end to end on two small briefs, and its figures are what they say."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from benchmarks import creators
from crossmix.creators.reference import template

ROOT = Path(__file__).resolve().parents[2]


def test_briefs_are_of_their_seed_and_within_their_ranges() -> None:
    one, same, other = (creators.brief_of(seed) for seed in (3, 3, 4))
    assert one == same != other
    budgets = [creators.brief_of(seed).budget for seed in range(40)]
    assert min(budgets) >= creators.LEAST_BUDGET
    assert max(budgets) <= creators.MOST_BUDGET
    assert min(budgets) < 100_000 < 250_000 < max(budgets)


def test_plans_are_judged_by_effects_that_no_planner_saw() -> None:
    case = creators.case_of(1, 500)
    problem, cell_N = case.problem, template(case.problem)
    bought = np.flatnonzero(cell_N >= 0)
    sums = np.bincount(cell_N[bought], case.true_N[problem.row_N[bought]], minlength=problem.matrix.cells)
    audience = problem.audience_C * case.audience_factor_C
    assert case.given(problem, cell_N) == pytest.approx((audience * (1 - np.exp(-sums / audience))).sum())
    assert not np.allclose(case.true_N, case.mean_N, rtol=0.1)
    assert len(set(case.audience_factor_C)) == 9


def test_cost_at_equal_effect_by_halving(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where effect is the share of the budget to the power of a half, half the effect costs a quarter."""
    case = creators.case_of(1, 500)
    budget = case.problem.brief.budget
    monkeypatch.setattr(creators, "solve", lambda problem: type("S", (), {"cell_N": problem.brief.budget / budget}))
    monkeypatch.setattr(creators.Case, "given", lambda self, problem, share: share**0.5)
    assert creators.cost_at(case, 0.5) == pytest.approx(0.25, abs=2.0**-creators.HALVINGS)
    assert creators.cost_at(case, 2.0) == 1.0


def test_intervals() -> None:
    told = creators.interval(list(np.random.default_rng(0).normal(3.0, 1.0, 400)))
    assert told["ci95"][1] - told["ci95"][0] == pytest.approx(2 * 1.96 / 20, rel=0.15)
    assert told["ci95"][0] < told["mean"] < told["ci95"][1]


def test_a_missed_goal_is_told() -> None:
    row = {
        "of the bound": {"mean": 0.97},
        "of the bound, least": 0.93,
        "plans that break a rule": 1,
        "seconds, most": 1,
    }
    told = creators.judged({"planners": {"solver": row}})
    assert [item["met"] for item in told.values()] == [False, True, False, True]


@pytest.mark.slow
def test_it_runs_from_the_command_line() -> None:
    command = [sys.executable, "-m", "benchmarks.creators", "--json", "--briefs", "2", "--creators", "600"]
    command += ["--large", "4000", "--no-costs", "--ddpg", "3"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    result = json.loads(done.stdout)
    planners = result["planners"]
    assert set(planners) == {"template", "template, leftovers", "greedy", "solver", "raw", "ddpg", "ddpg, projected"}
    for name, row in planners.items():
        assert 0 < row["of the bound"]["mean"] <= 1 + 1e-9, name
    assert planners["solver"]["plans that break a rule"] == 0
    assert planners["ddpg, projected"]["plans that break a rule"] == 0
    assert planners["solver"]["of the bound"]["mean"] >= planners["template, leftovers"]["of the bound"]["mean"]
    assert result["large"]["creators"] == 4_000
    assert set(result["goals"]) == set(creators.GOALS)

"""The solver finds the best of all plans where all can be tried, keeps every rule, and refuses by name."""

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crossmix.creators import fill
from crossmix.creators import solve as solver
from crossmix.creators.brief import BriefError, InfeasibleError
from crossmix.creators.matrix import check
from crossmix.creators.problem import Before, Problem, pose
from crossmix.creators.settings import Solver
from crossmix.creators.solve import PlanError, Solution, solve
from tests.support import creators

LONG = Solver(seconds=2)
EXACT = Solver(seconds=60)
"""A problem of few creators ends by itself."""
RULES = [creators.ORDER, {"kind": "share", "phase": "launch", "least": 0.3, "most": 0.7}]


def broken(problem: Problem, solution: Solution, catalogue: Any) -> list[str]:
    chosen = [
        (catalogue.ids[problem.row_N[at]], problem.matrix.label(int(cell))[1])
        for at, cell in enumerate(solution.cell_N)
        if cell >= 0
    ]
    return [one.rule for one in check(catalogue, problem.brief, chosen)]


@pytest.mark.parametrize("rules", [[], RULES], ids=["free", "ruled"])
def test_it_is_the_best_of_all_plans(rules: list[dict[str, Any]]) -> None:
    worst = 1.0
    for seed in range(8):
        problem = creators.problem(7, seed, budget=4_000 + 500 * seed, rules=rules)
        best = creators.best(problem)
        if best == 0:
            with pytest.raises(InfeasibleError):
                solve(problem, EXACT)
            continue
        solution = solve(problem, EXACT)
        assert solution.value <= best * (1 + 1e-9) <= solution.bound * (1 + 2e-9)
        worst = min(worst, solution.value / best)
    assert worst > 0.995


@given(
    st.integers(0, 10_000),
    st.floats(3_000, 60_000),
    st.lists(
        st.sampled_from(
            [
                creators.ORDER,
                {"kind": "share", "phase": "launch", "least": 0.3, "most": 0.7},
                {"kind": "share", "channel": "tiktok", "most": 0.6},
                {"kind": "share", "tier": "tail", "least": 0.1},
                {"kind": "share", "of": "budget", "most": 0.8},
            ]
        ),
        unique_by=str,
    ),
)
@settings(max_examples=15, deadline=None)
def test_no_plan_breaks_a_rule_or_the_budget(seed: int, budget: float, rules: list[dict[str, Any]]) -> None:
    catalogue = creators.catalogue(60, seed)
    problem = pose(catalogue, creators.effects(catalogue, seed), creators.brief(budget=budget, rules=rules))
    try:
        solution = solve(problem, Solver(seconds=0.5))
    except (BriefError, PlanError):  # none can be, or none was found in time
        return
    assert broken(problem, solution, catalogue) == []
    assert solution.cell_N.max() >= 0
    assert solution.value <= solution.bound * (1 + 1e-9)
    assert 0 <= solution.gap < 1


def test_must_have_and_forbidden_creators() -> None:
    catalogue = creators.catalogue(60, 5)
    effect_N = creators.effects(catalogue, 5)
    free = pose(catalogue, effect_N, creators.brief(budget=20_000, rules=RULES))
    plan = solve(free, LONG)
    wanted = [f"c{free.row_N[np.flatnonzero(plan.cell_N < 0)[3]]}"]
    dropped = [f"c{free.row_N[at]}" for at in np.flatnonzero(plan.cell_N >= 0)[:2]]
    brief = creators.brief(budget=20_000, rules=RULES, must_have=wanted, forbidden=dropped)
    held = pose(catalogue, effect_N, brief)
    solution = solve(held, LONG)
    assert broken(held, solution, catalogue) == []
    assert solution.value <= plan.bound


def test_who_is_next_and_who_is_last() -> None:
    catalogue = creators.catalogue(60, 5)
    problem = pose(catalogue, creators.effects(catalogue, 5), creators.brief(budget=20_000))
    solution = solve(problem, LONG)
    assert solution.next_in is not None
    assert solution.last_out is not None
    assert solution.cell_N[solution.next_in] < 0 <= solution.cell_N[solution.last_out]
    assert solution.budget_price > 0


@pytest.mark.parametrize(
    ("change", "names", "says"),
    [
        (
            {"budget": 1_900, "rules": [creators.ORDER]},
            {"head >= mid", "mid >= tail"},
            "no head creator costs 1,900 or less (the cheapest 2,",
        ),
        (
            {
                "rules": [
                    {"kind": "share", "tier": "head", "least": 0.6},
                    {"kind": "share", "tier": "mid", "least": 0.5},
                    {"kind": "share", "channel": "tiktok", "most": 0.9},
                ]
            },
            {"head >= 0.6 of spend", "mid >= 0.5 of spend"},
            "drop one of the rules",
        ),
        (
            {"budget": 900_000, "rules": [{"kind": "share", "of": "budget", "least": 0.9}]},
            {"spend >= 0.9 of budget"},
            "keeps 'spend >= 0.9 of budget'",
        ),
    ],
    ids=["no head creator", "two floors", "more money than creators"],
)
def test_a_brief_that_no_plan_can_meet_is_refused_by_name(change: dict[str, Any], names: set[str], says: str) -> None:
    catalogue = creators.catalogue(30, 2, price_N=np.tile([2_100.0, 700.0, 150.0], 10) + 10 * np.arange(30))
    problem = pose(catalogue, creators.effects(catalogue), creators.brief(**change))
    with pytest.raises(InfeasibleError) as told:
        solve(problem, EXACT)
    assert set(told.value.rules) == names
    assert says in str(told.value)


def test_whole_creators_that_cannot_meet_a_brief_are_refused_by_name() -> None:
    """In parts the phases could share one creator; whole, one phase has all of the spend."""
    catalogue = creators.catalogue(3, 0, price_N=np.array([900.0, 900.0, 900.0]))
    rule = {"kind": "share", "phase": "launch", "least": 0.4, "most": 0.6}
    problem = pose(catalogue, np.ones(3) * 50, creators.brief(budget=1_000, rules=[rule]))
    with pytest.raises(InfeasibleError) as told:
        solve(problem, EXACT)
    assert set(told.value.rules) == {"launch >= 0.4 of spend", "launch <= 0.6 of spend"}


def test_money_for_nobody() -> None:
    with pytest.raises(BriefError, match=r"brief.budget: 10 buys nobody, the cheapest costs"):
        solve(creators.problem(9, 0, budget=10), LONG)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The solver's clock, in seconds: a look at it takes a millionth, and a test adds what else takes time."""
    now = [0.0]

    def looked() -> float:
        now[0] += 1e-6
        return now[0]

    for module in (solver, fill):
        monkeypatch.setattr(module, "time", SimpleNamespace(perf_counter=looked))
    return now


def test_no_step_begins_once_its_time_is_over(clock: list[float], monkeypatch: pytest.MonkeyPatch) -> None:
    """Each integer programme takes as long as it may, and finds nothing."""
    limits: list[float] = []

    def slow(problem: Problem, sum_C: object, seconds: float, gap: float) -> None:
        limits.append(seconds)
        clock[0] += seconds

    monkeypatch.setattr(solver, "_integer", slow)
    solution = solve(creators.problem(2_000, 1, budget=80_000, rules=RULES), Solver(seconds=0.6, gap=0.0))
    assert limits[:2] == [0.25, 0.25]
    assert sum(limits) <= 0.6 + 0.05, "the last may have a twentieth of a second more"
    assert 0.6 <= solution.seconds <= 0.7
    assert 0 < solution.value <= solution.bound


def test_what_is_left_after_a_phase_is_planned_with_what_was_done() -> None:
    """Teaser is over: its spend counts in every rule, its creators cannot come again, launch alone is open."""
    catalogue = creators.catalogue(60, 6)
    effect_N = creators.effects(catalogue, 6)
    brief = creators.brief(budget=30_000, rules=RULES)
    first = pose(catalogue, effect_N, brief)
    teaser = np.isin(solve(first, LONG).cell_N, first.cell_KP[:, 0])
    done_N = np.where(teaser, first.cell_KP[first.class_N, 0], -1)
    used = tuple(catalogue.ids[row] for row in first.row_N[teaser])
    spent_C = first.spend_C(done_N)
    rest = pose(catalogue, effect_N, brief, before=Before(spent_C, first.sums_C(done_N), used, ("teaser",)))
    solution = solve(rest, LONG)
    chosen = [
        (catalogue.ids[rest.row_N[at]], rest.matrix.label(int(cell))[1])
        for at, cell in enumerate(solution.cell_N)
        if cell >= 0
    ]
    assert {phase for _, phase in chosen} == {"launch"}
    assert not {name for name, _ in chosen} & set(used)
    assert check(catalogue, brief, chosen, spent_C) == []
    # together they are a plan of the whole brief
    assert first.value(done_N) + solution.value <= solve(first, LONG).bound


def test_it_ends_early_where_the_bound_is_reached(clock: list[float], monkeypatch: pytest.MonkeyPatch) -> None:
    """By a clock on which each step takes a second, of sixty: nothing but the bound can end it before."""
    others, steps = solver._others, []

    def counted(*arguments: Any) -> Any:
        steps.append(1)
        clock[0] += 1
        return others(*arguments)

    monkeypatch.setattr(solver, "_others", counted)
    problem = creators.problem(400, 1, budget=1e6)
    assert len(problem) > Solver().near
    solution = solve(problem, Solver(seconds=60, step=30))
    assert solution.gap <= Solver().gap
    assert len(steps) < 30

"""Plans under work: repair ends every shortfall, leftovers and swaps only add, and never break a rule."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crossmix.creators.fill import Work
from tests.support import creators

RULES = [
    creators.ORDER,
    {"kind": "share", "phase": "launch", "least": 0.3, "most": 0.7},
    {"kind": "share", "channel": "tiktok", "most": 0.6},
]


def _random(seed: int, creators_: int = 50) -> Work:
    problem = creators.problem(creators_, seed, budget=25_000, rules=RULES)
    rng = np.random.default_rng(seed)
    cell_N, left = np.full(len(problem), -1), problem.budget
    for at in rng.permutation(len(problem)):
        if problem.price_N[at] <= left and rng.random() < 0.6:
            cell_N[at] = problem.cell_KP[problem.class_N[at], rng.integers(2)]
            left -= problem.price_N[at]
    return Work(problem, cell_N)


@given(st.integers(0, 10_000))
@settings(max_examples=25, deadline=None)
def test_repair_ends_every_shortfall(seed: int) -> None:
    work = _random(seed)
    work.repair()
    assert work.shortfall == 0
    assert work.left >= 0


@given(st.integers(0, 10_000))
@settings(max_examples=15, deadline=None)
def test_improving_only_adds_and_breaks_nothing(seed: int) -> None:
    work = _random(seed)
    work.repair()
    before = work.value
    work.spend()
    middle = work.value
    work.improve()
    assert before <= middle <= work.value + 1e-9
    assert work.shortfall == 0
    assert work.left >= -1e-9
    assert work.value == pytest.approx(work.problem.value(work.cell_N))


def test_a_plan_that_broke_a_rule_gets_no_worse() -> None:
    work = _random(4)
    short = work.shortfall
    assert short > 0
    work.spend()
    assert work.shortfall <= short + 1e-6


def test_no_single_swap_is_left() -> None:
    work = _random(8, 14)
    work.repair()
    work.improve()
    problem, value = work.problem, work.value
    for out in np.flatnonzero(work.cell_N >= 0):
        for new in np.flatnonzero((work.cell_N < 0) | (np.arange(len(problem)) == out)):
            for phase in range(2):
                cell_N = work.cell_N.copy()
                cell_N[out] = -1
                cell_N[new] = problem.cell_KP[problem.class_N[new], phase]
                other = Work(problem, cell_N)
                if other.left >= 0 and other.shortfall == 0:
                    assert other.value <= value * (1 + 1e-6)


def test_a_must_have_creator_stays() -> None:
    problem = creators.problem(30, 3, budget=25_000, rules=RULES, must_have=["c2", "c5"])
    cell_N = np.full(len(problem), -1)
    cell_N[problem.must_N] = problem.cell_KP[problem.class_N[problem.must_N], 0]
    work = Work(problem, cell_N)
    work.repair()
    work.improve()
    assert (work.cell_N[problem.must_N] >= 0).all()
    assert work.shortfall == 0


def test_whats_left_is_spent_by_effect_per_cost_or_by_effect() -> None:
    """Money for either: the small one gives more for its money, the other more."""
    problem = creators.problem(2, budget=10**6, audience={"instagram": 1e9, "tiktok": 1e9})
    either = replace(problem, budget=1_000.0, price_N=np.asarray([100.0, 1_000.0]), effect_N=np.asarray([20.0, 100.0]))
    for by, bought in (("density", [True, False]), ("effect", [False, True])):
        work = Work(either, np.full(2, -1))
        work.spend(by=by)
        assert (work.cell_N >= 0).tolist() == bought


def test_whoever_is_dropped_costs_the_least_effect_for_the_shortfall_that_it_ends() -> None:
    """Two of a price in the tail, nobody else: a cap of the tail's money drops the one that gives less."""
    problem = creators.problem(9, 0, rules=[{"kind": "share", "tier": "tail", "of": "budget", "most": 0.05}])
    tail = np.flatnonzero(problem.class_N % 3 == 2)[:2]
    equal = replace(
        problem, price_N=np.full(len(problem), 200.0), effect_N=np.where(np.arange(len(problem)) == tail[0], 9.0, 5.0)
    )
    cell_N = np.full(len(problem), -1)
    cell_N[tail] = equal.cell_KP[equal.class_N[tail], 0]
    work = Work(equal, cell_N)
    lost = [equal.value(cell_N) - equal.value(np.where(np.arange(len(equal)) == at, -1, cell_N)) for at in tail]
    np.testing.assert_allclose(work.value - work._without(tail), lost)
    work.repair()
    assert (work.cell_N[tail] >= 0).tolist() == [True, False]
    assert work.shortfall == 0


def test_no_move_breaks_a_rule_by_a_little() -> None:
    problem = creators.problem(
        30, 5, budget=9_000, rules=[{"kind": "share", "tier": "head", "of": "budget", "most": 0.3}]
    )
    work = Work(problem, np.full(len(problem), -1))
    work.improve()
    assert (work.slack_R >= -work.tolerance).all()

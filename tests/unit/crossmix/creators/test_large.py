"""Large creators whole, others in parts: the bound holds for every plan, and whole ones are bought whole."""

from dataclasses import replace

import numpy as np
import pytest

from crossmix.creators.large import Large, large, whole
from crossmix.creators.problem import Problem, pose
from crossmix.creators.relax import relax
from tests.support import creators

FLOOR = {"kind": "share", "phase": "launch", "least": 0.4}


def _decided(problem: Problem, share: float, count: int, gap: float = 1e-6) -> Large:
    relaxed = relax(problem)
    found = large(problem, relaxed, whole(problem, relaxed, share, count), seconds=20, gap=gap, nodes=10_000)
    assert found is not None
    return found


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("count", [1, 3, 7])
def test_no_plan_passes_the_bound_and_more_whole_ones_make_it_tighter(seed: int, count: int) -> None:
    audience = {"instagram": 3_000.0, "tiktok": 3_000.0}
    problem = creators.problem(7, seed, rules=[creators.ORDER, FLOOR], audience=audience)
    best = creators.best(problem)
    bound = _decided(problem, 0.0, count).bound
    assert bound >= best
    if count == 7:
        assert bound == pytest.approx(best, rel=0.01)  # tangents alone lie between


def test_one_who_would_be_bought_in_part_is_bought_whole_or_not_at_all() -> None:
    """Two creators, the money for one and a half: the relaxation's bound has the half, this one has not."""
    of = creators.catalogue(
        2, channel_N=np.zeros(2, np.int64), followers_N=np.full(2, 10_000.0), price_N=np.full(2, 1_000.0)
    )
    brief = creators.brief(budget=1_500, phases=["launch"], audience={"instagram": 1e6})
    problem = pose(of, np.asarray([10.0, 9.0]), brief)
    relaxed = relax(problem)
    assert relaxed.bound == pytest.approx(14.5, rel=1e-3)
    found = _decided(problem, 0.5, 2)
    assert found.bound == pytest.approx(10.0, rel=1e-3)
    assert found.cell_N.tolist() == [2, -1]  # instagram, launch, tail
    # whole are those worth most: the better one alone, whose like is then bought in half
    assert _decided(problem, 0.5, 1).bound == pytest.approx(14.5, rel=1e-3)
    assert whole(problem, relaxed, 0.5, 1).tolist() == [True, False]
    assert not whole(problem, relaxed, 0.7, 2).any()


def test_the_must_have_ones_are_whole_and_bought_whatever_they_cost() -> None:
    problem = creators.problem(9, 2, must_have=["c4"])
    problem = replace(problem, effect_N=np.where(problem.must_N, 0.01, problem.effect_N))
    relaxed = relax(problem)
    whole_N = whole(problem, relaxed, 1.0, 5)
    assert whole_N.tolist() == problem.must_N.tolist()
    found = large(problem, relaxed, whole_N, seconds=20, gap=1e-6, nodes=1_000)
    assert found is not None
    assert (found.cell_N >= 0).tolist() == problem.must_N.tolist()
    assert found.bound >= creators.best(problem)


def test_what_was_spent_and_reached_before_counts_and_closed_phases_stay_closed() -> None:
    problem = creators.problem(7, 1, rules=[FLOOR], audience={"instagram": 3_000.0, "tiktok": 3_000.0})
    spent_C = np.zeros(problem.matrix.cells)
    spent_C[problem.cell_KP[0, 0]] = 900.0
    after = replace(
        problem,
        budget=problem.budget - 900.0,
        spent_C=spent_C,
        reached_C=spent_C / 3,
        open_P=np.asarray([False, True]),
    )
    found = _decided(after, 0.0, 7)
    best = creators.best(after)
    assert best <= found.bound <= 1.01 * best
    assert set(found.cell_N[found.cell_N >= 0].tolist()) <= set(after.cell_KP[:, 1].tolist())


def test_no_time_is_no_answer() -> None:
    problem = creators.problem(9, 0, rules=[creators.ORDER])
    relaxed = relax(problem)
    assert large(problem, relaxed, whole(problem, relaxed, 0.0, 9), seconds=0.0, gap=0.0, nodes=1) is None


def test_the_others_give_all_that_they_can() -> None:
    """Money for all four, one of them whole: nobody's effect is cut."""
    followers_N, price_N = np.full(4, 10_000.0), np.full(4, 1_000.0)
    of = creators.catalogue(4, channel_N=np.zeros(4, np.int64), followers_N=followers_N, price_N=price_N)
    brief = creators.brief(budget=4_000, phases=["launch"], audience={"instagram": 1e6})
    problem = pose(of, np.asarray([10.0, 9.0, 8.0, 7.0]), brief)
    assert _decided(problem, 0.25, 1).bound == pytest.approx(34.0, rel=1e-3)

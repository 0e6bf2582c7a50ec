"""The projection is the nearest point; the template has its shares; picking buys the best set of each cell."""

import numpy as np
import pytest
from scipy.optimize import minimize

from crossmix.creators.fill import Work
from crossmix.creators.reference import finished, greedy, pick, project, template, template_C
from tests.support import creators

RULES = [creators.ORDER, {"kind": "share", "phase": "launch", "least": 0.3, "most": 0.6}]


@pytest.mark.parametrize("seed", range(5))
def test_the_projection_is_the_nearest_money_that_keeps_the_rules(seed: int) -> None:
    problem = creators.problem(30, seed, budget=20_000, rules=RULES)
    money = np.random.default_rng(seed).exponential(20_000 / 9, 12)
    got = project(problem, money) / 20_000
    assert got.min() >= 0
    assert got.sum() <= 1 + 1e-9
    assert (problem.rows.coefficient_RC @ got >= -1e-9).all()
    other = minimize(
        lambda x: ((x - money / 20_000) ** 2).sum(),
        np.full(12, 1 / 12),
        jac=lambda x: 2 * (x - money / 20_000),
        bounds=[(0, 1)] * 12,
        constraints=[
            {"type": "ineq", "fun": lambda x: problem.rows.coefficient_RC @ x},
            {"type": "ineq", "fun": lambda x: 1 - x.sum()},
        ],
        method="SLSQP",
        options={"maxiter": 500, "ftol": 1e-14},
    )
    np.testing.assert_allclose(got, other.x, atol=1e-4)


def test_money_that_keeps_the_rules_stays() -> None:
    problem = creators.problem(30, 0, budget=20_000, rules=RULES)
    money = template_C(problem)
    np.testing.assert_allclose(project(problem, money), money)


def test_the_templates_shares() -> None:
    money = template_C(creators.problem(30, 0, budget=12_000)).reshape(2, 2, 3)
    np.testing.assert_allclose(money.sum((0, 1)), [6_000, 3_600, 2_400])
    np.testing.assert_allclose(money.sum((1, 2)), [6_000, 6_000])
    np.testing.assert_allclose(money.sum((0, 2)), [6_000, 6_000])


def test_picking_keeps_each_cells_money_and_takes_nobody_twice() -> None:
    problem = creators.problem(60, 1, budget=20_000)
    money = template_C(problem)
    cell_N = pick(problem, money)
    assert (problem.spend_C(cell_N) <= money + 1e-9).all()
    assert (cell_N[cell_N >= 0] == problem.cell_KP[problem.class_N[cell_N >= 0]][:, 0]).any()
    np.testing.assert_array_equal(cell_N, template(problem))


def test_finished_plans_keep_every_rule_and_leave_nobody_who_fits() -> None:
    for seed in range(4):
        problem = creators.problem(60, seed, budget=25_000, rules=RULES)
        as_it_is = template(problem)
        for cell_N in (finished(problem, as_it_is), greedy(problem)):
            work = Work(problem, cell_N)
            assert work.shortfall == 0
            assert work.left >= 0
            value = work.value
            work.spend()
            assert work.value == value

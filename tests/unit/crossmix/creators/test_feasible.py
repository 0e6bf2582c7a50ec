"""Money that cells could take, in parts: what was spent, must-have creators and the cheapest creator count."""

from dataclasses import replace

import numpy as np

from crossmix.creators.feasible import something
from tests.support import creators

CAP = {"kind": "share", "tier": "head", "most": 0.5}


def test_what_was_spent_before_can_make_a_rule_impossible() -> None:
    problem = creators.problem(9, rules=[{"kind": "share", "tier": "head", "of": "budget", "most": 0.3}])
    assert something(problem, problem.rows)
    spent_C = np.where(problem.matrix.members(tier="head"), 1_000.0, 0.0)
    assert not something(replace(problem, spent_C=spent_C), problem.rows)


def test_a_must_have_creator_can_make_a_rule_impossible() -> None:
    free = creators.problem(9, rules=[{"kind": "share", "tier": "tail", "of": "budget", "most": 0.01}])
    assert something(free, free.rows)
    tail = np.flatnonzero(free.class_N % 3 == 2)
    must_N = np.isin(np.arange(len(free)), tail[free.price_N[tail] > 0.01 * free.budget])
    assert must_N.any()
    assert not something(replace(free, must_N=must_N), free.rows)


def test_money_below_the_cheapest_creator_buys_nobody() -> None:
    problem = creators.problem(9)
    cheapest = float(problem.price_N.min())
    assert something(replace(problem, budget=cheapest), problem.rows)
    assert not something(replace(problem, budget=0.9 * cheapest), problem.rows)

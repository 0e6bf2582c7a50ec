"""Every gate passes a sound planner and fails the one fault that is planted for it."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from crossmix import config
from crossmix.artifacts.creators import LEFTOVERS, PLAN, PlayedBrief
from crossmix.config.creators import Creators
from crossmix.creators import calibration, effect, generated
from crossmix.creators.gates.case import Case, judged
from crossmix.creators.gates.played import MOST_LEAD, lead_over, play
from crossmix.creators.problem import Problem
from crossmix.creators.reference import template
from crossmix.creators.sampled import Drawn, draw
from crossmix.creators.solve import PlanError, Solution
from crossmix.creators.worker import Planner
from crossmix.verdicts import FAIL, INSUFFICIENT, PASS, Gate

SET = [
    "task=creators", "data.source=demo-creators", "creators.briefs.count=5", "creators.solver.seconds=60",
    "creators.solver.gap=0.05",
]  # fmt: skip
"""A search ends at the bound, and not by a clock that a loaded machine runs against."""
SETTINGS: Creators = config.load("laptop", SET).creators
WORLD = generated.demo(2_000, seed=21)
SOUND = calibration.calibrate(WORLD.catalogue)
PLANNER = Planner(WORLD.catalogue, effect.fit(WORLD.catalogue), SETTINGS.effects, SETTINGS.solver)


@pytest.fixture(scope="module")
def drawn() -> tuple[Drawn, ...]:
    return draw(WORLD.catalogue, PLANNER.mean_N, SETTINGS)[0]


def case(drawn: tuple[Drawn, ...], solution: Callable[[Problem], Solution] = PLANNER.solution, **changes: Any) -> Case:
    played = tuple(play(WORLD.catalogue, one, solution, WORLD.effect_N) for one in drawn)
    parts = {
        "settings": SETTINGS,
        "calibration": calibration.calibrate(WORLD.catalogue),
        "judged_by": "by true effects",
    }
    return Case(**parts | {"played": played} | changes)  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def sound(drawn: tuple[Drawn, ...]) -> Case:
    return case(drawn)


def rows(one: Case) -> dict[str, Gate]:
    return {gate.name: gate for gate in judged(one)}


def failing(one: Case) -> list[str]:
    return [name for name, gate in rows(one).items() if gate.verdict == FAIL]


def plan_of(cell_N: Callable[[Problem], Any], problem: Problem) -> Solution:
    cells = cell_N(problem)
    return Solution(cells, problem.value(cells), 1.0, 0.0, np.zeros(0), None, None, 0.0)


def test_a_sound_planner_passes_every_gate(sound: Case) -> None:
    found = rows(sound)
    assert list(found) == [
        "creators.gap.mean",
        "creators.gap.least",
        "creators.lead",
        "creators.predictor.slope",
        "creators.predictor.coverage",
        "creators.rules",
        "creators.seconds",
    ]
    assert {name: gate.verdict for name, gate in found.items() if name != "creators.seconds"} == dict.fromkeys(
        [name for name in found if name != "creators.seconds"], PASS
    )
    assert all(gate.required for gate in found.values())


def test_a_planner_that_leaves_the_rules_to_chance_breaks_them(drawn: tuple[Drawn, ...]) -> None:
    """The template as it is: what a cell's money does not buy stays unspent, and rules break by that."""
    bare = case(drawn, lambda problem: plan_of(template, problem))
    assert rows(bare)["creators.rules"].verdict == FAIL
    assert "short of" in rows(bare)["creators.rules"].detail


def test_a_planner_that_stops_early_falls_short_of_the_bound(drawn: tuple[Drawn, ...]) -> None:
    """Every fifth creator of a sound plan is dropped."""

    def lazy(problem: Problem) -> Solution:
        found = PLANNER.solution(problem)
        dropped_N = np.where(np.cumsum(found.cell_N >= 0) % 5 == 0, -1, found.cell_N)
        return replace(found, cell_N=dropped_N)

    assert {"creators.gap.mean", "creators.gap.least"} & set(failing(case(drawn, lazy)))


@pytest.mark.parametrize(
    ("agent", "does"),
    [
        ("solver", "give the solver longer by creators.solver.seconds"),
        ("ddpg", "the walk plans less than the solver does: plan with creators.agent=solver"),
    ],
)
def test_too_little_of_the_bound_says_what_can_be_done(sound: Case, agent: Any, does: str) -> None:
    poor = [replace(one, expected=one.expected | {PLAN: 0.87 * one.bound}) for one in sound.played]
    found = rows(replace(sound, played=tuple(poor), settings=replace(SETTINGS, agent=agent)))
    mean, least = found["creators.gap.mean"], found["creators.gap.least"]
    assert (mean.verdict, mean.value) == (FAIL, pytest.approx(0.87))
    or_less = "or ask for less by creators.gates.{}, which the bundle's gates then say"
    assert mean.detail.endswith(f"; {does}, {or_less.format('share')}")
    assert least.detail.endswith(f"; {does}, {or_less.format('least_share')}")
    assert does not in rows(sound)["creators.gap.mean"].detail


def test_no_plan_is_a_broken_rule_and_no_lead(drawn: tuple[Drawn, ...]) -> None:
    def never(problem: Problem) -> Solution:
        raise PlanError("none found")

    assert set(failing(case(drawn, never))) >= {"creators.rules", "creators.gap.mean", "creators.lead"}


def test_a_planner_level_with_the_template_does_not_lead(sound: Case) -> None:
    level = [replace(one, judged=one.judged | {PLAN: one.judged[LEFTOVERS] * factor}) for one, factor in _level(sound)]
    found = rows(replace(sound, played=tuple(level)))["creators.lead"]
    assert found.verdict == FAIL
    assert found.value == pytest.approx(1.0, abs=0.01)


def _level(sound: Case) -> list[tuple[PlayedBrief, float]]:
    return list(zip(sound.played, np.linspace(0.98, 1.02, len(sound.played)).tolist(), strict=True))


def test_results_with_tails_that_the_residual_law_has_not_fail_coverage(sound: Case) -> None:
    catalogue, rng = WORLD.catalogue, np.random.default_rng(5)
    heavy = replace(catalogue, result_E=catalogue.result_E * np.exp(rng.standard_t(1.2, len(catalogue.result_E))))
    found = rows(replace(sound, calibration=calibration.calibrate(heavy)))["creators.predictor.coverage"]
    assert (found.verdict, found.value) == (FAIL, pytest.approx(0.99, abs=0.02))


def test_results_that_differ_half_as_much_as_predicted_fail_the_slope(sound: Case) -> None:
    held = calibration.held_out(WORLD.catalogue)
    found = rows(replace(sound, calibration=calibration.calibration_of(replace(held, log_E=held.log_E / 2))))
    assert (found["creators.predictor.slope"].verdict, found["creators.predictor.slope"].value) == (
        FAIL, pytest.approx(0.5, abs=0.05),
    )  # fmt: skip


def test_a_predictor_that_tells_nobody_apart_is_not_judged_sound(sound: Case) -> None:
    """Results that have nothing to do with their creators: the slope of nothing is anything."""
    catalogue = WORLD.catalogue
    shuffled = replace(catalogue, result_E=np.random.default_rng(5).permutation(catalogue.result_E))
    found = rows(replace(sound, calibration=calibration.calibrate(shuffled)))["creators.predictor.slope"]
    assert found.verdict == INSUFFICIENT
    assert "predictions differ too little" in found.detail


def test_too_few_held_out_results_are_insufficient_and_say_how_many(sound: Case) -> None:
    found = rows(replace(sound, calibration=None))["creators.predictor.slope"]
    assert (found.verdict, found.value) == (INSUFFICIENT, None)
    assert found.detail == "0 results held out, a fifth of all; 100 are needed, 100 are missing"


def test_a_slow_planner_is_found_by_processor_time(drawn: tuple[Drawn, ...]) -> None:
    def slow(problem: Problem) -> Solution:
        until = time.process_time() + 0.3
        while time.process_time() < until:
            pass
        return plan_of(template, problem)

    limits = replace(SETTINGS, gates=replace(SETTINGS.gates, seconds=0.25))
    slowed = case(drawn[:1], slow, settings=limits)
    assert "creators.seconds" in failing(slowed)


def test_a_template_that_rules_leave_with_nothing_does_not_make_the_lead(drawn: tuple[Drawn, ...]) -> None:
    one = play(WORLD.catalogue, drawn[0], PLANNER.solution, WORLD.effect_N)
    level = replace(one, judged={PLAN: 5.0, LEFTOVERS: 5.0})
    empty = replace(one, judged={PLAN: 5.0, LEFTOVERS: 0.0})
    assert lead_over([level, empty], LEFTOVERS, 100)[0] == pytest.approx((1 + MOST_LEAD) / 2)


def test_a_lead_that_nobody_can_judge_is_insufficient_data(sound: Case) -> None:
    unjudged = replace(
        sound, played=tuple(replace(one, judged={}) for one in sound.played), judged_by="by nobody: 20 are missing"
    )
    found = rows(unjudged)["creators.lead"]
    assert (found.verdict, found.value, found.required) == (INSUFFICIENT, None, True)
    assert found.detail == "judged by nobody: 20 are missing"

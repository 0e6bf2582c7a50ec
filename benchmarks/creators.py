"""What the creators planner is worth: `python -m benchmarks.creators [--json] [--briefs 50] [--ddpg CPU_SECONDS]`, and
how it does on the briefs that a run's gates draw: `python -m benchmarks.creators --drawn 12 [--json]`.

Each brief has a generated catalogue of its own (2,000 creators, `crossmix/creators/generated.py`), a budget of 50,000
to 500,000, three channels, two or three phases, three tiers, head >= mid >= tail, a band of a phase, a cap of a
channel, a floor of the tail. Planners see posterior means of a predictor fitted on the catalogue's past results, and
audiences; plans are judged by true effects and by true audiences, which differ from those by 0.3 in logs.

| name                | what plans                                                                        |
|---------------------|-----------------------------------------------------------------------------------|
| template            | fixed shares projected onto the rules, exact knapsack in each cell, as it is      |
| template, leftovers | the same brought under the rules, what is left spent by effect per cost           |
| greedy              | best effect per cost, nearly within the rules, then as above                      |
| solver              | `solve` with its defaults                                                         |
| raw                 | the solver on raw predictions: what a creator gave so far, taken as it is         |
| ddpg                | the seed's walk by a trained actor, as it walks (`--ddpg`)                        |
| ddpg, projected     | its matrix projected onto the rules, then as the template with leftovers          |

`of the bound`: expected effect over the bound on all plans. `rules broken`: plans that break one or more. Intervals are
95 %, by bootstrap over briefs; with `--drawn` over catalogues, of seeds 9950 and on. Cost at equal effect: the smallest
budget, by halving, at which the solver's true effect reaches the other's.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from benchmarks._machine import machine
from crossmix.artifacts.creators import LEFTOVERS, PLAN
from crossmix.config.creators import Briefs, Creators
from crossmix.creators import brief as briefs
from crossmix.creators import effect, generated
from crossmix.creators.brief import Brief, InfeasibleError
from crossmix.creators.catalogue import Catalogue, Floats, Ints
from crossmix.creators.gates.played import play as gate_play
from crossmix.creators.matrix import check
from crossmix.creators.problem import Problem, pose
from crossmix.creators.reference import finished, greedy, template
from crossmix.creators.relax import relax
from crossmix.creators.sampled import draw
from crossmix.creators.settings import Solver
from crossmix.creators.solve import PlanError, solve
from crossmix.creators.worker import Planner

BRIEFS, CREATORS, LARGE = 50, 2_000, 500_000
LEAST_BUDGET, MOST_BUDGET = 50_000.0, 500_000.0
AUDIENCE_ERROR = 0.3
"""Deviation of the true audience's log from the planner's."""
HALVINGS = 6
DRAWS = 4_000
DRAWN_SEED, DRAWN_BRIEFS = 9_950, 6
"""First catalogue of `--drawn`, and briefs of each."""
TRAINING_BRIEFS, TRAINING_SEED = 40, 100_000
GOALS: dict[str, tuple[str, float]] = {
    "solver of the bound, mean": (">=", 0.98),
    "solver of the bound, least": (">=", 0.92),
    "solver, plans that break a rule": ("<=", 0),
    "solver, most seconds a brief": ("<=", 2.0),
    "500,000 creators, seconds": ("<=", 3.0),
}
SEED_FIGURES = {
    "effect": "+35 %, of which template the seed does not say",
    "cost": "-8 % at equal effect, of which template the seed does not say",
}


def brief_of(seed: int) -> Brief:
    """A random brief."""
    rng = np.random.default_rng([seed, 1])
    phases = ["teaser", "launch", "sustain"][: int(rng.integers(2, 4))]
    low = float(rng.uniform(0.2, 0.4))
    cap = generated.CHANNELS[int(rng.integers(len(generated.CHANNELS)))]
    return briefs.of(
        {
            "name": f"brief {seed}",
            "budget": float(np.rint(np.exp(rng.uniform(np.log(LEAST_BUDGET), np.log(MOST_BUDGET))))),
            "currency": "EUR",
            "channels": list(generated.CHANNELS),
            "phases": phases,
            "tiers": {"head": 500_000, "mid": 50_000, "tail": 0},
            "rules": [
                {"kind": "order", "of": "tier", "names": ["head", "mid", "tail"]},
                {"kind": "share", "phase": "launch", "least": round(low, 2), "most": round(low + 0.3, 2)},
                {"kind": "share", "channel": cap, "most": round(float(rng.uniform(0.35, 0.6)), 2)},
                {"kind": "share", "tier": "tail", "least": round(float(rng.uniform(0.05, 0.15)), 2)},
            ],
        }
    )


@dataclass(frozen=True, slots=True)
class Case:
    """A brief with what planners see and what nobody does."""

    catalogue: Catalogue
    problem: Problem
    mean_N: Floats
    """Of the whole catalogue."""
    raw_N: Floats
    true_N: Floats
    audience_factor_C: Floats

    def at(self, budget: float) -> Problem:
        """The same with another budget; audiences stay."""
        other = pose(self.catalogue, self.mean_N, replace(self.problem.brief, budget=budget))
        return replace(other, audience_C=self.problem.audience_C)

    def given(self, problem: Problem, cell_N: Ints) -> float:
        """True effect of a plan."""
        true = replace(problem, audience_C=problem.audience_C * self.audience_factor_C)
        return true.value(cell_N, self.true_N[problem.row_N])

    def broken(self, problem: Problem, cell_N: Ints) -> int:
        """Rules that a plan breaks, told by the check that knows no solver."""
        bought = np.flatnonzero(cell_N >= 0)
        chosen = [
            (self.catalogue.ids[problem.row_N[candidate]], problem.matrix.label(int(cell_N[candidate]))[1])
            for candidate in bought
        ]
        return len(check(self.catalogue, problem.brief, chosen))


def case_of(seed: int, creators: int = CREATORS) -> Case:
    """Catalogue, predictor and brief of a seed."""
    world = generated.demo(creators, seed)
    catalogue = world.catalogue
    predictor = effect.fit(catalogue)
    posterior = predictor.posterior(catalogue)
    count_N = np.bincount(catalogue.of_E, minlength=creators)
    logs_E = np.log(np.maximum(catalogue.result_E, predictor.floor))
    own_N = np.bincount(catalogue.of_E, logs_E, minlength=creators) / np.maximum(count_N, 1)
    raw_N = np.where(count_N > 0, np.exp(own_N + predictor.sigma**2 / 2), posterior.mean_N)
    problem = pose(catalogue, posterior.mean_N, brief_of(seed))
    rng = np.random.default_rng([seed, 2])
    factor = np.exp(rng.normal(0, AUDIENCE_ERROR, (len(generated.CHANNELS), 1, 3)))
    factor_C = np.broadcast_to(factor, problem.matrix.shape).reshape(-1)
    return Case(catalogue, problem, posterior.mean_N, raw_N, world.effect_N, factor_C)


def raw(case: Case) -> Ints:
    """The solver's plan on raw predictions."""
    problem = replace(case.problem, effect_N=case.raw_N[case.problem.row_N])
    return solve(problem).cell_N


PLANNERS: dict[str, Callable[[Case], Ints]] = {
    "template": lambda case: template(case.problem),
    "template, leftovers": lambda case: finished(case.problem, template(case.problem)),
    "greedy": lambda case: greedy(case.problem),
    "solver": lambda case: solve(case.problem).cell_N,
    "raw": raw,
}


def trained(cpu_seconds: float) -> dict[str, Callable[[Case], Ints]]:
    """The walk's two planners, by an actor trained on briefs of other seeds."""
    from crossmix.creators import ddpg
    from crossmix.creators.walk import Walk, projected, traits

    cases = [case_of(TRAINING_SEED + at) for at in range(TRAINING_BRIEFS)]
    known = [(case.problem, traits(case.catalogue, case.problem)) for case in cases]
    actor = ddpg.train(lambda episode: Walk(*known[episode % len(known)]), cpu_seconds=cpu_seconds).actor

    def walked(case: Case) -> Walk:
        return ddpg.play(actor, Walk(case.problem, traits(case.catalogue, case.problem)))

    return {
        "ddpg": lambda case: walked(case).cell_N,
        "ddpg, projected": lambda case: projected(case.problem, walked(case).money_C),
    }


def cost_at(case: Case, goal: float) -> float:
    """Smallest share of the budget, by halving, at which the solver's true effect reaches `goal`; 1: none below."""
    low, high = 0.0, 1.0
    for _ in range(HALVINGS):
        middle = (low + high) / 2
        try:
            problem = case.at(middle * case.problem.brief.budget)
            reached = case.given(problem, solve(problem).cell_N) >= goal
        except (InfeasibleError, PlanError):
            reached = False
        low, high = (low, middle) if reached else (middle, high)
    return high


def play(case: Case, planners: dict[str, Callable[[Case], Ints]], *, costs: bool) -> dict[str, Any]:
    """Every planner on one brief."""
    bound = relax(case.problem).bound
    result: dict[str, Any] = {"budget": case.problem.brief.budget, "bound": bound, "planners": {}}
    for name, planner in planners.items():
        wall, cpu = time.perf_counter(), time.process_time()
        cell_N = planner(case)
        wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
        promised = case.problem.value(cell_N)
        if name == "raw":
            promised = case.problem.value(cell_N, case.raw_N[case.problem.row_N])
        result["planners"][name] = {
            "of the bound": case.problem.value(cell_N) / bound,
            "true effect": case.given(case.problem, cell_N),
            # by the planner's own audiences, so that the ratio tells of effects alone
            "promised over gave": promised / case.problem.value(cell_N, case.true_N[case.problem.row_N]),
            "cost": case.problem.cost(cell_N),
            "rules broken": case.broken(case.problem, cell_N),
            "seconds": wall,
            "cpu seconds": cpu,
        }
    if costs:
        planned = result["planners"]
        names = ("template", "template, leftovers")
        result["cost at equal effect"] = {name: cost_at(case, planned[name]["true effect"]) for name in names}
    return result


def interval(values: Sequence[float]) -> dict[str, Any]:
    """Mean with its 95 % interval, by bootstrap over briefs."""
    array = np.asarray(values, np.float64)
    rng = np.random.default_rng(0)
    means = array[rng.integers(len(array), size=(DRAWS, len(array)))].mean(1)
    low, high = np.quantile(means, (0.025, 0.975))
    return {"mean": float(array.mean()), "ci95": [float(low), float(high)]}


def summary(played: list[dict[str, Any]]) -> dict[str, Any]:
    """Figures over briefs."""
    names = list(played[0]["planners"])

    def of(name: str, what: str) -> list[float]:
        return [one["planners"][name][what] for one in played]

    table = {
        name: {
            "of the bound": interval(of(name, "of the bound")),
            "of the bound, least": min(of(name, "of the bound")),
            "promised over gave": interval(of(name, "promised over gave")),
            "plans that break a rule": sum(count > 0 for count in of(name, "rules broken")),
            "seconds, mean": float(np.mean(of(name, "seconds"))),
            "seconds, most": max(of(name, "seconds")),
            "cpu seconds, most": max(of(name, "cpu seconds")),
        }
        for name in names
    }
    for name in names:
        for other in ("template", "template, leftovers"):
            ratios = np.asarray(of(name, "true effect")) / np.asarray(of(other, "true effect"))
            table[name][f"true effect over {other}"] = interval(ratios.tolist())
    costs = {
        name: interval([one["cost at equal effect"][name] for one in played])
        for name in ("template", "template, leftovers")
        if "cost at equal effect" in played[0]
    }
    return {"planners": table, "solver's cost at the effect of": costs}


def large(creators: int) -> dict[str, Any]:
    """One brief over a large catalogue: from its numbers to a plan, the predictor's work told apart."""
    world = generated.demo(creators, 1)
    begin = time.perf_counter(), time.process_time()
    predictor = effect.fit(world.catalogue)
    mean_N = predictor.posterior(world.catalogue).mean_N
    ready = time.perf_counter(), time.process_time()
    problem = pose(world.catalogue, mean_N, replace(brief_of(1), budget=100_000.0))
    solution = solve(problem)
    done = time.perf_counter(), time.process_time()
    return {
        "creators": creators,
        "predictor, seconds": ready[0] - begin[0],
        "predictor, cpu seconds": ready[1] - begin[1],
        "plan, seconds": done[0] - ready[0],
        "plan, cpu seconds": done[1] - ready[1],
        "of the bound": 1 - solution.gap,
    }


def drawn(catalogues: int, creators: int) -> dict[str, Any]:
    """The solver on briefs as gates draw them (`crossmix.creators.sampled`), judged as gates judge."""
    rows = []
    for seed in range(DRAWN_SEED, DRAWN_SEED + catalogues):
        world = generated.demo(creators, seed)
        planner = Planner(world.catalogue, effect.fit(world.catalogue))
        posed, _ = draw(world.catalogue, planner.mean_N, Creators(briefs=Briefs(count=DRAWN_BRIEFS, seed=seed)))
        for one in posed:
            found = gate_play(world.catalogue, one, planner.solution, world.effect_N)
            lead = found.judged[PLAN] / found.judged[LEFTOVERS]
            rows.append((seed, found.share, len(found.broken), lead, found.seconds))
        print(f"catalogue {seed - DRAWN_SEED + 1} of {catalogues}", file=sys.stderr)
    seed_B, share_B, broken_B, lead_B, seconds_B = np.asarray(rows, np.float64).T
    by_catalogue = [seed_B == seed for seed in np.unique(seed_B)]
    shares = [float(share_B[of].mean()) for of in by_catalogue]
    return {
        "catalogues": catalogues,
        "creators": creators,
        "briefs of each": DRAWN_BRIEFS,
        "first seed": DRAWN_SEED,
        "of the bound": interval(shares),
        "of the bound, by catalogue": shares,
        "of the bound, least brief": float(share_B.min()),
        "of the bound, by brief": share_B.tolist(),
        "plans that break a rule": int((broken_B > 0).sum()),
        "true effect over template, leftovers": interval([float(lead_B[of].mean()) for of in by_catalogue]),
        "cpu seconds, most": float(seconds_B.max()),
    }


def judged(result: dict[str, Any]) -> dict[str, Any]:
    """Each goal with its figure and whether it is met."""
    solver = result["planners"]["solver"]
    figures = {
        "solver of the bound, mean": solver["of the bound"]["mean"],
        "solver of the bound, least": solver["of the bound, least"],
        "solver, plans that break a rule": solver["plans that break a rule"],
        "solver, most seconds a brief": solver["seconds, most"],
    }
    if result.get("large"):
        figures["500,000 creators, seconds"] = result["large"]["plan, seconds"]
    verdicts = {}
    for name, value in figures.items():
        sign, goal = GOALS[name]
        met = value >= goal if sign == ">=" else value <= goal
        verdicts[name] = {"figure": value, "goal": f"{sign} {goal:g}", "met": bool(met)}
    return verdicts


def show(result: dict[str, Any]) -> None:
    """As text."""

    def told(item: dict[str, Any]) -> str:
        return f"{item['mean']:.3f} [{item['ci95'][0]:.3f}, {item['ci95'][1]:.3f}]"

    print(f"{result['briefs']} briefs x {result['creators']:,} creators\n")
    heads = ("of the bound", "true effect over template", "true effect over template, leftovers", "promised over gave")
    for name, row in result["planners"].items():
        cells = "  ".join(f"{head} {told(row[head])}" for head in heads)
        print(f"{name:20} {cells}  least {row['of the bound, least']:.3f}  break {row['plans that break a rule']}")
        print(f"{'':20} {row['seconds, mean']:.2f} s, at most {row['seconds, most']:.2f} s")
    for name, item in result["solver's cost at the effect of"].items():
        print(f"solver's cost at the effect of {name}: {told(item)}")
    if result.get("large"):
        print("large:", {name: round(value, 3) for name, value in result["large"].items()})
    for name, item in result["goals"].items():
        print(f"{'met' if item['met'] else 'MISSED':6} {name}: {item['figure']:.4g} ({item['goal']})")
    for name, text in SEED_FIGURES.items():
        print(f"seed's {name}: {text}")


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.creators", description="Worth of the creators planner.")
    parser.add_argument("--json", action="store_true", help="one JSON object")
    parser.add_argument("--briefs", type=int, default=BRIEFS)
    parser.add_argument("--creators", type=int, default=CREATORS)
    parser.add_argument("--large", type=int, default=LARGE, help="creators of the large catalogue; 0: leave it out")
    parser.add_argument("--ddpg", type=float, default=0.0, help="CPU seconds of training; 0: leave it out")
    parser.add_argument("--drawn", type=int, default=0, help="catalogues whose gates' briefs are played, alone")
    parser.add_argument("--no-costs", action="store_true", help="leave out the cost at equal effect")
    given = parser.parse_args()
    before = os.getloadavg()
    if given.drawn > 0:
        print(json.dumps(drawn(given.drawn, given.creators) | {"machine": machine(before)}, indent=1))
        return 0
    planners = PLANNERS | (trained(given.ddpg) if given.ddpg > 0 else {})
    played = []
    for seed in range(given.briefs):
        played.append(play(case_of(seed, given.creators), planners, costs=not given.no_costs))
        print(f"brief {seed + 1} of {given.briefs}", file=sys.stderr)
    result: dict[str, Any] = {
        "briefs": given.briefs,
        "creators": given.creators,
        "ddpg cpu seconds": given.ddpg,
        "solver": {"seconds": Solver().seconds},
        **summary(played),
        "large": large(given.large) if given.large else None,
        "seed's figures": SEED_FIGURES,
        "machine": machine(before),
    }
    result["goals"] = judged(result)
    if given.json:
        print(json.dumps(result, indent=1))
    else:
        show(result)
    return 0


if __name__ == "__main__":
    sys.exit(main())

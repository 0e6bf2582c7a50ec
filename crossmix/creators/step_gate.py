"""The gate step of task `creators`: briefs drawn for the catalogue are answered and judged, and the bundle is saved.

A generated catalogue has true effects, which no planner sees: plans are judged by them. Of a real one half of the past
results, drawn at random, stays with the judge: planners see posterior means given the other half, and their plans are
judged by posterior means given the judge's. What is served, and judged by rules, gap and seconds, knows all results.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
from tqdm import tqdm

from crossmix.artifacts import GateTable, TaskFigure, TaskJudged
from crossmix.artifacts.creators import (
    LEFTOVERS,
    PLAN,
    TEMPLATE,
    CalibrationBin,
    CreatorsJudged,
    PlayedBrief,
    PredictorCalibration,
)
from crossmix.bundle import manifest
from crossmix.config import Config, digest
from crossmix.config.creators import Creators
from crossmix.creators import bundled
from crossmix.creators.calibration import Calibration, HeldOut, calibration_of, held_out
from crossmix.creators.catalogue import Catalogue, Floats
from crossmix.creators.effect import fit
from crossmix.creators.gates.case import Case, judged
from crossmix.creators.gates.played import interval, lead_over, play
from crossmix.creators.generated import demo
from crossmix.creators.sampled import Drawn, draw
from crossmix.creators.step_ingest import GENERATED
from crossmix.creators.stored import load_catalogue, load_predictor
from crossmix.creators.worker import Planner
from crossmix.schema import DataError
from crossmix.verdicts import passed

BINS = 10
HALF = 11
"""Seed of the halves of the past results."""


def judge(config: Config, dataset: Path, policy: Path, out: Path) -> GateTable:
    """Judge the planner; write bundle/, briefs.json, figures.json and gates.json into `out` (exists, empty).

    Args:
        dataset: what the ingest step wrote.
        policy: what the train step wrote.

    Raises:
        DataError: hardly a brief can be met with this catalogue.
    """
    catalogue, settings = load_catalogue(dataset), config.creators
    actor = (policy / bundled.ACTOR).read_bytes() if settings.agent == "ddpg" else None
    planner = bundled.save(
        out / "bundle", config=config, catalogue=catalogue, predictor=load_predictor(policy), actor=actor
    )
    drawn, passed_over = draw(catalogue, planner.mean_N, settings)
    known = None if config.data.source != GENERATED else demo(settings.demo.creators, settings.demo.seed).effect_N
    played, judged_by = play_all(catalogue, planner, drawn, known)
    held = _held_out(catalogue, settings)
    calibration = None if held is None else calibration_of(held)
    case = Case(settings=settings, played=played, calibration=calibration, judged_by=judged_by)
    gates = judged(case)
    rows = [asdict(gate) for gate in gates]
    manifest.annotate(out / "bundle", rows, {"briefs": digest(settings.briefs)})
    CreatorsJudged(
        agent=settings.agent,
        judged_by=judged_by,
        seed=settings.briefs.seed,
        passed_over=passed_over,
        briefs=played,
        calibration=None if held is None or calibration is None else _calibration(held, calibration),
    ).save(out)
    figures(case, catalogue).save(out)
    table = GateTable.of({"gates": rows, "passed": passed(gates)})
    table.save(out)
    return table


def play_all(
    catalogue: Catalogue, planner: Planner, drawn: Sequence[Drawn], known_N: Floats | None
) -> tuple[tuple[PlayedBrief, ...], str]:
    """Every brief played, and by which effects it was judged, in words.

    Args:
        known_N: true effects; `None`: nobody knows them.
    """
    if known_N is not None:
        played = tuple(play(catalogue, one, planner.solution, known_N) for one in _counted(drawn, "plans"))
        return played, "by the true effects of the generated catalogue"
    served = [play(catalogue, one, planner.solution, planner.mean_N) for one in _counted(drawn, "plans")]
    try:
        mean_N, judge_N = halves(catalogue, planner)
    except DataError as error:
        return tuple(replace(one, judged={}) for one in served), f"by nobody: {error}"
    apart = []
    for one in _counted(drawn, "plans by half of the results"):
        problem = replace(one.problem, effect_N=mean_N[one.problem.row_N])
        apart.append(play(catalogue, replace(one, problem=problem), planner.solution, judge_N))
    both = zip(served, apart, strict=True)
    played = tuple(replace(one, judged=other.judged) for one, other in both)
    return played, "planned by one half of the past results and judged by the other"


def _counted(drawn: Sequence[Drawn], label: str) -> Iterator[Drawn]:
    yield from tqdm(drawn, desc=label, unit="brief", mininterval=2.0)


def halves(catalogue: Catalogue, planner: Planner) -> tuple[Floats, Floats]:
    """Expected effects given one half of the past results, and given the other.

    Raises:
        DataError: half of them are too few to fit on; how many are missing.
    """
    results, least = len(catalogue.result_E), planner.effects.least_results
    first_E = np.random.default_rng(HALF).permutation(results) < results // 2
    means = []
    for half_E in (first_E, ~first_E):
        part = replace(catalogue, of_E=catalogue.of_E[half_E], result_E=catalogue.result_E[half_E])
        try:
            means.append(fit(part, planner.effects).posterior(part).mean_N)
        except DataError as error:
            missing = f"{2 * least - results} are missing" if results < 2 * least else f"of a half: {error}"
            raise DataError(
                f"{results} past results, one half to plan by and the other to judge by; {2 * least} are needed at "
                f"least, some creators with two in each half; {missing}"
            ) from None
    return means[0], means[1]


def figures(case: Case, catalogue: Catalogue) -> TaskJudged:
    """What summary, terminal, report and registry show."""
    resamples = case.settings.briefs.bootstrap

    def figure(label: str, found: tuple[float, float, float], meaning: str) -> TaskFigure:
        return TaskFigure(label=label, mean=found[0], ci95=found[1:], meaning=meaning, form="share")

    def less_one(other: str) -> tuple[float, float, float]:
        mean, low, high = lead_over(case.played, other, resamples)
        return mean - 1, low - 1, high - 1

    known = all(one.judged for one in case.played)
    share = interval([one.share for one in case.played], resamples)
    spent = interval([one.cost[PLAN] / one.budget for one in case.played], resamples)
    count = len(case.played)
    over, bare = (less_one(LEFTOVERS), less_one(TEMPLATE)) if known else (None, None)
    gives = f"and give {100 * over[0]:.0f} % more than the template with its leftovers spent, " if over else ""
    leads = {
        "lead": ("Ahead of the template, leftovers spent", over),
        "lead_plain": ("Ahead of the template as it is", bare),
    }
    return TaskJudged(
        task="creators",
        headline=(
            f"Plans reach {100 * share[0]:.1f} % of what no plan can pass, {gives}"
            f"over {count} briefs drawn for the catalogue."
        ),
        judged="share_of_bound",
        figures={
            "share_of_bound": figure("Share of the bound", share, "expected effect over the dual bound on all plans"),
            **{
                name: figure(label, found, f"in effect, {case.judged_by}")
                for name, (label, found) in leads.items()
                if found is not None
            },
            "spent": figure("Budget spent", spent, "cost of the plan over the budget"),
        },
        generated=catalogue.generated,
        rows=len(catalogue),
    )


def _held_out(catalogue: Catalogue, settings: Creators) -> HeldOut | None:
    try:
        return held_out(catalogue, settings.effects)
    except DataError:
        return None


def _calibration(held: HeldOut, found: Calibration) -> PredictorCalibration:
    order = np.argsort(held.predicted_E)
    bins = []
    for part in np.array_split(order, min(BINS, len(order))):
        log_E = held.log_E[part]
        room = 1.96 * float(log_E.std(ddof=1)) / np.sqrt(len(part)) if len(part) > 1 else 0.0
        mean = float(log_E.mean())
        bins.append(
            CalibrationBin(
                predicted=float(held.predicted_E[part].mean()),
                observed=mean,
                low=mean - room,
                high=mean + room,
                results=len(part),
            )
        )
    return PredictorCalibration(
        results=found.results,
        slope=found.slope,
        slope_error=found.slope_error,
        coverage=found.coverage,
        promised_over_gave=found.promised_over_gave,
        picked=found.picked_promised_over_gave,
        picked_raw=found.raw_promised_over_gave,
        bins=tuple(bins),
    )

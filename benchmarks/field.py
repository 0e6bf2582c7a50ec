"""Spend histories with a planted truth: `python -m benchmarks.field [--seeds N] [--json] [--short]`.

Worlds (`benchmarks/_field_worlds.py`) are accounts whose expected revenue of any split is known. Half of them are of
response families that the fit may contain, bent as accounts are; half (Hill with a threshold, logarithm, the market's
own auctions, one platform with carry-over) are of families that it does not. Of each the history alone is a CSV, which
goes through the steps ingest and market of a run; `crossmix.whatif.best_split` then splits the budget of the last two
weeks. Told are, over new seeds at each call unless `--seed` names the first:

| figure      | what it is                                                                                        |
|-------------|---------------------------------------------------------------------------------------------------|
| regret      | 1 - revenue / revenue of the best split of the same budgets, expected revenues of the planted world |
| promised    | revenue that the product expects of its split, over what it earns                                   |
| today told  | what the product takes for today's budget, over the spend of the last two weeks                     |
| coverage    | part of the 95 % intervals that hold the truth, at today's split: of the marginal ROI of each        |
|             | platform, of the revenue at half, once and twice the budget, whole and by platform                   |
| width       | of those intervals, over the truth, mean                                                           |
| CPU s       | of ingest, fit and the recommended split of every campaign                                          |
| accepted    | histories of which the gate `decision` lets a change pass, as judged by the fit's draws and the       |
|             | held-out weeks; lost: of those, where the change earns less than today's split                        |

Beside the product: today's split, a log-log regression of revenue on spend per platform, and PyMC-Marketing's default
model where it is installed. Where a campaign never ran on a platform and the history can tell nothing of it, the best
split holds no more than `limits.probe` of the campaign's budget there; regret against the best of all cells is in
`--resume`'s file. The JSON holds every history as a row (`benchmarks/_field_rows.py`). Intervals of means are 95 %, by
resampling histories, so that what belongs to one history is drawn together.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import secrets
import subprocess
import tempfile
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from scipy import stats

from benchmarks._field_answers import SLOW, Answer, log_log, product, pymc, pymc_command
from benchmarks._field_kinds import INSIDE, KINDS, OUTSIDE, SIXTY
from benchmarks._field_responses import Array
from benchmarks._field_rows import dumped
from benchmarks._field_tables import WANTED, WHO, markdown, table
from benchmarks._field_worlds import World, world
from benchmarks._machine import machine
from benchmarks._resumed import Resumed
from crossmix.config import load
from crossmix.evaluate.stats.significance import two_way

LONGEST = {SIXTY: 60.0}
"""CPU seconds that are wanted at most of ingest, fit and answer."""
USUAL = 20.0
LOST, WORTH, FOUND = 0.05, 0.05, 0.8
"""Wanted: of the accepted changes at most `LOST` lose; where the best split earns more than today's by `WORTH` at
least, `FOUND` at least are accepted."""
SHORT = ("plain", "hill-56-days")
SLOWER = "PyMC-Marketing, cpu s"
"""Name of its processor time in results, seconds a history."""


def history(name: tuple[str, int], command: list[str] | None = None, longest: float = SLOW) -> dict[str, Any]:
    """One world played, as plain data.

    Args:
        name: kind and seed.
        command: starts PyMC-Marketing; `None`: left out.
        longest: seconds of the clock that it is given.
    """
    torch.set_num_threads(1)
    made = world(*name)
    probe = load("laptop").limits.probe
    result: dict[str, Any] = {"kind": name[0], "seed": name[1], "refused": None}
    splits = {"today": made.today_CP, "log-log": log_log(made)}
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        try:
            answer = product(made, folder)
        except ValueError as error:  # a refusal in one sentence; a fault is none and ends the benchmark
            result["refused"] = str(error)
        else:
            splits["recommended"] = answer.split_CP
            result |= {
                "promised over earned": answer.promised / made.revenue(answer.split_CP),
                "today told over today": answer.today / float(made.today_CP.sum()),
                "intervals": {what: _held(found) for what, found in answer.intervals.items()},
                "cpu s": answer.seconds,
                "decision": decision(made, answer, probe),
            }
        if command is not None:
            try:
                splits["PyMC-Marketing"], result[SLOWER] = pymc(command, made, folder, longest)
            except (subprocess.SubprocessError, OSError) as error:
                result["PyMC-Marketing failed"] = str(error)
    result["regret"] = {who: _regret(made, split, probe) for who, split in splits.items()}
    result["regret, all cells"] = {who: _regret(made, split, 1.0) for who, split in splits.items()}
    return result


def _regret(made: World, split_CP: Array, probe: float) -> float:
    """Of the budgets of today, whatever the split sums up to."""
    budget_C = made.today_CP.sum(1)
    return 1 - made.revenue(split_CP) / made.revenue(made.best(budget_C, probe))


def decision(made: World, answer: Answer, probe: float) -> dict[str, Any]:
    """What the accepted changes and the best split earn in truth, over today's revenue, less 1."""
    today = made.revenue(made.today_CP)
    return {
        "accepted": bool((answer.accepted_CP != made.today_CP).any()),
        "probability": answer.sure,
        "gain": made.revenue(answer.accepted_CP) / today - 1,
        "best gain": made.revenue(made.best(made.today_CP.sum(1), probe)) / today - 1,
        "best gain without probes": made.revenue(made.best(made.today_CP.sum(1), tried=True)) / today - 1,
        "cpu s": answer.judging,
    }


def decisions(histories: list[dict[str, Any]]) -> dict[str, Any]:
    """How many histories' changes were accepted, how many of those lose, and how many of those worth it were found.

    What a campaign earns on a platform where it never ran, nobody can prove: `found without probes` is of histories
    whose best split earns `WORTH` more though such cells get nothing.
    """
    judged = [one["decision"] for one in histories if one["refused"] is None]
    accepted = [one for one in judged if one["accepted"]]
    lost = _part(sum(one["gain"] < 0 for one in accepted), len(accepted))

    def found(gain: str) -> dict[str, Any]:
        worth = [one for one in judged if one[gain] >= WORTH]
        part = _part(sum(one["accepted"] for one in worth), len(worth))
        return part | {"wanted": FOUND, "met": bool(worth) and part["mean"] >= FOUND}

    return {
        "histories": len(judged),
        "accepted": len(accepted),
        "lost": lost | {"wanted": LOST, "met": bool(accepted) and lost["mean"] <= LOST},
        "found": found("best gain"),
        "found without probes": found("best gain without probes"),
        "gain of the accepted": _mean([one["gain"] for one in accepted]),
        "cpu s": _mean([one["cpu s"] for one in judged]),
    }


def _part(hits: int, of: int) -> dict[str, Any]:
    """A rate with its exact 95 % interval; one history is one decision."""
    if not of:
        return {"hits": 0, "of": 0, "mean": None, "ci95": None}
    law = stats.binomtest(hits, of).proportion_ci(0.95, "exact")
    return {"hits": hits, "of": of, "mean": hits / of, "ci95": [float(law.low), float(law.high)]}


def _held(found: list[tuple[float, float, float]]) -> dict[str, float]:
    true, low, high = np.array(found).T
    return {
        "of": len(found),
        "covered": float(((low <= true) & (true <= high)).mean()),
        "width": float(((high - low) / np.abs(true)).mean()),
    }


def measure(
    kinds: list[str],
    seeds: range,
    command: list[str] | None,
    told: str,
    *,
    longest: float = SLOW,
    jobs: int = 1,
    kept: Path | None = None,
) -> dict[str, Any]:
    """Every kind with every seed.

    Args:
        command, told: how PyMC-Marketing is started, if it is, and a sentence about it (`pymc_command`).
        longest: seconds of the clock that it is given for a history.
        jobs: processes at once.
        kept: file of what is finished already, which is gone on from.
    """
    before = os.getloadavg()
    of = {"seeds": [seeds.start, seeds.stop - 1], "PyMC-Marketing": command is not None}
    resumed = Resumed(kept, of)
    names = [(kind, seed) for seed in seeds for kind in kinds]
    open_ones = [name for name in names if _key(name) not in resumed.parts]
    play = partial(history, command=command, longest=longest)
    if jobs == 1:
        for name in open_ones:
            resumed.part(_key(name), lambda name=name: play(name))  # type: ignore[misc]
    else:
        with ProcessPoolExecutor(jobs, multiprocessing.get_context("spawn")) as pool:
            for name, played in zip(open_ones, pool.map(play, open_ones), strict=True):
                resumed.part(_key(name), lambda played=played: played)  # type: ignore[misc]
    histories = [resumed.parts[_key(name)] for name in names]
    groups = {"inside": INSIDE, "outside": OUTSIDE}
    return {
        "benchmark": "field",
        "seeds": [seeds.start, seeds.stop - 1],
        "PyMC-Marketing": told,
        "kinds": {kind: of_kind(kind, [one for one in histories if one["kind"] == kind]) for kind in kinds},
        "coverage": {
            group: coverage([one for one in histories if one["kind"] in members], WANTED[group])
            for group, members in groups.items()
        },
        "decisions": {
            group: decisions([one for one in histories if one["kind"] in members])
            for group, members in ({"all": (*KINDS, SIXTY)} | groups).items()
        },
        "histories": histories,
        "machine": machine(before),
    }


def _key(name: tuple[str, int]) -> str:
    return f"{name[0]} {name[1]}"


def of_kind(kind: str, histories: list[dict[str, Any]]) -> dict[str, Any]:
    """Regret, what was promised, coverage and cost of the histories of a kind."""
    answered = [one for one in histories if one["refused"] is None]
    regret = {who: _mean([one["regret"][who] for one in histories if who in one["regret"]]) for who in WHO}
    goal = KINDS[kind].goal if kind in KINDS else None
    seconds = [one["cpu s"] for one in answered]
    mean = None if regret["recommended"] is None else regret["recommended"]["mean"]
    return {
        "histories": len(histories),
        "refused": [one["refused"] for one in histories if one["refused"] is not None],
        "regret": regret,
        "goal": goal,
        "met": None if goal is None else mean is not None and len(answered) == len(histories) and mean <= goal,
        "promised over earned": _mean([one["promised over earned"] for one in answered]),
        "today told over today": _mean([one["today told over today"] for one in answered]),
        "coverage": coverage(histories, None),
        "cpu s": _mean(seconds),
        "longest, cpu s": max(seconds, default=None),
        SLOWER: _mean([one[SLOWER] for one in histories if SLOWER in one]),
        "wanted, cpu s": LONGEST.get(kind, USUAL),
    }


def coverage(histories: list[dict[str, Any]], wanted: tuple[float, float] | None) -> dict[str, Any]:
    """By what was asked: part of the intervals that hold the truth, its interval by history, and their mean width."""
    answered = [one["intervals"] for one in histories if one["refused"] is None]
    told: dict[str, Any] = {}
    for what in answered[0] if answered else ():
        part = _mean([one[what]["covered"] for one in answered])
        if part is None:
            continue
        told[what] = {
            "histories": len(answered),
            "intervals": sum(one[what]["of"] for one in answered),
            "covered": part,
            "width": float(np.mean([one[what]["width"] for one in answered])),
        }
        if wanted is not None:
            told[what] |= {"wanted": list(wanted), "met": wanted[0] <= part["mean"] <= wanted[1]}
    return told


def _mean(values: list[float]) -> dict[str, Any] | None:
    return two_way(np.array(values)[None]) if values else None


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.field", description="Histories with a planted truth.")
    parser.add_argument("--json", action="store_true", help="print JSON instead of tables")
    parser.add_argument("--kinds", nargs="+", choices=[*KINDS, SIXTY], help="which worlds; all without it")
    parser.add_argument("--seeds", type=int, default=20, help="worlds of each kind (20)")
    parser.add_argument("--seed", type=int, help="the first of them; without it new ones at each call")
    parser.add_argument("--pymc", type=Path, help="a Python interpreter that has pymc-marketing; without it this one")
    parser.add_argument(
        "--pymc-seconds", type=float, default=SLOW, help=f"of the clock that it is given for a history ({SLOW:g})"
    )
    parser.add_argument("--no-pymc", action="store_true", help="leave PyMC-Marketing out: it takes minutes a history")
    parser.add_argument("--jobs", type=int, default=1, help="histories at once, a process each (1)")
    parser.add_argument("--resume", type=Path, help="file that every finished history is kept in, and taken from")
    parser.add_argument(
        "--told", type=Path, help="a JSON of before: print its tables of docs/field-figures.md, play nothing"
    )
    parser.add_argument("--short", action="store_true", help="one history of two kinds: a smoke run")
    given = parser.parse_args()
    if given.told:
        tables = markdown(json.loads(given.told.read_text()))
        print("\n\n".join("\n".join(rows) for rows in tables.values()))
        return
    kinds = given.kinds or (list(SHORT) if given.short else [*KINDS, SIXTY])
    command, told = pymc_command(given.pymc)
    if given.no_pymc or given.short:
        command, told = None, "PyMC-Marketing: left out, as asked"
    first = secrets.randbelow(10**6) * 1000 if given.seed is None else given.seed
    seeds = range(first, first + (1 if given.short else given.seeds))
    result = measure(kinds, seeds, command, told, longest=given.pymc_seconds, jobs=given.jobs, kept=given.resume)
    print(dumped(result) if given.json else table(result))


if __name__ == "__main__":
    main()

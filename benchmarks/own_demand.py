"""Spend that follows a platform's own demand: `python -m benchmarks.own_demand [--seeds N] [--json]`.

Of each planted account (`benchmarks/_own_demand_worlds.py`) the history alone goes through ingest, fit and decision, as
in `benchmarks.field`. Money does little on the platform that follows, and its name does not say so: a change which
gives it more, proved by what is shown, loses. Told is, by the rule of its budget, how many changes are accepted, how
many of those lose in truth, and how many of those worth it are found. With `--chased` money works there as elsewhere,
and budgets follow results all the same. New seeds at each call, unless `--seed` names the first.
"""

from __future__ import annotations

import argparse
import json
import os
import secrets
import tempfile
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch

from benchmarks._field_answers import product
from benchmarks._machine import machine
from benchmarks._own_demand_worlds import RULES, own_demand
from benchmarks._resumed import Resumed
from benchmarks.field import decision, decisions
from crossmix.config import load


def history(seed: int, *, chased: bool) -> dict[str, Any]:
    """One account played, as plain data."""
    torch.set_num_threads(1)
    made, how = own_demand(seed, chased=chased)
    result: dict[str, Any] = {"seed": seed, "follows": asdict(how), "refused": None}
    with tempfile.TemporaryDirectory() as scratch:
        try:
            answer = product(made, Path(scratch))
        except ValueError as error:  # a refusal in one sentence; a fault is none and ends the benchmark
            return result | {"refused": str(error)}
    return result | {"decision": decision(made, answer, load("laptop").limits.probe)}


def measure(seeds: range, *, chased: bool = False, kept: Path | None = None) -> dict[str, Any]:
    """Every seed; `kept`: file of what is finished already, which is gone on from."""
    before = os.getloadavg()
    resumed = Resumed(kept, {"seeds": [seeds.start, seeds.stop - 1], "chased": chased})
    histories = [resumed.part(str(seed), lambda seed=seed: history(seed, chased=chased)) for seed in seeds]  # type: ignore[misc]
    return {
        "benchmark": "own_demand",
        "seeds": [seeds.start, seeds.stop - 1],
        "chased": chased,
        "decisions": {"all": decisions(histories)}
        | {rule: decisions([one for one in histories if one["follows"]["rule"] == rule]) for rule in RULES},
        "histories": histories,
        "machine": machine(before),
    }


def table(result: dict[str, Any]) -> str:
    """The result for people."""
    first, last = result["seeds"]
    what = "results set a budget whose money works" if result["chased"] else "a platform follows its own demand"
    lines = [f"{what}, seeds {first} to {last}; GENERATED DATA", "", f"{'budget follows':<16}accepted    lost    found"]
    for rule, row in result["decisions"].items():
        lost, found = (f"{row[name]['hits']} of {row[name]['of']}" for name in ("lost", "found"))
        lines.append(f"{rule:<16}{row['accepted']:>2} of {row['histories']:<4}{lost:>8}{found:>9}")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.own_demand", description="Platforms whose spend follows their own demand."
    )
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")
    parser.add_argument("--seeds", type=int, default=20, help="accounts (20)")
    parser.add_argument("--seed", type=int, help="the first of them; without it new ones at each call")
    parser.add_argument("--chased", action="store_true", help="money works on the platform that follows its results")
    parser.add_argument("--resume", type=Path, help="file that every finished history is kept in, and taken from")
    given = parser.parse_args()
    first = secrets.randbelow(10**6) * 1000 if given.seed is None else given.seed
    result = measure(range(first, first + given.seeds), chased=given.chased, kept=given.resume)
    print(json.dumps(result, indent=1) if given.json else table(result))


if __name__ == "__main__":
    main()

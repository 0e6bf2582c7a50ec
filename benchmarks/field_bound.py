"""What nobody can better on planted histories: `python -m benchmarks.field_bound [--seeds N] [--json]`.

Worlds of `benchmarks.field`, split by the product, as today, and by one who knows the law that the planted parameters
were drawn by (`benchmarks/_field_posterior.py`) and does as Bayes' rule says. A fit that must do for every kind knows
less; what is told is how much that is worth, on the same histories in one process:

| who              | what it knows                                                                             |
|------------------|-------------------------------------------------------------------------------------------|
| product          | the history                                                                               |
| knows the family | whether the response is Hill's curve or a power of clicks, and the law of its parameters  |
| the other family | as much, but of the wrong family: what a belief costs where it does not hold              |
| either family    | both laws, each as likely before the history; P(Hill) is what it thinks then              |
| wide laws        | both families, but of parameters only what holds of accounts of every kind (`WIDE`)       |
| any elasticity   | that clicks are a power of money, its exponent 0.36 to 0.93, and the noise's law          |

Regret in % of the best revenue, mean and 95 % interval over histories; the ratio is of the product's mean to that of
`wide laws` or of `any elasticity`, who know what a fit for every kind could. New seeds at each call unless `--seed`
names the first.
"""

from __future__ import annotations

import argparse
import json
import os
import secrets
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import torch

from benchmarks._field_answers import recommended
from benchmarks._field_kinds import KINDS, Kind
from benchmarks._field_posterior import WIDE, Families, elasticity, seen, split
from benchmarks._field_worlds import World, world
from benchmarks._machine import machine
from benchmarks._resumed import Resumed
from crossmix.evaluate.stats.significance import two_way

BENT: dict[str, Kind] = {
    "hill": KINDS["hill"],
    "hill-28-a-day": KINDS["hill-28-a-day"],
    "hill-56-days": KINDS["hill-56-days"],
    "fading": KINDS["fading"],
    "fading-28-a-day": Kind(0.015, fading=True, conversions=28),
    "fading-56-days": Kind(0.015, fading=True, days=56),
}
"""Where conversions saturate, in one of two ways."""
UNBENT: dict[str, Kind] = {kind: KINDS[kind] for kind in ("plain", "56-days", "steady")}
"""Where money buys a power of it in clicks."""
PRODUCT, TODAY, FAMILY, OTHER, EITHER, FAR, ANY = (
    "product",
    "today",
    "knows the family",
    "the other family",
    "either family",
    "wide laws",
    "any elasticity",
)


def history(kind: str, seed: int) -> dict[str, Any]:
    """One world split by all of them, as plain data."""
    torch.set_num_threads(1)
    made = world(kind, seed, (BENT | UNBENT)[kind])
    splits = {TODAY: made.today_CP} | readers(made, hill=kind.startswith("hill"), bent=kind in BENT)
    result: dict[str, Any] = {"kind": kind, "seed": seed, "refused": None}
    if kind in BENT:
        result["probability of Hill"] = Families.of(seen(made)).probability
    with tempfile.TemporaryDirectory() as scratch:
        try:
            splits[PRODUCT] = recommended(made, Path(scratch))
        except ValueError as error:  # a refusal in one sentence; a fault is none and ends the benchmark
            result["refused"] = str(error)
    return result | {"regret": {who: made.regret(split_CP) for who, split_CP in splits.items()}}


def readers(made: World, *, hill: bool, bent: bool) -> dict[str, np.ndarray[Any, np.dtype[np.float64]]]:
    """The splits of those who know a law, (1, P) each; `hill`: what the family is, where it bends."""
    platforms = seen(made)
    if not bent:
        return {ANY: split(made, [elasticity(one).revenue for one in platforms])}
    families = Families.of(platforms)
    right, wrong = (families.hill, families.power) if hill else (families.power, families.hill)
    return {
        FAMILY: split(made, [one.revenue for one in right]),
        OTHER: split(made, [one.revenue for one in wrong]),
        EITHER: split(made, families.both()),
        FAR: split(made, Families.of(platforms, WIDE).both()),
    }


def measure(kinds: list[str], seeds: range, kept: Path | None = None) -> dict[str, Any]:
    """Every kind with every seed; `kept`: file of what is finished already, which is gone on from."""
    before = os.getloadavg()
    resumed = Resumed(kept, {"seeds": [seeds.start, seeds.stop - 1], "kinds": kinds})
    histories = [
        resumed.part(f"{kind} {seed}", lambda kind=kind, seed=seed: history(kind, seed))  # type: ignore[misc]
        for seed in seeds
        for kind in kinds
    ]
    return {
        "benchmark": "field_bound",
        "seeds": [seeds.start, seeds.stop - 1],
        "kinds": {kind: of_kind([one for one in histories if one["kind"] == kind]) for kind in kinds},
        "histories": histories,
        "machine": machine(before),
    }


def of_kind(histories: list[dict[str, Any]]) -> dict[str, Any]:
    """Means over the histories that the product answers; all on the same ones."""
    answered = [one for one in histories if one["refused"] is None]
    told: dict[str, Any] = {"histories": len(histories), "refused": len(histories) - len(answered)}
    if not answered:
        return told
    regret = {who: np.array([one["regret"][who] for one in answered]) for who in answered[0]["regret"]}
    bound = regret[FAR if FAR in regret else ANY]
    told["regret"] = {who: two_way(of[None]) for who, of in regret.items()}
    told["product over bound"] = float(regret[PRODUCT].mean() / bound.mean())
    told["product less bound"] = two_way((regret[PRODUCT] - bound)[None])
    told["worse than today"] = {who: int((of > regret[TODAY]).sum()) for who, of in regret.items()}
    if "probability of Hill" in answered[0]:
        told["probability of Hill"] = float(np.mean([one["probability of Hill"] for one in answered]))
    return told


def table(result: dict[str, Any]) -> str:
    """The result for people."""
    first, last = result["seeds"]
    order = (PRODUCT, TODAY, FAMILY, OTHER, EITHER, FAR, ANY)
    lines = [
        f"regret, %, seeds {first} to {last}; GENERATED DATA",
        "",
        f"{'':<17}{'n':>4}" + "".join(f"{who:>20}" for who in order) + f"{'ratio':>8}{'P(Hill)':>9}",
    ]
    for kind, row in result["kinds"].items():
        if "regret" not in row:
            lines.append(f"{kind:<17}{0:>4}  every history was refused")
            continue
        cells = "".join(f"{_percent(row['regret'].get(who)):>20}" for who in order)
        hill = f"{row['probability of Hill']:.2f}" if "probability of Hill" in row else "-"
        lines.append(
            f"{kind:<17}{row['histories'] - row['refused']:>4}{cells}{row['product over bound']:>8.2f}{hill:>9}"
        )
    return "\n".join(lines)


def _percent(item: dict[str, Any] | None) -> str:
    if item is None:
        return "-"
    low, high = (100 * edge for edge in item["ci95"])
    return f"{100 * item['mean']:.2f} [{low:.2f}, {high:.2f}]"


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.field_bound", description="Planted histories beside those who know their law."
    )
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")
    parser.add_argument("--kinds", nargs="+", choices=[*BENT, *UNBENT], help="which worlds; all without it")
    parser.add_argument("--seeds", type=int, default=20, help="worlds of each kind (20)")
    parser.add_argument("--seed", type=int, help="the first of them; without it new ones at each call")
    parser.add_argument("--resume", type=Path, help="file that every finished history is kept in, and taken from")
    given = parser.parse_args()
    first = secrets.randbelow(10**6) * 1000 if given.seed is None else given.seed
    result = measure(given.kinds or [*BENT, *UNBENT], range(first, first + given.seeds), given.resume)
    print(json.dumps(result, indent=1) if given.json else table(result))


if __name__ == "__main__":
    main()

"""Speed and memory of ingest: `python -m benchmarks.ingest [--rows 1 5 20] [--out FILE] [--json] [--short]`.

A Parquet log of N million impressions (`benchmarks/_raw_log.py`) goes through `crossmix.ingest.step.ingest` as source
`impressions`, in a process of its own for each case (`benchmarks/_ingest_case.py`):

| case               | what                                                    |
|--------------------|---------------------------------------------------------|
| 1 thread           | one core (affinity), which DuckDB and Arrow both count  |
| 2 threads          | two cores                                               |
| 1 thread, 2 GiB    | one core, `data.memory=2`                               |
| 2 threads, 2 GiB   | two cores, `data.memory=2`                              |

Told are seconds and processor seconds of `ingest` alone, imports excluded, processor microseconds a row, and the memory
of the whole process at most (Linux's VmHWM): DuckDB runs in it, so there is no other. Digests of what was written show
that every case wrote the same. Above 10 million rows the last case alone is run. On a busy machine seconds say little;
processor seconds are somewhat more than on an idle one.

`--code DIR` runs cases without `data.memory` on another checkout of the project too, in turn with this one's.
`--resume FILE` keeps finished cases and goes on from them.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks import _raw_log
from benchmarks._machine import machine
from benchmarks._resumed import Resumed
from crossmix.files import write_json

ROOT = Path(__file__).resolve().parent.parent
CASES: dict[str, dict[str, Any]] = {
    "1 thread": {"cores": 1, "settings": []},
    "2 threads": {"cores": 2, "settings": []},
    "1 thread, 2 GiB": {"cores": 1, "settings": ["data.memory=2"]},
    "2 threads, 2 GiB": {"cores": 2, "settings": ["data.memory=2"]},
}
GOAL = {"rows per second": 170_000, "processor us a row": 10.7, "speed-up": 1.7, "memory GiB": 3.5}
"""Of 2 threads on an idle machine; of 2 threads; of 2 threads over 1; of 20 million rows with 2 GiB."""
MILLION = 1_000_000
LARGE = 10 * MILLION
"""Rows above which only the last case is run."""


def measure(
    rows: int, cases: Mapping[str, Mapping[str, Any]], code: Mapping[str, Path], kept: Resumed
) -> dict[str, Any]:
    """Every case on a log of so many rows.

    Args:
        code: folders of checkouts of the project, by name.
    """
    with tempfile.TemporaryDirectory(prefix="benchmark-ingest-") as scratch:
        log, made = Path(scratch) / "log", 0
        result: dict[str, Any] = {}
        for case, how in cases.items():
            for name, root in code.items():
                if name != "this" and how["settings"]:
                    continue
                part = f"{rows} rows, {case}, {name}"
                if part not in kept.parts and not made:
                    made = _raw_log.write(rows, log)
                result.setdefault(case, {})[name] = kept.part(part, partial(_case, how, log, root))
    written = {one["written"] for of_case in result.values() for name, one in of_case.items() if name == "this"}
    return {"cases": result, "same bytes in every case": len(written) == 1}


def _case(how: Mapping[str, Any], log: Path, root: Path) -> dict[str, Any]:
    """One case in a process of its own."""
    with tempfile.TemporaryDirectory(prefix="dataset-", dir=log.parent) as out:
        command = [sys.executable, "-P", str(ROOT / "benchmarks" / "_ingest_case.py"), str(how["cores"]), str(log), out]
        environment = os.environ | {"PYTHONPATH": str(root)}
        told = subprocess.run(
            [*command, *how["settings"]], cwd=root, env=environment, stdout=subprocess.PIPE, check=True, text=True
        )
        return dict(json.loads(told.stdout.splitlines()[-1]))


def summary(sizes: Mapping[str, Any]) -> dict[str, Any]:
    """Of each size the speed-up of two threads, and each case over that of the other checkout."""
    told: dict[str, Any] = {}
    for rows, size in sizes.items():
        cases = size["cases"]
        told[rows] = {}
        if {"1 thread", "2 threads"} <= set(cases):
            first, second = cases["1 thread"]["this"], cases["2 threads"]["this"]
            told[rows]["speed-up"] = first["seconds"] / second["seconds"]
        told[rows]["over the other code"] = {
            case: {key: of["this"][key] / of["other"][key] for key in ("processor s", "seconds", "memory GiB")}
            for case, of in cases.items()
            if "other" in of
        }
    return told


def table(result: Mapping[str, Any]) -> str:
    """The result for people."""
    machine = result["machine"]
    lines = [f"{machine['processor']}, {machine['cores']} cores, load {machine['load average after'][0]:.1f}", ""]
    lines.append(
        f"{'rows':>12}  {'case':<18}{'code':<8}{'rows/s':>10}{'s':>8}{'processor s':>13}{'us/row':>8}{'GiB':>7}"
    )
    for size in result["sizes"].values():
        for case, of in size["cases"].items():
            for name, one in of.items():
                lines.append(
                    f"{one['rows']:>12,}  {case:<18}{name:<8}{one['rows per second']:>10,.0f}{one['seconds']:>8.1f}"
                    f"{one['processor s']:>13.1f}{one['processor us a row']:>8.2f}{one['memory GiB']:>7.2f}"
                )
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.ingest", description="Speed and memory of ingest.")
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")
    parser.add_argument("--rows", type=float, nargs="+", default=[1, 5, 20], help="millions of rows of each log")
    parser.add_argument("--cases", nargs="+", choices=list(CASES), default=list(CASES), help="cases")
    parser.add_argument("--code", type=Path, help="another checkout of the project, run beside this one")
    parser.add_argument("--out", type=Path, help="a file for the JSON")
    parser.add_argument("--resume", type=Path, help="a file of finished cases, written and taken up")
    parser.add_argument("--short", action="store_true", help="20,000 rows: a smoke run")
    given = parser.parse_args()
    before = os.getloadavg()
    code = {"this": ROOT} | ({"other": given.code.resolve()} if given.code else {})
    kept = Resumed(given.resume, {"benchmark": "ingest"})
    sizes = [20_000] if given.short else [round(millions * MILLION) for millions in given.rows]
    measured = {}
    for rows in sizes:
        names = given.cases[-1:] if rows > LARGE else given.cases
        measured[str(rows)] = measure(rows, {name: CASES[name] for name in names}, code, kept)
    result = {"benchmark": "ingest", "goal": GOAL, "sizes": measured, "summary": summary(measured)}
    result["machine"] = machine(before)
    if given.out:
        write_json(given.out, result)
    print(json.dumps(result, indent=1) if given.json else table(result))


if __name__ == "__main__":
    main()

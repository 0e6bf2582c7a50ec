"""Any table, watched: `python -m benchmarks.monitor_table [--json] [--tables N] [--short]`.

Pairs of tables of 50 columns, judged by `monitoring.columns` and, side by side in the same process, by Evidently's
`DataDriftPreset` as it comes.

| tables     | what                                                                                           |
|------------|------------------------------------------------------------------------------------------------|
| quiet      | 45 normal columns and 5 of categories, independent rows                                        |
| persistent | 50 normal columns, each row keeping 98 % of the row before (AR(1)): raw columns over time      |
| shifted    | as quiet, five of the normal columns 0.3 deviations higher                                     |

Told are parts of columns that are false, of tables with a false one, and of shifted tables in which exactly the five
are found, with Clopper and Pearson's 95 % interval. A whole preset takes seconds a table: its decisions are counted by
the tests that it chooses for so many rows, and whole presets are run on a few tables to show that they decide the same.
The seeds are of this benchmark alone; nothing was chosen on them.
"""

from __future__ import annotations

import argparse
import json
import os
import time
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
from scipy import signal, stats

from benchmarks._machine import machine
from monitoring.columns import compare

COLUMNS, SHIFTED, SHIFT = 50, 5, 0.3
PERSISTENCE = 0.98
BOUND = 2.0
"""Seconds of a quiet check of 10,000 rows, after start-up."""
SEED = 7_300_000
PRESETS = 2
"""Tables of each kind on which the whole preset is run."""


def table(rows: int, seed: int, kind: str, current: bool) -> pd.DataFrame:
    """One table of a pair."""
    rng = np.random.default_rng([SEED, seed, int(current)])
    noise = rng.standard_normal((rows, COLUMNS))
    if kind == "persistent":
        noise = signal.lfilter([np.sqrt(1 - PERSISTENCE**2)], [1, -PERSISTENCE], noise, axis=0)
    if kind == "shifted" and current:
        noise[:, :SHIFTED] += SHIFT
    frame = pd.DataFrame(noise, columns=[f"x{column}" for column in range(COLUMNS)])
    if kind != "persistent":
        names = np.array(list("abcdef"))
        for column in frame.columns[-5:]:
            frame[column] = names[rng.choice(6, rows, p=[0.4, 0.25, 0.15, 0.1, 0.07, 0.03])]
    return frame


def ours(reference: pd.DataFrame, current: pd.DataFrame) -> tuple[str, ...]:
    """Columns that this project says have drifted."""
    return compare(reference, current).drifted


def by_test(reference: pd.DataFrame, current: pd.DataFrame) -> tuple[str, ...]:
    """Columns that the tests say have drifted which Evidently chooses for more than 1,000 rows."""
    from evidently.legacy.calculations import stattests
    from evidently.legacy.core import ColumnType

    flagged = []
    for name in reference.columns:
        words = reference[name].dtype == object
        test = stattests.jensenshannon_stat_test if words else stattests.wasserstein_stat_test
        kind = ColumnType.Categorical if words else ColumnType.Numerical
        if test(reference[name], current[name], kind, None).drifted:
            flagged.append(str(name))
    return tuple(flagged)


def preset(reference: pd.DataFrame, current: pd.DataFrame) -> tuple[str, ...]:
    """Columns that the whole `DataDriftPreset` says have drifted."""
    from evidently import Report
    from evidently.presets import DataDriftPreset

    run = Report([DataDriftPreset()], include_tests=True).run(current, reference)
    tests = json.loads(run.json())["tests"]
    word = "Value Drift for column "
    return tuple(one["name"].removeprefix(word) for one in tests if one["name"].startswith(word) and _failed(one))


def _failed(test: dict[str, Any]) -> bool:
    return str(test["status"]) in ("FAIL", "TestStatus.FAIL")


def part(hits: int, of: int) -> dict[str, Any]:
    """A part with its interval."""
    law = stats.binomtest(hits, of).proportion_ci(0.95, "exact")
    return {"part": hits / of, "ci95": [float(law.low), float(law.high)], "of": of}


def timed(judge: Callable[[pd.DataFrame, pd.DataFrame], Any], repeats: int) -> dict[str, Any]:
    """Seconds of a quiet table of 10,000 rows: medians of processor and of wall time."""
    processor, wall = [], []
    for number in range(repeats):
        pair = table(10_000, 10**6 + number, "quiet", False), table(10_000, 10**6 + number, "quiet", True)
        begun = time.process_time(), time.perf_counter()
        judge(*pair)
        processor.append(time.process_time() - begun[0])
        wall.append(time.perf_counter() - begun[1])
    return {"processor s": float(np.median(processor)), "wall s": float(np.median(wall)), "repeats": repeats}


def scenario(rows: int, kind: str, tables: int, theirs: bool) -> dict[str, Any]:
    """How often each of the two is right on tables of a kind."""
    judges = {"crossmix": ours} | ({"evidently": by_test} if theirs else {})
    truth = {f"x{column}" for column in range(SHIFTED)} if kind == "shifted" else set()
    counts = {name: {"columns": 0, "tables": 0, "exact": 0} for name in judges}
    insufficient = agreed = 0
    for seed in range(tables):
        pair = table(rows, seed, kind, False), table(rows, seed, kind, True)
        for name, judge in judges.items():
            if name == "crossmix":
                found = compare(*pair)
                insufficient += found.verdict == "insufficient data"
                flagged = set(found.drifted)
            else:
                flagged = set(judge(*pair))
                if seed < PRESETS:
                    agreed += set(preset(*pair)) == flagged
            counts[name]["columns"] += len(flagged - truth)
            counts[name]["tables"] += bool(flagged - truth)
            counts[name]["exact"] += flagged == truth
    answer: dict[str, Any] = {"rows": rows, "tables": tables, "insufficient data": part(insufficient, tables)}
    for name, count in counts.items():
        answer[name] = {
            "false columns": part(count["columns"], tables * (COLUMNS - len(truth))),
            "tables with a false column": part(count["tables"], tables),
        }
        if truth:
            answer[name]["exactly the shifted"] = part(count["exact"], tables)
    if theirs:
        answer["whole presets that decide as their test"] = f"{agreed} of {min(PRESETS, tables)}"
    return answer


def measure(tables: int, long: int) -> dict[str, Any]:
    """All of it."""
    begun = time.process_time()
    import evidently
    import evidently.presets

    start = time.process_time() - begun
    result: dict[str, Any] = {
        "benchmark": "monitor_table",
        "columns": COLUMNS,
        "evidently": evidently.__version__,
        "import of evidently, processor s": start,
        "bound s": BOUND,
        "seconds": {"crossmix": timed(ours, 7), "evidently": timed(preset, 3)},
    }
    for kind in ("quiet", "persistent", "shifted"):
        result[kind] = scenario(10_000, kind, tables, True)
    result["shifted, 1,000 rows"] = scenario(1_000, "shifted", tables, False)
    result["shifted, 100,000 rows"] = scenario(100_000, "shifted", long, False)
    result["within the bound"] = result["seconds"]["crossmix"]["processor s"] < BOUND
    return result


def shifted(tables: int, long: int) -> dict[str, Any]:
    """The shifted tables alone, by this project's judge."""
    result: dict[str, Any] = {
        "benchmark": "monitor_table",
        "columns": COLUMNS,
        "shifted columns": SHIFTED,
        "shift": SHIFT,
    }
    for rows, some in ((1_000, tables), (10_000, tables), (100_000, long)):
        result[f"shifted, {rows:,} rows"] = scenario(rows, "shifted", some, False)
    return result


def told(result: dict[str, Any]) -> str:
    """The result for people."""
    lines = []
    if seconds := result.get("seconds", {}):
        told = ", ".join(
            f"{name} {one['processor s']:.2f} s ({one['wall s']:.2f} s wall)" for name, one in seconds.items()
        )
        lines.append(
            f"a quiet table of 10,000 x {COLUMNS}: {told}; importing Evidently "
            f"{result['import of evidently, processor s']:.1f} s; bound {BOUND:g} s"
        )
    lines.append(
        f"{'tables':<24}{'':<12}{'false columns':>28}{'tables with one':>28}{'exactly the five':>28}{'no data':>10}"
    )
    for name, one in result.items():
        if not isinstance(one, dict) or "rows" not in one:
            continue
        for judge in ("crossmix", "evidently"):
            if judge in one:
                cells = [
                    _cell(one[judge].get(key))
                    for key in ("false columns", "tables with a false column", "exactly the shifted")
                ]
                short = f"{one['insufficient data']['part']:.1%}" if judge == "crossmix" else "-"
                lines.append(f"{name:<24}{judge:<12}" + "".join(f"{cell:>28}" for cell in cells) + f"{short:>10}")
    return "\n".join(lines)


def _cell(one: dict[str, Any] | None) -> str:
    return "-" if one is None else f"{one['part']:.2%} [{one['ci95'][0]:.2%}, {one['ci95'][1]:.2%}]"


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.monitor_table", description="Any table, watched.")
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")
    parser.add_argument("--tables", type=int, default=200, help="pairs of tables of each kind")
    parser.add_argument("--long", type=int, default=40, help="pairs of 100,000 rows")
    parser.add_argument("--short", action="store_true", help="4 pairs of each kind: a smoke run")
    parser.add_argument("--shifted", action="store_true", help="shifted tables alone, without Evidently")
    given = parser.parse_args()
    # Evidently tells its makers of its use unless this is set.
    os.environ.setdefault("DO_NOT_TRACK", "1")
    warnings.filterwarnings("ignore")
    before = os.getloadavg()
    sizes = (4, 1) if given.short else (given.tables, given.long)
    result = shifted(*sizes) if given.shifted else measure(*sizes)
    result["machine"] = machine(before)
    print(json.dumps(result, indent=1) if given.json else told(result))


if __name__ == "__main__":
    main()

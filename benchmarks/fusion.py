"""What the fusion costs: `python -m benchmarks.fusion [--json] [--short] [--rows 20000 100000] [--resume FILE]`.

Of made-up logs of 20,000, 100,000 and 300,000 impressions, and of 1,000,000 where there is a GPU, some rounds each:

| name       | what                                                                               |
|------------|------------------------------------------------------------------------------------|
| training   | one epoch over the training rows (two fifths of the log), and its check on 20,000   |
| prediction | all rows, with their campaigns' contexts                                             |

The module has the sizes of the config `laptop`. In place of the encoders' outputs stand random vectors of their widths,
and histories are drawn with the demo's mean length (`_made_histories`). Told are seconds and CPU seconds, the median of
the rounds, rows per second, a line through the medians, seconds = a + b rows, by least squares, and its residuals. What
the line says of more rows than were measured is told apart, as extrapolated. With `--resume` every round of every size
is kept in FILE as it is done, and `--rows` may be named one by one.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import tempfile
import time
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch

from benchmarks import _made_histories, _made_log
from benchmarks._machine import machine
from benchmarks._resumed import Resumed
from crossmix.config import laptop
from crossmix.fusion.learn import keep_no_kernels, train
from crossmix.fusion.predict import predict
from crossmix.fusion.table import read

ROWS, GPU_ROWS = [20_000, 100_000, 300_000], 1_000_000
SHORT = [2_000, 4_000, 6_000]
ROUNDS = 3
BEYOND = (1_000_000, 10_000_000, 100_000_000)
"""Rows of which the line is asked, where they were not measured."""
PARTS = ("training", "prediction")


def once(rows: int) -> dict[str, dict[str, float]]:
    """Train and predict a log of so many rows: of each, rows, seconds and CPU seconds."""
    config = laptop()
    settings = replace(config.fusion, epochs=1, train_rows=rows)
    with tempfile.TemporaryDirectory() as scratch:
        dataset = _made_log.write(Path(scratch) / "dataset", rows)
        _made_histories.write_histories(dataset)
        _made_histories.write_features(Path(scratch) / "features")
        table = read(dataset.path, Path(scratch) / "features", config.data.sequence_length)
    begun, used = time.perf_counter(), time.process_time()
    learned = train(settings, table)
    trained, trained_cpu = time.perf_counter(), time.process_time()
    predict(learned.module, table)
    done, done_cpu = time.perf_counter(), time.process_time()
    return {
        "training": {"rows": learned.distinct_rows, "seconds": trained - begun, "CPU seconds": trained_cpu - used},
        "prediction": {"rows": rows, "seconds": done - trained, "CPU seconds": done_cpu - trained_cpu},
    }


def line(rows: list[float], seconds: list[float]) -> dict[str, Any]:
    """seconds = a + b rows by least squares, and what is left of each."""
    design = np.stack([np.ones(len(rows)), np.asarray(rows)], axis=1)
    a, b = np.linalg.lstsq(design, np.asarray(seconds), rcond=None)[0]
    left = np.asarray(seconds) - design @ [a, b]
    return {"a": float(a), "b": float(b), "residuals": left.tolist()}


def summary(rounds: dict[int, list[dict[str, dict[str, float]]]]) -> dict[str, Any]:
    """By part: medians of each size, and, of two sizes or more, the lines through them and what they say beyond."""
    found: dict[str, Any] = {}
    for part in PARTS:
        sizes = []
        for rows, runs in sorted(rounds.items()):
            row: dict[str, Any] = {"log rows": rows, "rows": runs[0][part]["rows"], "rounds": len(runs)}
            row |= {name: statistics.median(run[part][name] for run in runs) for name in ("seconds", "CPU seconds")}
            sizes.append(row | {"rows per second": row["rows"] / row["seconds"]})
        found[part] = {"sizes": sizes}
        if len(sizes) > 1:
            x = [row["rows"] for row in sizes]
            lines = {name: line(x, [row[name] for row in sizes]) for name in ("seconds", "CPU seconds")}
            told = {name: {k: one["a"] + one["b"] * k for k in BEYOND if k > max(x)} for name, one in lines.items()}
            found[part] |= {"line": lines, "extrapolated": told}
    return found


def measure(sizes: list[int], rounds: int, kept: Path | None) -> dict[str, Any]:
    """Everything, as plain data; sizes that `kept` holds from earlier runs are told with the others."""
    keep_no_kernels()
    before = os.getloadavg()
    device = torch.cuda.get_device_name() if torch.cuda.is_available() else "CPU"
    of = {"device": device, "threads": torch.get_num_threads(), "fusion": repr(laptop().fusion), "log": _made_log.SEED}
    resumed = Resumed(kept, of)
    parts = {f"{rows} rows, round {number}": rows for number in range(rounds) for rows in sizes}
    if not parts.keys() <= resumed.parts.keys():
        once(SHORT[0])  # a process's first products take longer
    for name, rows in parts.items():
        resumed.part(name, partial(once, rows))
    by_size: dict[int, list[dict[str, dict[str, float]]]] = {}
    for name, part in resumed.parts.items():
        by_size.setdefault(int(name.split()[0]), []).append(part)
    return {
        "benchmark": "fusion",
        "vectors": "random, in place of the encoders' outputs",
        "device": device,
        "threads": torch.get_num_threads(),
        **summary(by_size),
        "machine": machine(before),
    }


def table(result: dict[str, Any]) -> str:
    """The result for people."""
    lines = [f"{result['device']}, {result['threads']} threads; vectors are {result['vectors']}"]
    for part in PARTS:
        told = result[part]
        lines += [
            "",
            f"{part:<12}{'rows':>12}{'seconds':>10}{'CPU s':>10}{'rows/s':>10}{'rounds':>8}{'residual s':>12}",
        ]
        left = told["line"]["seconds"]["residuals"] if "line" in told else [None] * len(told["sizes"])
        for row, residual in zip(told["sizes"], left, strict=True):
            lines.append(
                f"{'':<12}{row['rows']:>12,}{row['seconds']:>10.1f}{row['CPU seconds']:>10.1f}"
                f"{row['rows per second']:>10,.0f}{row['rounds']:>8}"
                + ("" if residual is None else f"{residual:>12.2f}")
            )
        if "line" in told:
            fitted = told["line"]["seconds"]
            lines.append(f"{'':<12}seconds = {fitted['a']:.2f} + {fitted['b'] * 1e6:.1f} per million rows")
            for rows, seconds in told["extrapolated"]["seconds"].items():
                lines.append(f"{'':<12}{rows:>12,}{seconds:>10.0f}  extrapolated")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.fusion", description="What the fusion costs.")
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")
    parser.add_argument("--short", action="store_true", help="few rows, one round: a smoke run")
    parser.add_argument("--rows", type=int, nargs="+", help="sizes of the logs")
    parser.add_argument("--rounds", type=int, default=ROUNDS, help="of each size")
    parser.add_argument("--resume", type=Path, help="file that keeps every round, and is gone on from")
    given = parser.parse_args()
    usual = [*ROWS, GPU_ROWS] if torch.cuda.is_available() else ROWS
    sizes, rounds = (SHORT, 1) if given.short else (given.rows or usual, given.rounds)
    result = measure(sizes, rounds, given.resume)
    print(json.dumps(result, indent=1) if given.json else table(result))


if __name__ == "__main__":
    main()

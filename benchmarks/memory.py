"""Memory of the steps that read every impression: `python -m benchmarks.memory [--rows 1 5] [--json] [--short]
[--resume FILE]`.

| case        | what runs                                                                                         |
|-------------|---------------------------------------------------------------------------------------------------|
| features    | `feature_repo.features.build`, the encoders' vectors random                                       |
| fusion      | `crossmix.fusion.fit.fit` after one epoch of few rows, on random vectors: it predicts all         |
| fusion-some | the same, 60 batches predicted, random numbers for the rest: the memory of `fusion`, not its time |
| market      | `crossmix.market.fit.fit.fit`: the market fitted from the log and the fusion's predictions        |
| align       | `crossmix.training.align.transitions`: what the align step reads of the log                       |
| gate        | what the gate step reads of the log: `fidelity` against the fitted market, and `shift`            |

The dataset of N million impressions is made up (`benchmarks/_made_log.py`): no source, no encoder; what the market and
what follows read of the fusion is random numbers. Each case runs in a process of its own, twice on 20,000 rows, so that
imports and what libraries allocate once are there, then on N million. Told are resident memory after the first run
(MiB), at most during the second and at most during the third (Linux's VmHWM, cleared between), and processor seconds of
the third; and in MB per million rows by how much the third's most is above what was there after the first, and above
the second's most: the latter leaves out what a run of 20,000 rows takes too and gives back, such as a batch of
training. Growth is a line through the sizes over what was there after the first run, by least squares: a fixed part and
MB for each million rows. `--code` runs the cases on another checkout of the project too, on the same data. `--resume`
keeps every case in a file as it is done, and goes on from there.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks import _made_histories, _made_log
from benchmarks._look import _largest
from benchmarks._machine import machine
from crossmix.config import laptop
from crossmix.schema import Dataset
from pipelines.environment import SUMS

GOAL = 107.4
"""MB per million impressions: 0.1 GiB."""
FIRST = 20_000
"""Rows of the two runs that come first."""
MILLION = 1_000_000
OVER_FEW = "MB per million rows, over few's largest"
SOME = 30
"""Batches at either end that `fusion-some` predicts."""
TRAINED = 5_000
"""Rows that the fusion trains on: its memory is the table's, its time the training's."""
ROOT = Path(__file__).resolve().parent.parent


def market(folder: Path, out: Path) -> None:
    """The market step."""
    from crossmix.market.fit.fit import fit

    fit(laptop(), folder / "dataset", folder / "fusion", out)


def align(folder: Path, out: Path) -> None:
    """What the align step reads; nothing is written to `out`."""
    from crossmix.market.model import load
    from crossmix.training.align import transitions

    transitions(Dataset(folder / "dataset"), laptop(), load(folder / "market"))


def gate(folder: Path, out: Path) -> None:
    """What the gate step reads, and its figures."""
    from crossmix.evaluate.fidelity.impressions import fidelity
    from crossmix.evaluate.fidelity.period_shift import shift
    from crossmix.market.fit.log import read
    from crossmix.market.model import load

    data = Dataset(folder / "dataset")
    log = read(data)
    planned, _, _ = log.planned(data)
    compared = fidelity(load(folder / "market"), log, planned, folder / "fusion").plain()
    moved = shift(log, planned, folder / "fusion").plain()
    (out / "fidelity.json").write_text(json.dumps({"fidelity": compared, "shift": moved}))


def features(folder: Path, out: Path) -> None:
    """The features step, its encoders' vectors random."""
    from feature_repo.features import build

    def encode(*_: Any) -> tuple[Any, Any]:
        return _made_histories.vectors(), _made_histories.encoders()

    build(laptop(), folder / "dataset", out, encode=encode)


def fusion(folder: Path, out: Path) -> None:
    """The fusion step after one epoch of `TRAINED` rows, on random vectors; it predicts every impression."""
    from crossmix.fusion.fit import fit

    config = laptop()
    few = replace(config.fusion, epochs=1, train_rows=TRAINED)
    fit(replace(config, fusion=few), folder / "dataset", folder / "features", out)


def fusion_some(folder: Path, out: Path) -> None:
    """As `fusion`, but few batches go through the network, the shortest histories and the longest; all other logits are
    random numbers. Every array is as long as there, so that memory is the same; seconds are not."""
    from unittest.mock import patch

    import tqdm

    from crossmix.fusion import fit as module

    bar, predict = tqdm.tqdm, module.predict

    def ends(steps: Any, **how: Any) -> Any:
        return bar([*steps[:SOME], *steps[-SOME:]] if len(steps) > 2 * SOME else steps, **how)

    def some(network: Any, rows: Any) -> Any:
        with patch.object(tqdm, "tqdm", ends):
            predicted = predict(network, rows)
        rng = np.random.default_rng(0)
        for logits in (predicted.click, predicted.conversion):
            for start in range(0, len(logits), 65_536):
                part = logits[start : start + 65_536]
                part[:] = rng.standard_normal(len(part), dtype=np.float32) - 3
        return predicted

    with patch.object(module, "predict", some):
        fusion(folder, out)


CASES: dict[str, Callable[[Path, Path], None]] = {
    "features": features,
    "fusion": fusion,
    "fusion-some": fusion_some,
    "market": market,
    "align": align,
    "gate": gate,
}
"""Name to what runs: it reads dataset/, features/, fusion/ and market/ of a folder, and writes to an empty one."""

USUAL = [name for name in CASES if name != "fusion-some"]


def made(folder: Path, rows: int, fitted: Path | None = None) -> None:
    """dataset/, features/, fusion/ and market/ of `rows` impressions.

    Args:
        fitted: a market to copy; `None`: one is fitted.
    """
    dataset = _made_log.write(folder / "dataset", rows)
    _made_histories.write_histories(dataset)
    _made_histories.write_features(folder / "features")
    _made_log.write_fusion(dataset, folder / "fusion")
    if fitted is not None:
        shutil.copytree(fitted, folder / "market")
        return
    (folder / "market").mkdir()
    market(folder, folder / "market")


def alone(case: str, few: Path, many: Path, out: Path) -> dict[str, Any]:
    """Run a case on few rows, twice, and on many, in this process; outputs go to `out`/few, /again and /many."""
    for name in ("few", "again", "many"):
        (out / name).mkdir(parents=True)
    CASES[case](few, out / "few")
    before = _resident()
    Path("/proc/self/clear_refs").write_text("5")
    CASES[case](few, out / "again")
    again, began = _largest(), time.process_time()
    Path("/proc/self/clear_refs").write_text("5")
    CASES[case](many, out / "many")
    most = {"before MiB": before, "few, largest MiB": again, "largest MiB": _largest()}
    return {**most, "cpu s": time.process_time() - began}


def _resident() -> float:
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmRSS:")) / 1024


def measure(
    millions: list[float],
    cases: list[str],
    codes: dict[str, Path],
    few: int = FIRST,
    kept: Path | None = None,
    file: Path | None = None,
) -> dict[str, Any]:
    """Every case on every number of rows.

    Args:
        millions: numbers of rows, in millions.
        codes: name to a checkout whose `crossmix` the cases run on, one after the other on the same data.
        few: rows of the run that comes first.
        kept: folder that data and outputs stay in; `None`: they go.
        file: where every case is kept as it is done, and taken from; `None`: nowhere.
    """
    from benchmarks._resumed import Resumed  # which imports torch: no case shall have it from here

    load, resumed = os.getloadavg(), Resumed(file, {"first run, rows": few})
    found: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory() as scratch:
        folder = kept or Path(scratch)
        if not (folder / str(few)).exists():
            made(folder / str(few), few)
        for million in millions:
            rows = int(million * MILLION)
            wanted = [(f"{case}, {rows} rows, {name}", case, name) for case in cases for name in codes]
            if not all(part in resumed.parts for part, _, _ in wanted) and not (folder / str(rows)).exists():
                made(folder / str(rows), rows, folder / str(few) / "market")
            for part, case, name in wanted:
                out = folder / "out" / name / case / str(rows)
                folders = folder / str(few), folder / str(rows), out
                one = resumed.part(part, partial(_in_a_process, case, codes[name], *folders))
                found.append({"case": case, "rows": rows, "code": name, **one, **_per_million(one, rows)})
    return {
        "benchmark": "memory",
        "goal, MB per million rows": GOAL,
        "first run, rows": few,
        "log": f"made up: {len(_made_log.CAMPAIGNS)} campaigns, {len(_made_log.PLATFORMS)} platforms, "
        f"{_made_log.ROWS_PER_USER} impressions per user, random predictions",
        "cases": found,
        "growth": growth(found),
        "machine": machine(load),
    }


def _per_million(one: dict[str, Any], rows: int) -> dict[str, float]:
    over = {"MB per million rows": "before MiB", OVER_FEW: "few, largest MiB"}
    return {name: (one["largest MiB"] - one[below]) * 2**20 / rows for name, below in over.items()}


def _in_a_process(case: str, code: Path, few: Path, many: Path, out: Path) -> dict[str, Any]:
    if out.exists():  # of a run that was cut off
        shutil.rmtree(out)
    # The benchmark is this checkout's, the rest the other's.
    start = f"import sys, benchmarks; sys.path.insert(0, {str(code)!r}); from benchmarks.memory import main; main()"
    command = [sys.executable, "-P", "-c", start, "--alone", case, str(few), str(many), str(out)]
    # One thread each, as a pipeline's steps have.
    environment = os.environ | SUMS | {"PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, check=True)
    result: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return result


def growth(found: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Of each case and code the line MB = fixed + slope x million rows through its sizes, by least squares, and what is
    left of each size; none of one size."""
    by_case: dict[tuple[str, str], list[dict[str, Any]]] = {}
    for one in found:
        by_case.setdefault((one["case"], one["code"]), []).append(one)
    told = []
    for (case, code), runs in by_case.items():
        millions = np.array([run["rows"] / MILLION for run in runs])
        if len(set(millions)) < 2:
            continue
        grown = np.array([run["MB per million rows"] for run in runs]) * millions
        design = np.stack([np.ones(len(millions)), millions], axis=1)
        fixed, slope = np.linalg.lstsq(design, grown, rcond=None)[0]
        line = {"fixed MB": float(fixed), "MB per million rows more": float(slope)}
        told.append({"case": case, "code": code, **line, "residual MB": (grown - design @ [fixed, slope]).tolist()})
    return told


def table(result: dict[str, Any]) -> str:
    """For people."""
    lines = [f"{result['log']}; goal {result['goal, MB per million rows']:.0f} MB per million rows"]
    lines += [
        f"{one['case']:<10}{one['code']:<8}{one['rows']:>12,} rows{one['MB per million rows']:>8.0f} MB per million, "
        f"{one[OVER_FEW]:.0f} over few's largest, {one['before MiB']:.0f}, {one['few, largest MiB']:.0f} and "
        f"{one['largest MiB']:.0f} MiB, {one['cpu s']:.0f} CPU s"
        for one in result["cases"]
    ]
    lines += [
        f"{one['case']:<10}{one['code']:<8}{one['fixed MB']:>6.0f} MB + {one['MB per million rows more']:.0f} a million"
        for one in result["growth"]
    ]
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.memory", description="Memory per million impressions.")
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")
    parser.add_argument("--rows", type=float, nargs="+", default=[1, 5], help="millions of rows")
    parser.add_argument("--cases", nargs="+", default=USUAL, choices=list(CASES), help="which")
    parser.add_argument("--code", type=Path, help="another checkout, told beside this one")
    parser.add_argument("--keep", type=Path, help="folder that data and outputs stay in, and are taken from")
    parser.add_argument("--resume", type=Path, help="file that keeps every case, and is gone on from")
    parser.add_argument("--short", action="store_true", help="5,000 rows after 2,000: a smoke run")
    parser.add_argument("--alone", nargs=4, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.alone:
        case, few, many, out = given.alone
        print(json.dumps(alone(case, Path(few), Path(many), Path(out))))
        return
    codes = ({"other": given.code.resolve()} if given.code else {}) | {"this": ROOT}
    sizes, few = ([0.005], 2_000) if given.short else (given.rows, FIRST)
    result = measure(sizes, given.cases, codes, few, given.keep, given.resume)
    print(json.dumps(result, indent=1) if given.json else table(result))


if __name__ == "__main__":
    main()

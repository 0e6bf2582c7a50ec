"""What a look at 1,000,000 rows of feedback costs: `python -m benchmarks.monitor_rows [--json] [--run OUT] [--short]`.

A ledger (SQLite) holds 40 finished days of 1,250 campaigns on the ten platforms of a run's market in both arms, a row
of `totals` each, drawn by the market itself. Processes of their own look at it, as `crossmix monitor` does:

| look   | what                                                                                                |
|--------|-----------------------------------------------------------------------------------------------------|
| first  | nothing is kept: the ledger is read and the levels' filter follows all campaigns from their first day |
| daily  | a day later: the cycles since, from what the first kept; the median of some looks                   |

Told are processor seconds and the process's largest resident memory (Linux's `VmHWM`), what it has after its imports
beside it. Thresholds are those of the run's bundle, or, where it has none, found first. Of the monitors it is
`residuals`, which follows everything; the others read the newest cycles.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import sqlite3
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import torch

from benchmarks._machine import machine
from benchmarks.allocation import finished
from crossmix import bundle as bundles
from crossmix.clock import MemoryClock
from crossmix.config import Config
from crossmix.evaluate.watch.expectation import Expectation
from crossmix.evaluate.watch.flights import fly, static
from crossmix.evaluate.watch.quiet import calibrate
from crossmix.feedback import Feedback
from crossmix.ledger.store import Store
from crossmix.market.level_evidence import Usual
from crossmix.market.model import Market, load
from crossmix.metrics import ARMS
from serving.campaigns import service

CAMPAIGNS, DAYS = 1_250, 40
SECONDS, MEMORY, DAILY = 10.0, 512.0, 0.5
"""Processor seconds and MiB of the first look, processor seconds of a daily one, at most."""
TIMES = 7
"""Daily looks, each at the ledger as the first left it; the one in the middle is told."""
SEED = 8_400_000
STARTS = datetime(2026, 1, 5, tzinfo=UTC)
_STATE = ("campaign_id", "arm", "number", "received", "cycle")
COLUMNS = ("requests", "won", "impressions", "clicks", "conversions", "revenue", "spend")


def measure(
    config: Config, market: Market, bundle: Path, campaigns: int, days: int, built: Path | None = None
) -> dict[str, Any]:
    """Build the ledger, look twice, each in a process of its own.

    Args:
        built: folder of a ledger that an earlier run built, of as many rows; `None`: it is built.
    """
    before = os.getloadavg()
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch, "ledger")
        folder.mkdir()
        (folder / "watch.npz").write_bytes(expectation(config, market, bundle, campaigns).as_bytes())
        if built is None:
            build(config, market, folder / "serving.db", campaigns, days)
        else:
            shutil.copy(built / "serving.db", folder)
        rows = _rows(folder / "serving.db", days)
        first = _look(folder, days)
        daily = _median([_look(copy, days + 1) for copy in _copies(folder)])
    return {
        "benchmark": "monitor_rows",
        "rows": rows,
        "campaigns": campaigns,
        "platforms": len(market.platforms),
        "days": days,
        "first": first,
        "daily": daily,
        "wanted": {
            "first, processor s": {"at most": SECONDS, "met": first["processor s"] <= SECONDS},
            "first, MiB": {"at most": MEMORY, "met": first["largest MiB"] <= MEMORY},
            "daily, processor s": {"at most": DAILY, "met": daily["processor s"] <= DAILY},
        },
        "machine": machine(before),
    }


def expectation(config: Config, market: Market, bundle: Path, campaigns: int) -> Expectation:
    """What is expected of so many campaigns, which are the market's in turn; the thresholds are its own."""
    data, _ = bundles.watch_of(bundle)
    if data is None:
        found = calibrate(config, market, static)
        own = Expectation.of(market, config.levels, config.thresholds.budget, found)
    else:
        own = Expectation.from_bytes(data)
    rows = torch.arange(campaigns) % len(market.campaigns)
    return replace(own, campaigns=names(campaigns), usual=Usual.of(market, rows))


def names(campaigns: int) -> tuple[str, ...]:
    return tuple(f"campaign {number:05d}" for number in range(campaigns))


def _rows(file: Path, days: int) -> int:
    with closing(sqlite3.connect(file)) as connection:
        return int(connection.execute("SELECT COUNT(*) FROM totals WHERE cycle < ?", (days,)).fetchone()[0])


def build(config: Config, market: Market, file: Path, campaigns: int, days: int) -> None:
    """A ledger with so many finished days and one more."""
    store = Store(f"sqlite:///{file}", MemoryClock(STARTS))
    share = dict(zip(market.platforms, market.static.mean(0).tolist(), strict=True))
    whole = sum(share.values())
    share = {name: part / whole for name, part in share.items()}
    plan = {"currency": "EUR", "cycle_budget": 1_000, "share": share, "starts": STARTS.isoformat()}
    given = [{"campaign_id": name, "cycles": days + 2, "cycle_hours": 24, **plan} for name in names(campaigns)]
    service.import_(store, given, "benchmark", market.platforms)
    store.close()
    flights = -(-campaigns // len(market.campaigns))
    arms = [(static, 1 / len(ARMS))] * len(ARMS)
    told = fly(config, market, arms, flights=flights, cycles=days + 1, seed=SEED)
    columns = ("campaign_id", "arm", "cycle", "platform", "known", *COLUMNS, "events", "complete", "received")
    marks = ", ".join("?" * len(columns))
    with sqlite3.connect(file) as connection:
        for arm, feedback in zip(ARMS, told, strict=True):
            for day in range(days + 1):
                some = _inserted(feedback, arm, day, names(campaigns))
                connection.executemany(f"INSERT INTO totals ({', '.join(columns)}) VALUES ({marks})", some)
        for arm in ARMS:
            state = [(name, arm, days + 1, _received(days), days) for name in names(campaigns)]
            connection.executemany(f"INSERT INTO feedback_state ({', '.join(_STATE)}) VALUES (?, ?, ?, ?, ?)", state)
    connection.close()


def _inserted(feedback: Feedback, arm: str, day: int, campaigns: tuple[str, ...]) -> list[tuple[Any, ...]]:
    amounts = [getattr(feedback, f"{name if name != 'won' else 'impressions'}_TCP")[day].tolist() for name in COLUMNS]
    return [
        (name, arm, day, platform, day, *(table[c][p] for table in amounts), 1, 0, _received(day))
        for c, name in enumerate(campaigns)
        for p, platform in enumerate(feedback.platforms)
    ]


def _received(day: int) -> str:
    """An hour before the day ends, as the database keeps it: what comes at its very end is of the next."""
    return (STARTS + timedelta(days=day + 1, hours=-1)).replace(tzinfo=None).isoformat(" ", "microseconds")


def _copies(folder: Path) -> Iterator[Path]:
    """The same ledger and bundle again and again, one at a time."""
    for number in range(TIMES):
        copy = Path(shutil.copytree(folder, folder.with_name(f"{folder.name}-{number}")))
        yield copy
        shutil.rmtree(copy)


def _median(looks: list[dict[str, Any]]) -> dict[str, Any]:
    """The look in the middle by its processor seconds, and those of all."""
    looks = sorted(looks, key=lambda one: float(one["processor s"]))
    return {**looks[len(looks) // 2], "processor s of each": [one["processor s"] for one in looks]}


def _look(folder: Path, days: int) -> dict[str, Any]:
    moment = STARTS + timedelta(days=days, hours=1)
    command = [sys.executable, "-m", "benchmarks._look", str(folder), moment.isoformat()]
    return dict(json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout))


def table(result: dict[str, Any]) -> str:
    """For people."""
    lines = [f"{result['rows']:,} rows: {result['campaigns']:,} campaigns, {result['days']} days"]
    lines += [
        f"{name:<8}{one['processor s']:>8.2f} CPU s{one['largest MiB']:>8.0f} MiB at most, "
        f"{one['after imports MiB']:.0f} after imports; {one['cycles']} cycles"
        for name, one in ((name, result[name]) for name in ("first", "daily"))
    ]
    missed = [name for name, one in result["wanted"].items() if not one["met"]]
    return "\n".join([*lines, f"missed: {', '.join(missed)}" if missed else "all within the bounds"])


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.monitor_rows", description="A look at many rows.")
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")
    parser.add_argument("--run", type=Path, help="folder of a finished run; without it one is made")
    parser.add_argument("--source", default="demo", help="where the log of a new run comes from")
    parser.add_argument("--data", help="its file")
    parser.add_argument("--built", type=Path, help="folder of a ledger, serving.db, that `build` wrote")
    parser.add_argument("--short", action="store_true", help="6 campaigns, 5 days: a smoke run")
    given = parser.parse_args()
    config, folder, _ = finished(given.run, given.source, given.data)
    sizes = (6, 5) if given.short else (CAMPAIGNS, DAYS)
    result = measure(config, load(folder), folder.parents[2] / "bundle", *sizes, given.built)
    print(json.dumps(result, indent=1) if given.json else table(result))


if __name__ == "__main__":
    main()

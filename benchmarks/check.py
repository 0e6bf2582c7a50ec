"""What `crossmix check` costs: `python -m benchmarks.check [--rounds N] [--json]`.

Histories of a row per day, platform and campaign are checked by a process of its own each time, as a user does, beside
the least that any reader in Python needs: a process that imports pandas and reads the same file. Both take turns, so
that what else the machine does falls on both alike. Told are seconds of the clock and of the processor, least and
middle of all rounds, and how many times the least reader's seconds a check takes.

**Generated data**: accounts whose spend wanders by a third, with conversions in counts.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from benchmarks._machine import machine

CASES = {"360 rows": (1, 90, 2.0), "100,800 rows": (400, 63, 5.0)}
"""Campaigns, days, and seconds of the clock that a check may take."""
PLATFORMS = ("search", "social_feed", "short_video", "shopping")
LEAST = "import sys, pandas; pandas.read_csv(sys.argv[1])"
ROUNDS = 5


def history(campaigns: int, days: int, seed: int = 7) -> pd.DataFrame:
    """date, platform, campaign, spend, impressions, clicks, conversions, revenue; a row each day."""
    rng = np.random.default_rng(seed)
    shape = (days, campaigns, len(PLATFORMS))
    level = np.exp(0.5 * rng.standard_normal(shape[1:]))
    spend = (200 * level * np.exp(0.33 * rng.standard_normal(shape))).round(2)
    impressions = (160 * spend * np.exp(0.1 * rng.standard_normal(shape))).round().astype(int)
    clicks = rng.binomial(impressions, 0.014)
    conversions = rng.binomial(clicks, 0.03)
    revenue = np.where(conversions > 0, rng.gamma(np.maximum(3 * conversions, 1)) * 20, 0.0).round(2)
    day, campaign, platform = (axis.ravel() for axis in np.indices(shape))
    dates = pd.date_range("2025-01-06", periods=days).strftime("%Y-%m-%d").to_numpy()
    return pd.DataFrame(
        {
            "date": dates[day],
            "platform": np.array(PLATFORMS)[platform],
            "campaign": [f"campaign {number:03d}" for number in campaign],
            "spend": spend.ravel(),
            "impressions": impressions.ravel(),
            "clicks": clicks.ravel(),
            "conversions": conversions.ravel(),
            "revenue": revenue.ravel(),
        }
    )


def timed(command: list[str]) -> tuple[float, float]:
    """Seconds of the clock and of the processor of a process and those that it starts; its modules are kept compiled.

    Raises:
        CalledProcessError: it did not end with status 0.
    """
    before, began = resource.getrusage(resource.RUSAGE_CHILDREN), time.monotonic()
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, env=environment)
    clock, after = time.monotonic() - began, resource.getrusage(resource.RUSAGE_CHILDREN)
    return clock, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def measure(rounds: int = ROUNDS) -> dict[str, Any]:
    """Every case, both ways in turn; the first round of each compiles and fills caches, and does not count."""
    before = os.getloadavg()
    result: dict[str, Any] = {"benchmark": "check", "rounds": rounds, "cases": {}}
    with tempfile.TemporaryDirectory() as scratch:
        for name, (campaigns, days, wanted) in CASES.items():
            file, picture = Path(scratch) / "history.csv", Path(scratch) / "history.svg"
            history(campaigns, days).to_csv(file, index=False)
            ways = {
                "check": [sys.executable, "-m", "pipelines.cli.main", "check", str(file), "--picture", str(picture)],
                "least": [sys.executable, "-c", LEAST, str(file)],
            }
            taken: dict[str, list[tuple[float, float]]] = {way: [] for way in ways}
            for _ in range(rounds + 1):
                for way, command in ways.items():
                    taken[way].append(timed(command))
            result["cases"][name] = of_case({way: one[1:] for way, one in taken.items()}, wanted)
    return result | {"machine": machine(before)}


def of_case(taken: dict[str, list[tuple[float, float]]], wanted: float) -> dict[str, Any]:
    """What rounds of clock and processor seconds come to."""
    told: dict[str, Any] = {}
    for way, rounds in taken.items():
        for what, values in zip(("clock s", "cpu s"), zip(*rounds, strict=True), strict=True):
            told.setdefault(way, {})[what] = {"least": min(values), "middle": statistics.median(values)}
    ratio = told["check"]["cpu s"]["middle"] / told["least"]["cpu s"]["middle"]
    clock = told["check"]["clock s"]["middle"]
    return told | {"times the least, cpu": ratio, "wanted, clock s": wanted, "met": clock <= wanted}


def table(result: dict[str, Any]) -> str:
    """The result for people."""
    lines = [
        f"crossmix check, whole processes, middle of {result['rounds']} rounds (least); GENERATED DATA",
        "",
        f"{'':<14}{'clock s':>16}{'wanted':>8}{'CPU s':>16}{'CPU s of pandas alone':>24}{'times':>8}",
    ]
    for name, row in result["cases"].items():
        clock, cpu, least = (
            f"{one['middle']:.2f} ({one['least']:.2f})"
            for one in (row["check"]["clock s"], row["check"]["cpu s"], row["least"]["cpu s"])
        )
        missed = "" if row["met"] else "  missed"
        times = row["times the least, cpu"]
        lines.append(f"{name:<14}{clock:>16}{row['wanted, clock s']:>8.0f}{cpu:>16}{least:>24}{times:>8.1f}{missed}")
    load = ", ".join(f"{one:.1f}" for one in result["machine"]["load average before"])
    return "\n".join([*lines, "", f"{result['machine']['processor']}, load before {load}"])


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.check", description="What `crossmix check` costs.")
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")
    parser.add_argument("--rounds", type=int, default=ROUNDS, help=f"that count, of each ({ROUNDS})")
    given = parser.parse_args()
    result = measure(given.rounds)
    print(json.dumps(result, indent=1) if given.json else table(result))


if __name__ == "__main__":
    main()

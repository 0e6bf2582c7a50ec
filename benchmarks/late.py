"""What the monitor makes of accounts whose conversions come late: `python -m benchmarks.late [--json] [--seeds 0-5]`.

Accounts are those of kind `lagged` (`benchmarks._field_worlds`): conversions come 3 to 10 days after their click, on
average. A market is fitted to 182 days of each; thresholds of the monitor are found on quiet flights of that market.
The 90 days after are then looked at as a served account is:

| days     | told                                                                               |
|----------|------------------------------------------------------------------------------------|
| as ever  | alerts, all of them false                                                          |
| x1.5     | all spend is half as much again from day 30 on, and nothing else moves: false too  |
| x0.6     | 40 % less                                                                          |

and, of the week from day 30 on, the conversions that came over those that the market expects of these clicks and of
those before. A market that expects the same day's conversions has too few of the week after a rise and too many after
a fall. Clicks until spend moves are those of the history's own account, and so is the law of its delays; what is due of
these clicks is drawn anew.

Shapes: T days, C campaigns, P platforms.
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from benchmarks._field_answers import fitted_market
from benchmarks._field_kinds import KINDS
from benchmarks._field_worlds import World, world
from benchmarks._machine import machine
from benchmarks.allocation import seeds
from benchmarks.monitor import rate
from crossmix.config import Config, load
from crossmix.evaluate.watch import flights
from crossmix.evaluate.watch.quiet import Calibrated, calibrate
from crossmix.evaluate.watch.statistic import Track, look, sums
from crossmix.feedback import Feedback
from crossmix.market.level_evidence import QUANTITIES, Usual
from crossmix.market.levels import walk
from crossmix.market.model import Market

KIND = "lagged"
SEEDS = range(40110, 40126)
HISTORY, WATCHED, BEFORE, AFTER = 182, 90, 30, 7
"""Days: that are fitted, that are looked at, of them before spend moves, and those whose conversions are counted."""
MOVES = {"as ever": 1.0, "x1.5": 1.5, "x0.6": 0.6}
FLIGHTS = 20
"""Quiet flights that thresholds are found on."""


def account(seed: int, times: float) -> World:
    """The account; its spend is so many times as large from day `BEFORE` after the history on."""
    return world(KIND, seed, replace(KINDS[KIND], days=HISTORY + WATCHED, budgets=(HISTORY + BEFORE, times)))


def feedback(market: Market, one: World) -> Feedback:
    """The days after the history, as the account's platforms report them."""
    dates = sorted(one.frame["date"].unique())
    days = one.frame[one.frame["date"] > dates[HISTORY - 1]]
    amounts: dict[str, Any] = {}
    for name in ("spend", "impressions", "clicks", "conversions", "revenue"):
        by_day = days.pivot(index="date", columns="platform", values=name)
        amounts[f"{name}_TCP"] = by_day[list(market.platforms)].to_numpy(float)[:, None]
    spend_TCP = amounts["spend_TCP"]
    day_T = np.arange(len(spend_TCP))
    return Feedback(
        campaigns=market.campaigns,
        platforms=market.platforms,
        cycle_TC=day_T[:, None],
        weekday_TC=((HISTORY + day_T) % 7)[:, None],  # the first of a history is a Monday
        part_TC=np.ones((len(day_T), 1)),
        told_TCP=spend_TCP,
        requests_TCP=np.full_like(spend_TCP, np.nan),
        **amounts,
    )


def watched(config: Config, market: Market, calibrated: Calibrated, days: Feedback) -> dict[str, Any]:
    """Alerts of these days, and what came in the week after spend moved over what is expected of it."""
    residuals = walk(Usual.of(market), config.levels, days).residuals
    thresholds = calibrated.thresholds
    looked = look(sums(residuals, 1), thresholds, Track.begin(thresholds, 1, len(market.platforms)))[0]
    week, q = slice(BEFORE, BEFORE + AFTER), QUANTITIES.index("cvr")
    came, expected = (table[week, ..., q].sum() for table in (residuals.observed_TCPQ, residuals.expected_TCPQ))
    return {"alerts": int(looked.alarms.any((2, 3)).sum()), "came over expected": float(came / expected)}


def measure(seed: int) -> dict[str, Any]:
    """All of one account."""
    began = time.process_time()
    with tempfile.TemporaryDirectory(prefix="crossmix-late-") as place:
        folder = Path(place)
        history = account(seed, 1.0).frame
        history = history[history["date"] <= sorted(history["date"].unique())[HISTORY - 1]]
        history.to_csv(folder / "history.csv", index=False)
        told = ["data.source=spend", f"data.path={folder / 'history.csv'}", f"thresholds.flights={FLIGHTS}"]
        config = load("laptop", told)
        for part in ("dataset", "market"):
            (folder / part).mkdir()
        market = fitted_market(config, folder / "dataset", folder / "market")
    calibrated = calibrate(config, market, flights.static)
    late_DP = market.delay[0].double().T * torch.arange(market.delay.shape[2])[:, None]
    return {
        "seed": seed,
        "mean delay found": dict(zip(market.platforms, late_DP.sum(0).tolist(), strict=True)),
        **{
            name: watched(config, market, calibrated, feedback(market, account(seed, times)))
            for name, times in MOVES.items()
        },
        "cpu seconds": time.process_time() - began,
    }


def summary(accounts: list[dict[str, Any]]) -> dict[str, Any]:
    """Alerts of all accounts, and the mean over them of what came."""
    return {
        name: rate(sum(one[name]["alerts"] for one in accounts), WATCHED * len(accounts))
        | {"came over expected": float(np.mean([one[name]["came over expected"] for one in accounts]))}
        for name in MOVES
    }


def table(result: dict[str, Any]) -> str:
    """For people."""
    lines = [f"{'':<10}{'alerts per 30 days':<30}conversions of the week, came over expected"]
    for name, one in result["days"].items():
        low, high = one["ci95"]
        lines.append(
            f"{name:<10}{one['per 30 days']:<6.2f}{f'[{low:.2f}, {high:.2f}]':<24}{one['came over expected']:.3f}"
        )
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.late", description="Alarms of late conversions.")
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")
    parser.add_argument("--seeds", type=seeds, default=SEEDS, help="of accounts, as 40110-40125")
    given = parser.parse_args()
    before = os.getloadavg()
    torch.set_num_threads(1)
    accounts = [measure(seed) for seed in given.seeds]
    result = {
        "benchmark": "late",
        "kind": KIND,
        "budget per 30 days": load("laptop").thresholds.budget,
        "days": summary(accounts),
        "accounts": accounts,
        "cpu seconds": sum(one["cpu seconds"] for one in accounts),
        "machine": machine(before),
    }
    print(json.dumps(result, indent=1) if given.json else table(result))


if __name__ == "__main__":
    main()

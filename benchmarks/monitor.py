"""What the residual monitor finds and how often it cries wolf: `python -m benchmarks.monitor [--json] [--run OUT]`.

Thresholds are found on the run's fitted market as the gate step finds them, then frozen. Flights of seeds that nothing
else uses are played in it (`counts`, both arms, all campaigns of an advertiser), quiet and shifted from day 30 on, and
looked at every cycle, as a served advertiser is.

| flights   | told                                                                                     |
|-----------|------------------------------------------------------------------------------------------|
| quiet     | false alerts per 30 days with a Poisson interval; beside it those of the paper's ROI rule |
| scenarios | the median day on which the first alarm comes, 1 is the first shifted; the part of flights |
|           | found within 1, 3 and 7 days with Clopper and Pearson's 95 % interval                     |
| exact     | the same of fewer flights whose every auction is played                                   |

With `--hourly` alone what hourly cycles bring: the same market with a 24th of volume and budget a cycle and the same
drift a day (`hourly`), thresholds found for it; the hours to the first alarm.

An alarm that a quiet flight would have had too counts as found: the part that chance finds within a week stands beside.
`--resume FILE` keeps every finished row.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import time
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import stats

from benchmarks._machine import machine
from benchmarks._resumed import Resumed, add_resume, of_run
from benchmarks.allocation import finished, served
from benchmarks.guardrails import part
from crossmix.config import Config
from crossmix.evaluate.gates.publish import planned_market
from crossmix.evaluate.play import Act
from crossmix.evaluate.watch.flights import both
from crossmix.evaluate.watch.quiet import MONTH, Calibrated, calibrate
from crossmix.evaluate.watch.statistic import Looked, Track, look, sums
from crossmix.feedback import Feedback
from crossmix.market.level_evidence import Usual
from crossmix.market.levels import walk
from crossmix.market.model import Market, load
from crossmix.market.shift import shift
from crossmix.training.policy_file import load_policy
from monitoring import roi

SEED = 8_100_000
"""Of the first flights: far from those of training, judging, calibration, tests and the other benchmarks."""
QUIET_DAYS, BEFORE, AFTER = 90, 30, 14
ADVERTISERS, FLIGHTS, EXACT = 200, 200, 20
AT_ONCE = 40
HOURS = {"price_shock": 6, "ctr_collapse": 24, "outage": 2}
"""Hours until a move shall be found where cycles are hourly."""
SCENARIOS: dict[str, tuple[str, dict[str, Any]]] = {
    "price_shock": ("price_shock", {}),
    "ctr_collapse": ("ctr_collapse", {}),
    "holiday": ("holiday", {}),
    "outage": ("outage", {}),
    "value x0.6": ("value", {"size": 0.6}),
    "value x0.6, top platform": ("value", {"size": 0.6, "top": True}),
    "cvr x0.5, top platform": ("cvr", {"size": 0.5}),
    "requests x0.5, top platform": ("requests", {"size": 0.5}),
    "all x0.7": ("all", {"size": 0.7}),
    "gone": ("gone", {}),
    "ramp": ("ramp", {}),
    "new_platform": ("new_platform", {}),
}
"""Name to scenario and its size; the last two are told, nothing is asked of them."""


class Watched:
    """A market, its policy and its thresholds.

    Args:
        fitted: what is expected, and what is played where nothing is shifted.
    """

    def __init__(self, config: Config, fitted: Market, act: Act) -> None:
        self.config, self.market, self.act = config, fitted, act
        begun = time.process_time()
        self.calibrated: Calibrated = calibrate(config, fitted, act)
        self.seconds = time.process_time() - begun

    def fly(self, world: Market, flights: int, cycles: int, seed: int, mechanism: str = "counts") -> list[Feedback]:
        """Feedback of so many flights, `AT_ONCE` at a time."""
        return [
            both(
                self.config,
                world,
                self.act,
                flights=min(AT_ONCE, flights - first),
                cycles=cycles,
                seed=seed + first,
                mechanism=mechanism,
            )
            for first in range(0, flights, AT_ONCE)
        ]

    def look(self, feedback: Feedback) -> Looked:
        """What the monitor sees of these flights."""
        campaigns = len(self.market.campaigns)
        flights = len(feedback.campaigns) // campaigns
        rows = torch.arange(flights * campaigns) % campaigns
        told = sums(walk(Usual.of(self.market, rows), self.config.levels, feedback).residuals, flights)
        thresholds = self.calibrated.thresholds
        return look(told, thresholds, Track.begin(thresholds, flights, len(self.market.platforms)))[0]


def rate(alerts: int, days: float) -> dict[str, Any]:
    """Alerts per 30 days with the exact Poisson interval."""
    months = days / MONTH
    low = stats.chi2.ppf(0.025, 2 * alerts) / 2 if alerts else 0.0
    return {
        "per 30 days": alerts / months,
        "ci95": [float(low) / months, float(stats.chi2.ppf(0.975, 2 * alerts + 2)) / 2 / months],
        "alerts": alerts,
        "days": days,
    }


def quiet(watched: Watched, flights: int, seed: int, mechanism: str = "counts") -> dict[str, Any]:
    """False alerts of quiet flights, and how often the paper's rule would have re-adapted."""
    cycle = watched.market.cycle_hours / 24
    alerts = fired = significant = 0
    for feedback in watched.fly(watched.market, flights, round(QUIET_DAYS / cycle), seed, mechanism):
        alerts += int(watched.look(feedback).alarms.any((2, 3)).sum())
        found = _rule(feedback, len(watched.market.campaigns))
        fired, significant = fired + found[0], significant + found[1]
    days = flights * QUIET_DAYS
    return {
        "residuals": rate(alerts, days),
        "the paper's rule": rate(fired, days),
        "the paper's rule, where the interval excludes no drop": rate(significant, days),
    }


def _rule(feedback: Feedback, campaigns: int) -> tuple[int, int]:
    """How often the rule fires, and how often with an interval above 0; a week's rest after each."""
    settings = roi.Settings()
    counted = [0, 0]
    for first in range(0, len(feedback.campaigns), campaigns):
        span = slice(first, first + campaigns)
        revenue_T, spend_T = (np.nansum(table[:, span], (1, 2)) for table in (feedback.revenue_TCP, feedback.spend_TCP))
        rest = [0, 0]
        for t in range(settings.window + settings.cycles, len(revenue_T) + 1):
            ruled = roi.rule(revenue_T[:t], spend_T[:t], settings)
            hits = (False, False) if ruled is None else (ruled.fired, ruled.fired and ruled.low > 0)
            for k, hit in enumerate(hits):
                if hit and t >= rest[k]:
                    counted[k] += 1
                    rest[k] = t + 7
    return counted[0], counted[1]


def found(watched: Watched, world: Market, flights: int, seed: int, mechanism: str = "counts") -> NDArray[np.int64]:
    """The day on which each flight's first alarm comes after the shift, 1 the first; one past the last: never."""
    cycle = watched.market.cycle_hours / 24
    start, cycles = round(BEFORE / cycle), round((BEFORE + AFTER) / cycle)
    days = []
    for feedback in watched.fly(world, flights, cycles, seed, mechanism):
        alarms_TF = watched.look(feedback).alarms[start:].any((2, 3))
        first_F = np.where(alarms_TF.any(0), alarms_TF.argmax(0) + 1, cycles - start + 1)
        days.append(np.ceil(first_F * cycle).astype(np.int64))
    return np.concatenate(days)


def when(day_F: NDArray[np.int64]) -> dict[str, Any]:
    """The median day and the parts found within 1, 3 and 7 days."""
    median = float(np.median(day_F))
    within = {f"within {days} d": part(day_F <= days) for days in (1, 3, 7)}
    return {"median day": median if median <= AFTER else None, **within}


def world_of(market: Market, name: str) -> Market:
    """The market, shifted from day 30 on."""
    scenario, changes = SCENARIOS[name]
    changes = dict(changes)
    start = round(BEFORE * 24 / market.cycle_hours)
    if changes.pop("top", False):
        changes["platforms"] = shift(market, "outage").scenario["shifts"][-1]["platforms"]
    return shift(market, scenario, start=start, **changes)


def measure(
    config: Config, market: Market, act: Act, kept: Resumed, *, advertisers: int, flights: int, exact: int
) -> dict[str, Any]:
    """All of it, in one market."""
    watched = Watched(config, market, act)
    thresholds = watched.calibrated.thresholds
    answer: dict[str, Any] = {
        "calibration": {
            "seconds of processor time": watched.seconds,
            "quiet days": watched.calibrated.days,
            "budget per 30 days": config.thresholds.budget,
            "achieved on its own flights": watched.calibrated.achieved,
            "largest": thresholds.largest,
            "cusum": thresholds.cusum,
        },
        "quiet": kept.part("quiet", lambda: quiet(watched, advertisers, SEED)),
        "chance": kept.part("chance", lambda: when(found(watched, market, flights, SEED + 10_000))),
        "scenarios": {},
    }

    def row(name: str, seed: int, runs: int, mechanism: str = "counts") -> Any:
        world = world_of(market, name)
        return kept.part(f"{mechanism}: {name}", lambda: when(found(watched, world, runs, seed, mechanism)))

    for number, name in enumerate(SCENARIOS):
        answer["scenarios"][name] = row(name, SEED + 20_000 + 1_000 * number, flights)
    if exact:
        answer["exact"] = {
            "quiet": kept.part("exact: quiet", lambda: quiet(watched, exact, SEED + 90_000, "exact")),
            "scenarios": {
                name: row(name, SEED + 91_000 + 1_000 * number, exact, "exact")
                for number, name in enumerate(("price_shock", "cvr x0.5, top platform", "value x0.6"))
            },
        }
    return answer


# ---- hourly cycles ---------------------------------------------------------------------------------------------------


def hourly(market: Market) -> Market:
    """The market with cycles of an hour: a 24th of requests and budget, as much drift a day, conversions as late.

    Weekdays are alike: a cycle of the simulation has one, and not an hour of it.
    """
    hours = round(market.cycle_hours)
    value = dict(market.value)
    value["requests"] = value["requests"] / hours
    value |= {name: table ** (1 / hours) for name, table in value.items() if name.endswith("_persistence")}
    error = dict(market.error)
    error["requests"] = error["requests"] / hours
    return replace(
        market,
        cycle_hours=1,
        value=value,
        error=error,
        budget=market.budget / hours,
        delay=(market.delay / hours).repeat_interleave(hours, 2),
        volume_week=torch.ones_like(market.volume_week),
        response_week=torch.ones_like(market.response_week),
    )


def by_the_hour(
    config: Config, market: Market, act: Act, kept: Resumed, *, flights: int, quiet_days: int
) -> dict[str, Any]:
    """Thresholds found with `config.thresholds`, then quiet flights and moves after five days.

    Args:
        market: of hourly cycles.
    """
    watched, before, after = Watched(config, market, act), 5 * 24, 2 * 24

    def false() -> int:
        flown = watched.fly(market, flights, quiet_days * 24, SEED + 110_000)
        return sum(int(watched.look(one).alarms.any((2, 3)).sum()) for one in flown)

    def hours_until(name: str, seed: int) -> list[int]:
        lasting: dict[str, Any] = {"duration": math.inf} if name == "outage" else {}
        found_F: list[int] = []
        for one in watched.fly(shift(market, name, start=before, **lasting), flights, before + after, seed):
            alarms_TF = watched.look(one).alarms[before:].any((2, 3))
            found_F += np.where(alarms_TF.any(0), alarms_TF.argmax(0) + 1, after + 1).tolist()
        return found_F

    result: dict[str, Any] = {
        "calibration": {
            "quiet days": watched.calibrated.days,
            "alerts": watched.calibrated.alerts,
            "largest": watched.calibrated.thresholds.largest,
            "cusum": watched.calibrated.thresholds.cusum,
        },
        "quiet": rate(kept.part("quiet", false), flights * quiet_days),
        "scenarios": {},
    }
    for number, (name, hours) in enumerate(HOURS.items()):
        hour_F = np.array(kept.part(name, partial(hours_until, name, SEED + 120_000 + 1_000 * number)))
        middle = float(np.median(hour_F))
        result["scenarios"][name] = {
            "wanted": hours,
            "median hour": middle if middle <= after else None,
            **{f"within {some} h": part(hour_F <= some) for some in sorted({1, hours, after})},
        }
    return result


def table(result: dict[str, Any]) -> str:
    """For people."""
    lines = [f"{'':<40}{'per 30 days':>12}  95 %"]
    for name, item in result["quiet"].items():
        low, high = item["ci95"]
        lines.append(f"{name[:39]:<40}{item['per 30 days']:>12.2f}  {low:.2f} to {high:.2f}")
    lines.append(f"{'':<40}{'median day':>12}  within 1, 3, 7 days")
    for name, item in {"chance": result["chance"], **result["scenarios"]}.items():
        parts = (item[f"within {days} d"] for days in (1, 3, 7))
        told = "   ".join(f"{one['part']:.2f} [{one['ci95'][0]:.2f}, {one['ci95'][1]:.2f}]" for one in parts)
        day = item["median day"]
        lines.append(f"{name:<40}{'-' if day is None else format(day, '.0f'):>12}  {told}")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.monitor", description="Alarms, right and wrong.")
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")
    parser.add_argument("--run", type=Path, help="folder of a finished run; without it one is made")
    parser.add_argument("--source", default="demo", help="where the log of a new run comes from")
    parser.add_argument("--data", help="its file")
    parser.add_argument("--short", action="store_true", help="4 flights of each: a smoke run")
    parser.add_argument("--hourly", action="store_true", help="of hourly cycles, as JSON")
    parser.add_argument("--flights", type=int, default=FLIGHTS, help="of --hourly, of each kind and of its calibration")
    parser.add_argument("--days", type=int, default=30, help="of --hourly's quiet flights and calibration")
    add_resume(parser)
    given = parser.parse_args()
    before = os.getloadavg()
    config, folder, trained = finished(given.run, given.source, given.data)
    aligned = folder.parents[1] / "current" / "align"
    actor = load_policy(aligned if aligned.exists() else trained)
    market = planned_market(config, load(folder), actor)
    sizes = (4, 4, 0) if given.short else (ADVERTISERS, FLIGHTS, EXACT)
    asked = [given.flights, given.days] if given.hourly else sizes
    kept = Resumed(given.resume, of_run(trained, benchmark="monitor", hourly=given.hourly, sizes=asked))
    if given.hourly:
        sized = replace(config.thresholds, flights=given.flights, days=given.days)
        config = replace(config, thresholds=sized)
        by_hour = by_the_hour(config, hourly(market), served(actor), kept, flights=given.flights, quiet_days=given.days)
        print(json.dumps(by_hour | {"machine": machine(before)}, indent=1))
        return
    result = measure(config, market, served(actor), kept, advertisers=sizes[0], flights=sizes[1], exact=sizes[2])
    result |= {"cpu seconds": kept.seconds, "machine": machine(before)}
    print(json.dumps(result, indent=1) if given.json else table(result))


if __name__ == "__main__":
    main()

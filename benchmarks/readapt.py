"""What re-adaptation earns when the market moves: `python -m benchmarks.readapt [--json] [--run OUT] [--short]`.

Flights of a run's campaigns in worlds that the champion's plan was not made for, or was, day by day (`counts`, every
conversion arriving whole). Told is the revenue of whole flights over that of the oracle's own flight in the same world
with the same luck, as money that was not spent returns; revenue is that which each cycle's split is expected to earn
under its true conditions. Intervals are over seeds (Student's t); a seed is an advertiser with all campaigns.

| way             | what                                                                                          |
|-----------------|-----------------------------------------------------------------------------------------------|
| champion        | as it is: without the loop                                                                    |
| loop            | every day the champion's market is refitted (`crossmix.market.levels`) and its plan made anew |
| loop, 5th day   | the same every fifth day                                                                      |
| rule            | raw rates of 14 days replace the fitted ones when the ROI of 7 is 15 % off the planned one    |
| MAML alone      | the meta-trained start, an inner step (eq. 7) a day on the true cycle; the plan stays         |
| world known     | the plan is that of the true market                                                           |

`plan alone`: without what the networks add. The loop acts without gates, so it is what re-adaptation does unchecked.

Seeds, worlds and days are of this benchmark alone; nothing was chosen on them. Days until back: the first day after the
move from which three days on end earn `LEVEL` of the oracle's, all seeds together. `--resume FILE` keeps every finished
world.
"""

from __future__ import annotations

import argparse
import json
import os
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import stats

from benchmarks._flights import Fault, Flown, Inflated, Oracle, Planner, Probed, Silent, Way, fly, tiled
from benchmarks._intervals import with_interval
from benchmarks._machine import machine
from benchmarks._moved import lasting, moved
from benchmarks._resumed import Resumed, add_resume, of_run
from benchmarks._ways import Kept, Known, Loop, Meta, Rule
from benchmarks.allocation import finished
from benchmarks.sim_to_real import steps
from crossmix.agents.policy import Policy
from crossmix.config import Config
from crossmix.market.conditions import scaled_market
from crossmix.market.level_evidence import Usual
from crossmix.market.levels import refit
from crossmix.market.model import Market, load
from crossmix.market.plausible import suspects
from crossmix.market.shift import shift, shifts
from crossmix.training.finetune import replanned
from crossmix.training.policy_file import AdaptationStart, load_policy

Array = NDArray[np.float64]
SEED = 8_200_000
"""Of the flights: far from those of training, judging, calibration, tests and the other benchmarks."""
LEVEL = 0.985
WANTED_LASTING = {"cvr": 0.983, "value": 0.988, "requests": 0.987, "all": 0.980}
WANTED_LATER = {"cvr": (0.977, 16), "value": (0.982, 12), "requests": (0.987, 12)}
SCENARIOS = ("price_shock", "ctr_collapse", "holiday", "outage", "ramp", "new_platform")
QUIET_LOSS, LOSS, GONE, SECONDS = 0.001, 0.002, 0.99, 2.0
POISONS = (1.5, 2.0)
SILENT = 10
"""Days without a word, or without delivery, after which a platform may have a probe's share at most."""
Result = dict[str, Any]


@dataclass(frozen=True)
class Size:
    """How much of everything."""

    seeds: int = 20
    cycles: int = 60
    since: int = 20
    """Day of what comes later."""
    outages: tuple[int, ...] = (3, 20)
    scenarios: tuple[str, ...] = SCENARIOS
    lasting: tuple[str, ...] = tuple(WANTED_LASTING)


class Bench:
    """A champion, the market that its plan came from, and flights of it."""

    def __init__(
        self, config: Config, market: Market, policy: Policy, start: AdaptationStart, size: Size, kept: Resumed
    ) -> None:
        self.config, self.one, self.policy, self.start, self.size = config, market, policy, start, size
        self.kept = kept
        self.market = tiled(market, size.seeds)
        self.planner = Planner(config, self.market, policy)
        spent = shifts(shift(market, "outage"))[0].platforms[0]
        self.top = market.platforms.index(spent)
        """The platform with most of the best split's spend."""

    def world(self, market: Market) -> Market:
        """One market in every seed."""
        return tiled(market, self.size.seeds)

    def fly(self, world: Market, way: Way, fault: Fault | None = None) -> Flown:
        return fly(self.config, world, self.size.cycles, SEED, way, fault)

    def play(
        self,
        world: Market,
        ways: Mapping[str, Callable[[], Way]],
        *,
        since: int | None = None,
        fault: Callable[[], Fault] = Fault,
    ) -> tuple[Result, dict[str, Flown]]:
        """Each way's revenue over the oracle's, and its lead over the first way's, which is the champion's.

        Args:
            since: day of the move, for days until back; `None`: there is none to come back from.
        """
        best = self.fly(world, Oracle()).revenue_TR
        told: Result = {}
        flown: dict[str, Flown] = {}
        first_S: Array | None = None
        for name, make in ways.items():
            way = make()
            flown[name] = self.fly(world, way, fault())
            ratio_S = self.by_seed(flown[name].revenue_TR) / self.by_seed(best)
            row: Result = {"ratio": over_seeds(ratio_S)}
            if first_S is None:
                first_S = ratio_S
            else:
                row["lead"] = over_seeds(ratio_S - first_S)
            if since is not None:
                by_day_T = flown[name].revenue_TR.sum(1) / best.sum(1)
                row["back"] = back(flown[name].revenue_TR.sum(1)[since:], best.sum(1)[since:])
                row["by day"] = [round(float(ratio), 4) for ratio in by_day_T]
            row |= {"seconds": way.seconds / self.size.seeds, "updates": way.updates}
            told[name] = row
        return told, flown

    def told(
        self,
        part: str,
        world: Market,
        ways: Mapping[str, Callable[[], Way]],
        *,
        since: int | None = None,
        fault: Callable[[], Fault] = Fault,
    ) -> Result:
        """As `play`, what is told alone; measured once and kept under the name of the part."""
        found: Result = self.kept.part(part, lambda: self.play(world, ways, since=since, fault=fault)[0])
        return found

    def by_seed(self, revenue_TR: Array) -> Array:
        """Revenue of each seed's flights, (S,)."""
        return np.asarray(revenue_TR.sum(0).reshape(self.size.seeds, -1).sum(1))

    def pair(self) -> dict[str, Callable[[], Way]]:
        """Without the loop and with it."""
        return {"champion": lambda: Kept(self.planner), "loop": lambda: Loop(self.planner)}


def over_seeds(value_S: Array) -> Result:
    """Mean with its 95 % interval."""
    mean, reach = float(value_S.mean()), 0.0
    if len(value_S) > 1:
        reach = float(stats.t.ppf(0.975, len(value_S) - 1) * value_S.std(ddof=1) / np.sqrt(len(value_S)))
    return {"mean": mean, "ci95": [mean - reach, mean + reach], "seeds": len(value_S)}


def back(earned_T: Array, best_T: Array) -> int | None:
    """Days until three on end earn `LEVEL` of the best; `None`: never within the flight."""
    for day in range(len(earned_T) - 2):
        if earned_T[day : day + 3].sum() >= LEVEL * best_T[day : day + 3].sum():
            return day
    return None


# ---- what is measured ------------------------------------------------------------------------------------------------


def lasting_errors(bench: Bench) -> Result:
    """Everybody, in worlds that are wrong from the first day."""
    plan, seeds, told = bench.planner, bench.size.seeds, {}
    for name in bench.size.lasting:
        world = lasting(bench.market, name, SEED)
        ways: dict[str, Callable[[], Way]] = bench.pair() | {
            "loop, 5th day": lambda: Loop(plan, 5),
            "rule": lambda: Rule(plan, seeds),
            "MAML alone": lambda: Meta(plan, bench.start, seeds),
            "world known": lambda world=world: Known(plan, world),  # type: ignore[misc]
            "champion, plan alone": lambda: Kept(plan, networks=False),
            "loop, plan alone": lambda: Loop(plan, networks=False),
        }
        told[name] = bench.told(f"{name}, from the first day", world, ways, since=0)
    return told


def later_errors(bench: Bench) -> Result:
    """The same from a day on."""
    plan, since, seeds, told = bench.planner, bench.size.since, bench.size.seeds, {}
    for name in (name for name in bench.size.lasting if name in WANTED_LATER):
        ways: dict[str, Callable[[], Way]] = bench.pair() | {
            "loop, 5th day": lambda: Loop(plan, 5),
            "rule": lambda: Rule(plan, seeds),
            "MAML alone": lambda: Meta(plan, bench.start, seeds),
            "world known": lambda name=name: Known(plan, lasting(bench.market, name, SEED), since),  # type: ignore[misc]
        }
        told[name] = bench.told(f"{name}, from day {since} on", moved(bench.market, name, since), ways, since=since)
    return told


def no_harm(bench: Bench) -> Result:
    """Quiet flights and the named scenarios, from day `since` on."""
    told = {"quiet": bench.told("quiet", bench.market, bench.pair())}
    for name in bench.size.scenarios:
        told[name] = bench.told(name, bench.world(shift(bench.one, name, start=bench.size.since)), bench.pair())
    return told


def away(bench: Bench) -> Result:
    """A platform that is gone for good, or away for some days: told as zeros, or not at all."""
    since = bench.size.since
    told: Result = {}

    def outage(days: float) -> Market:
        return bench.world(shift(bench.one, "outage", start=since, duration=days))

    told["gone"] = bench.told("gone", outage(float("inf")), bench.pair())
    for days in bench.size.outages:
        zeros = f"outage of {days} days, told as zeros"
        told[zeros] = bench.told(zeros, outage(days), bench.pair())
        for silent in (None, *(cycles for cycles in (3, SILENT) if cycles < days)):
            rule = "spent for good" if silent is None else f"spent until day {silent}, then a probe"

            def mute(days: int = days, silent: int | None = silent) -> Fault:
                return Silent(bench.top, since, days, silent, bench.config.limits.probe)

            name = f"outage of {days} days in silence, money {rule}"
            told[name] = bench.told(name, outage(days), bench.pair(), fault=mute)
    return told


def probed(bench: Bench) -> Result:
    """Where a platform that delivers nothing for ten days may have a probe's share at most; and a plan that knows."""
    since, share, told = bench.size.since, bench.config.limits.probe, {}
    worlds = {"gone": float("inf")} | {
        f"outage of {days} days, told as zeros": days for days in bench.size.outages[-1:]
    }
    for name, days in worlds.items():
        world = bench.world(shift(bench.one, "outage", start=since, duration=days))
        found = bench.told(f"{name}, a probe", world, bench.pair(), fault=lambda: Probed(SILENT, share))
        told[f"{name}, a probe"] = found
    gone = bench.world(shift(bench.one, "outage", start=since, duration=float("inf")))

    def mute() -> Fault:
        return Silent(bench.top, since, bench.size.cycles, SILENT, share)

    told["gone in silence, a probe"] = bench.told("gone in silence, a probe", gone, bench.pair(), fault=mute)
    left = torch.ones_like(bench.market.static)
    left[:, bench.top] = 1e-6
    without = scaled_market(bench.market, requests=left)
    ways: dict[str, Callable[[], Way]] = {
        "champion": lambda: Kept(bench.planner),
        "world known": lambda: Known(bench.planner, without, since),
    }
    told["gone, and the plan knows"] = bench.told("gone, and the plan knows", gone, ways)
    return told


def poison(bench: Bench) -> Result:
    """Revenue of the platform with most spend, told too high by a factor that a market might have."""
    since, usual = bench.size.since, Usual.of(bench.market)

    def inflated(factor: float) -> Result:
        found, flown = bench.play(bench.market, bench.pair(), fault=lambda: Inflated(bench.top, factor, since))
        named = {
            bench.market.campaigns.index(one.campaign) // len(bench.one.campaigns)
            for one in suspects(usual, {"policy": flown["loop"].feedback}, bench.config.serving.guard)
            if one.cycle >= bench.config.window + since
        }
        return {"ways": found, "advertisers with a suspect cell": len(named) / bench.size.seeds}

    told: Result = {
        f"x{factor:g}": bench.kept.part(f"revenue x{factor:g}", partial(inflated, factor)) for factor in (1.0, *POISONS)
    }
    for one in told.values():
        one["cost"] = {
            way: told["x1"]["ways"][way]["ratio"]["mean"] - row["ratio"]["mean"] for way, row in one["ways"].items()
        }
    return told


def cost(bench: Bench) -> Result:
    """Processor seconds of one advertiser's refit on a whole flight, and of the plan."""
    feedback = bench.fly(lasting(bench.market, "cvr", SEED), Kept(bench.planner)).feedback
    campaigns = len(bench.one.campaigns)
    own = replace(feedback.only(np.arange(len(feedback.campaigns)) < campaigns), campaigns=bench.one.campaigns)
    began = time.process_time()
    found = refit(bench.one, own, bench.config.levels)
    refitted = time.process_time()
    replanned(bench.config, found.market, bench.policy)
    return {"cycles": len(own), "refit": refitted - began, "re-plan": time.process_time() - refitted}


# ---- verdicts --------------------------------------------------------------------------------------------------------


def verdicts(result: Result) -> list[Result]:
    """What was wanted, and whether it was met: by the mean."""
    rows: list[Result] = []

    def want(what: str, measured: float | None, least: float | None = None, most: float | None = None) -> None:
        met = measured is not None and (least is None or measured >= least) and (most is None or measured <= most)
        rows.append({"what": what, "measured": measured, "at least": least, "at most": most, "met": met})

    for name, ways in result["lasting errors"].items():
        want(f"{name}, from the first day", ways["loop"]["ratio"]["mean"], WANTED_LASTING[name])
    for name, ways in result["from a day on"].items():
        least, days = WANTED_LATER[name]
        want(f"{name}, from day {result['since']} on", ways["loop"]["ratio"]["mean"], least)
        want(f"{name}, days until back", ways["loop"]["back"], most=days)
    for name, ways in result["no harm"].items():
        want(f"{name}, lost by the loop", -ways["loop"]["lead"]["mean"], most=QUIET_LOSS if name == "quiet" else LOSS)
    want("gone for good, told as zeros", result["away"]["gone"]["loop"]["ratio"]["mean"], GONE)
    for name in ("gone, a probe", "gone in silence, a probe"):
        want(name, result["probed"][name]["loop"]["ratio"]["mean"], GONE)
    for name, ways in result["away"].items():
        if name.endswith("as zeros"):
            want(f"{name}, lost by the loop", -ways["loop"]["lead"]["mean"], most=LOSS)
    want("refit and re-plan, CPU s", result["cost"]["refit"] + result["cost"]["re-plan"], most=SECONDS)
    return rows


def measure(
    config: Config, market: Market, policy: Policy, start: AdaptationStart, size: Size, kept: Resumed
) -> Result:
    """Everything, as plain data."""
    torch.set_num_threads(1)
    torch.manual_seed(0)
    before, bench = os.getloadavg(), Bench(config, market, policy, start, size, kept)
    result: Result = {
        "benchmark": "readapt",
        "generated": market.generated,
        "seeds": size.seeds,
        "campaigns": len(market.campaigns),
        "cycles": size.cycles,
        "since": size.since,
        "levels": asdict(config.levels),
        "lasting errors": lasting_errors(bench),
        "from a day on": later_errors(bench),
        "no harm": no_harm(bench),
        "away": away(bench),
        "probed": probed(bench),
        "poison": poison(bench),
        "cost": kept.part("cost", lambda: cost(bench)),
    }
    return result | {"wanted": verdicts(result), "cpu seconds": kept.seconds, "machine": machine(before)}


def table(result: Result) -> str:
    """The result for people."""
    lines = [
        f"revenue of whole flights over the oracle's: {result['seeds']} seeds x {result['campaigns']} campaigns, "
        f"{result['cycles']} days{'; GENERATED DATA' if result['generated'] else ''}",
        f"{'':<44}{'ratio':>24}{'over the champion':>28}{'back':>7}{'CPU s':>8}{'updates':>9}",
    ]
    blocks = ("lasting errors", "from a day on", "no harm", "away", "probed")
    worlds = [(f"{block}: {name}", ways) for block in blocks for name, ways in result[block].items()]
    worlds += [
        (f"poison {name}: suspect cells with {one['advertisers with a suspect cell']:.0%} of advertisers", one["ways"])
        for name, one in result["poison"].items()
    ]
    for title, ways in worlds:
        lines.append(title)
        for name, row in ways.items():
            returned = ("never" if row["back"] is None else str(row["back"])) if "back" in row else ""
            lines.append(
                f"  {name:<42}{with_interval(row['ratio']):>24}{with_interval(row.get('lead'), '+'):>28}{returned:>7}"
                f"{row['seconds']:>8.2f}{row['updates']:>9.1f}"
            )
    spent = result["cost"]
    lines += [
        f"back: days until three on end earn {LEVEL}; the paper claims 2 days against 6.5",
        f"one advertiser's refit on {spent['cycles']} days {spent['refit']:.2f} CPU s, re-plan {spent['re-plan']:.2f}",
        "",
        f"{'wanted':<60}{'measured':>10}{'at least':>10}{'at most':>10}",
    ]
    for row in result["wanted"]:
        figures = ("-" if row[name] is None else f"{row[name]:.4g}" for name in ("measured", "at least", "at most"))
        lines.append(f"{row['what']:<60}{''.join(f'{one:>10}' for one in figures)}{'' if row['met'] else '   MISSED'}")
    return "\n".join(lines)


def champion(trained: Path) -> tuple[Market, Policy, AdaptationStart]:
    """The market that a run's champion was planned in, the champion, and where its re-adaptation starts."""
    folders = steps(trained.parents[2])
    aligned = folders["align"] / "market"
    market = load(aligned if aligned.is_dir() else folders["market"])
    return market, load_policy(folders["align"]), AdaptationStart.load(folders["meta"])


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.readapt", description="What re-adaptation earns.")
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")
    parser.add_argument("--run", type=Path, help="folder of a finished run; without it one is made")
    parser.add_argument("--source", default="demo", help="where the log of a new run comes from")
    parser.add_argument("--data", help="its file")
    parser.add_argument("--seeds", type=int, default=20, help="advertisers of each world")
    parser.add_argument("--short", action="store_true", help="2 seeds, 12 days, few worlds: a smoke run")
    add_resume(parser)
    given = parser.parse_args()
    config, _, trained = finished(given.run, given.source, given.data)
    size = Size(2, 12, 4, (2,), ("outage",), ("cvr",)) if given.short else Size(given.seeds)
    kept = Resumed(given.resume, of_run(trained, benchmark="readapt", size=asdict(size)))
    result = measure(config, *champion(trained), size, kept)
    print(json.dumps(result, indent=1) if given.json else table(result))


if __name__ == "__main__":
    main()

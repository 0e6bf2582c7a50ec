"""Whom a canary stops, and whom by mistake: `python -m benchmarks.canary [--json] [--run OUT | --market FOLDER]`.

Canaries in a fitted market (`counts`): policy and canary meet the same market with users and luck of their own, each
with its part of users and budget, and the server's own test (`crossmix.evaluate.stats.unequal`) looks after every
cycle. What it knows of the noise is from 14 cycles of the experiment before, policy against control, in other flights.
Everybody plays the static split, so that arms differ by luck alone; a bad version's conversions are thinned out from
its first cycle on. Where nothing is thinned out, every stop is a false one.

| schedule  | what                                                                                             |
|-----------|--------------------------------------------------------------------------------------------------|
| held      | one step, as large in all cycles                                                                 |
| default   | the steps of `serving.canary`, the cycles of each of a flight of that size                       |
| no noise known | `default`, in an experiment without cycles before                                           |

The seeds are of this benchmark alone; nothing was chosen on them. Told are parts of the canaries with Clopper and
Pearson's 95 % interval. `--resume FILE` keeps every finished schedule.
"""

from __future__ import annotations

import argparse
import json
import math
import os
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import cache, partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from benchmarks._machine import machine
from benchmarks._resumed import Resumed, add_resume
from benchmarks.allocation import finished
from benchmarks.guardrails import part
from crossmix.config import Canary, Config, load
from crossmix.evaluate.play import QUANTITIES, play
from crossmix.evaluate.simulate import static
from crossmix.evaluate.stats import unequal
from crossmix.market.conditions import scaled_market
from crossmix.market.environment import MarketEnvironment
from crossmix.market.model import Market
from crossmix.market.model import load as load_market
from serving.canary.rail import WHOLE

Array = NDArray[np.float64]
SEED = 6_980_000
"""Of the first flights: far from those of training, judging, tests and the other benchmarks."""
WEIGHT, BEFORE = 0.7, 14
"""The policy's part of the users, and cycles of the experiment before a canary."""
KEPT = {"-30%": 0.7, "-20%": 0.8, "-10%": 0.9, "-3%": 0.97}
"""Conversions that a bad version keeps."""
AT_ONCE = 100
"""Canaries that are played at once."""


class Flights:
    """Arms of any size in the same markets, each played once.

    Args:
        runs: flights.
        cycles: of each.
        seed: of the market.
    """

    def __init__(self, config: Config, market: Market, runs: int, cycles: int, seed: int) -> None:
        self.config, self.market, self.runs, self.cycles, self.seed = config, market, runs, cycles, seed
        self._played: dict[tuple[float, int], dict[str, Array]] = {}

    def arm(self, size: float, luck: int) -> dict[str, Array]:
        """Revenue and conversions, (R, T) each, of an arm with this part of users and budget."""
        key = size, luck
        if key not in self._played:
            parts = [self._play(size, luck, n) for n in range(math.ceil(self.runs / AT_ONCE))]
            self._played[key] = {name: np.concatenate([one[name] for one in parts]) for name in parts[0]}
        return self._played[key]

    def _play(self, size: float, luck: int, block: int) -> dict[str, Array]:
        campaigns, seed = len(self.market.campaigns), self.seed + block
        runs = min(AT_ONCE, self.runs - block * AT_ONCE)
        world = MarketEnvironment(
            replace(scaled_market(self.market, requests=size), budget=self.market.budget * size),
            self.config,
            campaign_B=torch.arange(runs * campaigns) % campaigns,
            cycles=self.cycles,
            mechanism="counts",
            seed=seed,
        )
        world.luck.manual_seed(2 * seed + 1_000_003 * (luck + 1))
        played = play(world, static, self.cycles)
        amount_QRT = played.amount_TBPQ.sum(2).reshape(self.cycles, runs, campaigns, -1).sum(2).transpose(2, 1, 0)
        total = dict(zip(QUANTITIES, amount_QRT, strict=True))
        return {name: np.asarray(total[name], float) for name in ("revenue", "conversions")}


def schedule(steps: Sequence[float], cycles: int) -> Array:
    """Parts of canary and policy in each cycle, (T, 2), of steps below 1."""
    tried_T = np.repeat([step for step in steps if step < 1], cycles)
    return np.asarray(np.round(np.stack([WEIGHT * tried_T, WEIGHT * (1 - tried_T)], axis=1), 9), np.float64)


def spliced(flights: Flights, part_T2: Array) -> tuple[Array, Array, Array]:
    """ROI of canary and policy, and the canary's conversions, (R, T) each: a cycle is of the flight of its size."""
    columns = []
    for t, (mine, others) in enumerate(part_T2):
        one, other = flights.arm(mine, 0), flights.arm(others, 1)
        columns.append((one["revenue"][:, t] / mine, other["revenue"][:, t] / others, one["conversions"][:, t]))
    roi_RT, policy_RT, sold_RT = (np.stack(rows, axis=1).astype(float) for rows in zip(*columns, strict=True))
    return roi_RT, policy_RT, sold_RT


def noise_known(flights: Flights) -> unequal.Before:
    """What an experiment's arms tell of the noise before the canary."""
    policy, control = (flights.arm(size, luck)["revenue"] for luck, size in enumerate((WEIGHT, 1 - WEIGHT)))
    scale_T = np.full(BEFORE, unequal.noise([WEIGHT, 1 - WEIGHT]))
    return unequal.before(np.log(policy[:, :BEFORE] / control[:, :BEFORE]), scale_T)


def scenario(flights: Flights, part_T2: Array, known: unequal.Before, settings: Canary, seed: int) -> dict[str, Any]:
    """False stops, and how soon bad versions are stopped."""
    roi_RT, policy_RT, sold_RT = spliced(flights, part_T2)
    level, threshold = 2 * WHOLE * settings.false_stops, -settings.roi_drop

    def stopped(kept_RT: Array | float) -> NDArray[np.bool_]:
        # One that sells nothing has no ratio, and is stopped by another rule.
        ratio_RT = np.log(np.maximum(roi_RT * kept_RT, 1e-9) / policy_RT)
        return unequal.below_by_pair(ratio_RT, part_T2, threshold, level, known)

    ratio_RT = np.log(np.maximum(roi_RT, 1e-9) / policy_RT)
    answer: dict[str, Any] = {
        "cycles": len(part_T2),
        "deviation of a cycle at the first step": float(
            ratio_RT[:, part_T2[:, 0] == part_T2[0, 0]].std(1, ddof=1).mean()
        ),
        "conversions of the canary a cycle at the first step": float(sold_RT[:, 0].mean()),
        "false": part(stopped(1.0)[:, -1]),
    }
    rng = np.random.default_rng(seed)
    for name, keep in KEPT.items():
        kept_RT = rng.binomial(sold_RT.astype(int), keep) / np.maximum(sold_RT, 1)
        by_RT = stopped(kept_RT)
        within = [n for n in (5, 7, 10, 14, 21, 30) if n <= len(part_T2)]
        answer[name] = {f"within {n} cycles": part(by_RT[:, n - 1]) for n in within}
        first_R = np.where(by_RT.any(1), by_RT.argmax(1) + 1, np.inf)
        middle = float(np.median(first_R))
        answer[name]["median cycle"] = middle if math.isfinite(middle) else None
    return answer


def measure(config: Config, market: Market, runs: int, kept: Resumed) -> dict[str, Any]:
    """All schedules."""
    load_before, settings = os.getloadavg(), Canary()
    result: dict[str, Any] = {
        "benchmark": "canary",
        "mechanism": "counts",
        "policy": WEIGHT,
        "steps": list(settings.steps),
        "cycles of a step": settings.cycles,
        "false_stops": settings.false_stops,
        "runs": runs,
    }
    cycles = 30
    flights = Flights(config, market, runs, cycles, SEED)

    @cache
    def known() -> unequal.Before:
        return noise_known(Flights(config, market, runs, BEFORE, SEED + 10_000))

    def one(part_T2: Array, told: Callable[[], unequal.Before], number: int) -> dict[str, Any]:
        return scenario(flights, part_T2, told(), settings, SEED + 20_000 + number)

    default = schedule(settings.steps, settings.cycles)
    for number, (name, part_T2, told) in enumerate(
        (
            ("held at 10%", schedule([0.1], 10), known),
            ("held at 10%, 30 cycles", schedule([0.1], cycles), known),
            ("held at 20%", schedule([0.2], 10), known),
            ("default", default, known),
            ("default, no noise known", default, lambda: unequal.NOTHING),
        )
    ):
        result[name] = kept.part(name, partial(one, part_T2, told, number))
    return result | {"cpu seconds": kept.seconds, "machine": machine(load_before)}


def table(result: dict[str, Any]) -> str:
    """The result for people."""
    lines = [
        f"{result['runs']} canaries of {result['policy']:.0%} of the users, market draws `{result['mechanism']}`; "
        f"at most {result['false_stops']:.0%} false stops planned",
        f"{'':<26}{'false stops':>26}   stopped within 5, 7, 10 cycles",
    ]
    for name, one in result.items():
        if not isinstance(one, dict) or "false" not in one:
            continue
        low, high = one["false"]["ci95"]
        row = f"{name:<26}{one['false']['part']:>10.1%} [{low:.1%}, {high:.1%}]"
        for loss in KEPT:
            within = ", ".join(f"{one[loss][f'within {n} cycles']['part']:.0%}" for n in (5, 7, 10))
            row += f"   {loss}: {within}"
        lines.append(row)
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.canary", description="Stops of canaries.")
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")
    parser.add_argument("--run", type=Path, help="folder of a finished run; without it one is made")
    parser.add_argument("--market", type=Path, help="a fitted market's folder in place of a run")
    parser.add_argument("--source", default="demo", help="where the log of a new run comes from")
    parser.add_argument("--data", help="its file")
    parser.add_argument("--runs", type=int, default=1_000, help="canaries of each schedule")
    parser.add_argument("--short", action="store_true", help="40 canaries: a smoke run")
    add_resume(parser)
    given = parser.parse_args()
    if given.market is not None:
        config, folder = load("laptop", [f"data.source={given.source}"]), given.market
    else:
        config, folder, _ = finished(given.run, given.source, given.data)
    market, runs = load_market(folder), 40 if given.short else given.runs
    kept = Resumed(given.resume, {"benchmark": "canary", "market": market.digest, "runs": runs})
    result = measure(config, market, runs, kept)
    print(json.dumps(result, indent=1) if given.json else table(result))


if __name__ == "__main__":
    main()

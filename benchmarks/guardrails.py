"""Whom guardrails stop, and whom by mistake: `python -m benchmarks.guardrails [--json] [--run OUT] [--short]`.

Experiments of 28 days are looked at every day by the server's own guardrails (`serving.experiment.guardrails`).
The policy does as well as control (or better by 10 %, `before`), and from day 7 on worse by some part; where it never
does, every stop is a false one. Daily log-ratios of ROI between the arms are drawn, with the deviation of the demo's
and of Criteo's market and around them, or played: both arms in the `exact` market of a run, the static split in each,
the policy's conversions thinned out from day 7 on.

| noise      | what                                                                             |
|------------|----------------------------------------------------------------------------------|
| gaussian   | independent days                                                                 |
| t4         | tails of Student's t with 4 degrees of freedom, the same deviation               |
| ar1        | a day keeps 30 % of the day before                                               |
| currencies | two, gaussian; the second, of so many of the campaigns, alone turns bad          |
| market     | of the run; all three guardrails                                                 |

Of two currencies, those of each and those of both share the level. Beside what they stop is told what guardrails of
both together find with all of the level (`pooled alone`).

The seeds are of this benchmark alone; nothing was chosen on them. Told are parts of the experiments with Clopper and
Pearson's 95 % interval. `--resume FILE` keeps every finished row.
"""

from __future__ import annotations

import argparse
import json
import math
import os
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from benchmarks._machine import machine
from benchmarks._resumed import Resumed, add_resume, of_run
from benchmarks.allocation import finished
from crossmix.config import Guardrails
from crossmix.evaluate import simulate
from crossmix.market.model import load
from crossmix.metrics import METRIC
from serving.experiment.compare import FEWEST
from serving.experiment.guardrails import shares, stopped_by_day

Array = NDArray[np.float64]
DAYS, TURN = 28, 7
"""Days of an experiment, and the first bad one."""
LATER = 8
"""First day of a currency that comes later."""
SEED = 6_700_000
"""Of the first scenario: far from those of training, judging, tests and the other benchmarks."""
DEVIATIONS = {"half of the demo's": 0.063, "demo": 0.126, "a third more": 0.168, "Criteo": 0.237, "three times": 0.378}
"""Of a day's log-ratio, arms of 70 and 30 %; the demo's and Criteo's as `simulate.deviation` measures them."""
DROPS = (-0.2, -0.3, -0.4, -0.6)
AT_ONCE = 100
"""Experiments that are played at once."""
RAILS = {"roi_drop": "roi", "utilisation_drop": "utilisation", "cpa_rise": "cpa"}


def drawn(kind: str, deviation: float, runs: int, days: int, seed: int) -> Array:
    """Log-ratios of days without a lift, (R, T)."""
    rng = np.random.default_rng(seed)
    if kind == "t4":
        return np.asarray(deviation * rng.standard_t(4, (runs, days)) / math.sqrt(2), float)
    noise_RT = rng.standard_normal((runs, days))
    if kind == "ar1":
        for day in range(1, days):
            noise_RT[:, day] = 0.3 * noise_RT[:, day - 1] + math.sqrt(1 - 0.09) * noise_RT[:, day]
    return np.asarray(deviation * noise_RT, float)


def stopped(figures: dict[str, tuple[Array, Array]], settings: Guardrails, share: float = 1.0) -> NDArray[np.int64]:
    """The day after which each experiment is stopped, (R,); one past the last: never.

    Args:
        figures: guardrail to its figure of both arms, (R, T) each.
        share: what these guardrails have of the level.
    """
    limits = {
        "roi_drop": -settings.roi_drop,
        "utilisation_drop": -settings.utilisation_drop,
        "cpa_rise": settings.cpa_rise,
    }
    by_day = [stopped_by_day(name, *both, limits[name], settings, share) for name, both in figures.items()]
    by_day_RT = np.logical_or.reduce(by_day)
    # A comparison needs some figures.
    by_day_RT[:, : FEWEST - 1] = False
    return np.asarray(np.where(by_day_RT.any(1), by_day_RT.argmax(1) + 1, by_day_RT.shape[1] + 1), np.int64)


def part(hit_R: NDArray[np.bool_]) -> dict[str, Any]:
    """A part of the experiments with its interval."""
    law = stats.binomtest(int(hit_R.sum()), len(hit_R)).proportion_ci(0.95, "exact")
    return {"part": float(hit_R.mean()), "ci95": [float(law.low), float(law.high)], "runs": len(hit_R)}


def scenario(ratio_RT: Array, settings: Guardrails) -> dict[str, Any]:
    """ROI alone: false stops, and how soon drops from day `TURN` on are stopped."""
    ones_RT = np.ones_like(ratio_RT)
    false_R = stopped({"roi_drop": (np.exp(ratio_RT), ones_RT)}, settings)
    answer: dict[str, Any] = {"deviation": float(ratio_RT.std()), "false": part(false_R <= ratio_RT.shape[1])}
    bad_T = np.arange(ratio_RT.shape[1]) >= TURN - 1
    for before in (0.0, 0.1):
        for drop in DROPS if before == 0 else (-0.4,):
            lift_T = np.where(bad_T, math.log1p(drop), math.log1p(before))
            policy_RT = np.exp(ratio_RT[: len(ratio_RT) // 4] + lift_T)
            stop_R = stopped({"roi_drop": (policy_RT, np.ones_like(policy_RT))}, settings)
            name = f"{drop:+.0%}" if before == 0 else f"{drop:+.0%} after {before:+.0%}"
            answer[name] = _when(stop_R)
    return answer


def _of_ratio(ratio_RT: Array, settings: Guardrails, share: float = 1.0) -> NDArray[np.int64]:
    return stopped({"roi_drop": (np.exp(ratio_RT), np.ones_like(ratio_RT))}, settings, share)


def of_currencies(ratio_CRT: Array, second: float, settings: Guardrails, since: int = 1) -> NDArray[np.int64]:
    """`stopped` by ROI, of two currencies.

    Args:
        ratio_CRT: log-ratios of days.
        second: the second currency's part of the campaigns.
        since: its first day. Before it the first is alone, and has the whole level: what is stopped by less than that
            before this day is stopped by all of it too.
    """
    every, each = shares(2)
    weight_T = second * (np.arange(ratio_CRT.shape[2]) >= since - 1)
    pooled_RT = (1 - weight_T) * ratio_CRT[0] + weight_T * ratio_CRT[1]
    alone_R = _of_ratio(ratio_CRT[0], settings)
    ends = [
        np.where(alone_R < since, alone_R, ratio_CRT.shape[2] + 1),
        _of_ratio(pooled_RT, settings, every),
        _of_ratio(ratio_CRT[0], settings, each),
        _of_ratio(ratio_CRT[1][:, since - 1 :], settings, each) + since - 1,
    ]
    return np.asarray(np.minimum.reduce(ends), np.int64)


def currencies(second: float, runs: int, seed: int, settings: Guardrails, since: int = 1) -> dict[str, Any]:
    """Two currencies with the demo's deviation: false stops, and how soon drops of the second, or both, are stopped."""
    ratio_CRT = np.stack([drawn("gaussian", DEVIATIONS["demo"], runs, DAYS, seed + n) for n in range(2)])
    false_R = of_currencies(ratio_CRT, second, settings, since)
    answer: dict[str, Any] = {"deviation": float(ratio_CRT.std()), "false": part(false_R <= DAYS)}
    if since > 1:
        return answer
    for name, drop, first in [(f"{drop:+.0%}", drop, 1) for drop in DROPS] + [("-30% of both", -0.3, 0)]:
        bad_CRT = ratio_CRT[:, : runs // 4].copy()
        bad_CRT[first:, :, TURN - 1 :] += math.log1p(drop)
        answer[name] = _when(of_currencies(bad_CRT, second, settings))
        pooled_RT = (1 - second) * bad_CRT[0] + second * bad_CRT[1]
        answer[f"{name}, pooled alone"] = _when(_of_ratio(pooled_RT, settings))
    return answer


def _when(stop_R: NDArray[np.int64]) -> dict[str, Any]:
    return {f"within {days} days": part(stop_R <= TURN - 1 + days) for days in (3, 5, 7, 10, 14)} | {
        "before it": part(stop_R < TURN)
    }


def market(folder: Path, config: Any, weights: tuple[float, float], runs: int, settings: Guardrails) -> dict[str, Any]:
    """All guardrails, on arms that are played: as they are, and with 40 % fewer conversions from day `TURN` on."""
    world = load(folder)
    totals = []
    for arm, weight in enumerate(weights):
        # In parts: what is played at once is held in memory.
        parts = [
            simulate.play_arm(
                config, world, simulate.static, weight, runs=min(runs, AT_ONCE), days=DAYS, seed=SEED + 100 + n, arm=arm
            ).total
            for n in range(math.ceil(runs / AT_ONCE))
        ]
        totals.append({name: np.concatenate([one[name] for one in parts]) for name in parts[0]})
    figures = _figures(*totals)
    ratio_RT = np.log(figures["roi_drop"][0] / figures["roi_drop"][1])
    answer: dict[str, Any] = {
        "weights": list(weights),
        "deviation": float(ratio_RT.std(1, ddof=1).mean()),
        "mean": float(np.expm1(ratio_RT.mean())),
        "false": part(stopped(figures, settings) <= DAYS),
    }
    bad = dict(totals[0])
    sold_RT = bad["conversions"]
    kept_RT = np.random.default_rng(SEED + 2).binomial(sold_RT.astype(int), 0.6) / np.maximum(sold_RT, 1)
    kept_RT[:, : TURN - 1] = 1.0
    for name in ("conversions", "revenue"):
        bad[name] = bad[name] * kept_RT
    answer["-40%"] = _when(stopped(_figures(bad, totals[1]), settings))
    return answer


def _figures(policy: dict[str, Array], control: dict[str, Array]) -> dict[str, tuple[Array, Array]]:
    def of(total: dict[str, Array], name: str) -> Array:
        top, bottom = METRIC[name].numerator, METRIC[name].denominator
        return np.maximum(total[top], 1e-9) / np.maximum(total[bottom], 1e-9)

    return {rail: (of(policy, name), of(control, name)) for rail, name in RAILS.items()}


def measure(folder: Path, config: Any, runs: int, kept: Resumed) -> dict[str, Any]:
    """All scenarios."""
    settings, before = Guardrails(), os.getloadavg()
    result: dict[str, Any] = {
        "benchmark": "guardrails",
        "days": DAYS,
        "first bad day": TURN,
        "window": settings.window,
        "false_stops": settings.false_stops,
    }
    drawings = {f"gaussian, {name}": ("gaussian", size) for name, size in DEVIATIONS.items()}
    drawings |= {f"{kind}, demo": (kind, DEVIATIONS["demo"]) for kind in ("t4", "ar1")}
    for number, (name, (kind, size)) in enumerate(drawings.items()):
        ratio_RT = drawn(kind, size, runs, DAYS, SEED + 10 + number)
        result[name] = kept.part(name, partial(scenario, ratio_RT, settings))
    for number, second in enumerate((0.5, 0.1)):
        name = f"two currencies, {1 - second:.0%} : {second:.0%}"
        result[name] = kept.part(name, partial(currencies, second, runs, SEED + 40 + 2 * number, settings))
    name = f"two currencies, one from day {LATER}"
    result[name] = kept.part(name, partial(currencies, 0.5, runs, SEED + 50, settings, LATER))
    for weights in ((0.7, 0.3), (0.5, 0.5)):
        name = f"market, {weights[0]:.0%} : {weights[1]:.0%}"
        result[name] = kept.part(name, partial(market, folder, config, weights, max(runs // 20, 20), settings))
    far = drawn("gaussian", DEVIATIONS["demo"], runs, 4 * DAYS, SEED + 30)
    over_R = stopped({"roi_drop": (np.exp(far), np.ones_like(far))}, settings)
    result["gaussian, demo, 112 days"] = {"deviation": float(far.std()), "false": part(over_R <= far.shape[1])}
    return result | {"cpu seconds": kept.seconds, "machine": machine(before)}


def table(result: dict[str, Any]) -> str:
    """The result for people."""
    lines = [
        f"experiments of {result['days']} days, bad from day {result['first bad day']} on; windows around "
        f"{result['window']} days; at most {result['false_stops']:.0%} false stops planned",
        f"{'':<32}{'deviation':>10}{'false stops':>26}   stopped within 3, 5, 10 days",
    ]
    for name, one in result.items():
        if not isinstance(one, dict) or "false" not in one:
            continue
        low, high = one["false"]["ci95"]
        row = f"{name:<32}{one['deviation']:>10.3f}{one['false']['part']:>10.2%} [{low:.2%}, {high:.2%}]"
        for drop, when in one.items():
            if drop.startswith("-"):
                within = ", ".join(f"{when[f'within {days} days']['part']:.1%}" for days in (3, 5, 10))
                row += f"   {drop}: {within}"
        lines.append(row)
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.guardrails", description="Stops, right and wrong.")
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")
    parser.add_argument("--run", type=Path, help="folder of a finished run; without it one is made")
    parser.add_argument("--source", default="demo", help="where the log of a new run comes from")
    parser.add_argument("--data", help="its file")
    parser.add_argument(
        "--runs", type=int, default=20_000, help="experiments of a scenario: a quarter turns bad, a twentieth is played"
    )
    parser.add_argument("--short", action="store_true", help="40 experiments: a smoke run")
    add_resume(parser)
    given = parser.parse_args()
    config, folder, trained = finished(given.run, given.source, given.data)
    runs = 40 if given.short else given.runs
    result = measure(folder, config, runs, Resumed(given.resume, of_run(trained, benchmark="guardrails", runs=runs)))
    print(json.dumps(result, indent=1) if given.json else table(result))


if __name__ == "__main__":
    main()

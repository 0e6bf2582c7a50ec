"""When the market is not the fitted one: `python -m benchmarks.misfit [--json] [--run OUT | --source S --data FILE]`.

The policy of a run's train step, its plan alone and the competitors play worlds that none of them was made for, in
`exact`, on the same market seeds. Everybody knows the fitted market only.

| world         | what is different, from the warm-up on                                              |
|---------------|-------------------------------------------------------------------------------------|
| as fitted     | nothing                                                                             |
| one of WRONG  | a quantity times `FACTOR` on every other platform, over `FACTOR` on the rest        |
| a scenario    | `crossmix.market.shift` at the flight's first cycle, with its defaults              |

Told are the revenue over the oracle's and the policy's lead, with 95 % intervals over market seeds. `--resume FILE`
keeps every finished world.
"""

from __future__ import annotations

import argparse
import copy
import json
import os
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from benchmarks._intervals import with_interval
from benchmarks._machine import machine
from benchmarks._resumed import Resumed, add_resume, of_run
from benchmarks.allocation import finished, seeds, served
from benchmarks.sim_to_real import wrong
from crossmix.agents.policy import Policy
from crossmix.baselines.registry import BASELINES, label
from crossmix.config import Config
from crossmix.evaluate.judge import act_of, from_state, judge_act, oracle
from crossmix.evaluate.play import Act
from crossmix.evaluate.stats.significance import two_way
from crossmix.market.model import Market, load
from crossmix.market.shift import SCENARIOS, shift
from crossmix.state import ALLOCATION
from crossmix.training.policy_file import load_policy

FIRST_SEED = 6_100_000
"""Market seed 0 of this benchmark: far from those of training, validation and the other benchmarks."""
FACTOR = 2.0
WRONG = ("requests", "level", "ctr", "cvr", "value", "saturation")
"""Of `sim_to_real.wrong`, named as in market.json: requests, prices, click rates, conversion rates, value per
conversion, saturation."""
AS_FITTED, UNTOLD = "as fitted", "policy, win rates not told"
AGAINST = ("mpc", "plug_in", "windowed_roi", "pid", "mirror_descent", "ucb")


def worlds(market: Market, names: Sequence[str]) -> dict[str, Market]:
    """The worlds of those names: `AS_FITTED`, of `WRONG`, of `SCENARIOS`."""

    def of(name: str) -> Market:
        if name == AS_FITTED:
            return market
        return wrong(market, {name: FACTOR}) if name in WRONG else shift(market, name)

    return {name: of(name) for name in names}


def players(fitted: Market, policy: Policy) -> dict[str, Act]:
    """Who plays; each was made for the fitted market."""
    acts = {"policy": served(policy), UNTOLD: without_win_rates(policy)}
    if policy.planner is not None:
        plan = copy.deepcopy(policy)
        plan.plan_alone()
        acts["its plan alone"] = served(plan)
    return acts | {name: act_of(BASELINES.get(name), fitted) for name in AGAINST}


def without_win_rates(policy: Policy) -> Act:
    """The policy where nobody tells how many requests there were, which most advertisers do not know."""

    def act(state_BS: Tensor, low_BP: Tensor, high_BP: Tensor, _: Tensor) -> Tensor:
        untold = state_BS.clone()
        ALLOCATION.of_platforms(ALLOCATION.statistics(untold), "win_rate").zero_()
        share_BP: Tensor = policy(untold, low_BP, high_BP)
        return share_BP

    return from_state(act)


def measure(
    config: Config, folder: Path, trained: Path, chosen: range, names: Sequence[str], kept: Resumed
) -> dict[str, Any]:
    """Everything, as plain data."""
    torch.set_num_threads(1)
    before = os.getloadavg()
    fitted, policy = load(folder), load_policy(trained)
    settings = replace(config.evaluate, market_seed=FIRST_SEED + chosen.start, market_seeds=len(chosen))
    judged = replace(config, evaluate=settings)

    def played(world: Market) -> dict[str, Any]:
        best_N = judge_act(world, judged, oracle, "oracle").column("expected_revenue").sum(1)
        ratio = {
            who: judge_act(world, judged, act, who).column("expected_revenue").sum(1) / best_N
            for who, act in players(fitted, policy).items()
        }
        return {
            who: {
                "oracle_ratio": two_way(rows[None]),
                "lead of the policy": None if who == "policy" else two_way((ratio["policy"] - rows)[None]),
            }
            for who, rows in ratio.items()
        }

    result = {name: kept.part(name, partial(played, world)) for name, world in worlds(fitted, names).items()}
    return {
        "benchmark": "misfit",
        "generated": fitted.generated,
        "market seeds": [chosen.start, chosen.stop - 1],
        "cycles": settings.cycles,
        "factor": FACTOR,
        "worlds": result,
        "cpu seconds": kept.seconds,
        "machine": machine(before),
    }


def table(result: dict[str, Any]) -> str:
    """The result for people."""
    first, last = result["market seeds"]
    lines = [
        f"Worlds that nobody was made for: market seeds {first} to {last}, {result['cycles']} cycles each, factor "
        f"{result['factor']:g}{'; GENERATED DATA' if result['generated'] else ''}"
    ]
    for name, rows in result["worlds"].items():
        lines += ["", f"{name:<38}{'of the oracle':>26}{'lead of the policy':>30}"]
        lines += [
            f"  {label(who):<36}{with_interval(row['oracle_ratio']):>26}"
            f"{with_interval(row['lead of the policy'], '+'):>30}"
            for who, row in rows.items()
        ]
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.misfit", description="Worlds that were not fitted.")
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")
    parser.add_argument("--run", type=Path, help="folder of a finished run; without it one is made")
    parser.add_argument("--source", default="demo", help="where the log of a new run comes from")
    parser.add_argument("--data", help="its file")
    parser.add_argument("--seeds", type=seeds, default=range(20), help="market seeds, as 0-19")
    add_resume(parser)
    given = parser.parse_args()
    run, names = finished(given.run, given.source, given.data), (AS_FITTED, *WRONG, *SCENARIOS)
    seeds_of = [given.seeds.start, given.seeds.stop - 1]
    kept = Resumed(given.resume, of_run(run[2], benchmark="misfit", seeds=seeds_of))
    result = measure(*run, given.seeds, names, kept)
    print(json.dumps(result, indent=1) if given.json else table(result))


if __name__ == "__main__":
    main()

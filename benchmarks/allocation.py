"""Who allocates best: `python -m benchmarks.allocation [--json] [--run OUT | --source S --data FILE] [--seeds 0-19]`.

The policy of a run's train step, every competitor and the oracle play the run's fitted market in `exact`, auction by
auction, on the same market seeds, which no training or validation used. With `--training-seeds N` the policy is
trained N times; the intervals then resample training seeds and market seeds (two-way bootstrap).

Told are the revenue over the oracle's, the share of the gap from the uniform split to the oracle that is closed, and
the policy's lead, each with its 95 % interval; and the CPU seconds of the whole play.

`--learners all` adds stable-baselines3's PPO, DDPG, TD3 and SAC, trained on the same market for as many CPU seconds as
the policy took (`--equal seconds`) or as many campaign cycles (`--equal cycles`). `--resume FILE` keeps what every
player earned, and trained policies in a folder beside it.
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
import time
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from benchmarks._intervals import with_interval
from benchmarks._machine import machine
from benchmarks._resumed import Resumed, add_resume, of_run
from crossmix import drift
from crossmix.baselines.registry import BASELINES, label
from crossmix.config import Config, ConfigError, from_json, load
from crossmix.constraints import project
from crossmix.evaluate.judge import act_of, from_state, judge_act, oracle
from crossmix.evaluate.play import Act, play
from crossmix.evaluate.stats.significance import two_way
from crossmix.market.conditions import Conditions, scaled
from crossmix.market.environment import MarketEnvironment, Observation, episode_campaigns
from crossmix.market.horizon import Start, bound
from crossmix.market.model import Market
from crossmix.market.model import load as load_market
from crossmix.market.oracle import best_share
from crossmix.training.loop import train
from crossmix.training.policy_file import load_policy

Array = NDArray[np.float64]
LAST_DRIFT = "last_drift"
BOUNDS = {"oracle": "oracle (clairvoyant)", LAST_DRIFT: "bound: past drifts known"}
FIRST_SEED = 5_000_000
"""Market seed 0 of this benchmark: far from those of training, validation and the gates."""


def seeds(text: str) -> range:
    """`0-19` or `20` (the first twenty).

    Raises:
        ValueError: neither.
    """
    first, _, last = text.rpartition("-")
    chosen = range(int(first), int(last) + 1) if first else range(int(last))
    if len(chosen) < 2 or chosen.start < 0:
        raise ValueError(f"--seeds: {text!r} is no range of two or more market seeds; write it as 0-19")
    return chosen


def finished(out: Path | None, source: str, data: str | None) -> tuple[Config, Path, Path]:
    """Config, market folder and policy folder of a run; makes one where none is given."""
    if out is None:
        from pipelines import local

        out = Path(tempfile.mkdtemp(prefix="crossmix-bench-"))
        given = [f"data.source={source}"] + ([f"data.path={data}"] if data else [])
        local.run(load("laptop", given), out)
    try:
        run = json.loads((out / "run.json").read_text())
    except FileNotFoundError:
        raise ConfigError(
            f"--run: {str(out)!r} is no folder of a finished run; name one that `crossmix run` wrote"
        ) from None
    config = run["config"]
    steps = {name: out / folder for name, folder in run["steps"].items()}
    return from_json(config if isinstance(config, str) else json.dumps(config)), steps["market"], steps["train"]


def served(actor: torch.nn.Module) -> Act:
    """A policy as one who plays."""
    return from_state(lambda state, low, high, _: actor(state, low, high))


def players(market: Market, policies: Sequence[torch.nn.Module]) -> dict[str, Act]:
    """Everybody who plays, the policy once per training seed."""
    acts = {f"policy {number}": served(actor) for number, actor in enumerate(policies)}
    acts |= {baseline.name: act_of(baseline, market) for baseline in BASELINES.all()}
    return acts | {LAST_DRIFT: told_the_drift(), "oracle": oracle}


def told_the_drift() -> Act:
    """A bound for all who see reports of finished cycles only: it is told their true drifts instead.

    It solves the mean of the coming cycle, contexts and carry-over known; in a flight's first cycle it knows all.
    """
    last_BP: dict[str, Tensor] = {}

    def act(world: MarketEnvironment, observed: Observation) -> Tensor:
        mean, true = {}, {}
        for name, drift_BP in world.drift.items():
            rho, variance = world.parameter[f"{name}_persistence"], world.parameter[f"{name}_drift"] ** 2
            true[name] = mean[name] = drift.factor(drift_BP, variance)
            if last_BP:
                known = drift.Belief(last_BP[name], torch.zeros_like(variance))
                mean[name] = drift.expected_factor(drift.predict(known, rho, variance), variance)
        last_BP.update(world.drift)
        cycle = scaled(world.conditions, ctr=(1 / true["ctr"], mean["ctr"]), cvr=(1 / true["cvr"], mean["cvr"]))
        average = world.average.requests(world.weekday_B)
        predicted = replace(cycle, requests=average, price_multiplier=mean["price"])
        return best_share(predicted, world.cycle_budget_B(), observed.low_BP, observed.high_BP, grid=32, zooms=3)

    return act


def hindsight(market: Market, settings: Config, seeds: int = 5) -> dict[str, Any]:
    """The expected revenue of the best plan in hindsight, with the flight's money pooled, over the oracle's cycle by
    cycle: a bound, computed on the first few market seeds; no player can be expected to earn more.
    """
    world = MarketEnvironment(
        market,
        settings,
        campaign_B=episode_campaigns(market, seeds * len(market.campaigns)),
        cycles=settings.evaluate.cycles,
        mechanism="expected",
        seed=settings.evaluate.market_seed,
    )
    start = Start(world.budget_B, world.history.share_BP, world.limits, settings.market)
    conditions: list[Conditions] = []

    def noting(environment: MarketEnvironment, observed: Observation) -> Tensor:
        conditions.append(environment.conditions)
        return oracle(environment, observed)

    play(world, noting, settings.evaluate.cycles)
    best = bound(conditions, start, steps=0)
    ratio_N = (best.upper_B / best.myopic_B).reshape(seeds, -1).mean(1).numpy()
    return two_way(ratio_N[None])


def learned(
    config: Config, market: Market, kind: str, equal: str, took: dict[str, float]
) -> tuple[Act, dict[str, float]]:
    """One of stable-baselines3's learners after as much training as the policy had, and what it took."""
    from benchmarks._learners import learn

    limit = {"steps": 1 << 40, "seconds": took["seconds"]} if equal == "seconds" else {"steps": int(took["cycles"])}
    model, cycles, seconds = learn(kind, market, config, envs=config.train.parallel, **limit)
    act = from_state(lambda state, low, high, _: project(model(state, low, high), low, high))
    return act, {"cycles": cycles, "seconds": seconds}


def measure(
    config: Config,
    folder: Path,
    trained: Path,
    chosen: range,
    training_seeds: int,
    kept: Resumed,
    kinds: Sequence[str] = (),
    equal: str = "seconds",
) -> dict[str, Any]:
    """Everything, as plain data."""
    torch.set_num_threads(1)
    market, before = load_market(folder), os.getloadavg()
    policies = [load_policy(trained)]
    for seed in range(1, training_seeds):
        other = replace(config, train=replace(config.train, seed=config.train.seed + seed))
        policies.append(load_policy(kept.folder(f"policy {seed}", partial(train, other, folder))))
    curve = json.loads((trained / "curve.json").read_text())
    last = curve["points"][-1]
    took = {"cycles": curve["env_steps"], "seconds": last["seconds"] - last["validation_seconds"]}
    settings = replace(config.evaluate, market_seed=FIRST_SEED + chosen.start, market_seeds=len(chosen))
    judged = replace(config, evaluate=settings)

    def play_of(act: Act, name: str) -> dict[str, Any]:
        started = time.process_time()
        earned = judge_act(market, judged, act, name).column("expected_revenue").sum(1).tolist()
        return {"revenue": earned, "seconds": time.process_time() - started}

    def other_of(kind: str, name: str) -> dict[str, Any]:
        act, compute = learned(config, market, kind, equal, took)
        return play_of(act, name) | {"compute": compute}

    asked = {name: partial(play_of, act, name) for name, act in players(market, policies).items()}
    named = {f"stable-baselines3 {kind.upper()}, equal {equal}": kind for kind in kinds}
    asked |= {name: partial(other_of, kind, name) for name, kind in named.items()}
    played = {name: kept.part(name, measure_one) for name, measure_one in asked.items()}
    compute = {name: played[name]["compute"] for name in named}
    revenue: dict[str, Array] = {name: np.array(one["revenue"]) for name, one in played.items()}
    seconds: dict[str, float] = {name: one["seconds"] for name, one in played.items()}
    best, floor = revenue["oracle"], revenue["uniform"]
    policy_SN = np.stack([revenue.pop(f"policy {number}") for number in range(len(policies))])
    table = {
        "policy": {
            "label": "crossmix policy",
            "oracle_ratio": two_way(policy_SN / best),
            "gap_closed": two_way((policy_SN - floor) / (best - floor)),
            "lead": None,
            "seconds": seconds["policy 0"],
        }
    }
    for name, earned in revenue.items():
        table[name] = {
            "label": BOUNDS.get(name) or label(name),
            "oracle_ratio": two_way((earned / best)[None]),
            "gap_closed": two_way(((earned - floor) / (best - floor))[None]),
            "lead": two_way((policy_SN - earned) / best),
            "seconds": seconds[name],
        }
    return {
        "benchmark": "allocation",
        "generated": market.generated,
        "market": market.digest,
        "market seeds": [chosen.start, chosen.stop - 1],
        "training seeds": len(policies),
        "cycles": judged.evaluate.cycles,
        "hindsight bound over the oracle": kept.part("hindsight", lambda: hindsight(market, judged)),
        "training": {"crossmix policy": took, **compute},
        "players": table,
        "cpu seconds": kept.seconds,
        "machine": machine(before),
    }


def table(result: dict[str, Any]) -> str:
    """The result for people."""
    first, last = result["market seeds"]
    lines = [
        f"Allocation: market seeds {first} to {last}, {result['cycles']} cycles each, "
        f"{result['training seeds']} training seed(s){'; GENERATED DATA' if result['generated'] else ''}",
        "",
        f"{'':<38}{'of the oracle':>26}{'gap closed':>26}{'lead of the policy':>30}{'CPU s':>8}",
    ]

    ranked = sorted(result["players"].values(), key=lambda row: -row["oracle_ratio"]["mean"])
    lines += [
        f"{row['label']:<38}{with_interval(row['oracle_ratio']):>26}{with_interval(row['gap_closed']):>26}"
        f"{with_interval(row['lead'], '+'):>30}{row['seconds']:>8.1f}"
        for row in ranked
    ]
    lines += [
        "",
        f"bound: the best plan in hindsight, the flight's money pooled, earns at most "
        f"{with_interval(result['hindsight bound over the oracle'])} of the oracle",
    ]
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.allocation", description="Who allocates best.")
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")
    parser.add_argument("--run", type=Path, help="folder of a finished run; without it one is made")
    parser.add_argument("--source", default="demo", help="where the log of a new run comes from")
    parser.add_argument("--data", help="its file")
    parser.add_argument("--seeds", type=seeds, default=range(20), help="market seeds, as 0-19")
    parser.add_argument("--training-seeds", type=int, default=1, help="how often the policy is trained")
    parser.add_argument("--learners", help="stable-baselines3's: some of ppo,ddpg,td3,sac, or all")
    parser.add_argument("--equal", choices=["seconds", "cycles"], default="seconds", help="what they get as much of")
    add_resume(parser)
    given = parser.parse_args()
    kinds: Sequence[str] = ()
    if given.learners:
        from benchmarks._learners import names

        kinds = names(given.learners)
    run = finished(given.run, given.source, given.data)
    of = of_run(run[2], benchmark="allocation", seeds=[given.seeds.start, given.seeds.stop - 1], equal=given.equal)
    result = measure(*run, given.seeds, given.training_seeds, Resumed(given.resume, of), kinds, given.equal)
    print(json.dumps(result, indent=1) if given.json else table(result))


if __name__ == "__main__":
    main()

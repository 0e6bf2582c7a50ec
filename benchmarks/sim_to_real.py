"""From simulation to reality: `python -m benchmarks.sim_to_real [--json] [--run OUT] [--short]`.

A policy is trained in a simulator that is not what it will meet, aligned with the log's transitions in each way, and
judged in `exact` in reality:

| case          | simulator                                             | reality                                    |
|---------------|-------------------------------------------------------|--------------------------------------------|
| the test days | the market fitted from the log's training days        | the market of its test days (`later`)      |
| one of BIASES | the market of the training days, wrong on purpose     | the market of the training days            |

| name   | what                                                                                       |
|--------|--------------------------------------------------------------------------------------------|
| none   | trained in the simulator                                                                   |
| policy | eq. 6: the discriminator moves the policy                                                  |
| market | the discriminator moves the simulator's parameters, then `align.updates` pathwise updates  |
| longer | none, and as many pathwise updates more in the simulator: market's control                 |
| right  | trained in reality: a bound                                                                |

The discriminator sees the first 75 % of the log's transitions, none of the demo's test days. Told are revenue over the
oracle's and the lead over `none`, with 95 % intervals over training seeds x market seeds. `--resume FILE` keeps every
finished case, and trained policies in a folder beside it.
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
import time
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from benchmarks._intervals import with_interval
from benchmarks._machine import machine
from benchmarks._resumed import Resumed, add_resume, of_run
from benchmarks.allocation import finished, served
from crossmix.artifacts import RunRecord
from crossmix.config import Config
from crossmix.evaluate.judge import judge_act, oracle
from crossmix.evaluate.stats.significance import two_way
from crossmix.market.fit.fit import estimate
from crossmix.market.fit.log import Log, read
from crossmix.market.model import Market, load, save
from crossmix.schema import Dataset
from crossmix.training.align import (
    QUANTITIES,
    Logged,
    align_market,
    align_policy,
    scaled,
    transitions,
)
from crossmix.training.finetune import retrained
from crossmix.training.loop import train
from crossmix.training.policy_file import load_policy

FIRST_SEED = 5_200_000
BIASES: dict[str, dict[str, float]] = {
    "click rates": {"ctr": 2.0},
    "prices": {"level": 1.5},
    "conversion rates": {"cvr": 2.0},
}
"""Factor of a quantity on the odd platforms, one over it on the even ones."""


TEST_DAYS = "the test days"
REFITTED = ("requests", "ctr", "cvr", "value", "value_cv", "saturation")
"""Parameters that two weeks of a log tell, beside prices."""


def wrong(market: Market, bias: dict[str, float]) -> Market:
    """The market with a planted error.

    Args:
        bias: factor by quantity, one of `QUANTITIES` or another of the market's tables.
    """
    theta = torch.zeros(len(QUANTITIES), len(market.platforms))
    sign = torch.tensor([1.0 if p % 2 else -1.0 for p in range(len(market.platforms))])
    value = dict(market.value)
    for name, factor in bias.items():
        if name in QUANTITIES:
            theta[QUANTITIES.index(name)] = sign * float(np.log(factor))
        else:
            value[name] = value[name] * torch.pow(factor, sign)
    return scaled(replace(market, value=value), theta)


def later(config: Config, dataset: Dataset, fitted: Market) -> Market:
    """The fitted market with its rates, volumes and prices fitted anew, on all users of the log's test days.

    Drifts, contexts, weekdays, limits and budgets stay: the test period is too short to tell them.
    """
    log = read(dataset)
    first, cycles = log.meta.first_cycle["test"], log.meta.cycles - log.meta.first_cycle["test"]
    start = pd.Timestamp(log.meta.start) + first * pd.Timedelta(hours=log.meta.cycle_hours)
    meta = replace(
        log.meta,
        start=start.isoformat(),
        cycles=cycles,
        first_cycle={"train": 0, "validation": cycles, "test": cycles},
    )
    frame = log.frame[log.frame["split"] == "test"].reset_index(drop=True)
    frame = frame.assign(
        cycle=frame["cycle"] - first,
        arrival=frame["arrival"] - first,
        split="train",
        holdout=np.zeros(len(frame), bool),
    )
    again = estimate(config, dataset, Log(meta, frame), None)
    value = fitted.value | {name: again.value[name] for name in REFITTED}
    return replace(fitted, value=value, price=again.price, price_law=again.price_law)


def apart(simulator: Market, reality: Market) -> Tensor:
    """ln of reality over the simulator, (Q, P), campaigns averaged: what alignment should find."""
    rows = []
    for name in QUANTITIES:
        here, there = (
            market.prices(torch.arange(len(market.campaigns))).mean() if name == "level" else market.value[name]
            for market in (simulator, reality)
        )
        rows.append((there.clamp(min=1e-12) / here.clamp(min=1e-12)).log().mean(0))
    return torch.stack(rows)


def measure(
    config: Config, dataset: Path, folder: Path, training_seeds: int, cases: list[str], kept: Resumed
) -> dict[str, Any]:
    """Everything, as plain data."""
    torch.set_num_threads(1)
    fitted, data, before = load(folder), Dataset(dataset), os.getloadavg()
    logged = transitions(data, config, fitted)

    def policies(name: str, market: Market) -> list[Path]:
        return [
            kept.folder(f"{name}, seed {seed}", partial(_train, config, market, seed)) for seed in range(training_seeds)
        ]

    def case(name: str) -> dict[str, Any]:
        usual = policies("fitted", fitted)
        if name == TEST_DAYS:
            reality = later(config, data, fitted)
            return _case(config, logged, fitted, reality, usual, policies(name, reality))
        simulator = wrong(fitted, BIASES[name])
        return _case(config, logged, simulator, fitted, policies(name, simulator), usual)

    result = {name: kept.part(name, partial(case, name)) for name in cases}
    return {
        "benchmark": "sim_to_real",
        "generated": fitted.generated,
        "training seeds": training_seeds,
        "market seeds": config.evaluate.market_seeds,
        "cases": result,
        "cpu seconds": kept.seconds,
        "machine": machine(before),
    }


def _train(config: Config, market: Market, seed: int, out: Path) -> None:
    """A policy, into an empty folder."""
    with tempfile.TemporaryDirectory() as here:
        save(market, Path(here))
        train(replace(config, train=replace(config.train, seed=seed, agent="pathwise")), Path(here), out)


def _case(
    config: Config, logged: Logged, simulator: Market, reality: Market, start: list[Path], right: list[Path]
) -> dict[str, Any]:
    """One row of the first table; `start` and `right` are policies of the simulator and of reality, one a seed."""
    judged = replace(config, evaluate=replace(config.evaluate, market_seed=FIRST_SEED))
    best = judge_act(reality, judged, oracle, "oracle").column("expected_revenue").sum(1)

    def ratio(policy: torch.nn.Module) -> Any:
        return judge_act(reality, judged, served(policy), "policy").column("expected_revenue").sum(1) / best

    target_QP = apart(simulator, reality)
    rows: dict[str, list[Any]] = {way: [] for way in ("none", "policy", "market", "longer", "right")}
    seconds = {"policy": 0.0, "market": 0.0}
    errors = []
    for seed, out in enumerate(start):
        torch.manual_seed(seed)
        rows["none"].append(ratio(load_policy(out)))
        started = time.process_time()
        aligned = align_policy(config, simulator, logged, load_policy(out))[0]
        seconds["policy"] += time.process_time() - started
        rows["policy"].append(ratio(aligned))
        started = time.process_time()
        theta_QP, _ = align_market(config, simulator, logged)
        aligned = retrained(config, scaled(simulator, theta_QP), load_policy(out), config.align.updates)
        seconds["market"] += time.process_time() - started
        rows["market"].append(ratio(aligned))
        rows["longer"].append(ratio(retrained(config, simulator, load_policy(out), config.align.updates)))
        rows["right"].append(ratio(load_policy(right[seed])))
        errors.append(float((target_QP - theta_QP).abs().mean()))
    tables = {way: np.stack(values) for way, values in rows.items()}
    return {
        "ways": {
            way: {
                "oracle_ratio": two_way(values),
                "lead": None if way == "none" else two_way(values - tables["none"]),
            }
            for way, values in tables.items()
        },
        "CPU seconds": seconds,
        "error, mean |ln|": float(target_QP.abs().mean()),
        "error, mean |ln|, of each": dict(zip(QUANTITIES, target_QP.abs().mean(1).tolist(), strict=True)),
        "error left, mean |ln|": float(np.mean(errors)),
    }


def table(result: dict[str, Any]) -> str:
    """The result for people."""
    lines = [
        f"Trained in one market, judged in another: {result['training seeds']} training x "
        f"{result['market seeds']} market seeds{'; GENERATED DATA' if result['generated'] else ''}"
    ]
    for name, case in result["cases"].items():
        lines += [
            "",
            f"{name}: mean |ln| {case['error, mean |ln|']:.3f} apart, "
            f"{case['error left, mean |ln|']:.3f} after alignment of the market",
        ]
        for way, row in case["ways"].items():
            lead = "" if row["lead"] is None else f"   lead {with_interval(row['lead'], '+')}"
            lines.append(f"  {way:<8}{with_interval(row['oracle_ratio'])}{lead}")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.sim_to_real", description="From simulation to reality.")
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")
    parser.add_argument("--run", type=Path, help="folder of a finished run; without it one is made")
    parser.add_argument("--source", default="demo", help="where the log of a new run comes from")
    parser.add_argument("--data", help="its file")
    parser.add_argument("--training-seeds", type=int, default=3, help="how often every policy is trained")
    parser.add_argument("--short", action="store_true", help="two cases, two training seeds, few updates: a smoke run")
    add_resume(parser)
    given = parser.parse_args()
    config, market, trained = finished(given.run, given.source, given.data)
    dataset = steps(given.run or market.parents[2])["ingest"]
    if given.short:
        small = replace(config.train, pathwise=replace(config.train.pathwise, updates=200))
        config = replace(
            config,
            train=small,
            evaluate=replace(config.evaluate, market_seeds=6, cycles=8),
            align=replace(config.align, iterations=100, updates=50),
        )
    seeds = 2 if given.short else given.training_seeds
    kept = Resumed(given.resume, of_run(trained, benchmark="sim_to_real", short=given.short, seeds=seeds))
    result = measure(config, dataset, market, seeds, [TEST_DAYS, *BIASES][: 2 if given.short else None], kept)
    print(json.dumps(result, indent=1) if given.json else table(result))


def steps(out: Path) -> dict[str, Path]:
    """Step folders of a finished run."""
    return {name: out / folder for name, folder in RunRecord.load(out).steps.items()}


if __name__ == "__main__":
    main()

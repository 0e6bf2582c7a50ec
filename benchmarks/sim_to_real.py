"""From simulation to reality: `python -m benchmarks.sim_to_real [--json] [--run OUT] [--short]`.

Reality is the market fitted from the log; the simulator is a copy of it that is wrong on purpose (`BIASES`). A policy
is trained in the wrong one, aligned with the log's transitions in each way, and judged in `exact` in reality:

| name   | what                                                                                   |
|--------|----------------------------------------------------------------------------------------|
| none   | trained in the wrong market                                                            |
| policy | eq. 6: the discriminator moves the policy                                              |
| market | the discriminator moves the market's parameters, then `align.updates` pathwise updates |
| longer | none, and as many pathwise updates more in the wrong market: market's control          |
| right  | trained in reality: a bound                                                            |

Told are revenue over the oracle's and the lead over `none`, with 95 % intervals over training seeds x market seeds.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from benchmarks.allocation import finished
from crossmix.align import QUANTITIES, align_market, align_policy, retrain, scaled, transitions
from crossmix.config import Config
from crossmix.evaluate.judge import from_state, oracle, play
from crossmix.evaluate.significance import two_way
from crossmix.market.model import Market, load, save
from crossmix.schema import Dataset
from crossmix.train import load_policy, train

FIRST_SEED = 5_200_000
BIASES: dict[str, dict[str, float]] = {
    "click rates": {"ctr": 2.0},
    "prices": {"level": 1.5},
    "conversion rates": {"cvr": 2.0},
}
"""Factor of a quantity on the odd platforms, one over it on the even ones."""


def wrong(market: Market, bias: dict[str, float]) -> Market:
    """The market with a planted error."""
    theta = torch.zeros(len(QUANTITIES), len(market.platforms))
    sign = torch.tensor([1.0 if p % 2 else -1.0 for p in range(len(market.platforms))])
    for name, factor in bias.items():
        theta[QUANTITIES.index(name)] = sign * float(np.log(factor))
    return scaled(market, theta)


def measure(config: Config, dataset: Path, folder: Path, training_seeds: int, biases: list[str]) -> dict[str, Any]:
    """Everything, as plain data."""
    torch.set_num_threads(1)
    reality = load(folder)
    judged = replace(config, evaluate=replace(config.evaluate, market_seed=FIRST_SEED))
    logged = transitions(Dataset(dataset), config, reality)
    best = play(reality, judged, oracle, "oracle").column("merit").sum(1)

    def merit(policy: torch.nn.Module) -> Any:
        act = from_state(lambda state, low, high, _: policy(state, low, high))
        return play(reality, judged, act, "policy").column("merit").sum(1) / best

    def trained(market: Market, seed: int) -> Path:
        here, out = Path(tempfile.mkdtemp()), Path(tempfile.mkdtemp())
        save(market, here)
        train(replace(config, train=replace(config.train, seed=seed, agent="pathwise")), here, out)
        return out

    result: dict[str, Any] = {}
    right = np.stack([merit(load_policy(trained(reality, seed))) for seed in range(training_seeds)])
    for name in biases:
        market = wrong(reality, BIASES[name])
        rows: dict[str, list[Any]] = {way: [] for way in ("none", "policy", "market", "longer")}
        seconds = {"policy": 0.0, "market": 0.0}
        errors = []
        for seed in range(training_seeds):
            out = trained(market, seed)
            torch.manual_seed(seed)
            rows["none"].append(merit(load_policy(out)))
            started = time.process_time()
            rows["policy"].append(merit(align_policy(config, market, logged, load_policy(out))[0]))
            seconds["policy"] += time.process_time() - started
            started = time.process_time()
            theta_QP, _ = align_market(config, market, logged)
            mended = scaled(market, theta_QP)
            rows["market"].append(merit(retrain(config, mended, load_policy(out))))
            seconds["market"] += time.process_time() - started
            rows["longer"].append(merit(retrain(config, market, load_policy(out))))
            for q, quantity in enumerate(QUANTITIES):
                planted = np.log(BIASES[name].get(quantity, 1.0))
                left = theta_QP[q].numpy() + planted * np.array([1 if p % 2 else -1 for p in range(len(theta_QP[q]))])
                errors.append(float(np.abs(left).mean()))
        tables = {way: np.stack(values) for way, values in rows.items()} | {"right": right}
        result[name] = {
            "ways": {
                way: {
                    "oracle_ratio": two_way(values),
                    "lead": None if way == "none" else two_way(values - tables["none"]),
                }
                for way, values in tables.items()
            },
            "CPU seconds": seconds,
            "planted error, mean |ln|": float(
                np.mean([abs(np.log(BIASES[name].get(quantity, 1.0))) for quantity in QUANTITIES])
            ),
            "error left, mean |ln|": float(np.mean(errors)),
        }
    return {
        "benchmark": "sim_to_real",
        "generated": reality.generated,
        "training seeds": training_seeds,
        "market seeds": config.evaluate.market_seeds,
        "biases": result,
    }


def table(result: dict[str, Any]) -> str:
    """The result for people."""
    lines = [
        f"Trained in a wrong market, judged in the right one: {result['training seeds']} training x "
        f"{result['market seeds']} market seeds{'; GENERATED DATA' if result['generated'] else ''}"
    ]
    for name, found in result["biases"].items():
        lines += [
            "",
            f"{name}: planted mean |ln| {found['planted error, mean |ln|']:.3f}, "
            f"left by alignment {found['error left, mean |ln|']:.3f}",
        ]
        for way, row in found["ways"].items():
            low, high = row["oracle_ratio"]["ci95"]
            told = f"  {way:<8}{row['oracle_ratio']['mean']:.4f} [{low:.4f}, {high:.4f}]"
            if row["lead"] is not None:
                low, high = row["lead"]["ci95"]
                told += f"   lead {row['lead']['mean']:+.4f} [{low:+.4f}, {high:+.4f}]"
            lines.append(told)
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.sim_to_real", description="From simulation to reality.")
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")
    parser.add_argument("--run", type=Path, help="folder of a finished run; without it one is made")
    parser.add_argument("--source", default="demo", help="where the log of a new run comes from")
    parser.add_argument("--data", help="its file")
    parser.add_argument("--training-seeds", type=int, default=3, help="how often every policy is trained")
    parser.add_argument("--short", action="store_true", help="one bias, two training seeds, few updates: a smoke run")
    given = parser.parse_args()
    config, market, _ = finished(given.run, given.source, given.data)
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
    result = measure(config, dataset, market, seeds, list(BIASES)[: 1 if given.short else None])
    print(json.dumps(result, indent=1) if given.json else table(result))


def steps(out: Path) -> dict[str, Path]:
    """Step folders of a finished run."""
    return {name: out / folder for name, folder in json.loads((out / "run.json").read_text())["steps"].items()}


if __name__ == "__main__":
    main()

"""Fourteen days of eq. 12: `python -m benchmarks.online [--json] [--run OUT] [--short]`.

A fleet of flights (`ROWS` campaign cycles a day, each in a world of its own) is served in `exact` for 14 days, in the
fitted market with its own drift and under gradual shifts. Compared are

| name           | what                                                                    |
|----------------|-------------------------------------------------------------------------|
| frozen         | the run's policy                                                        |
| exploring      | the same with the logits' noise that online learning needs: its price   |
| paper          | eq. 12 as written (`strict`), at the paper's rate                       |
| paper's rate   | with baseline, clipped weights and trust region, at the paper's rate    |
| tuned          | the same at the rate that did best on other market seeds                |

Told are 14 days' revenue over the oracle's, the lead over `frozen` and over `exploring` with paired 95 % intervals over
market seeds, and how far the splits have moved at the end.
"""

from __future__ import annotations

import argparse
import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from benchmarks.allocation import finished
from crossmix import reward
from crossmix.agents.online import Feedback, explore, update
from crossmix.agents.policy import Policy
from crossmix.config import Config, strict
from crossmix.config import Online as Settings
from crossmix.evaluate.judge import oracle
from crossmix.evaluate.stats.significance import two_way
from crossmix.exploration import Exploration
from crossmix.market.environment import MarketEnvironment
from crossmix.market.model import Market, load
from crossmix.market.shift import shift
from crossmix.training.policy_file import load_policy

DAYS, ROWS = 14, 48
FIRST_SEED, TUNING_SEED = 5_800_000, 700_000
RATES = (1e-4, 3e-4, 1e-3, 3e-3)
MARKETS: dict[str, str | None] = {"its own drift": None, "prices ramp": "price_shock", "clicks ramp": "ctr_collapse"}


@dataclass(frozen=True, slots=True)
class Way:
    """How a policy is served."""

    explores: bool
    settings: Settings | None = None
    """Of the daily updates; `None`: frozen."""


def fortnight(
    market: Market, config: Config, policy: Policy, way: Way, seed: int, days: int, rows: int
) -> tuple[float, float]:
    """Revenue of the fortnight, and the mean L1 distance of the last policy's splits from the first's."""
    world = MarketEnvironment(
        market,
        config,
        campaign_B=torch.arange(rows) % len(market.campaigns),
        cycles=days,
        mechanism="exact",
        seed=seed,
    )
    generator = torch.Generator().manual_seed(seed)
    exploration = Exploration.of(config)
    served, window, merit = policy, [], 0.0
    seen = world.observe()
    for day in range(1, days + 1):
        with torch.no_grad():
            logits, density = served.logits(seen.state_BS), torch.zeros(rows)
        if way.explores:
            logits, density = explore(served, exploration, seen.state_BS, generator)
        step = world.step(torch.softmax(logits, 1))
        outcome = step.outcome
        assert outcome.merit is not None
        merit += float(outcome.merit.double().sum())
        if way.settings is not None:
            earned = reward.online(config.reward, outcome.roi_B(), outcome.ctr_B(), outcome.cvr_B())
            window.append(Feedback(seen.state_BS, logits, density, earned, world.campaign_B))
            window = window[-way.settings.window :]
            served = update(served, exploration, Feedback.joined(window), day, way.settings, seed).policy
        seen = step.observation
    with torch.no_grad():
        moved = float((served.raw(seen.state_BS) - policy.raw(seen.state_BS)).abs().sum(1).mean())
    return merit, moved


def ideal(market: Market, config: Config, seed: int, days: int, rows: int) -> float:
    """The oracle's revenue in the same world."""
    campaigns = torch.arange(rows) % len(market.campaigns)
    world = MarketEnvironment(market, config, campaign_B=campaigns, cycles=days, mechanism="exact", seed=seed)
    seen, merit = world.observe(), 0.0
    for _ in range(days):
        step = world.step(oracle(world, seen))
        assert step.outcome.merit is not None
        merit += float(step.outcome.merit.double().sum())
        seen = step.observation
    return merit


def measure(config: Config, folder: Path, trained: Path, seeds: int, days: int, rows: int) -> dict[str, Any]:
    """Everything, as plain data."""
    torch.set_num_threads(1)
    market, policy = load(folder), load_policy(trained)
    result: dict[str, Any] = {}
    for name, scenario in MARKETS.items():
        world = market if scenario is None else shift(market, scenario, ramp=days // 2)
        tuned = max(
            RATES,
            key=lambda rate: sum(
                fortnight(world, config, policy, _online(config, rate), TUNING_SEED + seed, days, rows)[0]
                for seed in range(max(seeds // 5, 2))
            ),
        )
        ways = {
            "frozen": Way(False),
            "exploring": Way(True),
            "paper": Way(True, strict(config).online),
            "paper's rate": _online(config, config.online.learning_rate),
            "tuned": _online(config, tuned),
        }
        best = np.array([ideal(world, config, FIRST_SEED + seed, days, rows) for seed in range(seeds)])
        earned, moved = {}, {}
        for way, how in ways.items():
            told = [fortnight(world, config, policy, how, FIRST_SEED + seed, days, rows) for seed in range(seeds)]
            earned[way] = np.array([merit for merit, _ in told]) / best
            moved[way] = float(np.mean([distance for _, distance in told]))
        result[name] = {
            "tuned rate": tuned,
            "ways": {
                way: {
                    "oracle_ratio": two_way(ratio[None]),
                    "lead over frozen": two_way((ratio - earned["frozen"])[None]),
                    "lead over exploring": two_way((ratio - earned["exploring"])[None]),
                    "moved": moved[way],
                }
                for way, ratio in earned.items()
            },
        }
    return {
        "benchmark": "online",
        "generated": market.generated,
        "days": days,
        "cycles a day": rows,
        "market seeds": seeds,
        "sigma": config.online.sigma,
        "markets": result,
    }


def _online(config: Config, rate: float) -> Way:
    return Way(True, replace(config.online, learning_rate=rate))


def table(result: dict[str, Any]) -> str:
    """The result for people."""
    lines = [
        f"{result['days']} days of online fine-tuning, {result['cycles a day']} logged cycles a day, "
        f"{result['market seeds']} market seeds, exploration {result['sigma']:g}"
        f"{'; GENERATED DATA' if result['generated'] else ''}"
    ]
    for name, found in result["markets"].items():
        lines += ["", f"{name} (tuned rate {found['tuned rate']:g})"]
        for way, row in found["ways"].items():
            low, high = row["lead over frozen"]["ci95"]
            lower, higher = row["lead over exploring"]["ci95"]
            lines.append(
                f"  {way:<14}{row['oracle_ratio']['mean']:.4f}   over frozen {row['lead over frozen']['mean']:+.4f} "
                f"[{low:+.4f}, {high:+.4f}]   over exploring {row['lead over exploring']['mean']:+.4f} "
                f"[{lower:+.4f}, {higher:+.4f}]   moved {row['moved']:.3f}"
            )
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.online", description="Fourteen days of eq. 12.")
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")
    parser.add_argument("--run", type=Path, help="folder of a finished run; without it one is made")
    parser.add_argument("--source", default="demo", help="where the log of a new run comes from")
    parser.add_argument("--data", help="its file")
    parser.add_argument("--seeds", type=int, default=20, help="market seeds")
    parser.add_argument("--short", action="store_true", help="2 seeds, 4 days, 6 cycles a day: a smoke run")
    given = parser.parse_args()
    seeds, days, rows = (2, 4, 6) if given.short else (given.seeds, DAYS, ROWS)
    result = measure(*finished(given.run, given.source, given.data), seeds, days, rows)
    print(json.dumps(result, indent=1) if given.json else table(result))


if __name__ == "__main__":
    main()

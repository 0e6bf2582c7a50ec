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
market seeds, and how far the splits have moved at the end. `--resume FILE` keeps every finished row.
"""

from __future__ import annotations

import argparse
import json
import os
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from benchmarks._machine import machine
from benchmarks._resumed import Resumed, add_resume, of_run
from benchmarks.allocation import finished
from crossmix import reward
from crossmix.agents.online import Feedback, explore, update
from crossmix.agents.policy import Policy
from crossmix.config import Config, strict
from crossmix.config import Online as Settings
from crossmix.evaluate.judge import oracle
from crossmix.evaluate.play import play
from crossmix.evaluate.stats.significance import two_way
from crossmix.exploration import Exploration
from crossmix.market.environment import MarketEnvironment, Observation, Step
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


class Server:
    """A policy that is served in one way, and learns as that way does.

    Args:
        policy: what it begins with; it stays as it is.
        rows: flights served side by side.
    """

    def __init__(self, policy: Policy, config: Config, way: Way, seed: int, rows: int) -> None:
        self.policy, self.config, self.way, self.seed, self.day = policy, config, way, seed, 0
        self.generator = torch.Generator().manual_seed(seed)
        self.exploration = Exploration.of(config)
        self.window: list[Feedback] = []
        self.logits_BP, self.density_B = torch.empty(0), torch.zeros(rows)

    def __call__(self, world: MarketEnvironment, observed: Observation, /) -> Tensor:
        """Sampled or plain splits, (B, P), before the limits."""
        self.logits_BP = self.policy.logits(observed.state_BS)
        if self.way.explores:
            self.logits_BP, self.density_B = explore(self.policy, self.exploration, observed.state_BS, self.generator)
        return torch.softmax(self.logits_BP, 1)

    def learn(self, world: MarketEnvironment, observed: Observation, step: Step, /) -> None:
        """The day's update from the newest feedback."""
        self.day += 1
        settings, outcome = self.way.settings, step.outcome
        if settings is None:
            return
        reward_B = reward.online(self.config.reward, outcome.roi_B(), outcome.ctr_B(), outcome.cvr_B())
        feedback = Feedback(observed.state_BS, self.logits_BP, self.density_B, reward_B, world.campaign_B)
        self.window = [*self.window, feedback][-settings.window :]
        log = Feedback.joined(self.window)
        self.policy = update(self.policy, self.exploration, log, self.day, settings, self.seed).policy


def fortnight(
    market: Market, config: Config, policy: Policy, way: Way, seed: int, days: int, rows: int
) -> tuple[float, float]:
    """Revenue of the fortnight, and the mean L1 distance of the last policy's splits from the first's."""
    world, server = _world(market, config, seed, days, rows), Server(policy, config, way, seed, rows)
    earned = float(play(world, server, days).of("expected_revenue").sum())
    with torch.no_grad():
        state_BS = world.observe().state_BS
        moved = float((server.policy.raw(state_BS) - policy.raw(state_BS)).abs().sum(1).mean())
    return earned, moved


def ideal(market: Market, config: Config, seed: int, days: int, rows: int) -> float:
    """The oracle's revenue in the same world."""
    return float(play(_world(market, config, seed, days, rows), oracle, days).of("expected_revenue").sum())


def _world(market: Market, config: Config, seed: int, days: int, rows: int) -> MarketEnvironment:
    campaign_B = torch.arange(rows) % len(market.campaigns)
    return MarketEnvironment(market, config, campaign_B=campaign_B, cycles=days, mechanism="exact", seed=seed)


def measure(
    config: Config, folder: Path, trained: Path, seeds: int, days: int, rows: int, kept: Resumed
) -> dict[str, Any]:
    """Everything, as plain data."""
    torch.set_num_threads(1)
    market, policy, before = load(folder), load_policy(trained), os.getloadavg()

    def all_of(world: Market, how: Way, first: int, count: int) -> list[tuple[float, float]]:
        return [fortnight(world, config, policy, how, first + seed, days, rows) for seed in range(count)]

    def best_of(world: Market) -> list[float]:
        return [ideal(world, config, FIRST_SEED + seed, days, rows) for seed in range(seeds)]

    result: dict[str, Any] = {}
    for name, scenario in MARKETS.items():
        world = market if scenario is None else shift(market, scenario, ramp=days // 2)
        tried = {
            rate: kept.part(
                f"{name}: rate {rate:g}",
                partial(all_of, world, _online(config, rate), TUNING_SEED, max(seeds // 5, 2)),
            )
            for rate in RATES
        }
        tuned = max(RATES, key=lambda rate: sum(revenue for revenue, _ in tried[rate]))
        ways = {
            "frozen": Way(False),
            "exploring": Way(True),
            "paper": Way(True, strict(config).online),
            "paper's rate": _online(config, config.online.learning_rate),
            "tuned": _online(config, tuned),
        }
        best = np.array(kept.part(f"{name}: oracle", partial(best_of, world)))
        earned, moved = {}, {}
        for way, how in ways.items():
            fortnights = kept.part(f"{name}: {way}", partial(all_of, world, how, FIRST_SEED, seeds))
            earned[way] = np.array([revenue for revenue, _ in fortnights]) / best
            moved[way] = float(np.mean([distance for _, distance in fortnights]))
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
        "cpu seconds": kept.seconds,
        "machine": machine(before),
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
    for name, market in result["markets"].items():
        lines += ["", f"{name} (tuned rate {market['tuned rate']:g})"]
        for way, row in market["ways"].items():
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
    add_resume(parser)
    given = parser.parse_args()
    sizes = (2, 4, 6) if given.short else (given.seeds, DAYS, ROWS)
    run = finished(given.run, given.source, given.data)
    result = measure(*run, *sizes, Resumed(given.resume, of_run(run[2], benchmark="online", sizes=sizes)))
    print(json.dumps(result, indent=1) if given.json else table(result))


if __name__ == "__main__":
    main()

"""How fast a policy recovers after the market moves: `python -m benchmarks.adapt [--json] [--run OUT] [--short]`.

Held-out tasks: strata of the log that no training saw (`crossmix.market.tasks`), each hit by every named scenario of
`crossmix.market.shift` at its flight's first cycle. Every cycle the policy is scored, by expected revenue over the
oracle's on the task's rows, and then makes one gradient step on that cycle: cycles and updates are the same number.
Recovered is a task when two cycles in a row are at `LEVEL` or above; one that never is counts as censored at the
horizon and is told apart.

| adapter    | start                                               | rate                                      |
|------------|-----------------------------------------------------|-------------------------------------------|
| maml       | meta-trained (eq. 7, 8)                             | learned, times the best of a grid         |
| multi-task | trained on the same tasks, as many environments     | the best of the grid                      |
| plain      | the run's policy                                    | the best of the grid                      |
| none       | the run's policy                                    | 0                                         |

Rates are chosen on training tasks. All is done twice: with the full state, and with its 128 budget statistics replaced
by their mean, so that nothing but the gradient tells of the shift; MAML and multi-task are trained under the same mask.
`--resume FILE` keeps every finished row, and a training's state after every `EVERY` iterations in a folder beside it.
"""

from __future__ import annotations

import argparse
import copy
import itertools
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
from torch import Tensor

from benchmarks._machine import machine
from benchmarks._resumed import Resumed, add_resume, of_run
from benchmarks.allocation import finished
from crossmix.agents.maml import MAML, Loss, Parameters, inner_step, named, pathwise_loss
from crossmix.agents.policy import Policy
from crossmix.config import Config
from crossmix.files import replacing
from crossmix.market.environment import MarketEnvironment
from crossmix.market.model import Market
from crossmix.market.model import load as load_market
from crossmix.market.oracle import best_share
from crossmix.market.shift import SCENARIOS, shift
from crossmix.market.tasks import tasks
from crossmix.state import ALLOCATION
from crossmix.training.meta import base_tasks, draw_task, environments
from crossmix.training.policy_file import load_policy

LEVEL = 0.95
FIRST_SEED = 5_500_000
ROWS = 32
VIEWS = ("full state", "statistics masked")
GRID = (0.003, 0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0, 30.0)
"""Rates of plain gradient steps."""
EVERY = 50
"""Iterations of a training between two states that are kept."""
FACTORS = (0.3, 1.0, 3.0, 10.0, 30.0, 100.0)
"""On MAML's learned rates."""


@dataclass(frozen=True, slots=True)
class Adapter:
    """A start and its rates; no rates: it stays as it is."""

    policy: Policy
    rates: Parameters | None


@dataclass(frozen=True, slots=True)
class Size:
    """How much of everything."""

    tasks: int
    cycles: int
    iterations: int
    tuning: int
    scenarios: tuple[str, ...]
    views: tuple[str, ...] = VIEWS


def masked(policy: Policy) -> Callable[[Tensor], Tensor]:
    """States with the budget statistics at their training mean."""
    mean = ALLOCATION.statistics(policy.normaliser.mean).clone()

    def of(state_BS: Tensor) -> Tensor:
        return torch.cat([ALLOCATION.context(state_BS), mean.expand(len(state_BS), -1)], 1)

    return of


def flight(config: Config, market: Market, adapter: Adapter, loss: Loss, cycles: int, seed: int) -> list[float]:
    """Revenue over the oracle's, cycle by cycle; one update after each."""
    environment = MarketEnvironment(
        market,
        config,
        campaign_B=torch.arange(ROWS) % len(market.campaigns),
        cycles=cycles,
        mechanism="counts",
        seed=seed,
    )
    now = {name: value.detach().clone().requires_grad_(True) for name, value in named(adapter.policy).items()}
    ratios = []
    for _ in range(cycles):
        value, share = loss(adapter.policy, now, environment)
        with torch.no_grad():
            observed = environment.observe()
            budget_B = environment.cycle_budget_B()
            best = best_share(environment.conditions, budget_B, observed.low_BP, observed.high_BP, grid=32, zooms=2)
            earned = environment.expected(share).revenue.sum()
            ratios.append(float(earned / environment.expected(best).revenue.sum()))
        if adapter.rates is not None:
            stepped = inner_step(now, adapter.rates, value, graph=False)
            now = {name: tensor.detach().requires_grad_(True) for name, tensor in stepped.items()}
        environment.step(share)
    return ratios


def recovered(ratios: list[float]) -> int | None:
    """Updates until two cycles in a row are at the level; `None`: never within the flight."""
    for number, pair in enumerate(itertools.pairwise(ratios)):
        if min(pair) >= LEVEL:
            return number
    return None


def trained_on(
    file: Path,
    parts: Mapping[str, torch.nn.Module | torch.optim.Optimizer],
    iterations: int,
    step: Callable[[int], None],
) -> float:
    """Take so many steps, each told its number, from where the kept state stands; processor seconds of all of them.

    Args:
        file: the state: kept after every `EVERY` steps and at the end, taken up where it is there.
        parts: what the steps change.
    """
    done, seconds = 0, 0.0
    if file.exists():
        state = torch.load(file, weights_only=True)
        done, seconds = state["done"], state["seconds"]
        for name, part in parts.items():
            part.load_state_dict(state[name])
    began = time.process_time() - seconds
    while done < iterations:
        step(done)
        done += 1
        if done % EVERY == 0 or done == iterations:
            seconds = time.process_time() - began
            with replacing(file) as half:
                kept = {name: part.state_dict() for name, part in parts.items()}
                torch.save({"done": done, "seconds": seconds} | kept, half)
    return seconds


def multi_task(config: Config, policy: Policy, bases: list[Market], iterations: int, loss: Loss, file: Path) -> Policy:
    """The same tasks and environments as MAML's, without inner steps: every cycle's loss is descended."""
    trained = copy.deepcopy(policy)
    optimiser = torch.optim.Adam(trained.parameters(), config.meta.outer_rate)

    def step(done: int) -> None:
        worlds = [
            environments(config, draw_task(bases, config.meta.seed, done * config.meta.batch_tasks + k), done, k)
            for k in range(config.meta.batch_tasks)
        ]
        losses = []
        for support, query in worlds:
            for _ in range(config.meta.steps):
                value, share = loss(trained, named(trained), support)
                losses.append(value)
                support.step(share)
            losses.append(loss(trained, named(trained), query)[0])
        optimiser.zero_grad(set_to_none=True)
        torch.stack(losses).mean().backward()
        torch.nn.utils.clip_grad_norm_(trained.parameters(), 1.0)
        optimiser.step()

    trained_on(file, {"policy": trained, "optimiser": optimiser}, iterations, step)
    return trained


def meta_train(
    config: Config, policy: Policy, bases: list[Market], iterations: int, loss: Loss, file: Path
) -> tuple[Policy, Parameters, float]:
    """MAML's start, its learned rates, and the processor seconds that they took."""
    learner = MAML(copy.deepcopy(policy), config.meta)

    def step(done: int) -> None:
        learner.update(
            [
                environments(config, draw_task(bases, config.meta.seed, done * config.meta.batch_tasks + k), done, k)
                for k in range(config.meta.batch_tasks)
            ],
            loss,
        )

    parts = {"policy": learner.policy, "rates": learner.rates, "optimiser": learner.optimiser}
    seconds = trained_on(file, parts, iterations, step)
    return learner.policy, {name: rate.detach() for name, rate in learner.rates().items()}, seconds


def rates_of(policy: Policy, base: Mapping[str, Tensor] | None, factor: float) -> Parameters:
    """The same rate everywhere, or MAML's times a factor."""
    return {name: torch.tensor(factor) if base is None else factor * base[name] for name in named(policy)}


def tune(
    config: Config, policy: Policy, base: Mapping[str, Tensor] | None, bases: list[Market], size: Size, loss: Loss
) -> float:
    """The rate (or the factor on MAML's) with the most revenue over the oracle's on training tasks."""
    worlds = [draw_task(bases, config.meta.seed + 1, number) for number in range(size.tuning)]

    def score(factor: float) -> float:
        adapter = Adapter(policy, rates_of(policy, base, factor))
        scores = [
            np.mean(flight(config, world, adapter, loss, size.cycles, config.train.market_seed + 3_000_000 + number))
            for number, world in enumerate(worlds)
        ]
        return float(np.mean(scores))

    return max(GRID if base is None else FACTORS, key=score)


def seen_as(
    config: Config, view: str, policy: Policy, bases: list[Market], held: list[Market], size: Size, kept: Resumed
) -> dict[str, Any]:
    """Everything of one view of the state."""
    loss = pathwise_loss(None if view == "full state" else masked(policy))
    files = {name: kept.beside(f"{view}, {name}.pt") for name in ("maml", "multi-task")}
    start, learned, seconds = meta_train(config, policy, bases, size.iterations, loss, files["maml"])
    several = multi_task(config, policy, bases, size.iterations, loss, files["multi-task"])
    adapters, factors = {}, {}
    for name, of, base in (("maml", start, learned), ("multi-task", several, None), ("plain", policy, None)):
        asked = partial(tune, config, of, base, bases, size, loss)
        factors[name] = kept.part(f"{view}, {name}: rate", asked)
        adapters[name] = Adapter(of, rates_of(of, base, factors[name]))
    adapters["none"] = Adapter(policy, None)

    def row(scenario: str, adapter: Adapter) -> dict[str, Any]:
        return summary(
            [
                flight(config, shift(world, scenario), adapter, loss, size.cycles, FIRST_SEED + number)
                for number, world in enumerate(held)
            ]
        )

    scenarios = {
        scenario: {
            name: kept.part(f"{view}, {name}: {scenario}", partial(row, scenario, adapter))
            for name, adapter in adapters.items()
        }
        for scenario in size.scenarios
    }
    return {
        "scenarios": scenarios,
        "rate": factors,
        "maml's updates over": {name: versus(scenarios, size.cycles, name) for name in ("plain", "multi-task")},
        "maml CPU seconds per iteration": seconds / size.iterations,
        "20,000 iterations, CPU hours (extrapolated)": seconds / size.iterations * 20_000 / 3_600,
    }


def measure(config: Config, folder: Path, trained: Path, size: Size, kept: Resumed) -> dict[str, Any]:
    """Everything, as plain data."""
    torch.set_num_threads(1)
    torch.manual_seed(0)
    market, policy, before = load_market(folder), load_policy(trained), os.getloadavg()
    config = replace(config, meta=replace(config.meta, batch=ROWS))
    bases = base_tasks(market, config.meta.tasks, config.meta.seed)
    held = [
        item.market for item in tasks(market, train=len(bases), held_out=size.tasks, seed=config.meta.seed).held_out
    ]
    return {
        "benchmark": "adapt",
        "generated": market.generated,
        "level": LEVEL,
        "held-out tasks": len(held),
        "cycles": size.cycles,
        "maml iterations": size.iterations,
        **{view: seen_as(config, view, policy, bases, held, size, kept) for view in size.views},
        "cpu seconds": kept.seconds,
        "machine": machine(before),
    }


def summary(flights: list[list[float]]) -> dict[str, Any]:
    """Updates to recovery, censored flights at the horizon; the median is told where half recovered."""
    updates = [recovered(ratios) for ratios in flights]
    horizon = len(flights[0])
    filled = sorted(horizon if count is None else count for count in updates)
    middle = float(np.median(filled))
    return {
        "recovered": sum(count is not None for count in updates),
        "of": len(updates),
        "updates of each": updates,
        "median updates": None if middle >= horizon else middle,
        "mean updates, censored at the horizon": float(np.mean(filled)),
        "first cycle": float(np.mean([ratios[0] for ratios in flights])),
        "last cycle": float(np.mean([ratios[-1] for ratios in flights])),
        "mean over the flight": float(np.mean(flights)),
    }


def versus(scenarios: Mapping[str, Mapping[str, Any]], horizon: int, other: str) -> dict[str, Any] | None:
    """MAML's mean updates over another's, all scenarios together, with a 95 % interval: tasks are resampled, each with
    its flights of both adapters under every scenario. `None` where the other needs none.
    """
    maml_KN, other_KN = (
        np.array([[horizon if n is None else n for n in rows[name]["updates of each"]] for rows in scenarios.values()])
        for name in ("maml", other)
    )
    if not other_KN.any():
        return None
    drawn = np.random.default_rng(0).integers(0, other_KN.shape[1], (10_000, other_KN.shape[1]))
    ratios = maml_KN[:, drawn].mean((0, 2)) / np.maximum(other_KN[:, drawn].mean((0, 2)), 1e-9)
    low, high = np.quantile(ratios, [0.025, 0.975])
    return {"mean": float(maml_KN.mean() / other_KN.mean()), "ci95": [float(low), float(high)]}


def table(result: dict[str, Any]) -> str:
    """The result for people."""
    lines = [
        f"Recovery to {result['level']:.0%} of the oracle after a shift: {result['held-out tasks']} held-out tasks, "
        f"{result['cycles']} cycles, one update each, {result['maml iterations']} MAML iterations"
        f"{'; GENERATED DATA' if result['generated'] else ''}"
    ]
    for view in (name for name in VIEWS if name in result):
        lines += ["", f"{view:<30}{'recovered':>12}{'median':>9}{'mean updates':>14}{'first':>9}{'last':>9}{'mean':>9}"]
        for scenario, rows in result[view]["scenarios"].items():
            for name, row in rows.items():
                median = "censored" if row["median updates"] is None else f"{row['median updates']:.1f}"
                lines.append(
                    f"  {scenario:<16}{name:<12}{row['recovered']:>8}/{row['of']}{median:>9}"
                    f"{row['mean updates, censored at the horizon']:>14.1f}{row['first cycle']:>9.4f}"
                    f"{row['last cycle']:>9.4f}{row['mean over the flight']:>9.4f}"
                )
        for name, ratio in result[view]["maml's updates over"].items():
            if ratio is not None:
                low, high = ratio["ci95"]
                lines.append(f"  MAML's updates over {name}'s: {ratio['mean']:.2f} [{low:.2f}, {high:.2f}]")
        cost = result[view]["maml CPU seconds per iteration"]
        lines.append(
            f"  MAML: {cost:.2f} CPU s per iteration, 20,000 of them {cost * 20_000 / 3_600:.1f} h (extrapolated)"
        )
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.adapt", description="Recovery after a shift.")
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")
    parser.add_argument("--run", type=Path, help="folder of a finished run; without it one is made")
    parser.add_argument("--source", default="demo", help="where the log of a new run comes from")
    parser.add_argument("--data", help="its file")
    parser.add_argument("--tasks", type=int, default=20, help="held-out tasks per scenario")
    parser.add_argument("--iterations", type=int, default=500, help="MAML iterations per view")
    parser.add_argument("--view", choices=VIEWS, help="one of the two alone")
    parser.add_argument("--short", action="store_true", help="4 tasks, 5 iterations, 2 scenarios: a smoke run")
    add_resume(parser)
    given = parser.parse_args()
    size = Size(given.tasks, 20, given.iterations, 8, tuple(SCENARIOS))
    if given.short:
        size = Size(4, 8, 5, 2, tuple(SCENARIOS)[:2])
    if given.view:
        size = replace(size, views=(given.view,))
    run = finished(given.run, given.source, given.data)
    kept = Resumed(given.resume, of_run(run[2], benchmark="adapt", size=asdict(size)))
    result = measure(*run, size, kept)
    print(json.dumps(result, indent=1) if given.json else table(result))


if __name__ == "__main__":
    main()

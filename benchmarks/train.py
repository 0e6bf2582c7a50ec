"""What learning costs: `python -m benchmarks.train [--json] [--run OUT] [--short] [--training-seeds 3] [--paper]`.

One after the other, in one process on one thread, on the market of a run:

| name             | what                                                                       |
|------------------|----------------------------------------------------------------------------|
| pathwise         | the gradient through the closed form                                       |
| ddpg, ppo        | crossmix's, 16 flights side by side                                        |
| hybrid           | both by turns from a random actor                                          |
| sb3 ppo          | stable-baselines3's PPO on one flight, its single environment              |
| sb3 ppo, batched | the same on as many flights side by side as crossmix plays                 |
| sb3 ddpg, ...    | its DDPG, TD3 and SAC, batched                                             |

All have actors of the paper's widths. Told are campaign cycles per CPU second (a call of the closed form counts as
one), CPU seconds until 0.93 of the oracle's expected revenue on validation markets, and the best that was reached;
validations do not count. With `--training-seeds N` crossmix's that start from a random actor train N times, and each
seed's best is told: one that collapsed into a corner of the simplex would show there. Two ranks against one are timed
by the wall, at the same global batch. `--paper` also times the paper's 2,000 episodes of 100 cycles end to end.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from benchmarks._learners import Trained, learn
from benchmarks.allocation import finished
from crossmix.config import Config, Train, paper
from crossmix.market.model import Market, load
from crossmix.training.loop import train, validated

GOAL = 0.93
LARGE_BATCH = 2_048
"""Rows of a rank are played side by side, so that few of them cost as much as many: ranks pay from here on."""


def from_random(
    config: Config, market: Path, agent: str, settings: Train, seconds: float, training_seeds: int
) -> dict[str, Any]:
    """`ours` of the run's seed, with what every training seed reached."""
    curves = [
        ours(config, market, agent, replace(settings, seed=settings.seed + number), seconds)
        for number in range(training_seeds)
    ]
    kept = ("best", "to 0.93, CPU seconds")
    return curves[0] | {"training seeds": [{name: row[name] for name in kept} for row in curves]}


def ours(config: Config, market: Path, agent: str, settings: Train, seconds: float) -> dict[str, Any]:
    """Train by one algorithm; its curve in CPU seconds, validations left out."""
    marks: list[tuple[float, dict[str, Any]]] = []
    limited = replace(config, train=replace(settings, agent=agent, start="fresh", plan=False, ranks=1, patience=10_000))  # type: ignore[arg-type]

    class Enough(Exception):  # noqa: N818 (it ends a training that has had its time)
        pass

    began = time.process_time()

    def listener(point: dict[str, Any]) -> None:
        marks.append((time.process_time() - began - point["validation_seconds"], point))
        if marks[-1][0] > seconds:
            raise Enough

    with tempfile.TemporaryDirectory() as out, contextlib.suppress(Enough):
        train(limited, market, Path(out), None, listener)
    return _curve([(point["env_steps"], spent, point["validation_ratio"]) for spent, point in marks])


def theirs(config: Config, market: Market, kind: str, envs: int, seconds: float, every: int) -> dict[str, Any]:
    """Train by one of stable-baselines3's; validated as ours are."""
    points: list[tuple[int, float, float]] = []

    def note(trained: Trained, done: int, spent: float) -> None:
        points.append((done, spent, validated(config, market, trained)))

    trained, done, spent = learn(
        kind, market, config, envs=envs, steps=10_000_000, seconds=seconds, every=every, note=note
    )
    points.append((done, spent, validated(config, market, trained)))
    return _curve(points)


def _curve(points: list[tuple[int, float, float]]) -> dict[str, Any]:
    done, spent, _ = points[-1]
    reached = [(steps, seconds) for steps, seconds, ratio in points if ratio >= GOAL]
    return {
        "cycles": done,
        "CPU seconds": spent,
        "cycles per CPU second": done / spent,
        "best": max(ratio for _, _, ratio in points),
        "to 0.93, CPU seconds": reached[0][1] if reached else None,
        "to 0.93, cycles": reached[0][0] if reached else None,
    }


def ranks(config: Config, market: Path, updates: int, batch: int) -> dict[str, Any]:
    """Wall seconds of the training loop for one rank and for two at the same global batch, one after the other.

    From the first validation to the last: what starts a process is not part of the loop.
    """
    seconds = {}
    for number in (1, 2):
        settings = replace(config.train, agent="pathwise", ranks=number)
        settings = replace(settings, pathwise=replace(settings.pathwise, updates=updates, batch=batch))
        with tempfile.TemporaryDirectory() as out:
            points = train(replace(config, train=settings), market, Path(out))["points"]
            seconds[number] = points[-1]["seconds"] - points[0]["seconds"]
    return {
        "updates": updates,
        "batch": batch,
        "one": seconds[1],
        "two": seconds[2],
        "speed-up": seconds[1] / seconds[2],
    }


def measure(
    config: Config, folder: Path, seconds: float, updates: int, *, training_seeds: int, whole: bool
) -> dict[str, Any]:
    """Everything, as plain data."""
    torch.set_num_threads(1)
    market = load(folder)
    settings = replace(config.train, episodes=100_000)
    short = replace(settings, pathwise=replace(settings.pathwise, updates=updates))
    sizes = ((updates, settings.pathwise.batch), (max(updates // 4, 100), LARGE_BATCH))
    rows = {
        "pathwise": ours(config, folder, "pathwise", short, seconds),
        **{
            agent: from_random(config, folder, agent, settings, seconds, training_seeds)
            for agent in ("ppo", "ddpg", "hybrid")
        },
        "sb3 ppo": theirs(config, market, "ppo", 1, seconds, 10_000),
    }
    for kind in ("ppo", "ddpg", "td3", "sac"):
        rows[f"sb3 {kind}, batched"] = theirs(config, market, kind, settings.parallel, seconds, 10_000)
    result = {
        "benchmark": "train",
        "generated": market.generated,
        "goal": GOAL,
        "CPU seconds each": seconds,
        "learners": rows,
        "ratios": {
            "ppo over sb3 ppo, one flight": rows["ppo"]["cycles per CPU second"]
            / rows["sb3 ppo"]["cycles per CPU second"],
            "ppo over sb3 ppo, batched": rows["ppo"]["cycles per CPU second"]
            / rows["sb3 ppo, batched"]["cycles per CPU second"],
        },
        "ranks": [ranks(config, folder, *size) for size in sizes] if (os.cpu_count() or 1) > 1 else [],
    }
    if whole:
        given = replace(paper().train, ranks=1, seed=config.train.seed, market_seed=config.train.market_seed)
        with tempfile.TemporaryDirectory() as out:
            began = time.process_time()
            curve = train(replace(config, train=given), folder, Path(out))
            result["paper"] = {
                "CPU seconds": time.process_time() - began,
                "best": curve["best"]["validation_ratio"],
                "stopped": curve["stopped"],
            }
    return result


def table(result: dict[str, Any]) -> str:
    """The result for people."""
    lines = [
        f"Learners, {result['CPU seconds each']:g} CPU seconds each{'; GENERATED DATA' if result['generated'] else ''}",
        "",
        f"{'':<20}{'cycles':>10}{'per CPU s':>11}{'best':>8}{'CPU s to 0.93':>15}",
    ]
    for name, row in result["learners"].items():
        reached = "never" if row["to 0.93, CPU seconds"] is None else f"{row['to 0.93, CPU seconds']:.0f}"
        lines.append(
            f"{name:<20}{row['cycles']:>10,}{row['cycles per CPU second']:>11,.0f}{row['best']:>8.4f}{reached:>15}"
        )
    lines.append("")
    for name, row in result["learners"].items():
        each = [f"{curve['best']:.4f}" for curve in row.get("training seeds", [])]
        lines += [f"{name}, best by training seed: {', '.join(each)}"] if len(each) > 1 else []
    lines += [f"{name}: {ratio:.2f}" for name, ratio in result["ratios"].items()]
    lines += [
        f"two ranks over one, {timing['updates']} pathwise updates of {timing['batch']:,} flights: "
        f"{timing['speed-up']:.2f} ({timing['one']:.0f} s, {timing['two']:.0f} s)"
        for timing in result["ranks"]
    ]
    if "paper" in result:
        timing = result["paper"]
        lines.append(
            f"the paper's training: {timing['CPU seconds']:.0f} CPU s, best {timing['best']:.4f}; {timing['stopped']}"
        )
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.train", description="What learning costs.")
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")
    parser.add_argument("--run", type=Path, help="folder of a finished run; without it one is made")
    parser.add_argument("--source", default="demo", help="where the log of a new run comes from")
    parser.add_argument("--data", help="its file")
    parser.add_argument("--seconds", type=float, default=90.0, help="CPU seconds of each learner")
    parser.add_argument("--short", action="store_true", help="3 CPU seconds each: a smoke run")
    parser.add_argument("--training-seeds", type=int, default=1, help="how often those from a random actor train")
    parser.add_argument("--paper", action="store_true", help="also the paper's 2,000 episodes of 100 cycles")
    given = parser.parse_args()
    seconds, updates = (3.0, 100) if given.short else (given.seconds, 400)
    config, folder, _ = finished(given.run, given.source, given.data)
    result = measure(config, folder, seconds, updates, training_seeds=given.training_seeds, whole=given.paper)
    print(json.dumps(result, indent=1) if given.json else table(result))


if __name__ == "__main__":
    main()

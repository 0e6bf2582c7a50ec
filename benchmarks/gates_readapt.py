"""Which honest worlds the gates of re-adaptation stop: `python -m benchmarks.gates_readapt [--json] [--run OUT]`.

Advertisers of a run's market, policy (70 % of users) and control side by side, in worlds that are as fitted or that
moved. So many days after the move the gates are asked of all feedback until then, as re-adaptation asks them.

| gate             | blocks where                                                                       |
|------------------|------------------------------------------------------------------------------------|
| plausible, arms  | a report of the advertiser is suspect (`crossmix.market.plausible`)                 |
| levels           | a level lies wholly beyond `serving.guard.factor`                                  |
| predicts         | the last `readapt.held_out` days are surely and markedly predicted worse by the    |
|                  | refitted market                                                                    |

Of the other gates none depends on the world: no split breaks a limit, the latency is the network's, the off-policy
estimate has too little to be required. A gain that is too small is no block: there was nothing to adapt.

The gates' own functions are called, all advertisers of a world side by side. Rates have Clopper and Pearson's 95 %
interval, that over all worlds is of flights that share seeds. The seeds are of this benchmark alone; nothing was chosen
on them. `--resume FILE` keeps every finished part, blocks of 40 advertisers of a
world: a run that was cut off goes on from it, and one of more flights adds to it.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from benchmarks._begun import begun
from benchmarks._flights import tiled
from benchmarks._machine import machine
from benchmarks._moved import SPREAD, moved
from benchmarks.guard import AT_ONCE, DAY, Flights, honest
from benchmarks.guardrails import part
from benchmarks.readapt import WANTED_LATER
from crossmix import bundle as bundles
from crossmix.config import Config
from crossmix.evaluate.gates.readapt import DISAGREE, SLIGHT, ahead, near, predicted
from crossmix.feedback import Feedback
from crossmix.market.conditions import scaled_market
from crossmix.market.level_evidence import Usual
from crossmix.market.levels import refit
from crossmix.market.model import Market
from crossmix.market.plausible import suspects
from crossmix.training.believed import believe

SEED = 43_000_000
"""Of the first world: far from those of training, judging, calibration, tests and the other benchmarks."""
LOOKS = (3, 7, 14)
"""Days after the move on which an alert asks (`alerts.webhook.again`)."""
GATES = ("plausible", "arms", "levels", "predicts")
Hit = NDArray[np.bool_]


def worlds(market: Market, block: int) -> Iterator[tuple[str, Market]]:
    """Honest ones, by name."""
    yield from honest(market)
    for name in WANTED_LATER:
        yield f"{name} x2 and x0.5 by turns, from day {DAY} on", moved(market, name, DAY)
    luck = torch.Generator().manual_seed(SEED + block)
    factors = {
        quantity: torch.exp(SPREAD * torch.randn(market.static.shape, generator=luck) - SPREAD**2 / 2)
        for quantity in ("requests", "price_multiplier", "ctr", "cvr", "value")
    }
    yield f"all off by exp(N(0, {SPREAD:g})), a draw per block", scaled_market(market, **factors)


def asked(config: Config, fitted: Market, arms: dict[str, Feedback], flights: int) -> dict[str, Hit]:
    """Which advertisers each gate stops, (flights,) each."""
    many, rows = len(fitted.campaigns), tiled(fitted, flights)
    named = {arm: replace(one, campaigns=rows.campaigns) for arm, one in arms.items()}
    flight = {name: row // many for row, name in enumerate(rows.campaigns)}
    checked = suspects(Usual.of(rows), named, config.serving.guard)
    hits = {gate: np.zeros(flights, bool) for gate in GATES}
    for one in checked:
        hits["arms" if one.cause == DISAGREE else "plausible"][flight[one.campaign]] = True
    feedback = believe(named, checked).feedback
    near_FN = near(refit(rows, feedback, config.levels)).reshape(flights, -1)
    hits["levels"] = np.exp(np.maximum(near_FN.max(1), 0.0)) > config.serving.guard.factor
    gap_TRPQ = ahead(rows, feedback, config.levels, config.readapt.held_out)
    for f in range(flights):
        found = predicted(gap_TRPQ[:, f * many : (f + 1) * many])
        hits["predicts"][f] = found is None or found.interval[2] < -SLIGHT
    return hits


def world(
    config: Config, fitted: Market, bundle: bundles.Bundle, market: Market, seed: int
) -> dict[str, dict[str, list[int]]]:
    """Which of `AT_ONCE` advertisers in a market each gate stops, by day of the look: their numbers."""
    played = Flights(market, fitted, bundle, config, AT_ONCE, seed)
    found: dict[str, dict[str, list[int]]] = {}
    for days in LOOKS:
        # Nothing is held meanwhile: what would be is counted below.
        played.play(DAY + days, guarded=False)
        arms = {name: arm.feedback(name, len(arm.reports)) for name, arm in played.both.items()}
        hits = asked(config, fitted, arms, AT_ONCE)
        found[_after(days)] = {gate: np.flatnonzero(hit).tolist() for gate, hit in hits.items()}
    return found


def _after(days: int) -> str:
    return f"{days} days"


def measure(run: Path | None, source: str, data: str | None, flights: int, file: Path | None) -> dict[str, Any]:
    """All worlds, as plain data.

    Args:
        flights: advertisers of a world; a multiple of `AT_ONCE` is played.
        file: where every finished part is kept, and taken from; `None`: nowhere.
    """
    before = os.getloadavg()
    config, fitted, bundle, kept = begun(run, source, data, file, SEED, AT_ONCE)
    blocks: list[dict[str, Any]] = []
    for number in range(-(-flights // AT_ONCE)):
        blocks.append({})
        for name, market in worlds(fitted, number):
            play = partial(world, config, fitted, bundle, market, SEED + number)
            blocks[-1][name] = kept.part(f"{number}: {name}", play)
            print(f"block {number + 1}: {name}: {blocks[-1][name]}", file=sys.stderr, flush=True)
    required = [gate for gate in GATES if gate in config.readapt.required]
    found: dict[str, Any] = {name: {} for name in blocks[0]}
    stopped: dict[str, list[bool]] = {_after(days): [] for days in LOOKS}
    for name, when in product(found, stopped):
        parts = [block[name][when] for block in blocks]
        hits = [f in {g for gate in required for g in one[gate]} for one in parts for f in range(AT_ONCE)]
        stopped[when] += hits
        by_gate = {gate: sum(len(one[gate]) for one in parts) for gate in required}
        found[name][when] = {"blocked": part(np.array(hits)), **by_gate}
    return {
        "benchmark": "gates_readapt",
        "generated": fitted.generated,
        "flights": len(blocks) * AT_ONCE,
        "worlds": found,
        "all worlds": {when: part(np.array(hits)) for when, hits in stopped.items()},
        "cpu seconds": kept.seconds,
        "machine": machine(before),
    }


def table(result: dict[str, Any]) -> str:
    """For people."""
    days = list(result["all worlds"])
    lines = [
        f"blocked, of {result['flights']} advertisers of each world{'; GENERATED DATA' if result['generated'] else ''}",
        f"{'':<48}" + "".join(f"{f'{one} after':>24}" for one in days),
    ]
    rows = {name: {day: one[day]["blocked"] for day in days} for name, one in result["worlds"].items()}
    for name, one in (rows | {"all worlds": result["all worlds"]}).items():
        cells = (f"{one[day]['part']:.3f} [{one[day]['ci95'][0]:.3f}, {one[day]['ci95'][1]:.3f}]" for day in days)
        lines.append(f"{name:<48}" + "".join(f"{cell:>24}" for cell in cells))
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.gates_readapt", description="Honest worlds, stopped.")
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")
    parser.add_argument("--run", type=Path, help="folder of a finished run; without it one is made")
    parser.add_argument("--source", default="demo", help="where the log of a new run comes from")
    parser.add_argument("--data", help="its file")
    parser.add_argument("--flights", type=int, default=200, help="advertisers of a world")
    parser.add_argument("--resume", type=Path, help="file of finished parts, to go on from")
    given = parser.parse_args()
    result = measure(given.run, given.source, given.data, given.flights, given.resume)
    print(json.dumps(result, indent=1) if given.json else table(result))


if __name__ == "__main__":
    main()

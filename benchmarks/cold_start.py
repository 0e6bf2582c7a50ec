"""A campaign nobody has seen: `python -m benchmarks.cold_start [--json] [--run OUT | --source S --data FILE]`.

Every campaign of the run's market is left out once: a policy is trained on the others, which is all that its plan
knows, and then splits the left-out campaign's first 14 cycles from an empty history, auction by auction. Against it:
waiting for data (the uniform split for 3, 7 or 14 cycles, the same policy after), the plan's own static split, the
policy that knew the campaign, and the policy with a full history. Told are revenue over the oracle's and the lead of
the cold policy, with 95 % intervals over flights (paper section 4). `--resume FILE` keeps every campaign
that was left out.
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
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
from benchmarks.allocation import finished
from crossmix.config import Config
from crossmix.constraints import project
from crossmix.evaluate.judge import oracle
from crossmix.evaluate.play import Act, play
from crossmix.evaluate.stats.significance import two_way
from crossmix.history import History
from crossmix.market.environment import MarketEnvironment, Observation
from crossmix.market.model import Market, load, save
from crossmix.training.loop import train
from crossmix.training.policy_file import load_policy

Array = NDArray[np.float64]
CYCLES, FLIGHTS = 14, 60
FIRST_SEED = 5_700_000
NEVER_SEEN = "never seen, no history"
PER_CAMPAIGN = (
    *("price", "price_law", "volume_week", "response_week", "delay", "minimum", "maximum", "step", "freeze", "budget"),
    *("static", "control", "context", "context_rate", "context_group", "cycle_group", "cold_context"),
    *("present_context", "response", "response_mean"),
)
"""Tables of a market whose first axis is the campaign."""


def only(market: Market, campaigns: list[int]) -> Market:
    """The market of some campaigns."""
    kept = torch.tensor(campaigns)
    return replace(
        market,
        campaigns=tuple(market.campaigns[c] for c in campaigns),
        value={name: table[kept] for name, table in market.value.items()},
        error={name: table[kept] for name, table in market.error.items()},
        path={name: table[:, kept] for name, table in market.path.items()},
        strata={},
        **{name: getattr(market, name)[kept] for name in PER_CAMPAIGN},
    )


def flights(config: Config, market: Market, seed: int, cold: bool) -> MarketEnvironment:
    """Flights of a market's first campaign; cold ones have no history."""
    world = MarketEnvironment(
        market,
        config,
        campaign_B=torch.zeros(FLIGHTS, dtype=torch.long),
        cycles=CYCLES,
        mechanism="exact",
        seed=seed,
    )
    if cold:
        world.history = History(
            window=config.window,
            decay=config.decay,
            horizon=CYCLES,
            cycle_budget_B=world.budget_B,
            minimum_BP=world.limits.minimum_P,
            maximum_BP=world.limits.maximum_P,
            share_BP=world.static_BP,
        )
        # Nothing was clicked before: no conversion is due.
        world.pending_DBP = torch.zeros_like(world.pending_DBP)
    return world


def earned(config: Config, market: Market, seed: int, act: Act, cold: bool = True) -> Array:
    """Revenue that each flight's impressions are expected to bring, (flights,)."""
    return np.asarray(play(flights(config, market, seed, cold), act, CYCLES).of("expected_revenue").sum((0, 2)))


def _served(policy: torch.nn.Module, wait: int = 0) -> Act:
    """The uniform split for `wait` cycles, then the policy."""

    def act(world: MarketEnvironment, now: Observation) -> Tensor:
        if world.cycle < wait:
            return project(torch.full_like(now.low_BP, 1 / now.low_BP.shape[1]), now.low_BP, now.high_BP)
        with torch.no_grad():
            share: Tensor = policy(now.state_BS, now.low_BP, now.high_BP)
        return share

    return act


def left_out(config: Config, market: Market, known: torch.nn.Module, campaign: int) -> dict[str, list[float]]:
    """Each way's revenue over the oracle's in flights of a campaign, the cold policy trained on the others."""
    others = [c for c in range(len(market.campaigns)) if c != campaign]
    with tempfile.TemporaryDirectory() as scratch:
        where = Path(scratch) / "market"
        where.mkdir()
        save(only(market, others), where)
        train(config, where, Path(scratch) / "policy")
        cold = load_policy(Path(scratch) / "policy")

    world, seed = only(market, [campaign]), FIRST_SEED + campaign
    best = earned(config, world, seed, oracle)
    ways = {
        NEVER_SEEN: (_served(cold), True),
        **{f"uniform for {n} cycles, then the same": (_served(cold, n), True) for n in (3, 7, CYCLES)},
        "the plan's static split": (lambda world, _: world.static_BP, True),
        "campaign known, no history": (_served(known), True),
    }
    ratio = {name: earned(config, world, seed, act, empty) / best for name, (act, empty) in ways.items()}
    warm_best = earned(config, world, seed, oracle, cold=False)
    ratio["campaign known, full history"] = earned(config, world, seed, _served(known), cold=False) / warm_best
    return {name: row.tolist() for name, row in ratio.items()}


def measure(config: Config, folder: Path, trained: Path, kept: Resumed) -> dict[str, Any]:
    """Everything, as plain data.

    Raises:
        ValueError: the market has one campaign only.
    """
    torch.set_num_threads(1)
    market, known, before = load(folder), load_policy(trained), os.getloadavg()
    if len(market.campaigns) < 2:
        raise ValueError("--run: its market has one campaign; a campaign is left out of several")
    parts = [
        kept.part(name, partial(left_out, config, market, known, campaign))
        for campaign, name in enumerate(market.campaigns)
    ]
    rows = {name: np.concatenate([one[name] for one in parts]) for name in parts[0]}
    base = rows[NEVER_SEEN]
    return {
        "benchmark": "cold_start",
        "generated": market.generated,
        "campaigns left out": len(market.campaigns),
        "flights": FLIGHTS,
        "cycles": CYCLES,
        "ways": {
            name: {"oracle_ratio": two_way(row[None]), "lead of the cold policy": two_way((base - row)[None])}
            for name, row in rows.items()
        },
        "cpu seconds": kept.seconds,
        "machine": machine(before),
    }


def table(result: dict[str, Any]) -> str:
    """The result for people."""
    lines = [
        f"Cold start: first {result['cycles']} cycles, {result['flights']} flights of each of "
        f"{result['campaigns left out']} campaigns left out{'; GENERATED DATA' if result['generated'] else ''}",
        "",
        f"{'':<42}{'of the oracle':>26}{'lead of the cold policy':>30}",
    ]
    for name, row in result["ways"].items():
        lead = with_interval(row["lead of the cold policy"], "+")
        lines.append(f"{name:<42}{with_interval(row['oracle_ratio']):>26}{lead:>30}")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.cold_start", description="A campaign nobody has seen.")
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")
    parser.add_argument("--run", type=Path, help="folder of a finished run; without it one is made")
    parser.add_argument("--source", default="demo", help="where the log of a new run comes from")
    parser.add_argument("--data", help="its file")
    add_resume(parser)
    given = parser.parse_args()
    run = finished(given.run, given.source, given.data)
    result = measure(*run, Resumed(given.resume, of_run(run[2], benchmark="cold_start")))
    print(json.dumps(result, indent=1) if given.json else table(result))


if __name__ == "__main__":
    main()

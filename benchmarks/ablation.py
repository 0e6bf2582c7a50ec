"""What each part buys: `python -m benchmarks.ablation [--json] [--run OUT | --source S --data FILE] [--seeds 0-19]`.

Every variant leaves one thing out, is trained anew as often as `--training-seeds` says, and plays the run's fitted
market in `exact` on the market seeds of `benchmarks.allocation`. Told are the revenue over the oracle's and what is
lost against the full training, with 95 % intervals over training seeds x market seeds, and CPU seconds of a training.

Adversarial alignment is told by the run's own policy before and after it; online learning and meta-training by a
fortnight of a price shock, and by the updates until 95 % of the oracle (`benchmarks.online`, `benchmarks.adapt` tell
those two in full).
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from benchmarks import adapt, online
from benchmarks._intervals import with_interval
from benchmarks.allocation import FIRST_SEED, finished, seeds
from benchmarks.sim_to_real import steps
from crossmix.agents.policy import Policy
from crossmix.config import Config
from crossmix.evaluate.judge import from_state, judge_act, oracle
from crossmix.evaluate.play import Act
from crossmix.evaluate.stats.significance import two_way
from crossmix.market.model import Market, load, save
from crossmix.state import ALLOCATION
from crossmix.training.loop import train
from crossmix.training.policy_file import load_policy

FULL = "full"
VARIANTS: dict[str, dict[str, Any]] = {
    FULL: {},
    "no training: the plan alone (agent mpc)": {"agent": "mpc"},
    "no plan": {"plan": False},
    "no pathwise phase": {"start": "fresh"},
    "no plan, no pathwise phase": {"plan": False, "start": "fresh"},
    "no DDPG and PPO": {"agent": "pathwise"},
    "DDPG alone, no plan": {"agent": "ddpg", "plan": False},
    "PPO alone, no plan": {"agent": "ppo", "plan": False},
    "no network shared by platforms": {"platform_net": 0},
}
"""Variant -> changes of `config.train`."""
NO_FUSION, NO_DECAY = "no fusion: contexts unknown", "no decay: a flat window"
ROUNDS_ALONE = 640
"""Episodes of a variant that has nothing to start from: the hybrid's few would tell of its budget only."""


def variants(config: Config, names: Sequence[str]) -> dict[str, Config]:
    """Configurations by name."""
    configs = {}
    for name in names:
        train_settings = replace(config.train, **VARIANTS.get(name, {}))
        if train_settings.start == "fresh" or train_settings.agent in ("ddpg", "ppo"):
            train_settings = replace(train_settings, episodes=max(ROUNDS_ALONE, config.train.episodes))
        configs[name] = replace(config, train=train_settings, decay=1.0 if name == NO_DECAY else config.decay)
    return configs


def without_context(market: Market) -> Market:
    """The market as somebody sees it who has no fused contexts; click rates still move with them."""
    return replace(market, context=torch.zeros_like(market.context))


def _served(policy: Policy, blind: bool) -> Act:
    def act(state_BS: Tensor, low_BP: Tensor, high_BP: Tensor, _: Tensor) -> Tensor:
        if blind:
            state_BS = torch.cat([torch.zeros_like(ALLOCATION.context(state_BS)), ALLOCATION.statistics(state_BS)], 1)
        share: Tensor = policy(state_BS, low_BP, high_BP)
        return share

    return from_state(act)


def measure(
    config: Config,
    folder: Path,
    trained: Path,
    aligned: Path,
    chosen: range,
    training_seeds: int,
    names: Sequence[str] = (*VARIANTS, NO_FUSION, NO_DECAY),
) -> dict[str, Any]:
    """Everything but shifts, as plain data."""
    torch.set_num_threads(1)
    market = load(folder)
    settings = replace(config.evaluate, market_seed=FIRST_SEED + chosen.start, market_seeds=len(chosen))
    judged = replace(config, evaluate=settings)
    best_N = judge_act(market, judged, oracle, "oracle").column("expected_revenue").sum(1)
    ratio: dict[str, Any] = {}
    seconds = {}
    for name, variant in variants(config, names).items():
        rows = []
        blind = name == NO_FUSION
        started = time.process_time()
        policies = []
        for seed in range(training_seeds):
            with tempfile.TemporaryDirectory() as scratch:
                where, out = folder, Path(scratch) / "policy"
                if blind:
                    where = Path(scratch) / "market"
                    where.mkdir()
                    save(without_context(market), where)
                again = replace(variant.train, seed=config.train.seed + seed)
                train(replace(variant, train=again), where, out)
                policies.append(load_policy(out))
        seconds[name] = (time.process_time() - started) / training_seeds
        for policy in policies:
            world = replace(judged, decay=variant.decay)
            rows.append(
                judge_act(market, world, _served(policy, blind), name).column("expected_revenue").sum(1) / best_N
            )
        ratio[name] = np.stack(rows)
    base = ratio[names[0]]
    before, after = (
        judge_act(market, judged, _served(load_policy(where), False), "alignment").column("expected_revenue").sum(1)
        / best_N
        for where in (trained, aligned)
    )
    return {
        "benchmark": "ablation",
        "generated": market.generated,
        "market seeds": [chosen.start, chosen.stop - 1],
        "training seeds": training_seeds,
        "variants": {
            name: {
                "oracle_ratio": two_way(rows),
                "lost": None if name == names[0] else two_way(base - rows),
                "training CPU seconds": seconds[name],
            }
            for name, rows in ratio.items()
        },
        "alignment": {
            "before": two_way(before[None]),
            "after": two_way(after[None]),
            "gained": two_way((after - before)[None]),
        },
    }


def shifts(config: Config, folder: Path, trained: Path, short: bool) -> dict[str, Any]:
    """With and without online learning, and with and without meta-training, after a shift."""
    learned = online.measure(config, folder, trained, *((2, 3, 4) if short else (10, online.DAYS, online.ROWS)))
    view, scenario = "statistics masked", "price_shock"
    size = adapt.Size(*((2, 6, 2, 1) if short else (6, 30, 25, 2)), scenarios=(scenario,), views=(view,))
    recovered = adapt.measure(config, folder, trained, size)[view]["scenarios"][scenario]
    return {
        "online": {
            market: {way: row["ways"][way]["lead over frozen"] for way in ("exploring", "tuned")}
            for market, row in learned["markets"].items()
        },
        "adaptation": recovered,
    }


def table(result: dict[str, Any]) -> str:
    """The result for people."""
    first, last = result["market seeds"]
    lines = [
        f"Ablation: market seeds {first} to {last}, {result['training seeds']} training seed(s)"
        f"{'; GENERATED DATA' if result['generated'] else ''}",
        "",
        f"{'':<42}{'of the oracle':>26}{'lost against full':>30}{'CPU s':>8}",
        *(
            f"{name:<42}{with_interval(row['oracle_ratio']):>26}{with_interval(row['lost'], '+'):>30}"
            f"{row['training CPU seconds']:>8.1f}"
            for name, row in result["variants"].items()
        ),
        "",
        f"alignment, on the fitted market: {with_interval(result['alignment']['gained'], '+')}",
    ]
    for market, ways in result.get("shifts", {}).get("online", {}).items():
        lines.append(
            f"online over frozen, {market}: {with_interval(ways['tuned'], '+')}; "
            f"exploring alone {with_interval(ways['exploring'], '+')}"
        )
    for name, row in result.get("shifts", {}).get("adaptation", {}).items():
        lines.append(
            f"price shock, statistics masked, {name}: {row['recovered']} of {row['of']} recover, "
            f"mean updates {row['mean updates, censored at the horizon']:.1f}"
        )
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.ablation", description="What each part buys.")
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")
    parser.add_argument("--run", type=Path, help="folder of a finished run; without it one is made")
    parser.add_argument("--source", default="demo", help="where the log of a new run comes from")
    parser.add_argument("--data", help="its file")
    parser.add_argument("--seeds", type=seeds, default=range(20), help="market seeds, as 0-19")
    parser.add_argument("--training-seeds", type=int, default=2, help="how often every variant is trained")
    parser.add_argument("--no-shifts", action="store_true", help="leave out what happens after a shift")
    given = parser.parse_args()
    config, market, trained = finished(given.run, given.source, given.data)
    # OUT/steps/train/<key> (ARCHITECTURE.md).
    aligned = steps(trained.parents[2])["align"]
    result = measure(config, market, trained, aligned, given.seeds, given.training_seeds)
    if not given.no_shifts:
        result["shifts"] = shifts(config, market, trained, short=False)
    print(json.dumps(result, indent=1) if given.json else table(result))


if __name__ == "__main__":
    main()

"""`crossmix experiment`: what an experiment needs, and how one would go in the fitted market of a run."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

from pipelines import local


def _of_run(out: Path) -> tuple[Any, Any]:
    from crossmix.config import from_json
    from crossmix.market.model import load

    config = local.run_config(out)
    return from_json(json.dumps(config)), load(local.step_folder(out, "market"))


def plan(out: Path, lift: float, power: float, level: float, weight: float) -> dict[str, Any]:
    """Days and budget until a lift of ROI is found, from the noise of simulated A/A days."""
    from crossmix.evaluate.experiment import check_question, days_needed, power_of
    from crossmix.evaluate.trial import deviation

    check_question(lift, power, level)
    config, market = _of_run(out)
    noise, period = deviation(config, market, (weight, 1 - weight))
    days = days_needed(lift, noise, power, level) * period
    daily = float(market.budget.sum()) * 24 / market.cycle_hours
    return {
        "lift": lift,
        "power": power,
        "level": level,
        "weight": weight,
        "deviation of a figure": noise,
        "cycles per figure": period,
        "cycles": days,
        "cycle hours": market.cycle_hours,
        "budget": days * float(market.budget.sum()),
        "daily budget": daily,
        "currency": market.currency,
        "power after 7, 14, 28 cycles": [
            power_of(lift, noise, n // period, level) if n >= 2 * period else 0.0 for n in (7, 14, 28)
        ],
        "generated": market.generated,
    }


def simulate(out: Path, days: int, runs: int, level: float, weight: float) -> dict[str, Any]:
    """The run's bundle against the static split."""
    import torch

    from crossmix import bundle
    from crossmix.config import ConfigError
    from crossmix.evaluate import trial

    config, market = _of_run(out)
    if not (out / "bundle").is_dir():
        raise ConfigError(f"{out}: it has no bundle, as its gates did not pass; only a policy that passed is simulated")
    served = bundle.load(out / "bundle")

    def serve(_: Any, seen: Any) -> torch.Tensor:
        share = served.allocate(*(x.numpy().astype(np.float32) for x in (seen.state_BS, seen.low_BP, seen.high_BP)))
        return torch.from_numpy(np.ascontiguousarray(share[:, : len(market.platforms)]))

    found = trial.simulate(config, market, serve, (weight, 1 - weight), runs=runs, days=days, level=level)
    return found | {"bundle": served.digest}


def plan_table(found: dict[str, Any]) -> str:
    """A plan for people."""
    after = ", ".join(
        f"{n}: {power:.0%}" for n, power in zip((7, 14, 28), found["power after 7, 14, 28 cycles"], strict=True)
    )
    return "\n".join(
        [
            f"to find a lift of {found['lift']:+.1%} in ROI with power {found['power']:.0%}, level {found['level']:g}, "
            f"arms {found['weight']:.0%} : {1 - found['weight']:.0%}:",
            f"  {found['cycles']} cycles of {found['cycle hours']} h, "
            f"a budget of {found['budget']:,.0f} {found['currency']}",
            f"  from a deviation of {found['deviation of a figure']:.3f} of the log-ratio of "
            f"{_cycles(found['cycles per figure'])} (A/A in the fitted market"
            f"{', of a GENERATED log' if found['generated'] else ''})",
            f"  power after so many cycles: {after}",
        ]
    )


def _cycles(number: int) -> str:
    return "a cycle" if number == 1 else f"{number} cycles together, as single ones may earn nothing"


def simulation_table(found: dict[str, Any]) -> str:
    """A simulation for people."""
    lines = [
        f"{found['runs']} experiments of {found['days']} cycles, policy {found['weights']['policy']:.0%}, control "
        f"{found['weights']['control']:.0%}{'; fitted on a GENERATED log' if found['generated'] else ''}",
        "",
        f"{'':<28}{'lift of ROI':>30}{'always-valid':>14}{'paired':>9}{'Welch':>8}",
    ]
    for name, label in (("experiment", "policy against control"), ("a_a", "control against control")):
        row = found[name]
        low, high = row["lift"]["range95"]
        told = f"{row['lift']['mean']:+.1%} [{low:+.1%}, {high:+.1%}]"
        lines.append(
            f"{label:<28}{told:>30}{row['found by day, always-valid'][-1]:>14.1%}"
            f"{row['found at the end, paired']:>9.1%}{row['found at the end, Welch']:>8.1%}"
        )
    first = found["experiment"]["first run"]["always-valid"]
    reached = next(
        (d + 1 for d, part in enumerate(found["experiment"]["found by day, always-valid"]) if part >= 0.5), None
    )
    lines += [
        "",
        f"a figure is made of {_cycles(found['days per figure'])}",
        "columns: part of the experiments in which the test found a difference; always-valid: looked at every cycle",
        f"half of the experiments are decided by cycle {reached}" if reached else "fewer than half are decided",
        "an arm with less money leaves more of it unspent: what control against control earns more is mostly that",
        f"the first experiment's verdict: {first['lift']:+.1%} [{first['ci95'][0]:+.1%}, {first['ci95'][1]:+.1%}]",
    ]
    return "\n".join(lines)

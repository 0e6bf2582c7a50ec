"""What the gate step leaves of a made-up run: what every player delivered, and what the real judge and gates say of it.

Shapes: N market seeds, T cycles, P platforms.
"""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import numpy as np

from crossmix.baselines.registry import BASELINES
from crossmix.config import Reward, load
from crossmix.evaluate.fidelity.divergence import Divergence
from crossmix.evaluate.fidelity.impressions import METRICS, Comparison, Deviation
from crossmix.evaluate.fidelity.two_sample import TwoSample
from crossmix.evaluate.gates.case import CRITERIA, Case
from crossmix.evaluate.gates.verdicts import bounds
from crossmix.evaluate.judge import QUANTITIES, Record
from crossmix.metrics import AMOUNTS
from crossmix.reward import dynamic_of
from crossmix.verdicts import PASS, Gate
from tests.support.markets import make_market

RATIOS = {
    "policy": 0.975,
    "oracle": 1.0,
    "plug_in": 0.921,
    "windowed_roi": 0.905,
    "rule": 0.874,
    "control": 0.861,
    "static": 0.846,
    "uniform": 0.807,
}
"""Player to its revenue over the oracle's."""
COMPETITORS = tuple(name for name in BASELINES.names() if name in RATIOS)
NAMES = {
    **{name: BASELINES.get(name).label for name in COMPETITORS},
    "policy": "crossmix policy",
    "oracle": "oracle (clairvoyant)",
}
"""Player to its label, as the gate step writes it."""
CONFIG = load("laptop")
SEEDS, CYCLES = 20, 30
LATENCY = "policy.latency"
"""The one gate that a clock decides: its row is made up."""


def played(platforms: tuple[str, ...], rng: np.random.Generator) -> dict[str, Record]:
    """What every player delivered, so that the real judge finds `RATIOS`."""
    count = len(platforms)
    base = 0.82 ** np.arange(count)
    walk = np.cumsum(0.08 * rng.standard_normal((CYCLES, count)), 0)
    flights = {
        "oracle": base * np.exp(walk),
        "policy": base * np.exp(0.85 * walk + 0.04 * rng.standard_normal((CYCLES, count))),
    }
    even = np.ones((CYCLES, count))
    records = {}
    for name in ("policy", "oracle", *COMPETITORS):
        flight_TP = flights.get(name, even if name in ("uniform", "static") else flights["oracle"])
        flight_TP = flight_TP / flight_TP.sum(1, keepdims=True)
        share_P = flight_TP.mean(0)
        noise_N = np.zeros(SEEDS) if name == "oracle" else 0.012 * rng.standard_normal(SEEDS)
        ratio_N = RATIOS[name] + noise_N - noise_N.mean()  # so that the mean is what it is to be
        planned_NP = np.broadcast_to(1_500 * share_P, (SEEDS, count))
        impressions_NP = np.broadcast_to(np.floor(20_000 * share_P), (SEEDS, count))
        expected_NP = 2.3 * ratio_N[:, None] * planned_NP
        amounts = {
            "planned": planned_NP,
            "spend": 0.98 * planned_NP,
            "revenue": expected_NP * rng.uniform(0.9, 1.1, (SEEDS, count)),
            "impressions": impressions_NP,
            "clicks": np.floor(0.02 * impressions_NP),
            "conversions": np.floor(0.002 * impressions_NP),
            QUANTITIES[-1]: expected_NP,
        }
        records[name] = Record(
            np.stack([amounts[quantity] for quantity in QUANTITIES], 2),
            np.broadcast_to(share_P, (SEEDS, count)),
            0,
            flight_TP,
            share_P,
            np.zeros_like(flight_TP),
            np.ones_like(flight_TP),
            dynamic_of(Reward(), {key: amounts[key].sum(1) for key in AMOUNTS}, np.zeros(SEEDS)),
        )
    return records


def evaluation(
    platforms: tuple[str, ...],
    campaigns: list[str],
    records: dict[str, Record],
    table: dict[str, Any],
    fidelity: Comparison,
    *,
    generated: bool,
) -> dict[str, Any]:
    grid = np.linspace(0, 0.5, 50)
    marginal = {}
    for index, platform in enumerate(platforms):
        curve = 1.3 * np.exp(-7 * grid / (1 + 3 * 0.82**index)) * (1 + 0.82**index)
        marginal[platform] = {
            "share": grid.tolist(),
            "marginal": curve.tolist(),
            "revenue": (np.cumsum(curve) * 300).tolist(),
            "at_policy": float(records["policy"].flight_TP[-1, index]),
            "at_oracle": float(records["oracle"].flight_TP[-1, index]),
        }
    return {
        "platforms": platforms,
        "campaigns": campaigns,
        "currency": "EUR",
        "generated": generated,
        "fidelity": fidelity.plain(),
        "shift": comparison(platforms, 0.2).plain(),
        "bounds": bounds(CONFIG),
        "cycles": CYCLES,
        "cycle_hours": 24,
        "market_seeds": SEEDS,
        "policies": table,
        "trajectory": {
            "campaign": campaigns[0],
            "seed": 900_000,
            "policy": records["policy"].flight_TP.tolist(),
            "oracle": records["oracle"].flight_TP.tolist(),
            "low": records["policy"].low_TP.tolist(),
            "high": records["policy"].high_TP.tolist(),
        },
        "marginal_roi": marginal,
    }


def comparison(platforms: tuple[str, ...], size: float) -> Comparison:
    """The market against the log, or one period against another, off by about `size`."""
    groups = ("total", *platforms)
    half = {group: 0.02 if group == "total" else 0.08 for group in groups}
    quantities = ("click_probability", "price", *(f"change.{metric}" for metric in METRICS))
    return Comparison(
        {
            group: {metric: Deviation(size, size - half[group], size + half[group], 900) for metric in METRICS}
            for group in groups
        },
        {group: {name: Divergence(size / 4, 300, 10) for name in quantities} for group in groups},
        {group: TwoSample(0.5 + size, 0.01, 0.3, 300, "logistic regression") for group in groups},
    )


def gates(records: dict[str, Record], table: dict[str, Any], fidelity: Comparison) -> dict[str, Any]:
    """The real criteria on what was made up, but for the one that measures time."""
    case = Case(
        config=CONFIG,
        market=make_market(platforms=2),
        plan_from_spend=False,
        aggregate=False,
        fidelity=fidelity,
        records=records,
        policies=table,
        bundle=None,  # type: ignore[arg-type]  # only the latency is measured on it
    )
    latency = Gate(LATENCY, 1.0, "<= 5 ms at the 99th percentile", PASS, True, "one state through the exported policy")
    rows = [
        gate
        for criterion in CRITERIA.all()
        for gate in ([latency] if criterion.name == LATENCY else criterion.judge(case))
    ]
    passed = all(gate.verdict in ("pass", "not applicable") for gate in rows if gate.required)
    return {"gates": [asdict(gate) for gate in rows], "passed": passed}

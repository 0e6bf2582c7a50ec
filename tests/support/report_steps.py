"""What a run's steps leave, made up in code, for the tests of the report: through the typed artifacts, and through the
real judge and gates where those name things, so that a fixture cannot say what no step writes.

Long because the files of all steps are of one run: they agree in platforms, campaigns, totals and policies.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from crossmix.artifacts import (
    Alignment,
    Artifact,
    Curve,
    Evaluation,
    FusionReport,
    GateTable,
    IngestReport,
    MarketReport,
    MetaTraining,
    Registration,
    Summary,
)
from crossmix.baselines.registry import BASELINES
from crossmix.config import Reward, load
from crossmix.evaluate.fidelity.divergence import Divergence
from crossmix.evaluate.fidelity.impressions import METRICS, Comparison, Deviation
from crossmix.evaluate.fidelity.two_sample import TwoSample
from crossmix.evaluate.gates.case import CRITERIA, Case
from crossmix.evaluate.gates.verdicts import PASS, Gate, bounds
from crossmix.evaluate.judge import QUANTITIES, Record, summarise
from crossmix.ingest.report import rates
from crossmix.market.model import PARAMETERS
from crossmix.metrics import AMOUNTS
from crossmix.reward import dynamic_of
from crossmix.schema import Meta
from tests.support.markets import make_market

DEMO = ("search", "social", "short video", "video", "shop ads", "news", "audio", "display", "connected tv", "other")
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


def demo(root: Path, platforms: tuple[str, ...] = DEMO, *, passed: bool = True) -> dict[str, Path]:
    """Folders of all steps of a made-up run; `passed` False: gates fail, nothing is registered."""
    rng = np.random.default_rng(5)
    steps = {name: root / name for name in ("ingest", "fusion", "market", "train", "align", "meta", "gate", "register")}
    for folder in steps.values():
        folder.mkdir(parents=True)
    campaigns = ["spring", "launch", "retention"]
    records = _records(platforms, rng)
    table = summarise(records, NAMES, CONFIG, platforms)
    fidelity = _comparison(platforms, 0.01)
    if not passed:
        fidelity.deviations["total"]["cvr"] = Deviation(0.084, 0.055, 0.113, 900)
    parts: list[tuple[str, type[Artifact], dict[str, Any]]] = [
        ("ingest", Meta, _meta(platforms, campaigns, generated=passed)),
        ("ingest", IngestReport, _ingest(platforms, rng)),
        ("fusion", FusionReport, _fusion(rng)),
        ("market", MarketReport, _market(platforms, campaigns, rng)),
        ("train", Curve, _curve(rng, platforms)),
        ("align", Alignment, _align(platforms)),
        ("meta", MetaTraining, _meta_training()),
        ("gate", Evaluation, _evaluation(platforms, campaigns, records, table, fidelity, generated=passed)),
        ("gate", GateTable, _gates(records, table, fidelity)),
    ]
    if passed:
        parts.append(("register", Registration, REGISTRATION))
    for step, kind, content in parts:
        kind.of(content).save(steps[step])
    return steps


REGISTRATION = {
    "name": "crossmix-policy",
    "version": 1,
    "aliases": ["challenger", "champion"],
    "run_id": "a" * 32,
    "bundle_digest": "9f" * 32,
    "note": "",
}


def summary() -> dict[str, Any]:
    """The summary of the run that passed."""
    ratios = {name: _mean(ratio, 0.006) for name, ratio in RATIOS.items()}
    content = {
        "run_id": "20250301-101500-1f2e3d4c",
        "source": "demo",
        "rows": {"ingested": 214_332, "quarantined": {"price_paid_negative": 12, "unknown_platform": 3}},
        "fusion": {"click_auc": 0.71, "conversion_auc": 0.76, "click_ece": 0.001, "modalities": ["image", "text"]},
        "fidelity": {"campaign.ctr": {"value": 0.01, "verdict": "pass"}},
        "policy": {
            "oracle_ratio": ratios["policy"],
            "gap_closed": _mean(0.87, 0.03),
            "baselines": {name: ratios[name] for name in COMPETITORS},
        },
        "gates": [],
        "registry": {"name": "crossmix-policy", "version": 1, "aliases": ["challenger", "champion"]},
        "bundle": {"path": "bundle", "sha256": "9f" * 32},
        "seconds": {"ingest": 14.2, "features": 22.8, "fusion": 71.4, "market": 6.9, "train": 96.0, "gate": 38.1},
    }
    return Summary.of(content).plain()


def _meta(platforms: tuple[str, ...], campaigns: list[str], *, generated: bool) -> dict[str, Any]:
    return {
        "source": "demo" if generated else "criteo",
        "generated": generated,
        "currency": "EUR",
        "platforms": platforms,
        "campaigns": campaigns,
        "start": "2025-01-06T00:00:00+00:00",
        "cycle_hours": 24,
        "cycles": 70,
        "first_cycle": {"train": 0, "validation": 42, "test": 56},
        "modalities": ["image", "text", "behaviour"],
        "provenance": {},
        "weekday_pattern": True,
        "digest": "d" * 64,
        "notes": ["Plans hold no limits; every share may lie anywhere in [0, 1]."],
    }


def _ingest(platforms: tuple[str, ...], rng: np.random.Generator) -> dict[str, Any]:
    level = 900 * 0.75 ** np.arange(len(platforms))
    days = []
    for day in range(70):
        week = 1 + 0.18 * np.sin(2 * np.pi * day / 7)
        amounts = level * week * np.exp(0.12 * rng.standard_normal(len(platforms)) + 0.004 * day)
        date = str(np.datetime64("2025-01-06") + day)
        days.append({"date": date, "spend": dict(zip(platforms, amounts.round(2).tolist(), strict=True))})
    table = []
    for index, platform in enumerate(platforms):
        sums = {
            "impressions": int(41_000 / (index + 1)) + 900,
            "clicks": int(900 / (index + 1)) + 25,
            "conversions": int(70 / (index + 1)),
            "spend": float(level[index] * 70),
            "revenue": float(level[index] * 70 * (2.6 - 0.15 * index)),
        }
        table.append({"platform": platform} | rates(sums))
    total = {name: sum(row[name] for row in table) for name in ("impressions", "clicks", "conversions")}
    total |= {name: sum(row[name] for row in table) for name in ("spend", "revenue")}
    periods = {
        "train": (131_004, 29_120, "2025-01-06T00:00", "2025-02-16T23:59"),
        "validation": (41_100, 21_411, "2025-02-17T00:00", "2025-03-02T23:59"),
        "test": (42_228, 21_870, "2025-03-03T00:00", "2025-03-16T23:59"),
    }
    return {
        "rows": {
            "read": 214_388,
            "ingested": 214_332,
            "duplicates": 41,
            "quarantined": {"price_paid_negative": 12, "unknown_platform": 3},
            "imputed": {"region": 208},
            "users": 41_306,
        },
        "rates": rates(total),
        "by_platform": table,
        "by_day": days,
        "splits": {
            name: {
                "impressions": shown,
                "conversions": shown // 700,
                "holdout_impressions": shown // 3,
                "users": users,
                "from": begin,
                "to": end,
            }
            for name, (shown, users, begin, end) in periods.items()
        },
        "provenance": {
            "timestamp": "generated",
            "platform": "generated",
            "price_paid": "generated",
            "region": "imputed",
            "bid_price": "missing",
            "revenue": "approximated",
        },
        "notes": ["Rows without a region were given the user's most frequent one."],
    }


def _head(rng: np.random.Generator, base: float, auc: float) -> dict[str, Any]:
    x = np.linspace(0, 1, 60)
    predicted = base * np.exp(np.linspace(-1.6, 1.5, 15))
    return {
        "auc": auc,
        "log_loss": base * 4.1,
        "ece": base * 0.04,
        "base_log_loss": base * 4.6,
        "roc": {"fpr": x.tolist(), "tpr": (x ** (1 / auc - 1)).tolist(), "threshold": (1 - x).tolist()},
        "reliability": {
            "predicted": predicted.tolist(),
            "observed": np.append(0.0, predicted[1:] * np.exp(0.1 * rng.standard_normal(14))).tolist(),
            "count": [1700] * 15,
        },
        "rows": 25_500,
        "positives": int(25_500 * base),
    }


def _fusion(rng: np.random.Generator) -> dict[str, Any]:
    return {
        "encoders": {
            "image": "packaged:efficientnet-lite0",
            "text": "packaged:all-minilm-l6-v2",
            "behaviour": "transformer: 1 x 64, 4 heads, last 30 interactions",
        },
        "modalities": ["image", "text", "behaviour"],
        "click": _head(rng, 0.021, 0.71),
        "conversion": _head(rng, 0.0013, 0.76),
        "rows": {"trained": 120_000, "heldout": 25_500, "available": 91_000, "predicted": 214_332},
        "attention": {"image": 0.31, "text": 0.27, "behaviour": 0.42},
        "calibration": {
            head: {"method": "platt by platform", "rows": 41_100, "error_out_of_fold": {"platt": 0.002}}
            for head in ("click", "conversion")
        },
        "platforms": [],
        "curve": [{"epoch": 1, "training_loss": 0.11, "validation_loss": 0.1}],
        "notes": [],
    }


def _market(platforms: tuple[str, ...], campaigns: list[str], rng: np.random.Generator) -> dict[str, Any]:
    def cell(value: float, tag: str = "generated") -> dict[str, Any]:
        return {"value": value, "se": abs(value) * float(rng.uniform(0.02, 0.2)), "provenance": tag}

    scale = {"requests": 600.0, "ctr": 0.02, "cvr": 0.06, "value": 40.0}
    assumed = {"requests", "saturation"}
    return {
        "price_kind": "empirical",
        "cycle_hours": 24,
        "generated": True,
        "notes": ["The log has no bids: request volume rests on an assumed win rate."],
        "platforms": [
            {
                "campaign": campaign,
                "platform": platform,
                "mean_price": {"value": float(rng.uniform(0.5, 4)), "se": None, "provenance": "generated"},
            }
            | {
                name: cell(
                    scale.get(name, 0.5) * float(rng.uniform(0.5, 2)),
                    "approximated" if name in assumed else "generated",
                )
                for name in PARAMETERS
            }
            for campaign in campaigns
            for platform in platforms
        ],
    }


def _align(platforms: Sequence[str]) -> dict[str, Any]:
    quantities = ("requests", "level", "ctr", "cvr")
    return {
        "target": "market",
        "kept": "aligned",
        "every": 12,
        "discriminator_loss": [1.4, 1.2, 1.1],
        "generator_loss": [0.7, 0.9, 1.0],
        "accuracy_held_out": [0.7, 0.6, 0.52],
        "logged_transitions": 160,
        "held_out_transitions": 40,
        "multipliers_found": [[1.0] * len(platforms)] * len(quantities),
        "multipliers": {
            name: dict.fromkeys(quantities, 1.0) | {"ctr": 1.31 - k} for k, name in enumerate(platforms[:1])
        },
        "validation_trained": 0.981,
        "validation_aligned": 0.984,
    }


def _meta_training() -> dict[str, Any]:
    points = [
        {"iteration": 5 * k, "seconds": 2.0 * k, "revenue": 310.0, "unadapted": 1 + k / 1_000, "adapted": 1 + k / 500}
        for k in range(4)
    ]
    return {"points": points, "iterations": 15, "best": 15, "rates": {"head.weight": 0.001}}


def _curve(rng: np.random.Generator, platforms: Sequence[str]) -> dict[str, Any]:
    def point(phase: str, update: int, steps: int, ratio: float, **figures: float) -> dict[str, Any]:
        return {
            "phase": phase,
            "update": update,
            "env_steps": steps,
            "seconds": steps / 1e6,
            "validation_seconds": steps / 4e6,
            "validation_ratio": ratio,
            "validation_roi": 2.3 * ratio,
            "share": [1 / len(platforms)] * len(platforms),
            **figures,
        }

    points = []
    for index in range(40):
        ratio = 0.976 - 0.15 * np.exp(-index / 6) + 0.002 * rng.standard_normal()
        points.append(point("pathwise", 30 * (index + 1), 768_000 * (index + 1), ratio, objective=ratio))
    told = {"ppo_entropy": 7.2, "ppo_kl": 0.02, "ddpg_actor_loss": -0.2, "ddpg_critic_loss": 0.3}
    for index in range(12):
        ratio = 0.975 + 0.001 * rng.standard_normal()
        points.append(point("hybrid", index + 1, 768_000 * 40 + 6_400 * (index + 1), ratio, **told))
    best = max(points, key=lambda point: point["validation_ratio"])
    return {
        "points": points,
        "stopped": "all 12 rounds played",
        "best": {key: best[key] for key in ("phase", "update", "validation_ratio", "validation_roi")},
        "uniform_ratio": 0.812,
        "env_steps": points[-1]["env_steps"],
        "seed": 0,
        "market_seed": 1_000,
        "agent": "hybrid",
        "key": "c" * 64,
        "ranks": 1,
        "platforms": list(platforms),
    }


def _mean(value: float, width: float) -> dict[str, Any]:
    return {"mean": value, "ci95": [value - width, value + width]}


def _records(platforms: tuple[str, ...], rng: np.random.Generator) -> dict[str, Record]:
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
            np.zeros_like(flight_TP),
            np.ones_like(flight_TP),
            dynamic_of(Reward(), {key: amounts[key].sum(1) for key in AMOUNTS}, np.zeros(SEEDS)),
        )
    return records


def _evaluation(
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
        "shift": _comparison(platforms, 0.2).plain(),
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


def _comparison(platforms: tuple[str, ...], size: float) -> Comparison:
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


def _gates(records: dict[str, Record], table: dict[str, Any], fidelity: Comparison) -> dict[str, Any]:
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

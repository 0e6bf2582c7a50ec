"""What a run's steps leave, made up in code, for the tests of the report: through the typed artifacts, and through the
real judge and gates where those name things, so that a fixture cannot say what no step writes.

The files of all steps are of one run: they agree in platforms, campaigns, totals and policies.
"""

from __future__ import annotations

from collections.abc import Sequence
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
from crossmix.evaluate.fidelity.impressions import Deviation
from crossmix.evaluate.judge import summarise
from crossmix.ingest.report import rates
from crossmix.market.model import PARAMETERS
from crossmix.schema import Meta
from tests.support.report_judged import (
    COMPETITORS,
    CONFIG,
    NAMES,
    RATIOS,
    comparison,
    evaluation,
    gates,
    played,
)

DEMO = ("search", "social", "short video", "video", "shop ads", "news", "audio", "display", "connected tv", "other")


def demo(root: Path, platforms: tuple[str, ...] = DEMO, *, passed: bool = True) -> dict[str, Path]:
    """Folders of all steps of a made-up run; `passed` False: gates fail, nothing is registered."""
    rng = np.random.default_rng(5)
    steps = {name: root / name for name in ("ingest", "fusion", "market", "train", "align", "meta", "gate", "register")}
    for folder in steps.values():
        folder.mkdir(parents=True)
    campaigns = ["spring", "launch", "retention"]
    records = played(platforms, rng)
    table = summarise(records, NAMES, CONFIG, platforms)
    fidelity = comparison(platforms, 0.01)
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
        ("gate", Evaluation, evaluation(platforms, campaigns, records, table, fidelity, generated=passed)),
        ("gate", GateTable, gates(records, table, fidelity)),
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

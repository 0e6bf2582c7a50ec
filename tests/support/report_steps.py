"""The JSON that a run's steps leave, made up in code, for the tests of the report."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

DEMO = ("search", "social", "short video", "video", "shop ads", "news", "audio", "display", "connected tv", "other")
NAMES = {
    "policy": ("crossmix", False, 0.975),
    "oracle": ("oracle (myopic)", True, 1.0),
    "plug_in": ("concave plug-in", False, 0.921),
    "windowed_roi": ("windowed ROI", False, 0.905),
    "rule": ("rule", False, 0.874),
    "control": ("control (history)", False, 0.861),
    "static": ("static plan", False, 0.846),
    "uniform": ("uniform", False, 0.807),
}


def demo(root: Path, platforms: tuple[str, ...] = DEMO, *, passed: bool = True) -> dict[str, Path]:
    """Folders of all steps of a made-up run; `passed` False: gates fail, nothing is registered."""
    rng = np.random.default_rng(5)
    steps = {name: root / name for name in ("ingest", "fusion", "market", "train", "align", "meta", "gate", "register")}
    for folder in steps.values():
        folder.mkdir(parents=True)
    campaigns = ["spring", "launch", "retention"]
    _write(steps["ingest"] / "meta.json", _meta(platforms, campaigns, generated=passed))
    _write(steps["ingest"] / "report.json", _ingest(platforms, rng))
    _write(steps["fusion"] / "report.json", _fusion(rng))
    _write(steps["market"] / "report.json", _market(platforms, campaigns, rng))
    _write(steps["train"] / "curve.json", _curve(rng, platforms))
    _write(steps["align"] / "align.json", _align(platforms))
    _write(steps["meta"] / "meta.json", _meta_training())
    _write(steps["gate"] / "evaluation.json", _evaluation(platforms, campaigns, rng, generated=passed))
    _write(steps["gate"] / "gates.json", _gates(platforms, passed))
    if passed:
        registration = {"name": "crossmix-policy", "version": 1, "aliases": ["challenger", "champion"], "note": ""}
        _write(steps["register"] / "registration.json", registration)
    return steps


def summary() -> dict[str, Any]:
    """What matters of summary.json."""
    return {
        "run_id": "20250301-101500-1f2e3d4c",
        "source": "demo",
        "registry": {"name": "crossmix-policy", "version": 1, "aliases": ["challenger", "champion"]},
        "bundle": {"path": "bundle", "sha256": "9f" * 32},
        "seconds": {"ingest": 14.2, "features": 22.8, "fusion": 71.4, "market": 6.9, "train": 96.0, "gate": 38.1},
    }


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
        "notes": ["Plans hold no limits; every share may lie anywhere in [0, 1]."],
    }


def _ingest(platforms: tuple[str, ...], rng: np.random.Generator) -> dict[str, Any]:
    level = 900 * 0.75 ** np.arange(len(platforms))
    days = []
    for day in range(70):
        week = 1 + 0.18 * np.sin(2 * np.pi * day / 7)
        amounts = level * week * np.exp(0.12 * rng.standard_normal(len(platforms)) + 0.004 * day)
        date = str(np.datetime64("2025-01-06") + day)
        days.append({"date": date, **dict(zip(platforms, amounts.round(2).tolist(), strict=True))})
    table = []
    for index, platform in enumerate(platforms):
        clicks, conversions = int(900 / (index + 1)) + 25, int(70 / (index + 1))
        spend, revenue = float(level[index] * 70), float(level[index] * 70 * (2.6 - 0.15 * index))
        table.append(
            {
                "platform": platform,
                "impressions": int(41_000 / (index + 1)) + 900,
                "clicks": clicks,
                "conversions": conversions,
                "spend": spend,
                "revenue": revenue,
                "ctr": clicks / (41_000 / (index + 1) + 900),
                "cvr": conversions / clicks,
                "cpa": spend / conversions if conversions else None,
                "roas": revenue / spend,
            }
        )
    return {
        "rows": {"ingested": 214_332, "quarantined": {"negative_price": 12, "unknown_platform": 3}, "duplicates": 41},
        "rates": {"ctr": 0.021, "cvr": 0.06, "roas": 1.9},
        "by_platform": table,
        "by_day": days,
        "splits": {
            "train": {"impressions": 131_004, "users": 29_120, "from": "2025-01-06T00:00", "to": "2025-02-16T23:59"},
            "validation": {
                "impressions": 41_100,
                "users": 21_411,
                "from": "2025-02-17T00:00",
                "to": "2025-03-02T23:59",
            },
            "test": {"impressions": 42_228, "users": 21_870, "from": "2025-03-03T00:00", "to": "2025-03-16T23:59"},
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
        "notes": [],
    }


def _market(platforms: tuple[str, ...], campaigns: list[str], rng: np.random.Generator) -> dict[str, Any]:
    def cell(value: float, tag: str = "generated") -> dict[str, Any]:
        return {"value": value, "se": abs(value) * float(rng.uniform(0.02, 0.2)), "provenance": tag}

    return {
        "price_kind": "empirical",
        "notes": ["The log has no bids: request volume rests on an assumed win rate."],
        "platforms": [
            {
                "campaign": campaign,
                "platform": platform,
                "requests": cell(600 * float(rng.uniform(0.5, 2)), "approximated"),
                "mean_price": {"value": float(rng.uniform(0.5, 4)), "se": None, "provenance": "generated"},
                "ctr": cell(0.02 * float(rng.uniform(0.5, 2))),
                "cvr": cell(0.06 * float(rng.uniform(0.5, 2))),
                "value": cell(40 * float(rng.uniform(0.5, 2))),
                "saturation": cell(float(rng.uniform(0.6, 1.6)), "approximated"),
                "ctr_drift": cell(0.3),
                "price_drift": cell(0.2),
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
        "multipliers": {
            name: dict.fromkeys(quantities, 1.0) | {"ctr": 1.31 - k} for k, name in enumerate(platforms[:1])
        },
        "validation_trained": 0.981,
        "validation_aligned": 0.984,
    }


def _meta_training() -> dict[str, Any]:
    points = [{"iteration": 5 * k, "unadapted": 1 + k / 1_000, "adapted": 1 + k / 500} for k in range(4)]
    return {"points": points, "iterations": 15, "best": 15}


def _curve(rng: np.random.Generator, platforms: Sequence[str]) -> dict[str, Any]:
    points = []
    for index in range(40):
        ratio = 0.976 - 0.15 * np.exp(-index / 6) + 0.002 * rng.standard_normal()
        points.append(
            {
                "phase": "pathwise",
                "update": 30 * (index + 1),
                "env_steps": 768_000 * (index + 1),
                "validation_ratio": ratio,
                "share": [1 / len(platforms)] * len(platforms),
            }
        )
    for index in range(12):
        ratio = 0.975 + 0.001 * rng.standard_normal()
        steps = 768_000 * 40 + 6_400 * (index + 1)
        points.append(
            {
                "phase": "hybrid",
                "update": index + 1,
                "env_steps": steps,
                "validation_ratio": ratio,
                "ppo_entropy": 7.2,
                "ppo_kl": 0.02,
                "ddpg_actor_loss": -0.2,
                "ddpg_critic_loss": 0.3,
                "share": [1 / len(platforms)] * len(platforms),
            }
        )
    best = max(points, key=lambda point: point["validation_ratio"])
    return {
        "points": points,
        "stopped": "all episodes done",
        "best": best,
        "uniform_ratio": 0.812,
        "platforms": list(platforms),
    }


def _mean(value: float, width: float) -> dict[str, Any]:
    return {"mean": value, "ci95": [value - width, value + width]}


def _evaluation(
    platforms: tuple[str, ...], campaigns: list[str], rng: np.random.Generator, *, generated: bool
) -> dict[str, Any]:
    count, cycles = len(platforms), 30
    base = 0.82 ** np.arange(count)
    walk = np.cumsum(0.08 * rng.standard_normal((cycles, count)), 0)
    oracle = base * np.exp(walk)
    oracle /= oracle.sum(1, keepdims=True)
    policy = base * np.exp(0.85 * walk + 0.04 * rng.standard_normal((cycles, count)))
    policy /= policy.sum(1, keepdims=True)
    policies: dict[str, Any] = {}
    for name, (label, clairvoyant, ratio) in NAMES.items():
        rows = {}
        for index, platform in enumerate(platforms):
            share = float(policy[:, index].mean() if name == "policy" else oracle[:, index].mean())
            if name in ("uniform", "static"):
                share = 1 / count
            planned, spend = 30_000 * share, 29_400 * share
            impressions, revenue = int(20_000 * share), 2.3 * ratio * 30_000 * share
            clicks, conversions = int(0.02 * impressions), int(0.002 * impressions)
            rows[platform] = {
                "share": share,
                "planned": planned,
                "spend": spend,
                "revenue": revenue,
                "impressions": impressions,
                "clicks": clicks,
                "conversions": conversions,
                "utilisation": spend / planned,
                "roi": revenue / planned * float(rng.uniform(0.9, 1.1)),
                "roas": revenue / spend,
                "cpa": spend / conversions if conversions else None,
                "ctr": clicks / impressions if impressions else None,
                "cvr": conversions / clicks if clicks else None,
            }
        policies[name] = {
            "label": label,
            "clairvoyant": clairvoyant,
            "oracle_ratio": _mean(ratio, 0.0 if clairvoyant else 0.006),
            "gap_closed": _mean((ratio - 0.807) / 0.193, 0.03),
            "difference": None if name == "policy" else _mean(0.975 - ratio, 0.007),
            "roi": _mean(2.3 * ratio, 0.05),
            "roas": _mean(2.35 * ratio, 0.05),
            "utilisation": _mean(0.98, 0.01),
            "platform": rows,
        }
    grid = np.linspace(0, 0.5, 50)
    marginal = {}
    for index, platform in enumerate(platforms):
        curve = 1.3 * np.exp(-7 * grid / (1 + 3 * base[index])) * (1 + base[index])
        marginal[platform] = {
            "share": grid.tolist(),
            "marginal": curve.tolist(),
            "revenue": (np.cumsum(curve) * 300).tolist(),
            "at_policy": float(policy[-1, index]),
            "at_oracle": float(oracle[-1, index]),
        }
    return {
        "platforms": platforms,
        "campaigns": campaigns,
        "currency": "EUR",
        "generated": generated,
        "fidelity": _comparison(platforms, 0.01),
        "shift": _comparison(platforms, 0.2),
        "bounds": {"deviation": 0.05, "divergence": 0.1, "auc": 0.624},
        "cycles": cycles,
        "market_seeds": 20,
        "policies": policies,
        "trajectory": {
            "campaign": campaigns[0],
            "seed": 900_000,
            "policy": policy.tolist(),
            "oracle": oracle.tolist(),
            "low": np.zeros((cycles, count)).tolist(),
            "high": np.ones((cycles, count)).tolist(),
        },
        "marginal_roi": marginal,
    }


def _comparison(platforms: tuple[str, ...], size: float) -> dict[str, Any]:
    """The market against the log, or one period against another, off by about `size`."""
    groups = ("total", *platforms)
    half = {group: 0.02 if group == "total" else 0.08 for group in groups}
    quantities = ("click_probability", "price", *(f"change.{metric}" for metric in ("ctr", "cvr", "roi", "spend")))
    return {
        "deviations": {
            group: {
                metric: {"value": size, "low": size - half[group], "high": size + half[group], "conversions": 900}
                for metric in ("ctr", "cvr", "roi", "spend")
            }
            for group in groups
        },
        "divergences": {
            group: {name: {"value": size / 4, "count": 300, "bins": 10, "noise": 0.036} for name in quantities}
            for group in groups
        },
        "two_sample": {
            group: {"auc": 0.5 + size, "low": 0.48 + size, "high": 0.52 + size, "p_value": 0.3, "rows": 300}
            for group in groups
        },
    }


def _gates(platforms: tuple[str, ...], passed: bool) -> dict[str, Any]:
    def gate(
        name: str, value: float | None, threshold: str, verdict: str, required: bool, detail: str
    ) -> dict[str, Any]:
        return {
            "name": name,
            "value": value,
            "threshold": threshold,
            "verdict": verdict,
            "required": required,
            "detail": detail,
        }

    rows = [
        gate("fidelity.campaign.ctr", 0.013, "95 % interval within ±5 %", "pass", True, "interval −0.9 % to 3.4 %"),
        gate(
            "fidelity.campaign.cvr",
            0.084 if not passed else 0.021,
            "95 % interval within ±5 %",
            "pass" if passed else "fail",
            True,
            "interval −1.2 % to 4.6 %" if passed else "interval 2.1 % to 14.7 %",
        ),
        *(
            gate(
                f"fidelity.{platform}.cvr",
                None,
                "95 % interval within ±5 %",
                "insufficient data",
                False,
                f"{8 + index} test conversions; 1 540 are needed",
            )
            for index, platform in enumerate(platforms[-3:])
        ),
        gate("policy.better_than.control", 0.114, "interval above 0", "pass", True, "0.107 to 0.121"),
        gate("policy.limits", 0.0, "0 violations", "pass", True, ""),
        gate(
            "policy.off_policy", None, "not below the champion", "not applicable", False, "no propensities were logged"
        ),
        gate("policy.latency", 0.18, "99 % under 5 ms", "pass", True, "1 000 calls"),
    ]
    return {"gates": rows, "passed": passed}


def _write(file: Path, content: Any) -> None:
    file.write_text(json.dumps(content))

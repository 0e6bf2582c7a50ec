"""Small catalogues and briefs, and every plan of them one by one."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np

from crossmix.creators import brief as briefs
from crossmix.creators.brief import Brief
from crossmix.creators.catalogue import Catalogue
from crossmix.creators.matrix import TOLERANCE
from crossmix.creators.problem import Problem, pose

ORDER = {"kind": "order", "of": "tier", "names": ["head", "mid", "tail"]}


def catalogue(creators: int = 9, seed: int = 0, **columns: Any) -> Catalogue:
    """Random creators on two channels in three tiers, with columns replaced."""
    rng = np.random.default_rng(seed)
    followers = np.asarray([600_000, 100_000, 9_000])[np.arange(creators) % 3] * rng.uniform(1, 3, creators)
    values: dict[str, Any] = {
        "ids": tuple(f"c{at}" for at in range(creators)),
        "channels": ("instagram", "tiktok"),
        "channel_N": rng.integers(0, 2, creators),
        "followers_N": np.rint(followers),
        "price_N": np.rint(200 * (followers / 9_000) ** 0.6 * np.exp(rng.normal(0, 0.4, creators))),
        "rate_N": rng.uniform(0.01, 0.1, creators),
        "quality_N": rng.uniform(0.3, 1, creators),
        "contents": ("post", "video"),
        "content_N": rng.integers(0, 2, creators),
        "categories": ("beauty", "food"),
        "member_G": np.arange(creators),
        "category_G": rng.integers(0, 2, creators),
        "of_E": np.zeros(0, np.int64),
        "result_E": np.zeros(0),
    }
    return Catalogue(**{**values, **columns})


def effects(of: Catalogue, seed: int = 0) -> np.ndarray:
    """Effects that rise with the price, with luck."""
    rng = np.random.default_rng(seed + 1)
    return of.price_N**0.8 * np.exp(rng.normal(0, 0.5, len(of)))


def brief(**changes: Any) -> Brief:
    """Two channels, two phases, three tiers, without rules."""
    values: dict[str, Any] = {
        "budget": 6_000,
        "currency": "EUR",
        "channels": ["instagram", "tiktok"],
        "phases": ["teaser", "launch"],
        "tiers": {"head": 500_000, "mid": 50_000, "tail": 0},
    }
    return briefs.of({**values, **changes})


def problem(creators: int = 9, seed: int = 0, **changes: Any) -> Problem:
    """A small problem; `changes` are the brief's."""
    of = catalogue(creators, seed)
    return pose(of, effects(of, seed), brief(**changes))


def plans(of: Problem) -> list[np.ndarray]:
    """Every plan that keeps budget, rules and must-have creators, that of nobody included."""
    options = [
        [-1, *of.cell_KP[kind, of.open_P].tolist()] if not must else of.cell_KP[kind, of.open_P].tolist()
        for kind, must in zip(of.class_N, of.must_N, strict=True)
    ]
    kept = []
    for cells in itertools.product(*options):
        cell_N = np.asarray(cells)
        if of.cost(cell_N) > of.budget:
            continue
        slack_R = of.rows.slack_R(of.spend_C(cell_N))
        if (slack_R >= -TOLERANCE * of.brief.budget).all():
            kept.append(cell_N)
    return kept


def best(of: Problem) -> float:
    """Effect of the best of `plans`."""
    return max(of.value(cell_N) for cell_N in plans(of))

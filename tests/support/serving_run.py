"""A finished run in small, as `crossmix serve` finds it: two bundles in a registry, a feature folder, no training."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from crossmix import bundle
from crossmix.artifacts import RunRecord
from crossmix.config import Config, load
from crossmix.constraints import Limits
from crossmix.registry.store import Registry
from crossmix.response import Response, ResponseTable
from crossmix.state import ALLOCATION, Layout
from feature_repo import features
from tests.support.bundles import Actor
from tests.support.feature_logs import CAMPAIGNS, PLATFORMS, fake_encode, fake_statistics, write_log

NAMES = tuple(f"platform{slot}" for slot in range(PLATFORMS))
BUDGET = 1_000.0


@dataclass(frozen=True)
class Run:
    """Where it is, and what it was made of."""

    out: Path
    config: Config
    digests: tuple[str, str]
    """Of versions 1 (champion) and 2."""

    @property
    def registry(self) -> Registry:
        return Registry.of(self.config, self.out)

    @property
    def features(self) -> Path:
        return self.out / "steps" / "features"


class Concave:
    """Revenue a_p sqrt(money) per platform."""

    def __call__(self, share_P: np.ndarray, budget: float) -> Response:
        scale, money = np.linspace(10, 40, len(share_P)), share_P * budget
        revenue, marginal = scale * np.sqrt(money), 0.5 * scale / np.sqrt(np.maximum(money, 1e-9))
        return Response(revenue, 0.1 * revenue, marginal, 0.1 * marginal)


def save_bundle(
    folder: Path,
    config: Config,
    seed: int,
    platforms: tuple[str, ...] = NAMES,
    layout: Layout = ALLOCATION,
    extras: Mapping[str, bytes] | None = None,
) -> bundle.Bundle:
    """A policy of random weights."""
    rng = np.random.default_rng(seed)
    share = rng.dirichlet(np.ones(len(platforms)) * 20, len(CAMPAIGNS))
    limits = Limits.free(len(platforms))
    limits.minimum_P.fill_(0.02)
    limits.maximum_P.fill_(0.5)
    table = ResponseTable.of(Concave(), len(platforms), BUDGET)
    made = bundle.save(
        folder,
        Actor(len(platforms), seed),
        config=config,
        platforms=platforms,
        limits=dict.fromkeys(CAMPAIGNS, limits),
        plans={
            name: bundle.Plan(BUDGET, "EUR", tuple((row / row.sum()).tolist()))
            for name, row in zip(CAMPAIGNS, share, strict=True)
        },
        contexts={name: rng.normal(size=ALLOCATION.context_size) for name in CAMPAIGNS},
        responses=dict.fromkeys(CAMPAIGNS, table),
        data_digest="d" * 64,
        layout=layout,
        extras=extras,
    )
    gate = {"name": "policy.limits", "value": 0.0, "threshold": "0 cycles", "verdict": "pass", "required": True}
    return bundle.annotate(made.path, [gate])


def make(out: Path) -> Run:
    """Build it (15 s, most of it Feast's and MLflow's import)."""
    config = load("laptop", ["serving.salt=crossmix"])
    out.mkdir(parents=True)
    log = write_log(out / "log")
    folder = out / "steps" / "features"
    folder.mkdir(parents=True)
    features.build(config, log.path, folder, encode=fake_encode, statistics=fake_statistics)
    RunRecord(run_id="r", config=asdict(config), steps={"features": "steps/features"}).save(out)
    registry = Registry.of(config, out)
    digests = []
    for number in (1, 2):
        made = save_bundle(out / f"version{number}", config, number)
        registered = registry.register(made.path, wins=False)
        assert registered.number == number
        digests.append(made.digest)
    (out / "version1").rename(out / "bundle")
    return Run(out, config, (digests[0], digests[1]))


def instance(campaign: str = CAMPAIGNS[0], **more: Any) -> dict[str, Any]:
    """A V1 body of one question."""
    return {"instances": [{"campaign_id": campaign, **more}]}

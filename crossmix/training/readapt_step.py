"""The steps readapt and finetune: the champion adapted to its refitted market, and what was tried (§2.3.2, 2.5)."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from pathlib import Path

import numpy as np

from crossmix.agents import online
from crossmix.artifacts import FeedbackReport, Lead, MovedLevel, Readaptation, ServingVersion, TriedWay
from crossmix.config import Config
from crossmix.exploration import Exploration
from crossmix.market.level_evidence import QUANTITIES
from crossmix.market.levels import Refit
from crossmix.market.model import Market, load, save
from crossmix.training.feedback_file import load_feedback, load_served
from crossmix.training.policy_file import AdaptationStart, TrainedPolicy
from crossmix.training.readapt import CHAMPION, Adapted, table
from crossmix.training.readapt import readapt as adapted_to

LIKELY = 0.5
"""Probability of having moved from which a level is told."""


def readapt(config: Config, champion: Path, feedback: Path, out: Path) -> Readaptation:
    """Everything that `crossmix.training.readapt` can try; write the policy, market/ and readapt.json.

    Args:
        champion: what the champion step wrote.
        feedback: what the feedback step wrote.

    Raises:
        TrainingError: a loss is not finite.
    """
    return _adapt(config, champion, feedback, load_served(feedback), out)


def finetune(config: Config, champion: Path, feedback: Path, out: Path) -> Readaptation:
    """The daily one: a new plan from the refitted market, and eq. 12 where `online.daily` says so; as `readapt`."""
    daily = replace(config, readapt=replace(config.readapt, updates=0, steps=0))
    return _adapt(daily, champion, feedback, load_served(feedback) if config.online.daily else None, out)


def _adapt(config: Config, champion: Path, feedback: Path, served: online.Feedback | None, out: Path) -> Readaptation:
    version, told = ServingVersion.load(champion), FeedbackReport.load(feedback)
    market, serving = load(champion / "market"), TrainedPolicy.load(champion / "trained")
    start = AdaptationStart.load(champion / "meta") if version.start else None
    result = adapted_to(config, market, serving, load_feedback(feedback), start=start, served=served, day=told.day)
    (out / "market").mkdir()
    save(_named_anew(result.refit, market), out / "market")
    kept = result.trained
    if result.best.name != CHAMPION:
        kept = serving.fine_tuned(result.best.policy, Exploration.of(config))
    kept.save(out)
    report = Readaptation(
        version=version.version,
        until=told.until or version.until,
        kept=result.best.name,
        tried=_tried(result),
        moved=tuple(moved(market, result.refit)),
    )
    report.save(out)
    return report


def _tried(result: Adapted) -> tuple[TriedWay, ...]:
    ways = []
    for row in table(result):
        lead = row.get("lead")
        ways.append(
            TriedWay(**row | ({} if lead is None else {"lead": Lead(mean=lead["mean"], ci95=tuple(lead["ci95"]))}))
        )
    return tuple(ways)


def _named_anew(refit: Refit, before: Market) -> Market:
    """The refitted market under a digest of its own: figures of two markets are not to be compared."""
    digest = hashlib.sha256(before.digest.encode() + np.ascontiguousarray(refit.level_CPQ).tobytes()).hexdigest()
    return replace(refit.market, digest=digest)


def moved(market: Market, refit: Refit) -> list[MovedLevel]:
    """Levels that are more likely to have moved than not, the surest first."""
    found = []
    for c, p, q in np.argwhere(refit.moved_CPQ > LIKELY).tolist():
        level, error = refit.level_CPQ[c, p, q], refit.error_CPQ[c, p, q]
        low, high = np.exp(level - 1.96 * error), np.exp(level + 1.96 * error)
        found.append(
            MovedLevel(
                campaign=market.campaigns[c],
                platform=market.platforms[p],
                quantity=QUANTITIES[q],
                factor=float(np.exp(level)),
                ci95=(float(low), float(high)),
                probability=float(refit.moved_CPQ[c, p, q]),
            )
        )
    return sorted(found, key=lambda one: -one.probability)

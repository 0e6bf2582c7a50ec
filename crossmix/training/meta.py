"""The meta step: an initialisation from which few cycles of a moved market are enough (§2.3.2).

Tasks are the log's strata (time x region x platforms, `crossmix.market.tasks`), where the market has them, each with a
shift of random kind, size and platforms on top. Iterations are seeded by their number, so that a run resumed from its
checkpoint ends with the same numbers as one that was not killed. What comes out serves re-adaptation; the policy that
is judged and served stays the trained one.
"""

from __future__ import annotations

import hashlib
import math
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from tqdm import tqdm

from crossmix.agents.maml import MAML, adapt, named, pathwise_loss
from crossmix.agents.policy import Policy
from crossmix.artifacts import MetaTraining
from crossmix.config import Config, ConfigError, digest
from crossmix.files import replacing
from crossmix.market.environment import MarketEnvironment
from crossmix.market.model import Market, load
from crossmix.market.shift import shift
from crossmix.market.tasks import tasks
from crossmix.training.policy_file import AdaptationStart, TrainedPolicy, policy_digest
from crossmix.training.run import TrainingError

VALIDATION_TASKS = 8
VALIDATION_SEED = 500_000
PLATFORM_SHIFTS = ("price_shock", "ctr_collapse")
"""Scenarios that move some platforms against the others, drawn for training; sizes and platforms are random."""


def meta(config: Config, market: Path, policy: Path, out: Path, work: Path) -> dict[str, Any]:
    """Meta-train from the trained policy; writes the start (`AdaptationStart`) and meta.json (curve, figures).

    Raises:
        TrainingError: the loss or a parameter is not finite; the last checkpoint is kept.
    """
    fitted, settings = load(market), config.meta
    iterations = settings.iterations_of_history if fitted.of_totals else settings.iterations
    trained = TrainedPolicy.load(policy)
    actor = trained.policy().train()
    learner = MAML(actor, settings)
    bases = base_tasks(fitted, settings.tasks, settings.seed)
    key = digest(
        {
            "meta": asdict(settings),
            "market": hashlib.sha256((market / "market.json").read_bytes()).hexdigest(),
            "policy": policy_digest(policy),
        }
    )
    checkpoint = work / "checkpoint.pt"
    done, points, best = _resume(checkpoint, key, learner)
    held = [draw_task(bases, settings.seed, -1 - number) for number in range(VALIDATION_TASKS)]
    started = time.monotonic() - (points[-1]["seconds"] if points else 0.0)
    if not points:
        best = _validate(config, learner, held, 0, points, best, started)
    bar = tqdm(total=iterations, initial=done, desc="meta maml", unit="iteration", mininterval=2.0)
    while done < iterations:
        pairs = [
            environments(config, draw_task(bases, settings.seed, done * settings.batch_tasks + number), done, number)
            for number in range(settings.batch_tasks)
        ]
        value = learner.update(pairs)
        _require_finite(learner, value, checkpoint)
        done += 1
        bar.update()
        if done % settings.validate_every == 0 or done == iterations:
            best = _validate(config, learner, held, done, points, best, started)
            bar.set_postfix_str(f"of the start {points[-1]['adapted']:.4f}")
            _save(checkpoint, key, learner, done, points, best)
    bar.close()
    names = tuple(learner.rates.names)
    AdaptationStart(best["policy"], best["log_rates"], names, settings.steps, trained.actor).save(out)
    report = {
        "points": points,
        "iterations": done,
        "best": best["iteration"],
        "rates": dict(zip(learner.rates.names, best["log_rates"].exp().tolist(), strict=True)),
    }
    MetaTraining.of(report).save(out)
    return report


def base_tasks(market: Market, count: int, seed: int) -> list[Market]:
    """The markets of the log's training strata; the fitted one alone where the log has no strata."""
    try:
        return [item.market for item in tasks(market, train=count, held_out=1, seed=seed).train]
    except ConfigError:
        # A short log, or a spend history: shifts alone make the tasks.
        return [market]


def draw_task(bases: list[Market], seed: int, number: int) -> Market:
    """Task `number`: a base with a random shift of a third of its platforms, there from the start."""
    rng = np.random.default_rng([seed, number + 1_000_000])
    base = bases[int(rng.integers(len(bases)))]
    count = max(1, round(len(base.platforms) / 3))
    where = [base.platforms[int(p)] for p in rng.choice(len(base.platforms), size=count, replace=False)]
    name = PLATFORM_SHIFTS[int(rng.integers(len(PLATFORM_SHIFTS)))]
    fall = float(np.exp(-rng.uniform(math.log(1.3), math.log(2.5))))
    rises = name == "price_shock" and rng.random() < 0.5
    return shift(base, name, platforms=where, size=1 / fall if rises else fall)


def environments(
    config: Config, market: Market, iteration: int, number: int
) -> tuple[MarketEnvironment, MarketEnvironment]:
    """Support and query worlds of a task: two seeds that nothing else uses."""
    seed = config.train.market_seed + 2_000_000 + 2 * (iteration * config.meta.batch_tasks + number)
    return tuple(_environment(config, market, seed + part) for part in (0, 1))  # type: ignore[return-value]


def _environment(config: Config, market: Market, seed: int) -> MarketEnvironment:
    rows = config.meta.batch
    return MarketEnvironment(
        market,
        config,
        campaign_B=torch.arange(rows) % len(market.campaigns),
        cycles=max(config.meta.steps + 1, config.train.cycles),
        mechanism="counts",
        seed=seed,
    )


def _validate(
    config: Config,
    learner: MAML,
    held: list[Market],
    done: int,
    points: list[dict[str, Any]],
    best: dict[str, Any],
    started: float,
) -> dict[str, Any]:
    """Query loss after adaptation on validation tasks, as revenue over that of the trained policy, unadapted."""
    before, after = [], []
    for number, market in enumerate(held):
        support = _environment(config, market, VALIDATION_SEED + 2 * number)
        query = _environment(config, market, VALIDATION_SEED + 2 * number + 1)
        start = {name: value.detach().clone().requires_grad_(True) for name, value in named(learner.policy).items()}
        rates = {name: rate.detach() for name, rate in learner.rates().items()}
        with torch.no_grad():
            before.append(_revenue(learner.policy, start, query))
        adapted = adapt(learner.policy, start, rates, support, config.meta.steps, pathwise_loss())
        with torch.no_grad():
            after.append(_revenue(learner.policy, adapted, query))
    start_revenue = points[0]["revenue"] if points else sum(before)
    ratio = sum(after) / start_revenue
    points.append(
        {
            "iteration": done,
            "seconds": time.monotonic() - started,
            "revenue": start_revenue,
            "unadapted": sum(before) / start_revenue,
            "adapted": ratio,
        }
    )
    if not best or ratio > best["adapted"]:
        policy = {name: value.detach().clone() for name, value in learner.policy.state_dict().items()}
        return {"policy": policy, "log_rates": learner.rates.log.detach().clone(), "adapted": ratio, "iteration": done}
    return best


def _revenue(policy: Policy, parameters: dict[str, Tensor], environment: MarketEnvironment) -> float:
    """Expected revenue of the coming cycle."""
    _, share = pathwise_loss()(policy, parameters, environment)
    return float(environment.expected(share).revenue.sum())


def _require_finite(learner: MAML, value: float, checkpoint: Path) -> None:
    kept = f"the last good checkpoint is {checkpoint}" if checkpoint.exists() else "there is no checkpoint yet"
    if not math.isfinite(value):
        raise TrainingError(f"meta loss is {value}: stopped; {kept}. Lower meta.outer_rate or meta.inner_rate.")
    for name, tensor in [*learner.policy.named_parameters(), ("inner rates", learner.rates.log)]:
        if not bool(torch.isfinite(tensor).all()):
            raise TrainingError(f"{name} is not finite: stopped; {kept}. Lower meta.outer_rate or meta.inner_rate.")


def _save(path: Path, key: str, learner: MAML, done: int, points: list[dict[str, Any]], best: dict[str, Any]) -> None:
    blob = {
        "key": key,
        "policy": learner.policy.state_dict(),
        "log_rates": learner.rates.log.detach(),
        "optimiser": learner.optimiser.state_dict(),
        "done": done,
        "points": points,
        "best": best,
    }
    with replacing(path) as half:
        torch.save(blob, half)


def _resume(path: Path, key: str, learner: MAML) -> tuple[int, list[dict[str, Any]], dict[str, Any]]:
    if path.exists():
        kept = torch.load(path, weights_only=True)
        if kept["key"] == key:
            learner.policy.load_state_dict(kept["policy"])
            with torch.no_grad():
                learner.rates.log.copy_(kept["log_rates"])
            learner.optimiser.load_state_dict(kept["optimiser"])
            return kept["done"], kept["points"], kept["best"]
    return 0, [], {}

"""Training: pathwise through the market's closed form, then DDPG and PPO by turns on sampled cycles.

`config.train.agent` chooses the hybrid or one part of it alone; `train.ranks` processes share every batch. The best
actor by validation is kept; a killed run resumes from its checkpoint (`crossmix.training.run`). Training seeds and
market seeds are different things.

Shapes: B batch, P platforms.
"""

from __future__ import annotations

import hashlib
import json
import sys
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from tqdm import tqdm

from crossmix import ranks
from crossmix.agents import pathwise
from crossmix.agents.ddpg import DDPGResult
from crossmix.agents.hybrid import Hybrid, HybridResult
from crossmix.agents.policy import Policy
from crossmix.agents.ppo import PPOResult
from crossmix.artifacts import Curve
from crossmix.config import Config, from_json, to_json
from crossmix.constraints import project
from crossmix.market.environment import MarketEnvironment
from crossmix.market.model import Market, load
from crossmix.market.oracle import best_share
from crossmix.training.policy_file import save_policy
from crossmix.training.run import Learner, Listener, Point, TrainingError

# Rows (of all ranks) and cycles of one validation; its market seeds are the training seed's plus these.
VALIDATION_ROWS = 48


VALIDATION_CYCLES = 20


VALIDATION_SEED = 500_000


def train(
    config: Config, market: Path, out: Path, work: Path | None = None, listener: Listener | None = None
) -> dict[str, Any]:
    """Train a policy on a fitted market.

    Writes the policy that is best by validation and curve.json to `out`; checkpoints go to `work`, from which a killed
    run resumes. With `train.ranks` above one, torchrun starts that many processes of this function.

    Args:
        listener: told every point of the learning curve, on the first rank.

    Raises:
        TrainingError: a loss or a parameter is not finite; the last good checkpoint is kept.
        RankError: ranks died more often than `train.restarts`.
    """
    if config.train.ranks > ranks.size():
        return _launch(config, market, out, work or out, listener)
    for folder in (out, work or out):
        folder.mkdir(parents=True, exist_ok=True)
    learner = Learner(config, load(market), market_digest(market), listener)
    checkpoint = (work or out) / "checkpoint.pt"
    resumed = learner.resume(checkpoint)
    uniform_ratio = validate(learner)["validation_ratio"]
    started = time.monotonic() - learner.progress.seconds
    if not resumed:
        _fit_normaliser(learner)
    if learner.progress.phase == "pathwise":
        _pathwise(learner, checkpoint, started)
    if config.train.agent == "mpc" and not learner.progress.points:
        _plan_alone(learner, started)
    if learner.algorithm is not None:
        if learner.progress.phase == "pathwise":
            learner.progress.phase, learner.progress.update, learner.progress.stale = config.train.agent, 0, 0
            # One actor through all phases: the algorithms go on from the best so far.
            learner.policy.load_state_dict(learner.best)
        if learner.progress.update == 0:
            learner.algorithm.begin()
        _rounds(learner, checkpoint, started)
    learner.progress.stopped = learner.progress.stopped or "all pathwise updates done"
    learner.save(checkpoint)
    curve = _curve(learner, uniform_ratio)
    if ranks.rank() == 0:
        save_policy(learner, out)
        Curve.of(curve).save(out)
    return curve


def market_digest(market: Path) -> str:
    """SHA-256 of a market folder's market.json."""
    return hashlib.sha256((market / "market.json").read_bytes()).hexdigest()


@torch.no_grad()
def validate(learner: Learner, policy: Policy | None = None) -> Point:
    """A policy on the validation markets; `None`: the uniform split.

    Gives validation_ratio (expected revenue over the oracle's in the same states), validation_roi, and share, the mean
    split per platform. Every rank plays its part.
    """
    rows = -(-VALIDATION_ROWS // ranks.size())
    base = VALIDATION_SEED + learner.config.train.market_seed
    return score(policy, learner.environment(rows, VALIDATION_CYCLES, ranks.seed(base, 0)), VALIDATION_CYCLES)


def validated(config: Config, market: Market, policy: Any, seed: int = 0) -> float:
    """Revenue over the oracle's of anything that splits, on validation flights of a market, in one process.

    Args:
        seed: which flights; 0: those of `validate` on one rank.
    """
    world = MarketEnvironment(
        market,
        config,
        campaign_B=torch.arange(VALIDATION_ROWS) % len(market.campaigns),
        cycles=VALIDATION_CYCLES,
        mechanism="counts",
        seed=VALIDATION_SEED + config.train.market_seed + seed,
    )
    return float(score(policy, world, VALIDATION_CYCLES)["validation_ratio"])


@torch.no_grad()
def score(policy: Policy | None, environment: MarketEnvironment, cycles: int) -> Point:
    """What `validate` tells, of the coming cycles of any environment; over all ranks."""
    observation = environment.observe()
    total = torch.zeros(3, dtype=torch.float64, device=environment.device)
    share_P = torch.zeros(environment.platforms, dtype=torch.float64, device=environment.device)
    for _ in range(cycles):
        if policy is None:
            share = torch.full_like(observation.low_BP, 1 / environment.platforms)
        else:
            share = policy(observation.state_BS, observation.low_BP, observation.high_BP)
        budget = environment.cycle_budget_B()
        ideal = best_share(environment.conditions, budget, observation.low_BP, observation.high_BP, grid=32, zooms=2)
        inside = project(share, observation.low_BP, observation.high_BP)
        revenue = environment.expected(inside).revenue
        total += torch.stack([revenue.sum(), environment.expected(ideal).revenue.sum(), budget.sum()]).double()
        share_P += inside.mean(0).double() / cycles
        observation = environment.step(share).observation
    revenue, best, planned = ranks.mean(total).tolist()
    return {
        "validation_ratio": revenue / max(best, 1e-12),
        "validation_roi": revenue / max(planned, 1e-12),
        "share": ranks.mean(share_P).tolist(),
    }


def _plan_alone(learner: Learner, started: float) -> None:
    """Agent `mpc`: the fitted market's plan is the policy; nothing is trained."""
    if learner.policy.planner is None:
        raise TrainingError(
            "train.agent: 'mpc' needs train.plan true, and a market of one campaign or with contexts that tell its "
            "campaigns apart; use agent pathwise"
        )
    learner.policy.plan_alone()
    bar = _bar("mpc", 1, 0)
    _record(learner, bar, started)
    bar.update()
    bar.close()
    learner.progress.stopped = "model-predictive control trains nothing"


def _pathwise(learner: Learner, checkpoint: Path, started: float) -> None:
    settings, progress = learner.config.train, learner.progress
    bar = _bar("pathwise", settings.pathwise.updates, progress.update)
    rows = ranks.share(settings.pathwise.batch)
    if learner.policy.planner is not None and not progress.points:
        # The plan that training starts from: what is kept is never worse by validation.
        _record(learner, bar, started)
    while progress.update < settings.pathwise.updates:
        environment = learner.next_environment(rows)
        observation = environment.observe()
        losses = []
        for _ in range(min(settings.cycles, settings.pathwise.updates - progress.update)):
            result = pathwise.update(learner.policy, learner.pathwise_optimiser, environment, observation)
            learner.require_finite(checkpoint, pathwise_loss=result.loss)
            learner.schedule.step()
            losses.append(result.objective)
            observation = environment.step(result.share_BP).observation
            progress.update += 1
            progress.env_steps += 2 * settings.pathwise.batch
            bar.update()
        _record(learner, bar, started, objective=sum(losses) / len(losses))
        learner.save(checkpoint)
    bar.close()


def _rounds(learner: Learner, checkpoint: Path, started: float) -> None:
    settings, progress = learner.config.train, learner.progress
    per_round = learner.episodes_per_round
    rounds = -(-settings.episodes // (settings.parallel * per_round))
    bar = _bar(settings.agent, rounds, progress.update)
    unsaved = 0
    while progress.update < rounds and not progress.stopped:
        generator = torch.Generator(learner.device).manual_seed(ranks.seed(settings.seed * 1_000_003, progress.episode))
        algorithm = learner.algorithm
        if isinstance(algorithm, Hybrid):
            first, second = learner.next_environment(learner.rows), learner.next_environment(learner.rows)
            result: Any = algorithm.play(first, second, settings.cycles, generator)
        else:
            assert algorithm is not None
            result = algorithm.play(learner.next_environment(learner.rows), settings.cycles, generator)
        told = figures(result)
        learner.require_finite(checkpoint, **told)
        progress.update += 1
        unsaved += per_round * settings.cycles
        progress.env_steps += per_round * settings.parallel * settings.cycles
        bar.update()
        if progress.update % settings.validate_every == 0:
            _record(learner, bar, started, **told)
            if progress.stale * settings.validate_every >= settings.patience:
                progress.stopped = f"no better validation in {settings.patience} rounds"
        if progress.update % settings.checkpoint_every == 0 or progress.stopped:
            learner.save(checkpoint, unsaved)
            unsaved = 0
    bar.close()
    if unsaved:
        learner.save(checkpoint, unsaved)
    progress.stopped = progress.stopped or f"all {rounds} rounds played"


def figures(result: DDPGResult | PPOResult | HybridResult) -> dict[str, float]:
    """What a round's algorithms tell, by name: `ddpg_actor_loss`, `ppo_entropy`, ..."""
    if isinstance(result, HybridResult):
        return figures(result.ddpg) | figures(result.ppo)
    name = "ddpg" if isinstance(result, DDPGResult) else "ppo"
    return {f"{name}_{key}": float(value) for key, value in asdict(result).items()}


def _record(learner: Learner, bar: tqdm[Any], started: float, **figures: float) -> None:
    """Validate, and add a point to the curve."""
    progress = learner.progress
    began = time.process_time()
    seen = validate(learner, learner.policy)
    progress.validation_seconds += time.process_time() - began
    progress.seconds = time.monotonic() - started
    learner.record(
        {
            "phase": progress.phase,
            "update": progress.update,
            "env_steps": progress.env_steps,
            "seconds": progress.seconds,
            "validation_seconds": progress.validation_seconds,
            **seen,
            **figures,
        }
    )
    bar.set_postfix_str(f"of the oracle {seen['validation_ratio']:.4f}")


def _fit_normaliser(learner: Learner) -> None:
    """State statistics of one short rollout under random splits, the same on every rank."""
    settings = learner.config.train
    rows = ranks.share(settings.pathwise.batch)
    environment = learner.environment(rows, settings.cycles, ranks.seed(settings.market_seed, -1))
    generator = torch.Generator(learner.device).manual_seed(ranks.seed(settings.seed, 0))
    observation, states = environment.observe(), []
    for _ in range(20):
        states.append(observation.state_BS)
        logits = torch.randn(environment.batch, environment.platforms, generator=generator, device=learner.device)
        observation = environment.step(torch.softmax(logits, 1)).observation
    learner.policy.normaliser.fit(ranks.gather(torch.cat(states)))


def _curve(learner: Learner, uniform_ratio: float) -> dict[str, Any]:
    progress, settings = learner.progress, learner.config.train
    return {
        "points": progress.points,
        "stopped": progress.stopped,
        "best": progress.best,
        "uniform_ratio": uniform_ratio,
        "env_steps": progress.env_steps,
        "seed": settings.seed,
        "market_seed": settings.market_seed,
        "agent": settings.agent,
        "key": learner.key(),
        "ranks": ranks.size(),
        "platforms": list(learner.market.platforms),
    }


def _bar(name: str, total: int, done: int) -> tqdm[Any]:
    return tqdm(
        total=total, initial=done, desc=f"train {name}", unit="update", mininterval=2.0, disable=ranks.rank() > 0
    )


def _launch(config: Config, market: Path, out: Path, work: Path, listener: Listener | None) -> dict[str, Any]:
    """Start the ranks and wait; their curve, and what stopped them."""
    work.mkdir(parents=True, exist_ok=True)
    given, failed, told = work / "config.json", work / "failed.txt", work / "points.jsonl"
    given.write_text(to_json(config))
    failed.unlink(missing_ok=True)
    told.unlink(missing_ok=True)
    seen = 0

    def pass_on() -> None:
        """New lines of the first rank's points to the listener."""
        nonlocal seen
        if listener is not None and told.exists():
            lines = told.read_text().splitlines()
            for line in lines[seen:]:
                listener(json.loads(line))
            seen = len(lines)

    arguments = [str(path.resolve()) for path in (given, market, out, work)]
    ranks.launch("crossmix.training.loop", arguments, config.train.ranks, config.train.restarts, pass_on)
    if failed.exists():
        raise TrainingError(failed.read_text())
    return Curve.load(out).plain()


def _append_to(path: Path) -> Listener:
    """Write points as lines that another process reads while they come."""

    def listener(point: Point) -> None:
        with path.open("a") as stream:
            stream.write(f"{json.dumps(point)}\n")

    return listener


def main(arguments: list[str]) -> None:
    """One rank, started by torchrun: config, market, out, work."""
    given, market, out, work = map(Path, arguments)
    with ranks.group():
        try:
            train(from_json(given.read_text()), market, out, work, _append_to(work / "points.jsonl"))
        except TrainingError as error:
            # A loss that is not finite would be so again: no restart.
            (work / "failed.txt").write_text(str(error))


if __name__ == "__main__":
    main(sys.argv[1:])

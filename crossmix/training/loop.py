"""Training: pathwise through the market's closed form, then rounds of a learner on sampled cycles.

`config.train.agent`, or `agent_of_history`, names the agent (`crossmix.agents.learner`): which phases there are, and
what plays the rounds; `train.ranks` processes share every batch. The best actor by validation is kept; a killed run
resumes from its checkpoint (`crossmix.training.run`). Training seeds and market seeds are different things.

Shapes: B batch, P platforms.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import sys
import time
from pathlib import Path
from typing import Any

import torch
from tqdm import tqdm

from crossmix import ranks
from crossmix.agents import pathwise
from crossmix.agents.learner import Learner
from crossmix.agents.policy import Policy
from crossmix.artifacts import Curve
from crossmix.config import Config, from_json, to_json
from crossmix.constraints import project
from crossmix.files import write
from crossmix.market.environment import MarketEnvironment
from crossmix.market.model import Market, load
from crossmix.market.oracle import best_share
from crossmix.ranks import RankError
from crossmix.training import trainjob
from crossmix.training.policy_file import save_policy
from crossmix.training.run import Listener, Point, TrainingError, TrainingRun, training_key

# Rows (of all ranks) and cycles of one validation; its market seeds are the training seed's plus these.
VALIDATION_ROWS = 48
VALIDATION_CYCLES = 20
VALIDATION_SEED = 500_000


def train(
    config: Config, market: Path, out: Path, work: Path | None = None, listener: Listener | None = None
) -> dict[str, Any]:
    """Train a policy on a fitted market.

    Writes the policy that is best by validation and curve.json to `out`; checkpoints go to `work`, from which a killed
    run resumes. With `train.ranks` above one, that many processes of this function are started: by torchrun on this
    machine, or as a TrainJob where the place says so (`crossmix.training.trainjob`).

    Args:
        listener: told every point of the learning curve, on the first rank.

    Raises:
        TrainingError: a loss or a parameter is not finite; the last good checkpoint is kept.
        RankError: ranks died more often than `train.restarts`, or are another number than `train.ranks`.
    """
    if config.train.ranks != ranks.size():
        if ranks.grouped():
            raise RankError(
                f"train.ranks: {config.train.ranks}, but {ranks.size()} processes were started (nodes times processes "
                f"of each); start {config.train.ranks}, or set train.ranks={ranks.size()}"
            )
        return _launch(config, market, out, work or out, listener)
    for folder in (out, work or out):
        folder.mkdir(parents=True, exist_ok=True)
    run = TrainingRun(config, load(market), market_digest(market), listener)
    checkpoint = (work or out) / "checkpoint.pt"
    resumed = run.resume(checkpoint)
    uniform_ratio = validate(run)["validation_ratio"]
    started = time.monotonic() - run.progress.seconds
    if not resumed:
        _fit_normaliser(run)
    if run.progress.phase == "pathwise":
        _pathwise(run, checkpoint, started)
    if run.agent.start == "base" and not run.progress.points:
        _base_alone(run, started)
    if run.learner is not None:
        if run.progress.phase == "pathwise":
            run.progress.phase, run.progress.update, run.progress.stale = run.agent.name, 0, 0
            # One actor through all phases: the learner goes on from the best so far.
            run.policy.load_state_dict(run.best)
        if run.progress.update == 0:
            run.learner.begin()
        _rounds(run, run.learner, checkpoint, started)
    run.progress.stopped = run.progress.stopped or "all pathwise updates done"
    run.save(checkpoint)
    curve = _curve(run, uniform_ratio)
    if ranks.rank() == 0:
        save_policy(run, out)
        Curve.of(curve).save(out)
    return curve


def market_digest(market: Path) -> str:
    """SHA-256 of a market folder's market.json."""
    return hashlib.sha256((market / "market.json").read_bytes()).hexdigest()


@torch.no_grad()
def validate(run: TrainingRun, policy: Policy | None = None) -> Point:
    """A policy on the validation markets; `None`: the uniform split.

    Gives validation_ratio (expected revenue over the oracle's in the same states), validation_roi, and share, the mean
    split per platform. Every rank plays its part.
    """
    rows = -(-VALIDATION_ROWS // ranks.size())
    base = VALIDATION_SEED + run.config.train.market_seed
    return score(policy, run.environment(rows, VALIDATION_CYCLES, ranks.seed(base, 0)), VALIDATION_CYCLES)


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


def _base_alone(run: TrainingRun, started: float) -> None:
    """The base policy is the policy; nothing is trained."""
    if run.policy.planner is None:
        raise TrainingError(
            f"train.agent: {run.agent.name!r} needs train.plan true, and a market of one campaign or with contexts "
            "that tell its campaigns apart; use agent pathwise"
        )
    run.policy.plan_alone()
    bar = _bar(run.agent.name, 1, 0)
    _record(run, bar, started)
    bar.update()
    bar.close()
    run.progress.stopped = "model-predictive control trains nothing"


def _pathwise(run: TrainingRun, checkpoint: Path, started: float) -> None:
    settings, progress = run.config.train, run.progress
    bar = _bar("pathwise", settings.pathwise.updates, progress.update)
    rows = ranks.share(settings.pathwise.batch)
    if run.policy.planner is not None and not progress.points:
        # The plan that training starts from: what is kept is never worse by validation.
        _record(run, bar, started)
    while progress.update < settings.pathwise.updates:
        environment = run.next_environment(rows)
        observation = environment.observe()
        losses = []
        for _ in range(min(settings.cycles, settings.pathwise.updates - progress.update)):
            result = pathwise.update(run.policy, run.pathwise_optimiser, environment, observation)
            run.require_finite(checkpoint, pathwise_loss=result.loss)
            run.schedule.step()
            losses.append(result.objective)
            observation = environment.step(result.share_BP).observation
            progress.update += 1
            progress.env_steps += 2 * settings.pathwise.batch
            bar.update()
        _record(run, bar, started, objective=sum(losses) / len(losses))
        run.save(checkpoint)
    bar.close()


def _rounds(run: TrainingRun, learner: Learner, checkpoint: Path, started: float) -> None:
    settings, progress = run.config.train, run.progress
    per_round = learner.environments
    rounds = -(-settings.episodes // (settings.parallel * per_round))
    bar = _bar(run.agent.name, rounds, progress.update)
    unsaved = 0
    while progress.update < rounds and not progress.stopped:
        generator = torch.Generator(run.device).manual_seed(ranks.seed(settings.seed * 1_000_003, progress.episode))
        environments = [run.next_environment(run.rows) for _ in range(per_round)]
        figures = learner.play(environments, settings.cycles, generator).figures()
        run.require_finite(checkpoint, **figures)
        progress.update += 1
        unsaved += per_round * settings.cycles
        progress.env_steps += per_round * settings.parallel * settings.cycles
        bar.update()
        if progress.update % settings.validate_every == 0:
            _record(run, bar, started, **figures)
            if progress.stale * settings.validate_every >= settings.patience:
                progress.stopped = f"no better validation in {settings.patience} rounds"
        if progress.update % settings.checkpoint_every == 0 or progress.stopped:
            run.save(checkpoint, unsaved)
            unsaved = 0
    bar.close()
    if unsaved:
        run.save(checkpoint, unsaved)
    progress.stopped = progress.stopped or f"all {rounds} rounds played"


def _record(run: TrainingRun, bar: tqdm[Any], started: float, **figures: float) -> None:
    """Validate, and add a point to the curve."""
    progress = run.progress
    began = time.process_time()
    validation = validate(run, run.policy)
    progress.validation_seconds += time.process_time() - began
    progress.seconds = time.monotonic() - started
    run.record(
        {
            "phase": progress.phase,
            "update": progress.update,
            "env_steps": progress.env_steps,
            "seconds": progress.seconds,
            "validation_seconds": progress.validation_seconds,
            **validation,
            **figures,
        }
    )
    bar.set_postfix_str(f"of the oracle {validation['validation_ratio']:.4f}")


def _fit_normaliser(run: TrainingRun) -> None:
    """State statistics of one short rollout under random splits, the same on every rank."""
    settings = run.config.train
    rows = ranks.share(settings.pathwise.batch)
    environment = run.environment(rows, settings.cycles, ranks.seed(settings.market_seed, -1))
    generator = torch.Generator(run.device).manual_seed(ranks.seed(settings.seed, 0))
    observation, states = environment.observe(), []
    for _ in range(20):
        states.append(observation.state_BS)
        logits = torch.randn(environment.batch, environment.platforms, generator=generator, device=run.device)
        observation = environment.step(torch.softmax(logits, 1)).observation
    run.policy.normaliser.fit(ranks.gather(torch.cat(states)))


def _curve(run: TrainingRun, uniform_ratio: float) -> dict[str, Any]:
    progress, settings = run.progress, run.config.train
    return {
        "points": progress.points,
        "stopped": progress.stopped,
        "best": progress.best,
        "uniform_ratio": uniform_ratio,
        "env_steps": progress.env_steps,
        "seed": settings.seed,
        "market_seed": settings.market_seed,
        "agent": run.agent.name,
        "key": run.key(),
        "ranks": ranks.size(),
        "platforms": list(run.market.platforms),
    }


def _bar(name: str, total: int, done: int) -> tqdm[Any]:
    return tqdm(
        total=total, initial=done, desc=f"train {name}", unit="update", mininterval=2.0, disable=ranks.rank() > 0
    )


def _launch(config: Config, market: Path, out: Path, work: Path, listener: Listener | None) -> dict[str, Any]:
    """Start the ranks and wait; their curve, and what stopped them."""
    work.mkdir(parents=True, exist_ok=True)
    config_file, failed, points = work / "config.json", work / "failed.txt", work / "points.jsonl"
    passed_on = 0

    def afresh() -> None:
        write(config_file, to_json(config))
        failed.unlink(missing_ok=True)
        points.unlink(missing_ok=True)

    def pass_on() -> None:
        """New lines of the first rank's points to the listener."""
        nonlocal passed_on
        if listener is not None and points.exists():
            lines = points.read_text().splitlines()
            for line in lines[passed_on:]:
                listener(json.loads(line))
            passed_on = len(lines)

    place = trainjob.of_environment()
    # A TrainJob outlives this process, whose folder `out` is its own: the job's result waits where the next one looks.
    result = out if place is None else work / "result"
    arguments = [str(path.resolve()) for path in (config_file, market, result, work)]
    module, count = "crossmix.training.loop", config.train.ranks
    try:
        if place is None:
            afresh()
            ranks.launch(module, arguments, count, config.train.restarts, pass_on)
        else:
            name = trainjob.name_of(training_key(config, market_digest(market)))
            trainjob.run(
                place, name, module, arguments, count, afresh, pass_on, lambda: Curve.found(result) is not None
            )
    except RankError:
        if not failed.exists():
            raise
    if failed.exists():
        raise TrainingError(failed.read_text())
    if result != out:
        shutil.copytree(result, out, dirs_exist_ok=True)
    return Curve.load(out).plain()


def _append_to(path: Path) -> Listener:
    """Write points as lines that another process reads while they come."""

    def listener(point: Point) -> None:
        with path.open("a") as stream:
            stream.write(f"{json.dumps(point)}\n")

    return listener


def main(arguments: list[str]) -> None:
    """One rank, started by torchrun: config, market, out, work."""
    config_file, market, out, work = map(Path, arguments)
    try:
        with ranks.group():
            train(from_json(config_file.read_text()), market, out, work, _append_to(work / "points.jsonl"))
    except (TrainingError, RankError) as error:
        print(f"train: {error}", file=sys.stderr, flush=True)
        write(work / "failed.txt", str(error))
        # A loss that is not finite would be so again: no restart.
        if isinstance(error, RankError):
            raise SystemExit(1) from None


if __name__ == "__main__":
    main(sys.argv[1:])

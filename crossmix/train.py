"""Training: pathwise through the market's closed form, then PPO on sampled cycles; checkpoints, resume, early stop.

Everything random is seeded by (training seed, episode), so a run that was killed and resumed from its checkpoint ends
with the same parameters as one that was not. Training seeds and market seeds are different things.

Shapes: B batch, P platforms.
"""

from __future__ import annotations

import hashlib
import json
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from tqdm import tqdm

from crossmix.agents import pathwise, ppo
from crossmix.agents.policy import Policy
from crossmix.config import Config, digest
from crossmix.constraints import project
from crossmix.market.environment import MarketEnvironment, episode_campaigns
from crossmix.market.model import Market, load
from crossmix.market.oracle import solve
from crossmix.state import SIZE

# Rows and cycles of one validation; its market seeds are the training seed's plus these.
VALIDATION_ROWS = 48
VALIDATION_CYCLES = 20
VALIDATION_SEED = 500_000


class TrainingError(RuntimeError):
    """Training cannot go on; the message names what went wrong and what is kept."""


@dataclass(slots=True)
class Progress:
    """What a checkpoint holds beside the networks."""

    phase: str = "pathwise"
    update: int = 0
    """Pathwise updates done, or PPO rounds done."""
    episode: int = 0
    env_steps: int = 0
    """Campaign cycles played (rows x cycles; a call of the closed form counts as one)."""
    seconds: float = 0.0
    stale: int = 0
    """Validations since the best."""
    best: dict[str, Any] = field(default_factory=lambda: {"validation_ratio": -1.0})
    points: list[dict[str, Any]] = field(default_factory=list)
    stopped: str = ""


class Learner:
    """Networks, optimisers and progress of one training run."""

    def __init__(self, config: Config, market: Market, identity: str) -> None:
        settings = config.train
        self.identity = identity
        # The global generator is used for initial weights only; everything later has a generator of its own.
        torch.manual_seed(settings.seed)
        self.config, self.market = config, market
        self.policy = Policy(len(market.platforms), settings.pathwise.hidden)
        if not market.context.any():
            self.policy.ignore_context()
        self.critic = ppo.Critic(SIZE, settings.ppo.critic_hidden)
        self.log_sigma_P = torch.full((len(market.platforms),), settings.ppo.sigma).log().requires_grad_(True)
        self.best: dict[str, Tensor] = {}
        self.progress = Progress()
        self.pathwise_optimiser = torch.optim.Adam(self.policy.parameters(), settings.pathwise.learning_rate)
        self.schedule = torch.optim.lr_scheduler.CosineAnnealingLR(
            self.pathwise_optimiser, settings.pathwise.updates, eta_min=0.02 * settings.pathwise.learning_rate
        )
        self.ppo_optimiser = torch.optim.Adam(
            [*self.policy.parameters(), *self.critic.parameters(), self.log_sigma_P], settings.ppo.learning_rate
        )

    _PARTS = ("policy", "critic", "pathwise_optimiser", "schedule", "ppo_optimiser")

    def save(self, path: Path) -> None:
        """Write a checkpoint; a kill during the write leaves the last one whole."""
        blob = {name: getattr(self, name).state_dict() for name in self._PARTS}
        blob |= {"log_sigma": self.log_sigma_P.detach(), "best": self.best, "progress": asdict(self.progress)}
        blob["key"] = self.key()
        partial = path.with_suffix(".partial")
        torch.save(blob, partial)
        partial.replace(path)

    def resume(self, path: Path) -> bool:
        """Load a checkpoint of the same configuration and market; False if there is none."""
        if not path.exists():
            return False
        blob = torch.load(path, weights_only=True)
        if blob["key"] != self.key():
            return False
        for name in self._PARTS:
            getattr(self, name).load_state_dict(blob[name])
        with torch.no_grad():
            self.log_sigma_P.copy_(blob["log_sigma"])
        self.best, self.progress = blob["best"], Progress(**blob["progress"])
        return True

    def key(self) -> str:
        """What a checkpoint must agree on."""
        return digest(
            {"train": asdict(self.config.train), "market": self.identity, "reward": asdict(self.config.reward)}
        )

    def environment(self, rows: int, cycles: int, seed: int) -> MarketEnvironment:
        return MarketEnvironment(
            self.market,
            self.config,
            campaign_B=episode_campaigns(self.market, rows),
            cycles=cycles,
            mechanism="counts",
            seed=seed,
        )

    def record(self, point: dict[str, Any]) -> None:
        """Add a point of the learning curve and keep the best policy so far."""
        self.progress.points.append(point)
        if point["validation_ratio"] > self.progress.best["validation_ratio"] + 1e-5:
            self.progress.best = {key: point[key] for key in ("phase", "update", "validation_ratio", "validation_roi")}
            self.best = {name: value.clone() for name, value in self.policy.state_dict().items()}
            self.progress.stale = 0
        else:
            self.progress.stale += 1


@torch.no_grad()
def validate(learner: Learner, policy: Policy | None = None) -> tuple[float, float]:
    """(expected revenue over the oracle's in the same states, ROI) on validation markets; `None`: the uniform split."""
    environment = learner.environment(
        VALIDATION_ROWS, VALIDATION_CYCLES, VALIDATION_SEED + learner.config.train.market_seed
    )
    observation = environment.observe()
    revenue = best = planned = 0.0
    for _ in range(VALIDATION_CYCLES):
        if policy is None:
            share = torch.full((VALIDATION_ROWS, environment.platforms), 1 / environment.platforms)
        else:
            share = policy(observation.state_BS, observation.low_BP, observation.high_BP)
        budget = environment.cycle_budget_B()
        ideal = solve(
            environment.conditions,
            budget,
            observation.low_BP,
            observation.high_BP,
            grid=32,
            zooms=2,
            thorough=False,
        )
        revenue += float(environment.expected(project(share, observation.low_BP, observation.high_BP)).revenue.sum())
        best += float(ideal.revenue_B.sum())
        planned += float(budget.sum())
        observation = environment.step(share).observation
    return revenue / max(best, 1e-12), revenue / max(planned, 1e-12)


def train(config: Config, market: Path, out: Path, work: Path | None = None) -> dict[str, Any]:
    """Train a policy on a fitted market.

    Writes policy.pt (the best by validation) and curve.json to `out`; checkpoints go to `work`, from which a killed
    run resumes. Raises `TrainingError` when a loss is not finite; the last good checkpoint is kept then.
    """
    identity = hashlib.sha256((market / "market.json").read_bytes()).hexdigest()
    learner = Learner(config, load(market), identity)
    checkpoint = (work or out) / "checkpoint.pt"
    learner.resume(checkpoint)
    uniform_ratio, _ = validate(learner)
    started = time.monotonic() - learner.progress.seconds
    if learner.progress.phase == "pathwise":
        _pathwise(learner, checkpoint, started)
        learner.progress.phase, learner.progress.update, learner.progress.stale = "ppo", 0, 0
        # PPO goes on from the best policy so far: one actor through both phases.
        learner.policy.load_state_dict(learner.best)
        learner.save(checkpoint)
    _ppo(learner, checkpoint, started)
    learner.save(checkpoint)
    progress = learner.progress
    torch.save(
        {
            "policy": learner.best,
            "platforms": len(learner.market.platforms),
            "hidden": list(config.train.pathwise.hidden),
            "log_sigma": learner.log_sigma_P.detach(),
        },
        out / "policy.pt",
    )
    curve = {
        "points": progress.points,
        "stopped": progress.stopped,
        "best": progress.best,
        "uniform_ratio": uniform_ratio,
        "env_steps": progress.env_steps,
        "seed": config.train.seed,
        "market_seed": config.train.market_seed,
    }
    (out / "curve.json").write_text(json.dumps(curve, indent=1))
    return curve


def load_policy(folder: Path) -> Policy:
    """The trained actor of a train folder."""
    blob = torch.load(folder / "policy.pt", weights_only=True)
    policy = Policy(blob["platforms"], blob["hidden"])
    policy.load_state_dict(blob["policy"])
    return policy.eval()


def _pathwise(learner: Learner, checkpoint: Path, started: float) -> None:
    settings, progress = learner.config.train, learner.progress
    if progress.update == 0:
        _fit_normaliser(learner)
    bar = _bar("pathwise", settings.pathwise.updates, progress.update)
    while progress.update < settings.pathwise.updates:
        environment = learner.environment(
            settings.pathwise.batch, settings.cycles, settings.market_seed + progress.episode
        )
        observation = environment.observe()
        losses = []
        for _ in range(min(settings.cycles, settings.pathwise.updates - progress.update)):
            result = pathwise.update(learner.policy, learner.pathwise_optimiser, environment, observation)
            _finite("pathwise loss", result.loss, checkpoint)
            learner.schedule.step()
            losses.append(result.objective)
            observation = environment.step(result.share_BP).observation
            progress.update += 1
            progress.env_steps += 2 * settings.pathwise.batch
            bar.update()
        progress.episode += 1
        ratio, roi = validate(learner, learner.policy)
        progress.seconds = time.monotonic() - started
        learner.record(_point(progress, ratio, roi, objective=sum(losses) / len(losses)))
        bar.set_postfix_str(f"of the oracle {ratio:.4f}")
        learner.save(checkpoint)
    bar.close()


def _ppo(learner: Learner, checkpoint: Path, started: float) -> None:
    settings, progress = learner.config.train, learner.progress
    rounds = -(-settings.episodes // settings.parallel)
    bar = _bar("ppo", rounds, progress.update)
    while progress.update < rounds and not progress.stopped:
        environment = learner.environment(settings.parallel, settings.cycles, settings.market_seed + progress.episode)
        generator = torch.Generator().manual_seed(settings.seed * 1_000_003 + progress.episode)
        rollout = ppo.collect(
            learner.policy, learner.critic, learner.log_sigma_P, environment, settings.cycles, generator
        )
        if progress.update == 0:
            learner.critic.normaliser.load_state_dict(learner.policy.normaliser.state_dict())
        result = ppo.update(
            learner.policy,
            learner.critic,
            learner.log_sigma_P,
            learner.ppo_optimiser,
            rollout,
            settings.ppo,
            settings.discount,
            generator,
        )
        _finite("ppo actor loss", result.actor_loss, checkpoint)
        _finite("ppo critic loss", result.critic_loss, checkpoint)
        progress.update += 1
        progress.episode += 1
        progress.env_steps += settings.parallel * settings.cycles
        bar.update()
        if progress.update % settings.validate_every == 0:
            ratio, roi = validate(learner, learner.policy)
            progress.seconds = time.monotonic() - started
            learner.record(
                _point(
                    progress,
                    ratio,
                    roi,
                    loss=result.actor_loss,
                    critic_loss=result.critic_loss,
                    entropy=result.entropy,
                    kl=result.kl,
                )
            )
            bar.set_postfix_str(f"of the oracle {ratio:.4f}")
            if progress.stale >= settings.patience:
                progress.stopped = f"no better validation ROI in {settings.patience} rounds"
        if progress.update % settings.checkpoint_every == 0:
            learner.save(checkpoint)
    bar.close()
    progress.stopped = progress.stopped or f"all {rounds} rounds played"


def _fit_normaliser(learner: Learner) -> None:
    """State statistics of one short rollout under random splits."""
    settings = learner.config.train
    environment = learner.environment(settings.pathwise.batch, settings.cycles, settings.market_seed - 1)
    generator = torch.Generator().manual_seed(settings.seed)
    observation, states = environment.observe(), []
    for _ in range(20):
        states.append(observation.state_BS)
        logits = torch.randn(environment.batch, environment.platforms, generator=generator)
        observation = environment.step(torch.softmax(logits, 1)).observation
    learner.policy.normaliser.fit(torch.cat(states))


def _point(progress: Progress, ratio: float, roi: float, **losses: float) -> dict[str, Any]:
    return {
        "phase": progress.phase,
        "update": progress.update,
        "env_steps": progress.env_steps,
        "seconds": progress.seconds,
        "validation_ratio": ratio,
        "validation_roi": roi,
        **losses,
    }


def _finite(name: str, value: float, checkpoint: Path) -> None:
    if value != value or value in (float("inf"), float("-inf")):
        raise TrainingError(
            f"{name} is {value}: training stopped; the last good checkpoint is {checkpoint}. Lower the learning rate."
        )


def _bar(name: str, total: int, done: int) -> tqdm[Any]:
    return tqdm(total=total, initial=done, desc=f"train {name}", unit="update", mininterval=2.0)

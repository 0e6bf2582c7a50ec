"""What a training run owns: the policy, its learner, optimisers, progress, checkpoints.

A checkpoint is one file beside the replay's rounds, each in a file of its own, so that writing one costs the same at
every round. All of it is written whole or not at all, by every rank before the first rank says that it is done.
Everything random is seeded by (training seed, episode, rank); a run resumed from a checkpoint by the same number of
ranks ends with the same parameters as one that was not killed. Another number of ranks goes on with the same networks
and the replay dealt anew.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from crossmix import ranks
from crossmix.agents.learner import AGENTS, Agent, Learner, Replay, Setup, own_settings
from crossmix.agents.policy import Policy
from crossmix.config import Config, digest
from crossmix.files import replacing
from crossmix.market.environment import MarketEnvironment
from crossmix.market.model import Market
from crossmix.market.pacing import tables
from crossmix.state import ALLOCATION

Point = dict[str, Any]
Listener = Callable[[Point], None]
"""Told every point of the learning curve as it comes."""


class TrainingError(RuntimeError):
    """Training cannot go on; the message names what went wrong and what is kept."""


@dataclass(slots=True)
class Progress:
    """How far a run is."""

    phase: str = "pathwise"
    update: int = 0
    """Pathwise updates done, or rounds done."""
    episode: int = 0
    """Environments started: the number that seeds the next."""
    env_steps: int = 0
    """Campaign cycles played by all ranks (rows x cycles; a call of the closed form counts as one)."""
    seconds: float = 0.0
    validation_seconds: float = 0.0
    """CPU seconds of this process's validations."""
    stale: int = 0
    """Validations since the best."""
    best: dict[str, Any] = field(default_factory=lambda: {"validation_ratio": -1.0})
    points: list[Point] = field(default_factory=list)
    stopped: str = ""
    """Why the run ended."""


class TrainingRun:
    """Policy, learner, optimisers and progress of one training run.

    Args:
        config: the whole tree.
        market: where to learn.
        identity: the market's digest; a checkpoint of another is not resumed.
        listener: told every point of the learning curve.
    """

    def __init__(self, config: Config, market: Market, identity: str, listener: Listener | None = None) -> None:
        settings = config.train
        self.config, self.market, self.identity, self.listener = config, market, identity, listener
        self.device = ranks.device()
        # The global generator is used for initial weights only; everything later has a generator of its own.
        torch.manual_seed(settings.seed)
        plan = tables(market, config) if settings.plan else None
        self.policy = Policy(len(market.platforms), settings.pathwise.hidden, settings.platform_net, plan)
        if not market.context.any():
            self.policy.ignore_context()
        self.policy.to(self.device)
        self.pathwise_optimiser = torch.optim.Adam(
            self.policy.parameters(), settings.pathwise.learning_rate, fused=True
        )
        self.schedule = torch.optim.lr_scheduler.CosineAnnealingLR(
            self.pathwise_optimiser, settings.pathwise.updates, eta_min=0.02 * settings.pathwise.learning_rate
        )
        self.agent = agent_of(config, market, planned=plan is not None)
        self.learner = self._learner()
        self.best: dict[str, Tensor] = {}
        self.progress = Progress(phase=self.first_phase())

    @property
    def rows(self) -> int:
        """Episodes that this rank plays side by side in a round."""
        return ranks.share(self.config.train.parallel)

    @property
    def replay(self) -> Replay | None:
        """The learner's, where it has one."""
        return None if self.learner is None else self.learner.replay

    @property
    def starts_pathwise(self) -> bool:
        """The pathwise phase comes before the agent's rounds."""
        start = self.agent.start
        return start == "pathwise" or (start == "configured" and self.config.train.start == "pathwise")

    def first_phase(self) -> str:
        """`pathwise`, or the agent that has no such phase."""
        return "pathwise" if self.starts_pathwise else self.agent.name

    def log_sigma(self) -> Tensor:
        """ln deviation of the logits that a served policy may explore with, (P,): as learned, or where PPO starts."""
        learned_P = None if self.learner is None else self.learner.log_sigma_P
        if learned_P is not None:
            return learned_P.detach().cpu()
        return torch.full((len(self.market.platforms),), self.config.train.ppo.sigma).log()

    def environment(self, rows: int, cycles: int, seed: int) -> MarketEnvironment:
        """`rows` flights of this rank: campaigns are dealt to ranks by turns."""
        return MarketEnvironment(
            self.market,
            self.config,
            campaign_B=(torch.arange(rows) * ranks.size() + ranks.rank()) % len(self.market.campaigns),
            cycles=cycles,
            mechanism="counts",
            seed=seed,
            device=self.device,
        )

    def next_environment(self, rows: int) -> MarketEnvironment:
        """The next training episode's."""
        settings = self.config.train
        environment = self.environment(rows, settings.cycles, ranks.seed(settings.market_seed, self.progress.episode))
        self.progress.episode += 1
        return environment

    def record(self, point: Point) -> None:
        """Add a point of the learning curve and keep the best policy so far."""
        self.progress.points.append(point)
        if self.listener is not None and ranks.rank() == 0:
            self.listener(point)
        if point["validation_ratio"] > self.progress.best["validation_ratio"] + 1e-5:
            self.progress.best = {key: point[key] for key in ("phase", "update", "validation_ratio", "validation_roi")}
            self.best = {name: value.clone() for name, value in self.policy.state_dict().items()}
            self.progress.stale = 0
        else:
            self.progress.stale += 1

    def require_finite(self, checkpoint: Path, **values: float) -> None:
        """Stop when a loss or a parameter is not finite; the last good checkpoint stays."""
        for name, value in values.items():
            if value != value or value in (float("inf"), float("-inf")):
                self._stop(name.replace("_", " "), value, checkpoint)
        # One number tells that all are finite (or that a sum overflowed): reading them all twice costs as much as a
        # tenth of an update.
        if math.isfinite(float(sum(tensor.detach().sum() for tensor in self.policy.parameters()))):
            return
        for name, tensor in self.policy.named_parameters():
            if not bool(torch.isfinite(tensor).all()):
                self._stop(
                    f"policy parameter {name}", float(tensor.detach()[~torch.isfinite(tensor)].flatten()[0]), checkpoint
                )

    def _stop(self, name: str, value: float, checkpoint: Path) -> None:
        kept = f"the last good checkpoint is {checkpoint}" if checkpoint.exists() else "there is no checkpoint yet"
        raise TrainingError(f"{name} is {value}: training stopped; {kept}. Lower the learning rate.")

    def save(self, path: Path, new_cycles: int = 0) -> None:
        """Write a checkpoint, and the replay's newest cycles beside it; a kill during the write leaves the last one.

        A round's replay file carries the number of rounds done, so that a file of a round that the checkpoint has not
        counted is written over.
        """
        if new_cycles and self.replay is not None:
            name = f"{path.stem}.replay-{self.progress.update:06d}-{ranks.rank():03d}of{ranks.size():03d}.pt"
            _write(self.replay.newest(new_cycles), path.with_name(name))
        ranks.barrier()
        if ranks.rank() == 0:
            blob = {
                "key": self.key(),
                "policy": self.policy.state_dict(),
                "pathwise_optimiser": self.pathwise_optimiser.state_dict(),
                "schedule": self.schedule.state_dict(),
                "learner": self.learner.state_dict() if self.learner is not None else {},
                "best": self.best,
                "progress": asdict(self.progress),
            }
            _write(blob, path)

    def resume(self, path: Path) -> bool:
        """Load a checkpoint of the same configuration and market; False if there is none."""
        if not path.exists():
            return False
        blob = torch.load(path, weights_only=True, map_location=self.device)
        if blob["key"] != self.key():
            if ranks.rank() == 0:
                for old in path.parent.glob(f"{path.stem}.replay-*.pt"):
                    old.unlink()
            ranks.barrier()
            return False
        self.policy.load_state_dict(blob["policy"])
        self.pathwise_optimiser.load_state_dict(blob["pathwise_optimiser"])
        self.schedule.load_state_dict(blob["schedule"])
        self.best, self.progress = blob["best"], Progress(**blob["progress"])
        if self.learner is not None:
            self.learner.load_state_dict(blob["learner"])
            self._refill(path)
        return True

    def key(self) -> str:
        """What a checkpoint must agree on; not the number of ranks."""
        return training_key(self.config, self.identity)

    def _learner(self) -> Learner | None:
        """What plays the agent's rounds; `None`: it plays none."""
        settings = self.config.train
        own = own_settings(settings)
        if self.agent.build is None:
            return None
        return self.agent.build(
            Setup(
                policy=self.policy,
                train=settings,
                settings=own,
                rows=self.rows,
                state_size=ALLOCATION.size,
                rate_factor=settings.fine_tuning if self.starts_pathwise else 1.0,
            )
        )

    def _refill(self, path: Path) -> None:
        """The replay as it was: every round's file of every rank, this rank's rows of them."""
        if self.replay is None:
            return
        for done in range(1, self.progress.update + 1):
            parts = sorted(path.parent.glob(f"{path.stem}.replay-{done:06d}-*.pt"))
            if not parts or self.progress.phase == "pathwise":
                continue
            shards = [torch.load(part, weights_only=True, map_location=self.device) for part in parts]
            kept = {
                name: torch.cat([shard[name] for shard in shards], 1)[:, self._rows_of(len(shards))]
                for name in ("state", "share", "reward")
            }
            self.replay.extend(kept | {"last": shards[0]["last"]})

    def _rows_of(self, writers: int) -> Tensor:
        """Which of all ranks' rows are this rank's; its own, where as many ranks read as wrote."""
        every = torch.arange(self.config.train.parallel, device=self.device)
        if writers == ranks.size():
            return every[ranks.rank() * self.rows : (ranks.rank() + 1) * self.rows]
        return every[ranks.rank() :: ranks.size()]


def agent_of(config: Config, market: Market, *, planned: bool) -> Agent:
    """What trains in a market: `train.agent`, or `train.agent_of_history`.

    Args:
        planned: the policy starts from a plan of it.
    """
    settings = config.train
    return AGENTS.get(settings.agent_of_history if market.of_totals and planned else settings.agent)


def training_key(config: Config, market: str) -> str:
    """Digest of what a training depends on, not of how many ranks do it; `market` is the market file's digest."""
    settings = asdict(config.train)
    for name in ("ranks", "restarts"):
        del settings[name]
    window = [config.window, config.decay]
    return digest({"train": settings, "market": market, "reward": asdict(config.reward), "window": window})


def _write(blob: Any, path: Path) -> None:
    with replacing(path) as half:
        torch.save(blob, half)

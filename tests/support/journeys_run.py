"""A small planted world with a response model learned in it, and the steps of task `journeys` in folders."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np

from crossmix.config import Config, Demo, load
from crossmix.ingest.step import ingest
from crossmix.journeys.learn import train as learn
from crossmix.journeys.log import Events
from crossmix.journeys.mtorl import Mtorl
from crossmix.journeys.prepared import Prepared, prepare
from crossmix.journeys.response import Response, fit
from crossmix.journeys.settings import Journeys, Learning
from crossmix.journeys.step_gate import judge
from crossmix.journeys.step_train import train
from crossmix.journeys.stored import make_mtorl
from crossmix.journeys.world import World, planted, play_log

SETTINGS = Journeys(encoder="gru", learning=Learning(width=16, batch=128, rate=5e-3, epochs=6, patience=6))
USERS, EXPOSURES = 1_500, 12


@dataclass(frozen=True)
class Learned:
    """A world, its log, and what was learned of it."""

    world: World
    log: Events
    tired_UC: np.ndarray
    ready: Prepared
    response: Response


@cache
def learned(encoder: str = "gru") -> Learned:
    """In half a minute of one core."""
    world = planted(Demo(seed=5, users=USERS, creatives=5, campaigns=1, days=2))
    log, tired_UC = play_log(world, USERS * EXPOSURES, 40.0, np.random.default_rng(6))
    settings = of_encoder(encoder)
    ready = prepare(log, np.random.default_rng(7).choice(3, USERS, p=[0.6, 0.2, 0.2]), settings)
    response, _ = fit(ready.table, ready.scaler, ready.learn, ready.validate, settings, part_U=ready.part_U)
    return Learned(world, log, tired_UC, ready, response)


def of_encoder(encoder: str) -> Journeys:
    """The settings with another encoder."""
    return Journeys(encoder=encoder, learning=SETTINGS.learning)  # type: ignore[arg-type]


@cache
def mtorl() -> Mtorl:
    """Trained on the same log."""
    ready = learned().ready
    module, _ = learn(
        lambda: make_mtorl(ready.table.layout, SETTINGS), ready.table, ready.learn, ready.validate, SETTINGS.learning
    )
    assert isinstance(module, Mtorl)
    return module


SMALL = (
    "task=journeys",
    "data.demo.users=2500",
    "data.demo.days=28",
    "data.demo.campaigns=2",
    "data.demo.creatives=4",
    "data.demo.requests_per_day=700",
    "journeys.encoder=gru",
    "journeys.learning.width=16",
    "journeys.learning.epochs=3",
    "journeys.gates.bootstrap=100",
    "journeys.gates.blocks=4",
    "journeys.allocation.rounds=5",
)


@dataclass(frozen=True)
class Ran:
    """A chain of steps."""

    config: Config
    dataset: Path
    policy: Path
    evaluation: Path

    @property
    def folders(self) -> dict[str, Path]:
        """Step to its folder."""
        return {"ingest": self.dataset, "train": self.policy, "gate": self.evaluation}


def chain(root: Path, overrides: Sequence[str] = ()) -> Ran:
    """Ingest, train and gate."""
    ran = Ran(load("laptop", [*SMALL, *overrides]), *(root / name for name in ("ingest", "train", "gate")))
    for folder in (*ran.folders.values(), root / "work"):
        folder.mkdir(parents=True)
    ingest(ran.config, ran.dataset)
    train(ran.config, ran.dataset, ran.policy, root / "work")
    judge(ran.config, ran.dataset, ran.policy, ran.evaluation)
    return ran

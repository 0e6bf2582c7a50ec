"""The steps of task `creators`, run one after another in folders, at a small size."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from crossmix.config import Config, load
from crossmix.creators.step_gate import judge
from crossmix.creators.step_ingest import ingest
from crossmix.creators.step_train import train

SMALL = (
    "task=creators",
    "creators.demo.creators=600",
    "creators.briefs.count=5",
    "creators.briefs.training=3",
    "creators.solver.seconds=0.3",
    "creators.walk.episodes=12",
    "creators.walk.warm_up=20",
)
GENERATED = "data.source=demo-creators"


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


def chain(root: Path, overrides: Sequence[str] = (GENERATED,)) -> Ran:
    """Ingest, train and gate."""
    ran = Ran(load("laptop", [*SMALL, *overrides]), *(root / name for name in ("ingest", "train", "gate")))
    for folder in ran.folders.values():
        folder.mkdir(parents=True)
    ingest(ran.config, ran.dataset)
    train(ran.config, ran.dataset, ran.policy, root / "work")
    judge(ran.config, ran.dataset, ran.policy, ran.evaluation)
    return ran

"""Networks of training on disk: the trained policy, and where re-adaptation starts.

Each is a JSON header and safetensors (`crossmix.artifacts.networks`). Files of earlier versions (policy.pt, meta.pt)
are read too, as numbers only.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from crossmix import fading
from crossmix.agents.mpc import TABLES
from crossmix.agents.policy import Policy
from crossmix.artifacts import ActorSizes, PolicyHeader, StartHeader
from crossmix.artifacts.networks import load_tensors, save_tensors, under
from crossmix.exploration import Exploration
from crossmix.training.run import TrainingError, TrainingRun

OLD_POLICY, OLD_START = "policy.pt", "meta.pt"
"""Names in folders of earlier versions."""
POLICY_FILES = (PolicyHeader.FILE, PolicyHeader.TENSORS)
START_FILES = (StartHeader.FILE, StartHeader.TENSORS)
_PLAN = "planner."


@dataclass(frozen=True, slots=True)
class TrainedPolicy:
    """An actor's weights, its sizes, and the deviation it may explore with."""

    weights: Mapping[str, Tensor]
    """`Policy.state_dict()`, on the CPU."""
    log_sigma_P: Tensor
    """Logarithm of the deviation of the logits."""
    actor: ActorSizes
    parent: str | None = None
    """Digest of the weights that it was fine-tuned from."""

    def policy(self) -> Policy:
        """The actor, in eval mode.

        Raises:
            TrainingError: it was trained before the plan had all of today's tables.
        """
        return _actor(self.weights, self.actor)

    def fine_tuned(self, policy: Policy, exploration: Exploration) -> TrainedPolicy:
        """The child that online learning made of it, which names these weights by their digest.

        Args:
            policy: of the same sizes.
            exploration: by which it may be served.
        """
        total = hashlib.sha256()
        for name, value in sorted(self.weights.items()):
            total.update(name.encode() + value.numpy().tobytes())
        log_sigma_P = torch.full((policy.platforms,), exploration.sigma).log()
        return TrainedPolicy(policy.state_dict(), log_sigma_P, self.actor, total.hexdigest())

    def save(self, folder: Path) -> None:
        """Write policy.json and policy.safetensors."""
        PolicyHeader(actor=self.actor, parent=self.parent).save(folder)
        save_tensors(folder / PolicyHeader.TENSORS, _prefixed(self.weights) | {"log_sigma": self.log_sigma_P})

    @classmethod
    def load(cls, folder: Path) -> TrainedPolicy:
        """Read what `save` wrote, or a policy.pt.

        Raises:
            ArtifactError: there is neither, or it cannot be read.
        """
        if not (folder / PolicyHeader.FILE).exists() and (folder / OLD_POLICY).exists():
            return cls.of(torch.load(folder / OLD_POLICY, weights_only=True, map_location="cpu"))
        header = PolicyHeader.load(folder)
        tensors = load_tensors(folder / PolicyHeader.TENSORS)
        return cls(under("policy", tensors), tensors["log_sigma"], header.actor, header.parent)

    @classmethod
    def of(cls, blob: Mapping[str, Any]) -> TrainedPolicy:
        """From the content of a policy.pt."""
        sizes = ActorSizes(
            platforms=int(blob["platforms"]), hidden=tuple(blob["hidden"]), platform_net=int(blob["platform_net"])
        )
        return cls(blob["policy"], blob["log_sigma"], sizes, blob.get("parent"))


@dataclass(frozen=True, slots=True)
class AdaptationStart:
    """Where re-adaptation to a moved market starts: parameters and inner rates (§2.3.2)."""

    weights: Mapping[str, Tensor]
    """`Policy.state_dict()`, on the CPU."""
    log_rates: Tensor
    """Logarithm of the inner rate of each of `names`."""
    names: tuple[str, ...]
    """Parameter tensors of the policy."""
    steps: int
    """Inner steps it was trained for, one per cycle."""
    actor: ActorSizes

    def policy(self) -> Policy:
        """The start as an actor, in eval mode; raises as `TrainedPolicy.policy`."""
        return _actor(self.weights, self.actor)

    def rates(self) -> dict[str, Tensor]:
        """Inner rate of every parameter tensor, as `crossmix.agents.maml.adapt` takes them."""
        return dict(zip(self.names, self.log_rates.exp(), strict=True))

    def save(self, folder: Path) -> None:
        """Write start.json and start.safetensors."""
        StartHeader(actor=self.actor, rates=self.names, steps=self.steps).save(folder)
        save_tensors(folder / StartHeader.TENSORS, _prefixed(self.weights) | {"log_rates": self.log_rates})

    @classmethod
    def load(cls, folder: Path) -> AdaptationStart:
        """Read what `save` wrote, or a meta.pt.

        Raises:
            ArtifactError: there is neither, or it cannot be read.
        """
        if not (folder / StartHeader.FILE).exists() and (folder / OLD_START).exists():
            return cls.of(torch.load(folder / OLD_START, weights_only=True, map_location="cpu"))
        header = StartHeader.load(folder)
        tensors = load_tensors(folder / StartHeader.TENSORS)
        return cls(under("policy", tensors), tensors["log_rates"], header.rates, header.steps, header.actor)

    @classmethod
    def of(cls, blob: Mapping[str, Any]) -> AdaptationStart:
        """From the content of a meta.pt, which did not tell the actor's sizes: its weights do."""
        weights = blob["policy"]
        layers = sorted(
            (name for name in weights if name.startswith("trunk.") and name.endswith(".weight")),
            key=lambda name: int(name.split(".")[1]),
        )
        shared = weights.get("shared.0.weight")
        sizes = ActorSizes(
            platforms=len(weights["head.weight"]),
            hidden=tuple(len(weights[name]) for name in layers),
            platform_net=0 if shared is None else len(shared),
        )
        names = tuple(name for name, _ in _actor(weights, sizes).named_parameters())
        return cls(weights, blob["log_rates"], names, int(blob["steps"]), sizes)


def load_policy(folder: Path) -> Policy:
    """The trained actor of a train or align folder; raises as `TrainedPolicy.load` and `.policy`."""
    try:
        return TrainedPolicy.load(folder).policy()
    except TrainingError as error:
        raise TrainingError(f"{folder}: {error}") from None


def save_policy(run: TrainingRun, out: Path) -> None:
    """Write a run's best actor."""
    settings = run.config.train
    TrainedPolicy(
        run.best,
        run.log_sigma(),
        ActorSizes(
            platforms=len(run.market.platforms),
            hidden=settings.pathwise.hidden,
            platform_net=settings.platform_net,
        ),
    ).save(out)


def policy_digest(folder: Path) -> str:
    """SHA-256 of a trained policy's files, of whatever version."""
    total = hashlib.sha256()
    for name in (*POLICY_FILES, OLD_POLICY):
        if (folder / name).exists():
            total.update((folder / name).read_bytes())
    return total.hexdigest()


def _prefixed(weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {f"policy.{name}": value for name, value in weights.items()}


def _actor(weights: Mapping[str, Tensor], sizes: ActorSizes) -> Policy:
    plan = {name.removeprefix(_PLAN): table for name, table in weights.items() if name.startswith(_PLAN)}
    if plan:
        # A plan of before conversions could fade: they follow clicks.
        like = plan["saturation"] if "saturation" in plan else torch.zeros(1, sizes.platforms)
        plan = {name: torch.full_like(like, level) for name, level in fading.NEUTRAL.items()} | plan
        weights = {f"{_PLAN}{name}": table for name, table in plan.items()} | dict(weights)
    missing = sorted(set(TABLES) - plan.keys()) if plan else []
    if missing:
        raise TrainingError(f"trained before the plan had {', '.join(missing)}; train again with `crossmix run`")
    policy = Policy(sizes.platforms, sizes.hidden, sizes.platform_net, plan or None)
    policy.load_state_dict(dict(weights))
    return policy.eval()

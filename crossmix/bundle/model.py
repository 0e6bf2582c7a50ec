"""A verified bundle in memory: what `load` returns and an answer asks.

Shapes: B batch, M platforms, S state, D context, X statistics, Q what is believed of a platform.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from crossmix import config as config_module
from crossmix import constraints
from crossmix.bundle.manifest import EXTRAS, BundleError
from crossmix.bundle.session import BELIEVED, SPLIT, run
from crossmix.reasons import Proved
from crossmix.response import Belief, Ever, ResponseTable
from crossmix.schema import Held
from crossmix.state import Layout

Array = NDArray[Any]


@dataclass(frozen=True, slots=True)
class Plan:
    """A campaign's plan: `cycle_budget` in `currency` per cycle of `cycle_hours`, `share` (M,) of the static split."""

    cycle_budget: float
    currency: str
    share: tuple[float, ...]
    cycle_hours: float = 24.0


class Decision(NamedTuple):
    """What a bundle answers."""

    share_BM: Array
    """Inside [low, high] and summing to 1, float32."""
    logits_BM: Array
    """The policy's, before noise, float32."""
    beliefs: tuple[Belief, ...] | None
    """Of every row; `None`: the bundle does not tell them."""


@dataclass(frozen=True, slots=True)
class Bundle:
    """A verified bundle; `load` makes it."""

    path: Path
    layout: Layout
    """Of the states that it answers."""
    platforms: tuple[str, ...]
    limits: Mapping[str, constraints.Limits[Array]]
    plans: Mapping[str, Plan]
    contexts: Mapping[str, Array]
    """Campaign to its last fused context, (D,) float32, in the order of the policy's tables."""
    responses: Mapping[str, ResponseTable]
    """What each campaign's platforms earn; empty where no market was saved with the policy."""
    manifest: Mapping[str, Any]
    session: Any
    """onnxruntime.InferenceSession; `run` may be called from many threads."""
    tells_belief: bool = False
    """Whether it says what it believes of the coming cycle (`Decision.beliefs`); bundles of before do not."""

    @property
    def digest(self) -> str:
        """SHA-256 that names what is served."""
        return str(self.manifest["digest"])

    @property
    def campaigns(self) -> tuple[str, ...]:
        return tuple(self.plans)

    @property
    def held(self) -> tuple[Held, ...]:
        """Money that no split moves; none where the manifest tells none."""
        return tuple(Held(**one) for one in self.manifest.get("held", ()))

    @property
    def untried(self) -> Mapping[str, frozenset[str]]:
        """Platforms where a campaign of the history never spent, by campaign: what they earn is borrowed from others.

        Campaigns that spent everywhere may be absent, as all are where the manifest tells none.
        """
        return {name: frozenset(platforms) for name, platforms in self.manifest.get("untried", {}).items()}

    @property
    def ever(self) -> Mapping[str, Ever]:
        """Of a spend history the most that each campaign ever spent; empty where supply is known, or nobody told."""
        return {name: Ever(total, tuple(each)) for name, (*each, total) in self.manifest.get("ever", {}).items()}

    def ever_of(self, campaign: str) -> Ever | None:
        """`ever` of one campaign; `None`: its supply is known, or nobody told."""
        own = self.manifest.get("ever", {}).get(campaign)
        return None if own is None else Ever(own[-1], tuple(own[:-1]))

    @property
    def ended(self) -> Mapping[str, str]:
        """ISO 8601 date of the last cycle with spend of every campaign that is over: it spends nothing today."""
        return dict(self.manifest.get("ended", {}))

    def proved(self, campaign: str, limits: constraints.Limits[Any]) -> Proved | None:
        """Which of a campaign's `limits` nobody set, as they are those of the bundle that what was proved gave."""
        own, known = self.manifest.get("narrowed", {}).get(campaign), self.limits[campaign]
        if own is None:
            return None
        low_P, high_P = (np.array([one in own.get(side, ()) for one in self.platforms]) for side in ("min", "max"))
        return Proved(
            low_P & (np.abs(limits.minimum_P - known.minimum_P) <= 1e-6),
            high_P & (np.abs(limits.maximum_P - known.maximum_P) <= 1e-6),
        )

    def extra(self, name: str) -> Path | None:
        """A file that a bundle may have (`EXTRAS`), verified; `None`: it has none, as those of before."""
        return self.path / name if name in EXTRAS and name in self.manifest["files"] else None

    @property
    def config(self) -> config_module.Config:
        """The config that trained the policy, defaults in place of what a bundle does not carry.

        Raises:
            ConfigError: this version of crossmix cannot read it.
        """
        return config_module.from_carried((self.path / "config.json").read_text())

    def allocate(self, state_BS: Array, low_BM: Array, high_BM: Array) -> Array:
        """Shares (B, M) float32, inside [low, high] and summing to 1: `decide` without noise."""
        return self.decide(state_BS, low_BM, high_BM)[0]

    def decide(
        self, state_BS: Array, low_BM: Array, high_BM: Array, noise_BM: Array | None = None
    ) -> tuple[Array, Array]:
        """Shares (B, M) float32, inside [low, high] and summing to 1, and the policy's logits (B, M) float32.

        Arguments and errors as `decision`.
        """
        decision = self.decision(state_BS, low_BM, high_BM, noise_BM)
        return decision.share_BM, decision.logits_BM

    def decision(self, state_BS: Array, low_BM: Array, high_BM: Array, noise_BM: Array | None = None) -> Decision:
        """The split of each state, and what the policy believes of the coming cycle.

        Args:
            state_BS: encoded states, (B, S).
            low_BM, high_BM: the boxes of `constraints.box`, (B, M) or broadcastable to it.
            noise_BM: added to the logits before the softmax (exploration), (B, M) or broadcastable to it.

        Raises:
            ValueError: a shape does not fit, or a number is not finite.
            InfeasibleError: a box leaves no split.
        """
        states = np.ascontiguousarray(state_BS, np.float32)
        if states.ndim != 2 or states.shape[1] != self.layout.size:
            raise ValueError(f"state: shape {states.shape}; want (batch, {self.layout.size})")
        shape = (len(states), len(self.platforms))
        try:
            low, high = _of_shape(low_BM, shape), _of_shape(high_BM, shape)
        except ValueError:
            raise ValueError(
                f"low {np.shape(low_BM)}, high {np.shape(high_BM)}: want {shape}, one bound per platform"
            ) from None
        if not np.isfinite(states).all():
            raise ValueError("state: holds a number that is not finite; encode it with crossmix.state.Layout.encode")
        constraints.check(low, high, self.platforms)
        noise = None
        if noise_BM is not None:
            try:
                noise = _of_shape(noise_BM, shape)
            except ValueError:
                raise ValueError(f"noise: {np.shape(noise_BM)}; want {shape}, one number per platform") from None
            if not np.isfinite(noise).all():
                raise ValueError("noise: holds a number that is not finite")
        if not self.tells_belief:
            share, logits = run(self.session, states, low, high, noise)
            return Decision(share, logits, None)
        outputs = (*SPLIT, *BELIEVED)
        share, logits, base_BM, belief_BQM, campaign_B = run(self.session, states, low, high, noise, outputs=outputs)
        names = tuple(self.contexts)
        usual = [names[index] for index in campaign_B.tolist()]
        return Decision(share, logits, tuple(map(Belief, belief_BQM, base_BM, usual)))

    def project(self, target_BM: Array, low_BM: Array, high_BM: Array) -> Array:
        """The shares within [low, high] that are nearest to a target split (Euclidean), (B, M) float32.

        By the projection inside the policy: noise that takes the policy's logits to the target's.

        Args:
            target_BM: shares from 0, each row summing to 1.

        Raises:
            As `decide`.
        """
        target_BM = np.asarray(target_BM, np.float32)
        some = np.broadcast_to(np.zeros((1, 1), np.float32), (len(target_BM), self.layout.size))
        _, logits_BM = self.decide(some, low_BM, high_BM)
        return self.decide(some, low_BM, high_BM, np.log(np.maximum(target_BM, 1e-12)) - logits_BM)[0]

    def encode(self, campaign: str, statistics_X: Array, context_D: Array | None = None) -> Array:
        """The state (1, S) of a campaign: `context_D`, by default its last one, and its statistics, clamped."""
        self.check_campaign(campaign)
        statistics = np.asarray(statistics_X, np.float32).reshape(1, -1)
        if statistics.shape[1] != self.layout.statistics_size:
            raise ValueError(f"statistics: {statistics.shape[1]} numbers; the layout has {self.layout.statistics_size}")
        context = np.asarray(self.contexts[campaign] if context_D is None else context_D, np.float32).reshape(1, -1)
        return np.concatenate([context, self.layout.clamp(statistics, len(self.platforms))], axis=1)

    def example(self) -> dict[str, Array]:
        """One valid question: the first row of the stored probe."""
        with np.load(self.path / "probe.npz") as probe:
            return {name: probe[name][:1] for name in ("state", "low", "high")}

    def check_campaign(self, campaign: str) -> None:
        """Raise `BundleError` for a campaign that the bundle does not know."""
        if campaign not in self.plans:
            raise BundleError(
                f"campaign: {campaign!r} is not in this bundle; it knows {', '.join(self.campaigns)}. "
                "Name one of them, or train on a log that holds the campaign"
            )


def _of_shape(values: Array, shape: tuple[int, ...]) -> Array:
    """As contiguous float32, broadcast where its shape is another; raises `ValueError`."""
    floats = np.ascontiguousarray(values, np.float32)
    return floats if floats.shape == shape else np.ascontiguousarray(np.broadcast_to(floats, shape))

"""What a learner needs of an environment; the market implements it, agents never import the market."""

from __future__ import annotations

from typing import Protocol

from torch import Tensor

from crossmix.history import Outcome


class Observation(Protocol):
    """What a policy sees before a cycle: state (B, 640) and the box (B, P) that the limits leave."""

    @property
    def state_BS(self) -> Tensor: ...
    @property
    def low_BP(self) -> Tensor: ...
    @property
    def high_BP(self) -> Tensor: ...


class Step(Protocol):
    """What a cycle gave."""

    @property
    def observation(self) -> Observation: ...
    @property
    def reward_B(self) -> Tensor: ...
    @property
    def outcome(self) -> Outcome: ...
    @property
    def share_BP(self) -> Tensor: ...
    @property
    def done(self) -> bool: ...


class Environment(Protocol):
    """A batch of campaign flights."""

    @property
    def batch(self) -> int: ...
    @property
    def platforms(self) -> int: ...

    def reset(self, seed: int) -> Observation: ...
    def observe(self) -> Observation: ...
    def step(self, action_BP: Tensor) -> Step: ...


class DifferentiableEnvironment(Environment, Protocol):
    """An environment whose coming cycle has a closed form, differentiable in the split."""

    def expected(self, share_BP: Tensor) -> Outcome: ...
    def objective(self, outcome: Outcome, raw_share_BP: Tensor, high_BP: Tensor) -> Tensor: ...

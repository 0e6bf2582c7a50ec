"""Which arm a user is in: sticky, reproducible by anybody who knows the experiment's salt, and uniform.

Contract: docs/design.md#serving.

bucket = blake2b(salt : user_id) mod 10,000; the arms take the buckets in the order in which they are given. No state:
any replica, and any analyst, gets the same answer.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping
from dataclasses import dataclass, field

BUCKETS = 10_000


class ExperimentError(ValueError):
    """An experiment that cannot run; the message names field, value and remedy."""


class ExperimentFieldError(ExperimentError):
    """A field of an experiment that cannot be used: `field`, and the `problem` with its remedy."""

    def __init__(self, field: str, problem: str, part: str = "") -> None:
        super().__init__(f"experiment.{field}{part and '.'}{part}: {problem}")
        self.field, self.problem = field, problem


@dataclass(frozen=True, slots=True)
class Experiment:
    """Who gets which arm.

    Raises:
        ExperimentError: weights that are no shares of whole buckets summing to 1; an empty id or salt.
    """

    id: str
    salt: str
    weights: Mapping[str, float] = field(default_factory=lambda: {"policy": 0.7, "control": 0.3})
    """Arm to its share of users."""

    def __post_init__(self) -> None:
        for name in ("id", "salt"):
            if not getattr(self, name):
                raise ExperimentFieldError(name, "it is empty; give some text")
        for arm, weight in self.weights.items():
            if not (math.isfinite(weight) and 0 <= weight <= 1):
                raise ExperimentFieldError("weights", f"{weight!r}; give a share from 0 to 1", arm)
            if abs(weight * BUCKETS - round(weight * BUCKETS)) > 1e-6:
                problem = f"{weight!r} is no whole number of {BUCKETS:,} buckets; round it to 0.0001"
                raise ExperimentFieldError("weights", problem, arm)
        if abs(sum(self.weights.values()) - 1) > 1e-9:
            raise ExperimentFieldError("weights", f"they sum to {sum(self.weights.values()):g}; make them sum to 1")

    def bucket(self, user_id: str) -> int:
        """0 to 9,999.

        Raises:
            ExperimentError: an empty user id, which would put everybody without one in the same arm.
        """
        if not user_id:
            raise ExperimentError("user_id: it is empty; send the user's id, or name the arm")
        digest = hashlib.blake2b(f"{self.salt}:{user_id}".encode(), digest_size=8).digest()
        return int.from_bytes(digest, "big") % BUCKETS

    def arm(self, user_id: str) -> str:
        """The user's arm."""
        bucket, edge = self.bucket(user_id), 0
        for arm, weight in self.weights.items():
            edge += round(weight * BUCKETS)
            if bucket < edge:
                return arm
        raise AssertionError("weights sum to 1")

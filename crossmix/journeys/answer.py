"""What a response model says of users, and what follows from it for a campaign: channel, yes or no, and why.

Shapes: U users, C channels.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from crossmix.journeys.allocate import AllocationError, value
from crossmix.journeys.log import Floats

OUTPUTS = ("click", "click_low", "click_high", "conversion", "conversion_low", "conversion_high")
"""Of the exported model, in order."""


@dataclass(frozen=True, slots=True)
class Answer:
    """For every user and channel, (U, C): probabilities, with the ends of their 95 % intervals.

    How many exact answers of planted worlds those of clicks hold: docs/guides/journeys.md,
    benchmarks/journeys_told.json.
    How many those of conversions hold was not measured.
    """

    click_UC: Floats
    click_low_UC: Floats
    click_high_UC: Floats
    conversion_UC: Floats
    conversion_low_UC: Floats
    conversion_high_UC: Floats

    def of(self, user: int) -> Answer:
        """Of one user alone, (1, C)."""
        return Answer(*(getattr(self, f"{name}_UC")[user : user + 1] for name in OUTPUTS))


@dataclass(frozen=True, slots=True, kw_only=True)
class Prices:
    """What a campaign pays, what it earns, and what its money earns elsewhere; currency."""

    currency: str
    cost_C: tuple[float, ...]
    """Expected of one exposure."""
    worth_click: float
    worth_conversion_C: tuple[float, ...]
    shadow: float
    """lambda: revenue per cost below which nothing is bought."""

    def to_dict(self) -> dict[str, Any]:
        """As plain data."""
        return asdict(self) | {"cost_C": list(self.cost_C), "worth_conversion_C": list(self.worth_conversion_C)}

    @classmethod
    def from_dict(cls, plain: Mapping[str, Any]) -> Prices:
        """What `to_dict` told."""
        lists = {name: tuple(map(float, plain[name])) for name in ("cost_C", "worth_conversion_C")}
        return cls(**{**plain, **lists})

    def costing(self, costs: Mapping[str, float], channels: tuple[str, ...]) -> Prices:
        """The same at other costs of some channels.

        Raises:
            AllocationError: an unknown channel, or a cost that is not a finite number of at least 0.
        """
        for name, cost in costs.items():
            if name not in channels:
                raise AllocationError(f"costs.{name}: no channel of this model; use {', '.join(channels)}")
            if isinstance(cost, bool) or not isinstance(cost, (int, float)) or not 0 <= cost < np.inf:
                raise AllocationError(f"costs.{name}: {cost!r}; a finite number, at least 0")
        cost_C = [float(costs.get(name, own)) for name, own in zip(channels, self.cost_C, strict=True)]
        return Prices(**{name: getattr(self, name) for name in self.__slots__} | {"cost_C": tuple(cost_C)})

    def value(self, answer: Answer) -> Floats:
        """Of an exposure of each user on each channel, (U, C)."""
        return value(answer.click_UC, answer.conversion_UC, self.worth_click, np.asarray(self.worth_conversion_C))

"""Settings of user journeys: what reads a journey, and how it is trained (MTORL, KDD 2025, section 4.1.3)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from crossmix.config.values import STRICT, NonNegative, Positive, PositiveInt


@dataclass(frozen=True, kw_only=True, slots=True)
class Journeys:
    """User journeys (task `journeys`); defaults are the paper's of section 4.1.3."""

    __pydantic_config__ = STRICT
    encoder: Literal["mtorl", "gru"] = "mtorl"
    """What reads a journey."""
    width: PositiveInt = 512
    """Embedding and hidden size (4.1.3: 512)."""
    layers: PositiveInt = 2
    """Layers of the causal TCN and of the attention (4.1.3: L1 = L2 = 2)."""
    window: PositiveInt = 20
    """Steps of a journey that are read (4.4: n = 20)."""
    epochs: PositiveInt = 800
    """Most passes over the training users (4.1.3: 800)."""
    learning_rate: Positive = 1e-3
    """Adam (4.1.3: 0.001)."""
    batch: PositiveInt = 512
    """Windows per update (4.1.3: 512)."""
    weight_decay: NonNegative = 0.0
    """Of Adam (table 4 searches 0, 1e-4, 1e-5, 1e-6 and does not say which was best)."""

"""What turns a user's steps into hidden states, one per step, each from its own and earlier steps alone.

Shapes: B windows, T steps, F features, H width.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Protocol

import torch
from torch import Tensor, nn

from crossmix.journeys.log import JourneyError
from crossmix.journeys.mtorl import MtorlEncoder
from crossmix.journeys.settings import Journeys


class Encoder(Protocol):
    """A module of torch."""

    width: int
    """H."""

    def __call__(self, feature_BTF: Tensor, real_BT: Tensor) -> Tensor:
        """Hidden states (B, T, H), 0 where there is no step; none depends on a later step."""

    def parameters(self) -> object:
        """Of the module."""


class GruEncoder(nn.Module):
    """A gated recurrent unit over embedded steps."""

    def __init__(self, features: int, width: int, dropout: float) -> None:
        super().__init__()
        self.width = width
        self.embedding = nn.Linear(features, width)
        self.gru = nn.GRU(width, width, batch_first=True)
        self.dropout = nn.Dropout(dropout)

    def forward(self, feature_BTF: Tensor, real_BT: Tensor) -> Tensor:
        hidden_BTH, _ = self.gru(torch.relu(self.embedding(feature_BTF)))
        masked_BTH: Tensor = self.dropout(hidden_BTH) * real_BT[..., None]
        return masked_BTH


Maker = Callable[[int, Journeys], nn.Module]
"""(features of a step, settings) -> an `Encoder`, its weights from torch's generator as it stands."""
MAKERS: Mapping[str, Maker] = {
    "mtorl": lambda features, settings: MtorlEncoder(
        features, settings.learning.width, settings.learning.dropout, settings.mtorl
    ),
    "gru": lambda features, settings: GruEncoder(features, settings.learning.width, settings.learning.dropout),
}


def make(features: int, settings: Journeys) -> nn.Module:
    """A fresh encoder by `journeys.encoder`.

    Raises:
        JourneyError: no such encoder.
    """
    if settings.encoder not in MAKERS:
        raise JourneyError(f"journeys.encoder: {settings.encoder!r} is unknown; use one of {', '.join(MAKERS)}")
    return MAKERS[settings.encoder](features, settings)

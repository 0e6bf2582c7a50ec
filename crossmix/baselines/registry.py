"""What a competitor is, and the list of them: each is a function or class that its file registers.

    BASELINES.register(Baseline(name="uniform", label="uniform split", split=uniform))

They come in the order of files, then of lines. What a file adds is known by its being there (`crossmix.registered`).

Shapes: B batch, P platforms.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from torch import Tensor

from crossmix.baselines.player import Player
from crossmix.market.model import Market
from crossmix.registered import Registered

Split = Callable[[Tensor, Tensor, Tensor, Tensor], Tensor]
"""(state (B, 640), low (B, P), high (B, P), campaign (B,)) -> share (B, P)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Baseline:
    """A competitor: exactly one of `split` and `player`."""

    name: str
    label: str
    """In tables."""
    split: Callable[[Market], Split] | None = None
    """Made for a fitted market; sees what the policy sees."""
    player: Callable[[Market, Tensor], Player] | None = None
    """Made for a fitted market and a batch of campaigns, (B,); has a memory, and sees delivery reports instead."""


BASELINES: Registered[Baseline] = Registered("competitor", "crossmix.baselines")


def state_readers() -> tuple[Baseline, ...]:
    """Those that see what the policy sees."""
    return tuple(baseline for baseline in BASELINES.all() if baseline.split is not None)


def report_readers() -> tuple[Baseline, ...]:
    """Those that are shown every finished cycle."""
    return tuple(baseline for baseline in BASELINES.all() if baseline.player is not None)


def label(name: str) -> str:
    """The label of a competitor; of any other name the name."""
    return BASELINES.get(name).label if name in BASELINES.names() else name

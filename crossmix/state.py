"""The 640-d state: one ordered layout that everybody else derives from (§2.2, §2.5; docs/design.md#definitions).

640 = 512 fused context + 128 budget statistics; 128 = 12 per platform x 10 platform slots + 8 for the campaign.
Fewer platforms leave zeros. A bundle whose layout differs from the server's is refused (`layout_digest`).
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from torch import Tensor

    # Training encodes torch tensors, serving numpy arrays (it runs without torch); the arithmetic is written once.
    A = TypeVar("A", Tensor, NDArray[Any])

CONTEXT = 512
SLOTS = 10


@dataclass(frozen=True, slots=True)
class Field:
    """One number of the state, clamped to [low, high] by `encode`."""

    name: str
    unit: str
    low: float
    high: float


PER_PLATFORM: tuple[Field, ...] = (
    Field("previous_share", "share of the cycle budget", 0.0, 1.0),
    Field("budget_consumed", "platform spend so far / campaign budget so far", 0.0, 2.0),
    Field("utilisation", "spend / planned, over the window", 0.0, 2.0),
    Field("windowed_roi", "revenue / planned budget, over the window", 0.0, 50.0),
    Field("last_roi", "revenue / planned budget, last cycle", 0.0, 50.0),
    Field("windowed_ctr", "clicks / impressions, over the window", 0.0, 1.0),
    Field("windowed_cvr", "conversions / clicks, over the window", 0.0, 1.0),
    Field("win_rate", "impressions / requests, last cycle", 0.0, 1.0),
    Field("log_price", "ln of the mean price paid, last cycle", -20.0, 20.0),
    Field("max", "upper limit of the share", 0.0, 1.0),
    Field("min", "lower limit of the share", 0.0, 1.0),
    Field("log_supply", "ln of (cost of all requests / campaign cycle budget)", -10.0, 10.0),
)

PER_CAMPAIGN: tuple[Field, ...] = (
    Field("elapsed", "cycles gone / cycles planned", 0.0, 1.0),
    Field("consumed", "spend so far / campaign budget", 0.0, 2.0),
    Field("pace", "remaining budget per remaining cycle / planned budget per cycle", 0.0, 5.0),
    Field("weekday_sin", "sin(2 pi weekday / 7)", -1.0, 1.0),
    Field("weekday_cos", "cos(2 pi weekday / 7)", -1.0, 1.0),
    Field("windowed_roi", "revenue / planned budget, over the window", 0.0, 50.0),
    Field("windowed_ctr", "clicks / impressions, over the window", 0.0, 1.0),
    Field("windowed_cvr", "conversions / clicks, over the window", 0.0, 1.0),
)

STATISTICS = len(PER_PLATFORM) * SLOTS + len(PER_CAMPAIGN)
SIZE = CONTEXT + STATISTICS

# Feature names in layout order: field-major within a slot, slot after slot, then the campaign.
STATISTIC_NAMES: tuple[str, ...] = (
    *(f"p{slot}_{field.name}" for slot in range(SLOTS) for field in PER_PLATFORM),
    *(f"campaign_{field.name}" for field in PER_CAMPAIGN),
)
PLATFORM_FIELD = {field.name: index for index, field in enumerate(PER_PLATFORM)}
CAMPAIGN_FIELD = {field.name: index for index, field in enumerate(PER_CAMPAIGN)}


def bounds() -> tuple[Tensor, Tensor]:
    """Low and high of the 128 statistics, each of shape (128,)."""
    import torch

    low, high = _edges()
    return torch.tensor(low), torch.tensor(high)


def encode(context_BD: A, platform_BPF: A, campaign_BC: A) -> A:
    """Assemble states, of torch tensors or of numpy arrays.

    Args:
        context_BD: fused context, (batch, 512).
        platform_BPF: the 12 fields of each of P <= 10 platforms in `PER_PLATFORM` order, (batch, P, 12).
        campaign_BC: the 8 fields in `PER_CAMPAIGN` order, (batch, 8).

    Returns:
        (batch, 640), every statistic clamped to its field's range; NaN and infinity become the field's low end
        (no observation yet), so that none leaves here.

    Raises:
        ValueError: a shape does not fit the layout.
    """
    batch, platforms, width = platform_BPF.shape
    if width != len(PER_PLATFORM) or platforms > SLOTS:
        raise ValueError(f"platform statistics: got {platforms} x {width}, layout has {SLOTS} x {len(PER_PLATFORM)}")
    if context_BD.shape != (batch, CONTEXT) or campaign_BC.shape != (batch, len(PER_CAMPAIGN)):
        raise ValueError(
            f"context {tuple(context_BD.shape)}, campaign {tuple(campaign_BC.shape)}: "
            f"want ({batch}, {CONTEXT}) and ({batch}, {len(PER_CAMPAIGN)})"
        )
    lib = _library(platform_BPF)
    unused = lib.zeros_like(campaign_BC[:, :1]).repeat((SLOTS - platforms) * width, 1).reshape(batch, -1)
    statistics = lib.concatenate([platform_BPF.reshape(batch, -1), unused, campaign_BC], 1)
    encoded: A = lib.concatenate([context_BD, clamp(statistics, platforms)], 1)
    return encoded


def clamp(statistics_BS: A, platforms: int = SLOTS) -> A:
    """Clamp (batch, 128) statistics to the layout's ranges; slots from `platforms` on become 0."""
    lib = _library(statistics_BS)
    low, high = (_as(edge, statistics_BS) for edge in _edges())
    finite = lib.where(lib.isfinite(statistics_BS), statistics_BS, low)
    used = [not platforms * len(PER_PLATFORM) <= index < SLOTS * len(PER_PLATFORM) for index in range(STATISTICS)]
    clamped: A = lib.minimum(lib.maximum(finite, low), high) * _as(used, statistics_BS)
    return clamped


def _edges() -> tuple[list[float], list[float]]:
    ordered = [*(PER_PLATFORM * SLOTS), *PER_CAMPAIGN]
    return [field.low for field in ordered], [field.high for field in ordered]


def _library(array: Any) -> Any:
    """The module whose functions work on `array`: numpy or torch."""
    if isinstance(array, np.ndarray):
        return np
    import torch

    return torch


def _as(values: list[float] | list[bool], like: A) -> A:
    """`values` as an array of the library, type and device of `like`."""
    made: A = np.asarray(values, like.dtype) if isinstance(like, np.ndarray) else like.new_tensor(values)
    return made


def layout() -> list[dict[str, object]]:
    """The layout as plain data: what a bundle stores beside its policy."""
    return [{"name": "context", "size": CONTEXT, "unit": "fused context"}] + [
        {"name": name, "unit": field.unit, "low": field.low, "high": field.high}
        for name, field in zip(STATISTIC_NAMES, [*(PER_PLATFORM * SLOTS), *PER_CAMPAIGN], strict=True)
    ]


def layout_digest() -> str:
    """SHA-256 of the layout."""
    return hashlib.sha256(json.dumps(layout(), sort_keys=True).encode()).hexdigest()

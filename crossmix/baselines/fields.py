"""Fields of the state that competitors read.

Shapes: B batch, S = 640 state, P platforms.
"""

from __future__ import annotations

from torch import Tensor

from crossmix.state import ALLOCATION, weekday_index


def platform_field(state_BS: Tensor, name: str, platforms: int) -> Tensor:
    """One of the platform fields, (B, P)."""
    return ALLOCATION.of_platforms(ALLOCATION.statistics(state_BS), name, platforms)


def weekday(state_BS: Tensor) -> Tensor:
    """Weekday of the coming cycle, (B,)."""
    _, _, campaign_BC = ALLOCATION.split(state_BS)
    return weekday_index(ALLOCATION.by_campaign(campaign_BC))

"""Splits in proportion to ROI that was seen.

Shapes: B batch, P platforms.
"""

from __future__ import annotations

from torch import Tensor

from crossmix.baselines.fields import platform_field
from crossmix.baselines.registry import BASELINES, Baseline, Split
from crossmix.constraints import project
from crossmix.market.model import Market


def rule(market: Market) -> Split:
    """In proportion to yesterday's ROI (§3.1)."""
    return _proportional(market, "last_roi")


def windowed_roi(market: Market) -> Split:
    """In proportion to the ROI over the window."""
    return _proportional(market, "windowed_roi")


def _proportional(market: Market, field: str) -> Split:
    def act(state_BS: Tensor, low_BP: Tensor, high_BP: Tensor, campaign_B: Tensor) -> Tensor:
        roi = platform_field(state_BS, field, len(market.platforms))
        # A platform that has shown nothing yet keeps a hundredth of the mean, so that it can still show something.
        roi = roi + 0.01 * roi.mean(1, keepdim=True) + 1e-9
        return project(roi / roi.sum(1, keepdim=True), low_BP, high_BP)

    return act


BASELINES.register(Baseline(name="rule", label="rule: yesterday's ROI", split=rule))
BASELINES.register(Baseline(name="windowed_roi", label="windowed ROI", split=windowed_roi))

"""Reward: eq. 3 in the simulator, eq. 10 in dynamic allocation, eq. 11 online (docs/design.md#definitions).

`roi` is revenue / planned budget of the cycle. ROI over spent budget can be gamed by parking money on a platform that
cannot spend it. The excess penalty sees the share before `project`, so that the policy learns to stay inside.

Shapes: B batch, P platforms.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from crossmix.config import Reward
from crossmix.metrics import METRIC, Metric

if TYPE_CHECKING:
    from torch import Tensor

A = TypeVar("A", "Tensor", NDArray[Any])
"""Tensors in training; numpy arrays where served cycles are counted, without torch."""


def simulator(weights: Reward, roi_B: Tensor, ctr_B: Tensor, excess_B: Tensor) -> Tensor:
    """Eq. 3: alpha ROI + beta CTR - gamma C_budget, with C_budget = `excess`, (B,)."""
    return weights.roi * roi_B + weights.ctr * ctr_B - weights.budget * excess_B


def money(weights: Reward, roi_B: Tensor, excess_B: Tensor) -> Tensor:
    """Eq. 3 without its CTR term and in units of ROI: ROI - (gamma / alpha) C_budget, (B,).

    What the pathwise step maximises. Where clicks are frequent and margins thin (measured on Criteo: CTR 0.5, ROI 0.4)
    the CTR term buys clicks with revenue; quality is told in revenue.
    """
    return roi_B - weights.budget / max(weights.roi, 1e-12) * excess_B


def dynamic(weights: Reward, roi_B: A, ctr_B: A, cvr_B: A, excess_B: A) -> A:
    """Eq. 10: alpha ROI + beta CTR + gamma CVR - delta max_i(0, a_i - a_i^max), (B,).

    A figure beside revenue for cycles that were played or served; nothing is trained on it or judged by it, for its
    click terms buy clicks with revenue, as eq. 3's does (`money`).
    """
    return online(weights, roi_B, ctr_B, cvr_B) - weights.excess * excess_B


def dynamic_of(weights: Reward, amounts: Mapping[str, NDArray[Any]], excess_B: NDArray[Any]) -> NDArray[Any]:
    """Eq. 10 of delivered amounts (`metrics.AMOUNTS`), (B,) each; a ratio without a denominator counts 0."""

    def ratio_B(metric: Metric) -> NDArray[Any]:
        top_B, bottom_B = amounts[metric.numerator], amounts[metric.denominator]
        ratio: NDArray[Any] = np.divide(top_B, bottom_B, out=np.zeros_like(top_B), where=bottom_B > 0)
        return ratio

    roi_B, ctr_B, cvr_B = (ratio_B(METRIC[key]) for key in ("roi", "ctr", "cvr"))
    return dynamic(weights, roi_B, ctr_B, cvr_B, excess_B)


def online(weights: Reward, roi_B: A, ctr_B: A, cvr_B: A) -> A:
    """Eq. 11: alpha ROI + beta CTR + gamma CVR, (B,)."""
    return weights.roi * roi_B + weights.ctr * ctr_B + weights.cvr * cvr_B


def excess(raw_share_BP: A, high_BP: A) -> A:
    """max_i(0, a_i - a_i^max) of the share before projection (eq. 10), (B,); any axes before the platforms' one."""
    over_BP = (raw_share_BP - high_BP).clip(min=0)
    largest_B: A = over_BP.max(-1) if isinstance(over_BP, np.ndarray) else over_BP.amax(-1)
    return largest_B

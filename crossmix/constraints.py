"""Limits on a split: the only place where caps, floors, freezes and step limits are enforced (§4).

Contract: docs/design.md#definitions.

All four reduce to a box [low, high] per platform. `project` is the exact Euclidean projection onto
{a : low <= a <= high, sum(a) = 1}; it contains only tensor operations that ONNX knows, so the exported
policy carries it. `box`, `check` and `binding` take torch tensors or numpy arrays, and `nearest` projects the latter:
serving runs without torch.

Shapes: B batch, P platforms.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Generic

import numpy as np
from numpy.typing import NDArray
from typing_extensions import TypeVar

if TYPE_CHECKING:
    from torch import Tensor

# What a limit is written in: torch tensors in training (the plain `Limits`), numpy arrays in serving.
A = TypeVar("A", bound="Tensor | NDArray[Any]", default="Tensor")

TOLERANCE = 1e-6
FEW_ROWS = 4
HALVINGS = 60
"""Bisections of `nearest`, to rounding."""


class InfeasibleError(ValueError):
    """Limits that no split can keep; the message names the bound that fails."""


@dataclass(frozen=True, slots=True)
class Limits(Generic[A]):
    """Limits per platform; shares of the cycle budget.

    `minimum_P`, `maximum_P`: (P,) floats; `freeze_P`: (P,) bools, the share stays; `step_P`: (P,) largest change.
    For a batch of campaigns each may be (B, P).
    """

    minimum_P: A
    maximum_P: A
    freeze_P: A
    step_P: A

    @staticmethod
    def free(platforms: int) -> Limits[Tensor]:
        """No limit at all."""
        import torch

        zero, one = torch.zeros(platforms), torch.ones(platforms)
        return Limits(zero, one, torch.zeros(platforms, dtype=torch.bool), one.clone())

    def as_dict(self) -> dict[str, list[float] | list[bool]]:
        return {
            "min": self.minimum_P.tolist(),
            "max": self.maximum_P.tolist(),
            "freeze": self.freeze_P.tolist(),
            "step": self.step_P.tolist(),
        }

    @staticmethod
    def from_dict(raw: Mapping[str, Sequence[float]]) -> Limits[Tensor]:
        """Limits of torch tensors from what `as_dict` wrote."""
        import torch

        return Limits(
            torch.tensor(raw["min"], dtype=torch.float32),
            torch.tensor(raw["max"], dtype=torch.float32),
            torch.tensor(raw["freeze"], dtype=torch.bool),
            torch.tensor(raw["step"], dtype=torch.float32),
        )

    @staticmethod
    def arrays(raw: Mapping[str, Sequence[float]]) -> Limits[NDArray[Any]]:
        """Limits of numpy arrays from what `as_dict` wrote: serving's, without torch."""
        return Limits(
            np.asarray(raw["min"], np.float32),
            np.asarray(raw["max"], np.float32),
            np.asarray(raw["freeze"], bool),
            np.asarray(raw["step"], np.float32),
        )


def box(limits: Limits[A], previous_BP: A | None) -> tuple[A, A]:
    """The box [low, high] that the limits leave, given the last shares.

    `previous_BP` (B, P) or `None` before the first cycle: then freezes and steps do not bind.
    Where the last share itself lies outside [minimum, maximum] (a limit changed), the share may move straight
    to the nearer bound, whatever the step.
    """
    # Any: mypy cannot know that numpy and torch share the operations below.
    low: Any = limits.minimum_P
    high: Any = limits.maximum_P
    if previous_BP is None:
        return low[None], high[None]
    lib = _library(previous_BP)
    low, high, step, stays = (_like(bound, previous_BP) for bound in (low, high, limits.step_P, limits.freeze_P))
    step = lib.where(stays > 0, 0 * step, step)
    nearest = lib.minimum(lib.maximum(previous_BP, low), high)
    return lib.maximum(low, nearest - step), lib.minimum(high, nearest + step)


def check(
    low_BP: Tensor | NDArray[Any], high_BP: Tensor | NDArray[Any], platforms: Sequence[str] | None = None
) -> None:
    """Raise `InfeasibleError` naming the bound that fails, if some row leaves no split."""

    def name(index: int) -> str:
        return platforms[index] if platforms else f"platform {index}"

    # A few rows are looked at one by one, which is quicker than arrays; what is not sound goes on to be named.
    if len(low_BP) <= FEW_ROWS and all(map(_sound, low_BP.tolist(), high_BP.tolist())):
        return
    floors, caps = low_BP.sum(1), high_BP.sum(1)
    # What is sound passes at once; not-a-number compares as false and goes on.
    inside = (low_BP <= high_BP + TOLERANCE) & (low_BP >= -TOLERANCE) & (high_BP <= 1 + TOLERANCE)
    if inside.all() and (floors <= 1 + TOLERANCE).all() and (caps >= 1 - TOLERANCE).all():
        return
    lib = _library(low_BP)
    if not (lib.isfinite(low_BP).all() and lib.isfinite(high_BP).all()):
        raise InfeasibleError("limits: a bound is not a finite number; give shares between 0 and 1")
    crossed = lib.argwhere(low_BP > high_BP + TOLERANCE)
    if len(crossed):
        row, column = crossed[0].tolist()
        raise InfeasibleError(
            f"limits: min {low_BP[row, column]:.4g} of {name(column)} is above its max {high_BP[row, column]:.4g}; "
            "lower the min or raise the max"
        )
    outside = lib.argwhere((low_BP < -TOLERANCE) | (high_BP > 1 + TOLERANCE))
    if len(outside):
        row, column = outside[0].tolist()
        raise InfeasibleError(
            f"limits: [{low_BP[row, column]:.4g}, {high_BP[row, column]:.4g}] of {name(column)} leaves [0, 1]; "
            "limits are shares of the cycle budget"
        )
    if (floors > 1 + TOLERANCE).any():
        raise InfeasibleError(f"limits: the mins sum to {floors.max():.4g}, above 1; lower one of them")
    if (caps < 1 - TOLERANCE).any():
        raise InfeasibleError(f"limits: the maxes sum to {caps.min():.4g}, below 1; raise one of them")


def _sound(low: list[float], high: list[float]) -> bool:
    """Whether a row's bounds leave a split; not-a-number compares as false."""
    if not (sum(low) <= 1 + TOLERANCE and sum(high) >= 1 - TOLERANCE):
        return False
    return all(
        -TOLERANCE <= floor <= cap + TOLERANCE and cap <= 1 + TOLERANCE for floor, cap in zip(low, high, strict=True)
    )


def project(share_BP: Tensor, low_BP: Tensor, high_BP: Tensor) -> Tensor:
    """Exact Euclidean projection of each row onto box and simplex; differentiable almost everywhere.

    a = clip(share - tau, low, high) with the tau that makes the row sum to 1. The sum falls piecewise linearly in
    tau with kinks at share - low and share - high, so sorting the 2P kinks brackets tau exactly; within the bracket
    the active set is known and tau follows in closed form, through which the gradient flows (also to the limits).

    Args:
        share_BP: any finite numbers, (B, P).
        low_BP, high_BP: feasible bounds, broadcastable to (B, P) (`check` them first).

    Returns:
        (B, P), within the bounds and summing to 1 to rounding.
    """
    import torch

    low, high = low_BP.expand_as(share_BP), high_BP.expand_as(share_BP)
    with torch.no_grad():
        kinks_BK = torch.cat([share_BP - low, share_BP - high], dim=1)
        sums_BK = _clip(share_BP[:, None, :] - kinks_BK[:, :, None], low[:, None, :], high[:, None, :]).sum(2)
        infinity = torch.finfo(share_BP.dtype).max
        # tau lies between the largest kink whose sum is still >= 1 and the smallest whose sum is <= 1.
        left = torch.where(sums_BK >= 1, kinks_BK, -infinity).amax(1, keepdim=True)
        right = torch.where(sums_BK <= 1, kinks_BK, infinity).amin(1, keepdim=True)
        left = torch.where(left == -infinity, right, left)
        right = torch.where(right == infinity, left, right)
        middle = 0.5 * (left + right)
        at_low = share_BP - middle <= low
        at_high = (share_BP - middle >= high) & ~at_low
        free = ~(at_low | at_high)
    fixed = torch.where(at_low, low, torch.where(at_high, high, torch.zeros_like(low))).sum(1, keepdim=True)
    count = free.sum(1, keepdim=True).to(share_BP.dtype)
    total = torch.where(free, share_BP, torch.zeros_like(share_BP)).sum(1, keepdim=True)
    tau = torch.where(count > 0, (total + fixed - 1) / count.clamp(min=1), middle)
    return _clip(share_BP - tau, low, high)


def nearest(share_P: NDArray[Any], low_P: NDArray[Any], high_P: NDArray[Any]) -> NDArray[Any]:
    """`project` of one split without torch, by bisection of tau; all (P,), feasible bounds (`check` them first)."""
    wanted_P, low_P, high_P = (np.asarray(values, float) for values in (share_P, low_P, high_P))
    least, most = float((wanted_P - high_P).min()), float((wanted_P - low_P).max())
    for _ in range(HALVINGS):
        middle = (least + most) / 2
        if np.clip(wanted_P - middle, low_P, high_P).sum() > 1:
            least = middle
        else:
            most = middle
    return np.clip(wanted_P - (least + most) / 2, low_P, high_P)


def project_through(share_BP: Tensor, low_BP: Tensor, high_BP: Tensor) -> Tensor:
    """`project` for training: where its Jacobian vanishes (under two free shares), the gradient passes straight."""
    import torch

    projected = project(share_BP, low_BP, high_BP)
    free = ((projected > low_BP + TOLERANCE) & (projected < high_BP - TOLERANCE)).sum(1, keepdim=True)
    straight = share_BP + (projected - share_BP).detach()
    return torch.where(free >= 2, projected, straight)


def binding(share_BP: A, low_BP: A, high_BP: A, tolerance: float = 1e-4) -> tuple[A, A]:
    """Which lower and which upper bounds hold with equality: two (B, P) bool arrays."""
    share: Any = share_BP
    return share <= low_BP + tolerance, share >= high_BP - tolerance


def _library(array: Any) -> Any:
    """The module whose functions work on `array`: numpy or torch."""
    if isinstance(array, np.ndarray):
        return np
    import torch

    return torch


def _like(array: Any, reference: Any) -> Any:
    """`array` in the type (and on the device) of `reference`."""
    return np.asarray(array, reference.dtype) if isinstance(reference, np.ndarray) else array.to(reference)


def _clip(x: Tensor, low: Tensor, high: Tensor) -> Tensor:
    import torch

    return torch.minimum(torch.maximum(x, low), high)

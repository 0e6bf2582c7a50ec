"""Windows as tensors: features, masks and what comes next, gathered batch by batch from one table of steps.

Shapes: R exposures, N windows, B windows of a batch, T steps, F features, C channels.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from crossmix.journeys.layout import Layout
from crossmix.journeys.log import Events, Ints
from crossmix.journeys.windows import Scaler, Windows


@dataclass(frozen=True, slots=True)
class Batch:
    """Some windows. Where `scored_BT` is false, what comes next is 0 and means nothing."""

    feature_BTF: Tensor
    real_BT: Tensor
    """Whether there is a step; padding comes last."""
    scored_BT: Tensor
    """Whether the step is learned from and judged."""
    channel_BT: Tensor
    """Of the step itself."""
    next_channel_BT: Tensor
    """Of the exposure after it: the action."""
    next_click_BT: Tensor
    """Of the exposure after it, 0 or 1."""
    next_gain_BTG: Tensor
    """Of the exposure after it: clicked, converted, price paid."""
    offset_BT: Tensor
    """Log-odds of its click that are known already, on its channel; 0 where the table has none."""


@dataclass(frozen=True, slots=True)
class Table:
    """Every step with its features and with what came after it."""

    events: Events
    layout: Layout
    feature_RF: Tensor
    """Scaled, with a row of zeros at the end for what is padded."""
    next_channel_R: Tensor
    next_gain_RG: Tensor
    offset_R: Tensor | None = None
    """Log-odds of a click at the exposure after each step that are known already, with a 0 at the end."""

    @property
    def channels(self) -> int:
        """Number of channels."""
        return len(self.layout.channels)

    def batch(self, windows: Windows, picked: npt.NDArray[np.int64] | slice = slice(None)) -> Batch:
        """Some of the windows."""
        row_BT = torch.from_numpy(windows.row_NT[picked])
        now = torch.from_numpy(np.append(self.events.channel_R, 0))
        gain_BTG = self.next_gain_RG[row_BT]
        return Batch(
            feature_BTF=self.feature_RF[row_BT],
            real_BT=row_BT >= 0,
            scored_BT=torch.from_numpy(windows.scored_NT[picked]),
            channel_BT=now[row_BT],
            next_channel_BT=self.next_channel_R[row_BT],
            next_click_BT=gain_BTG[..., 0],
            next_gain_BTG=gain_BTG,
            offset_BT=torch.zeros(row_BT.shape) if self.offset_R is None else self.offset_R[row_BT],
        )

    def next_channel(self, row_S: Ints) -> Ints:
        """Channel of the exposure after each of these steps."""
        return self.events.channel_R[row_S + 1]

    def next_click(self, row_S: Ints) -> npt.NDArray[np.bool_]:
        """Whether that exposure was clicked."""
        return self.events.clicked_R[row_S + 1]


def tabulate(events: Events, layout: Layout, feature_RF: npt.NDArray[np.float32], scaler: Scaler) -> Table:
    """Features scaled and joined with what comes after each step."""
    scaled_RF = np.concatenate([scaler(feature_RF), np.zeros((1, layout.size), np.float32)])
    gain_RG = np.stack([events.clicked_R, events.converted_R, events.cost_R], axis=1).astype(np.float32)
    last = np.append(~events.has_next_R, True)
    channel_R = np.append(np.append(events.channel_R, 0)[1:], 0)
    gain_RG = np.concatenate([gain_RG, np.zeros((2, 3), np.float32)])[1:]
    return Table(
        events,
        layout,
        torch.from_numpy(scaled_RF),
        torch.from_numpy(np.where(last, 0, channel_R)),
        torch.from_numpy(np.where(last[:, None], 0, gain_RG).astype(np.float32)),
    )

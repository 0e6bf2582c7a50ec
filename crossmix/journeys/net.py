"""The network of the response model: an encoder, what is read off it, and heads while they are learned.

Shapes: B windows, T steps, F features, D features of the head with own_c and the constant, C channels, S judged steps,
X heads.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from crossmix.journeys.encoder import make
from crossmix.journeys.layout import Layout
from crossmix.journeys.log import Floats
from crossmix.journeys.settings import Journeys
from crossmix.journeys.table import Batch, Table
from crossmix.journeys.windows import Windows

DEPTH = 16
"""Features read off the encoder: few, so that the head's uncertainty can be held as one matrix per channel."""
SAID = ("converted", "log_gap", "click_share", "click_lately", "log_steps")
"""Features of the last step that the heads see as they are, where steps have them."""
HEADS = ("click", "conversion")
KNOWN = (1.0, 0.0)
"""What the weight of own_c is drawn to: it is log-odds of the click, and tells of a conversion what is learned."""
PASS = 2_048
"""Windows in one pass."""


class Net(nn.Module):
    """Encoder and heads while they are learned."""

    def __init__(self, layout: Layout, settings: Journeys, odds: tuple[float, float]) -> None:
        """`odds`: log-odds of a click beyond those known already, and of a conversion given one, to begin with."""
        super().__init__()
        names = [one.name for one in layout.fields]
        self.said = [names.index(name) for name in SAID if name in names]
        self.encoder = make(layout.size, settings)
        self.reader = nn.Linear(settings.learning.width, DEPTH)
        self.shared = nn.Linear(DEPTH + len(self.said), len(HEADS))
        self.own = nn.Parameter(torch.zeros(len(layout.channels), len(HEADS), DEPTH + len(self.said) + 1))
        with torch.no_grad():
            self.shared.bias.copy_(torch.tensor(odds))

    def read(self, feature_BTF: Tensor, real_BT: Tensor) -> Tensor:
        """What the heads see beside own_c and the constant, (B, T, D - 2)."""
        read_BTD = torch.tanh(self.reader(self.encoder(feature_BTF, real_BT)))
        return torch.cat([read_BTD, *(feature_BTF[..., at : at + 1] for at in self.said)], -1)

    def loss(self, batch: Batch, generator: torch.Generator | None = None) -> Tensor:
        """Cross-entropy of click, and of conversion where one clicked, at the log's channel; mean over judged steps."""
        loss_BTX = self._losses(batch)
        return _mean(loss_BTX[..., 0] + batch.next_click_BT * loss_BTX[..., 1], batch)

    def validation(self, batch: Batch) -> Tensor:
        """That of the click alone: conversions are so few that the epoch would follow their luck."""
        return _mean(self._losses(batch)[..., 0], batch)

    def _losses(self, batch: Batch) -> Tensor:
        read_BTD = self.read(batch.feature_BTF, batch.real_BT)
        own_BTXD = self.own[batch.next_channel_BT]
        logit_BTX = self.shared(read_BTD) + (own_BTXD[..., :-1] * read_BTD[..., None, :]).sum(-1) + own_BTXD[..., -1]
        logit_BTX = logit_BTX + batch.offset_BT[..., None] * torch.tensor(KNOWN)
        return functional.binary_cross_entropy_with_logits(
            logit_BTX, batch.next_gain_BTG[..., : len(HEADS)], reduction="none"
        )


def _mean(loss_BT: Tensor, batch: Batch) -> Tensor:
    return (loss_BT * batch.scored_BT).sum() / batch.scored_BT.sum().clamp(min=1)


def seen(read_SD: Floats, own_SC: Floats, moved_SCM: Floats | None = None) -> Floats:
    """What the heads see of some channels, (S, C, D); with moves of own_c before it, where the head has them."""
    read_SCD = np.broadcast_to(read_SD[:, None], (*own_SC.shape, read_SD.shape[1]))
    moved = [] if moved_SCM is None else [moved_SCM]
    return np.concatenate([*moved, read_SCD, own_SC[..., None], np.ones((*own_SC.shape, 1))], -1)


def read_of(net: Net, table: Table, windows: Windows) -> Floats:
    """What the network reads at every judged step, in the order of `windows.row_S`, (S, D - 2)."""
    net.eval()
    parts = []
    with torch.no_grad():
        for first in range(0, len(windows), PASS):
            batch = table.batch(windows, slice(first, first + PASS))
            parts.append(net.read(batch.feature_BTF, batch.real_BT)[batch.scored_BT].double().numpy())
    return np.concatenate(parts)

"""Decision Transformer (Chen et al. 2021): the next channel given the steps so far and the return that is wanted.

One token per step holds the return to go (clicks still to come in the window, over its length), the step's features,
which hold the action and the reward before, and the step's place. Asked, it is told the return that the best tenth of
training windows had, less the clicks that have come since the window began.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from crossmix.journeys import learn
from crossmix.journeys.mtorl import policy_loss
from crossmix.journeys.references import Answers, Fitted, of_logs
from crossmix.journeys.references.transitions import DROPOUT, WIDTH, learning
from crossmix.journeys.table import Batch, Table
from crossmix.journeys.windows import Windows

LAYERS, HEADS = 2, 2
BEST = 0.9
"""Quantile of training returns that is asked for."""


class DecisionTransformer(nn.Module):
    """log pi(a_t | R_1..t, s_1..t)."""

    wanted: Tensor

    def __init__(self, features: int, channels: int, steps: int, wanted: float) -> None:
        super().__init__()
        self.step, self.to_go = nn.Linear(features, WIDTH), nn.Linear(1, WIDTH)
        self.place = nn.Parameter(0.02 * torch.randn(steps, WIDTH))
        layer = nn.TransformerEncoderLayer(WIDTH, HEADS, 2 * WIDTH, DROPOUT, batch_first=True, norm_first=True)
        self.layers = nn.TransformerEncoder(layer, LAYERS, enable_nested_tensor=False)
        self.channel = nn.Linear(WIDTH, channels)
        self.register_buffer("wanted", torch.tensor(wanted))

    def forward(self, feature_BTF: Tensor, to_go_BT: Tensor) -> Tensor:
        """Log-probabilities of the next channel, (B, T, C)."""
        steps = feature_BTF.shape[1]
        token_BTH = self.step(feature_BTF) + self.to_go(to_go_BT[..., None]) + self.place[:steps]
        later_TT = torch.ones(steps, steps, dtype=torch.bool).triu(1)
        log_BTC: Tensor = self.channel(self.layers(token_BTH, mask=later_TT)).log_softmax(-1)
        return log_BTC

    def loss(self, batch: Batch, generator: torch.Generator | None = None) -> Tensor:
        """Cross-entropy of the channel that came, given the return that came."""
        return policy_loss(self(batch.feature_BTF, to_go(batch)), batch)

    def validation(self, batch: Batch) -> Tensor:
        """The same as it is asked."""
        return policy_loss(self.predict(batch)[0], batch)

    def predict(self, batch: Batch) -> tuple[Tensor, None]:
        """Log-probabilities given the return that is wanted; of clicks it says nothing."""
        clicks_BT = batch.next_click_BT * batch.real_BT
        came_BT = clicks_BT.cumsum(1) - clicks_BT
        return self(batch.feature_BTF, (self.wanted - came_BT / clicks_BT.shape[1]).clamp(min=0)), None


def to_go(batch: Batch) -> Tensor:
    """Clicks from the coming exposure to the window's end, over its length, (B, T)."""
    clicks_BT = batch.next_click_BT * batch.real_BT
    return clicks_BT.flip(1).cumsum(1).flip(1) / clicks_BT.shape[1]


def fit(table: Table, train: Windows, validation: Windows, seed: int) -> Fitted:
    """Train; the epoch best on validation users stays."""
    returns = to_go(table.batch(train))[:, 0]
    wanted = float(torch.quantile(returns, BEST))
    steps = train.row_NT.shape[1]
    module, _ = learn.train(
        lambda: DecisionTransformer(table.layout.size, table.channels, steps, wanted),
        table,
        train,
        validation,
        learning(seed),
    )

    def answer(windows: Windows) -> Answers:
        return of_logs(learn.predict(module, table, windows)[0])

    return answer

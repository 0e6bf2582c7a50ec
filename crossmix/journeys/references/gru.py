"""A gated recurrent unit over the steps, with a head for the next channel and one for the next click."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from crossmix.journeys import learn
from crossmix.journeys.encoder import GruEncoder
from crossmix.journeys.mtorl import policy_loss, reward_loss
from crossmix.journeys.references import Answers, Fitted, of_logs
from crossmix.journeys.references.transitions import DROPOUT, WIDTH, learning
from crossmix.journeys.table import Batch, Table
from crossmix.journeys.windows import Windows


class Recurrent(nn.Module):
    """Both heads on one encoder."""

    def __init__(self, features: int, channels: int) -> None:
        super().__init__()
        self.encoder = GruEncoder(features, WIDTH, DROPOUT)
        self.channel, self.click = nn.Linear(WIDTH, channels), nn.Linear(WIDTH, 1)

    def loss(self, batch: Batch, generator: torch.Generator | None = None) -> Tensor:
        """Cross-entropies of channel and click."""
        hidden_BTH = self.encoder(batch.feature_BTF, batch.real_BT)
        channel = policy_loss(self.channel(hidden_BTH).log_softmax(-1), batch)
        return channel + reward_loss("binary", self.click(hidden_BTH), batch.next_click_BT, batch.scored_BT)

    def validation(self, batch: Batch) -> Tensor:
        """The same."""
        return self.loss(batch)

    def predict(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """Log-probabilities of channels, and the click's chance."""
        hidden_BTH = self.encoder(batch.feature_BTF, batch.real_BT)
        return self.channel(hidden_BTH).log_softmax(-1), torch.sigmoid(self.click(hidden_BTH)[..., 0])


def fit(table: Table, train: Windows, validation: Windows, seed: int) -> Fitted:
    """Train; the epoch best on validation users stays."""
    module, _ = learn.train(
        lambda: Recurrent(table.layout.size, table.channels), table, train, validation, learning(seed)
    )

    def answer(windows: Windows) -> Answers:
        log_SC, click_S = learn.predict(module, table, windows)
        return of_logs(log_SC, click_S)

    return answer

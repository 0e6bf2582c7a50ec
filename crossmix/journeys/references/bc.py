"""Behaviour cloning: a small network from the features of one step to the next channel."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from crossmix.journeys import learn
from crossmix.journeys.mtorl import policy_loss
from crossmix.journeys.references import Answers, Fitted, of_logs
from crossmix.journeys.references.transitions import learning, net
from crossmix.journeys.table import Batch, Table
from crossmix.journeys.windows import Windows


class Cloned(nn.Module):
    """log pi(a | s)."""

    def __init__(self, features: int, channels: int) -> None:
        super().__init__()
        self.net = net(features, channels)

    def loss(self, batch: Batch, generator: torch.Generator | None = None) -> Tensor:
        """Cross-entropy of the channel that came."""
        return policy_loss(self.net(batch.feature_BTF).log_softmax(-1), batch)

    def validation(self, batch: Batch) -> Tensor:
        """The same."""
        return self.loss(batch)

    def predict(self, batch: Batch) -> tuple[Tensor, None]:
        """Log-probabilities; of clicks it says nothing."""
        return self.net(batch.feature_BTF).log_softmax(-1), None


def fit(table: Table, train: Windows, validation: Windows, seed: int) -> Fitted:
    """Train; the epoch best on validation users stays."""
    module, _ = learn.train(lambda: Cloned(table.layout.size, table.channels), table, train, validation, learning(seed))

    def answer(windows: Windows) -> Answers:
        return of_logs(learn.predict(module, table, windows)[0])

    return answer

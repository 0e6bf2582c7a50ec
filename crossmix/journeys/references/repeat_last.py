"""The next channel is the last one: with the chance that this had in training, else by the channels' shares there."""

from __future__ import annotations

import numpy as np

from crossmix.journeys.references import Answers, Fitted
from crossmix.journeys.table import Table
from crossmix.journeys.windows import Windows


def fit(table: Table, train: Windows, validation: Windows, seed: int) -> Fitted:
    """Two figures: how often the channel stays, and the shares of those that come when it does not."""
    row_S = train.row_S
    now, after = table.events.channel_R[row_S], table.next_channel(row_S)
    stays = (np.sum(now == after) + 1) / (len(row_S) + 2)
    share_C = np.bincount(after[now != after], minlength=table.channels) + 1.0
    other_CC = np.tile(share_C, (table.channels, 1))
    np.fill_diagonal(other_CC, 0.0)
    chance_CC = np.eye(table.channels)
    if table.channels > 1:
        chance_CC = stays * chance_CC + (1 - stays) * other_CC / other_CC.sum(axis=1, keepdims=True)
    with np.errstate(divide="ignore"):
        log_CC = np.log(chance_CC)

    def answer(windows: Windows) -> Answers:
        now_S = table.events.channel_R[windows.row_S]
        return Answers(now_S, log_CC[now_S], None)

    return answer

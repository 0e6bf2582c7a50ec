"""The next channel by the last one: counts of training transitions, one added to each."""

from __future__ import annotations

import numpy as np

from crossmix.journeys.references import Answers, Fitted, of_logs
from crossmix.journeys.table import Table
from crossmix.journeys.windows import Windows


def fit(table: Table, train: Windows, validation: Windows, seed: int) -> Fitted:
    """A matrix of channel by next channel, and the click rate after each channel."""
    row_S = train.row_S
    now_S = table.events.channel_R[row_S]
    count_CC = np.ones((table.channels, table.channels))
    np.add.at(count_CC, (now_S, table.next_channel(row_S)), 1)
    log_CC = np.log(count_CC / count_CC.sum(axis=1, keepdims=True))
    clicks_C = np.bincount(now_S, table.next_click(row_S), minlength=table.channels)
    rate_C = (clicks_C + 1) / (np.bincount(now_S, minlength=table.channels) + 2)

    def answer(windows: Windows) -> Answers:
        now_S = table.events.channel_R[windows.row_S]
        return of_logs(log_CC[now_S], rate_C[now_S])

    return answer
